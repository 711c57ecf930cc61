package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var people = []string{"a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com", "f@example.com"}

// The book itself: what was told, what came, and what follows.
func TestBalance(t *testing.T) {
	m := ledger.Make(1, 0, "s@load.example", people[:1], 1000)
	const to = "a@example.com"
	came := func(l *ledger.Ledger) { l.Arrived([]string{to}, append([]byte("Received: x\r\n\ty\r\n"), m.Body...)) }
	told := func(replies ...string) func(l *ledger.Ledger) {
		return func(l *ledger.Ledger) {
			for _, r := range replies {
				l.Answer(m.ID, []string{"A@example.com"}, r)
			}
		}
	}
	early := func(l *ledger.Ledger) { l.Refuse(m.ID, m.To, "451 4.0.0 later"); l.Refuse(m.ID, m.To, "") }
	excuse := func(l *ledger.Ledger) { l.Excuse(m.ID, to) }
	for _, c := range []struct {
		name string
		do   []func(l *ledger.Ledger)
		kept int
		list func(r ledger.Report) []string
		ok   bool
	}{
		{"delivered", []func(*ledger.Ledger){told("250 ok"), came}, 0, nil, true},
		{"held", []func(*ledger.Ledger){told("250 held")}, 1, nil, true},
		{"lost", []func(*ledger.Ledger){told("250 ok")}, 0, func(r ledger.Report) []string { return r.Lost }, false},
		{"lost after a 4xx", []func(*ledger.Ledger){told("451 later", "250 ok")}, 0, func(r ledger.Report) []string { return r.Lost }, false},
		{"rejected", []func(*ledger.Ledger){told("550 no")}, 0, nil, true},
		{"rejected yet delivered", []func(*ledger.Ledger){told("550 no"), came}, 0, func(r ledger.Report) []string { return r.Unexplained }, false},
		{"never answered", []func(*ledger.Ledger){told("")}, 0, func(r ledger.Report) []string { return r.Unfinished }, true},
		{"answered by nothing, delivered", []func(*ledger.Ledger){told(""), came}, 0, func(r ledger.Report) []string { return r.Unfinished }, true},
		{"twice by silence", []func(*ledger.Ledger){told("", "250 ok"), came, came}, 0, func(r ledger.Report) []string { return r.Duplicates }, true},
		{"twice by a 4xx", []func(*ledger.Ledger){told("451 later", "250 ok"), came, came}, 0, func(r ledger.Report) []string { return r.Ambiguous }, true},
		{"twice, excused", []func(*ledger.Ledger){told("250 ok"), came, came, excuse}, 0, func(r ledger.Report) []string { return r.Duplicates }, true},
		{"three times, excused once", []func(*ledger.Ledger){told("250 ok"), came, came, came, excuse}, 0, func(r ledger.Report) []string { return r.Unexplained }, false},
		{"twice by an early 4xx", []func(*ledger.Ledger){early, told("250 ok"), came, came}, 0, func(r ledger.Report) []string { return r.Unexplained }, false},
		{"twice for nothing", []func(*ledger.Ledger){told("250 ok"), came, came}, 0, func(r ledger.Report) []string { return r.Unexplained }, false},
		{"delivered and held", []func(*ledger.Ledger){told("250 ok"), came}, 1, func(r ledger.Report) []string { return r.Unexplained }, false},
		{"deferred", []func(*ledger.Ledger){early}, 0, func(r ledger.Report) []string { return r.Unfinished }, true},
	} {
		l := ledger.New()
		l.Send(m)
		for _, f := range c.do {
			f(l)
		}
		var kept []ledger.Copy
		for range c.kept {
			kept = append(kept, ledger.Copy{SHA256: m.SHA256, Recipient: "a@Example.com"})
		}
		r := l.Report(kept...)
		n := len(r.Lost) + len(r.Duplicates) + len(r.Ambiguous) + len(r.Unexplained) + len(r.Changed) + len(r.Strange) + len(r.Unfinished)
		want := 0
		if c.list != nil {
			want = 1
		}
		if r.OK() != c.ok || n != want || c.list != nil && len(c.list(r)) != 1 {
			t.Errorf("%s: %s", c.name, r)
		}
		if again := l.Report(kept...); again.String() != r.String() {
			t.Errorf("%s: asked again: %s", c.name, again)
		}
	}
}

