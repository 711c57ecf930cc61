package quarantine

import (
	"context"
	"errors"
	"time"
)

// How expiry treats a clock that is set. A step forward of up to maxStep between two rounds is
// believed: machines sleep over night. A larger one is believed only after it has stood for
// settle by a clock that cannot be set, and was reported; until then nothing expires. A step
// back is believed at once: it ends nothing early.
const (
	maxStep = 12 * time.Hour
	settle  = 24 * time.Hour
	// ahead is how far the time of a hold may lie in the future before it is taken for one
	// written while the clock was wrong.
	ahead = day
	// provisionalFor is how long a hold nobody answered for waits for the retry of its mail.
	provisionalFor = 5 * day
)

// jump remembers a step of the clock that is not believed yet.
type jump struct {
	on    bool
	since time.Duration // Elapsed when it was first seen
}

// Round counts what one round of ExpireDue ended.
type Round struct {
	Holds       int // over by policy
	Provisional int // never answered for
	Records     int // records of ended holds
	Corrected   int // holds from the future that were given a time
}

// ExpireDue ends what is over. It is called about once a minute; one call ends at most a
// round of holds, and is called again when Holds is that many.
func (q *Quarantine) ExpireDue(ctx context.Context) (Round, error) {
	var out Round
	now, believed, err := q.clock(ctx)
	if err != nil || !believed {
		return out, err
	}
	if out.Corrected, err = q.correct(ctx, now); err != nil {
		return out, err
	}
	if out.Provisional, err = q.cfg.Store.DropBefore(ctx, now.Add(-provisionalFor)); err != nil {
		return out, err
	}
	due, err := q.cfg.Store.Due(ctx, now, atOnce)
	if err != nil {
		return out, err
	}
	for _, h := range due {
		_, err := q.end(ctx, h, Expired, byClock, "expire", "kept "+h.Keep.String())
		switch {
		case err == nil:
			out.Holds++
		case !errors.Is(err, ErrConflict) && !errors.Is(err, ErrEnded):
			return out, err
		}
	}
	if out.Records, err = q.cfg.Store.Forget(ctx, now.Add(-q.cfg.Remember)); err != nil {
		return out, err
	}
	q.look(ctx)
	return out, nil
}

// clock returns the time, and whether it is believed; a believed time is remembered.
func (q *Quarantine) clock(ctx context.Context) (now time.Time, believed bool, err error) {
	now = q.cfg.Now().UTC()
	last, err := q.cfg.Store.Clock(ctx)
	if err != nil {
		return now, false, err
	}
	if !last.IsZero() && now.Sub(last) > maxStep && !q.settled(last, now) {
		return now, false, nil
	}
	q.mu.Lock()
	q.jump = jump{}
	q.mu.Unlock()
	return now, true, q.cfg.Store.SetClock(ctx, now)
}

// settled reports whether a jump was seen long enough ago, and reports a new one.
func (q *Quarantine) settled(last, now time.Time) bool {
	elapsed := q.cfg.Elapsed()
	q.mu.Lock()
	first := !q.jump.on
	if first {
		q.jump = jump{on: true, since: elapsed}
	}
	stood := elapsed - q.jump.since
	q.mu.Unlock()
	if first {
		q.cfg.Log.Error("the clock jumped forward: nothing expires until it has stood for a day", "expected", last, "now", now)
		if q.cfg.Jumped != nil {
			q.cfg.Jumped(last, now)
		}
	}
	return stood >= settle
}

// correct gives holds from the future the time they would have if they came now.
func (q *Quarantine) correct(ctx context.Context, now time.Time) (n int, err error) {
	future, err := q.cfg.Store.Future(ctx, now.Add(ahead), atOnce)
	if err != nil {
		return 0, err
	}
	for _, h := range future {
		due := now.Add(h.Keep)
		if !h.Expires.After(due) {
			continue
		}
		h.Expires = due
		if _, err := q.cfg.Store.Change(ctx, h); err == nil {
			n++
		} else if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrEnded) {
			return n, err
		}
	}
	return n, nil
}
