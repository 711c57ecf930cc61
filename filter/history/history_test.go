package history_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/filter"
	"postern/filter/history"
	"postern/internal/mime"
)

// honest is mail of a.example by its provider, with an aligned pass.
func honest() mail {
	return mail{ip: "192.0.2.1", name: "out1.provider.example", from: "bounce@mail.provider.example", spf: "pass",
		author: "Ann <ann@a.example>", dkim: []string{"a.example"}, dmarc: "pass", to: []string{"bob@ours.example"}}
}

// broken is the same mail with its signature lost on the way.
func (l mail) broken() mail {
	l.dkim, l.dmarc = nil, "fail"
	return l
}

func TestSourceKnown(t *testing.T) {
	for name, c := range map[string]struct {
		past func(*world)
		now  mail
		want bool
	}{
		"three on two days":     {func(w *world) { w.often(honest(), 2, 2) }, honest().broken(), true},
		"and it passes":         {func(w *world) { w.often(honest(), 2, 2) }, honest(), true},
		"nothing":               {func(*world) {}, honest().broken(), false},
		"two on two days":       {func(w *world) { w.often(honest(), 1, 2) }, honest().broken(), false},
		"many on one day":       {func(w *world) { w.often(honest(), 20, 1) }, honest().broken(), false},
		"just kept":             {func(w *world) { w.often(honest(), 2, 2); w.now = w.now.Add(history.Keep - day) }, honest().broken(), true},
		"too old":               {func(w *world) { w.often(honest(), 2, 2); w.now = w.now.Add(history.Keep + day) }, honest().broken(), false},
		"never an aligned pass": {func(w *world) { w.often(honest().broken(), 5, 5) }, honest().broken(), false},
		"no DMARC record": {func(w *world) {
			l := honest()
			l.dmarc = "none"
			w.often(l, 5, 5)
		}, honest().broken(), false},
		"as often refused": {func(w *world) {
			w.often(honest(), 2, 2)
			for range 4 {
				w.refused(honest().broken())
			}
		}, honest().broken(), true},
		"more often refused": {func(w *world) {
			w.often(honest(), 2, 2)
			for range 5 {
				w.refused(honest().broken())
			}
		}, honest().broken(), false},
		"held as spam": {func(w *world) {
			w.often(honest(), 2, 2)
			for range 5 {
				w.ends(honest(), filter.Quarantine, filter.Held)
			}
		}, honest().broken(), false},
		"held for DMARC": {func(w *world) {
			w.often(honest(), 2, 2)
			for range 50 {
				w.ends(honest().broken(), filter.Quarantine, filter.Held)
			}
		}, honest().broken(), true},
		"put off by us": {func(w *world) {
			for range 3 {
				w.now = w.now.Add(day)
				w.ends(honest(), filter.Defer, filter.Deferred)
			}
		}, honest().broken(), false},
		"refused by the backend": {func(w *world) {
			for range 3 {
				w.now = w.now.Add(day)
				w.ends(honest(), filter.Accept, filter.Rejected)
			}
		}, honest().broken(), false},
		"two authors": {func(w *world) { w.often(honest(), 2, 2) }, func() mail {
			l := honest().broken()
			l.author = "ann@a.example, eve@evil.example"
			return l
		}(), false},
		"two From fields": {func(w *world) { w.often(honest(), 2, 2) }, func() mail {
			l := honest().broken()
			l.header = "From: eve@evil.example\n"
			return l
		}(), false},
		"another case and form of the domain": {func(w *world) { w.often(honest(), 2, 2) }, func() mail {
			l := honest().broken()
			l.author = "Ann <ANN@A.Example>"
			return l
		}(), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.past(w)
			if got := w.has(c.now, history.SourceKnown); got != c.want {
				t.Errorf("known: %v, want %v", got, c.want)
			}
		})
	}
}

