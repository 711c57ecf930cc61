package listing_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/listing"
	"postern/abuse/listing/suspect"
	"postern/internal/dns"
	"postern/internal/entity"
	"postern/internal/mailtest"
	"postern/internal/mailtest/entities"
)

var anna = cases.Actor{Name: "anna", Role: flow.Lead}

type world struct {
	*listing.Monitor
	t      *testing.T
	dns    *mailtest.DNS
	cases  *cases.Desk
	home   *entities.Memory
	now    time.Time
	alarms map[string]bool
	sent   []string
}

// healthy is a list that passes its test.
func healthy(zone string) mailtest.Zone {
	return mailtest.Zone{"2.0.0.127." + zone: {"A 127.0.0.2"}, "test." + zone: {"A 127.0.1.2"}}
}

func newWorld(t *testing.T, zone mailtest.Zone) *world {
	t.Helper()
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, home: &entities.Memory{}, now: time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC), alarms: map[string]bool{}, dns: mailtest.NewDNS(t, zone)}
	w.dns.SetTTL(0)
	clock := func() time.Time { return w.now }
	r, err := dns.New(dns.Config{Servers: []string{w.dns.Addr()}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	audit := func(context.Context, string, string, string, any, any, string) error { return nil }
	w.home.Now = clock
	w.cases = &cases.Desk{Entities: w.home, Now: clock, Log: slog.New(slog.DiscardHandler), Calendars: func() *calendar.Set { return set }, Audit: audit, Alarm: func(context.Context, cases.Alarm) {}}
	w.Monitor = &listing.Monitor{
		Home: w.home, Cases: w.cases, DNS: r, Lists: []listing.List{{Name: "ips", Zone: "ips.test", Major: true, Removal: "https://ips.test/removal"}, {Name: "names", Zone: "names.test", Domains: true}},
		Subjects: func() []string { return []string{"192.0.2.25", "ours.example"} }, Domain: "mx.ours.example",
		Draft: func(_ context.Context, c cases.Case, l listing.Listing) string {
			return c.ID + ": " + l.Subject + " on " + l.List
		},
		Submit: func(_ context.Context, id string, _ listing.Listing, text string) error {
			w.sent = append(w.sent, id+" "+text)
			return nil
		},
		Audit: audit, Alarm: func(_ context.Context, key, _ string, over bool) { w.alarms[key] = !over }, Now: clock, Log: slog.New(slog.DiscardHandler),
	}
	return w
}

func (w *world) after(d time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(d)
	if err := w.Tick(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) set(name string, records ...string) {
	w.t.Helper()
	if err := w.dns.Set(name, records...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() []listing.Listing {
	w.t.Helper()
	all, _, err := w.List(w.t.Context(), true, "", 10)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestListsThatAreOfNoUse(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"lists 127.0.0.1":       func(w *world) { w.set("1.0.0.127.ips.test", "A 127.0.0.2") },
		"refuses":               func(w *world) { w.set("25.2.0.192.ips.test", "A 127.255.255.254") },
		"refuses its test":      func(w *world) { w.set("2.0.0.127.ips.test", "A 127.255.255.252") },
		"lists nothing":         func(w *world) { w.set("2.0.0.127.ips.test", "TXT dead") },
		"was taken over":        func(w *world) { w.set("25.2.0.192.ips.test", "A 203.0.113.9") },
		"does not answer":       func(w *world) { w.set("25.2.0.192.ips.test", "!servfail") },
		"does not answer tests": func(w *world) { w.set("1.0.0.127.ips.test", "!servfail") },
	} {
		t.Run(name, func(t *testing.T) {
			zone := healthy("ips.test")
			zone["25.2.0.192.ips.test"] = []string{"A 127.0.0.2"}
			zone["*.names.test"] = []string{"A 127.0.1.2"} // answers yes to all
			w := newWorld(t, zone)
			change(w)
			for range 4 {
				w.after(11 * time.Minute)
			}
			if len(w.open()) != 0 || len(w.alarms) != 0 {
				t.Errorf("%+v %v", w.open(), w.alarms)
			}
			h, err := w.Health(t.Context())
			if err != nil || len(h) != 2 {
				t.Fatal(h, err)
			}
			for _, q := range w.dns.Queries() {
				if strings.HasPrefix(q.Name, "25.2.0.192.names") || strings.HasPrefix(q.Name, "192.0.2.25.") {
					t.Errorf("a list of domains was asked about an address: %s", q.Name)
				}
			}
		})
	}
}

func TestAListing(t *testing.T) {
	zone := healthy("ips.test")
	zone["25.2.0.192.ips.test"] = []string{"A 127.0.0.4", "TXT see ips.test"}
	zone["test.names.test"] = []string{"A 127.0.1.2"}
	w := newWorld(t, zone)
	ctx := t.Context()
	w.after(0)
	w.after(9 * time.Minute)
	if len(w.open()) != 0 || len(w.alarms) != 0 {
		t.Fatal("believed too early", w.open())
	}
	start := w.now
	w.after(time.Minute)
	all := w.open()
	if len(all) != 1 || len(w.alarms) != 1 {
		t.Fatalf("%+v %v", all, w.alarms)
	}
	l := all[0]
	c, err := w.cases.Get(ctx, l.Case)
	if err != nil || c.Kind != cases.External || c.Priority != 1 || c.Source.Domain != "mx.ours.example" || len(c.Evidence) != 1 || l.Drafted.Sub(start) > 4*time.Hour || !strings.Contains(l.Draft, c.ID) {
		t.Fatalf("%+v %+v %v", c, l, err)
	}
	w.after(10 * time.Minute)
	if w.open()[0].Case != l.Case {
		t.Error("another case for the same listing")
	}
	// Removal waits for the cause.
	if _, err := w.Ask(ctx, anna, l.ID); !errors.Is(err, listing.ErrCause) {
		t.Fatal(err)
	}
	cause := w.cause()
	if _, err := w.Link(ctx, anna, l.ID, l.Case); !errors.Is(err, listing.ErrCause) {
		t.Error(err)
	}
	if _, err := w.Link(ctx, anna, l.ID, cause); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Ask(ctx, anna, l.ID); !errors.Is(err, listing.ErrCause) || !strings.Contains(err.Error(), "still worked on") {
		t.Fatal(err)
	}
	w.move(cause, cases.Request{To: flow.Warned}, cases.Request{To: flow.Resolved})
	if err := w.MayAsk(ctx, w.open()[0]); err != nil {
		t.Fatal(err)
	}
	w.move(cause, cases.Request{To: flow.ResultSent, Barred: "a feed"}, cases.Request{To: flow.Closed})
	got, err := w.Ask(ctx, anna, l.ID)
	if err != nil || got.Asked.IsZero() || got.AskedBy != "anna" || got.Removal == "" {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := w.Send(ctx, anna, l.ID, ""); err != nil || len(w.sent) != 1 {
		t.Fatal(err, w.sent)
	}
	if _, err := w.Send(ctx, anna, l.ID, ""); err == nil {
		t.Error("sent twice")
	}
	// Once is not gone yet; twice is.
	w.set("25.2.0.192.ips.test", "TXT none")
	w.after(10 * time.Minute)
	if len(w.open()) != 1 {
		t.Fatal("gone after one answer")
	}
	w.after(10 * time.Minute)
	if len(w.open()) != 0 || w.alarms["listing-"+l.ID] {
		t.Fatalf("%+v %v", w.open(), w.alarms)
	}
	if _, err := w.Ask(ctx, anna, l.ID); !errors.Is(err, listing.ErrNotFound) {
		t.Error(err)
	}
	// It comes again: all of it begins anew.
	w.set("25.2.0.192.ips.test", "A 127.0.0.4")
	w.after(10 * time.Minute)
	w.after(10 * time.Minute)
	if all = w.open(); len(all) != 1 || !all[0].Asked.IsZero() || all[0].Cause != "" {
		t.Errorf("%+v", all)
	}
}

// cause is a verified case about an account.
func (w *world) cause() string {
	w.t.Helper()
	ctx := w.t.Context()
	c, err := w.cases.Open(ctx, anna, cases.Opening{Account: "bob@ours.example", Source: cases.Source{Serial: "s1", Time: w.now}, Category: []cases.Category{"S1"}, Reason: "it sent spam"})
	if err != nil {
		w.t.Fatal(err)
	}
	sum, _, err := w.home.PutBlob(ctx, entity.Evidence, strings.NewReader("spam"))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err = w.cases.AddEvidence(ctx, anna, c.ID, cases.Evidence{Class: entity.Evidence, Sum: sum, Name: "spam"}); err != nil {
		w.t.Fatal(err)
	}
	w.move(c.ID, cases.Request{To: flow.Verified})
	return c.ID
}

func (w *world) move(id string, all ...cases.Request) {
	w.t.Helper()
	for _, r := range all {
		r.Reason = "so it is"
		if _, err := w.cases.Move(w.t.Context(), anna, id, r); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestADomain(t *testing.T) {
	zone := healthy("names.test")
	zone["ours.example.names.test"] = []string{"A 127.0.1.2"}
	w := newWorld(t, zone)
	w.Suspect = func(_ context.Context, subject string, _ time.Time) ([]suspect.Suspect, error) {
		return []suspect.Suspect{{Account: "bob@" + subject, Facts: []suspect.Fact{{Kind: "signal", Text: "it wrote to a trap"}}}, {Account: "ann@" + subject, Case: "A-2026-000099"}}, nil
	}
	w.after(0)
	w.after(15 * time.Minute)
	all := w.open()
	if len(all) != 1 || all[0].Subject != "ours.example" || all[0].Cause != "A-2026-000099" {
		t.Fatalf("%+v", all)
	}
	if all[0].Named != "" || len(all[0].Suspects) != 2 {
		t.Errorf("it is only suspected: %+v", all[0])
	}
	if events, _, err := w.cases.Timeline(t.Context(), all[0].Case, "", 50); err != nil || !strings.Contains(fmt.Sprint(events), "suspected: bob@ours.example; it wrote to a trap") {
		t.Errorf("%+v %v", events, err)
	}
	if c, err := w.cases.Get(t.Context(), all[0].Case); err != nil || c.Source.Domain != "ours.example" || c.Priority != 2 {
		t.Errorf("%+v %v", c, err)
	}
}

// A flicker is no listing.
func TestFlicker(t *testing.T) {
	zone := healthy("ips.test")
	zone["25.2.0.192.ips.test"] = []string{"A 127.0.0.4"}
	w := newWorld(t, zone)
	for i := range 6 {
		if i%2 == 0 {
			w.set("25.2.0.192.ips.test", "A 127.0.0.4")
		} else {
			w.set("25.2.0.192.ips.test", "TXT none")
		}
		w.after(10 * time.Minute)
	}
	if len(w.open()) != 0 {
		t.Errorf("%+v", w.open())
	}
}

func TestAsk(t *testing.T) {
	w := newWorld(t, mailtest.Zone{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ips.test": {"A 127.0.0.2"}})
	ips, names := w.Lists[0], w.Lists[1]
	if a, err := ips.Ask(t.Context(), w.DNS, "2001:db8::1"); err != nil || !a.Listed {
		t.Error(a, err)
	}
	for _, s := range []string{"192.0.2.1", "2001:db8::1", "[192.0.2.1]", "192.0.2", "192.0.2.0/24"} {
		if _, err := names.Ask(t.Context(), w.DNS, s); !errors.Is(err, listing.ErrKind) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if _, err := ips.Ask(t.Context(), w.DNS, "ours.example"); !errors.Is(err, listing.ErrKind) {
		t.Error(err)
	}
}
