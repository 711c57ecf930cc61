package smtpd_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

var benchBody = strings.Repeat(strings.Repeat("x", 76)+"\r\n", 260) // about 20 kB

// BenchmarkMessage is one message of about 20 kB through the whole of this room, on one
// connection, with a Deliverer that only says yes.
func BenchmarkMessage(b *testing.B) {
	w := start(b, lenient, func(w *world) { w.cfg.Limits.InFlight = 1 << 40 })
	c := w.dial()
	benchmark(b, c, w.reset)
}

func (w *world) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken, w.finished = w.taken[:0], w.finished[:0]
}

// BenchmarkBareGoSMTP is the same through go-smtp alone, for comparison.
func BenchmarkBareGoSMTP(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return bare{}, nil }))
	srv.Domain = "mx.test"
	go func() { _ = srv.Serve(ln) }()
	defer func() { _ = srv.Close() }()
	w := &world{t: b, addr: ln.Addr().String()}
	benchmark(b, w.dial(), func() {})
}

type bare struct{}

func (bare) Reset()                               {}
func (bare) Logout() error                        { return nil }
func (bare) Mail(string, *smtp.MailOptions) error { return nil }
func (bare) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (bare) Data(r io.Reader) error               { _, err := io.ReadAll(r); return err }

func benchmark(b *testing.B, c *client, reset func()) {
	b.ReportAllocs()
	b.SetBytes(int64(len(benchBody)))
	for b.Loop() {
		c.send("MAIL FROM:<a@sender.test>\r\nRCPT TO:<to@example.com>\r\nDATA\r\n")
		for _, code := range []string{"250", "250", "354"} {
			c.want(code)
		}
		c.send(benchBody + ".\r\n")
		c.want("250")
		reset()
	}
	_ = c.conn.Close()
}

// BenchmarkIdleSession is the memory of a session that only said EHLO.
func BenchmarkIdleSession(b *testing.B) {
	w := start(b, func(w *world) { w.cfg.Limits.Sessions, w.cfg.Limits.PerIP = 1<<20, 1<<20 })
	b.ReportAllocs()
	for b.Loop() {
		c := w.dial()
		c.cmd("QUIT", "221")
		_ = c.conn.Close()
	}
}
