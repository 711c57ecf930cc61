package move_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/entity"
	"postern/internal/store/local"
	"postern/internal/store/local/entities"
	"postern/internal/store/move"
)

// thing is a record with a text in it.
func thing(id string, version uint64, text string) entity.Record {
	return entity.Record{Kind: "case", ID: id, Version: version, Data: fmt.Appendf(nil, `{"text":%q}`, text), Keys: []entity.Key{{Index: "state", Value: "open", At: 7}}}
}

// breakingEntities fails at one call that changes something.
type breakingEntities struct {
	move.Entities
	*breaking
}

func (s breakingEntities) Put(ctx context.Context, r entity.Record) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.Entities.Put(ctx, r)
}

func (s breakingEntities) Remove(ctx context.Context, kind entity.Kind, id string, version uint64) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.Entities.Remove(ctx, kind, id, version)
}

func (s breakingEntities) PutBlobAt(ctx context.Context, class entity.Class, r io.Reader, at time.Time) (string, int64, error) {
	if err := s.step(); err != nil {
		return "", 0, err
	}
	return s.Entities.PutBlobAt(ctx, class, r, at)
}

func (s breakingEntities) RemoveBlob(ctx context.Context, class entity.Class, sum string) error {
	if err := s.step(); err != nil {
		return err
	}
	return s.Entities.RemoveBlob(ctx, class, sum)
}

func texts(t *testing.T, s entity.Store) (out []string) {
	t.Helper()
	p := must(s.Find(t.Context(), entity.Query{Kind: "case", Index: "state", Value: "open", Rising: true}))(t)
	for _, r := range p.Records {
		out = append(out, r.ID+" "+string(r.Data))
	}
	return out
}

// TestEntities moves records and blobs, broken off at every step, changed in the new home, and
// run again.
func TestEntities(t *testing.T) {
	for fail := 0; ; fail++ {
		from, to := home(t), home(t)
		ok(t, from.Entities.Put(t.Context(), thing("a", 1, "first")))
		ok(t, from.Entities.Put(t.Context(), thing("a", 2, "of a")))
		ok(t, from.Entities.Put(t.Context(), thing("b", 1, "of b")))
		ok(t, from.Entities.Put(t.Context(), thing("same", 1, "of both")))
		ok(t, to.Entities.Put(t.Context(), thing("same", 1, "of both")))
		at := now.Add(-100 * time.Hour).Truncate(time.Millisecond)
		sum, _, err := from.Entities.PutBlobAt(t.Context(), entity.Evidence, strings.NewReader("bytes"), at)
		ok(t, err)
		b := &breaking{at: fail}
		m := mover(from, to)
		m.From.Entities, m.To.Entities = breakingEntities{from.Entities, b}, breakingEntities{to.Entities, b}
		if _, err := m.Run(t.Context()); err != nil {
			if !errors.Is(err, errBroken) {
				t.Fatalf("call %d failed, and Run said %v", fail, err)
			}
			if r, err := to.Entities.Get(t.Context(), "case", "a"); err == nil { // it works there by now
				ok(t, to.Entities.Put(t.Context(), thing("a", r.Version+1, "of a, changed")))
			}
			if out := must(mover(from, to).Run(t.Context()))(t); len(out.Taken)+len(out.Busy)+len(out.Damaged) > 0 {
				t.Errorf("broken at call %d: %+v", fail, out)
			}
		}
		got := texts(t, to.Entities)
		if len(got) != 3 || !strings.HasPrefix(got[0], `a {"text":"of a`) || got[1] != `b {"text":"of b"}` {
			t.Errorf("broken at call %d: %q", fail, got)
		}
		if left := texts(t, from.Entities); len(left) > 0 {
			t.Errorf("broken at call %d: %q stay in the old home", fail, left)
		}
		if when, err := to.Entities.BlobTime(t.Context(), entity.Evidence, sum); err != nil || !when.Equal(at) {
			t.Errorf("broken at call %d: the blob is of %v, %v", fail, when, err)
		}
		if _, err := from.Entities.BlobTime(t.Context(), entity.Evidence, sum); !errors.Is(err, entity.ErrNotFound) {
			t.Errorf("broken at call %d: the blob is in the old home too: %v", fail, err)
		}
		n := 0
		ok(t, to.Entities.Walk(t.Context(), func(all []entity.Record) error { n += len(all); return nil }))
		if n != 3 {
			t.Errorf("broken at call %d: %d records in the new home", fail, n)
		}
		if fail > b.calls {
			t.Logf("%d calls of the stores, each failed once", b.calls)
			return
		}
	}
}

// meanwhile changes a record in the old home before it is removed there.
type meanwhile struct{ move.Entities }

func (s meanwhile) Remove(ctx context.Context, kind entity.Kind, id string, version uint64) error {
	return errors.Join(s.Put(ctx, thing(id, version+1, "changed")), s.Entities.Remove(ctx, kind, id, version))
}

