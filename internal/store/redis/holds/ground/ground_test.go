package ground_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/ground"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func newGround(t testing.TB, c *conn.Conn) *ground.Ground {
	t.Helper()
	return ground.New(c, record.NewScribe(redistest.Ring(t), nil), time.Now, slog.New(slog.DiscardHandler), ground.Caps{})
}

// A reference is read as it was written, and only for the hold it was written for.
func TestReference(t *testing.T) {
	h := storetest.Hold(1, "x")
	r := ground.NewReference(h)
	r.Chunks, r.Stored = 3, 12345
	if got, ok := ground.ParseReference(r.String(), h); got != r || !ok {
		t.Errorf("%s became %+v, %v", r, got, ok)
	}
	if again := ground.NewReference(h); again.Gen == r.Gen {
		t.Error("two writers have one generation")
	}
	evidence := h
	evidence.Class = quarantine.Evidence
	for _, other := range []quarantine.Hold{storetest.Hold(1, "y"), evidence, {}} {
		if got, ok := ground.ParseReference(r.String(), other); ok {
			t.Errorf("%+v is taken for another's", got)
		}
	}
	sha := h.SHA256[:ground.ShortSHA]
	for _, bad := range []string{
		"", ":", "::::", "b:" + sha, "b:" + sha + ":aabbccdd:-1:1", "b:" + sha + ":aabbccdd:1:-1", "b:" + sha + ":aabbccdd:99999:1", "b:" + sha + ":aabbccd:1:1",
		"b:" + sha + ":aabbccdx:1:1", "b:" + sha + ":aabbccdd:1:1:1", "x:" + sha + ":aabbccdd:1:1", "b:" + sha + ":aabbccdd::",
	} {
		if got, ok := ground.ParseReference(bad, h); ok {
			t.Errorf("%q is a reference: %+v", bad, got)
		}
	}
}

func TestValidSHA(t *testing.T) {
	if !ground.ValidSHA(storetest.SHA("x")) {
		t.Error("a digest is none")
	}
	for _, bad := range []string{"", "ab", storetest.SHA("x")[1:] + "G", storetest.SHA("x") + "0"} {
		if ground.ValidSHA(bad) {
			t.Errorf("%q is a digest", bad)
		}
	}
}

// Keys of one message share a slot, and no text of strangers stands in a key.
func TestKeys(t *testing.T) {
	g := newGround(t, redistest.Mini(t))
	id, _ := record.ParseID("01jd9x00000000000000000001-07")
	r := ground.NewReference(storetest.Hold(1, "x"))
	r.Chunks = 2
	want := map[string]string{
		g.HoldKey(id): "postern:{01jd9x00000000000000000001}:h:07", g.IndexKey("due"): "postern:ix:due",
		g.BodyKey(id.Message, r): "postern:{01jd9x00000000000000000001}:b:" + storetest.SHA("x")[:16],
	}
	for got, want := range want {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if keys := g.BodyKeys(id.Message, r); len(keys) != 3 || keys[2] != g.ChunkKey(id.Message, r, 1) {
		t.Errorf("%v", keys)
	}
	if key := g.KeyKey("a stranger's: {text}\r\n"); len(key) != len("postern:k:")+32 {
		t.Errorf("%q", key)
	}
}

// One key of the wrong type is no fault of the server, and does not keep us from the others.
func TestPipeWrongType(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	g := newGround(t, c)
	var bad *redis.MapStringStringCmd
	var good *redis.StatusCmd
	err := g.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) {
		p.Set(t.Context(), g.IndexKey("due"), "x", 0)
		bad = p.HGetAll(t.Context(), g.IndexKey("due"))
		good = p.Set(t.Context(), g.IndexKey("next"), "x", 0)
	})
	if err != nil || !ground.WrongType(bad.Err()) || good.Err() != nil {
		t.Errorf("%v, %v, %v", err, bad.Err(), good.Err())
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if err := g.Pipe(ended, conn.Write, func(p redis.Pipeliner) { p.Get(ended, "x") }); err == nil {
		t.Error("a call that was given up is done")
	}
}

// Entries that name nothing go; those of holds that came to them meanwhile are put back.
func TestClean(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	g := newGround(t, c)
	h := storetest.Hold(1, "x")
	h.State, h.Version = quarantine.Held, 2
	fixed, state, err := g.Seal(h, "")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := record.ParseID(h.ID)
	if err := c.Client().HSet(t.Context(), g.HoldKey(id), "r", fixed, "s", state).Err(); err != nil {
		t.Fatal(err)
	}
	var all []ground.Entry
	if err := g.Pipe(t.Context(), conn.Write, func(p redis.Pipeliner) { g.QueueIndex(t.Context(), p, h) }); err != nil {
		t.Fatal(err)
	}
	for _, e := range index.Entries(h) {
		all = append(all, ground.Entry{Key: e.Key, Member: e.Member})
	}
	stale := ground.Entry{Key: index.StateKey(quarantine.Released), Member: index.Member(h)}
	if err := c.Client().ZAdd(t.Context(), g.IndexKey(stale.Key), redis.Z{Member: stale.Member}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := g.Clean(t.Context(), append(all, stale)); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if n := c.Client().ZCard(t.Context(), g.IndexKey(e.Key)).Val(); n != 1 {
			t.Errorf("%s has %d entries", e.Key, n)
		}
	}
	if n := c.Client().ZCard(t.Context(), g.IndexKey(stale.Key)).Val(); n != 0 {
		t.Errorf("%s has %d entries", stale.Key, n)
	}
	rows, err := g.Rows(t.Context(), []string{h.ID, "none-00", "no id", ""})
	if err != nil || !rows[0].Good || !rows[1].Missing() || !rows[2].Missing() || !rows[3].Missing() {
		t.Errorf("%+v, %v", rows, err)
	}
}
