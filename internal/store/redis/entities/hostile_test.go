package entities_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/entity"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/redistest"
)

// hostile is a store whose server somebody else writes to.
type hostile struct {
	*entities.Store
	admin *redis.Client
	log   *bytes.Buffer
}

func enemy(t *testing.T) hostile {
	t.Helper()
	server := redistest.Server(t)
	var log bytes.Buffer
	s, err := entities.New(entities.Options{Conn: redistest.Empty(t, server), Ring: redistest.Ring(t), Log: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	admin := server.Client()
	t.Cleanup(func() { admin.Close() })
	return hostile{s, admin, &log}
}

func rec(id string, version uint64, text string, at int64) entity.Record {
	return entity.Record{Kind: "case", ID: id, Version: version, Data: fmt.Appendf(nil, "%q", text), Keys: []entity.Key{{Index: "state", Value: "open", At: at}}}
}

func (h hostile) ids(t *testing.T) (out string) {
	t.Helper()
	p, err := h.Find(t.Context(), entity.Query{Kind: "case", Index: "state", Value: "open", Rising: true})
	must(t, err)
	for _, r := range p.Records {
		out += r.ID
	}
	return out
}

// keys are the keys that match a pattern behind the prefix.
func (h hostile) keys(t *testing.T, pattern string) []string {
	t.Helper()
	all, err := h.admin.Keys(t.Context(), "postern:"+pattern).Result()
	must(t, err)
	if len(all) == 0 {
		t.Fatalf("nothing matches %s", pattern)
	}
	return all
}

// TestForgedRecords: what we did not write under this name is missing, is said, and gives way.
func TestForgedRecords(t *testing.T) {
	h := enemy(t)
	ctx := t.Context()
	must(t, h.Put(ctx, rec("a", 1, "ours", 1)))
	must(t, h.Put(ctx, rec("b", 1, "ours", 2)))
	a, b := "postern:{e:case:a}:r", "postern:{e:case:b}:r"
	ours, err := h.admin.Get(ctx, a).Result()
	must(t, err)
	for name, forge := range map[string]func() error{
		"another's record": func() error { return h.admin.Copy(ctx, b, a, 0, true).Err() },
		"a bit":            func() error { return h.admin.Set(ctx, a, ours[:len(ours)-1]+"\x00", 0).Err() },
		"cut off":          func() error { return h.admin.Set(ctx, a, ours[:19], 0).Err() },
		"rubbish":          func() error { return h.admin.Set(ctx, a, strings.Repeat("x", 1<<20), 0).Err() },
		"nothing":          func() error { return h.admin.Set(ctx, a, "", 0).Err() },
		"another type":     func() error { return errors.Join(h.admin.Del(ctx, a).Err(), h.admin.RPush(ctx, a, "x").Err()) },
	} {
		must(t, forge())
		if _, err := h.Get(ctx, "case", "a"); !errors.Is(err, entity.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if got := h.ids(t); got != "b" {
			t.Errorf("%s: %s are found", name, got)
		}
		if err := h.Put(ctx, rec("a", 2, "changed", 1)); !errors.Is(err, entity.ErrConflict) {
			t.Errorf("%s: a change: %v", name, err)
		}
		must(t, h.Remove(ctx, "case", "a", 1))
		must(t, h.Put(ctx, rec("a", 1, "anew", 1)))
		if got := h.ids(t); got != "ab" {
			t.Errorf("%s, and anew: %s are found", name, got)
		}
	}
	if !strings.Contains(h.log.String(), "taken for missing") {
		t.Error("nothing was said")
	}
}

// TestForgedIndexes: entries that no record has lead nowhere, and go away; Reindex finds what
// lacks them.
func TestForgedIndexes(t *testing.T) {
	h := enemy(t)
	ctx := t.Context()
	for i, id := range []string{"a", "b", "c"} {
		must(t, h.Put(ctx, rec(id, 1, "x", int64(i))))
	}
	index := h.keys(t, "ex:case:state:*")[0]
	entries, err := h.admin.ZRange(ctx, index, 0, -1).Result()
	must(t, err)
	at9 := entries[0][:7] + "\x09"
	for _, m := range []string{"", "x", at9, at9 + "nobody", at9 + "a", at9 + "{}", at9 + strings.Repeat("i", 1000)} {
		must(t, h.admin.ZAdd(ctx, index, redis.Z{Member: m}).Err())
	}
	if got := h.ids(t); got != "abc" {
		t.Errorf("%s are found", got)
	}
	if n, err := h.admin.ZCard(ctx, index).Result(); n != 3 || err != nil {
		t.Errorf("%d entries are left, %v", n, err)
	}
	must(t, h.admin.Del(ctx, index).Err())
	must(t, h.admin.ZAdd(ctx, index, redis.Z{Member: at9 + "a"}, redis.Z{Member: "x"}).Err())
	must(t, h.admin.RPush(ctx, "postern:ex:case:state:00", "no index").Err())
	must(t, h.admin.Set(ctx, "postern:er:case", "inf", 0).Err())
	must(t, h.admin.Set(ctx, "postern:{e:case:forged}:r", "forged", 0).Err())
	sum, _, err := h.PutBlob(ctx, entity.Papers, strings.NewReader("a paper"))
	must(t, err)
	must(t, h.admin.Del(ctx, "postern:ez", "postern:ebz:papers", "postern:ebx:papers").Err())
	if got := h.ids(t); got != "" {
		t.Errorf("without an index %s are found", got)
	}
	must(t, h.admin.ZAdd(ctx, index, redis.Z{Member: at9 + "a"}, redis.Z{Member: "x"}).Err())
	out, err := h.Reindex(ctx)
	if err != nil || out.Records != 3 || out.Blobs != 1 || out.Damaged != 1 || out.Entries != 3 {
		t.Errorf("%+v, %v", out, err)
	}
	if got := h.ids(t); got != "abc" {
		t.Errorf("after Reindex %s are found", got)
	}
	n, size, err := h.Size(ctx)
	used, _, uerr := h.BlobBytes(ctx, entity.Papers)
	listed, lerr := h.BlobsBefore(ctx, entity.Papers, time.Now().Add(time.Hour), 9)
	if err := errors.Join(err, uerr, lerr); err != nil || n != 3 || size < 100 || used <= 0 || len(listed) != 1 || listed[0] != sum {
		t.Errorf("%d records of %d bytes, %d bytes of blobs %q, %v", n, size, used, listed, err)
	}
	must(t, h.Put(ctx, rec("d", 1, "x", 9)))
	if rev, err := h.Revision(ctx, "case"); rev < 1e15 || err != nil {
		t.Errorf("revision %d, %v", rev, err)
	}
}

// TestDamagedBlobs: a blob that is not what it was ends in an error, and is whole again when it
// is put again.
func TestDamagedBlobs(t *testing.T) {
	h := enemy(t)
	ctx := t.Context()
	text := strings.Repeat("0123456789abcdef", 1000)
	sum, _, err := h.PutBlob(ctx, entity.Evidence, strings.NewReader(text))
	must(t, err)
	chunk, meta := "{eb:evidence:"+sum+"}:c:*", "postern:{eb:evidence:"+sum+"}:m"
	for name, spoil := range map[string]func() error{
		"missing": func() error { return h.admin.Del(ctx, h.keys(t, chunk)...).Err() },
		"rubbish": func() error { return h.admin.Set(ctx, h.keys(t, chunk)[0], "rubbish", 0).Err() },
		"wrong type": func() error {
			k := h.keys(t, chunk)[0]
			return errors.Join(h.admin.Del(ctx, k).Err(), h.admin.RPush(ctx, k, "x").Err())
		},
		"smaller":     func() error { return h.admin.HSet(ctx, meta, "s", 10).Err() },
		"more chunks": func() error { return h.admin.HSet(ctx, meta, "n", 4000).Err() },
	} {
		must(t, spoil())
		r, err := h.Blob(ctx, entity.Evidence, sum)
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		if err == nil || errors.Is(err, entity.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		h.whole(t, name, text, sum)
	}
	for name, spoil := range map[string]func() error{
		"nonsense":     func() error { return h.admin.HSet(ctx, meta, "n", "many").Err() },
		"huge":         func() error { return h.admin.HSet(ctx, meta, "s", int64(1)<<60).Err() },
		"another type": func() error { return errors.Join(h.admin.Del(ctx, meta).Err(), h.admin.Set(ctx, meta, "x", 0).Err()) },
	} {
		must(t, spoil())
		if _, err := h.Blob(ctx, entity.Evidence, sum); !errors.Is(err, entity.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		h.whole(t, name, text, sum)
	}
}

func (h hostile) whole(t *testing.T, name, text, sum string) {
	t.Helper()
	_, _, err := h.PutBlob(t.Context(), entity.Evidence, strings.NewReader(text))
	must(t, err)
	r, err := h.Blob(t.Context(), entity.Evidence, sum)
	must(t, err)
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != text {
		t.Errorf("%s, and put again: %d bytes, %v", name, len(got), err)
	}
}
