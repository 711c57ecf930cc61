package guarantee_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/guarantee"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/said"
)

var (
	monday = time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)
	anna   = cases.Actor{Name: "anna", Role: flow.Agent}
	boris  = cases.Actor{Name: "boris", Role: flow.Agent}
	chief  = cases.Actor{Name: "chief", Role: flow.Lead}
)

type trials struct{ said []string }

func (t *trials) Begin(_ context.Context, r guarantee.Ramp) error {
	t.said = append(t.said, fmt.Sprintf("begin %s %d", r.Account, r.Share(r.From, time.Time{})))
	return nil
}

func (t *trials) End(_ context.Context, r guarantee.Ramp, kept bool) error {
	t.said = append(t.said, fmt.Sprintf("end %s %v", r.Account, kept))
	return nil
}

type world struct {
	guarantee.Office
	home   *entities.Memory
	now    time.Time
	trials trials
	audit  []string
	offers []int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{home: &entities.Memory{}, now: monday}
	clock := func() time.Time { return w.now }
	audit := func(_ context.Context, actor, action, object string, _, _ any, note string) error {
		w.audit = append(w.audit, actor+" "+action+" "+note)
		return nil
	}
	log := slog.New(slog.DiscardHandler)
	desk := &cases.Desk{Entities: w.home, Now: clock, Log: log, Calendars: func() *calendar.Set { return set }, Audit: audit}
	w.Office = guarantee.Office{
		Entities: w.home, Desk: desk, Trials: &w.trials, Now: clock, Log: log, Audit: audit,
		Offer: func(_ context.Context, _, _ string, strikes int) { w.offers = append(w.offers, strikes) },
	}
	desk.Followers = []cases.Named{{Name: "guarantee", Follower: &w.Office}}
	return w
}

