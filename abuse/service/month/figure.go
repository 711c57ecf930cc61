package month

import (
	"time"

	"postern/abuse/service/credit"
	"postern/abuse/service/exclusion"
)

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
	Of      map[string]float64 `json:"of,omitempty"`     // what it was made of
	Remedy  string             `json:"remedy,omitempty"` // of its clause; a person decides about it
	Note    string             `json:"note,omitempty"`
	// Exclusions are those approved that were taken out of the figure, or are what it counts.
	Exclusions []string `json:"exclusions,omitempty"`
}

// Bounds of a Figure.
const (
	AtMost  = "at most"
	AtLeast = "at least"
	Below   = "below"
)

// promise is a figure with its limit, not yet counted.
func promise(id, clause, formula, unit, bound string, limit float64) Figure {
	return Figure{ID: id, Clause: clause, Formula: formula, Unit: unit, Bound: bound, Limit: &limit, State: NoData, Remedy: credit.Remedy(clause)}
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

// result is what the ledger of credits is told of a promise.
func (f Figure) result() credit.Result {
	return credit.Result{
		Figure: f.ID, Clause: f.Clause, Kind: f.Remedy, Formula: f.Formula, Unit: f.Unit, Value: f.Value, Bound: f.Bound, Limit: f.Limit, Of: f.Of, Note: f.Note,
		Exclusions: f.Exclusions, Verdict: string(f.State),
	}
}

// Results are what the ledger of credits is told of a month: its promises.
func (r Report) Results() (out []credit.Result) {
	for _, f := range r.Figures {
		if f.Limit != nil {
			out = append(out, f.result())
		}
	}
	return out
}

// excluded names the approved exclusions that lie in a period and that take part in a figure.
func excluded(all []exclusion.Exclusion, in span, takes func(exclusion.Exclusion) bool) (out []string) {
	for _, e := range all {
		if e.State == exclusion.Approved && e.To.After(in.from) && e.From.Before(in.to) && takes(e) {
			out = append(out, e.ID)
		}
	}
	return out
}
