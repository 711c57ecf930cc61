// Package entitytest holds the suite of entity.Home.
package entitytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/internal/entity"
)

// Home runs the suite, each part on an empty home without caps.
func Home(t *testing.T, open func(t *testing.T) entity.Home) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, s entity.Home)
	}{
		{"versions", versions}, {"limits", limits}, {"find", find}, {"cursors", cursors}, {"times", times}, {"values", values}, {"changed keys", changedKeys},
		{"large pages", largePages}, {"kinds", kinds}, {"contexts", contexts}, {"at once", atOnce}, {"keys at once", keysAtOnce},
		{"blobs", blobs}, {"blobs that are none", noBlobs}, {"blobs by time", blobsByTime}, {"blobs at once", blobsAtOnce},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open(t)) })
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, what string, err, is error) {
	t.Helper()
	if !errors.Is(err, is) {
		t.Errorf("%s: %v, want %v", what, err, is)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: -want +got\n%s", what, d)
	}
}

// rec is a record with a text in it.
func rec(id string, version uint64, text string, keys ...entity.Key) entity.Record {
	data, _ := json.Marshal(map[string]string{"text": text}) // of texts this does not fail
	return entity.Record{Kind: "thing", ID: id, Version: version, Data: data, Keys: keys}
}

func key(value string, at int64) entity.Key { return entity.Key{Index: "state", Value: value, At: at} }

// found are the IDs of all pages of a query.
func found(t testing.TB, s entity.Store, q entity.Query) (ids []string) {
	t.Helper()
	if q.Kind == "" {
		q.Kind = "thing"
	}
	if q.Index == "" {
		q.Index = "state"
	}
	ids = []string{}
	for {
		p, err := s.Find(t.Context(), q)
		must(t, err)
		for _, r := range p.Records {
			ids = append(ids, r.ID)
		}
		if p.Next == "" {
			return ids
		}
		if len(p.Records) == 0 {
			t.Fatal("an empty page says where to go on")
		}
		q.After = p.Next
	}
}

func versions(t *testing.T, s entity.Home) {
	ctx := t.Context()
	_, err := s.Get(ctx, "thing", "a")
	want(t, "no record", err, entity.ErrNotFound)
	want(t, "version 2 of nothing", s.Put(ctx, rec("a", 2, "x")), entity.ErrConflict)
	one := rec("a", 1, "1", key("open", 5), entity.Key{Index: "who"})
	one.Data = []byte(" {\"text\" : \"Gr\u00f6\u00dfe <&\u2028\", \"n\":1e400, \"e\":\"\\ud800\"}\n") // kept to the octet
	must(t, s.Put(ctx, one))
	got, err := s.Get(ctx, "thing", "a")
	must(t, err)
	same(t, "what was put", got, one)
	want(t, "the first again", s.Put(ctx, one), entity.ErrExists)
	want(t, "a version left out", s.Put(ctx, rec("a", 3, "3")), entity.ErrConflict)
	for v := uint64(2); v < 6; v++ {
		must(t, s.Put(ctx, rec("a", v, fmt.Sprint(v))))
		want(t, "the same version again", s.Put(ctx, rec("a", v, "other")), entity.ErrConflict)
	}
	got, err = s.Get(ctx, "thing", "a")
	must(t, err)
	got.Keys = nil
	same(t, "after changes", got, rec("a", 5, "5"))
	removals(t, s)
}

func removals(t *testing.T, s entity.Home) {
	ctx := t.Context()
	want(t, "removing an old version", s.Remove(ctx, "thing", "a", 4), entity.ErrConflict)
	want(t, "removing a later version", s.Remove(ctx, "thing", "a", 6), entity.ErrConflict)
	must(t, s.Remove(ctx, "thing", "nobody", 1))
	must(t, s.Remove(ctx, "thing", "a", 5))
	must(t, s.Remove(ctx, "thing", "a", 5))
	_, err := s.Get(ctx, "thing", "a")
	want(t, "what was removed", err, entity.ErrNotFound)
	want(t, "a change of what was removed", s.Put(ctx, rec("a", 6, "x")), entity.ErrConflict)
	for range 3 { // an ID may come again, and go again
		must(t, s.Put(ctx, rec("a", 1, "again", key("again", 1))))
		must(t, s.Put(ctx, rec("a", 2, "again", key("again", 1))))
		same(t, "found again", found(t, s, entity.Query{Value: "again"}), []string{"a"})
		must(t, s.Remove(ctx, "thing", "a", 2))
		same(t, "found no more", found(t, s, entity.Query{Value: "again"}), []string{})
	}
}

