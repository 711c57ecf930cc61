package smtpd_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/smtpd"
)

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