// What arrives must be what was sent, behind header lines alone.
func TestChanged(t *testing.T) {
	m := ledger.Make(1, 1, "s@load.example", people[:1], 1000)
	body := string(m.Body)
	for name, c := range map[string]struct {
		came    string
		changed bool
	}{
		"as it was":        {body, false},
		"with a prefix":    {"Received: x\r\nX-Y: z\r\n", false},
		"as a file":        {"Received: x\n" + strings.ReplaceAll(body, "\r\n", "\n"), false},
		"a byte changed":   {strings.Replace(body, "Subject", "subject", 1), true},
		"cut short":        {body[:len(body)-2], true},
		"longer":           {body + "\r\n", true},
		"with an end":      {"X: y\r\n\r\n", true},
		"with a half line": {"X: y", true},
	} {
		l := ledger.New()
		l.Send(m)
		l.Answer(m.ID, m.To, "250 ok")
		came := c.came
		if len(came) < 30 {
			came += body
		}
		l.Arrived(m.To, []byte(came))
		r := l.Report()
		// A body whose name cannot be read is nobody's.
		if got := len(r.Changed)+len(r.Strange) > 0; got != c.changed || r.OK() == c.changed {
			t.Errorf("%s: %s", name, r)
		}
	}
	l := ledger.New()
	l.Arrived([]string{"x@y.example"}, []byte("Subject: spam\r\n\r\nX-Ledger-Id: forged\r\n"))
	l.Answer("nobody", []string{"x@y.example"}, "250 ok")
	if r := l.Report(ledger.Copy{SHA256: "00", Recipient: "x@y.example"}); len(r.Strange) != 3 || r.OK() {
		t.Errorf("%s", r)
	}
}

func TestMake(t *testing.T) {
	seen := map[string]bool{}
	high, long, dots, several := 0, 0, 0, 0
	for n := range 400 {
		m := ledger.Make(7, n, "s@load.example", people, 50<<10)
		if again := ledger.Make(7, n, "s@load.example", people, 50<<10); !bytes.Equal(m.Body, again.Body) || m.SHA256 != again.SHA256 {
			t.Fatal("not the same twice")
		}
		if seen[m.SHA256] || ledger.ID(m.Body) != m.ID || int64(len(m.Body)) != m.Size || len(m.To) < 1 || len(m.To) > 5 {
			t.Fatalf("message %d: %+v", n, m)
		}
		seen[m.SHA256] = true
		if len(m.To) > 1 {
			several++
		}
		has8 := false
		for l := range strings.SplitSeq(strings.TrimSuffix(string(m.Body), "\r\n"), "\r\n") {
			if len(l) > 998 || strings.ContainsAny(l, "\r\n\x00") {
				t.Fatalf("message %d: line %q", n, l)
			}
			if len(l) > 800 {
				long++
			}
			if strings.HasPrefix(l, ".") {
				dots++
			}
			has8 = has8 || strings.ContainsFunc(l, func(r rune) bool { return r > 127 })
		}
		if has8 {
			high++
		}
	}
	if high < 50 || long == 0 || dots == 0 || several < 50 {
		t.Errorf("8-bit %d, long lines %d, dots %d, several recipients %d", high, long, dots, several)
	}
	if ledger.Make(7, 1, "s@load.example", people, 1000).SHA256 == ledger.Make(8, 1, "s@load.example", people, 1000).SHA256 {
		t.Error("two seeds, one message")
	}
}

// run sends a load to a scripted backend that writes into the ledger.
func run(t *testing.T, s mailtest.Script, load ledger.Load) (ledger.Result, ledger.Report) {
	t.Helper()
	l := ledger.New()
	s.Done = func(tx mailtest.Transaction) {
		var took []string
		for i, to := range tx.To {
			if i < len(tx.Replies) && strings.HasPrefix(tx.Replies[i], "2") || len(tx.Replies) == 1 && strings.HasPrefix(tx.Replies[0], "2") || len(tx.Replies) == 0 {
				took = append(took, to)
			}
		}
		if len(took) > 0 {
			l.Arrived(took, tx.Body)
		}
	}
	b := mailtest.NewBackend(t, s)
	load.Addr, load.From, load.Recipients, load.Ledger = b.Addr(), "s@load.example", people, l
	load.MaxSize, load.Seed, load.Pause, load.Timeout = 20<<10, 3, time.Millisecond, 20*time.Second
	res, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res, l.Report()
}

func TestLoadOnAHealthyServer(t *testing.T) {
	res, r := run(t, mailtest.Script{}, ledger.Load{Messages: 300, Parallel: 8, PerConn: 7})
	if !r.OK() || r.Messages != 300 || r.Copies < 300 || r.Taken != r.Copies || r.Delivered != r.Copies || len(r.Unfinished) != 0 || res.Tries != 300 || res.P99 == 0 {
		t.Errorf("%s\n%s", r, res)
	}
}

