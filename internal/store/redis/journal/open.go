package journal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"postern/internal/store/redis/journal/segment"
)

const (
	suffix = ".wal"
	aside  = ".damaged" // a segment of which a part cannot be read, kept for a person
)

// Open reads the journal. An end torn off by a crash is cut: it was never answered for. What
// is damaged elsewhere is said and set aside; the rest is read.
func Open(o Options) (*Journal, error) {
	o = o.filled()
	j := &Journal{o: o, entries: map[key]*entry{}, bodies: map[string]*body{}, segs: map[uint64]*volume{}, reserved: map[key]struct{}{}, next: 1}
	if err := o.Disk.Mkdir(o.Dir); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	lock, err := segment.Lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j.lock = lock
	if err := j.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), lock.Close())
	}
	return j, nil
}

func (j *Journal) load() error {
	files, err := j.o.Disk.ReadDir(j.o.Dir)
	if err != nil {
		return err
	}
	var found []*volume
	for _, f := range files {
		if strings.HasPrefix(f.Name(), segment.Temp) {
			if err := j.o.Disk.Remove(filepath.Join(j.o.Dir, f.Name())); err != nil {
				j.o.Log.Warn("a half-written file of the journal could not be removed", "error", err)
			}
		}
		name, ok := strings.CutSuffix(f.Name(), suffix)
		if seq, err := strconv.ParseUint(name, 16, 64); ok && err == nil && len(name) == 16 {
			found = append(found, &volume{seq: seq})
			j.next = seq + 1
		}
	}
	slices.SortFunc(found, func(a, b *volume) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	l := loader{j: j, bodies: map[string]place{}}
	for i, s := range found {
		l.segment(s, i == len(found)-1)
	}
	l.finish()
	return j.o.Disk.SyncDir(j.o.Dir)
}

// loader builds the index of what is on disk.
type loader struct {
	j      *Journal
	bodies map[string]place
}

// segment reads one segment; of the last one the bodies too, since only there may be what no
// sync has covered.
func (l *loader) segment(s *volume, last bool) {
	j := l.j
	path := j.path(s)
	out, size, err := l.read(s, path, last)
	switch {
	case errors.Is(err, segment.ErrFrame), errors.Is(err, io.EOF) && size < int64(segment.HeadLen):
		if size > int64(segment.HeadLen) {
			j.o.Log.Error("a segment of the journal cannot be read; it is set aside", "file", path, "error", err)
		}
		j.forget(path, size > int64(segment.HeadLen))
		return
	case err != nil:
		j.o.Log.Error("a segment of the journal can be read in part only", "file", path, "error", err)
		s.damaged = true
	case last && out.Good < size:
		if err := segment.Trim(j.o.Disk, path, out.Good); err != nil {
			j.o.Log.Error("the torn end of the journal could not be cut", "file", path, "error", err)
		}
		j.o.Log.Info("the end of the journal was torn off by a crash", "file", path, "bytes", size-out.Good)
		size = out.Good
	case out.Good < size:
		out.Bad = append(out.Bad, segment.Span{From: out.Good, To: size})
	}
	for _, b := range out.Bad {
		s.damaged = true
		j.o.Log.Error("a part of the journal is damaged; the rest is read", "file", path, "from", b.From, "to", b.To)
	}
	s.size = size
	j.segs[s.seq] = s
	j.bytes += size
}

func (l *loader) read(s *volume, path string, last bool) (segment.Found, int64, error) {
	f, err := l.j.o.Disk.Open(path)
	if err != nil {
		return segment.Found{}, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return segment.Found{}, 0, err
	}
	if s.marker, err = segment.ReadMarker(f); err != nil {
		return segment.Found{}, st.Size(), err
	}
	out, err := segment.Scan(f, st.Size(), last, func(h segment.Head, off int64) error {
		at := place{seg: s, off: off, n: h.Size()}
		switch h.Type {
		case segment.BodyFrame:
			l.bodies[h.SHA] = at
		case segment.SetFrame:
			l.j.replay(h, at)
		}
		return nil
	})
	return out, st.Size(), err
}

// replay is index before the bodies are known.
func (j *Journal) replay(h segment.Head, at place) {
	e := &entry{place: at, sha: h.SHA, state: h.State, until: h.Until, first: at.seg.seq, last: at.seg.seq}
	k := key{h.Kind, h.ID}
	if old := j.entries[k]; old != nil {
		e.first = old.first
	}
	j.entries[k] = e
}

// finish counts what is needed of each segment.
func (l *loader) finish() {
	j := l.j
	for k, e := range j.entries {
		e.seg.live += e.n
		if e.sha == "" {
			continue
		}
		if b := j.bodies[e.sha]; b != nil {
			b.refs++
		} else if at, ok := l.bodies[e.sha]; ok {
			j.bodies[e.sha] = &body{place: at, refs: 1}
			at.seg.live += at.n
		} else {
			e.sha = ""
			j.o.Log.Error("an entry of the journal has lost its body", "kind", k.kind, "id", k.id)
		}
	}
	for k, e := range j.entries {
		j.release(k, e)
	}
}

// forget takes a segment out of the folder, or sets it aside.
func (j *Journal) forget(path string, keep bool) {
	var err error
	if keep {
		err = j.o.Disk.Rename(path, path+aside)
	} else {
		err = j.o.Disk.Remove(path)
	}
	if err != nil {
		j.o.Log.Error("a segment of the journal could not be taken away", "file", path, "error", err)
	}
}
