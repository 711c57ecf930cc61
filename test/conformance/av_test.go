// Package conformance joins rooms against public suites that no single room can satisfy.
package conformance

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/attach"
	"postern/filter/clamav"
	"postern/internal/archive"
	"postern/internal/mailtest"
	"postern/internal/mailtest/samples"
	"postern/internal/mime"
)

func mailWith(name string, content []byte) []byte {
	var b bytes.Buffer
	b.WriteString("From: a@sender.example\r\nTo: b@example.com\r\nSubject: file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_x\"\r\n\r\n--=_x\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n--=_x\r\n")
	fmt.Fprintf(&b, "Content-Type: application/octet-stream; name=%q\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=%q\r\n\r\n", name, name)
	text := base64.StdEncoding.EncodeToString(content)
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n--=_x--\r\n")
	return b.Bytes()
}

func message(raw []byte) *filter.Message {
	return &filter.Message{
		Body: bytes.NewReader(raw), Size: int64(len(raw)), SHA256: fmt.Sprintf("%064x", len(raw)),
		Parts: func() (*mime.Tree, error) { return mime.Bytes(raw, mime.DefaultLimits()), nil },
	}
}

// Every container is found by the scanner or said to be unreadable; none passes as clean.
func TestEveryTestFileInAMailIsCaught(t *testing.T) {
	dir := mailtest.Suites(t, "av/clamav-testfiles")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.ReadFile(filepath.Join(dir, "clam.exe")) // the harmless program inside all of them
	if err != nil {
		t.Fatal(err)
	}
	d := mailtest.StartRealClamd(t, mailtest.ClamdOptions{HDB: []string{fmt.Sprintf("%x:%d:Clam.Test", md5.Sum(exe), len(exe))}})
	s, err := clamav.New(clamav.Config{Endpoints: []string{d.Endpoint}}, clamav.Parts{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	walk := &attach.Check{Limits: archive.DefaultLimits()}
	found, unscannable, all := 0, 0, 0
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.IsDir() || filepath.Base(f) == "SOURCE.txt" {
			continue
		}
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all++
		m := message(mailWith(filepath.Base(f), content))
		scanned, err := s.Check(t.Context(), m)
		walked, werr := walk.Check(t.Context(), m)
		if err := errors.Join(err, werr); err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		switch {
		case has(scanned, clamav.Virus):
			found++
		case has(append(scanned, walked...), clamav.Unscannable):
			unscannable++
			t.Logf("%s is unscannable", filepath.Base(f))
		default:
			t.Errorf("%s passes as clean: %v %v", filepath.Base(f), scanned, walked)
		}
	}
	t.Logf("%d files in mails: %d found, %d unscannable", all, found, unscannable)
	if all != 44 || found < 43 {
		t.Errorf("%d of %d found, want at least 43 of 44", found, all)
	}
}

// TestAboveTheScannersLimit is H-G16: clamd says OK to what is larger than the files it opens. A file
// above that is unscannable, bare and in an archive; one below is not.
func TestAboveTheScannersLimit(t *testing.T) {
	const most = 100 << 10
	d := mailtest.StartRealClamd(t, mailtest.ClamdOptions{Config: map[string]string{"MaxFileSize": "100K"}})
	s, err := clamav.New(clamav.Config{Endpoints: []string{d.Endpoint}, MaxFile: most}, clamav.Parts{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	walk := &attach.Check{Limits: archive.Limits{EntryBytes: most}}
	file := func(n int) samples.Member {
		text := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)
		return samples.Member{Name: "a.txt", Data: text[:n]}
	}
	for name, pack := range map[string]func(samples.Member) []byte{
		"bare": func(m samples.Member) []byte { return m.Data },
		"zip":  func(m samples.Member) []byte { return packed(m) },
		"7z": func(m samples.Member) []byte {
			coder, stream := samples.LZMA(m.Data)
			return samples.Seven(samples.Packing{Coder: coder, Streams: [][]byte{stream}}, m)
		},
	} {
		for n, want := range map[int]bool{most + 1: true, most / 2: false} {
			m := message(mailWith("a", pack(file(n))))
			scanned, err := s.Check(t.Context(), m)
			walked, werr := walk.Check(t.Context(), m)
			if err := errors.Join(err, werr); err != nil {
				t.Fatal(err)
			}
			if got := has(append(scanned, walked...), clamav.Unscannable); got != want {
				t.Errorf("%s of %d bytes: unscannable is %v: %v %v", name, n, got, scanned, walked)
			}
		}
	}
}

func has(all []filter.Finding, symbol string) bool {
	for _, f := range all {
		if f.Symbol == symbol {
			return true
		}
	}
	return false
}