// A server that refuses now and then, breaks off before and after the dot: the load comes
// again, and the book says which copies are explained.
func TestLoadOnABadServer(t *testing.T) {
	var n atomic.Int64
	hook := func(at mailtest.Point, _ int, _ string) (mailtest.Step, bool) {
		switch k := n.Add(1); {
		case at == mailtest.AtEnd && k%11 == 0:
			return mailtest.Step{Do: mailtest.CloseSilent}, true
		case at == mailtest.AtEnd && k%7 == 0:
			return mailtest.Step{Reply: "451 4.3.0 later"}, true
		case at == mailtest.AtData && k%13 == 0:
			return mailtest.Step{Do: mailtest.SendRST}, true
		case at == mailtest.AtRcpt && k%17 == 0:
			return mailtest.Step{Reply: "450 4.2.1 busy"}, true
		case at == mailtest.AtBanner && k%3 == 0:
			return mailtest.Step{Reply: "421 4.3.2 busy", Do: mailtest.CloseAfter}, true
		}
		return mailtest.Step{}, false
	}
	res, r := run(t, mailtest.Script{Hook: hook}, ledger.Load{Messages: 200, Parallel: 6, Tries: 100})
	if !r.OK() || len(r.Unfinished) != 0 || len(r.Duplicates) == 0 || len(r.Ambiguous) != 0 || r.Silent == 0 || r.Deferred == 0 || res.Unanswered != 0 {
		t.Errorf("%s\n%s", r, res)
	}
}

// A load of one's own messages that ends when it is told to, and who is told of its answers.
func TestLoadUntil(t *testing.T) {
	enough := make(chan struct{})
	var told atomic.Int64
	res, r := run(t, mailtest.Script{Steps: map[mailtest.Point]mailtest.Step{mailtest.AtMail: {Delay: 20 * time.Millisecond}}}, ledger.Load{
		Messages: 1 << 30, Parallel: 4, Until: enough,
		Make: func(n int) ledger.Message {
			m := ledger.Make(5, n, "s@load.example", people[:1], 1000)
			return m.With(append(bytes.Clone(m.Body), "one line more\r\n"...))
		},
		Told: func(m ledger.Message, reply string, wait time.Duration) {
			if !bytes.HasSuffix(m.Body, []byte("one line more\r\n")) || !strings.HasPrefix(reply, "250") || wait <= 0 {
				t.Errorf("%s: %q after %v", m.ID, reply, wait)
			}
			if told.Add(1) == 20 {
				close(enough)
			}
		},
	})
	if !r.OK() || len(r.Unfinished) > 0 || r.Delivered != r.Messages || r.Messages < 20 || r.Messages > 30 || int64(r.Messages) != told.Load() {
		t.Errorf("%s\n%s", r, res)
	}
	if res.Slowest < 20*time.Millisecond || res.Max < res.P99 || res.Max == 0 {
		t.Errorf("%s", res)
	}
}

func TestLoadGivesUp(t *testing.T) {
	res, r := run(t, mailtest.Script{Steps: map[mailtest.Point]mailtest.Step{mailtest.AtMail: {Reply: "450 4.0.0 never"}}}, ledger.Load{Messages: 5, Tries: 3})
	if res.Unanswered != 5 || res.Tries != 15 || len(r.Unfinished) != r.Copies {
		t.Errorf("%s\n%s", r, res)
	}
	res, r = run(t, mailtest.Script{Mailboxes: people[:2]}, ledger.Load{Messages: 30, Tries: 3})
	if res.Unanswered != 0 || !r.OK() || r.Refused == 0 || r.Taken == 0 || r.Refused+r.Taken != r.Copies {
		t.Errorf("%s\n%s", r, res)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (ledger.Load{Addr: "127.0.0.1:1", Messages: 5, Recipients: people, Ledger: ledger.New()}).Run(ctx); err == nil {
		t.Error("an ended context is no error")
	}
}

func ExampleReport() {
	l := ledger.New()
	m := ledger.Make(1, 0, "s@load.example", []string{"a@example.com"}, 1000)
	l.Send(m)
	l.Answer(m.ID, m.To, "250 2.0.0 ok")
	l.Arrived(m.To, m.Body)
	fmt.Println(l.Report())
	// Output: messages 1, copies 1: taken 1, deferred 0, refused 0, unanswered 0; delivered 1, kept 0; lost 0, duplicates 0, ambiguous 0, unexplained 0, changed 0, strange 0, unfinished 0
}
