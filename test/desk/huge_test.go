package desk

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	letterpage "postern/internal/desk/held/letter"
	"postern/quarantine"
)

// huge is a message with an attachment of many megabytes, made as it is read.
type huge struct {
	left int // lines of the attachment
	buf  strings.Reader
	end  bool
}

const (
	hugeHead = "From: a@x.example\r\nTo: ada@example.com\r\nSubject: huge\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nLook at the attachment.\r\n--b\r\n" +
		"Content-Type: application/octet-stream; name=big.bin\r\nContent-Disposition: attachment; filename=big.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	hugeTail = "--b--\r\n"
)

var hugeLine = strings.Repeat("QUJD", 19) + "\r\n" // 78 octets

func newHuge(size int) *huge {
	h := &huge{left: size / len(hugeLine)}
	h.buf.Reset(hugeHead)
	return h
}

func (h *huge) Read(p []byte) (int, error) {
	for h.buf.Len() == 0 {
		switch {
		case h.left > 0:
			n := min(h.left, 1000)
			h.left -= n
			h.buf.Reset(strings.Repeat(hugeLine, n))
		case !h.end:
			h.end = true
			h.buf.Reset(hugeTail)
		default:
			return 0, io.EOF
		}
	}
	return h.buf.Read(p)
}

// TestHugeMessage lists, opens and hands on a message of 100 MB (30 MB in the short form): the
// pages look at its beginning alone and say so, and never is more than a small part of it in
// memory.
func TestHugeMessage(t *testing.T) {
	size := 30 << 20
	if os.Getenv("POSTERN_CAMPAIGN") == "1" {
		size = 100 << 20
	}
	sum := sha256.New()
	n, err := io.Copy(sum, newHuge(size))
	if err != nil {
		t.Fatal(err)
	}
	in := newInner(t, nil)
	h := in.holdOf(1, newHuge(size), func(h *quarantine.Hold) {
		h.Size, h.SHA256, h.Subject = n, hex.EncodeToString(sum.Sum(nil)), "huge"
	})
	r := in.reader("olga")
	peak := watchHeap(t)
	for _, path := range []string{"/held", "/held/" + h.ID, "/held/" + h.ID + "?tab=parts", "/held/" + h.ID + "?tab=headers", "/held?q=huge"} {
		began := time.Now()
		code, body := r.get(path)
		t.Logf("%-45s %6.0f ms, %d kB", path, ms(time.Since(began)), len(body)/1000)
		if code != http.StatusOK || len(body) > 200_000 {
			t.Errorf("%s: %d, %d octets", path, code, len(body))
		}
		if strings.HasPrefix(path, "/held/") && !strings.Contains(body, `class="said warn"`) {
			t.Errorf("%s does not say that only the beginning is shown", path)
		}
	}
	if most := peak(); most > 16*letterpage.MaxRead {
		t.Errorf("the pages took %d MB of memory", most>>20)
	}
	peak = watchHeap(t)
	began := time.Now()
	if got := in.takes(r, "/held/"+h.ID+"/raw"); got != hex.EncodeToString(sum.Sum(nil)) {
		t.Error("what was handed on is another message")
	}
	most := peak()
	t.Logf("the whole source: %.0f ms, at most %d MB of memory", ms(time.Since(began)), most>>20)
	if most > 100<<20 || size > 60<<20 && int(most) > size {
		t.Errorf("handing %d MB on took %d MB of memory", size>>20, most>>20)
	}
}

// takes reads an answer without keeping it, and says what it hashes to.
func (in *inner) takes(r *reader, path string) string {
	in.t.Helper()
	req, err := http.NewRequestWithContext(in.t.Context(), http.MethodGet, in.url+path, nil)
	if err != nil {
		in.t.Fatal(err)
	}
	res, err := r.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer res.Body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, bufio.NewReader(res.Body)); err != nil {
		in.t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// watchHeap follows how much more memory is in use than now; the answer is the most that was seen.
func watchHeap(t *testing.T) (most func() uint64) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapInuse
	var peak atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.HeapInuse > before {
				peak.Store(max(peak.Load(), m.HeapInuse-before))
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(stop); <-done; return peak.Load() }
}
