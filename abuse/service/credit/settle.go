package credit

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

// Actor is who drafts and withdraws in the audit: no person does.
const Actor = "service-guarantee"

// Desk keeps the ledger.
type Desk struct {
	Store entity.Store
	Now   func() time.Time
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
	// Alert, if set, says that a draft waits for a person, or that none does any more.
	Alert func(key, text string, over bool)
	// Over, if set, is told that a credit does not wait for its proposal any more. What it does is
	// done again by whoever tends the proposals.
	Over func(ctx context.Context, proposal string)
}

// Settle brings the ledger in step with the figures of a month that is over. The same figures
// again change nothing. A draft goes when its figure is not broken any more; what a person
// decided stays, and an approved credit is marked as contradicted.
func (d *Desk) Settle(ctx context.Context, month string, results []Result) error {
	if _, err := begin(month); err != nil {
		return err
	}
	var errs []error
	for _, r := range results {
		r.Exclusions = append([]string{}, r.Exclusions...)
		if err := d.settle(ctx, month, r); err != nil {
			errs = append(errs, fmt.Errorf("the credit of %s: %w", r.Figure, err))
		}
	}
	return errors.Join(errs...)
}

func (d *Desk) settle(ctx context.Context, month string, r Result) error {
	id := ID(month, r.Figure)
	for {
		err := d.change(ctx, id, Actor, "", func(c *Credit) (string, error) { return d.follow(c, r) })
		if !errors.Is(err, entity.ErrNotFound) || !r.broken() {
			if errors.Is(err, entity.ErrNotFound) {
				err = nil
			}
			return err
		}
		c := Credit{ID: id, Month: month, State: Draft, At: d.Now().UTC(), Result: r}
		row, err := table(d.Store).Create(ctx, c)
		if errors.Is(err, entity.ErrExists) {
			continue
		}
		if err != nil {
			return err
		}
		if err = d.Audit(ctx, Actor, "credit-draft", id, nil, c, ""); err != nil {
			return errors.Join(err, table(d.Store).Remove(ctx, row)) // the next count drafts it again
		}
		d.say(c)
		return nil
	}
}

// follow lets a credit follow its figure, and names the act; ErrUnchanged where nothing is new.
func (d *Desk) follow(c *Credit, r Result) (action string, err error) {
	now := d.Now().UTC()
	switch {
	case c.State == Draft && !r.broken():
		c.State, c.When, c.Asked = Withdrawn, now, nil
		why := said.Say("credit.figure-is", "the figure is %s now", "verdict", r.Verdict)
		if len(r.Exclusions) > 0 {
			why = said.Say("credit.figure-without", "the figure is %s now, without %s", "verdict", r.Verdict, "exclusions", strings.Join(r.Exclusions, ", "))
		}
		why.Put(&c.Why, &c.Said)
		action = "credit-withdraw"
	case c.State == Draft && !c.same(r):
		c.Result = r
		action = "credit-draft"
	case c.State == Withdrawn && r.broken():
		*c = Credit{ID: c.ID, Month: c.Month, State: Draft, At: now, Result: r}
		action = "credit-draft"
	case c.State == Approved && r.broken() && c.Contradicted != nil:
		c.Contradicted = nil
		action = "credit-confirm"
	case c.State == Approved && !r.broken():
		if o := c.Contradicted; o != nil && (Result{Value: o.Value, Verdict: o.Verdict, Exclusions: o.Exclusions}).same(Result{Value: r.Value, Verdict: r.Verdict, Exclusions: r.Exclusions}) {
			return "", entity.ErrUnchanged
		}
		c.Contradicted = &Contradiction{At: now, Verdict: r.Verdict, Value: r.Value, Exclusions: r.Exclusions}
		action = "credit-contradict"
	}
	if action == "" {
		err = entity.ErrUnchanged
	}
	return action, err
}

// change writes the audit first: what it does not have does not take effect.
func (d *Desk) change(ctx context.Context, id, who, why string, f func(*Credit) (string, error)) error {
	done, asked := "", ""
	row, err := table(d.Store).Change(ctx, id, func(c *Credit) error {
		before := *c
		asked = before.asked()
		action, err := f(c)
		if err != nil || action == "" || action == done {
			return err
		}
		if err = d.Audit(ctx, who, action, id, before, *c, cmp.Or(why, c.Why)); err == nil {
			done = action
		}
		return err
	})
	if err != nil || done == "" {
		return err
	}
	d.say(row.Value)
	if d.Over != nil && asked != "" && row.Value.asked() != asked {
		d.Over(ctx, asked)
	}
	return nil
}

// asked is the proposal that a draft waits for, or "".
func (c Credit) asked() string {
	if c.State != Draft || c.Asked == nil {
		return ""
	}
	return c.Asked.Proposal
}

// Waits reports whether a proposal of that time may still decide about a credit, and the credit.
// The draft that it was about may have gone, and another have come.
func (d *Desk) Waits(ctx context.Context, id string, at time.Time) (Credit, bool, error) {
	c, err := d.Get(ctx, id)
	return c, err == nil && c.State == Draft && !at.Before(c.At), err
}

