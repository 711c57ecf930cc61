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

// tries bounds how often something is begun again because others changed it meanwhile.
const tries = 5

var errContended = errors.New("others change the same hold all the time")

// writing is a hold on its way into the store.
type writing struct {
	id    record.ID
	hold  quarantine.Hold
	fixed []byte
	state []byte
	// What is there before.
	expectFixed, expectState string
	there                    *reference // the same body of another hold
	replace                  bool       // what is known of the body is no good
	key                      string     // value of the entry of the key
	keyStays                 bool
}

// Put implements quarantine.Store. Two nodes that put the same key at the same moment may make
// two holds of it.
func (s *Store) Put(ctx context.Context, h quarantine.Hold, r io.Reader) (quarantine.Hold, error) {
	h.State, h.Version, h.V = quarantine.Provisional, 1, quarantine.RecordVersion
	id, ok := record.ParseID(h.ID)
	if !ok {
		return quarantine.Hold{}, fmt.Errorf("%.100q is no ID of a hold", h.ID)
	}
	if !validSHA(h.SHA256) {
		return quarantine.Hold{}, fmt.Errorf("%w: no digest", quarantine.ErrCorrupt)
	}
	w := &writing{id: id, hold: h}
	taken, err := s.before(ctx, w)
	if err != nil {
		return quarantine.Hold{}, err
	}
	if old, ok, err := s.again(ctx, h, w.key); err != nil || ok {
		return old, err
	}
	if taken {
		return quarantine.Hold{}, fmt.Errorf("%w: %s", quarantine.ErrTaken, h.ID)
	}
	if err := s.store(ctx, w, r); err != nil {
		return quarantine.Hold{}, err
	}
	s.recent.keep(row{id: id, fixed: string(w.fixed), state: string(w.state), good: true, hold: h})
	return h, nil
}

// before asks in one round trip for all that stands before a put.
func (s *Store) before(ctx context.Context, w *writing) (taken bool, err error) {
	var key *redis.StringCmd
	var there, meta *redis.SliceCmd
	err = s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		if w.hold.Key != "" {
			key = p.Get(ctx, s.keyKey(w.hold.Key))
		}
		there = s.queueRow(ctx, p, w.id)
		meta = s.queueBody(ctx, p, w)
	})
	if err != nil {
		return false, err
	}
	if key != nil {
		w.key = key.Val()
	}
	w.readBody(meta)
	return !s.readRow(w.id, there).missing(), nil
}

// queueBody asks whether the body of a hold is there already.
func (s *Store) queueBody(ctx context.Context, p redis.Pipeliner, w *writing) *redis.SliceCmd {
	return p.HMGet(ctx, s.bodyKey(w.id.Message, newReference(w.hold)), "g", "n", "z")
}

func (w *writing) readBody(meta *redis.SliceCmd) {
	w.there, w.replace = nil, meta.Err() != nil
	f := meta.Val()
	if len(f) != 3 || f[0] == nil && f[1] == nil && f[2] == nil {
		return
	}
	gen, _ := f[0].(string)
	chunks, _ := f[1].(string)
	stored, _ := f[2].(string)
	if ref, ok := sharedReference(w.hold, gen, chunks, stored); ok {
		w.there = &ref
	} else {
		w.replace = true
	}
}

// again joins the caller to the hold that the entry of the key names, if it answers for h.
func (s *Store) again(ctx context.Context, h quarantine.Hold, entry string) (quarantine.Hold, bool, error) {
	id := record.Unpack(entry)
	if id == "" {
		return quarantine.Hold{}, false, nil
	}
	for range tries {
		found, err := s.rows(ctx, []string{id})
		if err != nil {
			return quarantine.Hold{}, false, err
		}
		old := found[0]
		if !old.good || old.hold.Key != h.Key || endedBefore(old.hold, h) {
			return quarantine.Hold{}, false, nil
		}
		if old.hold.State != quarantine.Provisional {
			return old.hold, true, nil
		}
		var joined *redis.Cmd
		err = s.pipe(ctx, conn.Write, func(p redis.Pipeliner) { joined = join.Run(ctx, p, []string{s.holdKey(old.id)}, old.state) })
		if err != nil {
			return quarantine.Hold{}, false, err
		}
		if joined.Err() == nil {
			return old.hold, true, nil
		}
	}
	return quarantine.Hold{}, false, fmt.Errorf("hold %s: %w", id, errContended)
}

// endedBefore reports whether old ended too long ago to answer for h.
func endedBefore(old, h quarantine.Hold) bool {
	return old.Ended != nil && old.Ended.At.UnixMilli() < h.At.Add(-quarantine.KeyKept).UnixMilli()
}

