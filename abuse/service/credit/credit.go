// Package credit keeps what is owed where a promise of the service guarantee was broken: one
// draft for a figure and a month. A person approves or refuses it; nothing is paid by itself.
package credit

import (
	"slices"
	"strings"
	"time"

	"postern/internal/entity"
	"postern/internal/said"
)

// State of a credit.
type State string

// The states.
const (
	Draft     State = "draft"
	Approved  State = "approved"
	Refused   State = "refused"
	Withdrawn State = "withdrawn" // the figure is not broken any more; nobody had decided
)

// Errors of a Desk. They are wrapped.
var (
	ErrNotFound = said.New("credit.no-such-credit", "no such credit")
	ErrInvalid  = said.New("credit.the-credit-cannot-be-decided-like-this", "the credit cannot be decided like this")
	ErrConflict = said.New("credit.that-is-not-possible-now", "that is not possible now")
)

// Kinds of credits, as the clauses of the guarantee name them.
const (
	Double = "double service time"
	Waived = "fee waived"
)

// Remedy is what a clause of the guarantee owes when it is broken, "" where it names nothing:
// double service time for 1 to 3 and 7, the fee waived for 4, 5 and 8.
func Remedy(clause string) string {
	number, _, _ := strings.Cut(clause, ".")
	switch number {
	case "1", "2", "3", "7":
		return Double
	case "4", "5", "8":
		return Waived
	}
	return ""
}

// Bounds of the ledger.
const (
	// Open is how long after its end a month is counted again; then its credits stay as they are.
	Open      = 92 * 24 * time.Hour
	MaxReason = 1000 // octets
)

// Result is how a figure of a month came out, and what a credit rests on.
type Result struct {
	Figure     string             `json:"figure"`
	Clause     string             `json:"clause"`
	Kind       string             `json:"kind"` // Double or Waived
	Formula    string             `json:"formula"`
	Unit       string             `json:"unit"`
	Value      *float64           `json:"value"`
	Bound      string             `json:"bound"`
	Limit      *float64           `json:"limit"`
	Of         map[string]float64 `json:"of,omitempty"`
	Note       string             `json:"note,omitempty"`
	Exclusions []string           `json:"exclusions"` // those approved that were taken out of it

	Verdict string `json:"verdict"` // kept, broken, unknown, no data
}

// Broken is the verdict of a figure whose promise was not kept.
const Broken = "broken"

func (r Result) broken() bool { return r.Verdict == Broken && r.Value != nil && r.Kind != "" }

// Asked is a person who would approve a credit and waits for another.
type Asked struct {
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Why      string    `json:"why"`
	Proposal string    `json:"proposal"`
}

// Contradiction says that an approved credit is not borne out any more by its figure.
type Contradiction struct {
	At         time.Time `json:"at"`
	Verdict    string    `json:"verdict"`
	Value      *float64  `json:"value"`
	Exclusions []string  `json:"exclusions"`
}

// Credit is one of the ledger.
type Credit struct {
	ID    string    `json:"id"`
	Month string    `json:"month"` // 2026-06
	State State     `json:"state"`
	At    time.Time `json:"at"` // when it was drafted
	Result
	Asked        *Asked         `json:"asked,omitempty"`
	Decided      string         `json:"decided_by,omitempty"`
	When         time.Time      `json:"decided_at,omitzero"`
	Why          string         `json:"why,omitempty"`
	Said         said.Words     `json:"said,omitzero"` // Why by its code, where no person gave it
	Contradicted *Contradiction `json:"contradicted,omitempty"`
}

// Two reports whether two persons approve it: what waives a fee is money to another.
func (c Credit) Two() bool { return c.Kind == Waived }

// ID is that of the credit of a figure and a month: there is one.
func ID(month, figure string) string { return "c-" + month + "-" + figure }

func begin(month string) (time.Time, error) {
	at, err := time.Parse("2006-01", month)
	if err != nil {
		err = said.Errorf("credit.is-no-month-such-as-2026-06", "%w: %.20q is no month such as 2026-06", "kind", ErrInvalid, "month", month)
	}
	return at, err
}

const byMonth, byState = "month", "state"

func table(s entity.Store) entity.Table[Credit] {
	return entity.Table[Credit]{Store: s, Kind: "service-credit", ID: func(c *Credit) string { return c.ID }, Keys: func(c *Credit) []entity.Key {
		at, err := begin(c.Month)
		if err != nil {
			return nil // never written: the month is checked before
		}
		return []entity.Key{{Index: byMonth, At: at.UnixMilli()}, {Index: byState, Value: string(c.State), At: at.UnixMilli()}}
	}}
}

// same reports whether two results say the same.
func (r Result) same(o Result) bool {
	number := func(a, b *float64) bool { return a == b || a != nil && b != nil && *a == *b }
	return number(r.Value, o.Value) && number(r.Limit, o.Limit) && r.Verdict == o.Verdict && r.Formula == o.Formula && r.Kind == o.Kind && slices.Equal(r.Exclusions, o.Exclusions)
}
