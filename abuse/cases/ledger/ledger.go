// Package ledger writes cases: each change together with the event that says what was done,
// and every event to those who act on it, until they have.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
)

// Follower is told of every event of a case, at least once and in order; the pair of Case and
// Seq is the same each time. Until it returns nil it is asked again. It hands its context on
// to what it calls at the desk.
type Follower interface {
	Follow(ctx context.Context, c dossier.Case, e dossier.Event) error
}

// Func makes a function a Follower.
type Func func(ctx context.Context, c dossier.Case, e dossier.Event) error

// Follow calls the function.
func (f Func) Follow(ctx context.Context, c dossier.Case, e dossier.Event) error { return f(ctx, c, e) }

// Named is a follower with the name under which its answers are noted.
type Named struct {
	Name string
	Follower
}

// Book keeps the cases.
type Book struct {
	Store entity.Store
	Now   func() time.Time
	Log   *slog.Logger
	// Audit notes a change in the audit trail.
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
	// Own are the desk's own followers: they are told of an event though others still wait
	// with an earlier one.
	Own []Named
	// Others are the rooms that act on what happens to a case.
	Others []Named
}

// Get returns a case.
func (b *Book) Get(ctx context.Context, id string) (dossier.Case, error) {
	row, err := dossier.Cases(b.Store).Get(ctx, id)
	return row.Value, known(id, err)
}

func known(id string, err error) error {
	if errors.Is(err, entity.ErrNotFound) || errors.Is(err, entity.ErrInvalid) {
		return dossier.Refuse(dossier.ErrNotFound, "case.there-is-no-case", "there is no case %.40q", "id", id)
	}
	return err
}

// counter hands out the numbers of a year.
type counter struct {
	Year string `json:"year"`
	Last int    `json:"last"`
}

// NextID takes a number that no other node has; one that is lost on the way leaves a gap.
func (b *Book) NextID(ctx context.Context) (string, error) {
	t := entity.Table[counter]{Store: b.Store, Kind: "case-counter", ID: func(c *counter) string { return c.Year }}
	year := strconv.Itoa(b.Now().UTC().Year())
	for {
		row, err := t.Change(ctx, year, func(c *counter) error { c.Last++; return nil })
		if errors.Is(err, entity.ErrNotFound) {
			row, err = t.Create(ctx, counter{Year: year, Last: 1})
		}
		switch {
		case err == nil:
			return fmt.Sprintf("A-%s-%06d", year, row.Value.Last), nil
		case ctx.Err() != nil || !errors.Is(err, entity.ErrExists) && !errors.Is(err, entity.ErrConflict):
			return "", err
		}
	}
}

// Create writes a new case; that it is there already is no error.
func (b *Book) Create(ctx context.Context, c dossier.Case) error {
	added, err := b.Add(ctx, c)
	if added {
		b.settle(ctx, c)
	}
	return err
}

// Add writes a new case, unless it is there already, and tells nobody yet.
func (b *Book) Add(ctx context.Context, c dossier.Case) (added bool, err error) {
	if err := c.Valid(); err != nil {
		return false, err
	}
	_, err = dossier.Cases(b.Store).Create(ctx, c)
	if errors.Is(err, entity.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Change writes a case together with the event that says what was done, and lets the
// followers know. f may return entity.ErrUnchanged.
func (b *Book) Change(ctx context.Context, id string, who dossier.Actor, action string, f func(c *dossier.Case, e *dossier.Event) error) (dossier.Case, error) {
	changed := false
	row, err := Retry(ctx, func() (entity.Row[dossier.Case], error) {
		changed = false
		return dossier.Cases(b.Store).Change(ctx, id, func(c *dossier.Case) error {
			if err := Enter(c, who, action, b.Now().UTC(), f); err != nil {
				return err
			}
			changed = true
			return c.Valid()
		})
	})
	if err != nil {
		return row.Value, known(id, err)
	}
	if changed {
		b.settle(ctx, row.Value)
	}
	return row.Value, nil
}

// Enter changes a case in hand, and puts the event on it that says what was done.
func Enter(c *dossier.Case, who dossier.Actor, action string, now time.Time, f func(c *dossier.Case, e *dossier.Event) error) error {
	before := c.Stopped()
	e := dossier.Event{Case: c.ID, At: now, Actor: who.Name, Action: action, From: c.State, Next: now}
	if err := f(c, &e); err != nil {
		return err
	}
	if len(c.Pending) >= dossier.MaxPending {
		return dossier.Refuse(dossier.ErrBusy, "case.changes-still-wait-for-those-who-act", "%s: %d changes still wait for those who act on them", "id", c.ID, "n", len(c.Pending))
	}
	note(c, e, before, now)
	return nil
}

// note puts an event on its case.
func note(c *dossier.Case, e dossier.Event, before []flow.Clock, now time.Time) {
	c.Changed = now
	c.Seq++
	e.Seq, e.Stopped = c.Seq, dossier.Newly(before, c.Stopped())
	e.Tell(e.Words())
	if e.From == c.State {
		e.From = ""
	} else {
		e.To = c.State
	}
	c.Pending = append(c.Pending, e)
}

// Quietly writes a case without an event: for what is counted by the thousand.
func (b *Book) Quietly(ctx context.Context, id string, f func(c *dossier.Case) error) (dossier.Case, error) {
	row, err := Retry(ctx, func() (entity.Row[dossier.Case], error) {
		return dossier.Cases(b.Store).Change(ctx, id, func(c *dossier.Case) error {
			if err := f(c); err != nil {
				return err
			}
			return c.Valid()
		})
	})
	return row.Value, known(id, err)
}

// Retry goes on after conflicts for as long as the caller waits.
func Retry[T any](ctx context.Context, f func() (entity.Row[T], error)) (entity.Row[T], error) {
	for {
		row, err := f()
		if !errors.Is(err, entity.ErrConflict) || ctx.Err() != nil {
			return row, err
		}
	}
}

type settling struct{}

// Settle hands the events of a case to those who have not answered yet. A follower that
// changes the case itself only adds an event: this loop comes to it.
func (b *Book) Settle(ctx context.Context, id string) {
	if c, err := b.Get(ctx, id); err == nil {
		b.settle(ctx, c)
	}
}

// settle is Settle of a case as it was written or read just now.
func (b *Book) settle(ctx context.Context, c dossier.Case) {
	busy, _ := ctx.Value(settling{}).([]string)
	if slices.Contains(busy, c.ID) {
		return
	}
	ctx = context.WithValue(ctx, settling{}, append(slices.Clone(busy), c.ID))
	blocked := false
	for range dossier.MaxPending {
		if len(c.Pending) == 0 || blocked {
			return
		}
		c, blocked = b.round(ctx, c)
	}
}
