package quarantine

import (
	"context"

	"postern/internal/said"
)

// Level says how full the quarantine is.
type Level uint8

// The levels. Filling begins at 80 % of the cap and ends below 75 %.
const (
	Roomy Level = iota
	Filling
	Full // mail that must be held is refused for now
)

// String is the level in plain words.
func (l Level) String() string {
	return [...]string{"roomy", "filling", "full"}[min(l, Full)]
}

// Usage is how much is stored, of how much.
type Usage struct {
	Bytes int64 // on disk
	Cap   int64 // 0 = none
	Level Level
}

const (
	warnAt  = 80 // percent
	clearAt = 75
)

// Usage reads how much is stored.
func (q *Quarantine) Usage(ctx context.Context) (Usage, error) {
	st, err := q.cfg.Store.Stats(ctx)
	if err != nil {
		return Usage{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return Usage{Bytes: st.Bytes, Cap: q.cfg.Cap, Level: q.levelOf(st.Bytes)}, nil
}

// levelOf is the level at this many bytes, with the memory of the level before: once full it
// stays full until a hold would fit again, once filling until well below.
func (q *Quarantine) levelOf(bytes int64) Level {
	switch {
	case q.cfg.Cap <= 0:
		return Roomy
	case bytes >= q.cfg.Cap:
		return Full
	case bytes >= q.cfg.Cap/100*warnAt:
		return max(Filling, q.level)
	case bytes >= q.cfg.Cap/100*clearAt:
		return min(Filling, q.level)
	}
	return Roomy
}

// reserve makes sure that size more raw bytes fit below the cap, with all that is being
// written now, and returns how to give the room back. Nothing is pushed out to make room.
func (q *Quarantine) reserve(ctx context.Context, size int64) (release func(), err error) {
	if q.cfg.Cap <= 0 {
		return func() {}, nil
	}
	st, err := q.cfg.Store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	fits := st.Bytes+q.inFlight+size <= q.cfg.Cap
	u := Usage{Bytes: st.Bytes, Cap: q.cfg.Cap, Level: Full}
	if fits {
		q.inFlight += size
		u.Level = min(q.levelOf(st.Bytes), Filling)
	}
	q.mu.Unlock()
	q.setLevel(u)
	if !fits {
		return nil, said.Errorf("hold.of-bytes-are-used", "%w: %d of %d bytes are used", "kind", ErrFull, "bytes", st.Bytes, "cap", q.cfg.Cap)
	}
	return func() {
		q.mu.Lock()
		q.inFlight -= size
		q.mu.Unlock()
		q.look(context.WithoutCancel(ctx))
	}, nil
}

// look reads how full the store is and says so where that changed.
func (q *Quarantine) look(ctx context.Context) {
	u, err := q.Usage(ctx)
	if err != nil {
		q.cfg.Log.Warn("the size of the quarantine is unknown", "error", err)
		return
	}
	q.setLevel(u)
}

// setLevel tells Warn when the level is a new one.
func (q *Quarantine) setLevel(u Usage) {
	q.mu.Lock()
	news := u.Level != q.level
	q.level = u.Level
	q.mu.Unlock()
	if news && q.cfg.Warn != nil {
		q.cfg.Warn(u)
	}
}
