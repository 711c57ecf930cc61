package record_test

import (
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/record"
)

// TestWeights has a row say what each symbol added, for the recipient with the largest action.
func TestWeights(t *testing.T) {
	m := &filter.Message{ID: "x", To: []filter.Recipient{{Address: "a@x.example"}, {Address: "b@x.example"}}}
	reasons := func(all ...filter.Reason) []filter.Reason { return all }
	for name, c := range map[string]struct {
		o       filter.Outcome
		symbols string
		weights []int32
	}{
		"nothing was judged": {filter.Outcome{Report: filter.Report{Findings: []filter.Finding{{Symbol: "SEEN"}}}}, "SEEN", nil},
		"what is quiet": {filter.Outcome{
			Report:   filter.Report{Findings: []filter.Finding{{Symbol: "PART", Quiet: true}, {Symbol: "SEEN"}}},
			Verdicts: []filter.Verdict{{Reasons: reasons(filter.Reason{Symbol: "WHOLE", Score: 10})}},
		}, "SEEN WHOLE", []int32{0, 10}},
		"nothing counts": {filter.Outcome{
			Verdicts: []filter.Verdict{{Reasons: reasons(filter.Reason{Symbol: "A"})}, {}},
		}, "A", nil},
		"the worse of two": {filter.Outcome{
			Report: filter.Report{Findings: []filter.Finding{{Symbol: "B"}, {Symbol: "A"}}},
			Verdicts: []filter.Verdict{
				{Action: filter.Accept, Reasons: reasons(filter.Reason{Symbol: "A", Score: 10})},
				{Action: filter.Reject, Reasons: reasons(filter.Reason{Symbol: "A", Score: 900}, filter.Reason{Symbol: "C", Score: -50})},
			},
		}, "B A C", []int32{0, 900, -50}},
		"a symbol with two reasons": {filter.Outcome{
			Verdicts: []filter.Verdict{{Reasons: reasons(filter.Reason{Symbol: "A", Score: 10}, filter.Reason{Symbol: "A", Score: 5})}},
		}, "A", []int32{15}},
		"beyond all bounds": {filter.Outcome{
			Verdicts: []filter.Verdict{{Reasons: reasons(filter.Reason{Symbol: "A", Score: 1 << 30}, filter.Reason{Symbol: "B", Score: -1 << 30})}},
		}, "A B", []int32{1_000_000, -1_000_000}},
	} {
		r := record.Build("mx1", m, c.o, record.Headers{})
		if got := strings.Join(r.Symbols, " "); got != c.symbols || !slices.Equal(r.Weights, c.weights) {
			t.Errorf("%s: %s %v", name, got, r.Weights)
		}
	}
}
