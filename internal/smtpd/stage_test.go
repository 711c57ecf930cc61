package smtpd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/mime"
	"postern/internal/smtpd"
)

func find(symbol string) []filter.Finding { return []filter.Finding{{Symbol: symbol}} }

// Each stage runs once where it belongs, sees what went before, and joins the report in
// stage order.
func TestStages(t *testing.T) {
	var ran []string
	trace := func(stage filter.Stage) filter.Step {
		return check(stage, func(m *filter.Message) []filter.Finding {
			var seen []string
			for _, f := range m.Seen {
				seen = append(seen, f.Symbol)
			}
			ran = append(ran, fmt.Sprintf("%s seen=%v to=%d body=%v", stage, seen, len(m.To), m.Body != nil))
			return find(strings.ToUpper(stage.String()))
		})
	}
	w := start(t, func(w *world) {
		w.steps = []filter.Step{trace(filter.OnConnect), trace(filter.OnSender), trace(filter.OnRecipient), trace(filter.OnData)}
		w.names = func(netip.Addr) string { return "client.reverse.test" }
	})
	c := w.dial()
	for range 2 {
		c.cmd("MAIL FROM:<a@sender.test>", "250")
		c.cmd("RCPT TO:<one@example.com>", "250")
		c.cmd("RCPT TO:<two@example.com>", "250")
		c.cmd("DATA", "354")
		c.send("\r\n.\r\n")
		c.want("250")
	}
	first := []string{
		"connect seen=[] to=0 body=false",
		"sender seen=[CONNECT] to=0 body=false",
		"rcpt seen=[CONNECT SENDER] to=1 body=false",
		"rcpt seen=[CONNECT SENDER RCPT] to=2 body=false",
		"data seen=[CONNECT SENDER RCPT RCPT] to=2 body=true",
	}
	want := strings.Join(append(first, first[1:]...), "\n") // the client is looked at once
	if got := strings.Join(ran, "\n"); got != want {
		t.Fatalf("ran\n%s\nwant\n%s", got, want)
	}
	for _, g := range w.messages() {
		if symbols(g.report) != "CONNECT SENDER RCPT RCPT DATA" || g.msg.Client.Name != "client.reverse.test" {
			t.Fatalf("%s, %+v", symbols(g.report), g.msg.Client)
		}
		if !filter.ValidID(g.msg.ID) || g.msg.SHA256 == "" || g.msg.Listener != "mx" || g.msg.Client.Helo != "client.test" {
			t.Fatalf("%+v", g.msg)
		}
	}
}

// A verdict before the body is said at RCPT, to the recipient it concerns, with the ID.
func TestRefusedAtRcpt(t *testing.T) {
	w := start(t, func(w *world) {
		w.steps = []filter.Step{check(filter.OnRecipient, func(m *filter.Message) []filter.Finding {
			to := m.To[len(m.To)-1].Address
			return []filter.Finding{{Symbol: strings.ToUpper(strings.Split(to, "@")[0]), For: to}}
		})}
		w.judge = func(m *filter.Message, r filter.Report, policy string) filter.Verdict {
			v := filter.Verdict{Policy: policy, Score: 5000}
			for _, f := range r.Findings {
				switch {
				case m.Body != nil:
				case f.Symbol == "REJECT":
					v.Action, v.Public = filter.Reject, "550 5.7.1 you are on the postmaster's list"
				case f.Symbol == "DEFER":
					v.Action = filter.Defer
				case f.Symbol == "HOLD": // only judged with the body
					v.Action = filter.Quarantine
				}
			}
			return v
		}
	})
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	r := c.cmd("RCPT TO:<reject@example.com>", "550 5.7.1 you are on the postmaster's list (ref ")
	c.cmd("RCPT TO:<defer@example.com>", "451 4.7.1 not accepted by local policy (ref ")
	c.cmd("RCPT TO:<hold@example.com>", "250")
	c.cmd("RCPT TO:<nobody@example.com>", "550 5.1.1 no such user (ref ")
	c.cmd("RCPT TO:<broken@example.com>", "451 4.3.0 try again later (ref ")
	c.cmd("RCPT TO:<x@elsewhere.test>", "550 5.7.1 relaying denied (ref ")
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	g := w.only()
	if len(g.msg.To) != 1 || symbols(g.report) != "HOLD" || !strings.Contains(r, g.msg.ID) {
		t.Fatalf("to %v, findings %s, %s", g.msg.To, symbols(g.report), r)
	}
	if !strings.Contains(w.log.String(), "database on fire") {
		t.Fatal("the cause is not in the log")
	}
	d := w.observed()
	var fates []string
	for i, f := range d.out.Fates {
		if d.msg.To[i].Address != f.Recipient && i > 0 {
			t.Errorf("fate %d is of %s, recipient %s", i, f.Recipient, d.msg.To[i].Address)
		}
		fates = append(fates, string(f.State))
	}
	if got := strings.Join(fates, " "); got != "delivered rejected deferred rejected deferred rejected" || d.msg.To[0].Address != "hold@example.com" {
		t.Fatalf("fates %s of %v", got, d.msg.To)
	}
}

