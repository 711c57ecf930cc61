package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"postern/abuse/cases/dossier"
	"postern/internal/entity"
)

// Waits between the tries of a follower.
const (
	FirstWait = 10 * time.Second
	longest   = 30 * time.Minute
)

// errWaits marks an event whose followers wait for an earlier one.
var errWaits = errors.New("an earlier change waits")

// round goes once over the events of a case, and returns the case as it is then. Those behind one
// that a follower did not take are filed and audited all the same. What all have answered is taken
// off together: whoever dies before that tells it again.
func (b *Book) round(ctx context.Context, c dossier.Case) (now dossier.Case, blocked bool) {
	var done []int
	for _, e := range c.Pending {
		had := len(e.Answered)
		failed := b.hand(ctx, c, &e, blocked)
		if failed == nil {
			done = append(done, e.Seq)
			continue
		}
		blocked = true
		if errors.Is(failed, errWaits) && len(e.Answered) == had {
			continue
		}
		failed = errors.Join(failed, b.unanswered(ctx, e, failed))
		if !errors.Is(failed, errWaits) && ctx.Err() == nil {
			b.Log.Error("a change of a case waits for those who act on it", "case", c.ID, "event", e.Seq, "err", failed)
		}
	}
	if len(done) == 0 {
		return c, blocked
	}
	now, err := b.takeOff(ctx, c.ID, done)
	if err != nil && ctx.Err() == nil {
		b.Log.Error("changes of a case stay on it, and are told again", "case", c.ID, "events", done, "err", err)
	}
	return now, blocked || err != nil
}

// hand calls every follower that has not answered, and notes those that do.
func (b *Book) hand(ctx context.Context, c dossier.Case, e *dossier.Event, blocked bool) error {
	builtin := []Named{{"timeline", Func(b.keep)}, {"audit", Func(b.audit)}}
	for i, s := range slices.Concat(builtin, b.Own, b.Others) {
		if blocked && i >= len(builtin)+len(b.Own) {
			return errWaits
		}
		if slices.Contains(e.Answered, s.Name) {
			continue
		}
		if err := s.Follow(ctx, c, *e); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		e.Answered = append(slices.Clone(e.Answered), s.Name)
	}
	return nil
}

// takeOff takes events off a case that all have answered.
func (b *Book) takeOff(ctx context.Context, id string, seqs []int) (dossier.Case, error) {
	row, err := Retry(ctx, func() (entity.Row[dossier.Case], error) {
		return dossier.Cases(b.Store).Change(ctx, id, func(c *dossier.Case) error {
			there := len(c.Pending)
			c.Pending = slices.DeleteFunc(c.Pending, func(p dossier.Event) bool { return slices.Contains(seqs, p.Seq) })
			if len(c.Pending) == there {
				return entity.ErrUnchanged
			}
			return nil
		})
	})
	return row.Value, err
}

// unanswered notes who answered an event that somebody did not take, and when to go on.
func (b *Book) unanswered(ctx context.Context, e dossier.Event, failed error) error {
	_, err := Retry(ctx, func() (entity.Row[dossier.Case], error) {
		return dossier.Cases(b.Store).Change(ctx, e.Case, func(c *dossier.Case) error {
			i := slices.IndexFunc(c.Pending, func(p dossier.Event) bool { return p.Seq == e.Seq })
			if i < 0 {
				return entity.ErrUnchanged
			}
			p := &c.Pending[i]
			for _, name := range e.Answered {
				if !slices.Contains(p.Answered, name) {
					p.Answered = append(p.Answered, name)
				}
			}
			if errors.Is(failed, errWaits) {
				return nil
			}
			p.Tries++
			p.Next = b.Now().UTC().Add(min(FirstWait<<min(p.Tries-1, 20), longest))
			return nil
		})
	})
	return err
}

// keep files the event in the timeline.
func (b *Book) keep(ctx context.Context, _ dossier.Case, e dossier.Event) error {
	e.Answered, e.Tries, e.Next = nil, 0, time.Time{}
	_, err := dossier.Events(b.Store).Create(ctx, e)
	if errors.Is(err, entity.ErrExists) {
		return nil
	}
	return err
}

func (b *Book) audit(ctx context.Context, c dossier.Case, e dossier.Event) error {
	var before any
	if e.From != "" {
		before = map[string]any{"state": e.From}
	}
	after := c.Audited()
	after["event"] = e.Seq
	if e.To != "" {
		after["state"] = e.To
	}
	for k, v := range e.Data {
		after[k] = v
	}
	return b.Audit(ctx, e.Actor, "case-"+e.Action, c.ID, before, after, e.Text)
}
