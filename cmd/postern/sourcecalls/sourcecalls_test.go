package sourcecalls_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/external"
	"postern/abuse/external/contact"
	"postern/abuse/external/order"
	"postern/blocklist"
	"postern/cmd/postern/sourcecalls"
	"postern/cmd/postern/sources"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
	"postern/internal/record"
	"postern/internal/store/local"
)

const source = "198.51.100.7"

type noDNS struct{}

func none(name string) error { return &net.DNSError{Err: "no such name", Name: name, IsNotFound: true} }

func (noDNS) TXT(_ context.Context, name string) ([]string, error)   { return nil, none(name) }
func (noDNS) A(_ context.Context, name string) ([]netip.Addr, error) { return nil, none(name) }
func (noDNS) IPs(_ context.Context, name string) ([]netip.Addr, error) {
	return nil, none(name)
}
func (noDNS) PTR(context.Context, netip.Addr) ([]string, error) { return nil, none("") }

type noMail struct{}

func (noMail) Add(record.Row) bool { return true }
func (noMail) Find(context.Context, record.Trace) (record.Page, error) {
	return record.Page{}, nil
}
func (noMail) Prune(context.Context, time.Time) (int, error) { return 0, nil }

// world is the calls among memory.
type world struct {
	*control.Server
	t    *testing.T
	desk *sources.Desk
	now  time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	lists, err := local.Open(t.Context(), local.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lists.Close() })
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Server: control.NewServer(), t: t, now: time.Now().UTC().Truncate(time.Second)}
	clock, log := func() time.Time { return w.now }, slog.New(slog.DiscardHandler)
	home := &entities.Memory{Now: clock}
	audit := func(context.Context, string, string, string, any, any, string) error { return nil }
	desk := &cases.Desk{Entities: home, Now: clock, Log: log, Calendars: func() *calendar.Set { return set }, Audit: audit, Alarm: func(context.Context, cases.Alarm) {}}
	var cfg atomic.Pointer[config.Config]
	c := config.Default()
	c.Hostname, c.Routes = "mx.ours.test", map[string]config.Route{"ours.test": {}}
	cfg.Store(c)
	w.desk, err = sources.New(sources.Parts{
		Config: &cfg, Home: home, Lists: lists.Lists(), Own: blocklist.NewOwn(blocklist.OwnParts{Store: lists.Lists(), Now: clock}), Observer: &external.Observer{}, DNS: noDNS{}, Traffic: noMail{},
		Cases: desk, Calendars: func() *calendar.Set { return set }, Key: []byte("key"), Alias: func(id string) string { return id + "@ours.test" },
		Submit: func(context.Context, string, time.Time, string, string, []byte) error { return nil },
		Audit:  audit, Event: func(string, string, bool) {}, Now: clock, Log: log,
		Alone: func(ctx context.Context, _ string, f func(context.Context) error) error { return f(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	desk.Followers = []cases.Named{{Name: "external", Follower: w.desk.External}}
	sourcecalls.Parts{Desk: w.desk}.Handle(w.Server)
	return w
}

// as is a call of somebody with a role.
func (w *world) as(role people.Role) context.Context {
	return people.With(w.t.Context(), people.Principal{Name: "somebody", Role: role})
}

// call makes a call and returns its kind of refusal, "" for none.
func (w *world) call(ctx context.Context, name string, params, result any) (control.Kind, string) {
	w.t.Helper()
	err := w.Call(ctx, name, params, result)
	var e *control.Error
	switch {
	case err == nil:
		return "", ""
	case !errors.As(err, &e):
		w.t.Fatalf("%s: %v", name, err)
	}
	return e.Kind, e.Message
}

// confirmed is a source that hit a trap and is confirmed.
func (w *world) confirmed() string {
	w.t.Helper()
	body := "Subject: x\r\n\r\ny\r\n"
	m := &filter.Message{ID: "01m", Time: w.now, Client: filter.Client{IP: netip.MustParseAddr(source), Port: 4000}, From: "a@b.example", To: []filter.Recipient{{Address: "trap@ours.test"}}, Body: strings.NewReader(body), Size: int64(len(body))}
	c, err := w.desk.Trapped(w.t.Context(), m, "trap@ours.test")
	if err != nil {
		w.t.Fatal(err)
	}
	if kind, text := w.call(w.as(people.Agent), "source.confirm", sourcecalls.Work{ID: c.ID, Reason: "it hit a trap"}, nil); kind != "" {
		w.t.Fatal(kind, text)
	}
	return c.ID
}

func TestWhoMayBlock(t *testing.T) {
	w := newWorld(t)
	id := w.confirmed()
	block := func(scope, value, rule string) sourcecalls.Work {
		return sourcecalls.Work{ID: id, Barred: "nobody is known", Block: order.Block{Scope: scope, Value: value, Rule: rule, Why: "spam", Until: w.now.Add(24 * time.Hour)}}
	}
	for name, c := range map[string]struct {
		role people.Role
		work sourcecalls.Work
		want string // of the refusal; "" = none
	}{
		"a host by an agent":       {people.Agent, block(order.ByIP, source, order.WhenQuiet), ""},
		"a network by an agent":    {people.Agent, block(order.ByNet, "198.51.100.0/24", order.WhenQuiet), "blocked by a lead"},
		"a network by a lead":      {people.Lead, block(order.ByNet, "198.51.100.0/24", order.ByReview), ""},
		"by an auditor":            {people.Auditor, block(order.ByIP, source, order.WhenQuiet), "does not work on cases"},
		"the rule of lists":        {people.Lead, block(order.ByIP, source, order.WhenDropped), "that of published lists"},
		"ours":                     {people.Lead, block(order.ByDomain, "ours.test", order.WhenQuiet), "our own"},
		"without a rule":           {people.Lead, block(order.ByIP, source, ""), "needs the rule by which it is lifted"},
		"a case that there is not": {people.Lead, sourcecalls.Work{ID: "A-2026-999999", Block: block(order.ByIP, source, order.WhenQuiet).Block}, "A-2026-999999"},
	} {
		var out sourcecalls.Shown
		if _, text := w.call(w.as(c.role), "source.block", c.work, &out); c.want == "" && (text != "" || !out.Source.Held || out.Case.ID != id) || !strings.Contains(text, c.want) || c.want != "" && text == "" {
			t.Errorf("%s: %q %+v", name, text, out.Source)
		}
	}
}

// Refusals are of the kind that a program can act on.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	id := w.confirmed()
	for name, c := range map[string]struct {
		call   string
		params any
		kind   control.Kind
	}{
		"no case":              {"source.show", sourcecalls.Paging{ID: "A-2026-999999"}, control.NotFound},
		"lift what is not":     {"source.lift", sourcecalls.Work{ID: id, Reason: "x"}, control.Conflict},
		"no evidence of it":    {"source.confirm", sourcecalls.Work{ID: id, Evidence: strings.Repeat("0", 64), Reason: "x"}, control.Conflict},
		"no contact":           {"contact.find", sourcecalls.Contact{About: source}, control.NotFound},
		"about nothing":        {"contact.find", sourcecalls.Contact{About: "a b"}, control.Invalid},
		"learn no address":     {"contact.learn", sourcecalls.Contact{About: source, Address: "x"}, control.Invalid},
		"opt out nobody":       {"contact.opt-out", sourcecalls.Contact{Address: "a b"}, control.Invalid},
		"forget nothing":       {"contact.forget", sourcecalls.Contact{ID: "learned-x"}, control.NotFound},
		"an empty list":        {"published.import", sourcecalls.Edition{List: "a", Published: w.now}, control.Conflict},
		"no edition":           {"published.show", sourcecalls.Edition{ID: "list-x"}, control.NotFound},
		"apply none":           {"published.apply", sourcecalls.Edition{ID: "list-x"}, control.NotFound},
		"drop none":            {"published.drop", sourcecalls.Edition{ID: "list-x"}, control.NotFound},
		"no listing":           {"listing.show", sourcecalls.Listing{ID: "l-x"}, control.NotFound},
		"cause of none":        {"listing.cause", sourcecalls.Listing{ID: "l-x", Cause: id}, control.NotFound},
		"send none":            {"listing.send", sourcecalls.Listing{ID: "l-x"}, control.NotFound},
		"removal of none":      {"listing.removal", sourcecalls.Listing{ID: "l-x"}, control.NotFound},
		"a field that is none": {"source.list", map[string]int{"lmit": 3}, control.Invalid},
	} {
		if kind, text := w.call(w.as(people.Lead), c.call, c.params, nil); kind != c.kind || text == "" {
			t.Errorf("%s: %q %q", name, kind, text)
		}
	}
}

func TestContactsAndPages(t *testing.T) {
	w := newWorld(t)
	id := w.confirmed()
	lead := w.as(people.Lead)
	var r contact.Record
	if kind, text := w.call(lead, "contact.learn", sourcecalls.Contact{About: "198.51.100.0/24", Address: "NOC@carrier.example", Form: "xarf"}, &r); kind != "" || r.Address != "noc@carrier.example" {
		t.Fatal(kind, text, r)
	}
	var found contact.Result
	if kind, text := w.call(lead, "contact.find", sourcecalls.Contact{About: source}, &found); kind != "" || found.Contact.Way != contact.Learned || found.Contact.Form != contact.XARF {
		t.Error(kind, text, found)
	}
	if kind, text := w.call(lead, "contact.opt-out", sourcecalls.Contact{Address: "carrier.example", Reason: "by phone"}, nil); kind != "" {
		t.Error(kind, text)
	}
	if kind, _ := w.call(lead, "contact.find", sourcecalls.Contact{About: source}, nil); kind != control.NotFound {
		t.Error("who opted out is found")
	}
	var all sourcecalls.Contacts
	if kind, text := w.call(w.as(people.Auditor), "contact.list", sourcecalls.Paging{}, &all); kind != "" || len(all.Contacts) != 2 {
		t.Error(kind, text, all)
	}
	if kind, text := w.call(lead, "contact.forget", sourcecalls.Contact{ID: r.ID}, nil); kind != "" {
		t.Error(kind, text)
	}
	var n external.Notice
	if kind, text := w.call(lead, "source.complain", sourcecalls.Work{ID: id}, &n); kind != "" || n.State != external.Barred {
		t.Error(kind, text, n)
	}
	var page sourcecalls.Sources
	if kind, text := w.call(w.as(people.Auditor), "source.list", sourcecalls.Paging{}, &page); kind != "" || len(page.Sources) != 1 || page.Sources[0].Case != id {
		t.Error(kind, text, page)
	}
	var lists sourcecalls.Listings
	if kind, text := w.call(lead, "listing.check", sourcecalls.Paging{}, &lists); kind != "" || lists.Listings == nil || lists.Tests == nil {
		t.Error(kind, text, lists)
	}
}
