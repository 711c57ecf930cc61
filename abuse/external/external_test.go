package external_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/complaint"
	"postern/abuse/external"
	"postern/abuse/external/contact"
	"postern/abuse/external/order"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/said"
)

const spam = "DKIM-Signature: v=1; d=news.example\r\nCFBL-Address: fbl@carrier.example; report=arf\r\nFrom: Anna <a@news.example>\r\nTo: user@ours.test\r\nSubject: Buy now\r\nMessage-ID: <1@news.example>\r\n\r\nBuy.\r\n"

var anna = cases.Actor{Name: "anna", Role: flow.Agent}

type letter struct{ from, to, text string }

type world struct {
	*external.Desk
	t       *testing.T
	cases   *cases.Desk
	home    *entities.Memory
	now     time.Time
	sent    map[string]letter
	blocked map[string]order.Block
	message external.Message
	fail    error
}

func (w *world) Block(_ context.Context, b order.Block, _ string) error {
	w.blocked[b.Scope+" "+b.Value] = b
	return w.fail
}

func (w *world) Unblock(_ context.Context, b order.Block, _ string) error {
	delete(w.blocked, b.Scope+" "+b.Value)
	return w.fail
}

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, home: &entities.Memory{}, now: time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC), sent: map[string]letter{}, blocked: map[string]order.Block{}}
	clock := func() time.Time { return w.now }
	audit := func(context.Context, string, string, string, any, any, string) error { return nil }
	w.home.Now = clock
	w.cases = &cases.Desk{Entities: w.home, Now: clock, Log: slog.New(slog.DiscardHandler), Calendars: func() *calendar.Set { return set }, Audit: audit, Alarm: func(context.Context, cases.Alarm) {}}
	w.message = external.Message{
		Raw: []byte(spam), MailFrom: "bounce@news.example", RcptTo: []string{"user@ours.test"}, IP: netip.MustParseAddr("198.51.100.7"), Port: 40001,
		Arrival: w.now.Add(-time.Hour), Domain: "news.example", Signed: true, AuthResult: "mx.ours.test; dkim=pass header.d=news.example",
	}
	w.Desk = &external.Desk{
		Home: w.home, Cases: w.cases, Lists: w, Contacts: &contact.Finder{Store: w.home, Now: clock}, Observer: &external.Observer{},
		Protected: func() order.Protected {
			return order.Protected{Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Domains: []string{"ours.test"}}
		},
		Message: func(context.Context, cases.Case) (external.Message, error) {
			if w.message.Raw == nil {
				return w.message, external.ErrMessage
			}
			return w.message, nil
		},
		Alias: func(id string) string { return strings.ToLower(id) + "@abuse.ours.test" }, Name: "Ours", Host: "mx.ours.test", Agent: "postern/1",
		Submit: func(_ context.Context, id string, _ time.Time, from, to string, m []byte) error {
			w.sent[id] = letter{from, to, string(m)}
			return w.fail
		},
		Audit: audit, Now: clock, Log: slog.New(slog.DiscardHandler),
	}
	w.cases.Followers = []cases.Named{{Name: "external", Follower: w.Desk}}
	return w
}

func (w *world) sight(g external.Ground) (cases.Case, string) {
	w.t.Helper()
	sum, _, err := w.home.PutBlob(context.Background(), entity.Evidence, bytes.NewReader([]byte(spam+w.now.String())))
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.Sight(w.t.Context(), cases.Machine(), external.Sighting{
		IP: w.message.IP, Port: 40001, Domain: "news.example", Account: "bounce@news.example", At: w.now, Ground: g, Evidence: cases.Evidence{Class: entity.Evidence, Sum: sum, Name: "message"},
	}, said.Typed("seen"))
	if err != nil {
		w.t.Fatal(err)
	}
	return c, sum
}