func (d *Desk) say(c Credit) {
	if d.Alert != nil {
		d.Alert("credit-"+c.ID, fmt.Sprintf("%s: the promise of %s was broken in %s (%s); a person approves or refuses the credit", c.ID, c.Figure, c.Month, c.Kind), c.State != Draft)
	}
}

// Decide approves or refuses a draft, with a reason. What needs two persons comes here when the
// second one has approved.
func (d *Desk) Decide(ctx context.Context, who, id string, approve bool, why string) (Credit, error) {
	state, action := Refused, "credit-refuse"
	if approve {
		state, action = Approved, "credit-approve"
	}
	return d.person(ctx, who, id, why, func(c *Credit) (string, error) {
		if c.State != Draft {
			return "", said.Errorf("credit.is", "%w: %s is %s", "kind", ErrConflict, "id", id, "state", c.State)
		}
		c.State, c.Decided, c.When, c.Why, c.Said = state, who, d.Now().UTC(), why, said.Words{}
		return action, nil
	})
}

// Ask notes that a person would approve a draft and another has to.
func (d *Desk) Ask(ctx context.Context, who, id, proposal, why string) (Credit, error) {
	return d.person(ctx, who, id, why, func(c *Credit) (string, error) {
		switch {
		case c.State != Draft:
			return "", said.Errorf("credit.is", "%w: %s is %s", "kind", ErrConflict, "id", id, "state", c.State)
		case c.Asked != nil && c.Asked.Proposal == proposal:
			return "", entity.ErrUnchanged
		}
		c.Asked = &Asked{By: who, At: d.Now().UTC(), Why: why, Proposal: proposal}
		action := "credit-ask"
		return action, nil
	})
}

// Drop forgets that somebody asked: the proposal was refused, withdrawn or has expired.
func (d *Desk) Drop(ctx context.Context, who, id, proposal, why string) error {
	err := d.change(ctx, id, who, why, func(c *Credit) (string, error) {
		if c.Asked == nil || c.Asked.Proposal != proposal || c.State != Draft {
			return "", entity.ErrUnchanged
		}
		c.Asked = nil
		action := "credit-drop"
		return action, nil
	})
	if errors.Is(err, entity.ErrNotFound) {
		err = nil
	}
	return err
}

func (d *Desk) person(ctx context.Context, who, id, why string, f func(*Credit) (string, error)) (Credit, error) {
	if strings.TrimSpace(why) == "" || len(why) > MaxReason {
		return Credit{}, said.Errorf("credit.a-reason-of-at-most-octets-is", "%w: a reason of at most %d octets is needed", "kind", ErrInvalid, "most", MaxReason)
	}
	if err := d.change(ctx, id, who, why, f); err != nil {
		return Credit{}, named(err, id)
	}
	return d.Get(ctx, id)
}

func named(err error, id string) error {
	if errors.Is(err, entity.ErrNotFound) || errors.Is(err, entity.ErrInvalid) {
		return said.Errorf("detail", "%w: %.60q", "kind", ErrNotFound, "what", id)
	}
	return err
}

// Get returns a credit.
func (d *Desk) Get(ctx context.Context, id string) (Credit, error) {
	row, err := table(d.Store).Get(ctx, id)
	return row.Value, named(err, id)
}

// Of lists the credits of a month whatever their state, in the order of clauses and figures.
func (d *Desk) Of(ctx context.Context, month string) ([]Credit, error) {
	at, err := begin(month)
	if err != nil {
		return nil, err
	}
	out := []Credit{}
	q := entity.Query{Index: byMonth, From: at.UnixMilli(), To: at.UnixMilli(), Limit: entity.MaxPage}
	err = table(d.Store).Each(ctx, q, func(r entity.Row[Credit]) error {
		if r.Value.Month == month {
			out = append(out, r.Value)
		}
		return nil
	})
	slices.SortFunc(out, func(x, y Credit) int { return cmp.Or(cmp.Compare(x.Clause, y.Clause), cmp.Compare(x.ID, y.ID)) })
	return out, err
}

// Page is a part of the credits, those of the youngest month first.
type Page struct {
	Credits []Credit `json:"credits"`
	Next    string   `json:"next,omitempty"`
}

// List returns a page: of a state, or all with "".
func (d *Desk) List(ctx context.Context, state State, after string, limit int) (Page, error) {
	q := entity.Query{Index: byMonth, After: after, Limit: limit}
	if state != "" {
		if !slices.Contains([]State{Draft, Approved, Refused, Withdrawn}, state) {
			return Page{}, said.Errorf("credit.is-no-state", "%w: %.20q is no state", "kind", ErrInvalid, "state", state)
		}
		q.Index, q.Value = byState, string(state)
	}
	rows, next, err := table(d.Store).Find(ctx, q)
	out := Page{Credits: []Credit{}, Next: next}
	for _, r := range rows {
		out.Credits = append(out.Credits, r.Value)
	}
	if errors.Is(err, entity.ErrInvalid) {
		err = said.Errorf("detail", "%w: %w", "kind", ErrInvalid, "what", err)
	}
	return out, err
}
