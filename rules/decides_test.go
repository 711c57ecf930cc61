package rules_test

import (
	"testing"

	"postern/filter"
)

// TestWhatDecides names the one reason that made the action, and none where a failed step did.
func TestWhatDecides(t *testing.T) {
	s := layer(t, worths)
	for name, c := range map[string]struct {
		r    filter.Report
		want string
	}{
		"nothing was done":             {found("T_ONE"), ""},
		"by itself":                    {found("T_ONE", "T_HOLD", "T_FIVE"), "T_HOLD"},
		"by the score, beside a mark":  {found("T_TAG", "T_FIVE", "T_TWO"), "T_FIVE"}, // held at 7
		"by the score, refused":        {found("T_SIXTEEN", "T_TAG", "T_LESS"), "T_SIXTEEN"},
		"both: what acts itself leads": {found("T_HOLD", "T_FIVE", "T_TWO"), "T_HOLD"},
		"a step could not tell":        {filter.Report{Findings: found("T_ONE").Findings, Failures: []filter.Failure{fails("clamav", filter.Quarantine)}}, ""},
	} {
		v := s.Judge(after(), c.r, "patient")
		got := ""
		for _, r := range v.Reasons {
			if r.Decides && got != "" {
				t.Errorf("%s: two decide: %+v", name, v.Reasons)
			}
			if r.Decides {
				got = r.Symbol
			}
		}
		if got != c.want {
			t.Errorf("%s: %q decides, not %q: %v %+v", name, got, c.want, v.Action, v.Reasons)
		}
	}
}
