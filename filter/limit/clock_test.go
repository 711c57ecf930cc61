package limit_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/filter"
	"postern/filter/limit"
)

// TestF37ClockJumps sets the clock under windows that are used up: set back, nobody is let
// through before the time has really passed, nor kept out longer; set forward, nobody is kept
// out for ever.
func TestF37ClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{-time.Hour, -10 * 365 * 24 * time.Hour, time.Hour, 10 * 365 * 24 * time.Hour, -time.Second, time.Second} {
		t.Run(jump.String(), func(t *testing.T) {
			c := start()
			l := limit.New(limit.Config{IP: limit.Rate{Hour: 5}}, c.now)
			for range 5 {
				if got := send(t, l, message(nil), filter.Delivered); got != "" {
					t.Fatal(got)
				}
			}
			c.t = c.t.Add(jump)
			if got := send(t, l, message(nil), filter.Delivered); jump < time.Hour && got != limit.RateIP {
				t.Errorf("the rate is free again: %q", got)
			}
			c.t = c.t.Add(20 * time.Minute)
			if got := send(t, l, message(nil), filter.Deferred); jump < time.Hour && got != limit.RateIP {
				t.Errorf("free after 20 minutes: %q", got)
			}
			c.t = c.t.Add(3 * time.Hour)
			for i := range 6 {
				if got := send(t, l, message(nil), filter.Delivered); (got != "") != (i == 5) {
					t.Errorf("message %d, three hours later: %q", i+1, got)
				}
			}
		})
	}
}

// Reservations of broken off transactions end by real time, whatever the clock is set to.
func TestF37ReservationsEnd(t *testing.T) {
	for _, jump := range []time.Duration{-time.Hour, time.Hour, 10 * 365 * 24 * time.Hour} {
		c := start()
		l := limit.New(limit.Config{IP: limit.Rate{Minute: 2}}, c.now)
		for range 5 {
			if _, err := l.Sender().Check(t.Context(), message(nil)); err != nil {
				t.Fatal(err)
			}
		}
		c.t = c.t.Add(jump)
		send(t, l, message(nil), filter.Deferred)
		c.t = c.t.Add(16 * time.Minute)
		if got := send(t, l, message(nil), filter.Delivered); got != "" || l.Open() != 0 {
			t.Errorf("%s: %q, %d open", jump, got, l.Open())
		}
	}
}

// However messages come and the clock is set back, no stretch of real time lets more through
// than the two windows it touches, and nothing stays reserved.
func TestRatesHoldWhateverTheClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := start()
		rate := limit.Rate{Minute: rapid.IntRange(1, 5).Draw(t, "minute"), Hour: rapid.IntRange(3, 12).Draw(t, "hour")}
		l := limit.New(limit.Config{IP: rate}, c.now)
		var real time.Duration
		var taken []time.Duration
		for range rapid.IntRange(1, 120).Draw(t, "messages") {
			d := time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second
			real += d
			c.t = c.t.Add(d)
			if rapid.IntRange(0, 9).Draw(t, "set") == 0 {
				c.t = c.t.Add(-time.Duration(rapid.IntRange(1, 1<<20).Draw(t, "back")) * time.Second)
				_, _ = l.Sender().Check(t.Context(), &filter.Message{ID: "clock"}) // somebody looks at it
			}
			m := message(nil)
			f, _ := l.Sender().Check(t.Context(), m)
			state := filter.Deferred
			if len(f) == 0 {
				state = filter.Delivered
				taken = append(taken, real)
			}
			_ = l.Done(t.Context(), m, filter.Outcome{Fates: []filter.Fate{{State: state}}})
		}
		_ = l.Done(t.Context(), &filter.Message{ID: "clock"}, filter.Outcome{})
		if l.Open() != 0 {
			t.Fatalf("%d messages stay open", l.Open())
		}
		for length, bound := range map[time.Duration]int{time.Minute: rate.Minute, time.Hour: rate.Hour} {
			for i, at := range taken {
				n := 0
				for _, before := range taken[:i+1] {
					if at-before < length {
						n++
					}
				}
				if n > 2*bound {
					t.Fatalf("%d in a sliding %s with a rate of %d", n, length, bound)
				}
			}
		}
	})
}

// A flood of IPv6 networks neither grows the memory nor frees anybody it does not share a
// kind with; what is used stays longest.
func TestFloodOfNetworks(t *testing.T) {
	const size = 8 * 500
	l := limit.New(limit.Config{IP: limit.Rate{Hour: 3}, Net: limit.Rate{Hour: 50}, Account: limit.Rate{Hour: 2}, Errors: limit.Rate{Hour: 1000}, MaxKeys: size}, start().now)
	account := func() string { return send(t, l, outbound("ada@us.example"), filter.Delivered) }
	for range 2 {
		if got := account(); got != "" {
			t.Fatal(got)
		}
	}
	regular := func(m *filter.Message) { m.Client.IP = netip.MustParseAddr("198.51.100.9") }
	through := 0
	for i := range 20_000 {
		from := netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::%x", i/1000, i%1000, i))
		if send(t, l, message(func(m *filter.Message) { m.Client.IP = from }), filter.Delivered) == "" {
			through++
		}
		if i%100 == 0 {
			if got := send(t, l, message(regular), filter.Delivered); (got != "") != (i >= 300) {
				t.Fatalf("the regular client after %d others: %q", i, got)
			}
		}
	}
	if n := l.Keys(); n > size {
		t.Errorf("%d keys", n)
	}
	if through > 20*50 {
		t.Errorf("%d messages of twenty /48 came through with a rate of 50 for each", through)
	}
	if got := account(); got != limit.RateAccount {
		t.Errorf("strangers pushed out the count of an account: %q", got)
	}
}

// Transactions that nobody ends are bounded too.
func TestFloodOfTransactions(t *testing.T) {
	l := limit.New(limit.Config{Domain: limit.Rate{Minute: 5}, MaxKeys: 1000}, start().now)
	for i := range 20_000 {
		m := message(func(m *filter.Message) { m.From = fmt.Sprintf("a@d%d.example", i) })
		if _, err := l.Sender().Check(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if l.Open() > 1000 || l.Keys() > 1000 {
		t.Errorf("%d open, %d keys", l.Open(), l.Keys())
	}
	l.Reload(limit.Config{MaxKeys: 1000})
	if f, err := l.Sender().Check(t.Context(), message(nil)); f != nil || err != nil {
		t.Error(f, err)
	}
}
