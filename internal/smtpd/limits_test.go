package smtpd_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/smtpd"
)

func TestSessionLimits(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Limits.Sessions = 2 })
	a, b := w.dial(), w.dial()
	c := w.raw()
	c.want("421 4.3.2")
	c.closed()
	a.cmd("QUIT", "221")
	a.closed()
	b.cmd("NOOP", "250")
	for { // the place is free once the server has closed its side
		c := w.raw()
		r, err := c.reply()
		if err == nil && strings.HasPrefix(r, "220") {
			break
		}
	}
	if n := w.srv.Sessions().Sessions; n != 2 {
		t.Fatalf("%d sessions", n)
	}
}

func TestPerIPLimit(t *testing.T) {
	w := start(t, func(w *world) {
		w.cfg.Limits.PerIP = 2
		w.l.ProxyFrom = loopback
	})
	from := func(ip, want string) {
		t.Helper()
		c := w.raw()
		c.send("PROXY TCP4 " + ip + " 192.0.2.2 1 25\r\n")
		c.want(want)
	}
	from("192.0.2.1", "220")
	from("192.0.2.1", "220")
	from("192.0.2.1", "421 4.7.0")
	from("192.0.2.3", "220")
}

func TestPer64Limit(t *testing.T) {
	w := start(t, func(w *world) {
		w.cfg.Limits.Per64 = 2
		w.l.ProxyFrom = loopback
	})
	from := func(ip, want string) {
		t.Helper()
		c := w.raw()
		c.send("PROXY TCP6 " + ip + " 2001:db8::2 1 25\r\n")
		c.want(want)
	}
	from("2001:db8::1", "220")
	from("2001:db8::2", "220")
	from("2001:db8::3", "421 4.7.0")
	from("2001:db8:0:1::3", "220")
}

// H-D08: bodies that together pass the budget are refused before they are kept.
func TestHD08BytesInFlight(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, 100)
	w := start(t, func(w *world) {
		w.cfg.Limits.InFlight = 100_000
		w.deliver = func(context.Context, smtpd.Delivery) filter.Outcome {
			arrived <- struct{}{}
			<-release
			return filter.Outcome{Reply: "250 2.0.0 ok"}
		}
	})
	big := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 600) // 60,000 octets
	first := w.dial()
	first.mail()
	first.cmd("DATA", "354")
	first.send(big + ".\r\n")
	<-arrived
	second := w.dial()
	second.mail()
	second.cmd("DATA", "354")
	second.send(big + ".\r\n")
	second.want("452 4.3.1")
	second.cmd("MAIL FROM:<a@sender.test> SIZE=50000", "452 4.3.1")
	second.cmd("MAIL FROM:<a@sender.test> SIZE=30000", "250")
	second.cmd("RCPT TO:<to@example.com>", "250")
	third := w.dial()
	third.mail()
	third.cmd("DATA", "354")
	third.send(big[:20_000] + ".\r\n")
	<-arrived
	second.cmd("DATA", "452 4.3.1") // what fitted at MAIL no longer does
	close(release)
	first.want("250")
	third.want("250")
	first.cmd("NOOP", "250") // its bytes are given back
	third.cmd("NOOP", "250")
	second.cmd("DATA", "354")
	second.send("\r\n.\r\n")
	second.want("250")
}

// A full or missing spool is a 4xx, never a loss.
func TestSpoolFaults(t *testing.T) {
	w := start(t)
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	if err := os.RemoveAll(w.spool.Dir); err != nil {
		t.Fatal(err)
	}
	c.send(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 1000) + ".\r\n")
	c.want("451 4.3.0")
	c.cmd("MAIL FROM:<a@sender.test>", "451 4.3.0")
	w.nothing()
	if err := os.MkdirAll(w.spool.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.legit()
}

func TestDiskAlmostFull(t *testing.T) {
	w := start(t, func(w *world) {
		w.cfg.Limits.Message = 1 << 60
		w.cfg.Limits.InFlight = 1 << 61
	})
	w.dial().cmd("MAIL FROM:<a@sender.test>", "452 4.3.1")
}

func TestSpoolFileIsRemoved(t *testing.T) {
	var files int
	w := start(t, func(w *world) {
		w.deliver = func(context.Context, smtpd.Delivery) filter.Outcome {
			files = w.spoolFiles()
			return filter.Outcome{Reply: "250 2.0.0 ok"}
		}
	})
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 1000) + ".\r\n")
	c.want("250")
	c.cmd("NOOP", "250")
	if left := w.spoolFiles(); files != 1 || left != 0 {
		t.Fatalf("%d files while it ran, %d after", files, left)
	}
}

func TestIdleCommand(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Limits.Idle = 50 * time.Millisecond })
	c := w.raw()
	c.want("220")
	c.want("421 4.4.2")
	c.closed()
}

// H-D03: a client that reads nothing does not hold its session for ever.
func TestHD03ZeroWindow(t *testing.T) {
	w := start(t, lenient, func(w *world) { w.cfg.Limits.Write = 100 * time.Millisecond })
	c := w.dial()
	if err := c.conn.(*net.TCPConn).SetReadBuffer(1 << 10); err != nil {
		t.Fatal(err)
	}
	junk := []byte(strings.Repeat("HELP\r\n", 10_000))
	for {
		if _, err := c.conn.Write(junk); err != nil {
			break // the server gave up: reset
		}
	}
	w.legit()
}

// H-D05
func TestHD05TransactionsPerSession(t *testing.T) {
	w := start(t)
	c := w.dial()
	for n := 0; ; n++ {
		c.send("MAIL FROM:<a@sender.test>\r\nRSET\r\n")
		if r, _ := c.reply(); strings.HasPrefix(r, "421") {
			break
		}
		if r, _ := c.reply(); strings.HasPrefix(r, "421") {
			break
		}
		if n > 10_000 {
			t.Fatal("no cap")
		}
	}
	w.legit()
}

// Many at once, some of them rude: all good mail arrives, nothing is left open.
func TestCrowd(t *testing.T) {
	w := start(t, withTLS, func(w *world) { w.cfg.Limits.PerIP = 1000 })
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			conn, err := net.Dial("tcp", w.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(patience))
			script := "EHLO x.test\r\nMAIL FROM:<a@sender.test>\r\nRCPT TO:<to@example.com>\r\nDATA\r\n"
			switch i % 3 {
			case 0:
				_, _ = io.WriteString(conn, script+"Subject: x\r\n\r\n.\r\nQUIT\r\n")
				out, err := io.ReadAll(conn)
				if err != nil || strings.Count(string(out), "\n250 2.0.0") != 1 {
					t.Errorf("%q, %v", out, err)
				}
			case 1:
				_, _ = io.WriteString(conn, script+"Subject: cut")
			case 2:
				_, _ = io.WriteString(conn, script[:i])
			}
		})
	}
	wg.Wait()
	if n := len(w.messages()); n != 20 {
		t.Fatalf("%d messages", n)
	}
}

func TestServeIPv6(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6 on this machine: %v", err)
		return
	}
	w := start(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve(ctx, w.l, ln) }()
	w.addr = ln.Addr().String()
	w.legit()
	if g := w.only(); g.msg.Client.IP != netip.IPv6Loopback() {
		t.Fatal(g.msg.Client.IP)
	}
	cancel()
	<-served
}
