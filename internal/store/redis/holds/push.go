package holds

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Push writes a hold exactly as it is, with its state and version, where the store has nothing,
// what does not verify, or an older version; of one version an end is the newer. Else the store
// is left as it is. It returns what is there then. body is asked only when the store lacks the
// body of a hold that has not ended. Caps do not apply: what was promised is kept.
func (s *Store) Push(ctx context.Context, h quarantine.Hold, body func() (io.ReadCloser, error)) (quarantine.Hold, error) {
	id, ok := record.ParseID(h.ID)
	if !ok || !h.State.Valid() || !ground.ValidSHA(h.SHA256) {
		return quarantine.Hold{}, fmt.Errorf("push: %.100q is no hold", h.ID)
	}
	defer s.g.Counts.Changed()
	for range ground.Tries {
		now, again, err := s.push(ctx, id, h, body)
		if err != nil || !again {
			return now, err
		}
	}
	return quarantine.Hold{}, fmt.Errorf("push %s: %w", h.ID, errContended)
}

// Enlist writes the entries again by which holds are found. Some may be on a master that has lost
// them while the holds are on another.
func (s *Store) Enlist(ctx context.Context, holds []quarantine.Hold) error {
	return s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, h := range holds {
			s.g.QueueIndex(ctx, p, h)
		}
	})
}

// newer reports whether h replaces what is there.
func newer(h, there quarantine.Hold) bool {
	return h.Version > there.Version || h.Version == there.Version && h.State.Ended() && !there.State.Ended()
}

// push is one try; again is true when others changed the hold meanwhile.
func (s *Store) push(ctx context.Context, id record.ID, h quarantine.Hold, body func() (io.ReadCloser, error)) (now quarantine.Hold, again bool, err error) {
	w := &writing{ID: id, Hold: h}
	there, err := s.beforePush(ctx, w)
	if err != nil {
		return now, false, err
	}
	whole, err := s.intact(ctx, there)
	if err != nil {
		return now, false, err
	}
	if there.Good && !newer(h, there.Hold) {
		if whole || there.Hold.State.Ended() {
			return there.Hold, false, s.g.Relist(ctx, there.Hold, there.Hold)
		}
		w.Hold = there.Hold // only the body is lost
	}
	switch {
	case there.Good && (whole || w.Hold.State.Ended()):
		err = s.pushState(ctx, w, there)
	case w.Hold.State.Ended():
		if err = s.seal(w); err == nil {
			err = s.send(ctx, w, ground.Reference{}, ground.Upload{})
		}
	default:
		err = s.pushBody(ctx, w, body)
	}
	if conn.Refused(err) != "" || errors.Is(err, quarantine.ErrTaken) {
		return now, true, nil
	}
	if err != nil {
		return now, false, err
	}
	from := w.Hold
	if there.Good {
		from = there.Hold
	}
	return w.Hold, false, s.g.Relist(ctx, from, w.Hold)
}

// beforePush reads what is there.
func (s *Store) beforePush(ctx context.Context, w *writing) (ground.Row, error) {
	var key *redis.StringCmd
	var there, meta *redis.SliceCmd
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		there = s.g.QueueRow(ctx, p, w.ID)
		meta = s.queueBody(ctx, p, w)
		if w.Hold.Key != "" {
			key = p.Get(ctx, s.g.KeyKey(w.Hold.Key))
		}
	}); err != nil {
		return ground.Row{}, err
	}
	w.readBody(meta)
	r := s.g.ReadRow(w.ID, there)
	w.expectFixed, w.expectState = r.Fixed, r.State
	if key == nil {
		return r, nil
	}
	w.Key = key.Val()
	return r, s.whoseKey(ctx, w)
}

// whoseKey leaves the key to a newer hold that has it.
func (s *Store) whoseKey(ctx context.Context, w *writing) error {
	other := record.Unpack(w.Key)
	if other <= w.Hold.ID {
		return nil
	}
	found, err := s.g.Rows(ctx, []string{other})
	if err != nil {
		return err
	}
	w.keyStays = found[0].Good && found[0].Hold.Key == w.Hold.Key
	return nil
}

// intact reports whether the body of a hold is there, as far as counting its chunks tells.
func (s *Store) intact(ctx context.Context, r ground.Row) (bool, error) {
	ref, ok := ground.ParseReference(r.Body, r.Hold)
	if !r.Good || !ok {
		return false, nil
	}
	var n []*redis.IntCmd
	err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, key := range s.g.BodyKeys(r.ID.Message, ref) {
			n = append(n, p.Exists(ctx, key))
		}
	})
	for _, cmd := range n {
		ok = ok && cmd.Val() == 1
	}
	return ok, err
}

// pushState changes the state of a hold that is there.
func (s *Store) pushState(ctx context.Context, w *writing, there ground.Row) error {
	state, err := s.g.Scribe.State(w.Hold, []byte(there.State))
	if err != nil {
		return err
	}
	ref, gone, err := s.swapState(ctx, there, w.Hold, state)
	if err == nil && gone {
		s.g.Counts.Add(ref.Family, -1, -ref.Stored)
	}
	return err
}

// pushBody writes a hold and its body over whatever is there. What is known of a body that has
// lost chunks is not believed.
func (s *Store) pushBody(ctx context.Context, w *writing, body func() (io.ReadCloser, error)) error {
	if w.there != nil {
		probe := ground.Row{ID: w.ID, Hold: w.Hold, Good: true, Body: w.there.String()}
		whole, err := s.intact(ctx, probe)
		if err != nil {
			return err
		}
		if !whole {
			w.there, w.replace = nil, true
		}
	}
	r, err := body()
	if err != nil {
		return err
	}
	defer r.Close()
	up, err := s.g.Receive(ctx, w.ID, w.Hold, w.there, r)
	if err == nil {
		err = s.seal(w)
	}
	if err != nil {
		return err
	}
	return s.commit(ctx, w, up)
}
