package credit_test

import (
	"context"
	"testing"
	"time"

	"postern/abuse/service/credit"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/store/storetest/credittest"
)

func TestLedger(t *testing.T) {
	credittest.Credits(t, func(testing.TB) entity.Store { return &entities.Memory{} })
}

// Each clause owes what the guarantee says; one that it says nothing of owes nothing.
func TestRemedies(t *testing.T) {
	for clause, want := range map[string]string{
		"1": credit.Double, "2": credit.Double, "3": credit.Double, "7": credit.Double, "4": credit.Waived, "4.2": credit.Waived, "4.2g": credit.Waived, "5": credit.Waived, "8": credit.Waived,
		"6": "", "9": "", "": "", "10": "",
	} {
		if got := credit.Remedy(clause); got != want {
			t.Errorf("%q: %q", clause, got)
		}
	}
}

// People hear of a draft, and that it waits no more.
func TestAlerts(t *testing.T) {
	stands := map[string]bool{}
	d := &credit.Desk{Store: &entities.Memory{}, Now: time.Now, Audit: func(context.Context, string, string, string, any, any, string) error { return nil }, Alert: func(key, _ string, over bool) { stands[key] = !over }}
	value := 50.0
	r := credit.Result{Figure: "f", Clause: "1", Kind: credit.Double, Value: &value, Verdict: credit.Broken}
	if err := d.Settle(t.Context(), "2026-06", []credit.Result{r}); err != nil || !stands["credit-c-2026-06-f"] {
		t.Error(stands, err)
	}
	if _, err := d.Decide(t.Context(), "lea", "c-2026-06-f", true, "yes"); err != nil || stands["credit-c-2026-06-f"] {
		t.Error(stands, err)
	}
}
