package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/internal/said"
	"postern/internal/spool"
)

// Times of a release.
const (
	lease   = 15 * time.Minute // an attempt that takes longer is taken for dead
	giveUp  = 5 * day          // then the hold is held again
	atOnce  = 50               // attempts, expiries or corrections in one round
	byClock = "postern"        // the actor of what nobody asked for
)

// backoff is the wait after the nth failed attempt.
func backoff(attempts int) time.Duration {
	steps := [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}
	return steps[min(max(attempts, 1), len(steps))-1]
}

// Release hands a hold to its original recipients: scanned for viruses again, sent from the
// hold, retried by RetryDue while the server behind is away. The hold returned says how far
// it came: Released; Releasing or Refused with Release.Failure. Releasing what was released
// is no error and sends nothing. Errors: ErrNotFound, ErrEnded, ErrNotReleasable, ErrBusy,
// ErrConflict, or a fault of the store.
func (q *Quarantine) Release(ctx context.Context, id, actor string) (Hold, error) {
	h, err := q.Show(ctx, id)
	if err != nil {
		return Hold{}, err
	}
	now := q.cfg.Now().UTC()
	switch {
	case h.State == Released:
		return h, nil
	case h.State.Ended():
		return h, said.Errorf("hold.it-was-at", "%w: it was %s at %s", "kind", ErrEnded, "state", h.State, "at", h.Ended.At.Format(time.RFC3339))
	case h.Class == Evidence || q.cfg.Send == nil || q.cfg.Rescan == nil:
		return h, ErrNotReleasable
	case h.Release.running(now):
		return h, ErrBusy
	}
	if err := q.audit(ctx, Event{Actor: actor, Action: "release", Object: id, Before: h.State, After: Releasing, Note: release(h)}); err != nil {
		return h, err
	}
	h.Release = &Release{By: actor, At: now}
	return q.attempt(ctx, h)
}

// release names what goes where, for the audit.
func release(h Hold) string { return fmt.Sprintf("to %q, sha256 %s", h.To, h.SHA256) }

// running reports whether somebody is sending right now.
func (r *Release) running(now time.Time) bool { return r != nil && r.Trying && r.Next.After(now) }

// attempt claims a hold and tries to send it once. The claim is a change of the hold, so of
// two that try at once one gets ErrConflict.
func (q *Quarantine) attempt(ctx context.Context, h Hold) (Hold, error) {
	r := *h.Release
	if unsent := q.takeUnsent(h.ID); r.Trying && !unsent {
		q.doubt(&r, h, "the attempt before ended with its process")
	}
	r.Attempts++
	r.Trying, r.Node, r.Life, r.Next = true, q.cfg.Node, q.life, q.cfg.Now().UTC().Add(lease)
	h.State, h.Release = Releasing, &r
	id := h.ID
	h, err := q.cfg.Store.Change(ctx, h)
	if err != nil {
		q.noteUnsent(id, err)
		return h, err
	}
	reply, failed := q.send(ctx, h)
	// What the server behind has taken must be written down even if the caller left.
	return q.settle(context.WithoutCancel(ctx), h, reply, failed)
}

// unsentMost bounds how many holds are remembered of which the store may think that they are on
// their way out, while nothing was sent.
const unsentMost = 1000

// noteUnsent remembers a hold that a store which gave no clear answer may think to be on its
// way out: nothing was sent, and it need not wait until the attempt is taken for dead.
func (q *Quarantine) noteUnsent(id string, err error) {
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrEnded) || errors.Is(err, ErrNotFound) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.unsent) < unsentMost {
		q.unsent[id] = true
	}
}

// takeUnsent reports whether a hold is such a one, and forgets it.
func (q *Quarantine) takeUnsent(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.unsent[id]
	delete(q.unsent, id)
	return was
}

func (q *Quarantine) isUnsent(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.unsent[id]
}

// doubt notes that the server behind may have a copy that it said nothing of.
func (q *Quarantine) doubt(r *Release, h Hold, why string) {
	r.Ambiguous = true
	q.cfg.Log.Warn("a release may have arrived twice", "hold", h.ID, "sha256", h.SHA256, "to", h.To, "attempt", r.Attempts, "ambiguous", true, "why", why)
}

// settle writes down how an attempt ended.
func (q *Quarantine) settle(ctx context.Context, h Hold, reply string, failed error) (Hold, error) {
	now := q.cfg.Now().UTC()
	r := *h.Release
	r.Trying, r.Next, r.Failure = false, time.Time{}, ""
	action, note := "released", reply
	var se *SendError
	if errors.As(failed, &se) && se.Ambiguous {
		q.doubt(&r, h, plain(failed))
	}
	switch {
	case failed == nil:
		h.State, h.Ended = Released, &Ended{At: now, By: r.By, Reply: reply}
	case errors.As(failed, &se) && se.Permanent:
		h.State, r.Failure = Refused, plain(failed)
		action, note = "release-refused", r.Failure
	case now.Sub(r.At) >= giveUp:
		h.State, r.Failure = Held, plain(failed)
		action, note = "release-given-up", r.Failure
	default:
		r.Failure, r.Next = plain(failed), now.Add(backoff(r.Attempts))
		action, note = "release-failed", r.Failure
	}
	if failed != nil {
		q.cfg.Log.Warn("a release failed", "hold", h.ID, "attempt", r.Attempts, "error", failed)
	}
	h.Release = &r
	id := h.ID
	h, err := q.cfg.Store.Change(ctx, h)
	if err != nil {
		if failed != nil && !r.Ambiguous {
			q.noteUnsent(id, err)
		}
		return h, err
	}
	return h, q.audit(ctx, Event{Actor: r.By, Action: action, Object: h.ID, Before: Releasing, After: h.State, Note: note})
}

