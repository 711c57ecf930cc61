package smtpd_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// Delivery.Abort closes when the client leaves; the client that stays is not disturbed.
func TestAbort(t *testing.T) {
	reached := make(chan struct{})
	w := start(t, func(w *world) {
		w.deliver = func(_ context.Context, d smtpd.Delivery) filter.Outcome {
			reached <- struct{}{}
			select {
			case <-d.Abort:
				return filter.Outcome{Reply: "451 4.4.2 gone"}
			case <-time.After(patience):
				return filter.Outcome{Reply: "250 2.0.0 nobody left"}
			}
		}
	})
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	<-reached
	_ = c.conn.Close()
	if d := w.observed(); d.out.Reply != "451 4.4.2 gone" {
		t.Fatal(d.out.Reply)
	}
}

func TestAbortBeforeDeliver(t *testing.T) {
	checking := make(chan struct{})
	w := start(t, func(w *world) {
		w.steps = []filter.Step{{Name: "slow", Stage: filter.OnData, Check: filter.CheckFunc(func(ctx context.Context, _ *filter.Message) ([]filter.Finding, error) {
			close(checking)
			<-ctx.Done() // the client's leaving ends the check
			return nil, ctx.Err()
		})}}
	})
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	<-checking
	_ = c.conn.Close()
	if d := w.observed(); !strings.HasPrefix(d.out.Reply, "451") || d.out.Fates[0].State != filter.Deferred {
		t.Fatalf("%+v", d.out)
	}
	w.nothing()
}

// A client that stays, over TLS too, can go on after a watched delivery.
func TestWatchLeavesTheSessionWhole(t *testing.T) {
	w := start(t, withTLS)
	for _, c := range []*client{w.dial(), w.secure()} {
		for range 3 {
			c.mail()
			c.cmd("DATA", "354")
			c.send("\r\n.\r\n")
			c.want("250")
		}
		c.mail()
		c.cmd("DATA", "354")
		c.send("\r\n.\r\nNOOP\r\nQUIT\r\n")
		for _, code := range []string{"250", "250", "221"} {
			c.want(code)
		}
		c.closed()
	}
}

func TestDrain(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	w := start(t, func(w *world) {
		w.deliver = func(context.Context, smtpd.Delivery) filter.Outcome {
			close(reached)
			<-release
			return filter.Outcome{Reply: "250 2.0.0 safe"}
		}
	})
	idle, greeted, inBody, past := w.dial(), w.raw(), w.dial(), w.dial()
	greeted.want("220")
	inBody.mail()
	inBody.cmd("DATA", "354")
	inBody.send("Subject: x\r\n")
	past.mail()
	past.cmd("DATA", "354")
	past.send("\r\n.\r\n")
	<-reached
	drained := make(chan error, 1)
	go func() { drained <- w.srv.Drain(context.Background()) }()
	for _, c := range []*client{idle, greeted, inBody} {
		c.want("421 4.3.2")
		c.closed()
	}
	select {
	case err := <-drained:
		t.Fatalf("drained with a transaction past its dot: %v", err)
	default:
	}
	close(release)
	past.want("250 2.0.0 safe")
	past.want("421 4.3.2")
	past.closed()
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", w.addr); err == nil {
		t.Fatal("still listening")
	}
	if err := <-w.served; err != nil {
		t.Fatal(err)
	}
	w.served <- nil
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.srv.Serve(context.Background(), w.l, ln); !errors.Is(err, smtpd.ErrDraining) {
		t.Fatalf("Serve after Drain: %v", err)
	}
}

// At the end of its context Drain drops what is left.
func TestDrainGivesUp(t *testing.T) {
	reached := make(chan struct{})
	w := start(t, func(w *world) {
		w.deliver = func(_ context.Context, d smtpd.Delivery) filter.Outcome {
			close(reached)
			<-d.Abort
			return filter.Outcome{Reply: "451 4.3.2 cut"}
		}
	})
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	<-reached
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := w.srv.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	c.closed()
}

func TestReload(t *testing.T) {
	w := start(t)
	c := w.dial()
	c.mail()
	cfg := w.cfg
	cfg.Hostname = "new.test"
	cfg.Limits.Recipients = 1
	again := *w.l
	again.Extensions = nil
	cfg.Listeners = []*smtpd.Listener{&again}
	w.srv.Reload(cfg)
	c.cmd("RCPT TO:<two@example.com>", "250") // the transaction keeps its limits
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<one@example.com>", "250")
	c.cmd("RCPT TO:<two@example.com>", "452 4.5.3")
	n := w.raw()
	n.want("220 new.test")
	if r := n.cmd("EHLO x.test", "250"); strings.Contains(r, "SMTPUTF8") {
		t.Fatal(r)
	}
}

// starving is a listener that runs out of descriptors a few times.
type starving struct {
	net.Listener
	left atomic.Int32
}

func (s *starving) Accept() (net.Conn, error) {
	if s.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return s.Listener.Accept()
}

func TestAcceptBacksOff(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &starving{Listener: ln}
	s.left.Store(3)
	w := start(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve(ctx, &smtpd.Listener{Name: "poor"}, s) }()
	w.addr = ln.Addr().String()
	w.legit()
	if n := strings.Count(w.log.String(), "cannot accept"); n != 3 {
		t.Fatalf("%d warnings", n)
	}
	cancel()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}

func TestBrokenListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	w := start(t)
	if err := w.srv.Serve(context.Background(), w.l, faulty{ln}); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Fatal(err)
	}
}

type faulty struct{ net.Listener }

func (faulty) Accept() (net.Conn, error) { return nil, errors.New("broken") }

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
