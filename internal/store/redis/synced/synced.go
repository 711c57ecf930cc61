// Package synced keeps a map of small records in one append-only file of the node: a record
// that was put is on the disk when Put returns, whatever happens to process or machine after.
package synced

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Errors of Put.
var (
	// ErrReadOnly says that a sync failed: what the disk holds is not known until the file
	// is read again at the next start, so nothing more is written.
	ErrReadOnly = errors.New("synced: the file is read-only until restart")
	// ErrFull says that the records would take more room than Options.MaxLive.
	ErrFull = errors.New("synced: the file is full")
	// ErrRecord says that a name or a value is empty or too long.
	ErrRecord = errors.New("synced: not a record")
)

// Options say where the file is. The folder must exist and belong to this process alone.
type Options struct {
	Path    string
	MaxLive int64 // bytes of all records at most; 0 = 256 MiB
	Waste   int64 // bytes of dead records that are always tolerated; 0 = 1 MiB
	Now     func() time.Time
	Log     *slog.Logger
}

// MaxRecord bounds name and value of one record together.
const MaxRecord = 1 << 20

// maxFrame bounds what one Put writes.
const maxFrame = 16 << 20

// Change is one record to write; a nil Value removes it.
type Change struct {
	Name  string
	Value []byte
}

// File is an open file. It is safe for concurrent use.
type File struct {
	o     Options
	sync  func(*os.File) error
	aside string // where a damaged file was put

	mu      sync.RWMutex // of records, live, pending and broken; taken after disk
	records map[string][]byte
	live    int64
	pending *batch
	broken  error

	disk sync.Mutex // of what is below
	f    *os.File
	salt salt
	size int64
	next int64 // size below which the file is not made anew
}

// batch is the changes that share one sync.
type batch struct {
	frames  []byte
	changes []Change
	done    chan struct{}
	err     error
}

// Open reads the file, or makes it. A last write cut off by a crash is taken off; a file
// damaged elsewhere is set aside, and what can be read of it is kept (see Aside).
func Open(o Options) (*File, error) {
	if o.MaxLive <= 0 {
		o.MaxLive = 256 << 20
	}
	if o.Waste <= 0 {
		o.Waste = 1 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &File{o: o, sync: (*os.File).Sync, records: map[string][]byte{}}
	if err := f.load(); err != nil {
		if f.f != nil {
			f.f.Close()
		}
		return nil, fmt.Errorf("synced: %w", err)
	}
	return f, nil
}

func (f *File) load() error {
	info, err := os.Stat(f.o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.rewrite()
	}
	if err != nil {
		return err
	}
	if most := 4*f.o.MaxLive + f.o.Waste + maxFrame; info.Size() > most {
		return fmt.Errorf("%s has %d bytes, more than %d", f.o.Path, info.Size(), most)
	}
	text, err := os.ReadFile(f.o.Path)
	if err != nil {
		return err
	}
	found := read(text, func(c Change) { f.apply(c) })
	if found.damaged {
		if err := f.setAside(text); err != nil {
			return err
		}
		return f.rewrite()
	}
	f.salt, f.size = found.salt, found.good
	f.f, err = os.OpenFile(f.o.Path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := f.f.Chmod(0o600); err != nil {
		return err
	}
	if found.good < int64(len(text)) {
		f.o.Log.Warn("a write cut off by a crash was taken off", "file", f.o.Path, "bytes", int64(len(text))-found.good)
		if err := f.f.Truncate(found.good); err != nil {
			return err
		}
	}
	return f.sync(f.f) // what was read may only have been in memory of the machine
}

// setAside copies the damaged file, so that somebody can look at it.
func (f *File) setAside(text []byte) error {
	f.aside = fmt.Sprintf("%s.damaged-%s", f.o.Path, f.o.Now().UTC().Format("20060102T150405.000"))
	if err := os.WriteFile(f.aside, text, 0o600); err != nil {
		return err
	}
	f.o.Log.Error("a file is damaged; what can be read of it counts, the rest was set aside", "file", f.o.Path, "aside", f.aside, "records", len(f.records))
	return nil
}

// Aside is where a damaged file was put when this one was opened, or "".
func (f *File) Aside() string { return f.aside }

// Degraded says why nothing can be written, or nil.
func (f *File) Degraded() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.broken
}

// Get returns a record. Its bytes must not be changed.
func (f *File) Get(name string) ([]byte, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	v, ok := f.records[name]
	return v, ok
}

// All returns all records as they are now. Their bytes must not be changed.
func (f *File) All() map[string][]byte {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return maps.Clone(f.records)
}

// Len is the number of records.
func (f *File) Len() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.records)
}

// apply changes the map; the caller holds mu or is alone.
func (f *File) apply(c Change) {
	if old, ok := f.records[c.Name]; ok {
		f.live -= cost(c.Name, old)
		delete(f.records, c.Name)
	}
	if c.Value != nil {
		f.records[c.Name] = c.Value
		f.live += cost(c.Name, c.Value)
	}
}

