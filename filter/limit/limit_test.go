package limit_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/filter"
	"postern/filter/limit"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func start() *clock { return &clock{time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)} }

var serial int

func message(edit func(*filter.Message)) *filter.Message {
	serial++
	m := &filter.Message{ID: fmt.Sprint("m", serial), From: "a@sender.example", Client: filter.Client{IP: netip.MustParseAddr("192.0.2.7")}}
	if edit != nil {
		edit(m)
	}
	return m
}

// send checks a message and settles it with the given fate.
func send(t testing.TB, l *limit.Limiter, m *filter.Message, fate filter.FateState) string {
	t.Helper()
	f, err := l.Sender().Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Done(t.Context(), m, filter.Outcome{Fates: []filter.Fate{{State: fate}}}); err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, x := range f {
		s = append(s, x.Symbol)
	}
	return strings.Join(s, " ")
}

func TestEachSubjectHasItsRate(t *testing.T) {
	out := func(m *filter.Message) { m.Direction, m.Account = filter.Outbound, "ada@example.com" }
	for name, c := range map[string]struct {
		cfg  limit.Config
		edit func(*filter.Message)
		want string
	}{
		"ip":   {limit.Config{IP: limit.Rate{Minute: 3}}, nil, limit.RateIP},
		"net":  {limit.Config{Net: limit.Rate{Minute: 3}}, func(m *filter.Message) { m.Client.IP = netip.AddrFrom4([4]byte{192, 0, 2, byte(serial)}) }, limit.RateNet},
		"net6": {limit.Config{Net: limit.Rate{Hour: 3}}, func(m *filter.Message) { m.Client.IP = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", serial&0xffff)) }, limit.RateNet},
		"ip6":  {limit.Config{IP: limit.Rate{Minute: 3}}, func(m *filter.Message) { m.Client.IP = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", serial&0xffff)) }, limit.RateIP},
		"site6": {limit.Config{Net: limit.Rate{Minute: 3}}, func(m *filter.Message) {
			m.Client.IP = netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", serial&0xffff))
		}, limit.RateNet},
		"mapped": {limit.Config{IP: limit.Rate{Minute: 3}}, func(m *filter.Message) { m.Client.IP = netip.MustParseAddr("::ffff:192.0.2.7") }, limit.RateIP},
		"idn": {limit.Config{Domain: limit.Rate{Day: 3}}, func(m *filter.Message) {
			m.From = [...]string{"a@bücher.example", "a@XN--bcher-kva.example"}[serial%2]
		}, limit.RateDomain},
		"case": {limit.Config{Account: limit.Rate{Day: 3}}, func(m *filter.Message) {
			out(m)
			m.Account = [...]string{"Ada@Example.com", "ada@example.com"}[serial%2]
		}, limit.RateAccount},
		"domain":  {limit.Config{Domain: limit.Rate{Day: 3}}, func(m *filter.Message) { m.From = fmt.Sprintf("u%d@Sender.example", serial) }, limit.RateDomain},
		"account": {limit.Config{Account: limit.Rate{Hour: 3}, IP: limit.Rate{Minute: 1}}, out, limit.RateAccount},
	} {
		t.Run(name, func(t *testing.T) {
			l := limit.New(c.cfg, start().now)
			for i := range 5 {
				want := ""
				if i >= 3 {
					want = c.want
				}
				if got := send(t, l, message(c.edit), filter.Delivered); got != want {
					t.Errorf("message %d: %q, want %q", i+1, got, want)
				}
			}
		})
	}
}

func TestRecipientRateNamesTheRecipient(t *testing.T) {
	l := limit.New(limit.Config{Recipient: limit.Rate{Minute: 1}}, start().now)
	for i, to := range []string{"a@x.example", "b@x.example", "a@x.example"} {
		m := message(func(m *filter.Message) {
			m.To = []filter.Recipient{{Address: fmt.Sprintf("first%d@x.example", i)}, {Address: to}}
		})
		f, err := l.Recipient().Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if i < 2 && len(f) != 0 || i == 2 && (len(f) != 1 || f[0].For != to || !strings.Contains(f[0].Detail, to)) {
			t.Errorf("%s: %+v", to, f)
		}
	}
	if f, _ := l.Recipient().Check(t.Context(), message(nil)); f != nil {
		t.Error("no recipient, no finding")
	}
}

func TestOnlyMailThatWasTakenCounts(t *testing.T) {
	l := limit.New(limit.Config{IP: limit.Rate{Minute: 2}}, start().now)
	for range 10 {
		if got := send(t, l, message(nil), filter.Rejected); got != "" {
			t.Fatalf("refused mail used up the rate: %s", got)
		}
	}
	for i, fate := range []filter.FateState{filter.Held, filter.InOutbox, filter.Deferred} {
		if got := send(t, l, message(nil), fate); (got != "") != (i == 2) {
			t.Errorf("message %d: %q", i+1, got)
		}
	}
}

func TestOpenTransactionsCount(t *testing.T) {
	l := limit.New(limit.Config{IP: limit.Rate{Minute: 2}}, start().now)
	for i := range 3 {
		f, err := l.Sender().Check(t.Context(), message(nil))
		if err != nil || (len(f) > 0) != (i == 2) {
			t.Errorf("transaction %d: %v %v", i+1, f, err)
		}
	}
}

// A client that begins transactions and never ends them does not stay counted.
func TestBrokenOffTransactionsAreForgotten(t *testing.T) {
	c := start()
	l := limit.New(limit.Config{IP: limit.Rate{Minute: 2}}, c.now)
	for range 1000 {
		if _, err := l.Sender().Check(t.Context(), message(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if got := send(t, l, message(nil), filter.Deferred); got != limit.RateIP {
		t.Errorf("open transactions do not count: %q", got)
	}
	c.t = c.t.Add(16 * time.Minute)
	if got := send(t, l, message(nil), filter.Delivered); got != "" {
		t.Errorf("counted for ever: %q", got)
	}
}

func TestBadRecipients(t *testing.T) {
	l := limit.New(limit.Config{BadRecipient: limit.Rate{Hour: 3}}, start().now)
	probe := func(reply string) string {
		m := message(nil)
		f, err := l.Sender().Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Done(t.Context(), m, filter.Outcome{Fates: []filter.Fate{{State: filter.Rejected, Reply: reply}}}); err != nil {
			t.Fatal(err)
		}
		if len(f) == 0 {
			return ""
		}
		return f[0].Symbol + ": " + f[0].Detail
	}
	for i, c := range []struct{ reply, want string }{
		{"550 5.7.1 blocked (ref x)", ""}, {"550 5.1.1 no such user", ""}, {"550 5.1.1 no such user", ""},
		{"550 5.1.1 no such user", ""}, {"550 5.1.1 no such user", ""},
		{"550 5.1.1 no such user", "RATE_BAD_RCPT: address 192.0.2.7: 4 refused recipients in an hour"},
	} {
		if got := probe(c.reply); got != c.want {
			t.Errorf("%d: %q, want %q", i, got, c.want)
		}
	}
	other := message(func(m *filter.Message) { m.Client.IP = netip.MustParseAddr("192.0.2.8") })
	if got := send(t, l, other, filter.Delivered); got != "" {
		t.Errorf("another address pays: %s", got)
	}
}

// Behind a trusted relay all recipients are checked at once.
func TestRecipientsThatComeTogether(t *testing.T) {
	l := limit.New(limit.Config{Recipient: limit.Rate{Minute: 1}}, start().now)
	m := message(func(m *filter.Message) {
		m.To = []filter.Recipient{{Address: "a@us.example"}, {Address: "b@us.example"}}
	})
	for range 2 { // a second look reserves nothing more
		if f, err := l.Recipient().Check(t.Context(), m); err != nil || len(f) != 0 {
			t.Fatal(f, err)
		}
	}
	next := message(func(m *filter.Message) {
		m.To = []filter.Recipient{{Address: "b@us.example"}, {Address: "c@us.example"}}
	})
	f, err := l.Recipient().Check(t.Context(), next)
	if err != nil || len(f) != 1 || f[0].For != "b@us.example" {
		t.Error(f, err)
	}
}

func TestWindowsSlide(t *testing.T) {
	c := start()
	l := limit.New(limit.Config{IP: limit.Rate{Minute: 10}}, c.now)
	for range 10 {
		send(t, l, message(nil), filter.Delivered)
	}
	c.t = c.t.Add(61 * time.Second)
	if got := send(t, l, message(nil), filter.Rejected); got != "" {
		// 10 of the last minute count for 59/60 and truncate to 9.
		t.Errorf("one more fits: %s", got)
	}
	for range 2 {
		send(t, l, message(nil), filter.Delivered)
	}
	if got := send(t, l, message(nil), filter.Delivered); got != limit.RateIP {
		t.Errorf("the last minute still counts: %q", got)
	}
	c.t = c.t.Add(2 * time.Minute)
	if got := send(t, l, message(nil), filter.Delivered); got != "" {
		t.Errorf("after two minutes: %q", got)
	}
	c.t = c.t.Add(-time.Hour)
	if got := send(t, l, message(nil), filter.Delivered); got != "" {
		t.Errorf("after the clock was set back: %q", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := start()
	l := limit.New(limit.Config{Domain: limit.Rate{Minute: 5}, MaxKeys: 1000}, c.now)
	for i := range 20_000 {
		send(t, l, message(func(m *filter.Message) { m.From = fmt.Sprintf("a@d%d.example", i) }), filter.Delivered)
	}
	if n := l.Keys(); n > 1000 {
		t.Errorf("%d keys", n)
	}
	for i := range 1000 {
		if _, err := l.Sender().Check(t.Context(), message(func(m *filter.Message) { m.From = fmt.Sprintf("a@open%d.example", i) })); err != nil {
			t.Fatal(err)
		}
	}
	c.t = c.t.Add(72 * time.Hour)
	for i := range 1000 {
		send(t, l, message(func(m *filter.Message) { m.From = fmt.Sprintf("a@later%d.example", i) }), filter.Delivered)
	}
	if n := l.Keys(); n > 1000 {
		t.Errorf("%d keys after three days", n)
	}
	l.Reload(limit.Config{})
	if got := send(t, l, message(nil), filter.Delivered); got != "" {
		t.Errorf("no rates, no findings: %q", got)
	}
}

// However messages come in and end, no window ever lets more through than its rate.
func TestNeverMoreThanTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := start()
		bound := rapid.IntRange(1, 6).Draw(t, "rate")
		l := limit.New(limit.Config{IP: limit.Rate{Minute: bound}}, c.now)
		var taken []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "messages") {
			c.t = c.t.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			m := message(nil)
			f, _ := l.Sender().Check(t.Context(), m)
			state := filter.Delivered
			if len(f) > 0 {
				state = filter.Deferred
			} else {
				taken = append(taken, c.t)
			}
			_ = l.Done(t.Context(), m, filter.Outcome{Fates: []filter.Fate{{State: state}}})
		}
		inMinute := map[time.Time]int{}
		for _, at := range taken {
			inMinute[at.Truncate(time.Minute)]++
			if n := inMinute[at.Truncate(time.Minute)]; n > bound {
				t.Fatalf("%d in one minute with a rate of %d", n, bound)
			}
		}
	})
}

func BenchmarkSender(b *testing.B) {
	l := limit.New(limit.Config{IP: limit.Rate{Minute: 1 << 30}, Net: limit.Rate{Hour: 1 << 30}, Domain: limit.Rate{Day: 1 << 30}}, time.Now)
	m := message(nil)
	check := l.Sender()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = check.Check(b.Context(), m)
		_ = l.Done(b.Context(), m, filter.Outcome{})
	}
}

// Many sessions at once never get more through than the rate, reservations included.
func TestSessionsAtOnce(t *testing.T) {
	const bound, sessions = 20, 100
	l := limit.New(limit.Config{IP: limit.Rate{Minute: bound}, Net: limit.Rate{Hour: 1000}, Recipient: limit.Rate{Day: 1000}}, start().now)
	var wg sync.WaitGroup
	var passed atomic.Int64
	for i := range sessions {
		m := message(func(m *filter.Message) {
			m.ID, m.To = fmt.Sprint("at-once", i), []filter.Recipient{{Address: "a@us.example"}}
		})
		wg.Go(func() {
			f, err := l.Sender().Check(t.Context(), m)
			if err != nil {
				t.Error(err)
			}
			if _, err := l.Recipient().Check(t.Context(), m); err != nil {
				t.Error(err)
			}
			state := filter.Deferred
			if len(f) == 0 {
				state = filter.Delivered
				passed.Add(1)
			}
			if err := l.Done(t.Context(), m, filter.Outcome{Fates: []filter.Fate{{State: state}}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := passed.Load(); n > bound || n == 0 {
		t.Errorf("%d of %d passed with a rate of %d", n, sessions, bound)
	}
	for i := range bound { // everything was settled: the rest of the rate is free again
		want := int64(i) >= bound-passed.Load()
		if got := send(t, l, message(nil), filter.Delivered); (got != "") != want {
			t.Fatalf("message %d after %d: %q", i, passed.Load(), got)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	rate := limit.Rate{Minute: 1 << 30, Hour: 1 << 30, Day: 1 << 30}
	l := limit.New(limit.Config{IP: rate, Net: rate, Domain: rate, Recipient: rate}, start().now)
	m := message(func(m *filter.Message) { m.To = []filter.Recipient{{Address: "a@us.example"}} })
	sender, rcpt := l.Sender(), l.Recipient()
	taken := filter.Outcome{Fates: []filter.Fate{{State: filter.Delivered}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sender.Check(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		if _, err := rcpt.Check(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		if err := l.Done(b.Context(), m, taken); err != nil {
			b.Fatal(err)
		}
	}
}
