package outbound

import (
	"slices"
	"testing"

	"postern/filter"
)

// TestSymbols: a review names what was found and what counted, each once, and no quiet parts.
func TestSymbols(t *testing.T) {
	report := filter.Report{Findings: []filter.Finding{{Symbol: "SEEN"}, {Symbol: "PART", Quiet: true}, {Symbol: "ADDED"}}}
	verdict := filter.Verdict{Reasons: []filter.Reason{{Symbol: "WHOLE", Score: 100}, {Symbol: "SEEN"}}}
	if got := symbols(report, verdict); !slices.Equal(got, []string{"ADDED", "SEEN", "WHOLE"}) {
		t.Error(got)
	}
}