// What a source is: the domain SPF proves, else the reverse name's organization, else the
// network; never one in place of another.
func TestSources(t *testing.T) {
	base := honest()
	vary := func(f func(*mail)) mail { l := base; f(&l); return l }
	noSPF := func(l *mail) { l.spf = "none" }
	null := func(l *mail) { l.from, l.helo = "", "mx.provider.example" }
	net := func(ip string) mail { return vary(func(l *mail) { noSPF(l); l.name, l.ip = "", ip }) }
	all := map[string][]mail{
		"mail from": {base, vary(func(l *mail) { l.ip, l.name = "203.0.113.9", "" })},
		"helo":      {vary(null), vary(func(l *mail) { null(l); l.ip = "203.0.113.9" })},
		"name":      {vary(noSPF), vary(func(l *mail) { noSPF(l); l.name, l.ip = "out2.provider.example", "203.0.113.9" })},
		"net":       {net("192.0.2.1"), net("192.0.2.200"), net("::ffff:192.0.2.7")},
		"net 6":     {net("2001:db8:1:2::1"), net("2001:db8:1:2:ffff::1")},
		"other":     {net("2001:db8:1:3::1")},
		"other 4":   {net("192.0.3.1")},
	}
	for from, past := range all {
		w := newWorld(t)
		w.often(past[0], 2, 2)
		for to, now := range all {
			for i, l := range now {
				if got := w.has(l.broken(), history.SourceKnown); got != (from == to) {
					t.Errorf("past by %s, now by %s (%d): known %v", from, to, i, got)
				}
			}
		}
	}
	w := newWorld(t)
	nowhere := vary(func(l *mail) { noSPF(l); l.ip, l.name = "", "" })
	w.often(nowhere, 2, 2)
	if len(w.store.marks) != 0 || w.has(nowhere, history.SourceKnown) {
		t.Error("a client without an address is a source")
	}
}

// A range of a trusted provider sends as any domain: what it delivered for one domain says
// nothing about another.
func TestH_H14_TrustIsPerSourceAndDomain(t *testing.T) {
	w := newWorld(t)
	w.often(honest(), 50, 5)
	spoofed := honest().broken()
	if !w.has(spoofed, history.SourceKnown) {
		t.Fatal("the source is not known for the domain it passed for")
	}
	for _, author := range []string{"ceo@b.example", "ann@sub.a.example", "ann@example", "ann@a.example.evil.example", "a.example@evil.example"} {
		spoofed.author = author
		if got := w.check(spoofed); len(got) != 0 {
			t.Errorf("%s: %v", author, got)
		}
	}
	elsewhere := honest().broken()
	elsewhere.from = "x@evil.example"
	if w.has(elsewhere, history.SourceKnown) {
		t.Error("another source inherits the trust in the domain")
	}
}

// One store call answers everything about a message, and keys hold no address.
func TestOneLookup(t *testing.T) {
	w := newWorld(t)
	l := listMail()
	l.dmarc, l.dkim = "pass", []string{"a.example"}
	l.to = nil
	for range 30 {
		l.to = append(l.to, "u@ours.example")
	}
	w.check(l)
	if w.store.asked != 1 {
		t.Errorf("asked %d times", w.store.asked)
	}
	w.delivered(l)
	for _, m := range w.store.marks {
		if strings.Contains(string(m.Key[:]), "example") {
			t.Errorf("%q is in clear", m.Key)
		}
	}
	if len(w.store.marks) != 3 {
		t.Errorf("%d marks, want one of the source, one of its proof and one of the list", len(w.store.marks))
	}
}

// Keys of different fields differ, whatever stands in the fields: seen through sources whose
// name runs into the author's domain.
func TestKeysAreDistinct(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`[ab]{1,3}\.[ab]{1,3}`)
		one, two := honest(), honest()
		one.from, two.from = "x@"+name.Draw(rt, "source 1"), "x@"+name.Draw(rt, "source 2")
		one.author, two.author = "x@"+name.Draw(rt, "author 1"), "x@"+name.Draw(rt, "author 2")
		w := newWorld(t)
		w.delivered(one)
		w.delivered(two)
		same := one.from == two.from && one.author == two.author
		if got := w.store.marks[0].Key == w.store.marks[1].Key; got != same {
			rt.Fatalf("%s %s and %s %s: the same key %v", one.from, one.author, two.from, two.author, got)
		}
	})
}

