package holds_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// pusher gives a body and counts how often it was asked for.
type pusher struct {
	body  string
	asked int
}

func (p *pusher) open() (io.ReadCloser, error) {
	p.asked++
	return io.NopCloser(strings.NewReader(p.body)), nil
}

func push(t testing.TB, s *holds.Store, h quarantine.Hold, p *pusher) quarantine.Hold {
	t.Helper()
	got, err := s.Push(t.Context(), h, p.open)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// in is the hold in a state and version.
func in(h quarantine.Hold, state quarantine.State, version int64) quarantine.Hold {
	h.V, h.State, h.Version = quarantine.RecordVersion, state, version
	if state.Ended() {
		h.Ended = &quarantine.Ended{At: storetest.Start, By: "me"}
	}
	return h
}

// A store that lost everything has it again, found by all that it was found by.
func TestPushIntoNothing(t *testing.T) {
	server := redistest.Server(t)
	s := empty(t, server)
	for n, state := range []quarantine.State{quarantine.Provisional, quarantine.Held, quarantine.Releasing, quarantine.Released} {
		p := &pusher{body: "body"}
		want := in(storetest.Hold(n, "body"), state, int64(n+3))
		if got := push(t, s, want, p); cmp.Diff(want, got) != "" {
			t.Error(cmp.Diff(want, got))
		}
		got, err := s.Look(t.Context(), []string{"none-00", want.ID, "x"})
		if d := cmp.Diff([]quarantine.Hold{{}, want, {}}, got); d != "" || err != nil {
			t.Errorf("Look: %v\n%s", err, d)
		}
		body, err := readAll(t, s, want.ID)
		if asked := p.asked == 1; asked == state.Ended() || state.Ended() != errors.Is(err, quarantine.ErrNotFound) || !state.Ended() && body != "body" {
			t.Errorf("%s: asked for its body %v, %q, %v", state, asked, body, err)
		}
		push(t, s, want, p)
		if p.asked > 1 {
			t.Errorf("%s: what is there was asked for again", state)
		}
	}
	st := stats(t, s)
	if st.Bodies != 3 || st.States[quarantine.Provisional] != 1 || st.States[quarantine.Held] != 1 || st.States[quarantine.Releasing] != 1 || st.States[quarantine.Released] != 1 {
		t.Errorf("%+v", st)
	}
	if got := ids(t, s, quarantine.Query{To: "user@example.com", Words: []string{"hello"}}); !slices.Equal(got, []string{storetest.Hold(2, "").ID, storetest.Hold(1, "").ID}) {
		t.Errorf("found %v", got)
	}
	if h, ok, err := s.FindKey(t.Context(), storetest.Hold(1, "").Key, storetest.Start); !ok || err != nil || h.ID != storetest.Hold(1, "").ID {
		t.Errorf("the key: %s, %v, %v", h.ID, ok, err)
	}
	if retry, err := s.Retry(t.Context(), storetest.Start, 10); err != nil || len(retry) != 1 {
		t.Errorf("Retry: %d, %v", len(retry), err)
	}
}

// The newer version wins, of one version the end; what is older leaves the store as it is.
func TestPushVersions(t *testing.T) {
	server := redistest.Server(t)
	states := []quarantine.State{quarantine.Provisional, quarantine.Held, quarantine.Releasing, quarantine.Deleted}
	for _, there := range states {
		for _, pushed := range states {
			for _, version := range []int64{2, 3, 4} {
				s := empty(t, server)
				p := &pusher{body: "body"}
				old, h := in(storetest.Hold(1, "body"), there, 3), in(storetest.Hold(1, "body"), pushed, version)
				push(t, s, old, p)
				want := old
				if version > 3 || version == 3 && pushed.Ended() && !there.Ended() {
					want = h
				}
				got := push(t, s, h, p)
				stored, err := s.Get(t.Context(), h.ID)
				if cmp.Diff(want, got) != "" || cmp.Diff(want, stored) != "" || err != nil {
					t.Errorf("%s 3, pushed %s %d: got %s %d, stored %s %d, %v", there, pushed, version, got.State, got.Version, stored.State, stored.Version, err)
				}
				body, err := readAll(t, s, h.ID)
				if want.State.Ended() != errors.Is(err, quarantine.ErrNotFound) || !want.State.Ended() && body != "body" {
					t.Errorf("%s 3, pushed %s %d: body %q, %v", there, pushed, version, body, err)
				}
				st := stats(t, s)
				if st.States[want.State] != 1 || len(st.States) != 1 || (st.Bodies == 1) == want.State.Ended() || (st.Bytes == 0) != want.State.Ended() {
					t.Errorf("%s 3, pushed %s %d: %+v", there, pushed, version, st)
				}
			}
		}
	}
}

// A hold whose body was lost has it back, and so has a hold under whose key something else lies.
func TestPushHeals(t *testing.T) {
	server := redistest.Server(t)
	for name, harm := range map[string][]string{
		"chunks lost": {"*}:b:*:0"}, "body lost": {"*}:b:????????????????"}, "hold lost": {"*}:h:*"}, "all lost": {"*"}, "indexes lost": {"ix:*"}, "key lost": {"k:*"},
	} {
		t.Run(name, func(t *testing.T) {
			c := redistest.Empty(t, server)
			s := on(t, c)
			h := keep(t, s, storetest.Hold(1, "body"), "body")
			for _, pattern := range harm {
				if err := c.Client().Del(t.Context(), keysOf(t, c, pattern)...).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if got := push(t, s, h, &pusher{body: "body"}); cmp.Diff(h, got) != "" {
				t.Error(cmp.Diff(h, got))
			}
			if body, err := readAll(t, s, h.ID); body != "body" || err != nil {
				t.Errorf("%q, %v", body, err)
			}
			if got := ids(t, s, quarantine.Query{Symbol: "SPF_FAIL"}); !slices.Equal(got, []string{h.ID}) {
				t.Errorf("found %v", got)
			}
			for _, key := range keysOf(t, c, "*") {
				if ttl := c.Client().TTL(t.Context(), key).Val(); ttl >= 0 && name != "hold lost" {
					t.Errorf("%s expires in %v", key, ttl)
				}
			}
			h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: storetest.Start}
			if _, err := s.Change(t.Context(), h); err != nil {
				t.Error(err)
			}
		})
	}
	c := redistest.Empty(t, server)
	s := on(t, c)
	h := in(storetest.Hold(1, "body"), quarantine.Held, 2)
	if err := c.Client().Set(t.Context(), c.Key("{"+h.MessageID+"}", "h", "00"), "mine", 0).Err(); err != nil {
		t.Fatal(err)
	}
	push(t, s, h, &pusher{body: "body"})
	if got, err := s.Get(t.Context(), h.ID); err != nil || got.ID != h.ID {
		t.Errorf("over a key of the wrong type: %v", err)
	}
}

func TestPushRefuses(t *testing.T) {
	s := empty(t, redistest.Server(t))
	h := in(storetest.Hold(1, "body"), quarantine.Held, 2)
	if _, err := s.Push(t.Context(), h, (&pusher{body: "other"}).open); !errors.Is(err, quarantine.ErrCorrupt) {
		t.Errorf("another body: %v", err)
	}
	away := errors.New("the journal is away")
	if _, err := s.Push(t.Context(), h, func() (io.ReadCloser, error) { return nil, away }); !errors.Is(err, away) {
		t.Errorf("no body: %v", err)
	}
	for _, bad := range []quarantine.Hold{{}, {ID: "a}-00", State: quarantine.Held, SHA256: h.SHA256}, {ID: h.ID, State: "flying", SHA256: h.SHA256}, {ID: h.ID, State: quarantine.Held, SHA256: "x"}} {
		if _, err := s.Push(t.Context(), bad, (&pusher{}).open); err == nil {
			t.Errorf("%q %q %q is no hold", bad.ID, bad.State, bad.SHA256)
		}
	}
	if st := stats(t, s); st.Bodies != 0 || len(st.States) != 0 {
		t.Errorf("%+v", st)
	}
}

// Whatever was lost beside the records, Reindex has it again; what names nothing goes.
func TestReindex(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	var all []quarantine.Hold
	for n := range 6 {
		all = append(all, keep(t, s, storetest.Hold(n, strings.Repeat("x", n+1)), strings.Repeat("x", n+1)))
	}
	put(t, s, storetest.Hold(7, "p"), "p")
	all[0].State, all[0].Ended = quarantine.Deleted, &quarantine.Ended{At: storetest.Start}
	all[1].State, all[1].Release = quarantine.Releasing, &quarantine.Release{Next: storetest.Start}
	for i := range 2 {
		if _, err := s.Change(t.Context(), all[i]); err != nil {
			t.Fatal(err)
		}
	}
	want := stats(t, s)
	lost := append(keysOf(t, c, "ix:*"), keysOf(t, c, "k:*")...)
	if err := c.Client().Del(t.Context(), append(lost, c.Key("count"))...).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Client().Set(t.Context(), c.Key("ix", "due"), "wrong", 0).Err(); err != nil {
		t.Fatal(err)
	}
	gone := storetest.Hold(50, "gone")
	keep(t, s, gone, "gone")
	if err := c.Client().Del(t.Context(), keysOf(t, c, "{"+gone.MessageID+"}:*")...).Err(); err != nil {
		t.Fatal(err)
	}
	fresh, done := on(t, c), 0
	got, err := fresh.Reindex(t.Context(), func(n int) { done = n })
	if err != nil || got.Holds != 7 || done != 7 || got.Entries == 0 || got.Keys != 1 || got.Bodies != 6 || got.Damaged != 0 {
		t.Errorf("%+v, %d, %v", got, done, err)
	}
	if d := cmp.Diff(want, stats(t, fresh)); d != "" {
		t.Errorf("-before +after\n%s", d)
	}
	if got := ids(t, fresh, quarantine.Query{Words: []string{"hel*"}}); len(got) != 5 {
		t.Errorf("found %v", got)
	}
	if due, err := fresh.Due(t.Context(), all[5].Expires, 10); err != nil || len(due) != 4 {
		t.Errorf("Due: %d, %v", len(due), err)
	}
	if n, err := fresh.Forget(t.Context(), storetest.Start.Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("Forget: %d, %v", n, err)
	}
	for _, h := range all[1:] {
		if got, ok, err := fresh.FindKey(t.Context(), h.Key, storetest.Start); !ok || got.ID != h.ID || err != nil {
			t.Errorf("the key of %s: %v, %v", h.ID, ok, err)
		}
	}
	again, err := fresh.Reindex(t.Context(), nil)
	if err != nil || again.Entries != 0 || again.Keys != 0 || again.Holds != 6 {
		t.Errorf("a second time: %+v, %v", again, err)
	}
}

// Counters that are wrong are right again after Recount.
func TestRecount(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	keep(t, s, storetest.Hold(1, "x"), "x")
	want := stats(t, s)
	if err := c.Client().HIncrBy(t.Context(), c.Key("count"), "bz", 1e9).Err(); err != nil {
		t.Fatal(err)
	}
	fresh := on(t, c)
	if st := stats(t, fresh); st.Bytes < 1e9 {
		t.Fatalf("%+v", st)
	}
	if err := fresh.Recount(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, stats(t, on(t, c))); d != "" {
		t.Error(d)
	}
}
