package verdict_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/intake/shelf"
	"postern/abuse/intake/verdict"
	"postern/abuse/proof"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type world struct {
	t       *testing.T
	book    verdict.Book
	links   map[string][]cases.Link
	merged  map[string][]cases.Case
	audited []string
	n       int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, links: map[string][]cases.Link{}, merged: map[string][]cases.Case{}}
	w.book = verdict.Book{Store: &entities.Memory{}, Cases: w, Audit: func(_ context.Context, actor, action, object string, before, after any, note string) error {
		w.audited = append(w.audited, fmt.Sprintf("%s %s %s %v>%v %s", actor, action, object, before, after, note))
		return nil
	}}
	return w
}

func (w *world) Reports(_ context.Context, id, after string, _ int) ([]cases.Link, string, error) {
	all := w.links[id]
	if after == "" && len(all) > 1 { // two pages
		return all[:1], "more", nil
	}
	if after != "" {
		return all[1:], "", nil
	}
	return all, "", nil
}

func (w *world) Merged(_ context.Context, id string) ([]cases.Case, error) { return w.merged[id], nil }

// report is one of a case, by somebody proved.
func (w *world) report(caseID, who string, more ...func(*cases.Link)) string {
	w.t.Helper()
	w.n++
	id := fmt.Sprintf("r-%03d", w.n)
	if _, err := shelf.Works(w.book.Store).Create(w.t.Context(), shelf.Work{Report: id, At: time.Unix(int64(w.n), 0), Reporter: who, State: shelf.Done}); err != nil {
		w.t.Fatal(err)
	}
	l := cases.Link{Complaint: cases.Complaint{Report: id, Reporter: who, Trust: 1}, Case: caseID}
	for _, f := range more {
		f(&l)
	}
	w.links[caseID] = append(w.links[caseID], l)
	return id
}

func (w *world) decide(caseID string, to flow.State, actor string, noAbuse bool) {
	w.t.Helper()
	for range 2 { // followers are told at least once
		if err := w.book.Follow(w.t.Context(), cases.Case{ID: caseID, State: to, NoAbuse: noAbuse}, cases.Event{Actor: actor, To: to}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) judged(report string) string {
	w.t.Helper()
	row, err := shelf.Works(w.book.Store).Get(w.t.Context(), report)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(row.Value.Judged + " " + row.Value.JudgedBy + " " + row.Value.JudgedWith)
}

func (w *world) trust(who string) proof.Trust {
	w.t.Helper()
	got, err := w.book.Trust(w.t.Context(), who)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func TestByHand(t *testing.T) {
	w := newWorld(t)
	id := w.report("A-1", "bob@y.example")
	for _, bad := range []struct {
		v   verdict.Verdict
		why string
	}{{"maybe", "x"}, {verdict.Abusive, " "}} {
		if _, err := w.book.Judge(t.Context(), "anna", id, bad.v, bad.why); !errors.Is(err, entity.ErrInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := w.book.Judge(t.Context(), "anna", "r-none", verdict.Right, ""); !errors.Is(err, entity.ErrNotFound) {
		t.Errorf("%v", err)
	}
	for range 2 {
		if got, err := w.book.Judge(t.Context(), "anna", id, verdict.Abusive, "made up"); err != nil || got.Judged != "abusive" || got.JudgedBy != "anna" {
			t.Errorf("%+v %v", got, err)
		}
	}
	if got := w.trust("bob@y.example"); got != proof.T0 {
		t.Errorf("a liar is %s", got)
	}
	if _, err := w.book.Judge(t.Context(), "anna", id, "", "a mistake"); err != nil || w.judged(id) != "" || w.trust("bob@y.example") != proof.T1 {
		t.Errorf("%q %v", w.judged(id), err)
	}
	if want := []string{"anna complaint-judge r-001 >abusive made up", "anna complaint-judge r-001 abusive> a mistake"}; !slices.Equal(w.audited, want) {
		t.Errorf("%q", w.audited)
	}
}

// Five cases that a person confirmed make a reporter known; a machine's word, a flood, a feed
// and a second report of the same thing do not count.
func TestWithTheCase(t *testing.T) {
	w := newWorld(t)
	for i := range verdict.KnownRight {
		if got := w.trust("bob@y.example"); got != proof.T1 {
			t.Fatalf("%s after %d", got, i)
		}
		id := fmt.Sprintf("A-%d", i)
		first, again := w.report(id, "bob@y.example"), w.report(id, "bob@y.example")
		feed := w.report(id, "fbl@y.example", func(l *cases.Link) { l.Feed, l.Trust = true, 3 })
		flood := w.report(id, "eve@y.example", func(l *cases.Link) { l.Fold = "f" })
		nobody := w.report(id, "192.0.2.0/24", func(l *cases.Link) { l.Trust = 0 })
		w.decide(id, flow.Verified, cases.Machine().Name, false)
		w.decide(id, flow.Triage, "anna", false)
		if got := w.judged(first); got != "" {
			t.Fatalf("judged by nobody: %s", got)
		}
		w.decide(id, flow.Verified, "anna", false)
		w.decide(id, flow.Suspended, "berta", false)
		if got := w.judged(first); got != "right anna "+id && got != "right berta "+id {
			t.Errorf("%q", got)
		}
		for _, other := range []string{again, feed, flood, nobody} {
			if got := w.judged(other); got != "" {
				t.Errorf("%s: %q", other, got)
			}
		}
	}
	if got := w.trust("bob@y.example"); got != proof.T2 {
		t.Errorf("%s after five", got)
	}
	if n := len(w.audited); n != verdict.KnownRight {
		t.Errorf("%d lines in the audit: %q", n, w.audited)
	}
}

func TestWrongWithTheCase(t *testing.T) {
	w := newWorld(t)
	id, byHand := w.report("A-1", "bob@y.example"), w.report("A-1", "carl@y.example")
	child := w.report("A-2", "dora@y.example", func(l *cases.Link) { l.Report += ".2" })
	w.merged["A-1"] = []cases.Case{{ID: "A-2"}}
	if _, err := w.book.Judge(t.Context(), "anna", byHand, verdict.Right, ""); err != nil {
		t.Fatal(err)
	}
	w.decide("A-1", flow.Released, "anna", false) // the account was guilty, or nobody knows
	if got := w.judged(id); got != "" {
		t.Errorf("%q", got)
	}
	w.decide("A-1", flow.Released, "anna", true)
	for report, want := range map[string]string{id: "wrong anna A-1", byHand: "right anna", child: "wrong anna A-1"} {
		if got := w.judged(report); got != want {
			t.Errorf("%s: %q", report, got)
		}
	}
	w.decide("A-1", flow.Verified, "berta", false) // an appeal was right
	if got := w.judged(id); got != "right berta A-1" {
		t.Errorf("%q", got)
	}
	drill := cases.Case{ID: "A-1", Drill: true}
	if err := w.book.Follow(t.Context(), drill, cases.Event{Actor: "anna", To: flow.Rejected}); err != nil || w.judged(id) != "right berta A-1" {
		t.Errorf("a drill: %v", err)
	}
}