// Whatever the past of one pair of source and domain, trust follows the rule and no other
// pair gains any.
func TestTrustFollowsTheRule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		start := w.now
		type event struct {
			domain int
			ago    int
			bad    bool
		}
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event {
			return event{rapid.IntRange(0, 1).Draw(t, "domain"), rapid.IntRange(0, 120).Draw(t, "days ago"), rapid.Bool().Draw(t, "refused")}
		}), 0, 15).Draw(rt, "events")
		of := func(domain int) mail {
			l := honest()
			l.author = []string{"x@a.example", "x@b.example"}[domain]
			return l
		}
		for _, e := range events {
			w.now = start.Add(-time.Duration(e.ago) * day)
			if e.bad {
				w.refused(of(e.domain).broken())
			} else {
				w.delivered(of(e.domain))
			}
		}
		w.now = start
		for domain := range 2 {
			good, bad, days := 0, 0, map[int]bool{}
			for _, e := range events {
				switch {
				case e.domain != domain || e.ago > 90:
				case e.bad:
					bad++
				default:
					good++
					days[e.ago] = true
				}
			}
			want := good >= 3 && len(days) >= 2 && bad <= good
			if got := w.has(of(domain).broken(), history.SourceKnown); got != want {
				rt.Fatalf("domain %d: known %v with %d good on %d days, %d bad", domain, got, good, len(days), bad)
			}
		}
	})
}

// A store that fails is a check that could not tell; what needs no store stands.
func TestStoreFails(t *testing.T) {
	w := newWorld(t, history.Forwarder{Name: "uni", Hosts: []string{"*.provider.example"}})
	w.often(honest(), 2, 2)
	w.store.fails = true
	found, err := w.run(honest())
	var plain filter.PlainError
	if !errors.As(err, &plain) || plain.Plain() != "the history could not be read" || !errors.Is(err, errStore) {
		t.Errorf("error %v", err)
	}
	if got := symbols(found); !slices.Equal(got, []string{history.ForwarderKnown}) {
		t.Errorf("found %v", got)
	}
	err = w.h.Done(t.Context(), honest().message(), filter.Outcome{
		Report:   filter.Report{Findings: append(honest().seen(), honest().found()...)},
		Verdicts: []filter.Verdict{{}}, Fates: []filter.Fate{{State: filter.Delivered}}})
	if !errors.Is(err, errStore) {
		t.Errorf("the observer says %v", err)
	}
}

// What authentication could not tell is passed on beside what is known all the same.
func TestAuthenticationFails(t *testing.T) {
	w := newWorld(t)
	w.often(honest(), 2, 2)
	w.err = &filter.CouldNot{Words: "the DMARC record could not be looked up"}
	l := honest()
	l.dkim, l.dmarc = nil, "temperror"
	found, err := w.run(l)
	if !errors.Is(err, w.err) || !slices.Equal(symbols(found), []string{history.SourceKnown}) {
		t.Errorf("%v, %v", symbols(found), err)
	}
}

