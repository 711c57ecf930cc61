// Package entities keeps the records of the rooms in Redis, and the bytes they rest on. A
// record is one sealed string under one key; what finds it lies elsewhere, is derived from it,
// written beside it and verified whenever it is read.
package entities

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/spool"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/entities/blobs"
	"postern/internal/store/redis/entities/ground"
	"postern/internal/store/redis/sealed"
)

// Marked is how long it is remembered that something was removed.
const Marked = ground.Marked

// Options are what a Store is made of. Conn and Ring are needed.
type Options struct {
	Conn *conn.Conn
	Ring *sealed.Ring
	Now  func() time.Time
	Log  *slog.Logger
	Caps map[entity.Class]int64 // stored bytes of blobs; 0 = none
	// Spool is where bytes wait until their digest is known; nil = in memory up to 1 MiB.
	Spool *spool.Spool
}

// Store implements entity.Home. It is safe for concurrent use.
type Store struct {
	*blobs.Store
	g      *ground.Ground
	codec  codec
	seed   maphash.Seed // of prints
	lately lately
}

// Stored is a record as it is stored.
type Stored struct {
	entity.Record
	Born int64 // 0: there is none

	raw   string // head of what is there, "" = nothing
	mark  int64  // birth of the one of this name that was removed last
	size  int
	print uint64 // of all that is there; 0: it says nothing
}

// New makes a Store. Nothing is asked of the server yet.
func New(o Options) (*Store, error) {
	if o.Spool == nil {
		o.Spool = &spool.Spool{Memory: 1 << 20}
	}
	c, err := newCodec(o.Ring)
	g := ground.New(o.Conn, o.Ring, o.Now, o.Log)
	return &Store{Store: blobs.New(g, o.Caps, o.Spool), g: g, codec: c, seed: maphash.MakeSeed()}, err
}

func (s *Store) slot(kind entity.Kind, id string) string {
	return "{e:" + string(kind) + ":" + id + "}"
}

func (s *Store) recordKey(kind entity.Kind, id string) string {
	return s.g.Conn.Key(s.slot(kind, id), "r")
}
func (s *Store) markKey(kind entity.Kind, id string) string {
	return s.g.Conn.Key(s.slot(kind, id), "d")
}
func (s *Store) revisionKey(kind entity.Kind) string { return s.g.Conn.Key("er", string(kind)) }
func (s *Store) sizeKey() string                     { return s.g.Conn.Key("ez") }
func (s *Store) indexKey(kind entity.Kind, index, value string) string {
	return s.g.Conn.Key("ex", string(kind), index, conn.Hash(value))
}

// Name is the name of a record.
type Name struct {
	Kind entity.Kind
	ID   string
}

// read reads records as they are, in the order of their names.
func (s *Store) read(ctx context.Context, names []Name) ([]Stored, error) {
	out := make([]Stored, len(names))
	cmds := make([][2]*redis.StringCmd, len(names))
	_, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		for i, n := range names {
			cmds[i] = [2]*redis.StringCmd{p.Get(ctx, s.recordKey(n.Kind, n.ID)), p.Get(ctx, s.markKey(n.Kind, n.ID))}
		}
	})
	if err != nil {
		return nil, err
	}
	for i, n := range names {
		text, err := cmds[i][0].Result()
		mark := s.g.ReadMark(name(n.Kind, n.ID), []byte(cmds[i][1].Val()))
		switch {
		case conn.WrongType(err):
			out[i] = Stored{raw: ground.Foreign, mark: mark}
			s.g.Say("a key of a record holds something else: it is taken for missing", "kind", n.Kind, "id", n.ID)
			continue
		case err != nil || text == "": // redis.Nil: faults were told by Each
			out[i] = Stored{mark: mark}
			continue
		}
		out[i], err = s.codec.open(n.Kind, n.ID, []byte(text))
		out[i].print = s.print(text)
		if err != nil {
			out[i] = Stored{}
			s.g.Say("a record of the store does not verify: it is taken for missing", "kind", n.Kind, "id", n.ID, "error", err)
		}
		out[i].raw, out[i].mark, out[i].size = text[:min(headLen, len(text))], mark, len(text)
	}
	return out, nil
}

// Read reads one record with its birth: a zero one where there is none.
func (s *Store) Read(ctx context.Context, kind entity.Kind, id string) (Stored, error) {
	found, err := s.read(ctx, []Name{{kind, id}})
	if err != nil {
		return Stored{}, err
	}
	return found[0], nil
}

