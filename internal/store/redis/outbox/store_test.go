package outbox_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"postern/filter"
	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func TestCap(t *testing.T) {
	o := options(t, redistest.Mini(t))
	o.Cap = 100 << 10
	s := outbox.New(o)
	body := make([]byte, 40<<10)
	_, _ = rand.Read(body)
	put := func(n int) error {
		_, err := s.Add(t.Context(), storetest.Entry(n, string(body)), bytes.NewReader(body))
		return err
	}
	if err := errors.Join(put(0), put(1)); err != nil {
		t.Fatal(err)
	}
	storetest.WantErr(t, "Add over the cap", put(2), quarantine.ErrFull)
	if n, size, err := s.Estimate(t.Context()); n != 2 || size < 80<<10 || size > 100<<10 || err != nil {
		t.Errorf("%d entries of %d bytes, %v", n, size, err)
	}
	e, _, ok, err := s.Claim(t.Context(), storetest.Start, time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := errors.Join(s.End(t.Context(), e), put(2)); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	for range 2 {
		if e, _, err = s.ClaimID(t.Context(), mustList(t, s)[0].ID, storetest.Start.Add(time.Hour), time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := s.End(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if n, size, err := s.Estimate(t.Context()); n != 0 || size != 0 || err != nil {
		t.Errorf("%d entries of %d bytes stay, %v", n, size, err)
	}
}

func mustList(t testing.TB, s *outbox.Store) []relayoutbox.Entry {
	t.Helper()
	list, err := s.List(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestIDs(t *testing.T) {
	s := outbox.New(options(t, redistest.Mini(t)))
	for _, id := range []string{"a b", "a{b", "a}b", "a:b", "*", strings.Repeat("x", 65), "\x00"} {
		e := storetest.Entry(0, "x")
		e.ID = id
		if _, err := s.Add(t.Context(), e, strings.NewReader("x")); err == nil {
			t.Errorf("%q was taken", id)
		}
		e.Version = 1
		if err := s.Push(t.Context(), e, nil); err == nil {
			t.Errorf("%q was pushed", id)
		}
		_, err := s.Get(t.Context(), id)
		storetest.WantErr(t, "Get", err, relayoutbox.ErrNotFound)
	}
	add(t, s, 0)
	if _, err := s.Add(t.Context(), storetest.Entry(0, "y"), strings.NewReader("y")); err == nil {
		t.Error("an ID was taken twice")
	}
	if n, err := s.Conn.Client().DBSize(t.Context()).Result(); n != 5 || err != nil {
		t.Errorf("%d keys, want the entry, its body and three indexes, %v", n, err)
	}
}

func source(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func TestPush(t *testing.T) {
	for name, c := range map[string]*conn.Conn{"redis": redistest.Empty(t, redistest.Server(t)), "mini": redistest.Mini(t)} {
		t.Run(name, func(t *testing.T) { pushes(t, c) })
	}
}

func pushes(t *testing.T, c *conn.Conn) {
	s, ctx := outbox.New(options(t, c)), t.Context()
	e := storetest.Entry(0, "body")
	e.Version, e.Attempts, e.Ambiguous, e.LastReply = 7, 3, true, "451 x"
	equal := func(what string, want relayoutbox.Entry) {
		t.Helper()
		got, err := s.Look(ctx, []string{"none", want.ID})
		if err != nil || len(got) != 2 {
			t.Fatal(what, got, err)
		}
		if d := cmp.Diff([]relayoutbox.Entry{{}, want}, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Errorf("%s: -want +got\n%s", what, d)
		}
	}
	if err := s.Push(ctx, e, source("body")); err != nil {
		t.Fatal(err)
	}
	equal("where nothing was", e)
	for _, v := range []int64{6, 7} {
		older := e
		older.Version, older.LastReply = v, "older"
		if err := s.Push(ctx, older, func() (io.ReadCloser, error) { t.Error("the body was asked for"); return nil, io.EOF }); err != nil {
			t.Fatal(err)
		}
		equal("an older one", e)
	}
	claimed, _, ok, err := s.Claim(ctx, e.Next, time.Hour)
	if err != nil || !ok || claimed.Version <= 7 {
		t.Fatal(claimed, ok, err)
	}
	newer := e
	newer.Version, newer.LastReply = claimed.Version+12, "newer"
	if err := s.Push(ctx, newer, source("wrong")); !errors.Is(err, quarantine.ErrCorrupt) {
		t.Errorf("a wrong body: %v", err)
	}
	if err := s.Push(ctx, newer, func() (io.ReadCloser, error) { return nil, io.ErrUnexpectedEOF }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("no body: %v", err)
	}
	equal("what could not be pushed", claimed)
	if err := s.Push(ctx, newer, source("body")); err != nil {
		t.Fatal(err)
	}
	equal("a newer one", newer)
	storetest.WantErr(t, "Retry of a claim on what was replaced", s.Retry(ctx, claimed), relayoutbox.ErrLost)
	if n, err := c.Client().DBSize(ctx).Result(); n != 5 || err != nil {
		t.Errorf("%d keys, want the entry, its body and three indexes, %v", n, err)
	}
	again, crashed, ok, err := s.Claim(ctx, e.Next, time.Hour)
	if err != nil || !ok || crashed || again.Version <= newer.Version {
		t.Errorf("%+v, %v, %v, %v", again, crashed, ok, err)
	}
	if err := s.End(ctx, again); err != nil {
		t.Error(err)
	}
}

// TestLostDataIsPushedAgain empties the store while an entry is being tried and pushes it again: a
// claim from before counts for nothing, though it is on as many changes.
func TestLostDataIsPushedAgain(t *testing.T) {
	server := redistest.Server(t)
	s, ctx := outbox.New(options(t, redistest.Empty(t, server))), t.Context()
	e := storetest.Entry(0, "body")
	if _, err := s.Add(ctx, e, strings.NewReader("body")); err != nil {
		t.Fatal(err)
	}
	before, _, ok, err := s.Claim(ctx, late(), time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	redistest.Flush(t, server)
	storetest.WantErr(t, "End in an empty store", s.End(ctx, before), relayoutbox.ErrLost)
	e.Version, e.Ambiguous = 1, true
	if err := s.Push(ctx, e, source("body")); err != nil {
		t.Fatal(err)
	}
	after, crashed, ok, err := s.Claim(ctx, late(), time.Minute)
	if err != nil || !ok || crashed || !after.Ambiguous || after.Version <= before.Version {
		t.Fatalf("%+v after version %d, %v, %v, %v", after, before.Version, crashed, ok, err)
	}
	storetest.WantErr(t, "Retry", s.Retry(ctx, before), relayoutbox.ErrLost)
	storetest.WantErr(t, "End", s.End(ctx, before), relayoutbox.ErrLost)
	if err := s.End(ctx, after); err != nil {
		t.Error(err)
	}
}

// reindexed loses the indexes, and puts wrong things into them.
func reindexed(t *testing.T, c *conn.Conn) {
	s, ctx := outbox.New(options(t, c)), t.Context()
	want := map[string]bool{}
	for n := range 30 {
		want[add(t, s, n)] = true
	}
	_, before, err := s.Estimate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := c.Client()
	for _, name := range []string{"due", "ids", "size"} {
		r.Del(ctx, c.Key("{ix:o}", name))
	}
	r.ZAdd(ctx, c.Key("{ix:o}", "due"), redis.Z{Score: 1, Member: "ghost"}, redis.Z{Score: 4e15, Member: storetest.Entry(3, "").ID})
	r.ZAdd(ctx, c.Key("{ix:o}", "ids"), redis.Z{Member: "ghost"})
	r.HSet(ctx, c.Key("{ix:o}", "size"), "ghost", 10, "*", 5)
	if n, err := s.Reindex(ctx); n != len(want) || err != nil {
		t.Fatalf("%d entries, %v", n, err)
	}
	if n, size, err := s.Estimate(ctx); n != len(want) || size != before || err != nil {
		t.Errorf("%d entries of %d bytes, want %d, %v", n, size, before, err)
	}
	now := storetest.Start.Add(time.Hour)
	for len(want) > 0 {
		e, _, ok, err := s.Claim(ctx, now, time.Minute)
		if err != nil || !ok || !want[e.ID] {
			t.Fatalf("%q, %v, %v; %d are left", e.ID, ok, err, len(want))
		}
		delete(want, e.ID)
	}
}

func TestReindex(t *testing.T) {
	t.Run("redis", func(t *testing.T) { reindexed(t, redistest.Empty(t, redistest.Server(t))) })
	t.Run("mini", func(t *testing.T) { reindexed(t, redistest.Mini(t)) })
}

// TestIndexesAreNotBelieved says in the indexes what the entries do not.
func TestIndexesAreNotBelieved(t *testing.T) {
	c := redistest.Mini(t)
	s, ctx, r := outbox.New(options(t, c)), t.Context(), c.Client()
	due := c.Key("{ix:o}", "due")
	id := add(t, s, 0)
	held, _, ok, err := s.Claim(ctx, storetest.Start, time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	r.ZAdd(ctx, due, redis.Z{Score: 1, Member: id}, redis.Z{Score: 2, Member: "ghost"})
	if _, _, ok, err := s.Claim(ctx, storetest.Start, time.Minute); ok || err != nil {
		t.Errorf("claimed twice: %v", err)
	}
	if next, ok, err := s.Due(ctx); err != nil || !ok || !next.Equal(storetest.Start.Add(time.Minute)) {
		t.Errorf("not put right: %v, %v, %v", next, ok, err)
	}
	if n := r.ZCard(ctx, due).Val(); n != 1 {
		t.Errorf("%d stay in the index", n)
	}
	held.Next = storetest.Start.Add(time.Hour)
	if err := s.Retry(ctx, held); err != nil {
		t.Fatal(err)
	}
	r.ZAdd(ctx, due, redis.Z{Score: 1, Member: id})
	if _, _, ok, err := s.Claim(ctx, storetest.Start, time.Minute); ok || err != nil {
		t.Errorf("claimed before it is due: %v", err)
	}
}

// TestIndexWrittenLater lets only the index fail: the entry is safe and listed with the next
// Claim.
func TestIndexWrittenLater(t *testing.T) {
	c := redistest.Mini(t)
	s, ctx := outbox.New(options(t, c)), t.Context()
	c.Client().Set(ctx, c.Key("{ix:o}", "due"), "no zset", 0)
	id := add(t, s, 0)
	c.Client().Del(ctx, c.Key("{ix:o}", "due"))
	e, _, ok, err := s.Claim(ctx, storetest.Start, time.Minute)
	if err != nil || !ok || e.ID != id {
		t.Errorf("%q, %v, %v", e.ID, ok, err)
	}
}

// TestVersionsShareTheStore lets an old version change what a newer one wrote.
func TestVersionsShareTheStore(t *testing.T) {
	c := redistest.Mini(t)
	old := outbox.New(options(t, c))
	o := options(t, c)
	o.Write = func() int { return 2 }
	fresh := outbox.New(o)
	ctx := t.Context()
	id := add(t, fresh, 0)
	format := func() byte {
		t.Helper()
		text, err := o.Ring.Open("outbox state", id, []byte(c.Client().HGet(ctx, entityOf(c, id), "s").Val()))
		if err != nil {
			t.Fatal(err)
		}
		return text[0]
	}
	if format() != '2' {
		t.Errorf("format %q", format())
	}
	to := []map[string]string{
		{"Address": "u@example.com", "Policy": "default", "Backend": "mail", "Colour": "red"}, {"Address": "v@example.com", "Policy": "default", "Backend": "mail", "Colour": "blue"},
	}
	text, err := json.Marshal(map[string]any{"version": 1, "to": to, "next": storetest.Start, "mood": "good"})
	if err != nil {
		t.Fatal(err)
	}
	c.Client().HSet(ctx, entityOf(c, id), "s", o.Ring.Seal("outbox state", id, append([]byte("2"), text...)))
	e, _, ok, err := old.Claim(ctx, storetest.Start, time.Minute)
	if err != nil || !ok || len(e.To) != 2 {
		t.Fatal(e, ok, err)
	}
	e.To = append([]filter.Recipient{e.To[1]}, filter.Recipient{Address: "new@example.com"})
	e.LastReply = "451 x"
	if err := old.Retry(ctx, e); err != nil {
		t.Fatal(err)
	}
	if format() != '1' {
		t.Errorf("format %q", format())
	}
	text, err = o.Ring.Open("outbox state", id, []byte(c.Client().HGet(ctx, entityOf(c, id), "s").Val()))
	if err != nil || !strings.Contains(string(text), `"mood":"good"`) || !strings.Contains(string(text), `"blue"`) || strings.Contains(string(text), `"red"`) || !strings.Contains(string(text), "new@") {
		t.Errorf("%s, %v", text, err)
	}
	if got, err := fresh.Get(ctx, id); err != nil || got.LastReply != "451 x" || len(got.To) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

func largeBody(t *testing.T, s *outbox.Store) {
	body := make([]byte, 20<<20)
	_, _ = rand.Read(body)
	id, err := s.Add(t.Context(), storetest.Entry(0, string(body)), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Body(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	e, _, err := s.ClaimID(t.Context(), id, storetest.Start, time.Minute)
	if err == nil {
		err = s.End(t.Context(), e)
	}
	if n, size, eerr := s.Estimate(t.Context()); n != 0 || size != 0 || errors.Join(err, eerr) != nil {
		t.Errorf("%d entries of %d bytes, %v", n, size, err)
	}
}

func TestLargeBody(t *testing.T) {
	largeBody(t, outbox.New(options(t, redistest.Empty(t, redistest.Server(t)))))
}
