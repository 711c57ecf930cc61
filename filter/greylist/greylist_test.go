package greylist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/filter"
	"postern/filter/greylist"
	"postern/internal/mime"
	"postern/internal/store/local"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is a greylist over a store in a new folder, with clocks that tests set.
type world struct {
	t     testing.TB
	wall  time.Time
	spent time.Duration
	store greylist.Store
	g     *greylist.Greylist
	auth  []filter.Finding // what authentication finds
	n     int
}

func config() greylist.Config {
	return greylist.Config{Wait: 5 * time.Minute, RetryWithin: 48 * time.Hour, Remember: 35 * 24 * time.Hour}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	w := &world{t: t, wall: start, store: h.Greylist()}
	w.restart()
	return w
}

func (w *world) restart() {
	w.g = greylist.NewGreylist(config(), greylist.Parts{
		Store: w.store, Now: func() time.Time { return w.wall }, Elapsed: func() time.Duration { return w.spent },
		Results: func(context.Context, *filter.Message) ([]filter.Finding, error) { return w.auth, nil },
	})
}

// pass lets time pass.
func (w *world) pass(d time.Duration) { w.wall, w.spent = w.wall.Add(d), w.spent+d }

// mail is a message of a client; edit may be nil.
func (w *world) mail(ip, body string, edit func(*filter.Message)) *filter.Message {
	w.n++
	raw := fmt.Sprintf("Received: try %d\r\nSubject: Offer\r\n\r\n%s", w.n, body)
	m := &filter.Message{
		ID: fmt.Sprintf("%026d", w.n), Client: filter.Client{IP: netip.MustParseAddr(ip), Helo: "mx.sender.example"}, From: "a@sender.example",
		To: []filter.Recipient{{Address: "us@here.example"}}, Body: strings.NewReader(raw), Size: int64(len(raw)),
	}
	m.Parts = func() (*mime.Tree, error) { return mime.Walk(m.Body, m.Size, mime.DefaultLimits()) }
	if edit != nil {
		edit(m)
	}
	return m
}

// send checks a message of doubtful score and tells how it ended; it reports whether the
// sender was asked to come again.
func (w *world) send(m *filter.Message) bool {
	w.t.Helper()
	found, err := w.g.Check(w.t.Context(), m)
	if err != nil {
		w.t.Fatal(err)
	}
	deferred := len(found) > 0
	w.done(m, deferred)
	return deferred
}

