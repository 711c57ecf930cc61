package limit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/limit"
)

func submit(t *testing.T, l *limit.Limiter, id, account string, to ...string) []string {
	t.Helper()
	m := &filter.Message{ID: id, Direction: filter.Outbound, Account: account}
	for _, a := range to {
		m.To = append(m.To, filter.Recipient{Address: a})
	}
	var symbols []string
	for _, c := range []filter.Check{l.Sender(), l.Recipient(), l.Account()} {
		found, err := c.Check(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			symbols = append(symbols, f.Symbol)
		}
	}
	o := filter.Outcome{Reply: "250 ok"}
	for _, r := range m.To {
		state := filter.Delivered
		if len(symbols) > 0 {
			state = filter.Deferred
		}
		o.Fates = append(o.Fates, filter.Fate{Recipient: r.Address, State: state})
	}
	if err := l.Done(context.Background(), m, o); err != nil {
		t.Fatal(err)
	}
	return symbols
}

// A measure slows an account down where no rate is configured at all, and lets it go on when
// the hour is over.
func TestThrottle(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	l := limit.New(limit.Config{}, func() time.Time { return now })
	l.Throttle(func(account string) []limit.Throttle {
		if account != "ann@example.com" {
			return nil
		}
		return []limit.Throttle{{Name: account, Messages: limit.Rate{Hour: 20}, Recipients: limit.Rate{Hour: 50}}}
	})
	for i := range 20 {
		if s := submit(t, l, fmt.Sprint(i), "ann@example.com", "x@example.net"); s != nil {
			t.Fatalf("message %d: %v", i, s)
		}
	}
	if s := submit(t, l, "21", "ann@example.com", "x@example.net"); len(s) != 1 || s[0] != limit.Throttled {
		t.Errorf("the 21st message: %v", s)
	}
	if s := submit(t, l, "bob", "bob@example.com", "x@example.net"); s != nil {
		t.Errorf("somebody else: %v", s)
	}
	now = now.Add(2 * time.Hour)
	var to []string
	for i := range 51 {
		to = append(to, fmt.Sprintf("r%d@example.net", i))
	}
	if s := submit(t, l, "wide", "ann@example.com", to...); len(s) != 1 || s[0] != limit.ThrottledRcpt {
		t.Errorf("51 recipients: %v", s)
	}
	if s := submit(t, l, "narrow", "ann@example.com", to[:50]...); s != nil {
		t.Errorf("50 recipients: %v", s)
	}
}

// All accounts of a throttled domain share what is left to it.
func TestThrottleOfADomain(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	l := limit.New(limit.Config{}, func() time.Time { return now })
	l.Throttle(func(string) []limit.Throttle {
		return []limit.Throttle{{Name: "@example.com", Messages: limit.Rate{Hour: 2}}}
	})
	submit(t, l, "1", "ann@example.com", "x@example.net")
	submit(t, l, "2", "bob@example.com", "x@example.net")
	if s := submit(t, l, "3", "carl@example.com", "x@example.net"); len(s) != 1 {
		t.Errorf("the third of the domain: %v", s)
	}
}
