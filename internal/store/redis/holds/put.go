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

var errContended = errors.New("others change the same hold all the time")

// writing is a hold on its way into the store.
type writing struct {
	ID    record.ID
	Hold  quarantine.Hold
	Fixed []byte
	State []byte
	// What is there before.
	expectFixed, expectState string
	there                    *ground.Reference // the same body of another hold
	replace                  bool              // what is known of the body is no good
	Key                      string            // value of the entry of the key
	keyStays                 bool
}

// seal writes both halves.
func (s *Store) seal(w *writing) (err error) {
	w.Fixed, w.State, err = s.g.Seal(w.Hold, w.expectState)
	return err
}

// Put implements quarantine.Store. Two nodes that put the same key at the same moment may make
// two holds of it.
func (s *Store) Put(ctx context.Context, h quarantine.Hold, r io.Reader) (quarantine.Hold, error) {
	h.State, h.Version, h.V = quarantine.Provisional, 1, quarantine.RecordVersion
	id, ok := record.ParseID(h.ID)
	if !ok {
		return quarantine.Hold{}, fmt.Errorf("%.100q is no ID of a hold", h.ID)
	}
	if !ground.ValidSHA(h.SHA256) {
		return quarantine.Hold{}, fmt.Errorf("%w: no digest", quarantine.ErrCorrupt)
	}
	w := &writing{ID: id, Hold: h}
	taken, err := s.before(ctx, w)
	if err != nil {
		return quarantine.Hold{}, err
	}
	if old, ok, err := s.again(ctx, h, w.Key); err != nil || ok {
		return old, err
	}
	if taken {
		return quarantine.Hold{}, fmt.Errorf("%w: %s", quarantine.ErrTaken, h.ID)
	}
	if err := s.store(ctx, w, r); err != nil {
		return quarantine.Hold{}, err
	}
	s.recent.keep(ground.Row{ID: id, Fixed: string(w.Fixed), State: string(w.State), Good: true, Hold: h})
	return h, nil
}

// before asks in one round trip for all that stands before a put.
func (s *Store) before(ctx context.Context, w *writing) (taken bool, err error) {
	var key *redis.StringCmd
	var there, meta *redis.SliceCmd
	err = s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		if w.Hold.Key != "" {
			key = p.Get(ctx, s.g.KeyKey(w.Hold.Key))
		}
		there = s.g.QueueRow(ctx, p, w.ID)
		meta = s.queueBody(ctx, p, w)
	})
	if err != nil {
		return false, err
	}
	if key != nil {
		w.Key = key.Val()
	}
	w.readBody(meta)
	return !s.g.ReadRow(w.ID, there).Missing(), nil
}