// plain says in words that may be shown why a release failed.
func plain(err error) string {
	var se *SendError
	var p interface{ Plain() string }
	switch {
	case errors.As(err, &se):
		return clip(se.Reply, 500)
	case errors.As(err, &p):
		return clip(p.Plain(), 500)
	case errors.Is(err, ErrCorrupt):
		return ErrCorrupt.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "timed out"
	}
	return "could not be done now"
}

// send scans the body again and hands it on.
func (q *Quarantine) send(ctx context.Context, h Hold) (reply string, err error) {
	body, err := q.unpack(ctx, h)
	if err != nil {
		if errors.Is(err, ErrCorrupt) {
			err = &SendError{Reply: ErrCorrupt.Error(), Permanent: true, Err: err}
		}
		return "", err
	}
	defer func() { _ = body.Close() }() // a temp file; the next start removes what stays
	found, err := q.cfg.Rescan(ctx, h, body)
	if err != nil {
		return "", &SendError{Reply: "the virus scan before the release could not be done: " + plain(err), Err: err}
	}
	if found.Infected {
		return "", &SendError{Reply: "the virus scan before the release found " + found.Name, Permanent: true}
	}
	return q.cfg.Send(ctx, h, body)
}

// unpack reads the whole body, which verifies it, before a byte of it is used.
func (q *Quarantine) unpack(ctx context.Context, h Hold) (*spool.Body, error) {
	r, err := q.cfg.Store.Body(ctx, h.ID)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	w := q.cfg.Spool.New()
	if _, err := io.Copy(w, r); err != nil {
		w.Discard()
		return nil, err
	}
	body, err := w.Finish()
	if err != nil {
		return nil, err
	}
	if body.SHA256() != h.SHA256 {
		return nil, errors.Join(ErrCorrupt, body.Close())
	}
	return body, nil
}

// RetryDue tries the releases whose time has come, and returns how many went out.
func (q *Quarantine) RetryDue(ctx context.Context) (sent int, err error) {
	due, err := q.cfg.Store.Retry(ctx, q.cfg.Now().UTC(), atOnce)
	if err != nil {
		return 0, err
	}
	return q.tryAgain(ctx, due)
}

// Resume takes up what the last process of this node was about to send when it ended, what this
// one could not begin since the store gave no clear answer, and
// returns how many went out. Every node does that for itself: others wait for the lease.
func (q *Quarantine) Resume(ctx context.Context) (sent int, err error) {
	broken, err := q.interrupted(ctx)
	if err != nil {
		return 0, err
	}
	return q.tryAgain(ctx, broken)
}

func (q *Quarantine) tryAgain(ctx context.Context, holds []Hold) (sent int, err error) {
	for _, h := range holds {
		if h.Release == nil {
			h.Release = &Release{By: byClock, At: q.cfg.Now().UTC()}
		}
		h, err = q.attempt(ctx, h)
		if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrEnded) {
			return sent, err
		}
		if err == nil && h.State == Released {
			sent++
		}
	}
	return sent, nil
}

// interrupted finds the attempts that ended with an earlier process of this node, and those of
// this one that sent nothing.
func (q *Quarantine) interrupted(ctx context.Context) (out []Hold, err error) {
	page, err := q.cfg.Store.List(ctx, Query{States: []State{Releasing}, Limit: atOnce})
	for _, h := range page.Holds {
		if r := h.Release; r.running(q.cfg.Now()) && r.Life != "" && r.Node == q.cfg.Node && (r.Life != q.life || q.isUnsent(h.ID)) {
			out = append(out, h)
		}
	}
	return out, err
}

// Delete ends a hold without sending it. Deleting what was deleted is no error.
func (q *Quarantine) Delete(ctx context.Context, id, actor, note string) (Hold, error) {
	h, err := q.Show(ctx, id)
	if err != nil {
		return Hold{}, err
	}
	switch {
	case h.State == Deleted:
		return h, nil
	case h.State.Ended():
		return h, said.Errorf("hold.it-was-at", "%w: it was %s at %s", "kind", ErrEnded, "state", h.State, "at", h.Ended.At.Format(time.RFC3339))
	case h.Release.running(q.cfg.Now().UTC()):
		return h, ErrBusy
	}
	return q.end(ctx, h, Deleted, actor, "delete", note)
}

// end writes the audit first, since an end without a trace is worse than a trace of an end
// that failed; the failure leaves a trace of its own.
func (q *Quarantine) end(ctx context.Context, h Hold, to State, actor, action, note string) (Hold, error) {
	e := Event{Actor: actor, Action: action, Object: h.ID, Before: h, After: to, Note: note}
	if err := q.audit(ctx, e); err != nil {
		return h, err
	}
	before := h
	h.State, h.Ended = to, &Ended{At: q.cfg.Now().UTC(), By: actor}
	h, err := q.cfg.Store.Change(ctx, h)
	if err != nil {
		e.Action, e.Before, e.After, e.Note = action+"-failed", before.State, nil, "the hold was not changed"
		return before, errors.Join(err, q.audit(ctx, e))
	}
	return h, nil
}
