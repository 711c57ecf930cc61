package month

import "time"

// State says whether a promise was kept.
type State string

// The states. Unknown is said where what is missing could turn the answer; NoData where
// there is nothing to count at all; Stated where nothing is promised.
const (
	Kept    State = "kept"
	Broken  State = "broken"
	Unknown State = "unknown"
	NoData  State = "no data"
	Stated  State = "stated"
)

// Figure is one figure of the guarantee by its own formula.
type Figure struct {
	ID      string             `json:"id"`
	Clause  string             `json:"clause"`
	Formula string             `json:"formula"`
	Unit    string             `json:"unit"`
	Value   *float64           `json:"value"`           // null: there is no data
	Bound   string             `json:"bound,omitempty"` // at most, at least, below
	Limit   *float64           `json:"limit,omitempty"`
	State   State              `json:"state"`
	Of      map[string]float64 `json:"of,omitempty"` // what it was made of
	Remedy  string             `json:"remedy,omitempty"`
	Note    string             `json:"note,omitempty"`
}

// Bounds of a Figure.
const (
	AtMost  = "at most"
	AtLeast = "at least"
	Below   = "below"
)

// Remedies of a broken promise. A person decides about them.
const (
	double = "double service time"
	waived = "fee waived"
)

// promise is a figure with its limit, not yet counted.
func promise(id, clause, formula, unit, bound string, limit float64, remedy string) Figure {
	return Figure{ID: id, Clause: clause, Formula: formula, Unit: unit, Bound: bound, Limit: &limit, State: NoData, Remedy: remedy}
}

// stated is a figure without a limit.
func stated(id, clause, formula, unit string) Figure {
	return Figure{ID: id, Clause: clause, Formula: formula, Unit: unit, State: NoData}
}

// is gives a figure its value, and judges it.
func (f Figure) is(v float64, of map[string]float64) Figure {
	f.Value, f.Of, f.State = &v, of, Stated
	if f.Limit == nil {
		return f
	}
	ok := v <= *f.Limit
	switch f.Bound {
	case AtLeast:
		ok = v >= *f.Limit
	case Below:
		ok = v < *f.Limit
	}
	if f.State = Kept; !ok {
		f.State = Broken
	}
	return f
}

// doubt makes a promise that seems kept unknown, since what was not seen could have broken it.
func (f Figure) doubt(missing bool) Figure {
	if missing && f.State == Kept {
		f.State, f.Note = Unknown, notSeen
	}
	return f
}

func minutesOf(d time.Duration) float64 { return d.Minutes() }

func share(part, of float64) float64 { return 100 * part / of }
