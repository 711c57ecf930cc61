package move

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/internal/entity"
)

// NoteKind are notes in the new home of what is on its way there: a move that was broken off
// knows by them what it had brought already, although that was changed since.
const NoteKind entity.Kind = "moved"

// moved is such a note.
type moved struct {
	Digest string `json:"digest"` // of the data in the old home
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// forever is later than any blob was put.
func (r *run) forever() time.Time { return r.Now().AddDate(10, 0, 0) }

// blobs moves the bytes that records rest on, the oldest first.
func (r *run) blobs(ctx context.Context) error {
	if r.From.Entities == nil || r.To.Entities == nil {
		return nil
	}
	for _, class := range entity.Classes() {
		stay := map[string]bool{}
		for {
			sums, err := r.From.Entities.BlobsBefore(ctx, class, r.forever(), page+len(stay))
			if err != nil {
				return err
			}
			left := 0
			for _, sum := range sums {
				if stay[sum] {
					continue
				}
				left++
				whole, err := r.blob(ctx, class, sum)
				if err != nil {
					return fmt.Errorf("%s %s: %w", class, sum, err)
				}
				if stay[sum] = !whole; whole {
					delete(stay, sum)
				}
			}
			r.step()
			if left == 0 {
				break
			}
		}
	}
	return nil
}

// heard remembers what went wrong while something was read.
type heard struct {
	io.Reader
	err error
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		h.err = err
	}
	return n, err
}

// blob moves one; false when it is damaged, and stays.
func (r *run) blob(ctx context.Context, class entity.Class, sum string) (whole bool, err error) {
	at, err := r.From.Entities.BlobTime(ctx, class, sum)
	if errors.Is(err, entity.ErrNotFound) {
		return true, nil // removed just now
	} else if err != nil {
		return false, err
	}
	body, err := r.From.Entities.Blob(ctx, class, sum)
	if errors.Is(err, entity.ErrNotFound) {
		return true, nil
	}
	read := &heard{}
	if err == nil {
		read.Reader = body
		_, _, err = r.To.Entities.PutBlobAt(ctx, class, read, at)
		err = errors.Join(err, body.Close())
	} else {
		read.err = err
	}
	if read.err != nil {
		// The old home answers: then it is not the home that is to blame.
		if _, _, aerr := r.From.Entities.BlobBytes(ctx, class); aerr != nil {
			return false, aerr
		}
		r.out.Damaged = append(r.out.Damaged, string(class)+" "+sum)
		r.Log.Error("a blob cannot be moved: it is damaged", "class", class, "sha256", sum, "error", read.err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.out.Blobs++
	return true, r.From.Entities.RemoveBlob(ctx, class, sum)
}

// records moves the records of the rooms.
func (r *run) records(ctx context.Context) error {
	if r.From.Entities == nil || r.To.Entities == nil {
		return nil
	}
	err := r.From.Entities.Walk(ctx, func(all []entity.Record) error {
		for _, old := range all {
			if old.Kind == NoteKind { // of a move the other way that was broken off
				continue
			}
			if err := r.record(ctx, old); err != nil {
				return fmt.Errorf("%s %s: %w", old.Kind, old.ID, err)
			}
		}
		r.step()
		return nil
	})
	if err != nil {
		return err
	}
	return r.forget(ctx)
}

// forget takes away the notes of moves that were broken off: all is through now. One of another
// node that is moving just now costs that node nothing unless it is broken off too.
func (r *run) forget(ctx context.Context) error {
	for {
		p, err := r.To.Entities.Find(ctx, entity.Query{Kind: NoteKind, Index: "all", Limit: page})
		if err != nil || len(p.Records) == 0 {
			return err
		}
		for _, n := range p.Records {
			if err := r.To.Entities.Remove(ctx, NoteKind, n.ID, n.Version); err != nil && !errors.Is(err, entity.ErrConflict) {
				return err
			}
		}
	}
}

// record moves one: noted and written in the new home, then removed from the old one at the
// version that was read. A record of this name that came from elsewhere stays as it is, and so
// does the old one.
func (r *run) record(ctx context.Context, old entity.Record) error {
	fresh := old
	fresh.Version = 1
	note, err := r.note(ctx, old)
	if err != nil {
		return err
	}
	err = r.To.Entities.Put(ctx, fresh)
	merged := false
	if errors.Is(err, entity.ErrExists) {
		there, gerr := r.To.Entities.Get(ctx, old.Kind, old.ID)
		if gerr != nil && !errors.Is(gerr, entity.ErrNotFound) {
			return gerr
		}
		if merged, err = r.merge(ctx, old, there); err != nil {
			return err
		}
		if !merged && !bytes.Equal(there.Data, old.Data) && (!note.before || there.Version < 2) {
			r.out.Taken = append(r.out.Taken, string(old.Kind)+" "+old.ID)
			r.Log.Error("a record cannot be moved: the new home has another one of its name", "kind", old.Kind, "id", old.ID)
			return r.To.Entities.Remove(ctx, NoteKind, note.id, 1)
		}
	} else if err != nil {
		return err
	}
	switch err := r.From.Entities.Remove(ctx, old.Kind, old.ID, old.Version); {
	case errors.Is(err, entity.ErrConflict): // changed by another node of the old home
		r.out.Busy = append(r.out.Busy, string(old.Kind)+" "+old.ID)
		if merged { // the record is the new home's own
			break
		}
		if err := r.To.Entities.Remove(ctx, old.Kind, old.ID, 1); err != nil && !errors.Is(err, entity.ErrConflict) {
			return err
		}
	case err != nil:
		return err
	default:
		r.out.Records++
	}
	return r.To.Entities.Remove(ctx, NoteKind, note.id, 1)
}

// merge brings a record into the one that the new home has of its own; false: it has no such.
func (r *run) merge(ctx context.Context, old, there entity.Record) (bool, error) {
	both, ok := r.Merge[old.Kind]
	for tries := 0; ok; tries++ {
		data, err := both(old.Data, there.Data)
		if err != nil || bytes.Equal(data, there.Data) {
			return err == nil, err
		}
		there.Data, there.Version = data, there.Version+1
		if err := r.To.Entities.Put(ctx, there); !errors.Is(err, entity.ErrConflict) || tries == 9 {
			return err == nil, err
		}
		if there, err = r.To.Entities.Get(ctx, old.Kind, old.ID); err != nil { // a node wrote there just now
			return false, err
		}
	}
	return false, nil
}

// noted is a note in the new home; before says that an earlier move made it.
type noted struct {
	id     string
	before bool
}

func (r *run) note(ctx context.Context, old entity.Record) (noted, error) {
	n := noted{id: digest([]byte(string(old.Kind) + "/" + old.ID))}
	want := digest(old.Data)
	data, err := json.Marshal(moved{want})
	if err != nil {
		return n, err
	}
	err = r.To.Entities.Put(ctx, entity.Record{Kind: NoteKind, ID: n.id, Version: 1, Data: data, Keys: []entity.Key{{Index: "all"}}})
	if !errors.Is(err, entity.ErrExists) {
		return n, err
	}
	there, err := r.To.Entities.Get(ctx, NoteKind, n.id)
	var m moved
	n.before = err == nil && json.Unmarshal(there.Data, &m) == nil && m.Digest == want
	return n, err
}
