package sources_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/complaint"
	"postern/abuse/external"
	"postern/abuse/external/order"
	"postern/abuse/intake"
	"postern/abuse/listing"
	"postern/cmd/postern/sources"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/config/desk"
	"postern/internal/record"
	"postern/internal/said"
)

const source = "198.51.100.7"

// blocked is a source that hit a trap and is confirmed and blocked.
func (w *world) blocked() cases.Case {
	w.t.Helper()
	c := w.trapped(source)
	if _, err := w.External.Confirm(w.t.Context(), anna, c.ID, "", said.Typed("it hit a trap")); err != nil {
		w.t.Fatal(err)
	}
	b := order.Block{Scope: order.ByIP, Value: source, Rule: order.WhenQuiet, Why: "spam", Until: w.now.Add(14 * 24 * time.Hour)}
	c, err := w.External.Block(w.t.Context(), anna, c.ID, b, "nobody is known")
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// What watched sources try is counted before the own lists refuse it; half open one in ten is
// let in, and who wants to ask why always is.
func TestWatch(t *testing.T) {
	w := newWorld(t)
	check := sources.Watch(w.observer, w.own.Recipient())
	symbols := func(m *filter.Message) string {
		t.Helper()
		found, err := check.Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range found {
			all = append(all, f.Symbol)
		}
		return strings.Join(all, " ")
	}
	c := w.blocked()
	m := w.message(source, "x@y.example", "user@ours.test")
	for range 3 {
		if got := symbols(m); got != "OWN_BLOCK" {
			t.Fatal(got)
		}
	}
	if got := symbols(w.message("198.51.100.8", "x@y.example", "user@ours.test")); got != "" {
		t.Fatal(got)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	src, err := w.External.Get(t.Context(), c.ID)
	if err != nil || src.Tries[w.now.Format(time.DateOnly)] != 3 {
		t.Fatalf("%+v %v", src, err)
	}
	if _, err := w.External.Lift(t.Context(), anna, c.ID, "closed"); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for range 30 {
		got[symbols(m)]++
	}
	if got[sources.HalfOpen] != 3 || got[sources.Wait] != 27 {
		t.Errorf("%v", got)
	}
	if got := symbols(w.message(source, "x@y.example", "postmaster@ours.test")); got != "" {
		t.Errorf("to the postmaster: %s", got)
	}
	m.Seen = []filter.Finding{{Symbol: sources.HalfOpen}}
	for range 20 {
		if got := symbols(m); got != "" {
			t.Fatalf("a second recipient of what was let in: %s", got)
		}
	}
}

// What a blocked domain signed is refused whoever stands in the envelope, and counted.
func TestWatchSigned(t *testing.T) {
	w := newWorld(t)
	c := w.trapped(source)
	if _, err := w.External.Confirm(t.Context(), anna, c.ID, "", said.Typed("it hit a trap")); err != nil {
		t.Fatal(err)
	}
	b := order.Block{Scope: order.ByDomain, Value: "news.example", Rule: order.WhenQuiet, Why: "spam", Until: w.now.Add(14 * 24 * time.Hour)}
	if _, err := w.External.Block(t.Context(), anna, c.ID, b, "nobody is known"); err != nil {
		t.Fatal(err)
	}
	none := filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) { return nil, nil })
	check := func(domain, result string, to ...string) int {
		t.Helper()
		auth := filter.Finding{Auth: &filter.AuthResult{Method: "dkim", Result: result, Props: []filter.AuthProp{{Type: "header", Name: "d", Value: domain}}}}
		m := w.message("203.0.113.77", "x@carrier.example", to[0])
		for _, more := range to[1:] {
			m.To = append(m.To, filter.Recipient{Address: more})
		}
		found, err := sources.WatchSigned(w.observer, none, func(context.Context, *filter.Message) ([]filter.Finding, error) {
			return []filter.Finding{auth, auth}, nil
		}).Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.Symbol != "OWN_BLOCK" || f.For == "" || !strings.Contains(f.Detail, c.ID) {
				t.Errorf("%+v", f)
			}
		}
		return len(found)
	}
	for _, one := range []struct {
		domain, result string
		to             []string
		want           int
	}{
		{"news.example", "pass", []string{"user@ours.test", "other@ours.test"}, 2}, {"mail.news.example", "pass", []string{"user@ours.test"}, 1},
		{"news.example", "fail", []string{"user@ours.test"}, 0}, {"other.example", "pass", []string{"user@ours.test"}, 0}, {"news.example", "pass", []string{"abuse@ours.test"}, 0},
	} {
		if got := check(one.domain, one.result, one.to...); got != one.want {
			t.Errorf("%+v: %d", one, got)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if src, err := w.External.Get(t.Context(), c.ID); err != nil || src.Tries[w.now.Format(time.DateOnly)] != 3 {
		t.Errorf("%+v %v", src.Tries, err)
	}
}

// A trap is a ground, the message is kept with its circumstances, and the notice tells them.
func TestTrapped(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Abuse.External.Contacts.Abusix = "contacts.example" })
	w.dns["7.100.51.198.contacts.example"] = []string{"abuse@carrier.example"}
	c := w.trapped(source)
	if c.Kind != cases.External || len(c.Evidence) != 1 || w.keptBytes(c.Evidence[0].Sum) != spam || c.Source.Port != 40001 {
		t.Fatalf("%+v", c)
	}
	if again := w.trapped(source); again.ID != c.ID || len(again.Evidence) != 1 {
		t.Errorf("%+v", again)
	}
	if _, err := w.External.Confirm(t.Context(), anna, c.ID, "", said.Typed("it hit a trap")); err != nil {
		t.Fatal(err)
	}
	n, err := w.External.Complain(t.Context(), anna, c.ID)
	if err != nil || n.State != external.Sent || len(w.sent) != 1 || w.sent[0].to != "abuse@carrier.example" {
		t.Fatalf("%+v %v", n, err)
	}
	r := complaint.Parse([]byte(w.sent[0].text), complaint.DefaultOptions())
	if r.Format != complaint.ARF || r.Claims.SourcePort != 40001 || r.Claims.MailFrom != "b@news.example" {
		t.Errorf("%+v", r.Claims)
	}
	out := w.message(source, "a@ours.test", "x@y.example")
	out.Direction = filter.Outbound
	if _, err := w.Trapped(t.Context(), out, "x"); !errors.Is(err, sources.ErrSight) {
		t.Error(err)
	}
	// It came back: the notice failed, and nothing else is ours.
	for id, want := range map[string]bool{n.MessageID: true, "<other@ours.test>": false, "": false} {
		got, err := w.Bounced(t.Context(), complaint.Report{Claims: complaint.Claims{MessageID: id}})
		if err != nil || got != want {
			t.Errorf("%s: %v %v", id, got, err)
		}
	}
	all, _, err := w.External.Notices(t.Context(), c.ID, "", 10)
	if err != nil || len(all) != 1 || all[0].State != external.Failed {
		t.Errorf("%+v %v", all, err)
	}
}

