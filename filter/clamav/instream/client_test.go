package instream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/baruwa-enterprise/clamd"
	"go.uber.org/goleak"

	"postern/filter/clamav/instream"
	"postern/internal/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func client(t testing.TB, endpoint string) instream.Client {
	t.Helper()
	c, err := instream.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func scan(t testing.TB, endpoint string, body []byte) (instream.Reply, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return client(t, endpoint).Scan(ctx, bytes.NewReader(body), int64(len(body)))
}

func wantKind(t testing.TB, err error, kind instream.Kind) {
	t.Helper()
	var e *instream.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("error %v, want kind %d", err, kind)
	}
}

func TestParse(t *testing.T) {
	for _, s := range []string{"unix:/run/clamd.ctl", "127.0.0.1:3310", "[::1]:3310", "av.example.com:3310"} {
		if c, err := instream.Parse(s); err != nil || c.String() != s {
			t.Errorf("%q: %v, %v", s, c, err)
		}
	}
	for _, s := range []string{"", "unix:", "unix:run/clamd.ctl", "/run/clamd.ctl", "127.0.0.1", ":3310", "host:"} {
		if c, err := instream.Parse(s); err == nil {
			t.Errorf("%q is taken as %v", s, c)
		}
	}
}

func TestScanSendsEveryByte(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		fake := mailtest.StartClamd(t, network)
		for _, size := range []int{0, 1, 1023, 1024, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 1 << 20} {
			body := bytes.Repeat([]byte("abcdefg\n"), size/8+1)[:size]
			before := len(fake.Streams())
			r, err := scan(t, fake.Endpoint, body)
			if err != nil || r.Verdict != instream.Clean {
				t.Fatalf("%s %d: %+v %v", network, size, r, err)
			}
			if all := fake.Streams(); len(all) != before+1 || !bytes.Equal(all[before], body) {
				t.Errorf("%s %d: clamd saw other bytes", network, size)
			}
		}
	}
}

// eofReader returns its last bytes together with io.EOF, as some readers do.
type eofReader []byte

func (r eofReader) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, r[off:])
	if int(off)+n == len(r) {
		return n, io.EOF
	}
	return n, nil
}

func TestLastBytesWithEOFAreScanned(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	body := append(bytes.Repeat([]byte("x"), 1456), mailtest.EICAR()...)
	r, err := client(t, fake.Endpoint).Scan(t.Context(), eofReader(body), int64(len(body)))
	if err != nil || r.Verdict != instream.Infected {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestBodyThatCannotBeReadIsOurFault(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	_, err := client(t, fake.Endpoint).Scan(t.Context(), strings.NewReader("short"), 100000)
	wantKind(t, err, instream.Unreadable)
	if n := len(fake.Streams()); n != 0 {
		t.Errorf("clamd read %d whole streams of a body that ended early", n)
	}
}

func TestScriptedAnswers(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 2<<20)
	for _, c := range []struct {
		name    string
		answer  mailtest.ClamdAnswer
		verdict instream.Verdict
		kind    instream.Kind
	}{
		{"closed at once", mailtest.ClamdAnswer{CloseAfter: 1}, 0, instream.Crashed},
		{"closed mid-stream", mailtest.ClamdAnswer{CloseAfter: 5}, 0, instream.Crashed},
		{"closed without a reply", mailtest.ClamdAnswer{Silent: true}, 0, instream.Crashed},
		{"size limit, then broken pipe", mailtest.ClamdAnswer{SizeLimit: 100 << 10}, instream.TooLarge, 0},
		{"memory", mailtest.ClamdAnswer{Reply: "stream: Can't allocate memory ERROR\x00"}, 0, instream.Refused},
		{"read timed out", mailtest.ClamdAnswer{Reply: "COMMAND READ TIMED OUT\x00"}, 0, instream.Garbage},
		{"no terminator", mailtest.ClamdAnswer{Reply: "stream: OK"}, 0, instream.Garbage},
		{"newline for NUL", mailtest.ClamdAnswer{Reply: "stream: OK\n"}, 0, instream.Garbage},
		{"1 MB", mailtest.ClamdAnswer{Reply: strings.Repeat("z", 1<<20)}, 0, instream.Garbage},
		{"1 MB that stays open", mailtest.ClamdAnswer{Reply: strings.Repeat("z", 1<<20), KeepOpen: true}, 0, instream.Garbage},
		{"binary", mailtest.ClamdAnswer{Reply: "\xff\xfe\x01\x00"}, 0, instream.Garbage},
		{"SMTP", mailtest.ClamdAnswer{Reply: "220 mx.example.com ESMTP\r\n"}, 0, instream.Garbage},
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(c.name+"/"+network, func(t *testing.T) {
				fake := mailtest.StartClamd(t, network)
				fake.Mail(c.answer)
				r, err := scan(t, fake.Endpoint, big)
				if r.Verdict != c.verdict {
					t.Fatalf("%+v, %v", r, err)
				}
				if c.verdict == 0 {
					wantKind(t, err, c.kind)
				}
			})
		}
	}
}

