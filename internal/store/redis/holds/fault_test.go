package holds_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// cut is a hook that ends the connection at one round trip: before anything was sent, or after
// all was done and before the answer.
type cut struct {
	mu    sync.Mutex
	at    int // the trip, counted from 1; 0 never
	after bool
	n     int
}

var errCut = errors.New("the connection died")

// arm cuts trip number at, counted from now.
func (c *cut) arm(at int, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.after, c.n = at, after, 0
}

// trip reports whether this one is cut.
func (c *cut) trip() (before, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	hit := c.at == c.n
	return hit && !c.after, hit && c.after
}

func (c *cut) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *cut) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return c.run([]redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

func (c *cut) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return c.run(cmds, func() error { return next(ctx, cmds) })
	}
}

func (c *cut) run(cmds []redis.Cmder, do func() error) error {
	before, after := c.trip()
	if !before {
		if err := do(); !after {
			return err
		}
	}
	for _, cmd := range cmds {
		cmd.SetErr(errCut)
	}
	return errCut
}

// breakable is a store whose round trips can be cut, and one beside it that is whole.
func breakable(t *testing.T, server *redisd.Server) (s *holds.Store, c *cut, whole *holds.Store, wc *conn.Conn) {
	t.Helper()
	wc = redistest.Empty(t, server)
	broken := redistest.Connect(t, conn.Options{Addrs: []string{server.Addr}, User: redistest.User, Password: redisd.Password})
	c = &cut{}
	if err := broken.Client().Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	broken.Client().AddHook(c)
	return on(t, broken), c, on(t, wc), wc
}

// A hold whose writing was cut anywhere is there whole or not at all: what is left over
// expires, and the next try of the same mail succeeds.
func TestCutPut(t *testing.T) {
	server := redistest.Server(t)
	large := make([]byte, 3<<20)
	if _, err := rand.Read(large); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"small", string(large)} {
		for at := 1; at <= 6; at++ {
			for _, after := range []bool{false, true} {
				s, c, whole, wc := breakable(t, server)
				c.arm(at, after)
				h := storetest.Hold(1, body)
				_, err := s.Put(t.Context(), h, strings.NewReader(body))
				c.arm(0, false)
				if err != nil && !errors.Is(err, conn.ErrAway) {
					t.Errorf("cut at %d: %v", at, err)
				}
				wholeOrNothing(t, wc, whole, h, body, err == nil)
				again := storetest.Hold(2, body)
				again.Key = h.Key
				kept, err := s.Put(t.Context(), again, strings.NewReader(body))
				if err == nil {
					err = s.Confirm(t.Context(), []string{kept.ID})
				}
				if err != nil {
					t.Errorf("cut at %d (%v), the next try: %v", at, after, err)
				}
				if got, err := readAll(t, whole, kept.ID); got != body || err != nil {
					t.Errorf("cut at %d, the next try: %d bytes, %v", at, len(got), err)
				}
			}
		}
	}
}

// wholeOrNothing looks whether a hold is there with its body for good, or neither.
func wholeOrNothing(t *testing.T, c *conn.Conn, s *holds.Store, h quarantine.Hold, body string, must bool) {
	t.Helper()
	_, err := s.Get(t.Context(), h.ID)
	if must && err != nil {
		t.Errorf("an acknowledged hold: %v", err)
	}
	if err == nil {
		if got, err := readAll(t, s, h.ID); got != body || err != nil {
			t.Errorf("a hold without its body: %d bytes, %v", len(got), err)
		}
	}
	for _, key := range keysOf(t, c, "{"+h.MessageID+"}:b:*:*:*") {
		if ttl := c.Client().TTL(t.Context(), key).Val(); (ttl < 0) != (err == nil) {
			t.Errorf("%s lives for %v, the hold: %v", key, ttl, err)
		}
	}
}

// A confirmation that was cut is done or not; asked again, or looked after later, the hold is
// found by all that it is found by.
func TestCutConfirm(t *testing.T) {
	server := redistest.Server(t)
	for at := 1; at <= 2; at++ {
		for _, after := range []bool{false, true} {
			s, c, whole, _ := breakable(t, server)
			h := put(t, s, storetest.Hold(1, "x"), "x")
			c.arm(at, after)
			err := s.Confirm(t.Context(), []string{h.ID})
			c.arm(0, false)
			if got, lookErr := whole.Get(t.Context(), h.ID); lookErr != nil || err == nil && got.State != quarantine.Held {
				t.Errorf("cut at %d: %s after %v, %v", at, got.State, err, lookErr)
			}
			if err := s.Confirm(t.Context(), []string{h.ID}); err != nil {
				t.Errorf("cut at %d, again: %v", at, err)
			}
			if got := ids(t, whole, quarantine.Query{To: "user@example.com", Words: []string{"hello"}}); !slices.Equal(got, []string{h.ID}) {
				t.Errorf("cut at %d: found %v", at, got)
			}
		}
	}
	_, _, whole, c := breakable(t, server)
	h := keep(t, whole, storetest.Hold(1, "x"), "x")
	for _, key := range keysOf(t, c, "ix:*") { // as if the record had gone through and the rest had not
		if !strings.HasSuffix(key, ":prov") {
			c.Client().Del(t.Context(), key)
		}
	}
	later := holds.New(holds.Options{Conn: c, Ring: redistest.Ring(t), Now: func() time.Time { return h.At.Add(2 * time.Minute) }})
	if n, err := later.DropBefore(t.Context(), storetest.Start); n != 0 || err != nil {
		t.Error(n, err)
	}
	if got := ids(t, later, quarantine.Query{From: "@example.org"}); !slices.Equal(got, []string{h.ID}) {
		t.Errorf("not looked after: %v", got)
	}
	if due, err := later.Due(t.Context(), h.Expires, 10); len(due) != 1 || err != nil {
		t.Errorf("Due: %d, %v", len(due), err)
	}
	if n := c.Client().ZCard(t.Context(), c.Key("ix", "prov")).Val(); n != 0 {
		t.Errorf("%d notes are left", n)
	}
}

