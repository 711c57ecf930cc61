package kept

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"postern/internal/entity"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/journal"
)

// Lost says that the shared store may have lost something. What was removed is brought at once,
// what is there after the grace, by Step.
func (s *Store) Lost(ctx context.Context, why string) error {
	s.phases.Lost(ctx, why)
	return s.Step(ctx)
}

// Restoring reports whether changes wait for now.
func (s *Store) Restoring() bool { return s.phases.Restoring() }

// Run calls Step every few seconds until ctx ends.
func (s *Store) Run(ctx context.Context) { phase.Run(ctx, s.o.Log, 2*time.Second, s.Step) }

// Step brings to the shared store what it is time for, and compares a few more entries.
func (s *Store) Step(ctx context.Context) error {
	ends, live, born := s.phases.Due()
	if ends {
		if err := s.entomb(ctx, s.refs(true, nil)); err != nil {
			return err
		}
		s.phases.Done(true, false, born)
	}
	if live {
		if err := s.batches(ctx, s.refs(false, func(k *mine) bool { return !k.alone }), s.bring); err != nil {
			return err
		}
		s.phases.Done(false, true, born)
	}
	if !s.phases.Restoring() || live {
		for _, of := range s.refs(false, func(k *mine) bool { return k.alone }) {
			if err := s.bringAlone(ctx, of); err != nil {
				return err
			}
		}
	}
	ids := s.phases.Scrub(s.scrubbed)
	var some []ref
	for _, id := range ids {
		some = append(some, parse(id))
	}
	return errors.Join(s.look(ctx, some), s.expire(ctx))
}

// Refresh looks up what this node still has a copy of; of very many some each time.
func (s *Store) Refresh(ctx context.Context) error {
	all := s.refs(false, nil)
	return s.look(ctx, all[:min(len(all), 8*phase.Batch)])
}

// look compares entries with what the shared store has of them. Records that stand there as they
// were found before are not taken apart again: there may be very many, and this never ends.
func (s *Store) look(ctx context.Context, all []ref) error {
	var rest []ref
	for some := range slices.Chunk(all, phase.Batch) {
		var refs []ref
		var names []entities.Name
		var prints []uint64
		for _, of := range some {
			if k, ok := s.known(of); ok && k.print != 0 && s.o.Now().Sub(k.at) <= phase.Keep {
				refs, names, prints = append(refs, of), append(names, of.name()), append(prints, k.print)
			} else {
				rest = append(rest, of)
			}
		}
		same, err := s.Unchanged(ctx, names, prints)
		if err != nil {
			return err
		}
		for i, of := range refs {
			if !same[i] {
				rest = append(rest, of)
			}
		}
	}
	return s.batches(ctx, rest, s.compare)
}

func (s *Store) scrubbed() (out []string) {
	for _, of := range s.refs(false, nil) {
		mark := "r"
		if of.blob {
			mark = "b"
		}
		out = append(out, mark+of.journalID())
	}
	return out
}

func parse(id string) ref {
	of := ref{blob: id[0] == 'b'}
	for i := 1; i < len(id); i++ {
		if id[i] == '/' {
			of.kind, of.id = id[1:i], id[i+1:]
			break
		}
	}
	return of
}

// refs lists what this node keeps, or what was removed here.
func (s *Store) refs(gone bool, which func(*mine) bool) []ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.live
	if gone {
		from = s.gone
	}
	out := make([]ref, 0, len(from))
	for of, k := range from {
		if which == nil || which(k) {
			out = append(out, of)
		}
	}
	return out
}

// batches asks the shared store what became of things, a bounded number at a time.
func (s *Store) batches(ctx context.Context, all []ref, f func(ctx context.Context, of ref, k mine, far entities.Fate) error) error {
	for len(all) > 0 {
		n := min(phase.Batch, len(all))
		known := make([]mine, 0, n) // as it was before the shared store is asked
		refs := make([]ref, 0, n)
		for _, of := range all[:n] {
			if k, ok := s.known(of); ok {
				known, refs = append(known, k), append(refs, of)
			}
		}
		fates, err := s.fates(ctx, refs)
		if err != nil {
			return err
		}
		for i, of := range refs {
			if err := f(ctx, of, known[i], fates[i]); err != nil {
				return err
			}
		}
		all = all[n:]
	}
	return nil
}

func (s *Store) fates(ctx context.Context, refs []ref) ([]entities.Fate, error) {
	out := make([]entities.Fate, len(refs))
	var names []entities.Name
	var at []int
	sums, places := map[string][]string{}, map[string][]int{}
	for i, of := range refs {
		if of.blob {
			sums[of.kind], places[of.kind] = append(sums[of.kind], of.id), append(places[of.kind], i)
		} else {
			names, at = append(names, of.name()), append(at, i)
		}
	}
	if len(names) > 0 {
		found, err := s.Look(ctx, names)
		if err != nil {
			return nil, err
		}
		for j, f := range found {
			out[at[j]] = f
		}
	}
	for class, of := range sums {
		found, err := s.BlobFate(ctx, entity.Class(class), of)
		if err != nil {
			return nil, err
		}
		for j, f := range found {
			out[places[class][j]] = f
		}
	}
	return out, nil
}

