package trial_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse/external/order"
	"postern/cmd/postern/sources/trial"
	"postern/filter"
	"postern/internal/record"
)

// traffic is rows that it hands out two at a time; it remembers what it was asked.
type traffic struct {
	rows  []record.Row
	asked record.Trace
}

func (t *traffic) Add(record.Row) bool { return true }

func (t *traffic) Prune(context.Context, time.Time) (int, error) { return 0, nil }

func (t *traffic) Find(_ context.Context, q record.Trace) (record.Page, error) {
	t.asked = q
	var fit []record.Row
	for _, r := range t.rows {
		if (!q.IP.IsValid() || q.IP.Contains(netip.MustParseAddr(r.Client.IP))) && (q.From == "" || strings.HasSuffix(r.From, q.From)) {
			fit = append(fit, r)
		}
	}
	from := len(q.After)
	page := record.Page{Rows: fit[min(from, len(fit)):min(from+2, len(fit))]}
	if from+2 < len(fit) {
		page.Next = strings.Repeat("x", from+2)
	}
	return page, nil
}

func TestOf(t *testing.T) {
	now := time.Now().UTC()
	row := func(ip, from, action, state string) record.Row {
		return record.Row{ID: ip + from, Time: now, Direction: "inbound", Client: record.Client{IP: ip}, From: from, Action: action, To: []record.Fate{{Address: "ann@ours.example", State: state}}}
	}
	good, bad := filter.Accept.String(), filter.Reject.String()
	home := &traffic{rows: []record.Row{
		row("198.51.100.7", "a@spam.example", bad, "rejected"), row("198.51.100.7", "b@spam.example", good, "delivered"), row("198.51.100.9", "c@other.example", good, "delivered"),
		row("198.51.100.9", "c@other.example", filter.Tag.String(), "delivered"), row("192.0.2.1", "d@far.example", good, "delivered"),
	}}
	protected := order.Protected{Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	for _, c := range []struct {
		scope, value                           string
		mails, taken, good, senders, addresses int
	}{
		{order.ByIP, "198.51.100.7", 2, 1, 1, 1, 1}, {order.ByNet, "198.51.100.0/24", 4, 3, 2, 2, 2}, {order.ByDomain, "spam.example", 2, 1, 1, 1, 1},
		{order.ByFrom, "C@other.example", 2, 2, 1, 1, 1}, {order.ByIP, "198.51.100.200", 0, 0, 0, 0, 0},
	} {
		b := order.Block{Scope: c.scope, Value: c.value, Rule: order.WhenQuiet, Why: "x", Until: now.Add(time.Hour)}
		r, err := trial.Of(t.Context(), home, protected, b, now)
		if err != nil || r.Refused != "" || r.Mails != c.mails || r.Taken != c.taken || r.Good != c.good || r.Senders != c.senders || r.Addresses != c.addresses || r.More || len(r.Some) != c.mails {
			t.Errorf("%s %s: %+v %v", c.scope, c.value, r, err)
		}
		if home.asked.Direction != "inbound" || !home.asked.Since.Equal(now.AddDate(0, 0, -trial.Days)) {
			t.Errorf("%+v", home.asked)
		}
		if c.good > 0 && !strings.Contains(r.Some[0].ID, "@") {
			t.Errorf("%+v", r.Some)
		}
	}
	b := order.Block{Scope: order.ByIP, Value: "203.0.113.5", Rule: order.WhenQuiet, Why: "x", Until: now.Add(time.Hour)}
	if r, err := trial.Of(t.Context(), home, protected, b, now); err != nil || !strings.Contains(r.Refused, "our own") || r.Mails != 0 {
		t.Errorf("%+v %v", r, err)
	}
}