// The word STOP from whom we told ends the notices to him; from others, or among other words, it
// is an answer like any other.
func TestStop(t *testing.T) {
	for text, want := range map[string]bool{
		"STOP": true, "\r\n stop.\r\n-- \r\nA": true, "> STOP\n\nstop\n": true, "please STOP it": false, "": false, "> STOP\n": false,
	} {
		for _, from := range []string{"noc@carrier.example", "noc@other.example", ""} {
			w := newWorld(t, func(c *config.Config) { c.Abuse.External.Contacts.Abusix = "contacts.example" })
			w.dns["7.100.51.198.contacts.example"] = []string{"abuse@carrier.example"}
			c := w.trapped(source)
			if _, err := w.External.Confirm(t.Context(), anna, c.ID, "", said.Typed("it hit a trap")); err != nil {
				t.Fatal(err)
			}
			if _, err := w.External.Complain(t.Context(), anna, c.ID); err != nil {
				t.Fatal(err)
			}
			took := ""
			f := w.Replied(func(_ context.Context, r intake.Report, text string) (string, error) { took = text; return c.ID, nil })
			if id, err := f(t.Context(), intake.Report{ID: "r-1", From: from}, text); err != nil || id != c.ID || took != text {
				t.Fatal(id, err)
			}
			out, err := w.Contacts.OptedOut(t.Context(), "abuse@carrier.example")
			if err != nil || out != (want && from == "noc@carrier.example") {
				t.Errorf("%q from %q: %v %v", text, from, out, err)
			}
		}
	}
}