func (w *world) done(m *filter.Message, deferred bool) {
	w.t.Helper()
	v, f := filter.Verdict{Action: filter.Tag}, filter.Fate{State: filter.Delivered}
	if deferred {
		v, f = filter.Verdict{Action: filter.Defer, Greylisted: true}, filter.Fate{State: filter.Deferred}
	}
	o := filter.Outcome{Report: filter.Report{Findings: w.auth}}
	for _, to := range m.To {
		f.Recipient = to.Address
		o.Verdicts, o.Fates = append(o.Verdicts, v), append(o.Fates, f)
	}
	if err := w.g.Done(w.t.Context(), m, o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) want(what string, deferred bool, m *filter.Message) {
	w.t.Helper()
	if got := w.send(m); got != deferred {
		w.t.Errorf("%s: asked to come again %v, want %v", what, got, deferred)
	}
}

func pass(method, kind, name, value string) filter.Finding {
	return filter.Finding{Symbol: strings.ToUpper(method) + "_PASS", Auth: &filter.AuthResult{Method: method, Result: "pass", Props: []filter.AuthProp{{Type: kind, Name: name, Value: value}}}}
}

func TestARetryPassesAndIsRemembered(t *testing.T) {
	w := newWorld(t)
	w.want("first contact", true, w.mail("192.0.2.1", "buy\r\n", nil))
	w.pass(2 * time.Minute)
	w.want("too early", true, w.mail("192.0.2.1", "buy\r\n", nil))
	all, err := w.g.List(t.Context(), "", 0)
	if err != nil || len(all) != 1 || all[0].Tries != 2 || !all[0].First.Equal(start) || !all[0].NotBefore.Equal(start.Add(5*time.Minute)) || all[0].Keys != nil {
		t.Errorf("waiting: %+v %v", all, err)
	}
	w.pass(3 * time.Minute)
	w.want("the early try did not move the window", false, w.mail("192.0.2.77", "buy\r\n\r\n\r\n", nil))
	if all, err := w.g.List(t.Context(), "", 0); err != nil || len(all) != 0 {
		t.Errorf("still waiting: %v %v", all, err)
	}
	w.want("other mail of the source", false, w.mail("192.0.2.9", "another", nil))
	w.want("another sender from there", true, w.mail("192.0.2.9", "another", func(m *filter.Message) { m.From = "a@other.example" }))
	w.pass(34 * 24 * time.Hour)
	w.want("before it is forgotten", false, w.mail("192.0.2.9", "a third", nil))
	w.pass(34 * 24 * time.Hour)
	w.want("renewed by use", false, w.mail("192.0.2.9", "a fourth", nil))
	w.pass(36 * 24 * time.Hour)
	w.want("forgotten", true, w.mail("192.0.2.9", "a fifth", nil))
}

// asked counts what a store is asked.
type asked struct {
	greylist.Store
	finds int
}

func (a *asked) Find(ctx context.Context, tries, sources []string, now time.Time) (greylist.Found, error) {
	a.finds++
	return a.Store.Find(ctx, tries, sources, now)
}

// TestWhatTheCheckWasTold has messages end: one question is enough where there is nothing to
// write and the question would be the same; the answer serves its message once.
func TestWhatTheCheckWasTold(t *testing.T) {
	w := newWorld(t)
	store := &asked{Store: w.store}
	w.store = store
	w.restart()
	finds := func(what string, want int, f func()) {
		t.Helper()
		store.finds = 0
		if f(); store.finds != want {
			t.Errorf("%s: %d questions, want %d", what, store.finds, want)
		}
	}
	check := func(m *filter.Message) {
		t.Helper()
		if _, err := w.g.Check(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	m := w.mail("192.0.2.1", "x", nil)
	finds("checked and taken", 1, func() { check(m); w.done(m, false) })
	finds("taken without a check", 1, func() { w.done(m, false) })
	refused := filter.Outcome{Verdicts: []filter.Verdict{{Action: filter.Reject}}, Fates: []filter.Fate{{State: filter.Rejected}}}
	finds("refused", 1, func() {
		check(m)
		if err := w.g.Done(t.Context(), m, refused); err != nil {
			t.Fatal(err)
		}
	})
	two := w.mail("192.0.2.2", "y", func(m *filter.Message) { m.To = append(m.To, filter.Recipient{Address: "b@here.example"}) })
	finds("taken for one of two", 2, func() {
		check(two)
		o := filter.Outcome{Report: filter.Report{}, Verdicts: make([]filter.Verdict, 2), Fates: []filter.Fate{{State: filter.Delivered}, {State: filter.Rejected}}}
		if err := w.g.Done(t.Context(), two, o); err != nil {
			t.Fatal(err)
		}
	})
	finds("proven to come from elsewhere in between", 2, func() {
		check(m)
		w.auth = []filter.Finding{pass("spf", "smtp", "mailfrom", "a@sender.example")}
		w.done(m, false)
		w.auth = nil
	})
	w.want("put off", true, w.mail("192.0.2.3", "z", nil))
	w.pass(time.Hour)
	finds("came again", 2, func() { w.want("came again", false, w.mail("192.0.2.3", "z", nil)) })
	finds("its source is known", 1, func() { w.want("known", false, w.mail("192.0.2.3", "zz", nil)) })
	w.pass(20 * 24 * time.Hour)
	finds("and to be renewed", 2, func() { w.want("renewed", false, w.mail("192.0.2.3", "zzz", nil)) })
	finds("renewed", 1, func() { w.want("renewed", false, w.mail("192.0.2.3", "zzzz", nil)) })

	first := w.mail("192.0.2.4", "first", nil)
	check(first)
	for range 5000 {
		check(w.mail("192.0.2.4", "many", nil))
	}
	finds("more mail than is kept track of", 1, func() { w.done(first, false) })
	last := w.mail("192.0.2.4", "last", nil)
	check(last)
	finds("and the newest of it", 0, func() { w.done(last, false) })
}

func TestWhoCountsAsComingAgain(t *testing.T) {
	spf := []filter.Finding{pass("spf", "smtp", "mailfrom", "x@mail.sender.example")}
	dkim := []filter.Finding{pass("dkim", "header", "d", "news.sender.example")}
	named := func(name string) func(*filter.Message) { return func(m *filter.Message) { m.Client.Name = name } }
	generic := func(m *filter.Message) {
		m.Client.Name, m.Seen = "a.isp.example", []filter.Finding{{Symbol: "PTR_GENERIC"}}
	}
	to := func(all ...string) func(*filter.Message) {
		return func(m *filter.Message) {
			m.To = nil
			for _, a := range all {
				m.To = append(m.To, filter.Recipient{Address: a})
			}
		}
	}
	for name, c := range map[string]struct {
		auth1, auth2 []filter.Finding
		ip, body     string
		edit1, edit2 func(*filter.Message)
		after        time.Duration
		again        bool
	}{
		"same":                      {ip: "192.0.2.1", body: "b", again: true},
		"too late":                  {ip: "192.0.2.1", body: "b", after: 48 * time.Hour},
		"same /24":                  {ip: "192.0.2.200", body: "b", again: true},
		"another /24":               {ip: "192.0.3.1", body: "b"},
		"SPF pool":                  {auth1: spf, auth2: spf, ip: "203.0.113.9", body: "b", again: true},
		"DKIM pool over IPv6":       {auth1: dkim, auth2: dkim, ip: "2001:db8::1", body: "b", again: true},
		"SPF and DKIM of one":       {auth1: spf, auth2: dkim, ip: "203.0.113.9", body: "b", again: true},
		"proof lost, same network":  {auth1: spf, ip: "192.0.2.9", body: "b", again: true},
		"proof lost, other network": {auth1: spf, ip: "203.0.113.9", body: "b"},
		"hosts of one domain":       {ip: "203.0.113.9", body: "b", edit1: named("a.pool.example"), edit2: named("b.x.pool.example"), again: true},
		"hosts of two":              {ip: "203.0.113.9", body: "b", edit1: named("a.pool.example"), edit2: named("a.other.example")},
		"dial-up hosts":             {ip: "203.0.113.9", body: "b", edit1: generic, edit2: generic},
		"body written anew":         {ip: "192.0.2.1", body: "written anew", again: true},
		"verp":                      {ip: "192.0.2.1", body: "b", edit2: func(m *filter.Message) { m.From = "bounce-77@sender.example" }, again: true},
		"another sender domain":     {ip: "192.0.2.1", body: "b", edit2: func(m *filter.Message) { m.From = "a@else.example" }},
		"same text to another":      {ip: "192.0.2.1", body: "b", edit2: to("you@here.example")},
		"null sender":               {ip: "192.0.2.1", body: "b", edit1: func(m *filter.Message) { m.From = "" }, edit2: func(m *filter.Message) { m.From, m.Client.Helo = "", "mx2.sender.example" }, again: true},
		"one of several":            {ip: "192.0.2.1", body: "b", edit1: to("x@here.example", "us@here.example"), again: true},
		"new subject and body":      {ip: "192.0.2.1", body: "other", edit2: func(m *filter.Message) { m.Parts = nil }},
		"new subject, same body":    {ip: "192.0.2.1", body: "b", edit2: func(m *filter.Message) { m.Parts = nil }, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.auth = c.auth1
			w.want("first contact", true, w.mail("192.0.2.1", "b", c.edit1))
			w.pass(max(c.after, 6*time.Minute))
			w.auth = c.auth2
			w.want(name, !c.again, w.mail(c.ip, c.body, c.edit2))
		})
	}
}

// Two mails without a body have nothing in common.
func TestEmptyBodiesAreNoMark(t *testing.T) {
	w := newWorld(t)
	w.want("first", true, w.mail("192.0.2.1", "\r\n\r\n", nil))
	w.pass(time.Hour)
	w.want("another", true, w.mail("192.0.2.1", "", func(m *filter.Message) { m.Parts = nil }))
}

// A login code comes at once, and nothing is read for it.
func TestProvenMailIsNeverNew(t *testing.T) {
	w := newWorld(t)
	w.auth = []filter.Finding{pass("dmarc", "header", "from", "sender.example")}
	m := w.mail("192.0.2.1", "code 123", nil)
	m.Body = nil
	w.want("DMARC pass", false, m)
	out := w.mail("192.0.2.1", "b", func(m *filter.Message) { m.Direction = filter.Outbound })
	w.auth = nil
	w.want("outbound", false, out)
}

// Only a deferral that greylisting caused is written down.
func TestWhatIsWritten(t *testing.T) {
	grey := filter.Verdict{Action: filter.Defer, Greylisted: true}
	clamd := filter.Verdict{Action: filter.Defer, Failures: []filter.Failure{{Step: "clamav", OnError: filter.Defer}}}
	busy := filter.Verdict{Action: filter.Defer}
	tag := filter.Verdict{Action: filter.Tag}
	reject := filter.Verdict{Action: filter.Reject}
	for name, c := range map[string]struct {
		v    []filter.Verdict
		f    []filter.FateState
		want int
	}{
		"greylisting":                   {[]filter.Verdict{grey}, []filter.FateState{filter.Deferred}, 1},
		"one of two":                    {[]filter.Verdict{grey, tag}, []filter.FateState{filter.Deferred, filter.Deferred}, 1},
		"beside a refused recipient":    {[]filter.Verdict{grey, reject}, []filter.FateState{filter.Deferred, filter.Rejected}, 1},
		"beside a recipient to come":    {[]filter.Verdict{grey, busy}, []filter.FateState{filter.Deferred, filter.Deferred}, 1},
		"clamd":                         {[]filter.Verdict{clamd}, []filter.FateState{filter.Deferred}, 0},
		"clamd for one, grey for other": {[]filter.Verdict{grey, clamd}, []filter.FateState{filter.Deferred, filter.Deferred}, 0},
		"the server behind":             {[]filter.Verdict{tag}, []filter.FateState{filter.Deferred}, 0},
		"delivered":                     {[]filter.Verdict{tag}, []filter.FateState{filter.Delivered}, 0},
		"refused":                       {[]filter.Verdict{reject}, []filter.FateState{filter.Rejected}, 0},
		"nothing":                       {nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := w.mail("192.0.2.1", "b", func(m *filter.Message) {
				m.To = append(m.To, filter.Recipient{Address: "b@here.example"})[:max(len(c.v), 1)]
			})
			o := filter.Outcome{Verdicts: c.v, Report: filter.Report{Findings: []filter.Finding{{Symbol: greylist.New}}}}
			for _, s := range c.f {
				o.Fates = append(o.Fates, filter.Fate{State: s})
			}
			if err := w.g.Done(t.Context(), m, o); err != nil {
				t.Fatal(err)
			}
			if all, err := w.g.List(t.Context(), "", 0); err != nil || len(all) != c.want {
				t.Errorf("%d wait, want %d: %v", len(all), c.want, err)
			}
		})
	}
}

func TestRefusedForGoodNoLongerWaits(t *testing.T) {
	w := newWorld(t)
	w.want("first", true, w.mail("192.0.2.1", "b", nil))
	o := filter.Outcome{Verdicts: []filter.Verdict{{Action: filter.Reject}}, Fates: []filter.Fate{{State: filter.Rejected}}}
	w.pass(time.Hour)
	if err := w.g.Done(t.Context(), w.mail("192.0.2.1", "b", nil), o); err != nil {
		t.Fatal(err)
	}
	if all, err := w.g.List(t.Context(), "", 0); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	w.want("and is not known", true, w.mail("192.0.2.1", "b", nil))
}

func TestAllow(t *testing.T) {
	w := newWorld(t)
	first := w.mail("192.0.2.1", "b", nil)
	w.want("first", true, first)
	k, err := w.g.Allow(t.Context(), first.ID, "me")
	if err != nil || k.By != "me" || !strings.Contains(k.Source, "192.0.2.0/24") || !k.Until.Equal(start.Add(config().Remember)) {
		t.Error(k, err)
	}
	w.want("let in at once", false, w.mail("192.0.2.1", "b", nil))
	w.want("that sender alone", true, w.mail("192.0.2.1", "b", func(m *filter.Message) { m.From = "a@x.example" }))
	if _, err := w.g.Allow(t.Context(), first.ID, "me"); !errors.Is(err, greylist.ErrNotFound) {
		t.Error("no such message:", err)
	}
	for of, m := range map[string]*filter.Message{
		"203.0.113.7":     w.mail("203.0.113.200", "b", nil),
		"198.51.100.0/24": w.mail("198.51.100.1", "b", nil),
		"2001:db8::/64":   w.mail("2001:db8::7", "b", nil),
		"pool.example":    w.mail("192.0.9.1", "b", func(m *filter.Message) { m.Client.Name = "a.pool.example" }),
	} {
		w.want(of+" before", true, m)
		if _, err := w.g.Allow(t.Context(), of, "me"); err != nil {
			t.Error(of, err)
		}
		w.want(of, false, m)
	}
	var no *greylist.SourceError
	for _, of := range []string{"", "nonsense", "192.0.2.0/16", "-x.example", "a b.example"} {
		if _, err := w.g.Allow(t.Context(), of, "me"); !errors.As(err, &no) {
			t.Errorf("%q: %v", of, err)
		}
	}
}

// failing is a store that gives no answer.
type failing struct{ greylist.Store }

func (failing) Find(context.Context, []string, []string, time.Time) (greylist.Found, error) {
	return greylist.Found{}, errors.New("disk on fire")
}

func TestAStoreThatFailsDefersNobody(t *testing.T) {
	w := newWorld(t)
	w.store = failing{w.store}
	w.restart()
	found, err := w.g.Check(t.Context(), w.mail("192.0.2.1", "b", nil))
	var plain filter.PlainError
	if len(found) != 0 || !errors.As(err, &plain) || strings.Contains(plain.Plain(), "fire") {
		t.Error(found, err)
	}
}

// F37: the clock jumps by an hour, ten years, past 2038, in both directions, while the
// gateway runs. Nobody who has yet to wait gets in, and nobody who is known is asked.
func TestF37ClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour, time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC).Sub(start), time.Second, -time.Second} {
		t.Run(jump.String(), func(t *testing.T) {
			w := newWorld(t)
			from := func(i int) func(*filter.Message) {
				return func(m *filter.Message) { m.From = fmt.Sprintf("a@known%d.example", i) }
			}
			for i := range 20 {
				w.want("first", true, w.mail("192.0.2.1", "b", from(i)))
			}
			w.pass(6 * time.Minute)
			for i := range 20 {
				w.want("again", false, w.mail("192.0.2.1", "b", from(i)))
			}
			w.want("a stranger", true, w.mail("198.51.100.1", "b", nil))
			w.pass(time.Minute)
			w.wall = w.wall.Add(jump)
			w.want("the stranger too early", true, w.mail("198.51.100.1", "b", nil))
			for i := range 20 {
				w.want("known", false, w.mail("192.0.2.1", "new", from(i)))
			}
			w.pass(5 * time.Minute)
			w.want("the stranger in time", false, w.mail("198.51.100.1", "b", nil))
		})
	}
}