// A transaction that ends without a body is told to the observers when something was
// refused in it, and only then.
func TestObservedWithoutBody(t *testing.T) {
	w := start(t)
	c := w.dial()
	c.mail()
	c.cmd("RSET", "250")
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<to@example.com>", "250")
	c.cmd("RCPT TO:<nobody@example.com>", "550")
	c.cmd("QUIT", "221")
	d := w.observed()
	if len(d.msg.To) != 1 || d.msg.To[0].Address != "nobody@example.com" || d.out.Fates[0].State != filter.Rejected || !strings.HasPrefix(d.out.Reply, "550 5.1.1") {
		t.Fatalf("%v %+v", d.msg.To, d.out)
	}
	select {
	case d := <-w.doneCh:
		t.Fatalf("told of %+v", d)
	default:
	}
}

// Observers run after the answer: the client has it while they still work.
func TestObserverAfterAnswer(t *testing.T) {
	answered := make(chan struct{})
	w := start(t, func(w *world) {
		w.observe = func() error { <-answered; return nil }
	})
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	close(answered)
	c.cmd("NOOP", "250")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.finished) != 1 {
		t.Fatalf("%d calls", len(w.finished))
	}
	d := w.finished[0]
	ts := d.out.Times
	if ts.Start.IsZero() || ts.Data.Before(ts.Start) || ts.Received.Before(ts.Data) || ts.Checked.Before(ts.Received) || ts.Done.Before(ts.Checked) {
		t.Fatalf("times %+v", ts)
	}
}

// An observer whose store is away says so once in a while, not for every message.
func TestObserverFailsQuietly(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	w := start(t, func(w *world) {
		w.observe = func() error { return errors.New("away") }
		w.now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		}
	})
	c := w.dial()
	send := func() {
		c.mail()
		c.cmd("DATA", "354")
		c.send("\r\n.\r\n")
		c.want("250")
	}
	for range 20 {
		send()
	}
	c.cmd("NOOP", "250")
	if n := strings.Count(w.log.String(), "msg=observer"); n != 1 {
		t.Errorf("%d lines for 20 failures:\n%s", n, w.log)
	}
	mu.Lock()
	now = now.Add(11 * time.Second)
	mu.Unlock()
	send()
	c.cmd("NOOP", "250")
	if n := strings.Count(w.log.String(), "msg=observer"); n != 2 || !strings.Contains(w.log.String(), "failures_not_said=19") {
		t.Errorf("%d lines ten seconds later:\n%s", n, w.log)
	}
}

// I3: whatever breaks inside is 451, and the session lives on.
func TestPanicsAndNonsense(t *testing.T) {
	outcome := filter.Outcome{}
	bad := false
	w := start(t, lenient, func(w *world) {
		w.deliver = func(context.Context, smtpd.Delivery) filter.Outcome {
			if bad {
				panic("deliver")
			}
			return outcome
		}
	})
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<panic@example.com>", "451 4.3.0")
	c.cmd("RSET", "250")
	send := func(want string) {
		t.Helper()
		c.mail()
		c.cmd("DATA", "354")
		c.send("\r\n.\r\n")
		c.want(want)
	}
	for _, reply := range []string{"", "nonsense", "999 x", "354 go on", "100 x", "25", "250x"} {
		outcome.Reply = reply
		send("451 4.3.0")
	}
	outcome.Reply = "250 2.0.0 fine\r\n250 injected\x1b"
	send("250 2.0.0 fine??250 injected?")
	outcome.Reply = "554"
	send("554 5.0.0")
	outcome.Reply = "250 " + strings.Repeat("x", 5000)
	send("250 ")
	bad = true
	send("451 4.3.0")
	bad = false
	outcome.Reply = "250 2.0.0 ok"
	send("250 2.0.0 ok")
	if !strings.Contains(w.log.String(), "panic=deliver") {
		t.Fatal("the panic is not in the log")
	}
}

type badReader struct{}

func (badReader) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestNoRandomness(t *testing.T) {
	w := start(t, func(w *world) { w.random = badReader{} })
	w.dial().cmd("MAIL FROM:<a@sender.test>", "451 4.3.0")
}

// A session that breaks before it read the body does not take the body for commands.
func TestPanicBeforeBody(t *testing.T) {
	var breaks atomic.Bool
	w := start(t, func(w *world) {
		w.now = func() time.Time {
			if breaks.CompareAndSwap(true, false) {
				panic("clock")
			}
			return time.Now()
		}
	})
	c := w.dial()
	c.mail()
	breaks.Store(true)
	c.cmd("DATA", "354")
	c.send("MAIL FROM:<evil@sender.test>\r\nRCPT TO:<to@example.com>\r\n.\r\n")
	c.want("451 4.3.0")
	c.cmd("RCPT TO:<to@example.com>", "503")
	if d := w.observed(); d.out.Fates[0].State != filter.Deferred || !strings.HasPrefix(d.out.Reply, "451") {
		t.Fatalf("%+v", d.out)
	}
	c.mail()
	breaks.Store(true)
	c.cmd("DATA", "354")
	c.send("cut off")
	_ = c.conn.Close()
	w.nothing()
	w.legit()
}