// Our own record says whence a message came, and only of the very same message.
func TestCame(t *testing.T) {
	w := newWorld(t)
	sum := sha256.Sum256([]byte(spam))
	row := record.Row{ID: "01abc", Time: w.now, Direction: "inbound", Client: record.Client{IP: source, Port: 40001, Helo: "h"}, SHA256: hex.EncodeToString(sum[:]), MessageID: "1@news.example"}
	w.rows = []record.Row{row}
	head := "Return-Path: <b@news.example>\r\nReceived: from x by backend\r\nReceived: from y by mx.ours.test\r\nX-Postern-Verdict: accept; score=0.10;\r\n policy=default; id=01abc; rules=r; av=none\r\nX-Postern-Reasons: none\r\nX-Spam-Flag: NO\r\n"
	for name, c := range map[string]struct {
		original string
		want     bool
	}{
		"as delivered":    {head + spam, true},
		"line ends":       {strings.ReplaceAll(head+spam, "\r\n", "\n"), true},
		"end missing":     {strings.TrimSuffix(head+spam, "\r\n"), true},
		"another text":    {head + strings.Replace(spam, "Buy.", "Sell.", 1), false},
		"no field":        {spam, false},
		"another message": {strings.Replace(head, "01abc", "01abd", 1) + spam, false},
	} {
		s, ok, err := w.Came(t.Context(), []byte(c.original))
		if err != nil || ok != c.want || ok && (s.Client.IP.String() != source || s.Client.Port != 40001 || !s.At.Equal(w.now)) {
			t.Errorf("%s: %+v %v %v", name, s, ok, err)
		}
	}
	w.rows[0].Direction = "outbound"
	if _, ok, err := w.Came(t.Context(), []byte(head+spam)); ok || err != nil {
		t.Error(ok, err)
	}
}

