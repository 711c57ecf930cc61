package holds

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/record"
	"postern/quarantine"
)

// Push writes a hold exactly as it is, with its state and version, where the store has nothing,
// what does not verify, or an older version; of one version an end is the newer. Else the store
// is left as it is. It returns what is there then. body is asked only when the store lacks the
// body of a hold that has not ended. Caps do not apply: what was promised is kept.
func (s *Store) Push(ctx context.Context, h quarantine.Hold, body func() (io.ReadCloser, error)) (quarantine.Hold, error) {
	id, ok := record.ParseID(h.ID)
	if !ok || !h.State.Valid() || !validSHA(h.SHA256) {
		return quarantine.Hold{}, fmt.Errorf("push: %.100q is no hold", h.ID)
	}
	defer s.counts.changed()
	for range tries {
		now, again, err := s.push(ctx, id, h, body)
		if err != nil || !again {
			return now, err
		}
	}
	return quarantine.Hold{}, fmt.Errorf("push %s: %w", h.ID, errContended)
}

// newer reports whether h replaces what is there.
func newer(h, there quarantine.Hold) bool {
	return h.Version > there.Version || h.Version == there.Version && h.State.Ended() && !there.State.Ended()
}

// push is one try; again is true when others changed the hold meanwhile.
func (s *Store) push(ctx context.Context, id record.ID, h quarantine.Hold, body func() (io.ReadCloser, error)) (now quarantine.Hold, again bool, err error) {
	w := &writing{id: id, hold: h}
	there, err := s.beforePush(ctx, w)
	if err != nil {
		return now, false, err
	}
	whole, err := s.whole(ctx, there)
	if err != nil {
		return now, false, err
	}
	if there.good && !newer(h, there.hold) {
		if whole || there.hold.State.Ended() {
			return there.hold, false, s.relist(ctx, there.hold, there.hold)
		}
		w.hold = there.hold // only the body is lost
	}
	switch {
	case there.good && (whole || w.hold.State.Ended()):
		err = s.pushState(ctx, w, there)
	case w.hold.State.Ended():
		if err = s.seal(w); err == nil {
			err = s.send(ctx, w, reference{}, upload{})
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
	from := w.hold
	if there.good {
		from = there.hold
	}
	return w.hold, false, s.relist(ctx, from, w.hold)
}

// beforePush reads what is there.
func (s *Store) beforePush(ctx context.Context, w *writing) (row, error) {
	var key *redis.StringCmd
	var there, meta *redis.SliceCmd
	if err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		there = s.queueRow(ctx, p, w.id)
		meta = s.queueBody(ctx, p, w)
		if w.hold.Key != "" {
			key = p.Get(ctx, s.keyKey(w.hold.Key))
		}
	}); err != nil {
		return row{}, err
	}
	w.readBody(meta)
	r := s.readRow(w.id, there)
	w.expectFixed, w.expectState = r.fixed, r.state
	if key == nil {
		return r, nil
	}
	w.key = key.Val()
	return r, s.whoseKey(ctx, w)
}

// whoseKey leaves the key to a newer hold that has it.
func (s *Store) whoseKey(ctx context.Context, w *writing) error {
	other := record.Unpack(w.key)
	if other <= w.hold.ID {
		return nil
	}
	found, err := s.rows(ctx, []string{other})
	if err != nil {
		return err
	}
	w.keyStays = found[0].good && found[0].hold.Key == w.hold.Key
	return nil
}

// whole reports whether the body of a hold is there, as far as counting its chunks tells.
func (s *Store) whole(ctx context.Context, r row) (bool, error) {
	ref, ok := parseReference(r.body, r.hold)
	if !r.good || !ok {
		return false, nil
	}
	var n []*redis.IntCmd
	err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		for _, key := range s.bodyKeys(r.id.Message, ref) {
			n = append(n, p.Exists(ctx, key))
		}
	})
	for _, cmd := range n {
		ok = ok && cmd.Val() == 1
	}
	return ok, err
}

// pushState changes the state of a hold that is there.
func (s *Store) pushState(ctx context.Context, w *writing, there row) error {
	state, err := s.scribe.State(w.hold, []byte(there.state))
	if err != nil {
		return err
	}
	ref, gone, err := s.swapState(ctx, there, w.hold, state)
	if err == nil && gone {
		s.counts.add(ref.family, -1, -ref.stored)
	}
	return err
}

// pushBody writes a hold and its body over whatever is there. What is known of a body that has
// lost chunks is not believed.
func (s *Store) pushBody(ctx context.Context, w *writing, body func() (io.ReadCloser, error)) error {
	if w.there != nil {
		probe := row{id: w.id, hold: w.hold, good: true, body: w.there.String()}
		whole, err := s.whole(ctx, probe)
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
	up, err := s.receive(ctx, w.id, w.hold, w.there, r)
	if err == nil {
		err = s.seal(w)
	}
	if err != nil {
		return err
	}
	return s.commit(ctx, w, up)
}
