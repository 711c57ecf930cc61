package limit_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/limit"
)

// Recipients of an account and refusals are bounded by minute, hour and day at once.
func TestLayers(t *testing.T) {
	c := start()
	rate := limit.Rate{Minute: 2, Hour: 3, Day: 4}
	l := limit.New(limit.Config{AccountRecipients: rate, Errors: rate}, c.now)
	ip := netip.MustParseAddr("192.0.2.7")
	said := func() (words []string) {
		l.Refused(ip)
		m := outbound("ada@us.example", "a@x.example")
		var found []filter.Finding
		ask := func(c filter.Check, m *filter.Message) {
			t.Helper()
			f, err := c.Check(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, f...)
		}
		ask(l.Sender(), m)
		ask(l.Recipient(), m)
		ask(l.Sender(), message(nil))
		for _, f := range found {
			words = append(words, f.Symbol+" "+f.Detail)
		}
		o := filter.Outcome{Fates: []filter.Fate{{Recipient: "a@x.example", State: filter.Delivered}}}
		if err := l.Done(t.Context(), m, o); err != nil {
			t.Fatal(err)
		}
		return words
	}
	for i, s := range []struct {
		after time.Duration
		want  string // the window that is full; "" = none
	}{
		{0, ""}, {0, ""}, {0, "a minute"}, {5 * time.Minute, "an hour"}, {3 * time.Hour, "a day"}, {60 * time.Hour, ""},
	} {
		c.t = c.t.Add(s.after)
		got := strings.Join(said(), "; ")
		for _, symbol := range []string{limit.RateAccountRcpt, limit.RateErrors} {
			if has := strings.Contains(got, symbol); has != (s.want != "") || has && !strings.Contains(got, "in "+s.want) {
				t.Errorf("%d: %s: %q, want %q", i, symbol, got, s.want)
			}
		}
	}
}