// suspended is a case whose account may not send.
func (w *world) suspended(t *testing.T, account string) string {
	t.Helper()
	ctx := t.Context()
	c, err := w.Desk.Attach(ctx, cases.Complaint{
		Report: "r-" + account, At: w.now, Raw: strings.Repeat("a", 64), Grade: 4, Account: account, Serial: "s", Copy: "c", Accepted: 1, Votes: 100,
		Client: netip.MustParseAddrPort("203.0.113.7:51514"), SentAt: w.now, Person: true, Trust: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Desk.SetCategories(ctx, anna, c.ID, []cases.Category{"S1"}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []cases.Request{{To: flow.Verified, Reason: "seen"}, {To: flow.Suspended, Reason: "stop", Measure: "M-1", Level: 5}} {
		if _, err := w.Desk.Move(ctx, anna, c.ID, r); err != nil {
			t.Fatal(err)
		}
	}
	return c.ID
}

func form() guarantee.Form {
	return guarantee.Form{Company: "Acme", Scope: guarantee.Mailbox, Covers: "a@a.test", Signer: "A. Director", Contact: "it@a.test", Phone: "+86 10 1234", Date: monday}
}

// complete is a pack that lacks nothing.
func (w *world) complete(t *testing.T, caseID string) guarantee.Pack {
	t.Helper()
	p, err := w.New(t.Context(), anna, caseID, form())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range guarantee.Parts() {
		if p, err = w.Upload(t.Context(), anna, p.ID, part, "scan.pdf", strings.NewReader("the "+string(part)+" of "+caseID)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func state(t *testing.T, w *world, id string) flow.State {
	t.Helper()
	c, err := w.Desk.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c.State
}

func TestAnIncompletePackNamesWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.suspended(t, "a@a.test")
	f := form()
	f.Scope = ""
	p, err := w.New(ctx, anna, id, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []guarantee.Part{guarantee.Letter, guarantee.Suspension} {
		if p, err = w.Upload(ctx, anna, p.ID, part, "x", strings.NewReader(string(part))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = w.Submit(ctx, anna, p.ID); !errors.Is(err, dossier.ErrNeeds) || !strings.Contains(err.Error(), "licence copy, scope missing") {
		t.Errorf("%v", err)
	}
	if state(t, w, id) != flow.Suspended {
		t.Error("the account came back")
	}
	for _, broken := range []guarantee.Form{{Scope: "house"}, {Scope: guarantee.Mailbox, Covers: "no address"}, {Scope: guarantee.Domain, Covers: "no domain"}, {Company: strings.Repeat("x", 301)}} {
		if _, err := w.Fill(ctx, anna, p.ID, broken); !errors.Is(err, dossier.ErrInvalid) {
			t.Errorf("%+v: %v", broken, err)
		}
	}
	if _, err := w.Upload(ctx, anna, p.ID, "photo", "x", strings.NewReader("x")); !errors.Is(err, dossier.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if _, err := w.Upload(ctx, anna, p.ID, guarantee.Licence, "x", strings.NewReader("")); !errors.Is(err, dossier.ErrInvalid) {
		t.Errorf("an empty paper: %v", err)
	}
	if _, err := w.Upload(ctx, anna, p.ID, guarantee.Licence, "x", io.LimitReader(zeros{}, guarantee.MaxFile+1)); !errors.Is(err, dossier.ErrInvalid) {
		t.Errorf("a paper too large: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestASecondPersonApproves(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.suspended(t, "a@a.test")
	p := w.complete(t, id)
	if _, err := w.Approve(ctx, boris, p.ID, "fine"); !errors.Is(err, dossier.ErrState) {
		t.Errorf("approved before it was handed in: %v", err)
	}
	if _, err := w.Submit(ctx, anna, p.ID); err != nil || state(t, w, id) != flow.GuaranteeIn {
		t.Fatalf("%s %v", state(t, w, id), err)
	}
	if _, err := w.Approve(ctx, anna, p.ID, "fine"); !errors.Is(err, dossier.ErrRole) {
		t.Errorf("approved by who brought it in: %v", err)
	}
	if _, err := w.Desk.Move(ctx, boris, id, cases.Request{To: flow.Probation, Reason: "past the office"}); !errors.Is(err, dossier.ErrNeeds) {
		t.Errorf("%v", err)
	}
	p, err := w.Approve(ctx, boris, p.ID, "fine")
	if err != nil || p.State != guarantee.Approved || state(t, w, id) != flow.Probation || p.TrialUntil.Sub(monday) != 30*24*time.Hour {
		t.Fatalf("%+v %s %v", p, state(t, w, id), err)
	}
	if _, err := w.Approve(ctx, boris, p.ID, "fine"); err != nil { // the same again ends as it did
		t.Error(err)
	}
	if w.trials.said[0] != "begin a@a.test 20" {
		t.Errorf("%v", w.trials.said)
	}
	w.now = monday.Add(30 * 24 * time.Hour)
	if err := w.Desk.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	if p, _ = w.Get(ctx, p.ID); p.State != guarantee.Kept || state(t, w, id) != flow.Resolved {
		t.Errorf("after 30 days: %s %s", p.State, state(t, w, id))
	}
	if last := w.trials.said[len(w.trials.said)-1]; last != "end a@a.test true" {
		t.Errorf("%v", w.trials.said)
	}
}

func TestARepeatOffersTheEndAndDoesNothing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.suspended(t, "a@a.test")
	for strike := 2; strike <= 3; strike++ { // the first is what the guarantee was given for
		w.now = w.now.Add(time.Hour)
		p := w.complete(t, id)
		if _, err := w.Submit(ctx, anna, p.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Approve(ctx, boris, p.ID, "fine"); err != nil {
			t.Fatal(err)
		}
		c, err := w.Break(ctx, cases.Machine(), id, "M-2", 3, said.Typed("P4 vote and spam trap"))
		if err != nil || c.State != flow.Suspended || c.Strikes != strike {
			t.Fatalf("%s, %d strikes, %v", c.State, c.Strikes, err)
		}
		if p, _ = w.Get(ctx, p.ID); p.State != guarantee.Broken || p.Strike != strike {
			t.Errorf("%+v", p)
		}
	}
	if len(w.offers) == 0 || w.offers[0] != 2 {
		t.Errorf("%v", w.offers)
	}
	end := cases.Request{To: flow.Terminated, Reason: "second strike"}
	if _, err := w.Desk.Move(ctx, chief, id, end); !errors.Is(err, dossier.ErrNeeds) {
		t.Errorf("one person ended an account: %v", err)
	}
	if _, err := w.Desk.ProposeEnd(ctx, chief, id, "second strike", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Desk.Move(ctx, chief, id, end); !errors.Is(err, dossier.ErrNeeds) {
		t.Errorf("the same person twice: %v", err)
	}
	other := cases.Actor{Name: "deputy", Role: flow.Lead}
	if _, err := w.Desk.Move(ctx, anna, id, end); !errors.Is(err, dossier.ErrRole) {
		t.Errorf("an agent: %v", err)
	}
	if c, err := w.Desk.Move(ctx, other, id, end); err != nil || c.State != flow.Terminated {
		t.Errorf("%s %v", c.State, err)
	}
}

func TestRefusedAndOverridden(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.suspended(t, "a@a.test")
	p := w.complete(t, id)
	if _, err := w.Submit(ctx, anna, p.ID); err != nil {
		t.Fatal(err)
	}
	if p, err := w.Refuse(ctx, boris, p.ID, "no seal"); err != nil || p.State != guarantee.Refused || state(t, w, id) != flow.Suspended {
		t.Fatalf("%+v %v", p, err)
	}
	w.now = w.now.Add(time.Minute)
	if again := w.complete(t, id); again.ID == p.ID || again.State != guarantee.Draft {
		t.Errorf("%+v", again)
	}
	if _, err := w.Desk.Move(ctx, chief, id, cases.Request{To: flow.Resolved, Reason: "customer is nice"}); !errors.Is(err, dossier.ErrNeeds) {
		t.Errorf("M5 went without a guarantee: %v", err)
	}
	if _, err := w.Override(ctx, anna, id, "because"); !errors.Is(err, dossier.ErrRole) {
		t.Errorf("%v", err)
	}
	if c, err := w.Override(ctx, chief, id, "court order"); err != nil || c.State != flow.Resolved {
		t.Fatalf("%s %v", c.State, err)
	}
	if last := w.audit[len(w.audit)-1]; !strings.Contains(last, "chief case-state court order") {
		t.Errorf("%s", last)
	}
}

func TestTheRamp(t *testing.T) {
	r := guarantee.Ramp{From: monday, Until: monday.AddDate(0, 0, 30)}
	for days, want := range map[int]int{0: 20, 2: 20, 3: 40, 6: 80, 9: 100, 29: 100, 30: 100} {
		if got := r.Share(monday.AddDate(0, 0, days), time.Time{}); got != want {
			t.Errorf("day %d: %d %%, want %d", days, got, want)
		}
	}
	if got := r.Share(monday.AddDate(0, 0, 10), monday.AddDate(0, 0, 6)); got != 40 {
		t.Errorf("four days after a hit: %d %%", got)
	}
}

type purger struct{ asked []string }

func (p *purger) Purge(_ context.Context, account string, _ time.Time) (string, error) {
	p.asked = append(p.asked, account)
	return "the send log of " + account, nil
}

func TestNothingIsPurgedBeforeNinetyDays(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.suspended(t, "a@a.test")
	p := w.complete(t, id)
	locked := w.now
	room := &purger{}
	w.now = locked.Add(guarantee.KeepFor - time.Second)
	if _, err := w.Purge(ctx, chief, id, "end of contract", room); !errors.Is(err, dossier.ErrState) || !strings.Contains(err.Error(), "is kept until 2026-09-06") {
		t.Errorf("%v", err)
	}
	w.now = locked.Add(guarantee.KeepFor)
	if _, err := w.Purge(ctx, anna, id, "end of contract", room); !errors.Is(err, dossier.ErrRole) {
		t.Errorf("%v", err)
	}
	if _, err := w.Desk.Hold(ctx, anna, id, true, "police"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Purge(ctx, chief, id, "end of contract", room); !errors.Is(err, dossier.ErrState) || !strings.Contains(err.Error(), "legal hold") {
		t.Errorf("%v", err)
	}
	if _, err := w.Desk.Hold(ctx, anna, id, false, "over"); !errors.Is(err, dossier.ErrRole) {
		t.Errorf("an agent ended a legal hold: %v", err)
	}
	if _, err := w.Desk.Hold(ctx, chief, id, false, "over"); err != nil {
		t.Fatal(err)
	}
	cert, err := w.Purge(ctx, chief, id, "end of contract", room)
	if err != nil || !cert.Valid() || len(cert.What) != 4 || len(room.asked) != 1 {
		t.Fatalf("%+v %v", cert, err)
	}
	if _, err := w.home.Blob(ctx, entity.Papers, p.Files[guarantee.Letter].Sum); !errors.Is(err, entity.ErrNotFound) {
		t.Errorf("the letter is still there: %v", err)
	}
	again, err := w.Purge(ctx, chief, id, "again", room)
	if err != nil || again.Sum != cert.Sum || len(room.asked) != 1 {
		t.Errorf("%+v %v", again, err)
	}
	cert.Account = "other@a.test"
	if cert.Valid() {
		t.Error("a certificate that was changed is valid")
	}
	if all, _, err := w.Certificates(ctx, "A@a.test", "", 10); err != nil || len(all) != 1 {
		t.Errorf("%d %v", len(all), err)
	}
}
