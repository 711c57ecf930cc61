package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	relayoutbox "postern/internal/relay/outbox"
	"postern/quarantine"
)

// get reads one entry, or ErrNotFound.
func (s *Store) get(ctx context.Context, id string) (stored, error) {
	found, err := s.read(ctx, []string{id})
	if err == nil && !found[0].ok {
		err = fmt.Errorf("%w: %.70s", relayoutbox.ErrNotFound, id)
	}
	if err != nil {
		return stored{}, err
	}
	return found[0], nil
}

// claimed reads the entry of a claim that still stands.
func (s *Store) claimed(ctx context.Context, e relayoutbox.Entry) (stored, error) {
	st, err := s.get(ctx, e.ID)
	if errors.Is(err, relayoutbox.ErrNotFound) || err == nil && (st.entry.Version != e.Version || st.lease == 0) {
		err = fmt.Errorf("%w: %s", relayoutbox.ErrLost, e.ID)
	}
	return st, err
}

// Retry implements outbox.Store.
func (s *Store) Retry(ctx context.Context, e relayoutbox.Entry) error {
	st, err := s.claimed(ctx, e)
	if err != nil {
		return err
	}
	e.Version++
	text, err := s.sealState(e, st.state)
	if err != nil {
		return err
	}
	if _, err := s.change(ctx, give, st, text); err != nil {
		return err
	}
	s.move(ctx, e.ID, e.Next.UnixMilli())
	return nil
}

// End implements outbox.Store.
func (s *Store) End(ctx context.Context, e relayoutbox.Entry) error {
	st, err := s.claimed(ctx, e)
	if err != nil {
		return err
	}
	keys := append([]string{s.entity(e.ID)}, st.fixed.Body.Keys(s.bodyKey(e.ID, st.fixed.Nonce))...)
	if _, err := s.run(ctx, end, e.ID, keys, st.version); err != nil {
		return err
	}
	s.unlist(ctx, e.ID)
	return nil
}

// tries is how often a change begins anew that lost to another one.
const tries = 5

// Hurry implements outbox.Store.
func (s *Store) Hurry(ctx context.Context, id string, now time.Time) error {
	for range tries {
		st, err := s.get(ctx, id)
		if err != nil || st.lease > now.UnixMilli() {
			return err
		}
		e := st.entry
		e.Version++
		e.Next = now
		text, err := s.sealState(e, st.state)
		if err != nil {
			return err
		}
		_, err = s.change(ctx, hurry, st, text, now.UnixMilli(), s.shared())
		if err == nil {
			s.move(ctx, id, max(now.UnixMilli(), st.lease))
		}
		if !errors.Is(err, relayoutbox.ErrLost) {
			return err
		}
	}
	return nil // somebody has it all the time: it is being tried
}

// Get implements outbox.Store.
func (s *Store) Get(ctx context.Context, id string) (relayoutbox.Entry, error) {
	st, err := s.get(ctx, id)
	return st.entry, err
}

// Look returns entries in the order of their IDs, a zero one for what is missing or does not
// verify.
func (s *Store) Look(ctx context.Context, ids []string) ([]relayoutbox.Entry, error) {
	found, err := s.read(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]relayoutbox.Entry, len(ids))
	for i, st := range found {
		out[i] = st.entry
	}
	return out, nil
}

// Body implements outbox.Store. The whole body is unpacked and verified first. The error is
// quarantine.ErrCorrupt when it is not what was added.
func (s *Store) Body(ctx context.Context, id string) (relayoutbox.Body, error) {
	for nonce := ""; ; {
		st, err := s.get(ctx, id)
		if err != nil {
			return nil, err
		}
		b, err := s.unpackBody(ctx, st)
		switch {
		case err == nil:
			return b, nil
		case !errors.Is(err, quarantine.ErrCorrupt):
			return nil, err
		case st.fixed.Nonce == nonce: // it has not ended or been replaced while it was read
			return nil, fmt.Errorf("outbox entry %s: %w", id, err)
		}
		nonce = st.fixed.Nonce
	}
}

func (s *Store) unpackBody(ctx context.Context, st stored) (relayoutbox.Body, error) {
	r, err := s.bodies.Open(ctx, s.bodyKey(st.id, st.fixed.Nonce), st.fixed.Body)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	w := s.Spool.New()
	if _, err := io.Copy(w, r); err != nil {
		w.Discard()
		return nil, err
	}
	return w.Finish()
}