// store writes a hold and its body, both or neither.
func (s *Store) store(ctx context.Context, w *writing, r io.Reader) error {
	free, err := s.room(ctx, familyOf(w.hold), 0)
	if err != nil {
		return err
	}
	free()
	up, err := s.receive(ctx, w.id, w.hold, w.there, r)
	if err != nil {
		return err
	}
	if !up.shared {
		if free, err = s.room(ctx, up.ref.family, up.ref.stored); err != nil {
			s.discard(ctx, w.id, up.ref, up.ref.chunks-len(up.rest))
			return err
		}
		defer free()
	}
	if err := s.seal(w); err != nil {
		return err
	}
	return s.commit(ctx, w, up)
}

func (s *Store) seal(w *writing) (err error) {
	if w.fixed, err = s.scribe.Fixed(w.hold); err == nil {
		w.state, err = s.scribe.State(w.hold, []byte(w.expectState))
	}
	return err
}

// commit sends the last chunks and the record, and begins again when the body came or went
// meanwhile.
func (s *Store) commit(ctx context.Context, w *writing, up upload) error {
	defer s.counts.begin()()
	mine := up.ref
	for range tries {
		ref := mine
		if w.there != nil {
			ref = *w.there
		}
		err := s.send(ctx, w, ref, up)
		switch word := conn.Refused(err); {
		case word == "taken":
			s.discard(ctx, w.id, mine, mine.chunks)
			return fmt.Errorf("%w: %s", quarantine.ErrTaken, w.hold.ID)
		case word == "other": // somebody stored the same body first
			if err := s.look(ctx, w); err != nil {
				return err
			}
		case word == "missing" && w.there != nil && up.whole:
			w.there, w.replace = nil, true
		case word == "missing" && w.there != nil && !up.shared:
			w.there, w.replace = nil, true
		case word == "missing":
			return s.vanished(ctx, w, ref)
		case err == nil && w.there != nil && !up.shared:
			s.discard(ctx, w.id, mine, mine.chunks)
			return nil
		default:
			return err
		}
	}
	return fmt.Errorf("hold %s: %w", w.hold.ID, errContended)
}

// vanished gives up a hold whose body is not there any more when its turn comes. The next try
// of the same mail stores it anew.
func (s *Store) vanished(ctx context.Context, w *writing, ref reference) error {
	err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		forgetBody.Run(ctx, p, []string{s.bodyKey(w.id.Message, ref)}, ref.gen)
	})
	return errors.Join(fmt.Errorf("hold %s: the stored body is gone", w.hold.ID), err)
}

// look asks anew for the body.
func (s *Store) look(ctx context.Context, w *writing) error {
	var meta *redis.SliceCmd
	if err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) { meta = s.queueBody(ctx, p, w) }); err != nil {
		return err
	}
	w.readBody(meta)
	return nil
}

// send is one round trip: what is left of the body, the record, the entry of the key, and the
// note that the hold is to be looked after.
func (s *Store) send(ctx context.Context, w *writing, ref reference, up upload) error {
	var done, key *redis.Cmd
	packed := record.Pack(w.hold.ID)
	err := s.pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		if ref == up.ref {
			s.queueChunks(ctx, p, w.id.Message, ref, ref.chunks-len(up.rest), up.rest)
		}
		keys := append([]string{s.holdKey(w.id)}, s.bodyKeys(w.id.Message, ref)...)
		done = commit.Run(ctx, p, keys, w.expectFixed, w.expectState, w.fixed, w.state, ref.gen, ref.stored, ref.String(), flag(w.replace))
		s.queueIndex(ctx, p, w.hold)
		if w.hold.Key != "" && !w.keyStays {
			key = swap.Run(ctx, p, []string{s.keyKey(w.hold.Key)}, w.key, packed)
		}
	})
	if err == nil {
		err = done.Err()
	}
	if err != nil {
		return err
	}
	s.account(ref, done)
	if w.hold.State == quarantine.Provisional {
		s.counts.put()
	}
	if key != nil && key.Err() != nil {
		s.say("a hold has no entry for its key", "hold", w.hold.ID, "error", key.Err())
	}
	return nil
}

// account adds to the counters what a commit said about the body.
func (s *Store) account(ref reference, done *redis.Cmd) {
	said, err := done.Int64Slice()
	if err != nil || len(said) != 2 {
		return
	}
	if said[0] == 1 {
		s.counts.add(ref.family, 1, ref.stored)
	} else if said[1] > 0 {
		s.counts.add(ref.family, 0, ref.stored-said[1])
	}
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
