package kept

import (
	"context"
	"errors"
	"io"
	"time"

	"postern/internal/entity"
	"postern/internal/spool"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/entities/blobs"
	"postern/internal/store/redis/journal"
)

// PutBlob implements entity.Blobs.
func (s *Store) PutBlob(ctx context.Context, class entity.Class, r io.Reader) (sum string, size int64, err error) {
	return s.PutBlobAt(ctx, class, r, s.o.Now())
}

// PutBlobAt is PutBlob of what another home has kept since a time.
func (s *Store) PutBlobAt(ctx context.Context, class entity.Class, r io.Reader, at time.Time) (sum string, size int64, err error) {
	b, err := blobs.Receive(s.spool, class, r)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = b.Close() }() // its file is ours alone, and cleaned at the next start
	of := blobRef(class, b.SHA256())
	defer s.locks.Lock(of.String())()
	n := note{Born: at.UnixMilli(), Size: b.Size(), At: s.o.Now()}
	since, err := s.KeepBlob(ctx, class, b.SHA256(), b.Size(), n.Born, blobs.Open(b))
	switch {
	case err == nil:
		n.Born = since
	case ctx.Err() != nil:
		return "", 0, ctx.Err()
	case errors.Is(err, conn.ErrAway) && class == entity.Intake:
		n.Alone = true
		s.o.Log.Warn("bytes stand in the journal alone until the shared store takes them", "blob", of, "error", err)
	default:
		return "", 0, err
	}
	if err := s.keepBlob(context.WithoutCancel(ctx), of, n, b); err != nil {
		return "", 0, err
	}
	return b.SHA256(), b.Size(), nil
}

// keepBlob makes the journal stand for bytes. The caller holds their lock.
func (s *Store) keepBlob(ctx context.Context, of ref, n note, b *spool.Body) error {
	it, err := of.item(n, false)
	if err != nil {
		return err
	}
	k, known := s.known(of)
	if known && k.born == n.Born {
		return nil
	}
	err = s.jrn.Put(ctx, it, of.id, io.NewSectionReader(b, 0, b.Size()))
	if errors.Is(err, journal.ErrExists) {
		err = s.jrn.Set(ctx, it)
	}
	if err != nil {
		return sorted(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[of] = &mine{born: n.Born, at: n.At, alone: n.Alone}
	return nil
}

// Blob implements entity.Blobs. What the shared store lost, or cannot give, is read from the
// journal.
func (s *Store) Blob(ctx context.Context, class entity.Class, sum string) (io.ReadCloser, error) {
	r, err := s.Store.Blob(ctx, class, sum)
	if err == nil || !errors.Is(err, entity.ErrNotFound) && !errors.Is(err, conn.ErrAway) {
		return r, err
	}
	of := blobRef(class, sum)
	k, ok := s.known(of)
	if !ok || ctx.Err() != nil {
		return nil, err
	}
	if errors.Is(err, entity.ErrNotFound) && !k.alone {
		found, ferr := s.BlobFate(ctx, class, []string{sum})
		if ferr != nil || found[0].Removed >= k.born {
			return nil, errors.Join(err, ferr)
		}
		s.alarm(ctx, of)
	}
	own, jerr := s.jrn.Body(of.journalKind(false), of.journalID())
	if jerr != nil {
		return nil, err
	}
	return own, nil
}

// RemoveBlob implements entity.Blobs.
func (s *Store) RemoveBlob(ctx context.Context, class entity.Class, sum string) error {
	if err := errors.Join(class.Validate(), ctx.Err()); err != nil {
		return err
	}
	of := blobRef(class, sum)
	defer s.locks.Lock(of.String())()
	k, known := s.known(of)
	at, err := s.TakeBlob(ctx, class, sum)
	if err != nil {
		return err
	}
	if at == 0 && known {
		at = k.born
	}
	if at == 0 {
		return nil
	}
	return s.bury(context.WithoutCancel(ctx), of, at, 0)
}

// Walk gives all records of all kinds to f, many at a time: those too that the shared store was
// not given yet.
func (s *Store) Walk(ctx context.Context, f func(records []entity.Record) error) error {
	for _, of := range s.refs(false, func(k *mine) bool { return k.alone }) {
		if err := s.bringAlone(ctx, of); err != nil {
			return err
		}
	}
	return s.Store.Walk(ctx, f)
}

// Status counts what this node keeps.
func (s *Store) Status() phase.Status {
	st := phase.Status{Bytes: s.jrn.Stats().Bytes, Pushed: s.pushed.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Live, st.Tombstones = len(s.live), len(s.gone)
	for _, k := range s.live {
		if k.alone && (st.OldestUnpushed.IsZero() || k.at.Before(st.OldestUnpushed)) {
			st.OldestUnpushed = k.at
		}
	}
	return st
}
