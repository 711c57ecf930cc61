package journal

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"postern/internal/store/redis/journal/segment"
)

// op is one entry on its way into a segment.
type op struct {
	item    Item
	put     bool   // a new entry, whose body is sha
	sha     string // of its body
	pack    *segment.Packed
	counted int64 // bytes of it that Journal.coming has

	err  error
	at   place // of the record
	body place // of the body; no segment: it was there
}

// batch is ops that share one sync.
type batch struct {
	ops  []*op
	done chan struct{}
}

// commit writes ops in one batch with whatever else waits, and returns when they are synced.
// It is not cut short: who is told of a failure may trust that nothing was promised.
func (j *Journal) commit(ctx context.Context, ops ...*op) error {
	for _, o := range ops {
		if len(o.item.Kind) > segment.MaxKind || len(o.item.ID) > segment.MaxID || o.item.ID == "" || len(o.item.Record) > segment.MaxRecord {
			return fmt.Errorf("an entry of the journal is too large: kind %.20q, ID of %d bytes, record of %d", o.item.Kind, len(o.item.ID), len(o.item.Record))
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j.mu.Lock()
	for _, o := range ops {
		if o.pack == nil {
			continue
		}
		if j.bytes+j.coming+o.pack.Size() > j.o.Max {
			err := fmt.Errorf("%w: %d of %d bytes are used", ErrFull, j.bytes+j.coming, j.o.Max)
			j.mu.Unlock()
			return err
		}
		o.counted = o.pack.Size()
		j.coming += o.counted
	}
	if j.pending == nil {
		j.pending = &batch{done: make(chan struct{})}
	}
	b := j.pending
	b.ops = append(b.ops, ops...)
	j.mu.Unlock()
	j.flush(b)
	<-b.done
	var err error
	for _, o := range ops {
		err = errors.Join(err, o.err)
	}
	return err
}

// flush writes the batch unless somebody else has taken it along.
func (j *Journal) flush(b *batch) {
	j.file.Lock()
	defer j.file.Unlock()
	j.mu.Lock()
	mine := j.pending == b
	if mine {
		j.pending = nil
	}
	j.mu.Unlock()
	if !mine {
		return
	}
	defer close(b.done)
	last := map[key]*op{} // what earlier ops of this batch made of an entry
	for _, o := range b.ops {
		if o.err = j.write(o, last); o.err == nil {
			last[key{o.item.Kind, o.item.ID}] = o
		}
	}
	err := j.sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, o := range b.ops {
		if o.err == nil {
			o.err = err
		}
		if o.err == nil {
			j.apply(o)
		}
	}
}

// write appends the frames of an op. What was written by half is cut off again.
func (j *Journal) write(o *op, last map[key]*op) error {
	if err := j.Degraded(); err != nil {
		return err
	}
	k := key{o.item.Kind, o.item.ID}
	j.mu.Lock()
	before := j.entries[k]
	if was := last[k]; was != nil {
		before = &entry{state: was.item.State, until: was.item.Until.UnixMilli(), sha: was.sha}
	}
	j.mu.Unlock()
	if before != nil && !o.put && o.item.State == Live {
		if before.state == Ended && !before.over(j.o.Now()) {
			return fmt.Errorf("%w: %s %s", ErrEnded, k.kind, k.id)
		}
		if before.state == Live {
			o.sha = before.sha
		}
	}
	if o.item.State != Live {
		o.sha = ""
	}
	set := segment.Head{Type: segment.SetFrame, State: o.item.State, Kind: k.kind, ID: k.id, SHA: o.sha, Payload: int64(len(o.item.Record)), Sum: segment.Sum(o.item.Record)}
	if !o.item.Until.IsZero() {
		set.Until = o.item.Until.UnixMilli()
	}
	size := set.Size()
	if o.pack != nil {
		size += (&segment.Head{SHA: o.sha}).Len() + o.pack.Size()
	}
	if err := j.room(size); err != nil {
		return err
	}
	from := j.head.size
	var err error
	if o.pack != nil {
		o.body, err = j.append(segment.Head{Type: segment.BodyFrame, SHA: o.sha, Payload: o.pack.Size(), Sum: o.pack.Sum()}, o.pack.Reader())
	}
	if err == nil {
		o.at, err = j.append(set, bytes.NewReader(o.item.Record))
	}
	if err != nil {
		return j.cut(from, err)
	}
	return nil
}

// append writes one frame behind the last. The caller holds file and has made room.
func (j *Journal) append(h segment.Head, payload io.Reader) (place, error) {
	at := place{seg: j.head, off: j.head.size, n: h.Size()}
	j.dirty = true
	text := h.Encode(j.head.marker)
	if h.Payload <= segment.InMemory {
		text = append(make([]byte, 0, h.Size()), text...)
		text = text[:h.Size()]
		if _, err := io.ReadFull(payload, text[h.Len():]); err != nil {
			return at, err
		}
		if _, err := j.f.Write(text); err != nil {
			return at, err
		}
	} else {
		if _, err := j.f.Write(text); err != nil {
			return at, err
		}
		if n, err := io.Copy(j.f, payload); err != nil || n != h.Payload {
			return at, errors.Join(err, io.ErrShortWrite)
		}
	}
	j.grow(j.head, h.Size())
	return at, nil
}

func (j *Journal) grow(s *volume, n int64) {
	j.mu.Lock()
	s.size += n
	j.bytes += n
	j.mu.Unlock()
}

// cut takes a half-written frame away after a failed write. Where there was no room the
// journal goes on; after any other fault, or when it cannot be cut, nothing more is written.
func (j *Journal) cut(from int64, cause error) error {
	err := j.f.Truncate(from)
	if err == nil {
		_, err = j.f.Seek(from, io.SeekStart)
	}
	if err != nil || !segment.NoSpace(cause) {
		return j.fail(errors.Join(cause, err))
	}
	j.grow(j.head, from-j.head.size)
	return j.sorted(cause)
}

// sorted says "full" where the disk is.
func (j *Journal) sorted(err error) error {
	if segment.NoSpace(err) {
		return fmt.Errorf("%w: no room on the disk: %w", ErrFull, err)
	}
	return err
}

// fail makes the journal read-only: after a failed write or sync the kernel may have thrown
// away what it could not write and report nothing more.
func (j *Journal) fail(cause error) error {
	if j.broken.CompareAndSwap(nil, &cause) {
		j.o.Log.Error("a write of the journal could not be made durable: it is read-only until Postern is started again", "error", cause)
	}
	return fmt.Errorf("%w: %w", ErrReadOnly, cause)
}

// sync makes what was written durable.
func (j *Journal) sync() error {
	if !j.dirty {
		return nil
	}
	if err := j.Degraded(); err != nil {
		return err
	}
	j.syncs.Add(1)
	if err := j.f.Sync(); err != nil {
		return j.fail(fmt.Errorf("sync %s: %w", j.f.Name(), err))
	}
	j.dirty = false
	return nil
}

// room makes sure that there is a segment that takes size more bytes.
func (j *Journal) room(size int64) error {
	if j.head != nil && (j.head.size+size <= j.o.Segment || j.head.size == int64(segment.HeadLen)) {
		return nil
	}
	if err := j.seal(); err != nil {
		return err
	}
	s := &volume{seq: j.next}
	if _, err := rand.Read(s.marker[:]); err != nil {
		return err
	}
	f, err := j.o.Disk.Create(j.path(s))
	if err != nil {
		return j.sorted(err)
	}
	j.next++
	if _, err = f.Write(append([]byte(segment.Format), s.marker[:]...)); err != nil {
		err = errors.Join(err, f.Close(), j.o.Disk.Remove(f.Name()))
		if !segment.NoSpace(err) {
			return j.fail(err)
		}
		return j.sorted(err)
	}
	if err := j.o.Disk.SyncDir(j.o.Dir); err != nil {
		return errors.Join(j.fail(err), f.Close())
	}
	j.f, j.head, j.dirty = f, s, true
	j.mu.Lock()
	j.segs[s.seq], j.newest = s, s
	j.mu.Unlock()
	j.grow(s, int64(segment.HeadLen))
	return nil
}

// seal ends the segment that is being written.
func (j *Journal) seal() error {
	if j.head == nil {
		return nil
	}
	if err := j.sync(); err != nil {
		return err
	}
	err := j.f.Close()
	j.f, j.head = nil, nil
	if err != nil {
		return j.fail(err)
	}
	return nil
}

// apply makes a synced op known. The caller holds mu.
func (j *Journal) apply(o *op) {
	if o.body.seg != nil {
		b := j.bodies[o.sha]
		if b == nil {
			b = &body{}
			j.bodies[o.sha] = b
		} else {
			b.seg.live -= b.n
		}
		b.place = o.body
		b.seg.live += b.n
	}
	e := &entry{place: o.at, sha: o.sha, state: o.item.State, first: o.at.seg.seq, last: o.at.seg.seq}
	if !o.item.Until.IsZero() {
		e.until = o.item.Until.UnixMilli()
	}
	j.index(key{o.item.Kind, o.item.ID}, e)
}

// index makes e the entry of k. The caller holds mu.
func (j *Journal) index(k key, e *entry) {
	if e.sha != "" {
		if b := j.bodies[e.sha]; b != nil {
			b.refs++
		}
	}
	old := j.entries[k]
	if old != nil {
		e.first = min(e.first, old.first)
		old.seg.live -= old.n
		j.unref(old.sha)
	}
	e.seg.live += e.n
	j.entries[k] = e
	j.release(k, e)
}

// release forgets an entry that is over once no older record of it can come back. The caller
// holds mu.
func (j *Journal) release(k key, e *entry) {
	if !e.over(j.o.Now()) {
		return
	}
	for seq := range j.segs {
		if seq >= e.first && seq < e.last {
			return
		}
	}
	e.seg.live -= e.n
	j.unref(e.sha)
	delete(j.entries, k)
}

// unref gives a body up. The caller holds mu.
func (j *Journal) unref(sha string) {
	b := j.bodies[sha]
	if b == nil {
		return
	}
	if b.refs--; b.refs <= 0 {
		b.seg.live -= b.n
		delete(j.bodies, sha)
	}
}
