package train

import (
	"context"
	"errors"
	"time"

	"postern/filter/bayes"
	"postern/internal/entity"
	"postern/internal/said"
)

// Back says what to take back: one message, one act, or all since a time.
type Back struct {
	ID    string    `json:"id,omitempty"`
	Run   string    `json:"run,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"` // with Since; zero = now
	Via   string    `json:"via,omitempty"`  // with Since: what was learned in this way alone
}

// ErrWhat says that nothing was named to take back, or several things.
var ErrWhat = said.New("learning.name-one-thing-to-take-back-a", "name one thing to take back: a message, an act, or a span of time")

// ErrNotFound says that there is no such message or act in the journal.
var ErrNotFound = said.New("learning.there-is-no-such-message-or-act", "there is no such message or act in the journal")

// Undo makes messages count as they did before the last change of each, and returns how many.
// What was taken back is not taken back again.
func (t *Trainer) Undo(ctx context.Context, what Back, by string) (int, error) {
	q := entity.Query{Kind: Kind, Limit: Batch}
	switch named := [3]bool{what.ID != "", what.Run != "", !what.Since.IsZero()}; named {
	case [3]bool{true, false, false}:
		e, err := t.get(ctx, what.ID)
		if err == nil && e.version == 0 {
			err = said.Errorf("detail", "%w: %s", "kind", ErrNotFound, "what", what.ID)
		}
		if err != nil {
			return 0, err
		}
		return t.back(ctx, []Entry{e}, by)
	case [3]bool{false, true, false}:
		q.Index, q.Value = bySpan, what.Run
	case [3]bool{false, false, true}:
		q.Index, q.From, q.To = byTime, what.Since.UnixMilli(), what.Until.UnixMilli()
		if what.Until.IsZero() {
			q.To = t.Now().UnixMilli()
		}
		if what.Via != "" {
			q.Index, q.Value = byWay, what.Via
		}
	default:
		return 0, ErrWhat
	}
	all, err := t.find(ctx, q)
	if err == nil && len(all) == 0 && what.Run != "" {
		err = said.Errorf("detail", "%w: %s", "kind", ErrNotFound, "what", what.Run)
	}
	if err != nil {
		return 0, err
	}
	return t.back(ctx, all, by)
}

// find returns all entries of a query.
func (t *Trainer) find(ctx context.Context, q entity.Query) (out []Entry, err error) {
	for {
		page, err := t.Records.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			e, err := entryOf(r)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		if q.After = page.Next; q.After == "" {
			return out, nil
		}
	}
}

// back takes the last change of each entry back. The time of the change stays, so that a span
// finds the same messages again.
func (t *Trainer) back(ctx context.Context, all []Entry, by string) (n int, err error) {
	var written []Entry
	for _, e := range all {
		if e.Undone {
			continue
		}
		e.Class, e.Was, e.By, e.Undone = e.Was, e.Class, by, true
		if err = t.write(ctx, &e); errors.Is(err, entity.ErrConflict) { // changed in the meantime: not what was meant
			err = nil
			continue
		}
		if err != nil {
			break
		}
		n++
		written = append(written, e)
		if len(written) == Batch {
			err = t.settle(ctx, written)
			written = written[:0]
			if err != nil {
				break
			}
		}
	}
	return n, errors.Join(err, t.settle(ctx, written))
}

// Repair counts again what stands in the journal, where the counts do not fit it: after a
// restore, a move, or an act that was cut short. It returns how many messages it looked at.
func (t *Trainer) Repair(ctx context.Context, scopes []string) (n int, err error) {
	fits, err := t.Fits(ctx, scopes)
	if err != nil || fits {
		return 0, err
	}
	if err := t.Reader.Store.Reset(ctx); err != nil {
		return 0, err
	}
	q := entity.Query{Kind: Kind, Index: byTime, Limit: Batch}
	for {
		page, err := t.Records.Find(ctx, q)
		if err != nil {
			return n, err
		}
		var changes []bayes.Change
		for _, r := range page.Records {
			e, err := entryOf(r)
			if err != nil {
				return n, err
			}
			if e.counts() != bayes.None && e.Key == t.keyID() {
				changes = append(changes, change(e))
			}
		}
		if err := t.Reader.Store.Apply(ctx, changes); err != nil {
			return n, err
		}
		n += len(page.Records)
		if q.After = page.Next; q.After == "" {
			return n, nil
		}
	}
}

// Fits reports whether as many messages are counted as the journal has. While somebody learns it
// need not, for a moment.
func (t *Trainer) Fits(ctx context.Context, scopes []string) (bool, error) {
	for _, scope := range scopes {
		counted, err := t.Reader.Learned(ctx, scope)
		if err != nil {
			return false, err
		}
		for class, n := range map[bayes.Class]int{bayes.Spam: counted.Spam, bayes.Ham: counted.Ham} {
			have, err := t.Records.Count(ctx, t.query(byClass, scope, class), all)
			if err != nil || have != n {
				return false, err
			}
		}
	}
	return true, nil
}

// all is more than is ever kept.
const all = 1 << 30