// Observers that fail or panic hurt nobody.
func TestObserverFaults(t *testing.T) {
	var calls atomic.Int32
	w := start(t, func(w *world) {
		w.observe = func() error {
			if calls.Add(1) == 1 {
				panic("observer")
			}
			return errors.New("disk on fire")
		}
	})
	w.legit()
	w.legit()
	if log := w.log.String(); !strings.Contains(log, "panic=observer") || !strings.Contains(log, "disk on fire") {
		t.Fatal(log)
	}
}

// The message is read once, and a reader that panics is an error.
func TestPartsOnce(t *testing.T) {
	var reads atomic.Int32
	w := start(t, func(w *world) {
		w.parse = func(io.ReaderAt, int64) (*mime.Tree, error) {
			if reads.Add(1) == 2 {
				panic("walk")
			}
			return &mime.Tree{}, nil
		}
		two := func(m *filter.Message) []filter.Finding {
			if _, err := m.Parts(); err != nil {
				return find(strings.ReplaceAll(err.Error(), " ", "_"))
			}
			return nil
		}
		w.steps = []filter.Step{check(filter.OnData, two), check(filter.OnData, two)}
	})
	w.legit()
	w.legit()
	if all := w.messages(); reads.Load() != 2 || symbols(all[0].report) != "" || strings.Count(symbols(all[1].report), "panicked:_walk") != 2 {
		t.Fatalf("%d reads, %s", reads.Load(), symbols(all[1].report))
	}
}

func TestParts(t *testing.T) {
	w := start(t, func(w *world) {
		w.steps = []filter.Step{check(filter.OnData, func(m *filter.Message) []filter.Finding {
			if _, err := m.Parts(); err == nil {
				return find("PARSED")
			}
			return find("UNPARSED")
		})}
	})
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("\r\n.\r\n")
	c.want("250")
	if g := w.only(); symbols(g.report) != "UNPARSED" {
		t.Fatal(symbols(g.report))
	}
}

// trusted makes the peer a relay behind which the client is to be found.
func trusted(w *world) {
	w.cfg.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	note := func(stage filter.Stage) filter.Step {
		return check(stage, func(m *filter.Message) []filter.Finding { return find(stage.String() + "=" + m.Client.IP.String()) })
	}
	w.steps = []filter.Step{note(filter.OnConnect), note(filter.OnSender), note(filter.OnRecipient), note(filter.OnData)}
}

func TestTrustedRelay(t *testing.T) {
	w := start(t, trusted)
	c := w.dial()
	send := func(head string) got {
		t.Helper()
		before := len(w.messages())
		c.mail()
		c.cmd("DATA", "354")
		c.send(head + "Subject: x\r\n\r\nb\r\n.\r\n")
		c.want("250")
		return w.messages()[before]
	}
	g := send("Received: from mid.example.com (mid.example.com [10.1.2.3]) by gate\r\nReceived: from evil.test (real.sender.test\r\n [192.0.2.66]) by mid\r\nReceived: from bank.test (bank.test [203.0.113.1]) by evil\r\n")
	if got := symbols(g.report); got != "connect=192.0.2.66 sender=192.0.2.66 rcpt=192.0.2.66 data=192.0.2.66" {
		t.Fatalf("checks saw %s", got)
	}
	if g.msg.Client.Helo != "evil.test" || g.msg.Client.IP != netip.MustParseAddr("192.0.2.66") {
		t.Fatalf("client %+v", g.msg.Client)
	}
	g = send("Received: by gate (local)\r\nReceived: from bank.test (bank.test [203.0.113.1]) by evil\r\n")
	if symbols(g.report) != "data=127.0.0.1" || len(g.report.Failures) != 1 || g.report.Failures[0].Step != "trusted_relays" {
		t.Fatalf("%+v", g.report)
	}
}

func TestUntrustedReceivedIsIgnored(t *testing.T) {
	w := start(t, trusted, func(w *world) { w.cfg.Trusted = nil })
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("Received: from x (x [192.0.2.66]) by y\r\n\r\n.\r\n")
	c.want("250")
	if g := w.only(); !g.msg.Client.IP.IsLoopback() {
		t.Fatal(g.msg.Client)
	}
}

// I12, H-E06
func TestLoop(t *testing.T) {
	w := start(t)
	c := w.dial()
	for n, want := range map[int]string{100: "250", 101: "554 5.4.6", 20_000: "554 5.4.6"} {
		c.mail()
		c.cmd("DATA", "354")
		c.send(strings.Repeat("Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n", n) + "\r\nReceived: in the body\r\n.\r\n")
		c.want(want)
	}
	w.nothingMore(1)
}
