// Package journal is a node's own write-ahead log: what was promised is synced here as well as
// in the shared store, so that a store that lost it can be given it again. It is a folder of
// segments that are only ever appended to. An entry is a small record that may be replaced,
// and a body that is stored once for all entries that name its digest.
package journal

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/store/redis/journal/segment"
)

// Errors of a Journal. They are wrapped: use errors.Is.
var (
	ErrFull     = errors.New("the journal is full")
	ErrReadOnly = errors.New("the journal is read-only after a failed write")
	ErrNotFound = errors.New("no such entry in the journal")
	ErrExists   = errors.New("the journal has an entry of this ID")
	ErrEnded    = errors.New("the entry of the journal has ended")
	ErrCorrupt  = segment.ErrCorrupt
)

// State is what has become of an entry.
type State = segment.State

// The states of an entry.
const (
	Live  = segment.Live  // it must not be lost
	Ended = segment.Ended // a tombstone, remembered until its time
	Gone  = segment.Gone  // to be forgotten
)

// Options say where the journal is.
type Options struct {
	Dir     string       // made if missing; its parent must be there
	Max     int64        // bytes of all segments; 0 = 20 GiB. Ends are taken beyond it.
	Segment int64        // bytes of one; 0 = 64 MiB
	Disk    segment.Disk // nil = the real one
	Now     func() time.Time
	Log     *slog.Logger
}