func TestEntitiesThatStay(t *testing.T) {
	from, to := home(t), home(t)
	ok(t, from.Entities.Put(t.Context(), thing("taken", 1, "of the old home")))
	ok(t, to.Entities.Put(t.Context(), thing("taken", 1, "of the new home")))
	out := must(mover(from, to).Run(t.Context()))(t)
	if !slices.Equal(out.Taken, []string{"case taken"}) || len(texts(t, from.Entities)) != 1 || texts(t, to.Entities)[0] != `taken {"text":"of the new home"}` {
		t.Errorf("%+v", out)
	}
	ok(t, to.Entities.Remove(t.Context(), "case", "taken", 1))
	m := mover(from, to)
	m.From.Entities = meanwhile{from.Entities}
	out = must(m.Run(t.Context()))(t)
	if !slices.Equal(out.Busy, []string{"case taken"}) || len(texts(t, to.Entities)) != 0 {
		t.Errorf("%+v, %q", out, texts(t, to.Entities))
	}
	must(mover(from, to).Run(t.Context()))(t)
	if got := texts(t, to.Entities); len(got) != 1 || got[0] != `taken {"text":"changed"}` {
		t.Errorf("%q", got)
	}
}

func TestDamagedBlobStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	h := must(local.Open(t.Context(), local.Options{Dir: dir}))(t)
	defer h.Close()
	from, to := home(t), home(t)
	from.Entities = h.Entities()
	var sums []string
	for _, text := range []string{"one", "two", "three"} {
		sum, _, err := from.Entities.PutBlob(t.Context(), entity.Papers, strings.NewReader(text))
		ok(t, err)
		sums = append(sums, sum)
	}
	path := filepath.Join(entities.Folders(filepath.Join(dir, "blobs"))[2], sums[1][:2], sums[1]+".zst")
	ok(t, os.WriteFile(path, []byte("rubbish"), 0o600))
	out := must(mover(from, to).Run(t.Context()))(t)
	if out.Blobs != 2 || !slices.Equal(out.Damaged, []string{"papers " + sums[1]}) {
		t.Errorf("%+v", out)
	}
	all := must(to.Entities.BlobsBefore(t.Context(), entity.Papers, now.AddDate(10, 0, 0), 10))(t)
	left := must(from.Entities.BlobsBefore(t.Context(), entity.Papers, now.AddDate(10, 0, 0), 10))(t)
	if len(all) != 2 || !slices.Equal(left, sums[1:2]) {
		t.Errorf("%q arrived, %q stay", all, left)
	}
}

// joined merges as one who has both, and no more than once.
func joined(old, there []byte) ([]byte, error) {
	var a, b struct {
		Text string `json:"text"`
	}
	if err := errors.Join(json.Unmarshal(old, &a), json.Unmarshal(there, &b)); err != nil {
		return nil, err
	}
	if strings.HasSuffix(b.Text, a.Text) {
		return there, nil
	}
	return fmt.Appendf(nil, `{"text":%q}`, b.Text+"+"+a.Text), nil
}

// What both homes have of a node is made one, wherever the move is broken off.
func TestEntitiesThatAreMerged(t *testing.T) {
	for fail := 1; ; fail++ {
		from, to := home(t), home(t)
		ok(t, from.Entities.Put(t.Context(), thing("a", 1, "old")))
		ok(t, to.Entities.Put(t.Context(), thing("a", 1, "new")))
		b := &breaking{at: fail}
		m := mover(from, to)
		m.Merge = map[entity.Kind]move.Merge{"case": joined}
		m.From.Entities, m.To.Entities = breakingEntities{from.Entities, b}, breakingEntities{to.Entities, b}
		if _, err := m.Run(t.Context()); err != nil {
			if !errors.Is(err, errBroken) {
				t.Fatalf("call %d failed, and Run said %v", fail, err)
			}
			again := mover(from, to)
			again.Merge = m.Merge
			if out := must(again.Run(t.Context()))(t); len(out.Taken)+len(out.Busy)+len(out.Damaged) > 0 {
				t.Errorf("broken at call %d: %+v", fail, out)
			}
		}
		if got, left := texts(t, to.Entities), texts(t, from.Entities); len(got) != 1 || got[0] != `a {"text":"new+old"}` || len(left) > 0 {
			t.Errorf("broken at call %d: %q, and %q stays", fail, got, left)
		}
		if fail > b.calls {
			return
		}
	}
}

// A record that is being changed in the old home takes nothing away in the new one.
func TestMergedWhileItChanges(t *testing.T) {
	from, to := home(t), home(t)
	ok(t, from.Entities.Put(t.Context(), thing("a", 1, "old")))
	ok(t, to.Entities.Put(t.Context(), thing("a", 1, "new")))
	m := mover(from, to)
	m.From.Entities = meanwhile{from.Entities}
	m.Merge = map[entity.Kind]move.Merge{"case": func(_, there []byte) ([]byte, error) { return there, nil }}
	out := must(m.Run(t.Context()))(t)
	if got := texts(t, to.Entities); len(out.Busy) != 1 || len(got) != 1 || got[0] != `a {"text":"new"}` {
		t.Errorf("%+v, %q", out, got)
	}
}
