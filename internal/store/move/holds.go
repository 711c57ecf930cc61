package move

import (
	"context"
	"errors"
	"fmt"

	"postern/quarantine"
)

func (r *run) holds(ctx context.Context) error {
	if err := r.resume(ctx); err != nil {
		return err
	}
	q := quarantine.Query{Limit: page}
	for {
		found, err := r.From.Holds.List(ctx, q)
		if err != nil {
			return err
		}
		for _, h := range found.Holds {
			if err := r.hold(ctx, h); err != nil {
				return fmt.Errorf("%s: %w", h.ID, err)
			}
		}
		r.step()
		if q.After = found.Next; q.After == "" {
			return nil
		}
	}
}

// resume confirms what a move that was broken off had ended in the old home already.
func (r *run) resume(ctx context.Context) error {
	q := quarantine.Query{Limit: page, States: []quarantine.State{quarantine.Deleted}}
	for {
		found, err := r.From.Holds.List(ctx, q)
		if err != nil {
			return err
		}
		for _, h := range found.Holds {
			if h.Ended == nil || h.Ended.By != By+r.Name {
				continue
			}
			if err := r.again(ctx, h); err != nil {
				return fmt.Errorf("%s: %w", h.ID, err)
			}
		}
		if q.After = found.Next; q.After == "" {
			return nil
		}
	}
}

// again brings a hold that ended in the old home to where it stood there, unless somebody has
// touched it in the new one.
func (r *run) again(ctx context.Context, h quarantine.Hold) error {
	now, err := r.To.Holds.Get(ctx, h.ID)
	switch {
	case errors.Is(err, quarantine.ErrNotFound): // its mail was held there under another ID
		return nil
	case err != nil:
		return err
	case now.State != quarantine.Provisional && (now.State != quarantine.Held || now.Release != nil):
		return nil
	}
	h.State = quarantine.Held
	if h.Release != nil && !h.Release.Next.IsZero() {
		h.State = quarantine.Releasing
	} else if h.Release != nil {
		h.State = quarantine.Refused
	}
	return r.arrive(ctx, h)
}

// hold moves one: written in the new home where nobody sees it, ended in the old one at the
// version that was read, and only then shown in the new one. Of a move and a release at the
// same time one wins.
func (r *run) hold(ctx context.Context, h quarantine.Hold) error {
	if h.Release != nil && h.Release.Trying && h.Release.Next.After(r.Now()) {
		r.out.Busy = append(r.out.Busy, h.ID)
		return nil
	}
	id, err := r.write(ctx, h)
	switch {
	case errors.Is(err, quarantine.ErrCorrupt), errors.Is(err, quarantine.ErrNotFound):
		if now, gerr := r.From.Holds.Get(ctx, h.ID); errors.Is(gerr, quarantine.ErrNotFound) || gerr == nil && now.State.Ended() {
			return nil // another node of the old home has just ended it
		}
		r.out.Damaged = append(r.out.Damaged, h.ID)
		r.Log.Error("a hold cannot be moved: its body is damaged", "hold", h.ID)
		return nil
	case err != nil:
		return err
	}
	gone := h
	gone.State, gone.Ended = quarantine.Deleted, &quarantine.Ended{At: r.Now().UTC(), By: By + r.Name}
	if _, err := r.From.Holds.Change(ctx, gone); err != nil {
		if errors.Is(err, quarantine.ErrConflict) || errors.Is(err, quarantine.ErrEnded) {
			r.out.Busy = append(r.out.Busy, h.ID)
			return r.To.Holds.Drop(ctx, []string{h.ID})
		}
		return err
	}
	if id == h.ID {
		err = r.arrive(ctx, h)
	}
	r.out.Holds++
	return err
}

// write puts a hold where nobody sees it yet, and returns the ID of the hold that the new home
// has for this mail.
func (r *run) write(ctx context.Context, h quarantine.Hold) (id string, err error) {
	body, err := r.From.Holds.Body(ctx, h.ID)
	if err != nil {
		return "", err
	}
	defer body.Close()
	fresh := h
	fresh.Release, fresh.Ended = nil, nil
	put, err := r.To.Holds.Put(ctx, fresh, body)
	if !errors.Is(err, quarantine.ErrTaken) {
		return put.ID, err
	}
	// Written by a move that was broken off before the old home ended it, and given another
	// key since: it is the same hold.
	old, err := r.To.Holds.Get(ctx, h.ID)
	if err == nil && old.SHA256 != h.SHA256 {
		err = quarantine.ErrTaken
	}
	return h.ID, err
}

// arrive shows a hold in the new home as it stood in the old one.
func (r *run) arrive(ctx context.Context, h quarantine.Hold) error {
	if err := r.To.Holds.Confirm(ctx, []string{h.ID}); err != nil {
		return err
	}
	if h.Release == nil {
		return nil
	}
	now, err := r.To.Holds.Get(ctx, h.ID)
	if err != nil {
		return err
	}
	now.State, now.Release = h.State, h.Release
	_, err = r.To.Holds.Change(ctx, now)
	return err
}
