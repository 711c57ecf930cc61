package holds_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// put puts a hold.
func put(t testing.TB, s *holds.Store, h quarantine.Hold, body string) quarantine.Hold {
	t.Helper()
	got, err := s.Put(t.Context(), h, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// keep puts a hold and confirms it.
func keep(t testing.TB, s *holds.Store, h quarantine.Hold, body string) quarantine.Hold {
	t.Helper()
	put(t, s, h, body)
	if err := s.Confirm(t.Context(), []string{h.ID}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), h.ID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func readAll(t testing.TB, s *holds.Store, id string) (string, error) {
	t.Helper()
	r, err := s.Body(t.Context(), id)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

// ids lists what a query finds.
func ids(t testing.TB, s *holds.Store, q quarantine.Query) (out []string) {
	t.Helper()
	page, err := s.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range page.Holds {
		out = append(out, h.ID)
	}
	return out
}

func stats(t testing.TB, s *holds.Store) quarantine.Stats {
	t.Helper()
	st, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// A held mail costs five round trips with all that the quarantine asks around it, and a mail
// that nobody held before one.
func TestTrips(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := holds.New(holds.Options{Conn: c, Ring: redistest.Ring(t), Caps: holds.Caps{Holds: 1 << 30, Evidence: 1 << 30}})
	body := strings.Repeat("a line of text\r\n", 1000)
	if err := c.Client().Ping(t.Context()).Err(); err != nil { // logs in, which counts as a round trip
		t.Fatal(err)
	}
	for n := range 3 {
		h := storetest.Hold(n, body)
		before := c.Trips()
		_, _, err := s.FindKey(t.Context(), h.Key, h.At)
		if trips := c.Trips() - before; err != nil || trips != 1 {
			t.Errorf("FindKey: %d round trips, %v", trips, err)
		}
		stats(t, s)
		putFrom := c.Trips()
		put(t, s, h, body)
		if trips := c.Trips() - putFrom; trips > 2 {
			t.Errorf("Put: %d round trips", trips)
		}
		if st := stats(t, s); st.States[quarantine.Provisional] != 1 || st.States[quarantine.Held] != n || st.Bodies != n+1 {
			t.Errorf("after Put %d: %+v", n, st)
		}
		if err := s.Confirm(t.Context(), []string{h.ID}); err != nil {
			t.Fatal(err)
		}
		if trips := c.Trips() - before; trips > 5 {
			t.Errorf("hold %d: %d round trips", n, trips)
		}
		if st := stats(t, s); st.States[quarantine.Provisional] != 0 || st.States[quarantine.Held] != n+1 {
			t.Errorf("after Confirm %d: %+v", n, st)
		}
	}
	if st, err := on(t, c).Stats(t.Context()); err == nil && st.States[quarantine.Held] != 3 {
		t.Errorf("what another process counts: %+v", st)
	}
}

// Holds of one message share a body, evidence apart, and lose it with the last of each.
func TestSharedBody(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	body := strings.Repeat("shared ", 1000)
	var all []quarantine.Hold
	for n := range 4 {
		h := storetest.Hold(1, body)
		h.ID = fmt.Sprintf("%s-%02d", h.MessageID, n)
		h.Key = fmt.Sprint("key", n)
		if n == 3 {
			h.Class = quarantine.Evidence
		}
		all = append(all, keep(t, s, h, body))
	}
	if st := stats(t, s); st.Bodies != 2 {
		t.Errorf("%+v, want one body, and one of the evidence", st)
	}
	if _, err := s.Put(t.Context(), other(all[0], 7), strings.NewReader("another")); !errors.Is(err, quarantine.ErrCorrupt) {
		t.Errorf("a body that does not hash, where the right one is there: %v", err)
	}
	for n, h := range all {
		for _, left := range all[n:] {
			if got, err := readAll(t, s, left.ID); got != body || err != nil {
				t.Fatalf("%s after %d ended: %d bytes, %v", left.ID, n, len(got), err)
			}
		}
		h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: storetest.Start}
		if _, err := s.Change(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if st := stats(t, s); st.Bodies != 0 || st.Bytes != 0 {
		t.Errorf("after the last: %+v", st)
	}
	if left := keysOf(t, c, "*}:[be]:*"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// other is another hold of the same message.
func other(h quarantine.Hold, n int) quarantine.Hold {
	h.ID = fmt.Sprintf("%s-%02d", h.MessageID, n)
	h.Key = fmt.Sprint("another key", n)
	return h
}

// keysOf are the keys that match a pattern.
func keysOf(t testing.TB, c *conn.Conn, pattern string) []string {
	t.Helper()
	var out []string
	it := c.Client().Scan(t.Context(), 0, c.Key(pattern), 1000).Iterator()
	for it.Next(t.Context()) {
		out = append(out, it.Val())
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// A large body goes in and comes out in batches; one that turns out wrong at its end leaves
// nothing.
func TestLargeBody(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := on(t, c)
	b := make([]byte, 20<<20)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	body := string(b)
	h := keep(t, s, storetest.Hold(1, body), body)
	r, err := s.Body(t.Context(), h.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	chunks := len(keysOf(t, c, "*}:b:*:*"))
	wrong := storetest.Hold(2, body+"x")
	if _, err := s.Put(t.Context(), wrong, strings.NewReader(body)); !errors.Is(err, quarantine.ErrCorrupt) {
		t.Errorf("a large body that does not hash: %v", err)
	}
	if now := len(keysOf(t, c, "*}:b:*:*")); now != chunks {
		t.Errorf("%d chunks are left of it", now-chunks)
	}
	for _, key := range keysOf(t, c, "*") {
		if ttl := c.Client().TTL(t.Context(), key).Val(); ttl >= 0 {
			t.Errorf("%s expires in %v", key, ttl)
		}
	}
	again := other(h, 1)
	if _, err := s.Put(t.Context(), again, strings.NewReader(body)); err != nil {
		t.Errorf("the same large body for another recipient: %v", err)
	}
	if now := len(keysOf(t, c, "*}:b:*:*")); now != chunks {
		t.Errorf("it is stored twice: %d more chunks", now-chunks)
	}
}

// A class over its cap is full, the other is not, and nothing is pushed out.
func TestCaps(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := holds.New(holds.Options{Conn: c, Ring: redistest.Ring(t), Caps: holds.Caps{Holds: 3000, Evidence: 1500}})
	random := func() string {
		b := make([]byte, 500)
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	fill := func(from int, class quarantine.Class) (n int) {
		for ; n < 20; n++ {
			body := random()
			h := storetest.Hold(from+n, body)
			h.Class = class
			_, err := s.Put(t.Context(), h, strings.NewReader(body))
			if errors.Is(err, quarantine.ErrFull) {
				return n
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	if n := fill(0, quarantine.ByVerdict); n != 5 {
		t.Errorf("%d holds of 500 bytes fit into 3000", n)
	}
	if n := fill(100, quarantine.Evidence); n != 2 {
		t.Errorf("%d copies of 500 bytes fit into 1500", n)
	}
	if n := fill(200, quarantine.RejectedBeside); n != 0 {
		t.Errorf("another class of holds: %d fit", n)
	}
	if st := stats(t, s); st.Bodies != 7 || st.States[quarantine.Provisional] != 7 {
		t.Errorf("%+v", st)
	}
	if left := keysOf(t, c, "*}:[be]:*:*"); len(left) != 7 {
		t.Errorf("%d chunks of 7 bodies", len(left))
	}
	if n, err := s.DropBefore(t.Context(), storetest.Start.Add(time.Hour)); n != 7 || err != nil {
		t.Fatal(n, err)
	}
	if n := fill(300, quarantine.ByVerdict); n != 5 {
		t.Errorf("after all were dropped %d fit", n)
	}
}

// Two processes on one server release the same holds: each is released by one.
func TestTwoClients(t *testing.T) {
	server := redistest.Server(t)
	c := redistest.Empty(t, server)
	stores := []*holds.Store{on(t, c), on(t, redistest.Connect(t, conn.Options{Addrs: []string{server.Addr}, User: redistest.User, Password: "test-secret"}))}
	const many, each = 20, 3
	var held []quarantine.Hold
	for n := range many {
		held = append(held, keep(t, stores[0], storetest.Hold(n, "x"), "x"))
	}
	won := make([]sync.Map, many)
	var wg sync.WaitGroup
	for w := range 2 * each {
		wg.Go(func() {
			for i := range many {
				n := (i + 3*w) % many
				h := held[n]
				h.State, h.Release = quarantine.Releasing, &quarantine.Release{By: "me", At: storetest.Start, Trying: true}
				switch got, err := stores[w%2].Change(t.Context(), h); {
				case err == nil:
					won[n].Store(w, got.Version)
				case !errors.Is(err, quarantine.ErrConflict):
					t.Errorf("hold %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	for n := range won {
		winners := 0
		won[n].Range(func(any, any) bool { winners++; return true })
		h, err := stores[n%2].Get(t.Context(), held[n].ID)
		if err != nil || winners != 1 || h.State != quarantine.Releasing || h.Version != held[n].Version+1 {
			t.Errorf("hold %d was released %d times, is %s in version %d, %v", n, winners, h.State, h.Version, err)
		}
	}
	retry, err := stores[1].Retry(t.Context(), storetest.Start, many)
	if listed := ids(t, stores[0], quarantine.Query{}); err != nil || len(retry) != many || len(listed) != many {
		t.Errorf("%d are tried again, %d listed, %v", len(retry), len(listed), err)
	}
}

// Two processes that put the same key at once lose none, and the key answers.
func TestSameKeyAtOnce(t *testing.T) {
	server := redistest.Server(t)
	c := redistest.Empty(t, server)
	stores := []*holds.Store{on(t, c), on(t, c)}
	for n := range 10 {
		var wg sync.WaitGroup
		got := make([]quarantine.Hold, 2)
		for i, s := range stores {
			wg.Go(func() {
				h := storetest.Hold(2*n+i, "x")
				h.Key = fmt.Sprint("same", n)
				kept, err := s.Put(t.Context(), h, strings.NewReader("x"))
				if err == nil {
					err = s.Confirm(t.Context(), []string{kept.ID})
				}
				if err != nil {
					t.Error(err)
				}
				got[i] = kept
			})
		}
		wg.Wait()
		for i, h := range got {
			if b, err := readAll(t, stores[1-i], h.ID); b != "x" || err != nil {
				t.Errorf("%s: %q, %v", h.ID, b, err)
			}
		}
		if h, ok, err := stores[0].FindKey(t.Context(), fmt.Sprint("same", n), storetest.Start); !ok || err != nil || h.ID != got[0].ID && h.ID != got[1].ID {
			t.Errorf("FindKey: %s, %v, %v", h.ID, ok, err)
		}
	}
}
