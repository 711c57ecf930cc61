package outbox_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
)

// cut ends the way to the store before, or after, the call of a number; later ones fail too.
type cut struct {
	calls, at atomic.Int64
	after     bool
}

var errCut = errors.New("the connection was cut")

func (c *cut) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *cut) call(f func() error) error {
	n := c.calls.Add(1)
	if n < c.at.Load() {
		return f()
	}
	if c.after && n == c.at.Load() {
		_ = f()
	}
	return errCut
}

func (c *cut) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := c.call(func() error { return next(ctx, cmd) })
		if errors.Is(err, errCut) {
			cmd.SetErr(err)
		}
		return err
	}
}

func (c *cut) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return c.call(func() error { return next(ctx, cmds) })
	}
}

// TestNodeDiesWhileItWrites ends a node at every step of Add, of a claim and of its end. What was
// promised is there, and what is there is whole.
func TestNodeDiesWhileItWrites(t *testing.T) {
	server := redistest.Server(t)
	body := make([]byte, 1<<20)
	_, _ = rand.Read(body)
	for _, after := range []bool{false, true} {
		for at := range 16 {
			c := redistest.Empty(t, server)
			hook := &cut{after: after}
			hook.at.Store(int64(at) + 1)
			dying, alive := redistest.Empty(t, server), outbox.New(options(t, c))
			dying.Client().AddHook(hook)
			s, ctx := outbox.New(options(t, dying)), t.Context()
			e := storetest.Entry(0, string(body))
			name := fmt.Sprintf("call %d, after it %v", at, after)
			_, added := s.Add(ctx, e, bytes.NewReader(body))
			claimed, _, ok, err := s.Claim(ctx, e.Next, time.Hour)
			ended := errCut
			if ok && err == nil {
				ended = s.End(ctx, claimed)
			}
			whole(t, name, alive, e, added, ended, body)
		}
	}
}

// whole checks what another node finds of an entry.
func whole(t *testing.T, name string, s *outbox.Store, e relayoutbox.Entry, added, ended error, body []byte) {
	t.Helper()
	ctx := t.Context()
	if _, err := s.Reindex(ctx); err != nil {
		t.Fatal(name, err)
	}
	if _, err := s.Void(ctx, "a"); err != nil {
		t.Fatal(name, err)
	}
	got, _, ok, err := s.Claim(ctx, e.Next, time.Hour)
	switch {
	case err != nil:
		t.Fatal(name, err)
	case !ok && added == nil && ended != nil && !wasEnded(t, s, e.ID):
		t.Errorf("%s: what was promised is not there", name)
	case ok && ended == nil:
		t.Errorf("%s: what has ended is there", name)
	}
	if ok {
		b, err := s.Body(ctx, got.ID)
		if err != nil {
			t.Fatal(name, err)
		}
		defer b.Close()
		text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil || !bytes.Equal(text, body) {
			t.Errorf("%s: a body of %d bytes, %v", name, len(text), err)
		}
		return
	}
	keys, _, err := s.Conn.Client().Scan(ctx, 0, s.Conn.Key("{o:*"), 1000).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if ttl := s.Conn.Client().TTL(ctx, key).Val(); ttl <= 0 {
			t.Errorf("%s: %s stays for ever", name, key)
		}
	}
	if n, size, err := s.Estimate(ctx); n != 0 || size != 0 || err != nil {
		t.Errorf("%s: %d entries of %d bytes, %v", name, n, size, err)
	}
}

// wasEnded says that the script that ended the entry ran, though its answer was lost.
func wasEnded(t *testing.T, s *outbox.Store, id string) bool {
	t.Helper()
	return s.Conn.Client().HExists(t.Context(), entityOf(s.Conn, id), "x").Val()
}

// TestStoreFull reaches the memory limit of the server: nothing more is taken, and what is there
// can still end.
func TestStoreFull(t *testing.T) {
	server := redistest.Server(t)
	s, ctx := outbox.New(options(t, redistest.Empty(t, server))), t.Context()
	add(t, s, 0)
	add(t, s, 1)
	e, _, ok, err := s.Claim(ctx, late(), time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	admin := server.Client()
	defer admin.Close()
	limit := func(bytes string) {
		t.Helper()
		if err := admin.ConfigSet(ctx, "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	limit("1")
	if _, err := s.Add(ctx, storetest.Entry(2, "x"), strings.NewReader("x")); !errors.Is(err, conn.ErrAway) {
		t.Errorf("Add: %v", err)
	}
	if err := s.End(ctx, e); err != nil {
		t.Errorf("End: %v", err)
	}
	if list, err := s.List(ctx, "", 9); err != nil || len(list) != 1 {
		t.Errorf("List: %d, %v", len(list), err)
	}
	limit("0")
	if n, size, err := s.Estimate(ctx); n != 1 || size == 0 || err != nil {
		t.Errorf("%d entries of %d bytes, %v", n, size, err)
	}
	add(t, s, 2)
}

// TestNobodyFights counts the round trips of three nodes that claim at once.
func TestNobodyFights(t *testing.T) {
	const entries = 60
	server := redistest.Server(t)
	redistest.Empty(t, server)
	o := conn.Options{Addrs: []string{server.Addr}, User: redistest.User, Password: redisd.Password}
	first := node(t, "a", o)
	for n := range entries {
		add(t, first, n)
	}
	before := first.Conn.Trips()
	stores := []*outbox.Store{first, node(t, "b", o), node(t, "c", o)}
	claimed := make(chan string, entries+3)
	done := make(chan error, len(stores))
	for _, s := range stores {
		go func() {
			for {
				e, _, ok, err := s.Claim(t.Context(), late(), time.Hour)
				if err != nil || !ok {
					done <- err
					return
				}
				claimed <- e.ID
			}
		}()
	}
	for range stores {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	close(claimed)
	seen := map[string]bool{}
	for id := range claimed {
		if seen[id] {
			t.Errorf("%s was claimed twice", id)
		}
		seen[id] = true
	}
	trips := -before
	for _, s := range stores {
		trips += s.Conn.Trips()
	}
	if len(seen) != entries || trips > 10*entries {
		t.Errorf("%d of %d claimed in %d round trips", len(seen), entries, trips)
	}
	t.Logf("%.1f round trips a claim", float64(trips)/entries)
}