// Get implements entity.Store.
func (s *Store) Get(ctx context.Context, kind entity.Kind, id string) (entity.Record, error) {
	if err := entity.ValidName(kind, id); err != nil {
		return entity.Record{}, fmt.Errorf("%w: %.32q %.150q", entity.ErrNotFound, kind, id)
	}
	found, err := s.Read(ctx, kind, id)
	if err == nil && found.Born == 0 {
		err = fmt.Errorf("%w: %s %s", entity.ErrNotFound, kind, id)
	}
	s.lately.keep(Name{kind, id}, found)
	return found.Record, err
}

// Put implements entity.Store.
func (s *Store) Put(ctx context.Context, r entity.Record) error {
	_, err := s.Write(ctx, r)
	return err
}

// Write is Put that tells the birth of what it wrote.
func (s *Store) Write(ctx context.Context, r entity.Record) (born int64, err error) {
	if err := r.Validate(); err != nil {
		return 0, err
	}
	old, known := s.lately.take(Name{r.Kind, r.ID}, r.Version-1)
	for range ground.Tries {
		if !known {
			if old, err = s.Read(ctx, r.Kind, r.ID); err != nil {
				return 0, err
			}
		}
		known = false
		switch {
		case r.Version == 1 && old.Born != 0:
			return 0, fmt.Errorf("%w: %s %s", entity.ErrExists, r.Kind, r.ID)
		case old.Version != r.Version-1:
			return 0, fmt.Errorf("%w: %s %s has version %d", entity.ErrConflict, r.Kind, r.ID, old.Version)
		}
		if born = old.Born; born == 0 {
			born = max(birth(s.g.Now()), old.mark+1)
		}
		again, err := s.replace(ctx, old, r, born)
		if err != nil || !again {
			return born, err
		}
	}
	return 0, fmt.Errorf("%w: %s %s changes all the time", entity.ErrConflict, r.Kind, r.ID)
}

// replace writes r over what was read; again says that somebody else was quicker. Entries of
// indexes are written before it, so that no crash hides a record, and once more after it,
// since who read them meanwhile took them for stale.
func (s *Store) replace(ctx context.Context, old Stored, r entity.Record, born int64) (again bool, err error) {
	text, err := s.codec.seal(r, born)
	if err != nil {
		return false, err
	}
	var done *redis.Cmd
	if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		s.file(ctx, p, r)
		done = swap.Run(ctx, p, []string{s.recordKey(r.Kind, r.ID), s.markKey(r.Kind, r.ID)}, old.raw, text, "", 0)
	}); err != nil {
		return false, err
	}
	if err := done.Err(); conn.Refused(err) != "" {
		return true, s.clean(ctx, r, entity.Unique(r.Keys))
	} else if err != nil {
		return false, err
	}
	fresh := 0
	if old.Born == 0 {
		fresh = 1
	}
	s.lately.keep(Name{r.Kind, r.ID}, Stored{Record: r, Born: born, raw: string(text[:min(headLen, len(text))]), mark: old.mark, size: len(text)})
	s.settle(context.WithoutCancel(ctx), old.Record, r, fresh, len(text)-old.size)
	return false, nil
}

// file queues the entries by which a record is found.
func (s *Store) file(ctx context.Context, p redis.Pipeliner, r entity.Record) {
	for _, k := range entity.Unique(r.Keys) {
		p.ZAdd(ctx, s.indexKey(r.Kind, k.Index, k.Value), redis.Z{Member: member(k.At, r.ID)})
	}
}

// settle writes what follows from a change: entries, revision and counters. The change stands:
// what goes wrong here is put right when it is read, or by Reindex.
func (s *Store) settle(ctx context.Context, old, now entity.Record, records, bytes int) {
	kind, id := cmpName(now, old)
	gone := slices.DeleteFunc(entity.Unique(old.Keys), func(k entity.Key) bool { return slices.Contains(now.Keys, k) })
	_, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		s.file(ctx, p, now)
		s.unfile(ctx, p, kind, id, gone)
		grow.Run(ctx, p, []string{s.revisionKey(kind)})
		if records != 0 {
			p.HIncrBy(ctx, s.sizeKey(), "n", int64(records))
		}
		p.HIncrBy(ctx, s.sizeKey(), "b", int64(bytes))
	})
	if err != nil {
		s.g.Log.Warn("a record was written, and what finds it not yet", "kind", kind, "id", id, "error", err)
		return
	}
	if err := s.refile(ctx, kind, id, gone); err != nil {
		s.g.Log.Debug("old entries of a record stay until they are read", "kind", kind, "id", id, "error", err)
	}
}

