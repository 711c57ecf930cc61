package entitytest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"postern/internal/entity"
)

// model runs the same on a home and on one that is known to be right.
type model struct {
	s, known entity.Home
	t        testing.TB
	done     int
}

// Model runs random operations on empty homes and on others that are known to be right side by
// side, and returns how many it ran. How many say -rapid.checks (homes) and -rapid.steps
// (operations on each).
func Model(t *testing.T, open func(t testing.TB) (s, known entity.Home)) (done int) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{t: t}
		m.s, m.known = open(t)
		rt.Repeat(map[string]func(*rapid.T){"put": m.put, "remove": m.remove, "find": m.find, "blob": m.blob, "drop": m.drop, "": m.compare})
		done += m.done
	})
	return done
}

func (m *model) id(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "A.1", "z"}).Draw(rt, "id")
}

func (m *model) query(rt *rapid.T) entity.Query {
	q := entity.Query{
		Kind: "thing", Index: "state", Value: rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "value"), Rising: rapid.Bool().Draw(rt, "rising"),
		Limit: rapid.IntRange(0, 3).Draw(rt, "limit"),
	}
	if rapid.Bool().Draw(rt, "bounded") {
		q.From, q.To = rapid.Int64Range(-3, 3).Draw(rt, "from"), rapid.Int64Range(-3, 3).Draw(rt, "to")
	}
	return q
}

// alike checks that two ended with the same error.
func alike(rt *rapid.T, what string, got, want error) {
	for _, is := range []error{entity.ErrNotFound, entity.ErrConflict, entity.ErrExists, entity.ErrFull, entity.ErrInvalid} {
		if errors.Is(got, is) != errors.Is(want, is) {
			rt.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	if (got == nil) != (want == nil) {
		rt.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func (m *model) put(rt *rapid.T) {
	r := rec(m.id(rt), rapid.Uint64Range(1, 5).Draw(rt, "version"), fmt.Sprint(m.done))
	if rapid.IntRange(0, 3).Draw(rt, "fits") > 0 { // most go through
		if old, err := m.known.Get(m.t.Context(), "thing", r.ID); err == nil {
			r.Version = old.Version + 1
		} else {
			r.Version = 1
		}
	}
	for range rapid.IntRange(0, 4).Draw(rt, "keys") {
		r.Keys = append(r.Keys, key(rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "value"), rapid.Int64Range(-3, 3).Draw(rt, "at")))
	}
	alike(rt, "put", m.s.Put(m.t.Context(), r), m.known.Put(m.t.Context(), r))
}

func (m *model) remove(rt *rapid.T) {
	id, version := m.id(rt), rapid.Uint64Range(1, 5).Draw(rt, "version")
	if old, err := m.known.Get(m.t.Context(), "thing", id); err == nil && rapid.Bool().Draw(rt, "fits") {
		version = old.Version
	}
	alike(rt, "remove", m.s.Remove(m.t.Context(), "thing", id, version), m.known.Remove(m.t.Context(), "thing", id, version))
}

func (m *model) find(rt *rapid.T) {
	q := m.query(rt)
	for {
		want, err := m.known.Find(m.t.Context(), q)
		must(m.t, err)
		got, err := m.s.Find(m.t.Context(), q)
		alike(rt, "find", err, nil)
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			rt.Fatalf("find %+v: -want +got\n%s", q, d)
		}
		if q.After = want.Next; q.After == "" {
			break
		}
	}
	want, err := m.known.Count(m.t.Context(), q, 3)
	must(m.t, err)
	if got, err := m.s.Count(m.t.Context(), q, 3); err != nil || got != want {
		rt.Fatalf("count %+v: %d, want %d, %v", q, got, want, err)
	}
}

func (m *model) bytes(rt *rapid.T) (entity.Class, string) {
	return rapid.SampledFrom(entity.Classes()).Draw(rt, "class"), rapid.SampledFrom([]string{"", "a", strings.Repeat("b", 200_000)}).Draw(rt, "bytes")
}

func (m *model) blob(rt *rapid.T) {
	class, text := m.bytes(rt)
	for _, s := range []entity.Home{m.s, m.known} {
		sum, size, err := s.PutBlob(m.t.Context(), class, strings.NewReader(text))
		if err != nil || sum != sumOf([]byte(text)) || size != int64(len(text)) {
			rt.Fatalf("put blob: %s, %d, %v", sum, size, err)
		}
	}
}

func (m *model) drop(rt *rapid.T) {
	class, text := m.bytes(rt)
	alike(rt, "remove blob", errors.Join(m.s.RemoveBlob(m.t.Context(), class, sumOf([]byte(text))), m.known.RemoveBlob(m.t.Context(), class, sumOf([]byte(text)))), nil)
}

// compare looks at all records, and at which blobs there are.
func (m *model) compare(rt *rapid.T) {
	m.done++
	for _, id := range []string{"a", "b", "c", "A.1", "z"} {
		want, werr := m.known.Get(m.t.Context(), "thing", id)
		got, err := m.s.Get(m.t.Context(), "thing", id)
		alike(rt, "get "+id, err, werr)
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" && werr == nil {
			rt.Fatalf("get %s: -want +got\n%s", id, d)
		}
	}
	for _, class := range entity.Classes() {
		want, err := m.known.BlobsBefore(m.t.Context(), class, far(), 10)
		must(m.t, err)
		got, err := m.s.BlobsBefore(m.t.Context(), class, far(), 10)
		less := cmpopts.SortSlices(func(a, b string) bool { return a < b }) // two may be of one millisecond
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), less); d != "" || err != nil {
			rt.Fatalf("blobs of %s: %v -want +got\n%s", class, err, d)
		}
		for _, sum := range want {
			if a, b := readBlob(m.t, m.s, class, sum), readBlob(m.t, m.known, class, sum); a != b {
				rt.Fatalf("blob %s: %d bytes, want %d", sum, len(a), len(b))
			}
		}
	}
}