func (o Options) filled() Options {
	if o.Max <= 0 {
		o.Max = 20 << 30
	}
	if o.Segment <= 0 {
		o.Segment = 64 << 20
	}
	if o.Disk == nil {
		o.Disk = segment.OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Item is what an entry is from now on.
type Item struct {
	Kind   string // at most 16 bytes
	ID     string // at most 255 bytes
	Record []byte // at most 8 MiB
	State  State
	Until  time.Time // of a tombstone: forgotten after it
}

// Journal is safe for concurrent use.
type Journal struct {
	o      Options
	coders segment.Coders
	lock   io.Closer
	syncs  atomic.Int64
	broken atomic.Pointer[error]

	mu       sync.Mutex
	entries  map[key]*entry
	bodies   map[string]*body
	segs     map[uint64]*volume
	newest   *volume
	reserved map[key]struct{}
	pending  *batch
	bytes    int64 // of all segments
	coming   int64 // bytes of bodies that are about to be written

	file  sync.Mutex // of what follows; taken before mu
	head  *volume    // nil: the next write makes one
	f     segment.File
	dirty bool
	next  uint64
}

type key struct{ kind, id string }

// place is where a frame is.
type place struct {
	seg *volume
	off int64
	n   int64
}

// entry is where the current record of an entry is. first and last are the numbers of the
// segments between which older records of it may be.
type entry struct {
	place
	sha         string // "" without a body
	state       State
	until       int64
	first, last uint64
}

type body struct {
	place
	refs int
}

// volume is one segment. live counts the bytes of frames that are still needed.
type volume struct {
	seq        uint64
	marker     [8]byte
	size, live int64
	damaged    bool
}

func (j *Journal) path(s *volume) string {
	return filepath.Join(j.o.Dir, fmt.Sprintf("%016x%s", s.seq, suffix))
}

// Put writes a new entry with its body, read once, whose SHA-256 in hex is sha: both are
// synced when it returns nil. ErrExists when there is an entry of this ID, ErrFull when there
// is no room, ErrCorrupt when the body does not hash to sha.
func (j *Journal) Put(ctx context.Context, it Item, sha string, r io.Reader) error {
	raw, err := hex.DecodeString(sha)
	if err != nil || len(raw) != 32 {
		return fmt.Errorf("%w: %.70q is no SHA-256", ErrCorrupt, sha)
	}
	if err := j.check(ctx); err != nil {
		return err
	}
	k := key{it.Kind, it.ID}
	known, err := j.reserve(k, string(raw))
	if err != nil {
		return err
	}
	op := &op{item: it, sha: string(raw), put: true}
	defer j.unreserve(k, op, known)
	if known {
		if err := segment.Matches(r, op.sha); err != nil {
			return err
		}
	} else if op.pack, err = j.coders.Pack(j.o.Disk, j.o.Dir, op.sha, r); err != nil {
		return j.sorted(err)
	}
	return j.commit(ctx, op)
}

// reserve keeps others from the ID while its entry is written, and the body where it is known.
func (j *Journal) reserve(k key, sha string) (known bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.reserved[k]; ok {
		return false, fmt.Errorf("%w: %s %s", ErrExists, k.kind, k.id)
	}
	if e := j.entries[k]; e != nil && !e.over(j.o.Now()) {
		return false, fmt.Errorf("%w: %s %s", ErrExists, k.kind, k.id)
	}
	if j.bytes+j.coming >= j.o.Max {
		return false, fmt.Errorf("%w: %d of %d bytes are used", ErrFull, j.bytes, j.o.Max)
	}
	j.reserved[k] = struct{}{}
	// One that was written long ago may be damaged by now: it is written again.
	b := j.bodies[sha]
	known = b != nil && b.seg == j.newest
	if known {
		b.refs++
	}
	return known, nil
}

func (j *Journal) unreserve(k key, op *op, known bool) {
	j.mu.Lock()
	delete(j.reserved, k)
	if known {
		j.unref(op.sha)
	}
	if op.pack != nil {
		j.coming -= op.counted
	}
	j.mu.Unlock()
	if err := op.pack.Discard(); err != nil {
		j.o.Log.Warn("a file of the journal was left behind", "error", err)
	}
}

// Set writes what entries are from now on, all synced when it returns nil. An entry that stays
// live keeps its body, one that was not there has none. ErrEnded when one that has ended were
// to live again; the others are written all the same.
func (j *Journal) Set(ctx context.Context, items ...Item) error {
	if err := j.check(ctx); err != nil || len(items) == 0 {
		return err
	}
	ops := make([]*op, len(items))
	for i := range items {
		ops[i] = &op{item: items[i]}
	}
	return j.commit(ctx, ops...)
}

// check returns why nothing can be written.
func (j *Journal) check(ctx context.Context) error {
	if cause := j.broken.Load(); cause != nil {
		return fmt.Errorf("%w: %w", ErrReadOnly, *cause)
	}
	return ctx.Err()
}

// Degraded returns why nothing can be written until the journal is opened again, or nil.
func (j *Journal) Degraded() error { return j.check(context.Background()) }

// Entry is what is known of an entry.
type Entry struct {
	Record []byte
	State  State // Live or Ended
	Body   bool  // it has one
}

// tries bounds how often a frame that moved is looked for again.
const tries = 5

// Get reads the record of an entry that is live or has left a tombstone.
func (j *Journal) Get(kind, id string) (Entry, error) {
	for range tries {
		j.mu.Lock()
		e := j.entries[key{kind, id}]
		if e == nil || e.over(j.o.Now()) {
			j.mu.Unlock()
			return Entry{}, fmt.Errorf("%w: %s %s", ErrNotFound, kind, id)
		}
		at := *e
		j.mu.Unlock()
		record, err := j.record(at.place)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was moved meanwhile
		}
		return Entry{Record: record, State: at.state, Body: at.sha != ""}, err
	}
	return Entry{}, fmt.Errorf("%w: %s %s cannot be read", ErrNotFound, kind, id)
}

// over reports whether an entry is as good as not there.
func (e *entry) over(now time.Time) bool {
	return e.state == Gone || e.state == Ended && now.UnixMilli() >= e.until
}

func (j *Journal) record(p place) ([]byte, error) {
	f, err := j.o.Disk.Open(j.path(p.seg))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return segment.Record(f, p.off, p.n, p.seg.marker)
}

// Body opens the bytes of a live entry. Reading to the end verifies them.
func (j *Journal) Body(kind, id string) (io.ReadCloser, error) {
	for range tries {
		j.mu.Lock()
		e := j.entries[key{kind, id}]
		if e == nil || e.state != Live || e.sha == "" {
			j.mu.Unlock()
			return nil, fmt.Errorf("%w: %s %s has no body", ErrNotFound, kind, id)
		}
		b := j.bodies[e.sha]
		if b == nil {
			j.mu.Unlock()
			return nil, fmt.Errorf("%w: %s %s", ErrCorrupt, kind, id)
		}
		at, sha := b.place, e.sha
		j.mu.Unlock()
		f, err := j.o.Disk.Open(j.path(at.seg))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return j.coders.Unpack(f, at.off, at.n, sha)
	}
	return nil, fmt.Errorf("%w: %s %s cannot be read", ErrNotFound, kind, id)
}

// IDs lists the entries of a kind in no order: the live ones, and the tombstones.
func (j *Journal) IDs(kind string) (living, tombstones []string) {
	now := j.o.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	for k, e := range j.entries {
		switch {
		case k.kind != kind || e.over(now):
		case e.state == Live:
			living = append(living, k.id)
		default:
			tombstones = append(tombstones, k.id)
		}
	}
	return living, tombstones
}

// Stats counts what the journal keeps.
type Stats struct {
	Live, Tombstones, Segments int
	Bytes, Max                 int64
	Syncs                      int64 // since it was opened
}

// Stats counts what is there.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	st := Stats{Segments: len(j.segs), Bytes: j.bytes, Max: j.o.Max, Syncs: j.syncs.Load()}
	for _, e := range j.entries {
		switch e.state {
		case Live:
			st.Live++
		case Ended:
			st.Tombstones++
		case Gone:
		}
	}
	return st
}

// Close closes the journal. What was promised is synced already.
func (j *Journal) Close() error {
	j.file.Lock()
	defer j.file.Unlock()
	if j.lock == nil {
		return nil
	}
	cause := fs.ErrClosed
	j.broken.CompareAndSwap(nil, &cause)
	var err error
	if j.f != nil {
		err = j.f.Close()
		j.f = nil
	}
	err = errors.Join(err, j.lock.Close())
	j.lock = nil
	return err
}