func cmpName(a, b entity.Record) (entity.Kind, string) {
	if a.ID == "" {
		return b.Kind, b.ID
	}
	return a.Kind, a.ID
}

// clean takes entries away that a record does not have, as far as was read. Should it have them
// by now, they are written again.
func (s *Store) clean(ctx context.Context, r entity.Record, keys []entity.Key) error {
	if len(keys) == 0 {
		return nil
	}
	if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) { s.unfile(ctx, p, r.Kind, r.ID, keys) }); err != nil {
		return err
	}
	return s.refile(ctx, r.Kind, r.ID, keys)
}

// unfile queues that entries are taken away.
func (s *Store) unfile(ctx context.Context, p redis.Pipeliner, kind entity.Kind, id string, keys []entity.Key) {
	for _, k := range keys {
		p.ZRem(ctx, s.indexKey(kind, k.Index, k.Value), member(k.At, id))
	}
}

// refile writes again those entries that were taken away and that a record has by now.
func (s *Store) refile(ctx context.Context, kind entity.Kind, id string, keys []entity.Key) error {
	if len(keys) == 0 {
		return nil
	}
	now, err := s.Read(ctx, kind, id)
	if err != nil {
		return err
	}
	now.Keys = slices.DeleteFunc(now.Keys, func(k entity.Key) bool { return !slices.Contains(keys, k) })
	if now.Born == 0 || len(now.Keys) == 0 {
		return nil
	}
	_, err = s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) { s.file(ctx, p, now.Record) })
	return err
}

// Remove implements entity.Store.
func (s *Store) Remove(ctx context.Context, kind entity.Kind, id string, version uint64) error {
	_, err := s.Take(ctx, kind, id, version)
	return err
}

// Take is Remove that tells the birth of what it removed; 0 = there was nothing.
func (s *Store) Take(ctx context.Context, kind entity.Kind, id string, version uint64) (born int64, err error) {
	if err := entity.ValidName(kind, id); err != nil {
		return 0, nil //nolint:nilerr // what cannot be there is not there
	}
	for range ground.Tries {
		old, err := s.Read(ctx, kind, id)
		switch {
		case err != nil || old.Born == 0:
			return 0, err
		case old.Version != version:
			return 0, fmt.Errorf("%w: %s %s has version %d", entity.ErrConflict, kind, id, old.Version)
		}
		if again, err := s.end(ctx, old); err != nil || !again {
			return old.Born, err
		}
	}
	return 0, fmt.Errorf("%w: %s %s changes all the time", entity.ErrConflict, kind, id)
}

// end takes away what was read, and leaves a mark.
func (s *Store) end(ctx context.Context, old Stored) (again bool, err error) {
	var done *redis.Cmd
	if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) {
		done = swap.Run(ctx, p, []string{s.recordKey(old.Kind, old.ID), s.markKey(old.Kind, old.ID)}, old.raw, "",
			s.g.Mark(name(old.Kind, old.ID), old.Born), ground.Marked.Milliseconds())
	}); err != nil {
		return false, err
	}
	if err := done.Err(); conn.Refused(err) != "" {
		return true, nil
	} else if err != nil {
		return false, err
	}
	s.settle(context.WithoutCancel(ctx), old.Record, entity.Record{}, -1, -old.size)
	return false, nil
}

// Revision implements entity.Store.
func (s *Store) Revision(ctx context.Context, kind entity.Kind) (uint64, error) {
	var get *redis.StringCmd
	if _, err := s.g.Conn.Each(ctx, conn.Write, func(p redis.Pipeliner) { get = p.Get(ctx, s.revisionKey(kind)) }); err != nil {
		return 0, err
	}
	if err := get.Err(); err != nil && !errors.Is(err, redis.Nil) && !conn.WrongType(err) {
		return 0, err
	}
	n, err := strconv.ParseUint(get.Val(), 10, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // none yet, or none of ours: any change makes a new one
	}
	return n, nil
}
