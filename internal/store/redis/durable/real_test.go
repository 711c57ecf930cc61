package durable_test

import (
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/durable"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newJournal(t testing.TB, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: dir, Disk: quick{}, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func realHolds(t testing.TB, c *conn.Conn, dir string, o durable.Options) (*durable.HoldStore, *journal.Journal) {
	t.Helper()
	j := newJournal(t, dir)
	o.Log = quiet()
	return durable.NewHolds(holds.New(holds.Options{Conn: c, Ring: redistest.Ring(t), Log: quiet()}), j, o), j
}

// TestHoldsConform: the journal changes nothing of what a store of holds means.
func TestHoldsConform(t *testing.T) {
	s := redistest.Server(t)
	storetest.Holds(t, func(t testing.TB) quarantine.Store {
		h, _ := realHolds(t, redistest.Empty(t, s), filepath.Join(t.TempDir(), "j"), durable.Options{})
		return h
	})
}

// TestFlushall: a server that was emptied gets back what it had acknowledged, bodies and all, and
// what has ended stays so.
func TestFlushall(t *testing.T) {
	s := redistest.Server(t)
	now := storetest.Start
	o := durable.Options{Grace: 15 * time.Second, Now: func() time.Time { return now }}
	c := redistest.Empty(t, s)
	a, _ := realHolds(t, c, filepath.Join(t.TempDir(), "a"), o)
	b, _ := realHolds(t, c, filepath.Join(t.TempDir(), "b"), o)
	var ids []string
	for n := range 3 {
		h, err := a.Put(t.Context(), storetest.Hold(n, body(n)), strings.NewReader(body(n)))
		if err == nil {
			err = a.Confirm(t.Context(), []string{h.ID})
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, h.ID)
	}
	h, err := b.Get(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []quarantine.State{quarantine.Releasing, quarantine.Released} {
		h.State, h.Release = state, &quarantine.Release{By: "me"}
		if state.Ended() {
			h.Ended = &quarantine.Ended{At: now, By: "me"}
		}
		if h, err = b.Change(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	admin := s.Client()
	defer admin.Close()
	if err := admin.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		for _, n := range []*durable.HoldStore{a, b} {
			if now.Equal(storetest.Start) {
				err = n.Lost(t.Context(), "flush")
			} else {
				err = n.Step(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(5 * time.Second)
	}
	for n, id := range ids {
		got, err := a.Get(t.Context(), id)
		if want := map[bool]quarantine.State{true: quarantine.Released, false: quarantine.Held}[n == 0]; err != nil || got.State != want {
			t.Errorf("%s: %s, %v; want %s", id, got.State, err, want)
		}
		if n == 0 {
			continue
		}
		r, err := b.Body(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); string(text) != body(n) || err != nil {
			t.Errorf("%s: body of %d bytes, %v", id, len(text), err)
		}
		r.Close()
	}
	page, err := a.List(t.Context(), quarantine.Query{})
	if err != nil || len(page.Holds) != 2 {
		t.Errorf("%d listed, %v", len(page.Holds), err)
	}
	h, err = b.Get(t.Context(), ids[1])
	if err == nil {
		h.State = quarantine.Releasing
		_, err = b.Change(t.Context(), h)
	}
	if err != nil {
		t.Errorf("a release after the grace: %v", err)
	}
}