// queueBody asks whether the body of a hold is there already.
func (s *Store) queueBody(ctx context.Context, p redis.Pipeliner, w *writing) *redis.SliceCmd {
	return p.HMGet(ctx, s.g.BodyKey(w.ID.Message, ground.NewReference(w.Hold)), "g", "n", "z")
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
	if ref, ok := ground.SharedReference(w.Hold, gen, chunks, stored); ok {
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
	for range ground.Tries {
		found, err := s.g.Rows(ctx, []string{id})
		if err != nil {
			return quarantine.Hold{}, false, err
		}
		old := found[0]
		if !old.Good || old.Hold.Key != h.Key || endedBefore(old.Hold, h) {
			return quarantine.Hold{}, false, nil
		}
		if old.Hold.State != quarantine.Provisional {
			return old.Hold, true, nil
		}
		var joined *redis.Cmd
		err = s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) { joined = join.Run(ctx, p, []string{s.g.HoldKey(old.ID)}, old.State) })
		if err != nil {
			return quarantine.Hold{}, false, err
		}
		if joined.Err() == nil {
			return old.Hold, true, nil
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
	free, err := s.g.Room(ctx, ground.FamilyOf(w.Hold), 0)
	if err != nil {
		return err
	}
	free()
	up, err := s.g.Receive(ctx, w.ID, w.Hold, w.there, r)
	if err != nil {
		return err
	}
	if !up.Shared {
		if free, err = s.g.Room(ctx, up.Ref.Family, up.Ref.Stored); err != nil {
			s.g.Discard(ctx, w.ID, up.Ref, up.Ref.Chunks-len(up.Rest))
			return err
		}
		defer free()
	}
	if err := s.seal(w); err != nil {
		return err
	}
	return s.commit(ctx, w, up)
}

// commit sends the last chunks and the record, and begins again when the body came or went
// meanwhile.
func (s *Store) commit(ctx context.Context, w *writing, up ground.Upload) error {
	defer s.g.Counts.Begin()()
	mine := up.Ref
	for range ground.Tries {
		ref := mine
		if w.there != nil {
			ref = *w.there
		}
		err := s.send(ctx, w, ref, up)
		switch word := conn.Refused(err); {
		case word == "taken":
			s.g.Discard(ctx, w.ID, mine, mine.Chunks)
			return fmt.Errorf("%w: %s", quarantine.ErrTaken, w.Hold.ID)
		case word == "other": // somebody stored the same body first
			if err := s.look(ctx, w); err != nil {
				return err
			}
		case word == "missing" && w.there != nil && up.Whole:
			w.there, w.replace = nil, true
		case word == "missing" && w.there != nil && !up.Shared:
			w.there, w.replace = nil, true
		case word == "missing":
			return s.vanished(ctx, w, ref)
		case err == nil && w.there != nil && !up.Shared:
			s.g.Discard(ctx, w.ID, mine, mine.Chunks)
			return nil
		default:
			return err
		}
	}
	return fmt.Errorf("hold %s: %w", w.Hold.ID, errContended)
}

// vanished gives up a hold whose body is not there any more when its turn comes. The next try
// of the same mail stores it anew.
func (s *Store) vanished(ctx context.Context, w *writing, ref ground.Reference) error {
	err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		forgetBody.Run(ctx, p, []string{s.g.BodyKey(w.ID.Message, ref)}, ref.Gen)
	})
	return errors.Join(fmt.Errorf("hold %s: the stored body is gone", w.Hold.ID), err)
}

// look asks anew for the body.
func (s *Store) look(ctx context.Context, w *writing) error {
	var meta *redis.SliceCmd
	if err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) { meta = s.queueBody(ctx, p, w) }); err != nil {
		return err
	}
	w.readBody(meta)
	return nil
}

// send is one round trip: what is left of the body, the record, the entry of the key, and the
// note that the hold is to be looked after.
func (s *Store) send(ctx context.Context, w *writing, ref ground.Reference, up ground.Upload) error {
	var done, key *redis.Cmd
	packed := record.Pack(w.Hold.ID)
	err := s.g.Pipe(ctx, conn.Write, func(p redis.Pipeliner) {
		if ref == up.Ref {
			s.g.QueueChunks(ctx, p, w.ID.Message, ref, ref.Chunks-len(up.Rest), up.Rest)
		}
		keys, name := []string{s.g.HoldKey(w.ID)}, ""
		if !w.Hold.State.Ended() {
			keys, name = append(keys, s.g.BodyKeys(w.ID.Message, ref)...), ref.String()
		}
		done = commit.Run(ctx, p, keys, w.expectFixed, w.expectState, w.Fixed, w.State, ref.Gen, ref.Stored, name, ground.Flag(w.replace))
		s.g.QueueIndex(ctx, p, w.Hold)
		if w.Hold.Key != "" && !w.keyStays {
			key = ground.Swap.Run(ctx, p, []string{s.g.KeyKey(w.Hold.Key)}, w.Key, packed)
		}
	})
	if err == nil {
		err = s.account(ref, done)
	}
	if err != nil {
		return err
	}
	if w.Hold.State == quarantine.Provisional {
		s.g.Counts.Put()
	}
	if key != nil && key.Err() != nil {
		s.g.Say("a hold has no entry for its key", "hold", w.Hold.ID, "error", key.Err())
	}
	return nil
}

// account adds to the counters what a commit said about the body.
func (s *Store) account(ref ground.Reference, done *redis.Cmd) error {
	said, err := done.Int64Slice()
	switch {
	case err != nil:
		return err
	case len(said) != 2:
		return errNonsense
	case said[0] == 1:
		s.g.Counts.Add(ref.Family, 1, ref.Stored)
	case said[1] > 0:
		s.g.Counts.Add(ref.Family, 0, ref.Stored-said[1])
	}
	return nil
}

// errNonsense says that an answer is not one to what was asked: what was asked may not be done.
var errNonsense = fmt.Errorf("%w: it answered something else", conn.ErrAway)