func (w *world) report(id string) cases.Case {
	w.t.Helper()
	c, err := w.cases.Attach(w.t.Context(), cases.Complaint{
		Report: id, At: w.now, Kind: cases.External, SourceIP: w.message.IP, SourcePort: 40001, SourceDomain: "news.example", SourceTime: w.now, Reporter: "user@ours.test", Trust: 1, Person: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.settle()
	return c
}

func (w *world) settle() {
	w.t.Helper()
	for range 3 {
		if err := errors.Join(w.cases.Tick(w.t.Context()), w.Tick(w.t.Context())); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) state(id string, want flow.State) {
	w.t.Helper()
	c, err := w.cases.Get(w.t.Context(), id)
	if err != nil || c.State != want {
		w.t.Fatalf("%s is %s %v, want %s", id, c.State, err, want)
	}
}

// A case that only our filters speak for is not complained of; a user's report makes it one.
func TestContentAloneIsNoGround(t *testing.T) {
	for _, g := range []external.Ground{external.Content, external.SPF} {
		w := newWorld(t)
		c, _ := w.sight(g)
		_, err := w.Confirm(t.Context(), anna, c.ID, "", said.Typed("it looks like spam"))
		if !errors.Is(err, external.ErrGround) || !strings.Contains(err.Error(), "RFC 6650 section 5.2") {
			t.Fatal(err)
		}
		if _, err = w.Complain(t.Context(), anna, c.ID); !errors.Is(err, external.ErrGround) || len(w.sent) != 0 {
			t.Fatal(err, w.sent)
		}
		w.report("r1")
		if _, err = w.Confirm(t.Context(), anna, c.ID, "", said.Typed("a user reported it")); err != nil {
			t.Fatal(err)
		}
		n, err := w.Complain(t.Context(), anna, c.ID)
		if err != nil || n.State != external.Sent || n.To != "fbl@carrier.example" || n.Way != "cfbl" {
			t.Fatalf("%+v %v", n, err)
		}
		w.state(c.ID, flow.Notified)
		sent := w.sent[n.ID]
		rep := complaint.Parse([]byte(sent.text), complaint.Options{})
		if rep.Format != complaint.ARF && rep.Format != complaint.CFBL || rep.Claims.SourcePort != 40001 || rep.Claims.SourceIP != w.message.IP || string(rep.Original) != strings.TrimSuffix(spam, "\r\n")+"\r\n" {
			t.Errorf("%+v", rep)
		}
		for _, want := range []string{"Subject: FW: Buy now", "Source-Port: 40001", "To: <fbl@carrier.example>", "From: <" + strings.ToLower(c.ID) + "@abuse.ours.test>", "STOP", "Incidents: 1"} {
			if !strings.Contains(sent.text, want) {
				t.Errorf("%q is not in\n%s", want, sent.text)
			}
		}
	}
}

func TestAnAgentNamesEvidence(t *testing.T) {
	w := newWorld(t)
	c, sum := w.sight(external.Content)
	if _, err := w.Confirm(t.Context(), anna, c.ID, strings.Repeat("0", 64), said.Typed("x")); !errors.Is(err, external.ErrGround) {
		t.Error(err)
	}
	if _, err := w.Confirm(t.Context(), anna, c.ID, sum, said.Typed("I read it")); err != nil {
		t.Fatal(err)
	}
	w.state(c.ID, flow.Confirmed)
	if _, err := w.Confirm(t.Context(), anna, c.ID, "", said.Typed("again")); err != nil {
		t.Error(err)
	}
	local, err := w.cases.Open(t.Context(), anna, cases.Opening{Account: "a@ours.test", Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Complain(t.Context(), anna, local.ID); !errors.Is(err, external.ErrGround) {
		t.Error(err)
	}
}

// From detected to lifted, back by one hit, with twice the hold each time.
func TestLife(t *testing.T) {
	w := newWorld(t)
	w.Automatic = true
	c, _ := w.sight(external.Trap)
	w.settle()
	w.state(c.ID, flow.Blocked)
	b, ok := w.blocked["ip 198.51.100.7"]
	if !ok || b.Rule != order.WhenQuiet || b.Until.IsZero() || b.By == "" || b.Why == "" || len(w.sent) != 1 {
		t.Fatalf("%+v %d", w.blocked, len(w.sent))
	}
	for round, hold := range []int{7, 14, 28} {
		for range hold * 2 { // it keeps trying, twice a day
			w.now = w.now.Add(12 * time.Hour)
			if v := w.Observer.Seen(w.message.IP, "x@y.example"); v.Case != c.ID || v.HalfOpen {
				t.Fatalf("round %d: %+v", round, v)
			}
			if err := w.Observer.Flush(t.Context(), w.Desk, w.now); err != nil {
				t.Fatal(err)
			}
			w.settle()
		}
		w.state(c.ID, flow.Blocked)
		for range hold - 1 {
			w.now = w.now.Add(24 * time.Hour)
			w.settle()
			if len(w.blocked) != 1 {
				t.Fatalf("round %d: %v", round, w.blocked)
			}
		}
		w.now = w.now.Add(25 * time.Hour)
		w.settle()
		w.state(c.ID, flow.HalfOpen)
		if len(w.blocked) != 0 {
			t.Fatal(w.blocked)
		}
		admitted := 0
		for range 100 {
			if v := w.Observer.Seen(w.message.IP, ""); v.HalfOpen && v.Admit {
				admitted++
			}
		}
		if admitted != 10 {
			t.Errorf("%d of 100 were let in", admitted)
		}
		if round == 2 {
			break
		}
		w.now = w.now.Add(time.Hour)
		if round%2 == 0 {
			w.sight(external.Trap)
		} else {
			w.report(fmt.Sprint("r", round))
		}
		w.state(c.ID, flow.Blocked)
		if src, err := w.Get(t.Context(), c.ID); err != nil || src.Hold != min(hold*2, 28) || len(w.blocked) != 1 {
			t.Fatalf("round %d: %+v %v", round, src, err)
		}
	}
	w.now = w.now.Add(47 * time.Hour)
	w.settle()
	w.state(c.ID, flow.HalfOpen)
	w.now = w.now.Add(time.Hour)
	w.settle()
	w.state(c.ID, flow.Lifted)
	if v := w.Observer.Seen(w.message.IP, ""); v.Case != "" {
		t.Errorf("%+v", v)
	}
}

func TestOrders(t *testing.T) {
	w := newWorld(t)
	c, _ := w.sight(external.Trap)
	good := order.Block{Scope: order.ByNet, Value: "198.51.100.77/24", Rule: order.ByReview, Why: "spam", Until: w.now.Add(72 * time.Hour)}
	if _, err := w.Desk.Block(t.Context(), anna, c.ID, good, ""); !errors.Is(err, order.ErrBlock) {
		t.Fatal("blocked before it was confirmed", err)
	}
	if _, err := w.Confirm(t.Context(), anna, c.ID, "", said.Typed("trap")); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*order.Block){
		"rule":            func(b *order.Block) { b.Rule = "" },
		"reason":          func(b *order.Block) { b.Why = " " },
		"366 days":        func(b *order.Block) { b.Until = time.Time{} },
		"scope":           func(b *order.Block) { b.Scope = "planet" },
		"larger than /16": func(b *order.Block) { b.Value = "198.0.0.0/8" },
		"a partner's":     func(b *order.Block) { b.Value = "203.0.113.9/32" },
		"Internet":        func(b *order.Block) { b.Value = "10.0.0.0/24" },
		"no address":      func(b *order.Block) { b.Value = "x" },
		"own or":          func(b *order.Block) { b.Scope, b.Value = order.ByDomain, "Mail.Ours.test." },
		"no domain":       func(b *order.Block) { b.Scope, b.Value = order.ByDomain, "-" },
		"is our own":      func(b *order.Block) { b.Scope, b.Value = order.ByFrom, "a@ours.test" },
	} {
		b := good
		change(&b)
		if _, err := w.Desk.Block(t.Context(), anna, c.ID, b, ""); !errors.Is(err, order.ErrBlock) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := w.Desk.Block(t.Context(), anna, c.ID, good, "it could not wait"); err != nil {
		t.Fatal(err)
	}
	if b, ok := w.blocked["net 198.51.100.0/24"]; !ok || b.By != "anna" {
		t.Fatalf("%v", w.blocked)
	}
	// A person has to look: it is renewed and said, never lifted by itself.
	w.now = w.now.Add(50 * time.Hour)
	w.settle()
	if b := w.blocked["net 198.51.100.0/24"]; b.Until.Before(w.now.Add(6 * 24 * time.Hour)) {
		t.Errorf("%+v", b)
	}
	// Another order takes the place of the first.
	other := order.Block{Scope: order.ByDomain, Value: "News.example", Rule: order.WhenQuiet, Why: "spam", Until: w.now.Add(72 * time.Hour)}
	if _, err := w.Desk.Block(t.Context(), anna, c.ID, other, ""); err != nil || len(w.blocked) != 1 {
		t.Fatal(err, w.blocked)
	}
	if v := w.Observer.Seen(netip.MustParseAddr("192.0.2.1"), "a@mail.news.example"); v.Case != c.ID {
		t.Errorf("%+v", v)
	}
	if _, err := w.Lift(t.Context(), anna, c.ID, "the customer was removed"); err != nil || len(w.blocked) != 0 {
		t.Fatal(err, w.blocked)
	}
	w.state(c.ID, flow.HalfOpen)
}

func TestThinning(t *testing.T) {
	w := newWorld(t)
	c, _ := w.sight(external.Trap)
	if _, err := w.Confirm(t.Context(), anna, c.ID, "", said.Typed("trap")); err != nil {
		t.Fatal(err)
	}
	told := 0
	for range 115 {
		if n, err := w.Complain(t.Context(), anna, c.ID); err != nil {
			t.Fatal(err)
		} else if n.State == external.Sent {
			told++
		}
		w.now = w.now.Add(time.Second)
		w.sight(external.Trap)
	}
	if told != 10+9 || len(w.sent) != told { // 1..10, 20..100
		t.Errorf("told %d times, %d sent", told, len(w.sent))
	}
	found := false
	for _, l := range w.sent {
		found = found || strings.Contains(l.text, "Incidents: 100\r\n")
	}
	if !found {
		t.Error("no report says how many incidents it stands for")
	}
}

func TestNobodyToTell(t *testing.T) {
	w := newWorld(t)
	w.message.Signed = false
	w.Body = external.Body{Address: "report@body.example", Form: "text", Language: "zh"}
	w.Contacts.DNS = noDNS{}
	c, _ := w.sight(external.Trap)
	if _, err := w.Confirm(t.Context(), anna, c.ID, "", said.Typed("trap")); err != nil {
		t.Fatal(err)
	}
	n, err := w.Complain(t.Context(), anna, c.ID)
	if err != nil || n.State != external.Barred || n.Why != "no contact was found" || len(n.Tried) == 0 {
		t.Fatalf("%+v %v", n, err)
	}
	w.state(c.ID, flow.Notified)
	if len(w.sent) != 1 {
		t.Fatal("the national body was not told")
	}
	for _, l := range w.sent {
		if l.to != "report@body.example" || !strings.Contains(l.text, "Content-Language: zh") {
			t.Errorf("%+v", l)
		}
	}
	w.message.Raw = nil
	if n, err = w.Complain(t.Context(), anna, c.ID); err != nil || n.Why != "no message of it is kept" {
		t.Errorf("%+v %v", n, err)
	}
}

type noDNS struct{}

var errDNS = errors.New("no")

func (noDNS) TXT(context.Context, string) ([]string, error)     { return nil, errDNS }
func (noDNS) PTR(context.Context, netip.Addr) ([]string, error) { return nil, errDNS }
func (noDNS) IPs(context.Context, string) ([]netip.Addr, error) { return nil, errDNS }

// What fails in between is finished later, and goes out once.
func TestAfterAFailure(t *testing.T) {
	w := newWorld(t)
	w.Automatic = true
	w.message.Raw = []byte(strings.Replace(spam, "report=arf", "report=xarf", 1))
	c, _ := w.sight(external.Trap)
	w.fail = errors.New("down")
	if err := w.Tick(t.Context()); err == nil {
		t.Fatal("the failure was swallowed")
	}
	w.fail = nil
	w.settle()
	w.state(c.ID, flow.Blocked)
	all, _, err := w.Notices(t.Context(), c.ID, "", 10)
	if err != nil || len(all) != 1 || all[0].State != external.Sent || all[0].Form != "xarf" || len(w.sent) != 1 {
		t.Fatalf("%+v %v", all, err)
	}
	rep := complaint.Parse([]byte(w.sent[all[0].ID].text), complaint.Options{})
	if rep.Format != complaint.XARF4 {
		t.Errorf("%s %v", rep.Format, rep.Problems)
	}
	if ours, err := w.Bounced(t.Context(), all[0].MessageID, "550 no such user"); !ours || err != nil {
		t.Error(ours, err)
	}
	if ours, err := w.Bounced(t.Context(), "<other>", ""); ours || err != nil {
		t.Error(ours, err)
	}
}

// A person who works on the case alone gets what its state says.
func TestMovedByHand(t *testing.T) {
	w := newWorld(t)
	c := w.report("r1")
	ctx := t.Context()
	if c.State != flow.Detected {
		t.Fatal(c.State)
	}
	sum, _, err := w.home.PutBlob(ctx, entity.Evidence, strings.NewReader(spam))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.cases.AddEvidence(ctx, anna, c.ID, cases.Evidence{Class: entity.Evidence, Sum: sum, Name: "x"}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []flow.State{flow.Confirmed, flow.Blocked} {
		if _, err := w.cases.Move(ctx, anna, c.ID, cases.Request{To: to, Reason: "by hand", Barred: "it could not wait"}); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	if len(w.blocked) != 1 {
		t.Fatal(w.blocked)
	}
	all, _, err := w.List(ctx, external.Query{Limit: 10})
	if err != nil || len(all) != 1 || all[0].Case != c.ID {
		t.Error(all, err)
	}
}
