package journal

import (
	"context"
	"fmt"
	"io"
	"time"

	"postern/internal/store/redis/journal/segment"
)

// every is how often Run tends.
const every = 10 * time.Second

// Run tends the journal until ctx ends.
func (j *Journal) Run(ctx context.Context) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := j.Tend(ctx); err != nil && ctx.Err() == nil {
			j.o.Log.Warn("the journal could not be tended", "error", err)
		}
	}
}

// Tend forgets tombstones whose time is over, removes the segments of which nothing is needed
// any more, and moves what little is needed of one more.
func (j *Journal) Tend(ctx context.Context) error {
	if err := j.check(ctx); err != nil {
		return err
	}
	j.mu.Lock()
	for k, e := range j.entries {
		j.release(k, e)
	}
	j.mu.Unlock()
	for _, s := range j.empty() {
		if err := j.remove(s); err != nil {
			return err
		}
	}
	s := j.sparse()
	if s == nil {
		return nil
	}
	if err := j.move(ctx, s); err != nil {
		return fmt.Errorf("segment %x: %w", s.seq, err)
	}
	j.mu.Lock()
	left := s.live
	j.mu.Unlock()
	if left > 0 {
		return fmt.Errorf("segment %x: %d bytes could not be moved", s.seq, left)
	}
	return j.remove(s)
}

// empty lists the segments of which nothing is needed. What is being written is none.
func (j *Journal) empty() (out []*volume) {
	j.file.Lock()
	defer j.file.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segs {
		if s != j.head && s.live <= 0 {
			out = append(out, s)
		}
	}
	return out
}

// sparse finds the segment of which least is needed, if that is less than half, or if the
// journal is nearly full. A damaged one is moved whatever is needed of it.
func (j *Journal) sparse() (best *volume) {
	j.file.Lock()
	defer j.file.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	limit := 0.5
	if j.bytes > j.o.Max/4*3 {
		limit = 0.9
	}
	least := limit
	for _, s := range j.segs {
		if s == j.head {
			continue
		}
		part := float64(s.live) / float64(max(s.size, 1))
		if s.damaged {
			part = 0
		}
		if part < least {
			best, least = s, part
		}
	}
	return best
}

// remove takes away a segment of which nothing is needed. Records that only kept older ones of
// it from coming back are needed no longer once its name is gone for good.
func (j *Journal) remove(s *volume) error {
	j.forget(j.path(s), s.damaged)
	if err := j.o.Disk.SyncDir(j.o.Dir); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.segs, s.seq)
	j.bytes -= s.size
	for k, e := range j.entries {
		j.release(k, e)
	}
	return nil
}

// move copies what is needed of a segment behind the newest, in steps so that no write waits
// long.
func (j *Journal) move(ctx context.Context, s *volume) error {
	f, err := j.o.Disk.Open(j.path(s))
	if err != nil {
		return err
	}
	defer f.Close()
	var heads []segment.Head
	var at []place
	_, err = segment.Scan(f, s.size, false, func(h segment.Head, off int64) error {
		if p := (place{seg: s, off: off, n: h.Size()}); j.current(h, p) {
			heads, at = append(heads, h), append(at, p)
		}
		return nil
	})
	for len(heads) > 0 {
		if cerr := j.check(ctx); cerr != nil {
			return cerr
		}
		n, merr := j.step(f, heads, at)
		if merr != nil {
			return merr
		}
		heads, at = heads[n:], at[n:]
	}
	return err
}

// current reports whether the frame at p is the one that counts.
func (j *Journal) current(h segment.Head, p place) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if h.Type == segment.BodyFrame {
		b := j.bodies[h.SHA]
		return b != nil && b.place == p
	}
	e := j.entries[key{h.Kind, h.ID}]
	return e != nil && e.place == p
}

// stepBytes is how much is copied under one lock, and with one sync.
const stepBytes = 4 << 20

// step copies some of the frames and returns how many.
func (j *Journal) step(f io.ReaderAt, heads []segment.Head, from []place) (n int, err error) {
	j.file.Lock()
	defer j.file.Unlock()
	to := make([]place, 0, len(heads))
	for size := int64(0); n < len(heads) && size < stepBytes; n++ {
		var p place
		if j.current(heads[n], from[n]) {
			if p, err = j.copy(f, heads[n], from[n]); err != nil {
				return n, err
			}
			size += p.n
		}
		to = append(to, p)
	}
	if err := j.sync(); err != nil {
		return n, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, p := range to {
		if p.seg != nil {
			j.moved(heads[i], p)
		}
	}
	return n, nil
}

// copy writes a frame again. A body that is damaged is given up here, and the segment with
// what is left of it set aside.
func (j *Journal) copy(f io.ReaderAt, h segment.Head, from place) (place, error) {
	sum, err := segment.PayloadSum(f, from.off, h, make([]byte, 64<<10))
	if err != nil || sum != h.Sum {
		j.o.Log.Error("a frame of the journal is damaged", "file", j.path(from.seg), "at", from.off, "kind", h.Kind, "id", h.ID, "error", err)
		j.lost(h, from)
		return place{}, nil
	}
	if err := j.room(h.Size()); err != nil {
		return place{}, err
	}
	start := j.head.size
	p, err := j.append(h, io.NewSectionReader(f, from.off+h.Len(), h.Payload))
	if err != nil {
		return place{}, j.cut(start, err)
	}
	return p, nil
}

// lost gives up a frame that cannot be read.
func (j *Journal) lost(h segment.Head, p place) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p.seg.damaged = true
	p.seg.live -= p.n
	if h.Type == segment.BodyFrame {
		delete(j.bodies, h.SHA)
		for _, e := range j.entries {
			if e.sha == h.SHA {
				e.sha = "" // or it would be counted when the same body comes again
			}
		}
		return
	}
	k := key{h.Kind, h.ID}
	j.unref(j.entries[k].sha)
	delete(j.entries, k)
}

// moved makes the new place of a frame known. The caller holds mu.
func (j *Journal) moved(h segment.Head, p place) {
	at := func(old *place) {
		old.seg.live -= old.n
		*old = p
		p.seg.live += p.n
	}
	if h.Type == segment.BodyFrame {
		if b := j.bodies[h.SHA]; b != nil {
			at(&b.place)
		}
	} else if e := j.entries[key{h.Kind, h.ID}]; e != nil {
		at(&e.place)
	}
}