// A check before the body, of our own mail, or of what has no parts finds nothing and
// breaks nothing; nor does it write anything, ever.
func TestChecksOfNothing(t *testing.T) {
	w := newWorld(t)
	out := honest()
	out.out = true
	if got := w.check(out); got != nil {
		t.Errorf("outbound: %v", got)
	}
	broken := errors.New("no body")
	for name, m := range map[string]*filter.Message{
		"empty":    {},
		"no parts": {Body: strings.NewReader(""), Parts: func() (*mime.Tree, error) { return nil, broken }},
	} {
		if got, err := w.h.Check(t.Context(), m); got != nil || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		m.Direction = filter.Outbound
		for range 2 {
			if err := w.h.Done(t.Context(), m, filter.Outcome{Verdicts: []filter.Verdict{{}}, Fates: []filter.Fate{{State: filter.Delivered, Recipient: "x@y.example"}}}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			m.Direction = filter.Inbound
		}
	}
	for range 10 {
		w.check(honest())
	}
	if len(w.store.marks) != 0 {
		t.Errorf("%d marks were written", len(w.store.marks))
	}
	alone := history.New(history.Parts{Store: w.store, Now: func() time.Time { return w.now }})
	w.often(honest(), 2, 2)
	m := honest().message()
	m.Seen = append(honest().seen(), honest().found()...)
	if got, err := alone.Check(t.Context(), m); err != nil || len(got) != 1 {
		t.Errorf("with m.Seen alone: %v, %v", got, err)
	}
}

// Checks, observers and reloads run side by side.
func TestSideBySide(t *testing.T) {
	store := &memory{}
	h := history.New(history.Parts{Store: store, Now: time.Now})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				l := replayed(50*n + i)
				m := l.message()
				m.Seen = append(l.seen(), l.found()...)
				found, err := h.Check(t.Context(), m)
				o := filter.Outcome{Report: filter.Report{Findings: append(m.Seen, found...)}, Verdicts: []filter.Verdict{{}}, Fates: []filter.Fate{{State: filter.Delivered}}}
				if err := errors.Join(err, h.Done(t.Context(), m, o)); err != nil {
					t.Error(err)
				}
				h.Reload([]history.Forwarder{{Name: "uni", Hosts: []string{"*.uni.example"}}})
			}
		})
	}
	wg.Wait()
	m := replayed(1000).message()
	m.Seen = append(replayed(1000).seen(), replayed(1000).found()...)
	found, err := h.Check(t.Context(), m)
	if err != nil || !slices.Contains(symbols(found), history.SignatureReplayed) {
		t.Errorf("after 400 envelopes: %v, %v", symbols(found), err)
	}
}

// Mixed verdicts: one recipient who got the mail speaks for it; mail that only a check that
// failed held back speaks neither for nor against.
func TestMixedVerdicts(t *testing.T) {
	failed := []filter.Failure{{Step: "clamav", OnError: filter.Quarantine}}
	type end struct {
		v filter.Verdict
		s filter.FateState
	}
	for name, c := range map[string]struct {
		ends []end
		good bool
		bad  bool
	}{
		"one got it":         {[]end{{filter.Verdict{Action: filter.Reject}, filter.Rejected}, {filter.Verdict{Action: filter.Tag}, filter.Delivered}}, true, false},
		"one would have":     {[]end{{filter.Verdict{Action: filter.Reject}, filter.Rejected}, {filter.Verdict{}, filter.Deferred}}, false, false},
		"held unchecked":     {[]end{{filter.Verdict{Action: filter.Quarantine, Failures: failed}, filter.Held}}, false, false},
		"refused, unchecked": {[]end{{filter.Verdict{Action: filter.Reject, Failures: failed}, filter.Rejected}}, false, true},
		"put off":            {[]end{{filter.Verdict{Action: filter.Defer}, filter.Deferred}}, false, false},
		"held":               {[]end{{filter.Verdict{Action: filter.Quarantine}, filter.Held}}, false, true},
		"no fates":           {[]end{}, false, false},
	} {
		w := newWorld(t)
		o := filter.Outcome{Report: filter.Report{Findings: append(honest().seen(), honest().found()...)}}
		for _, e := range c.ends {
			o.Verdicts = append(o.Verdicts, e.v)
			o.Fates = append(o.Fates, filter.Fate{State: e.s})
		}
		w.done(honest(), o)
		good, bad := false, false
		for _, m := range w.store.marks {
			good, bad = good || !m.Bad, bad || m.Bad
		}
		if good != c.good || bad != c.bad {
			t.Errorf("%s: good %v, bad %v", name, good, bad)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	l := listMail()
	l.dkim, l.dmarc = []string{"a.example", "lists.example"}, "pass"
	w := newWorld(b)
	w.often(l, 2, 2)
	m := l.message()
	m.Seen = append(l.seen(), l.found()...)
	w.auth = nil
	store := instant{}
	h := history.New(history.Parts{Store: store, Now: time.Now})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Check(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}

// instant is a store that costs nothing.
type instant struct{}

func (instant) Past(_ context.Context, q []history.Question, _ time.Time) ([]history.Past, error) {
	return make([]history.Past, len(q)), nil
}
func (instant) Mark(context.Context, []history.Mark) error    { return nil }
func (instant) Prune(context.Context, time.Time) (int, error) { return 0, nil }
