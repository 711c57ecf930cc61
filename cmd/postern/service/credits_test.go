package service_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/abuse/second"
	"postern/abuse/service/credit"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/cmd/postern/service"
	"postern/internal/control"
	"postern/internal/people"
)

// after is in July: June is over.
var after = time.Date(2026, 7, 2, 12, 0, 0, 0, time.UTC)

// down has a door of June shut for so many minutes, and moves the clock behind the month.
func (w *world) down(minutes int) {
	for i := range 300 {
		var err error
		if i < minutes {
			err = errors.New("no answer")
		}
		w.desk.Book.Probed("smtp-in", noon.Add(time.Duration(i)*time.Minute), err)
	}
	w.now = after
}

func as(t *testing.T, name string) context.Context {
	t.Helper()
	return people.With(t.Context(), people.Principal{Name: name, Role: people.Lead})
}

func (w *world) call(t *testing.T, ctx context.Context, name string, params, result any) {
	t.Helper()
	if err := w.server.Call(ctx, name, params, result); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func (w *world) credits(t *testing.T) map[string]credit.Credit {
	t.Helper()
	var p credit.Page
	w.call(t, t.Context(), "service.credits", service.CreditQuery{Month: "2026-06"}, &p)
	out := map[string]credit.Credit{}
	for _, c := range p.Credits {
		out[c.Figure] = c
	}
	return out
}

func (w *world) refused(t *testing.T, ctx context.Context, name string, params any, kind control.Kind) {
	t.Helper()
	var e *control.Error
	if err := w.server.Call(ctx, name, params, nil); !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("%s: %v, want %s", name, err, kind)
	}
}

// A report of a month that is over drafts what it owes; an exclusion that is approved afterwards
// takes a draft away, and says of an approved one that it is contradicted.
func TestExclusionAfterTheMonth(t *testing.T) {
	w := start(t)
	w.down(45)
	w.now = noon.Add(6 * time.Hour)
	w.figures(t)
	if all := w.credits(t); len(all) > 0 {
		t.Errorf("before the month was over: %v", all)
	}
	w.now = after
	w.figures(t)
	drafts := w.credits(t)
	if drafts["unreached-minutes"].State != credit.Draft || drafts["reachability"].State != credit.Draft || drafts["billing-error"].ID != "" {
		t.Fatalf("%+v", drafts)
	}
	id := drafts["unreached-minutes"].ID
	w.refused(t, as(t, "lea"), "service.credit-approve", service.CreditDecision{ID: id}, control.Invalid)
	w.refused(t, as(t, "lea"), "service.credit", service.CreditDecision{ID: "c-none"}, control.NotFound)
	w.refused(t, as(t, "lea"), "service.credits", service.CreditQuery{State: "paid"}, control.Invalid)
	var c credit.Credit
	w.call(t, as(t, "lea"), "service.credit-approve", service.CreditDecision{ID: id, Why: "it was so"}, &c)
	if c.State != credit.Approved || c.Decided != "lea" || *c.Value != 45 {
		t.Errorf("%+v", c)
	}
	var x exclusion.Exclusion
	w.call(t, as(t, "lea"), "service.exclude", exclusion.Exclusion{Class: "c", From: noon, To: noon.Add(time.Hour), Reason: "a flood"}, &x)
	if now := w.credits(t); now["reachability"].State != credit.Draft {
		t.Errorf("proposed only: %+v", now)
	}
	w.call(t, as(t, "lee"), "service.approve", service.Decision{ID: x.ID}, &x)
	now := w.credits(t)
	if c := now["unreached-minutes"]; c.State != credit.Approved || c.Contradicted == nil || *c.Contradicted.Value != 0 || c.Contradicted.Exclusions[0] != x.ID {
		t.Errorf("%+v", c)
	}
	if c := now["reachability"]; c.State != credit.Withdrawn || !strings.Contains(c.Why, x.ID) {
		t.Errorf("%+v", c)
	}
	w.refused(t, as(t, "lee"), "service.credit-refuse", service.CreditDecision{ID: now["reachability"].ID, Why: "no"}, control.Conflict)
	w.call(t, as(t, "lee"), "service.withdraw", service.Decision{ID: x.ID, Why: "it was ours"}, &x)
	if now := w.credits(t); now["unreached-minutes"].Contradicted != nil || now["reachability"].State != credit.Draft {
		t.Errorf("%+v", now)
	}
	var r month.Report
	w.call(t, t.Context(), "service.report", service.Ask{Month: "2026-06"}, &r)
	if len(r.Credits) != len(drafts) {
		t.Errorf("%+v", r.Credits)
	}
}

func lead(name string) second.Person { return second.Person{Name: name, User: true, Lead: true} }

