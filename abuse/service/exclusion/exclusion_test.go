package exclusion_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/abuse/service/exclusion"
	"postern/internal/mailtest/entities"
)

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)

func desk(audit func(actor, action string) error) *exclusion.Desk {
	return &exclusion.Desk{Store: &entities.Memory{}, Now: func() time.Time { return noon }, Audit: func(_ context.Context, actor, action, _ string, _, _ any, _ string) error {
		return audit(actor, action)
	}}
}

func flood() exclusion.Exclusion {
	return exclusion.Exclusion{Class: "C", From: noon, To: noon.Add(time.Hour), Reason: "a flood", Groups: []string{"smtp-in"}}
}

// Two persons leave a time out, and the audit has both.
func TestTwoPersons(t *testing.T) {
	var said []string
	d := desk(func(actor, action string) error { said = append(said, actor+" "+action); return nil })
	e, err := d.Propose(t.Context(), "lea", flood())
	if err != nil || e.State != exclusion.Proposed || e.Class != "c" || e.Counts("smtp-in") {
		t.Fatalf("%+v %v", e, err)
	}
	if _, err := d.Decide(t.Context(), "lea", e.ID, true, ""); !errors.Is(err, exclusion.ErrConflict) {
		t.Errorf("her own: %v", err)
	}
	e, err = d.Decide(t.Context(), "lee", e.ID, true, "seen")
	if err != nil || !e.Counts("smtp-in") || e.Counts("web") || e.Counts("") || e.Decided != "lee" {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := d.Decide(t.Context(), "lou", e.ID, false, ""); !errors.Is(err, exclusion.ErrConflict) {
		t.Errorf("again: %v", err)
	}
	if e, err = d.Withdraw(t.Context(), "lou", e.ID, "it was ours"); err != nil || e.Counts("smtp-in") {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := d.Withdraw(t.Context(), "lou", e.ID, ""); !errors.Is(err, exclusion.ErrConflict) {
		t.Errorf("again: %v", err)
	}
	if got := strings.Join(said, ", "); got != "lea exclusion-propose, lee exclusion-approve, lou exclusion-withdraw" {
		t.Error(got)
	}
	second, err := d.Propose(t.Context(), "lea", flood())
	if err != nil || second.ID == e.ID {
		t.Errorf("%+v %v", second, err)
	}
	if second, err = d.Decide(t.Context(), "lea", second.ID, false, "a mistake"); err != nil || second.State != exclusion.Refused {
		t.Errorf("%+v %v", second, err)
	}
	for _, c := range []struct {
		from, to time.Time
		n        int
	}{{noon.Add(-time.Hour), noon, 0}, {noon.Add(30 * time.Minute), noon.Add(2 * time.Hour), 2}, {noon.Add(time.Hour), noon.Add(2 * time.Hour), 0}} {
		if all, err := d.Between(t.Context(), c.from, c.to); err != nil || len(all) != c.n {
			t.Errorf("%v: %d, %v", c, len(all), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	d := desk(func(string, string) error { return nil })
	for name, edit := range map[string]func(*exclusion.Exclusion){
		"class":  func(e *exclusion.Exclusion) { e.Class = "g" },
		"order":  func(e *exclusion.Exclusion) { e.To = e.From },
		"length": func(e *exclusion.Exclusion) { e.To = e.From.Add(32 * 24 * time.Hour) },
		"past":   func(e *exclusion.Exclusion) { e.From = noon.AddDate(0, -3, 0); e.To = e.From.Add(time.Hour) },
		"reason": func(e *exclusion.Exclusion) { e.Reason = " " },
		"essay":  func(e *exclusion.Exclusion) { e.Reason = strings.Repeat("x", 2000) },
		"group":  func(e *exclusion.Exclusion) { e.Groups = []string{"a b"} },
		"groups": func(e *exclusion.Exclusion) { e.Groups = make([]string, 100) },
	} {
		e := flood()
		edit(&e)
		if _, err := d.Propose(t.Context(), "lea", e); !errors.Is(err, exclusion.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{"x-1", "../../etc", ""} {
		if _, err := d.Decide(t.Context(), "lee", id, true, ""); !errors.Is(err, exclusion.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// What the audit does not take does not take effect.
func TestNoAuditNoEffect(t *testing.T) {
	odd := errors.New("no audit")
	var fail error
	d := desk(func(string, string) error { return fail })
	e, err := d.Propose(t.Context(), "lea", flood())
	if err != nil {
		t.Fatal(err)
	}
	fail = odd
	if _, err := d.Decide(t.Context(), "lee", e.ID, true, ""); !errors.Is(err, odd) {
		t.Errorf("%v", err)
	}
	if all, _ := d.Between(t.Context(), noon, noon.Add(time.Hour)); len(all) != 1 || all[0].State != exclusion.Proposed {
		t.Errorf("%+v", all)
	}
}