// removed reports whether the shared store knows that k was removed.
func removed(of ref, k mine, far entities.Fate) bool {
	return far.Removed == k.born || of.blob && far.Removed >= k.born
}

// behind reports whether the shared store has less than this node.
func behind(of ref, k mine, far entities.Fate) bool {
	if of.blob {
		return far.Born == 0
	}
	return far.Born < k.born || far.Born == k.born && far.Version < k.version
}

// compare lets go of what others have changed or removed, or the shared store has kept long
// enough, and notices what it lost.
func (s *Store) compare(ctx context.Context, of ref, k mine, far entities.Fate) error {
	switch {
	case k.alone:
		return nil
	case behind(of, k, far) && !removed(of, k, far):
		s.alarm(ctx, of)
		return nil
	case removed(of, k, far) && far.Born != k.born:
		return s.let(ctx, of, k, true)
	case !of.blob && (far.Born > k.born || far.Version > k.version), s.o.Now().Sub(k.at) > phase.Keep:
		return s.let(ctx, of, k, false)
	case far.Born == k.born && far.Version == k.version:
		s.mu.Lock()
		defer s.mu.Unlock()
		if now := s.live[of]; now != nil && now.born == k.born && now.version == k.version {
			now.print = far.Print
		}
	}
	return nil
}

// let forgets what this node keeps, unless it went on meanwhile. What was removed elsewhere it
// remembers as removed.
func (s *Store) let(ctx context.Context, of ref, k mine, gone bool) error {
	defer s.locks.Lock(of.String())()
	now, ok := s.known(of)
	if !ok || now.born != k.born || now.version != k.version || now.alone != k.alone {
		return nil
	}
	if gone {
		return s.bury(ctx, of, k.born, k.version)
	}
	if err := s.jrn.Set(ctx, of.forgotten(false)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, of)
	return nil
}

// bring gives back what the shared store lost.
func (s *Store) bring(ctx context.Context, of ref, k mine, far entities.Fate) error {
	if removed(of, k, far) || !behind(of, k, far) {
		return nil
	}
	defer s.locks.Lock(of.String())()
	return s.push(ctx, of)
}

// bringAlone brings what the shared store never had.
func (s *Store) bringAlone(ctx context.Context, of ref) error {
	defer s.locks.Lock(of.String())()
	return s.bringOne(ctx, of)
}

// bringOne brings a record that the shared store never had: one that it has by now, made by
// another node, stays. The caller holds its lock.
func (s *Store) bringOne(ctx context.Context, of ref) error {
	k, ok := s.known(of)
	if !ok || !k.alone {
		return nil
	}
	if !of.blob {
		far, err := s.Read(ctx, entity.Kind(of.kind), of.id)
		if err != nil {
			return err
		}
		if far.Born != 0 && far.Born != k.born {
			s.o.Log.Error("a record that was made with the shared store away is there already: that one stays", "record", of, "version", far.Version)
			if err := s.jrn.Set(ctx, of.forgotten(false)); err != nil {
				return err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.live, of)
			return nil
		}
	}
	return s.push(ctx, of)
}

// push writes what the journal has into the shared store. The caller holds the lock.
func (s *Store) push(ctx context.Context, of ref) error {
	n, err := s.note(of, false)
	if err != nil {
		s.o.Log.Error("what the shared store lost cannot be read in the journal", "record", of, "error", err)
		return nil
	}
	if of.blob {
		n.Born, err = s.KeepBlob(ctx, entity.Class(of.kind), of.id, n.Size, n.Born, func() (io.ReadCloser, error) { return s.jrn.Body(blobKind, of.journalID()) })
	} else {
		_, err = s.Push(ctx, n.record(of), n.Born)
	}
	switch {
	case errors.Is(err, journal.ErrCorrupt), errors.Is(err, journal.ErrNotFound):
		s.o.Log.Error("what the shared store lost is not whole in the journal", "record", of, "error", err)
		return nil
	case errors.Is(err, entity.ErrFull) && ctx.Err() == nil:
		s.o.Log.Error("there is no room in the shared store for what stands in the journal", "record", of, "error", err)
		return nil
	case err != nil:
		return err
	}
	s.pushed.Add(1)
	n.Alone, n.At = false, s.o.Now()
	return s.keep(ctx, of, n)
}

// entomb makes the shared store remove what was removed here.
func (s *Store) entomb(ctx context.Context, all []ref) error {
	for _, of := range all {
		s.mu.Lock()
		k := s.gone[of]
		s.mu.Unlock()
		if k == nil {
			continue
		}
		var err error
		if of.blob {
			err = s.EntombBlob(ctx, entity.Class(of.kind), of.id, k.born)
		} else {
			err = s.Entomb(ctx, of.name(), k.born)
		}
		if err != nil && !errors.Is(err, entity.ErrConflict) {
			return err
		}
	}
	return nil
}

// expire forgets what was removed long ago.
func (s *Store) expire(ctx context.Context) error {
	old := s.refs(true, func(k *mine) bool { return s.o.Now().Sub(k.at) > entities.Marked })
	for _, of := range old {
		if err := s.jrn.Set(ctx, of.forgotten(true)); err != nil {
			return err
		}
		s.mu.Lock()
		delete(s.gone, of)
		s.mu.Unlock()
	}
	return nil
}