// What waives a fee waits for another person; the machine's own people may break the glass.
func TestFeeOfTwo(t *testing.T) {
	w := start(t)
	w.now = after
	for _, figure := range []string{"first", "second"} {
		w.settle(t, figure, credit.Broken)
	}
	const id = "c-2026-06-first"
	var c credit.Credit
	w.call(t, as(t, "lea"), "service.credit-approve", service.CreditDecision{ID: id, Why: "old"}, &c)
	if c.State != credit.Draft || c.Asked == nil {
		t.Fatalf("%+v", c)
	}
	w.refused(t, as(t, "lea"), "service.credit-approve", service.CreditDecision{ID: id, Why: "old"}, control.Conflict)
	if _, err := w.second.Approve(t.Context(), lead("lea"), c.Asked.Proposal, "", ""); err == nil {
		t.Error("her own")
	}
	if _, err := w.second.Refuse(t.Context(), lead("lee"), c.Asked.Proposal, "which?"); err != nil {
		t.Error(err)
	}
	w.call(t, as(t, "lea"), "service.credit-approve", service.CreditDecision{ID: id, Why: "this one"}, &c)
	if p, err := w.second.Approve(t.Context(), lead("lee"), c.Asked.Proposal, "", ""); err != nil || !p.Done {
		t.Errorf("%+v %v", p, err)
	}
	if c = w.credits(t)["first"]; c.State != credit.Approved || c.Decided != "lee" || c.Why != "this one" {
		t.Errorf("%+v", c)
	}
	if err := w.desk.ApprovedCredit(t.Context(), second.Proposal{ID: c.Asked.Proposal, Object: id, Decided: &second.Decision{By: "lee"}}); err != nil {
		t.Error("the same proposal again:", err)
	}
	w.refused(t, as(t, "lea"), "service.credit-approve", service.CreditDecision{ID: "c-2026-06-second", Why: "x", BreakGlass: "alone"}, control.Conflict)
	w.call(t, control.WithActor(t.Context(), "unix:root"), "service.credit-approve", service.CreditDecision{ID: "c-2026-06-second", Why: "x", BreakGlass: "alone"}, &c)
	if c.State != credit.Approved || c.Decided != "break-glass by unix:root" {
		t.Errorf("%+v", c)
	}
}

// A credit that is decided without its proposal leaves none that waits: refused by a person,
// approved by who broke the glass, or gone with its breach, at once or when the proposals are
// looked after.
func TestNoProposalOutlivesItsCredit(t *testing.T) {
	w := start(t)
	w.now = after
	ask := func(figure string) string {
		t.Helper()
		w.settle(t, figure, credit.Broken)
		var c credit.Credit
		w.call(t, as(t, "lea"), "service.credit-approve", service.CreditDecision{ID: credit.ID("2026-06", figure), Why: "owed"}, &c)
		return c.Asked.Proposal
	}
	ended := func(id string, state second.State, by, why string) {
		t.Helper()
		p, err := w.second.Get(t.Context(), id)
		if err != nil || p.State != state || p.Decided == nil || p.Decided.By != by || !strings.Contains(p.Decided.Reason, why) {
			t.Errorf("%+v %+v %v", p, p.Decided, err)
		}
		if _, err := w.second.Approve(t.Context(), lead("lee"), id, "", ""); !errors.Is(err, second.ErrOver) {
			t.Error(err)
		}
	}
	refused, alone, gone, waits := ask("refused"), ask("alone"), ask("gone"), ask("waits")
	w.call(t, as(t, "lee"), "service.credit-refuse", service.CreditDecision{ID: "c-2026-06-refused", Why: "it was maintenance"}, nil)
	ended(refused, second.Refused, "lee", "maintenance")
	w.call(t, control.WithActor(t.Context(), "unix:root"), "service.credit-approve", service.CreditDecision{ID: "c-2026-06-alone", Why: "a holiday", BreakGlass: "nobody is here"}, nil)
	ended(alone, second.Withdrawn, "break-glass by unix:root", "a holiday")
	w.settle(t, "gone", "kept")
	ended(gone, second.Withdrawn, credit.Actor, "kept")

	w.desk.Second = nil // a process that died between the two
	late, old := w.proposed(t, "late"), w.proposed(t, "old")
	if _, err := w.desk.Credits.Decide(t.Context(), "lee", "c-2026-06-late", false, "it was so"); err != nil {
		t.Fatal(err)
	}
	w.settle(t, "old", "kept")
	w.now = w.now.Add(time.Hour)
	w.settle(t, "old", credit.Broken)
	for range 2 {
		if err := w.second.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ended(late, second.Refused, "lee", "it was so")
	ended(old, second.Withdrawn, credit.Actor, "another draft")
	if open, err := w.second.List(t.Context(), second.Open, "", 100); err != nil || len(open.Proposals) != 1 || open.Proposals[0].ID != waits {
		t.Errorf("%+v %v", open, err)
	}
}

// settle counts a figure whose breach waives a fee.
func (w *world) settle(t *testing.T, figure, verdict string) {
	t.Helper()
	value, limit := 200.0, 168.0
	r := credit.Result{Figure: figure, Clause: "5", Kind: credit.Waived, Value: &value, Bound: "at most", Limit: &limit, Verdict: verdict}
	if err := w.desk.Credits.Settle(t.Context(), "2026-06", []credit.Result{r}); err != nil {
		t.Fatal(err)
	}
}

// proposed asks for a second person for a new draft, without the calls.
func (w *world) proposed(t *testing.T, figure string) string {
	t.Helper()
	w.settle(t, figure, credit.Broken)
	id := credit.ID("2026-06", figure)
	p, err := w.second.Propose(t.Context(), lead("lea"), second.Proposal{Act: service.ActCredit, Object: id, Reason: "owed"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Credits.Ask(t.Context(), "lea", id, p.ID, "owed"); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// The ledger follows months that are over by itself, and ends with its context.
func TestOwe(t *testing.T) {
	w := start(t)
	w.down(45)
	w.config.Abuse.Service.Probe = 1
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.desk.Owe(ctx) }()
	for until := time.Now().Add(30 * time.Second); len(w.credits(t)) == 0 && time.Now().Before(until); {
		runtime.Gosched()
	}
	cancel()
	if err := <-done; err != nil || w.credits(t)["unreached-minutes"].State != credit.Draft {
		t.Error(err, w.credits(t))
	}
}

// A month that was over long ago stays as it is.
func TestClosedMonth(t *testing.T) {
	w := start(t)
	w.down(45)
	w.now = after.Add(credit.Open)
	w.figures(t)
	if all := w.credits(t); len(all) > 0 {
		t.Errorf("%+v", all)
	}
}