// Jobs are done when their time has come, whatever node did them before.
func TestTurns(t *testing.T) {
	w := newWorld(t, func(c *config.Config) {
		c.Abuse.Listings.Addresses = []string{"192.0.2.1"}
		c.Abuse.Listings.Lists = append(c.Abuse.Listings.Lists, listOf("one", "bl.example"))
	})
	w.dns["2.0.0.127.bl.example"], w.dns["1.2.0.192.bl.example"] = []string{"127.0.0.2"}, []string{"127.0.0.4"}
	tick := func() listing.Listing {
		t.Helper()
		if err := w.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, _, err := w.Listings.List(t.Context(), false, "", 10)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	if l := tick(); l.Hits != 1 {
		t.Fatalf("%+v", l)
	}
	w.now = w.now.Add(5 * time.Minute)
	if l := tick(); l.Hits != 1 {
		t.Fatalf("asked again after five minutes: %+v", l)
	}
	local, err := w.cases.Open(t.Context(), anna, cases.Opening{Account: "anna@ours.test", Reason: "spam"})
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(6 * time.Minute)
	l := tick()
	if !l.Open() || l.Case == "" || l.Cause != local.ID || !w.alerts["listing-"+l.ID] {
		t.Fatalf("%+v %v", l, w.alerts)
	}
	if l.Named != "" || len(l.Suspects) != 1 || l.Suspects[0].Account != "anna@ours.test" || len(l.Suspects[0].Facts) != 2 {
		t.Errorf("%+v", l)
	}
	if l, err = w.Listings.Link(t.Context(), anna, l.ID, local.ID); err != nil || l.Named != "anna" || l.Cause != local.ID {
		t.Errorf("%+v %v", l, err)
	}
	// Nobody is to be told here; the draft waits for an address.
	if _, err := w.Listings.Send(t.Context(), anna, l.ID, ""); !errors.Is(err, listing.ErrNobody) || l.Draft == "" {
		t.Error(err)
	}
	w.cfg.Abuse.External.Body.Address = "body@national.example"
	if _, err := w.Listings.Send(t.Context(), anna, l.ID, ""); err != nil || len(w.sent) != 1 || w.sent[0].to != "body@national.example" {
		t.Errorf("%v %+v", err, w.sent)
	}
	w.now = w.now.Add(-time.Hour) // the clock was ahead
	tick()
	if err := w.CheckListings(t.Context()); err != nil || w.jobs[len(w.jobs)-1] != "listing check" {
		t.Error(err, w.jobs)
	}
}

func listOf(name, zone string) (out desk.WatchedZones) {
	out.Name, out.Zone = name, zone
	return out
}

// What is ours is never blocked, however it is written down.
func TestProtected(t *testing.T) {
	w := newWorld(t, func(c *config.Config) {
		c.Abuse.Listings.Addresses, c.Abuse.Listings.Domains = []string{"192.0.2.1", "2001:db8::1"}, []string{"brand.example"}
		c.Abuse.External.Partners.Domains = []string{"partner.example"}
		c.TrustedRelays = []config.Prefix{{Prefix: netip.MustParsePrefix("203.0.113.0/28")}}
	})
	p := w.Protected()
	for value, want := range map[string]bool{
		"192.0.2.1": false, "192.0.2.0/24": false, "198.18.5.5": false, "203.0.113.9": false, "2001:db8::/48": false, "198.51.100.7": true,
		"ours.test": false, "sub.ours.test": false, "x.wide.test": false, "brand.example": false, "partner.example": false, "mx.ours.test": false, "spam.example": true,
	} {
		b := order.Block{Scope: order.ByDomain, Value: value, Rule: order.ByReview, Why: "x", Until: w.now.Add(time.Hour)}
		if _, err := netip.ParseAddr(value); err == nil {
			b.Scope = order.ByIP
		} else if strings.Contains(value, "/") {
			b.Scope = order.ByNet
		}
		if err := b.Check(p, w.now); (err == nil) != want {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// A list is tried on the mail that reached somebody, page by page.
func TestTrialOnAcceptedMail(t *testing.T) {
	w := newWorld(t)
	for i, state := range []filter.FateState{filter.Delivered, filter.Rejected, filter.InOutbox, filter.Delivered, filter.Delivered} {
		w.rows = append(w.rows, record.Row{
			ID: fmt.Sprint(i), Time: w.now, Direction: []string{"inbound", "outbound"}[i/4], Client: record.Client{IP: source}, To: []record.Fate{{State: string(state)}},
			Action: []string{"accept", "accept", "tag", "accept", "accept"}[i],
		})
	}
	w.rows = append(w.rows, record.Row{Time: w.now.AddDate(0, 0, -8), Direction: "inbound", Client: record.Client{IP: source}, To: []record.Fate{{State: "delivered"}}})
	e, err := w.Published.Import(t.Context(), anna, "national", []byte(source+"\n"), nil, w.now.Add(-time.Hour))
	if err != nil || e.Trial.Mails != 3 || e.Trial.Ham != 2 || e.Trial.Wrong != 2 || len(e.Person) != 1 {
		t.Fatalf("%+v %v", e, err)
	}
	if err := w.Tend(t.Context()); err != nil || len(w.own.Why(source)) != 0 {
		t.Fatal(err)
	}
	if _, err := w.Published.Apply(t.Context(), cases.Actor{Name: "lea", Role: flow.Lead}, e.ID, "both are newsletters"); err != nil || len(w.own.Why(source)) != 1 {
		t.Error(err)
	}
}

func TestKeysOfLists(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{base64.StdEncoding.EncodeToString(public) + "\n": true, "c2hvcnQ=\n": false, "no base64\n": false} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := config.Default()
		c.Abuse.External.Published = append(c.Abuse.External.Published, desk.PublishedList{Name: "national", KeyFile: path})
		var cfg atomic.Pointer[config.Config]
		cfg.Store(c)
		_, err := sources.New(sources.Parts{Config: &cfg})
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "abuse.external.published_lists[0].key_file") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