// F37: begun with a wrong clock and with the right one again, the gateway still knows whom
// it knew, and a clock that was ahead keeps nobody out longer than another wait.
func TestF37WrongClockAtStart(t *testing.T) {
	w := newWorld(t)
	w.want("first", true, w.mail("192.0.2.1", "b", nil))
	w.pass(6 * time.Minute)
	w.want("again", false, w.mail("192.0.2.1", "b", nil))
	right := w.wall
	w.wall = right.Add(10 * 365 * 24 * time.Hour)
	w.restart()
	for i := range 50 { // days of wrong time remove little
		w.pass(2 * time.Hour)
		w.want("a stranger", true, w.mail(fmt.Sprintf("10.0.%d.1", i), "b", nil))
	}
	w.wall = right.Add(100 * time.Hour)
	w.restart()
	w.want("a stranger in the right time", true, w.mail("10.0.49.1", "b", nil))
	w.pass(6 * time.Minute)
	w.want("who waited once more", false, w.mail("10.0.49.1", "b", nil))
}

// However tries are timed, a message passes no earlier than the wait after its first try, and
// at its first try in time.
func TestNeverEarlyNeverLate(t *testing.T) {
	w := newWorld(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		ip := fmt.Sprintf("10.%d.%d.1", n/250%250, n%250)
		first := w.wall
		asked := false
		for range rapid.IntRange(1, 8).Draw(t, "tries") {
			deferred := w.send(w.mail(ip, fmt.Sprint("text ", n), nil))
			if waited := w.wall.Sub(first) >= 5*time.Minute && asked; deferred == waited {
				t.Fatalf("after %s deferred %v", w.wall.Sub(first), deferred)
			}
			if !deferred {
				return
			}
			asked = true
			w.pass(time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds")) * time.Second)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for name, auth := range map[string][]filter.Finding{"proven": {{Symbol: "DMARC_PASS"}}, "stranger": nil} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			w.auth = auth
			m := w.mail("192.0.2.1", strings.Repeat("A line of text as people write it.\r\n", 600), nil)
			tree, err := m.Parts()
			m.Parts = func() (*mime.Tree, error) { return tree, err }
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.g.Check(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
