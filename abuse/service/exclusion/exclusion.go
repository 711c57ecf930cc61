// Package exclusion keeps the times that do not count against the service guarantee. One
// person proposes, another approves; nothing is taken out before.
package exclusion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/internal/entity"
	"postern/internal/said"
)

// State of an exclusion.
type State string

// The states.
const (
	Proposed  State = "proposed"
	Approved  State = "approved"
	Refused   State = "refused"
	Withdrawn State = "withdrawn"
)

// Errors of a Desk. They are wrapped.
var (
	ErrNotFound = said.New("exclusion.no-such-exclusion", "no such exclusion")
	ErrInvalid  = said.New("exclusion.the-exclusion-cannot-be-like-this", "the exclusion cannot be like this")
	ErrConflict = said.New("exclusion.that-is-not-possible-now", "that is not possible now")
)

// Classes are the clauses of the guarantee under which time may be left out.
const Classes = "abcdef"

// Bounds of what is proposed.
const (
	Longest   = 31 * 24 * time.Hour
	maxReason = 1000
	maxGroups = 20
	// Window is how far back and ahead a time may lie: the month before is still to be reported.
	Window = 62 * 24 * time.Hour
)

// Exclusion is a time that does not count, or is proposed not to.
type Exclusion struct {
	ID      string    `json:"id"`
	Class   string    `json:"class"` // a to f, as the guarantee names them
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Groups  []string  `json:"groups,omitempty"`  // doors it is about; none = all
	Planned bool      `json:"planned,omitempty"` // a change that was announced: it counts as one
	Reason  string    `json:"reason"`
	State   State     `json:"state"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Decided string    `json:"decided_by,omitempty"`
	When    time.Time `json:"decided_at,omitzero"`
	Why     string    `json:"why,omitempty"`
}

// Counts reports whether the exclusion is in force for a group; "" asks for those about all.
func (e Exclusion) Counts(group string) bool {
	return e.State == Approved && (len(e.Groups) == 0 || slices.Contains(e.Groups, group))
}

// Desk keeps exclusions.
type Desk struct {
	Store entity.Store
	Now   func() time.Time
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

func (d *Desk) table() entity.Table[Exclusion] {
	return entity.Table[Exclusion]{Store: d.Store, Kind: "service-exclusion", ID: func(e *Exclusion) string { return e.ID }, Keys: func(e *Exclusion) []entity.Key {
		return []entity.Key{{Index: "from", At: e.From.UnixMilli()}}
	}}
}

func invalid(what said.Words) error {
	return said.Errorf("detail", "%w: %s", "kind", ErrInvalid, "what", what)
}

func (e *Exclusion) check(now time.Time) error {
	switch {
	case len(e.Class) != 1 || !strings.Contains(Classes, e.Class):
		return invalid(said.Say("exclusion.the-class-is-none-of-a-to", "the class %.20q is none of a to f", "class", e.Class))
	case !e.From.Before(e.To):
		return invalid(said.Say("exclusion.it-ends-before-it-begins", "it ends before it begins"))
	case e.To.Sub(e.From) > Longest:
		return invalid(said.Say("exclusion.it-is-longer-than-31-days", "it is longer than 31 days"))
	case e.From.Before(now.Add(-Window)) || e.To.After(now.Add(Window)):
		return invalid(said.Say("exclusion.it-lies-more-than-62-days-away", "it lies more than 62 days away"))
	case strings.TrimSpace(e.Reason) == "" || len(e.Reason) > maxReason:
		return invalid(said.Say("exclusion.a-reason-of-at-most-octets-is", "a reason of at most %d octets is needed", "most", maxReason))
	case len(e.Groups) > maxGroups:
		return invalid(said.Say("exclusion.at-most-groups", "at most %d groups", "most", maxGroups))
	}
	for _, g := range e.Groups {
		if g == "" || len(g) > 60 || strings.ContainsFunc(g, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return invalid(said.Say("exclusion.is-no-group", "%.60q is no group", "group", g))
		}
	}
	return nil
}

// Propose writes a proposal down. Nothing is left out yet.
func (d *Desk) Propose(ctx context.Context, who string, e Exclusion) (Exclusion, error) {
	now := d.Now().UTC()
	e = Exclusion{Class: strings.ToLower(e.Class), From: e.From.UTC(), To: e.To.UTC(), Groups: e.Groups, Planned: e.Planned, Reason: e.Reason, State: Proposed, By: who, At: now}
	if err := e.check(now); err != nil {
		return e, err
	}
	for try := range 50 {
		e.ID = fmt.Sprintf("x-%s-%d", e.From.Format("20060102"), try+1)
		_, err := d.table().Create(ctx, e)
		if errors.Is(err, entity.ErrExists) {
			continue
		}
		if err != nil {
			return e, err
		}
		return e, d.Audit(ctx, who, "exclusion-propose", e.ID, nil, e, e.Reason)
	}
	return e, said.Errorf("exclusion.there-are-50-of-that-day", "%w: there are 50 of that day", "kind", ErrConflict)
}

// Decide approves or refuses a proposal; who proposed it does not.
func (d *Desk) Decide(ctx context.Context, who, id string, approve bool, why string) (Exclusion, error) {
	state, action := Refused, "exclusion-refuse"
	if approve {
		state, action = Approved, "exclusion-approve"
	}
	return d.change(ctx, who, id, action, why, func(e *Exclusion) error {
		switch {
		case e.State != Proposed:
			return said.Errorf("exclusion.is", "%w: %s is %s", "kind", ErrConflict, "id", id, "state", e.State)
		case approve && e.By == who:
			return said.Errorf("exclusion.another-person-than-who-proposed-it-approves", "%w: another person than %s, who proposed it, approves", "kind", ErrConflict, "who", who)
		}
		e.State = state
		return nil
	})
}

// Withdraw ends an exclusion, an approved one too: its time counts again.
func (d *Desk) Withdraw(ctx context.Context, who, id, why string) (Exclusion, error) {
	return d.change(ctx, who, id, "exclusion-withdraw", why, func(e *Exclusion) error {
		if e.State != Proposed && e.State != Approved {
			return said.Errorf("exclusion.is", "%w: %s is %s", "kind", ErrConflict, "id", id, "state", e.State)
		}
		e.State = Withdrawn
		return nil
	})
}

// change writes the audit first: what it does not have does not take effect.
func (d *Desk) change(ctx context.Context, who, id, action, why string, f func(*Exclusion) error) (Exclusion, error) {
	if len(why) > maxReason {
		return Exclusion{}, invalid(said.Say("exclusion.a-reason-has-at-most-octets", "a reason has at most %d octets", "most", maxReason))
	}
	done := false
	row, err := d.table().Change(ctx, id, func(e *Exclusion) error {
		before := *e
		if err := f(e); err != nil {
			return err
		}
		e.Decided, e.When, e.Why = who, d.Now().UTC(), why
		if done {
			return nil
		}
		done = true
		return d.Audit(ctx, who, action, id, before, *e, why)
	})
	if errors.Is(err, entity.ErrNotFound) || errors.Is(err, entity.ErrInvalid) {
		err = said.Errorf("detail", "%w: %.60q", "kind", ErrNotFound, "what", id)
	}
	return row.Value, err
}

// Between lists the exclusions of a period whatever their state, the earliest first.
func (d *Desk) Between(ctx context.Context, from, to time.Time) ([]Exclusion, error) {
	out := []Exclusion{}
	q := entity.Query{Index: "from", From: from.Add(-Longest).UnixMilli(), To: to.UnixMilli(), Rising: true, Limit: entity.MaxPage}
	err := d.table().Each(ctx, q, func(r entity.Row[Exclusion]) error {
		if r.Value.To.After(from) && r.Value.From.Before(to) {
			out = append(out, r.Value)
		}
		return nil
	})
	slices.SortFunc(out, func(x, y Exclusion) int { return cmp.Or(x.From.Compare(y.From), cmp.Compare(x.ID, y.ID)) })
	return out, err
}