// A release that was cut is begun or not; begun, it is found again by Retry.
func TestCutChange(t *testing.T) {
	server := redistest.Server(t)
	for _, to := range []quarantine.State{quarantine.Releasing, quarantine.Released} {
		for at := 1; at <= 5; at++ {
			for _, after := range []bool{false, true} {
				s, c, whole, _ := breakable(t, server)
				h := keep(t, s, storetest.Hold(1, "x"), "x")
				h.State = to
				if to.Ended() {
					h.Ended = &quarantine.Ended{At: storetest.Start, By: "me"}
				} else {
					h.Release = &quarantine.Release{By: "me", At: storetest.Start, Next: storetest.Start}
				}
				c.arm(at, after)
				_, err := s.Change(t.Context(), h)
				c.arm(0, false)
				now, lookErr := whole.Get(t.Context(), h.ID)
				if lookErr != nil || err == nil && now.State != to {
					t.Errorf("cut at %d: %s after %v, %v", at, now.State, err, lookErr)
				}
				retry, err := whole.Retry(t.Context(), storetest.Start, 10)
				due, err2 := whole.Due(t.Context(), h.Expires, 10)
				wantRetry, wantDue := 0, 0
				switch now.State {
				case quarantine.Releasing:
					wantRetry = 1
				case quarantine.Held:
					wantDue = 1
				}
				if err := errors.Join(err, err2); err != nil || len(retry) != wantRetry || len(due) != wantDue {
					t.Errorf("%s cut at %d (%v): %s, retry %d, due %d, %v", to, at, after, now.State, len(retry), len(due), err)
				}
				if body, err := readAll(t, whole, h.ID); now.State.Ended() != errors.Is(err, quarantine.ErrNotFound) || !now.State.Ended() && body != "x" {
					t.Errorf("%s cut at %d: %s with body %q, %v", to, at, now.State, body, err)
				}
			}
		}
	}
}

// A server that was killed under load has every hold that was confirmed.
func TestKilled(t *testing.T) {
	server := redistest.Server(t)
	s := empty(t, server)
	var mu sync.Mutex
	acked := map[string]string{}
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for w := range 4 {
		wg.Go(func() {
			for n := w * 1000; n < w*1000+1000 && ctx.Err() == nil; n++ {
				body := fmt.Sprint("body ", n)
				h := storetest.Hold(n, body)
				if _, err := s.Put(ctx, h, strings.NewReader(body)); err != nil {
					return
				}
				if s.Confirm(ctx, []string{h.ID}) == nil {
					mu.Lock()
					acked[h.ID] = body
					mu.Unlock()
				}
			}
		})
	}
	for enough := false; !enough; {
		time.Sleep(time.Millisecond)
		mu.Lock()
		enough = len(acked) >= 100
		mu.Unlock()
	}
	server.Kill()
	stop()
	wg.Wait()
	server.Run(t)
	back := on(t, redistest.Connect(t, conn.Options{Addrs: []string{server.Addr}, User: redistest.User, Password: redisd.Password}))
	for id, body := range acked {
		h, err := back.Get(t.Context(), id)
		if err != nil || h.State != quarantine.Held {
			t.Fatalf("%s: %s, %v", id, h.State, err)
		}
		if got, err := readAll(t, back, id); got != body || err != nil {
			t.Fatalf("%s: %q, %v", id, got, err)
		}
	}
	if listed := stats(t, back).States[quarantine.Held]; listed < len(acked) {
		t.Errorf("%d were acknowledged, %d are listed", len(acked), listed)
	}
}

func TestHoldsCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	o, cluster := redistest.Cluster(t)
	c := redistest.Connect(t, o)
	storetest.Holds(t, func(t testing.TB) quarantine.Store {
		redistest.Flush(t, cluster.Masters(t)...)
		return on(t, c)
	})
	redistest.Flush(t, cluster.Masters(t)...)
	s := on(t, c)
	for n := range 20 {
		keep(t, s, storetest.Hold(n, "x"), "x")
	}
	a, b := put(t, s, storetest.Hold(30, "x"), "x"), put(t, s, storetest.Hold(31, "x"), "x") // two slots
	if err := s.Confirm(t.Context(), []string{a.ID, "none-00", b.ID}); !errors.Is(err, quarantine.ErrNotFound) {
		t.Errorf("Confirm with one missing: %v", err)
	}
	if err := s.Confirm(t.Context(), []string{a.ID, b.ID}); err != nil {
		t.Error(err)
	}
	stats(t, s) // gives up the notes of what was confirmed
	got, err := s.Reindex(t.Context(), nil)
	if err != nil || got.Holds != 22 || got.Entries != 0 || got.Bodies != 22 {
		t.Errorf("Reindex: %+v, %v", got, err)
	}
	if e, err := s.Estimate(t.Context()); err != nil || e.Holds != 22 {
		t.Errorf("Estimate: %+v, %v", e, err)
	}
}
