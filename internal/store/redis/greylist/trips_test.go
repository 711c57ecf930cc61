package greylist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/greylist"
	"postern/filter/history"
	"postern/internal/mime"
	"postern/internal/store/redis/conn"
	room "postern/internal/store/redis/greylist"
	past "postern/internal/store/redis/history"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
)

// node is what looks at mail and remembers it on one connection.
type node struct {
	t       *testing.T
	c       *conn.Conn
	now     time.Time
	auth    []filter.Finding
	history *history.History
	marks   *past.Store
	grey    *greylist.Greylist
	n       int
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, c: redistest.Empty(t, redistest.Server(t)), now: storetest.Start}
	clock := func() time.Time { return n.now }
	results := func(context.Context, *filter.Message) ([]filter.Finding, error) { return n.auth, nil }
	n.marks = past.New(n.c, past.Options{Log: slog.New(slog.DiscardHandler), Now: clock})
	t.Cleanup(func() { n.marks.Close() })
	n.history = history.New(history.Parts{Store: n.marks, Results: results, Now: clock})
	n.grey = greylist.NewGreylist(greylist.Config{Wait: time.Minute, RetryWithin: 48 * time.Hour, Remember: 24 * time.Hour},
		greylist.Parts{Store: room.New(n.c, 0), Results: results, Now: clock, Elapsed: func() time.Duration { return n.now.Sub(storetest.Start) }})
	return n
}

func proof(method, result, kind, name, value string) filter.Finding {
	return filter.Finding{Auth: &filter.AuthResult{Method: method, Result: result, Props: []filter.AuthProp{{Type: kind, Name: name, Value: value}}}}
}

// mail is a message with what authentication says of it.
func (n *node) mail(domain, body string, auth ...filter.Finding) *filter.Message {
	n.n++
	n.auth = auth
	raw := fmt.Sprintf("From: a@%s\r\nSubject: Offer\r\nDate: %d\r\n\r\n%s\r\n", domain, n.n, body)
	m := &filter.Message{
		ID: fmt.Sprintf("%026d", n.n), Client: filter.Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: "mx." + domain}, From: "a@" + domain,
		To: []filter.Recipient{{Address: "us@here.example"}}, Body: strings.NewReader(raw), Size: int64(len(raw)), SHA256: "x",
	}
	m.Parts = func() (*mime.Tree, error) { return mime.Walk(m.Body, m.Size, mime.DefaultLimits()) }
	return m
}

// trips are the round trips in the way of a message and those after its answer; marks that
// wait for others are in neither.
func (n *node) trips(m *filter.Message, action filter.Action) (before, after int64) {
	n.t.Helper()
	var found []filter.Finding
	count := func(f func() error) int64 {
		trips, err := redistest.Again(func() (int64, error) {
			at := n.c.Trips()
			err := f()
			return n.c.Trips() - at, err
		})
		if err != nil {
			n.t.Fatal(err)
		}
		return trips
	}
	before = count(func() error {
		a, err := n.history.Check(n.t.Context(), m)
		b, other := n.grey.Check(n.t.Context(), m)
		found = append(a, b...)
		return errors.Join(err, other)
	})
	o := filter.Outcome{Report: filter.Report{Findings: append(found, n.auth...)}}
	for _, to := range m.To {
		v, f := filter.Verdict{Action: action}, filter.Fate{Recipient: to.Address, State: filter.Delivered}
		switch action {
		case filter.Defer:
			v.Greylisted, f.State = true, filter.Deferred
		case filter.Quarantine:
			f.State = filter.Held
		}
		o.Verdicts, o.Fates = append(o.Verdicts, v), append(o.Fates, f)
	}
	after = count(func() error {
		return errors.Join(n.history.Done(n.t.Context(), m, o), n.grey.Done(n.t.Context(), m, o))
	})
	if err := n.marks.Sync(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	return before, after
}

// What history and greylist cost a message for one recipient.
func TestTripsOfAMessage(t *testing.T) {
	n := newNode(t)
	spf := func(d string) filter.Finding { return proof("spf", "pass", "smtp", "mailfrom", "a@"+d) }
	dmarc := func(d string) filter.Finding { return proof("dmarc", "pass", "header", "from", d) }
	dkim := func(d string) filter.Finding {
		f := proof("dkim", "pass", "header", "d", d)
		f.Auth.Props = append(f.Auth.Props, filter.AuthProp{Type: "header", Name: "b", Value: fmt.Sprint("b", n.n)})
		return f
	}
	n.trips(n.mail("first.example", "connects"), filter.Accept)
	for _, c := range []struct {
		what          string
		m             func() *filter.Message
		action        filter.Action
		before, after int64
	}{
		{"clean, DMARC by SPF", func() *filter.Message { return n.mail("a.example", "1", spf("a.example"), dmarc("a.example")) }, filter.Accept, 1, 0},
		{"clean, DMARC by a signature", func() *filter.Message { return n.mail("b.example", "2", dkim("b.example"), dmarc("b.example")) }, filter.Accept, 1, 1},
		{"clean, no DMARC", func() *filter.Message { return n.mail("c.example", "3", spf("c.example")) }, filter.Accept, 2, 0},
		{"held, no DMARC", func() *filter.Message { return n.mail("d.example", "4") }, filter.Quarantine, 2, 0},
		{"held, DMARC", func() *filter.Message { return n.mail("a.example", "5", spf("a.example"), dmarc("a.example")) }, filter.Quarantine, 1, 0},
		{"asked to come again", func() *filter.Message { return n.mail("e.example", "6") }, filter.Defer, 2, 2},
		{"came again", func() *filter.Message { n.now = n.now.Add(5 * time.Minute); return n.mail("e.example", "6") }, filter.Tag, 2, 3},
		{"clean, source known", func() *filter.Message { return n.mail("e.example", "7") }, filter.Accept, 2, 0},
	} {
		before, after := n.trips(c.m(), c.action)
		if before != c.before || after != c.after {
			t.Errorf("%s: %d round trips in its way and %d after, want %d and %d", c.what, before, after, c.before, c.after)
		}
	}
}