// A clamd that stops reading, or that answers and then keeps the line open, holds nobody
// longer than the context, on the write side as on the read side.
func TestDeadlineCoversBothDirections(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 8<<20)
	for name, answer := range map[string]mailtest.ClamdAnswer{
		"write side": {HangAfter: 1},
		"read side":  {Wait: make(chan struct{})},
		"after OK":   {Reply: "stream: OK\x00", KeepOpen: true},
	} {
		t.Run(name, func(t *testing.T) {
			fake := mailtest.StartClamd(t, "unix")
			fake.Mail(answer)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := client(t, fake.Endpoint).Scan(ctx, bytes.NewReader(big), int64(len(big)))
			wantKind(t, err, instream.TimedOut)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the cause is lost: %v", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	for _, e := range []string{ln.Addr().String(), "unix:/nonexistent/clamd.ctl"} {
		_, err := scan(t, e, []byte("x"))
		wantKind(t, err, instream.Unreachable)
		var ie *instream.Error
		if errors.As(err, &ie) && ie.Begun {
			t.Error("a connection that never stood counts as begun")
		}
	}
}

func TestVersion(t *testing.T) {
	fake := mailtest.StartClamd(t, "unix")
	v, err := client(t, fake.Endpoint).Version(t.Context())
	if err != nil || v != "ClamAV 1.4.6/27000/Sun Nov 22 08:00:00 2026" {
		t.Fatal(v, err)
	}
	fake.SetVersion(strings.Repeat("v", 1<<20))
	if _, err := client(t, fake.Endpoint).Version(t.Context()); err == nil {
		t.Error("1 MB is taken as a version")
	}
}

// What the library of the same protocol answers where ours must be certain. These are the
// reasons for having our own; when one of them goes away, the choice can be looked at again.
func TestLibraryTraps(t *testing.T) {
	lib := func(endpoint string, r io.Reader) ([]*clamd.Response, error) {
		c, err := clamd.NewClient("unix", strings.TrimPrefix(endpoint, "unix:"))
		if err != nil {
			t.Fatal(err)
		}
		return c.ScanReader(context.Background(), r)
	}
	fake := mailtest.StartClamd(t, "unix")
	t.Run("no reply looks like no find", func(t *testing.T) {
		fake.Mail(mailtest.ClamdAnswer{Silent: true})
		if r, err := lib(fake.Endpoint, strings.NewReader("x")); len(r) != 0 || err != nil {
			t.Errorf("fixed: %v %v", r, err)
		}
	})
	t.Run("the reason of a broken pipe is lost", func(t *testing.T) {
		fake.Mail(mailtest.ClamdAnswer{SizeLimit: 10 << 10})
		_, err := lib(fake.Endpoint, bytes.NewReader(make([]byte, 8<<20)))
		if !errors.Is(err, syscall.EPIPE) {
			t.Errorf("fixed: %v", err)
		}
	})
	t.Run("a find as Debian configures it is an error", func(t *testing.T) {
		fake.Mail(mailtest.ClamdAnswer{Reply: "stream: A(" + strings.Repeat("0", 32) + ":68) FOUND\n"})
		if r, err := lib(fake.Endpoint, strings.NewReader("x")); len(r) != 0 || err == nil {
			t.Errorf("fixed: %v %v", r, err)
		}
	})
}

// The real daemon, ours and the library agree wherever the library gives an answer.
func TestAgreesWithLibrary(t *testing.T) {
	real := mailtest.StartRealClamd(t, mailtest.ClamdOptions{Config: map[string]string{"ExtendedDetectionInfo": "no"}})
	for name, body := range map[string][]byte{
		"clean": []byte("Subject: x\r\n\r\nhello\r\n"), "empty": {}, "bare": mailtest.EICAR(),
		"in a mail": append([]byte("Subject: x\r\n\r\n"), mailtest.EICAR()...),
	} {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(body); err != nil {
			t.Fatal(err)
		}
		f.Seek(0, io.SeekStart)
		c, err := clamd.NewClient("unix", strings.TrimPrefix(real.Endpoint, "unix:"))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := c.ScanReader(t.Context(), f)
		f.Close()
		if err != nil || len(theirs) != 1 {
			t.Fatalf("%s: library %v %v", name, theirs, err)
		}
		ours, err := scan(t, real.Endpoint, body)
		if err != nil || (ours.Verdict == instream.Infected) != (theirs[0].Status == "FOUND") || ours.Signature != theirs[0].Signature {
			t.Errorf("%s: ours %+v %v, library %+v", name, ours, err, theirs[0])
		}
	}
}

func BenchmarkScan(b *testing.B) {
	real := mailtest.StartRealClamd(b, mailtest.ClamdOptions{})
	for name, size := range map[string]int{"20kB": 20 << 10, "10MB": 10 << 20} {
		body := bytes.Repeat([]byte("benign \n"), size/8)
		b.Run("ours/"+name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			c := client(b, real.Endpoint)
			for b.Loop() {
				if r, err := c.Scan(b.Context(), bytes.NewReader(body), int64(len(body))); err != nil || r.Verdict != instream.Clean {
					b.Fatal(r, err)
				}
			}
		})
		b.Run("library/"+name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				c, err := clamd.NewClient("unix", strings.TrimPrefix(real.Endpoint, "unix:"))
				if err != nil {
					b.Fatal(err)
				}
				if r, err := c.ScanReader(b.Context(), bytes.NewReader(body)); err != nil || len(r) != 1 {
					b.Fatal(r, err)
				}
			}
		})
	}
}
