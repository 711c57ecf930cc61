package move

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/internal/relay/outbox"
)

// lease is how long an entry is kept from others while it is moved.
const lease = 10 * time.Minute

func (r *run) outbox(ctx context.Context) error {
	for after := ""; ; {
		found, err := r.From.Outbox.List(ctx, after, page)
		if err != nil {
			return err
		}
		for _, e := range found {
			if err := r.entry(ctx, e.ID); err != nil {
				return fmt.Errorf("%s: %w", e.ID, err)
			}
			after = e.ID
		}
		r.step()
		if len(found) < page {
			return nil
		}
	}
}

// entry moves one. Broken off between the two homes it is in both, and may be sent twice: it
// says so.
func (r *run) entry(ctx context.Context, id string) error {
	e, crashed, err := r.From.Outbox.ClaimID(ctx, id, r.Now(), lease)
	switch {
	case errors.Is(err, outbox.ErrLost):
		r.out.Busy = append(r.out.Busy, id)
		return nil
	case errors.Is(err, outbox.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if _, err := r.To.Outbox.Get(ctx, id); errors.Is(err, outbox.ErrNotFound) {
		body, err := r.From.Outbox.Body(ctx, id)
		if err != nil {
			r.out.Damaged = append(r.out.Damaged, id)
			r.Log.Error("an outbox entry cannot be moved: its body cannot be read", "entry", id, "error", err)
			return r.From.Outbox.Retry(ctx, e)
		}
		fresh := e
		fresh.Version, fresh.Ambiguous = 0, e.Ambiguous || crashed
		_, err = r.To.Outbox.Add(ctx, fresh, io.NewSectionReader(body, 0, body.Size()))
		if err := errors.Join(err, body.Close()); err != nil {
			return errors.Join(err, r.From.Outbox.Retry(ctx, e))
		}
	} else if err != nil {
		return err
	}
	r.out.Outbox++
	return r.From.Outbox.End(ctx, e)
}