func limits(t *testing.T, s entity.Home) {
	ctx := t.Context()
	good := rec(strings.Repeat("i", entity.MaxID-7)+".:@+_-9", 1, "")
	good.Kind = entity.Kind(strings.Repeat("k", 32))
	good.Data = []byte(`"` + strings.Repeat("d", entity.MaxData-2) + `"`)
	for i := range entity.MaxKeys {
		good.Keys = append(good.Keys, entity.Key{Index: strings.Repeat("x", 32), Value: strings.Repeat("v", entity.MaxValue-4) + fmt.Sprintf("%04d", i), At: int64(i)})
	}
	must(t, s.Put(ctx, good))
	got, err := s.Get(ctx, good.Kind, good.ID)
	must(t, err)
	same(t, "the largest there is", got, good)
	same(t, "found", found(t, s, entity.Query{Kind: good.Kind, Index: strings.Repeat("x", 32), Value: good.Keys[63].Value}), []string{good.ID})
	bad := map[string]func(r *entity.Record){
		"no kind":        func(r *entity.Record) { r.Kind = "" },
		"kind":           func(r *entity.Record) { r.Kind = "K" },
		"long kind":      func(r *entity.Record) { r.Kind += "k" },
		"no ID":          func(r *entity.Record) { r.ID = "" },
		"ID":             func(r *entity.Record) { r.ID = "a b" },
		"braces":         func(r *entity.Record) { r.ID = "{a}" },
		"long ID":        func(r *entity.Record) { r.ID += "x" },
		"version 0":      func(r *entity.Record) { r.Version = 0 },
		"no JSON":        func(r *entity.Record) { r.Data = []byte("{") },
		"too large":      func(r *entity.Record) { r.Data = append(r.Data, ' ') },
		"too many keys":  func(r *entity.Record) { r.Keys = append(slices.Clone(r.Keys), key("x", 0)) },
		"index":          func(r *entity.Record) { r.Keys = []entity.Key{{Index: "A b"}} },
		"long value":     func(r *entity.Record) { r.Keys = []entity.Key{key(strings.Repeat("v", entity.MaxValue+1), 0)} },
		"value no UTF-8": func(r *entity.Record) { r.Keys = []entity.Key{key("\xff", 0)} },
	}
	for name, spoil := range bad {
		r := good
		r.Version = 2
		spoil(&r)
		want(t, name, s.Put(ctx, r), entity.ErrInvalid)
	}
	got, err = s.Get(ctx, good.Kind, good.ID)
	must(t, err)
	same(t, "after all that", got, good)
	_, err = s.Get(ctx, "K k", "{}\x00")
	want(t, "a name that cannot be", err, entity.ErrNotFound)
	must(t, s.Remove(ctx, "K k", "{}\x00", 1))
}

func contexts(t *testing.T, s entity.Home) {
	must(t, s.Put(t.Context(), rec("a", 1, "x", key("open", 1))))
	sum, _, err := s.PutBlob(t.Context(), entity.Papers, strings.NewReader("x"))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := entity.Query{Kind: "thing", Index: "state", Value: "open"}
	for name, f := range map[string]func() error{
		"put":         func() error { return s.Put(ctx, rec("a", 2, "y")) },
		"create":      func() error { return s.Put(ctx, rec("b", 1, "y")) },
		"get":         func() error { _, err := s.Get(ctx, "thing", "a"); return err },
		"find":        func() error { _, err := s.Find(ctx, q); return err },
		"count":       func() error { _, err := s.Count(ctx, q, 10); return err },
		"remove":      func() error { return s.Remove(ctx, "thing", "a", 1) },
		"revision":    func() error { _, err := s.Revision(ctx, "thing"); return err },
		"put blob":    func() error { _, _, err := s.PutBlob(ctx, entity.Papers, strings.NewReader("y")); return err },
		"remove blob": func() error { return s.RemoveBlob(ctx, entity.Papers, sum) },
		"before":      func() error { _, err := s.BlobsBefore(ctx, entity.Papers, far(), 1); return err },
	} {
		if err := f(); err == nil {
			t.Errorf("%s did what it was no longer asked for", name)
		}
	}
	got, err := s.Get(t.Context(), "thing", "a")
	must(t, err)
	same(t, "what is there", got, rec("a", 1, "x", key("open", 1)))
	same(t, "the blob", readBlob(t, s, entity.Papers, sum), "x")
}

func kinds(t *testing.T, s entity.Home) {
	ctx := t.Context()
	revision := func(kind entity.Kind) uint64 {
		n, err := s.Revision(ctx, kind)
		must(t, err)
		return n
	}
	other := revision("other")
	last := revision("thing")
	grew := func(what string, err error) {
		t.Helper()
		must(t, err)
		now := revision("thing")
		if now <= last {
			t.Errorf("%s: the revision is %d after %d", what, now, last)
		}
		last = now
	}
	grew("create", s.Put(ctx, rec("a", 1, "x", key("open", 1))))
	grew("change", s.Put(ctx, rec("a", 2, "y", key("open", 1))))
	grew("another", s.Put(ctx, rec("b", 1, "y", key("open", 1))))
	_ = s.Put(ctx, rec("a", 2, "z"))
	if now := revision("thing"); now < last {
		t.Errorf("a conflict took the revision from %d to %d", last, now)
	}
	last = revision("thing")
	grew("remove", s.Remove(ctx, "thing", "a", 2))
	if now := revision("other"); now != other {
		t.Errorf("another kind went from %d to %d", other, now)
	}
	r := rec("b", 1, "of another kind", key("open", 1))
	r.Kind = "other"
	must(t, s.Put(ctx, r))
	got, err := s.Get(ctx, "other", "b")
	must(t, err)
	same(t, "another kind", got, r)
	must(t, s.Remove(ctx, "other", "b", 1))
	same(t, "of this kind", found(t, s, entity.Query{Value: "open"}), []string{"b"})
	same(t, "of the other", found(t, s, entity.Query{Kind: "other", Value: "open"}), []string{})
}