// Put writes the changes, all or none, and returns when they are on the disk; only then are
// they read back. Calls made at the same time share one sync. After an error that is not
// ErrFull or ErrRecord the changes may be found at the next start.
func (f *File) Put(changes ...Change) error {
	if len(changes) == 0 {
		return nil
	}
	b, err := f.join(changes)
	if err != nil {
		return err
	}
	f.flush(b)
	<-b.done
	return b.err
}

// join adds the changes to the batch that is written next.
func (f *File) join(changes []Change) (*batch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.broken
	}
	grow := int64(0)
	for _, c := range changes {
		if c.Name == "" || len(c.Name)+len(c.Value) > MaxRecord {
			return nil, fmt.Errorf("%w: %d bytes under a name of %d", ErrRecord, len(c.Value), len(c.Name))
		}
		if c.Value != nil {
			grow += cost(c.Name, c.Value)
		}
		if old, ok := f.records[c.Name]; ok {
			grow -= cost(c.Name, old)
		}
	}
	if f.pending != nil {
		grow += int64(len(f.pending.frames))
	}
	if grow > 0 && f.live+grow > f.o.MaxLive {
		return nil, fmt.Errorf("%w: %s may hold %d bytes", ErrFull, f.o.Path, f.o.MaxLive)
	}
	if f.pending == nil {
		f.pending = &batch{done: make(chan struct{})}
	}
	b := f.pending
	frames, err := frame(b.frames, f.salt, changes)
	if err != nil {
		return nil, err
	}
	b.frames, b.changes = frames, append(b.changes, changes...)
	return b, nil
}

// flush writes the batch unless somebody else has taken it along.
func (f *File) flush(b *batch) {
	f.disk.Lock()
	defer f.disk.Unlock()
	f.mu.Lock()
	mine := f.pending == b
	if mine {
		f.pending = nil
	}
	err := f.broken
	f.mu.Unlock()
	if !mine {
		return
	}
	defer close(b.done)
	if err == nil {
		err = f.write(b.frames)
	}
	if b.err = err; err != nil {
		return
	}
	f.mu.Lock()
	for _, c := range b.changes {
		f.apply(c)
	}
	live := f.live
	f.mu.Unlock()
	if f.size > f.next && f.size-live > live+f.o.Waste {
		f.compact()
	}
}

// write appends and syncs. A write that did not fit is taken back; after a failed sync the
// disk may hold anything, also what it reported as written before, so it is not tried again.
func (f *File) write(frames []byte) error {
	if f.f == nil {
		return fs.ErrClosed
	}
	if _, err := f.f.Write(frames); err != nil {
		if back := f.f.Truncate(f.size); back != nil {
			return f.stop(errors.Join(err, back))
		}
		return fmt.Errorf("synced: %w", err)
	}
	if err := f.sync(f.f); err != nil {
		return f.stop(err)
	}
	f.size += int64(len(frames))
	return nil
}

// stop makes the file read-only.
func (f *File) stop(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = fmt.Errorf("%w: %w", ErrReadOnly, err)
	f.o.Log.Error("a file can no longer be written", "file", f.o.Path, "error", err)
	return f.broken
}

// compact makes the file anew of what is live. The old one stands when that fails, and it is
// tried again when it has doubled.
func (f *File) compact() {
	if err := f.rewrite(); err != nil {
		f.next = 2 * f.size
		f.o.Log.Error("a file cannot be made smaller", "file", f.o.Path, "error", err)
	}
}

// rewrite writes all records to a new file that takes the place of the old one. The caller
// holds disk, or nobody else has the file yet.
func (f *File) rewrite() error {
	var s salt
	_, _ = rand.Read(s[:]) // never fails
	f.mu.RLock()
	text := head(s)
	var err error
	for name, value := range f.records {
		if text, err = frame(text, s, []Change{{name, value}}); err != nil {
			break
		}
	}
	f.mu.RUnlock()
	if err != nil {
		return err
	}
	tmp := f.o.Path + ".new"
	out, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	if err = errors.Join(err, f.sync(out)); err == nil {
		err = os.Rename(tmp, f.o.Path)
	}
	if err != nil {
		out.Close()
		_ = os.Remove(tmp) // half a file is of no use and takes room on a full disk
		return err
	}
	return f.swap(out, s, int64(len(text)))
}

// swap goes on with the new file. Frames made for the old one and not yet written are made
// anew, since they carry its salt.
func (f *File) swap(out *os.File, s salt, size int64) error {
	if f.f != nil {
		f.f.Close()
	}
	f.mu.Lock()
	f.f, f.salt, f.size, f.next = out, s, size, 0
	var err error
	if p := f.pending; p != nil {
		p.frames, err = frame(nil, s, p.changes)
	}
	f.mu.Unlock()
	if err == nil {
		err = f.syncDir()
	}
	if err != nil {
		return f.stop(err) // a crash might bring the old file back without what is put from now on
	}
	return nil
}

func (f *File) syncDir() error {
	d, err := os.Open(filepath.Dir(f.o.Path))
	if err != nil {
		return err
	}
	defer d.Close()
	return f.sync(d)
}

// Close closes the file; Put fails from now on.
func (f *File) Close() error {
	f.disk.Lock()
	defer f.disk.Unlock()
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}
