package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/sealed"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// lines counts what is said.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func entityOf(c *conn.Conn, id string) string { return c.Key("{o:"+id+"}", "e") }

// add adds entry n with a body of its own and returns its ID.
func add(t testing.TB, s relayoutbox.Store, n int) string {
	t.Helper()
	body := "body " + strings.Repeat("x", n)
	id, err := s.Add(t.Context(), storetest.Entry(n, body), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestForgedEntriesAreNotSent(t *testing.T) {
	server := redistest.Server(t)
	ring := redistest.Ring(t)
	other, err := sealed.New([]byte("the key of somebody else"))
	if err != nil {
		t.Fatal(err)
	}
	now := storetest.Start.Add(time.Hour)
	for name, forge := range map[string]func(r redis.UniversalClient, key string, fields map[string]string){
		"the record": func(r redis.UniversalClient, key string, f map[string]string) {
			r.HSet(t.Context(), key, "r", strings.Replace(f["r"], "example.org", "example.net", 1))
		},
		"the state": func(r redis.UniversalClient, key string, f map[string]string) {
			r.HSet(t.Context(), key, "s", strings.Replace(f["s"], "example.com", "example.net", 1))
		},
		"the state of another": func(r redis.UniversalClient, key string, _ map[string]string) {
			r.HSet(t.Context(), key, "s", r.HGet(t.Context(), strings.Replace(key, storetest.Entry(0, "").ID, storetest.Entry(1, "").ID, 1), "s").Val())
		},
		"all of another": func(r redis.UniversalClient, key string, _ map[string]string) {
			r.HSet(t.Context(), key, r.HGetAll(t.Context(), strings.Replace(key, storetest.Entry(0, "").ID, storetest.Entry(1, "").ID, 1)).Val())
		},
		"no record":  func(r redis.UniversalClient, key string, _ map[string]string) { r.HDel(t.Context(), key, "r") },
		"no state":   func(r redis.UniversalClient, key string, _ map[string]string) { r.HDel(t.Context(), key, "s") },
		"no version": func(r redis.UniversalClient, key string, _ map[string]string) { r.HDel(t.Context(), key, "v") },
		"a version that is none": func(r redis.UniversalClient, key string, _ map[string]string) {
			r.HSet(t.Context(), key, "v", "1x")
		},
		"an older version": func(r redis.UniversalClient, key string, _ map[string]string) { r.HSet(t.Context(), key, "v", "0") },
		"a lease that is none": func(r redis.UniversalClient, key string, _ map[string]string) {
			r.HSet(t.Context(), key, "l", "")
		},
		"another key": func(r redis.UniversalClient, key string, f map[string]string) {
			text, err := ring.Open("outbox", storetest.Entry(0, "").ID, []byte(f["r"]))
			if err != nil {
				t.Fatal(err)
			}
			r.HSet(t.Context(), key, "r", other.Seal("outbox", storetest.Entry(0, "").ID, text))
		},
		"a format to come": func(r redis.UniversalClient, key string, _ map[string]string) {
			r.HSet(t.Context(), key, "s", ring.Seal("outbox state", storetest.Entry(0, "").ID, []byte("3{}")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := redistest.Empty(t, server)
			log := &lines{}
			o := options(t, c)
			o.Log = slog.New(slog.NewTextHandler(log, nil))
			s := outbox.New(o)
			id, good := add(t, s, 0), add(t, s, 1)
			key := entityOf(c, id)
			forge(c.Client(), key, c.Client().HGetAll(t.Context(), key).Val())

			e, _, ok, err := s.Claim(t.Context(), now, time.Minute)
			if err != nil || !ok || e.ID != good {
				t.Fatalf("claimed %q, %v, %v", e.ID, ok, err)
			}
			for range 3 {
				if e, _, ok, err := s.Claim(t.Context(), now, time.Minute); ok || err != nil {
					t.Fatalf("claimed %q, %v", e.ID, err)
				}
			}
			_, _, err = s.ClaimID(t.Context(), id, now, time.Minute)
			storetest.WantErr(t, "ClaimID", err, relayoutbox.ErrNotFound)
			_, err = s.Get(t.Context(), id)
			storetest.WantErr(t, "Get", err, relayoutbox.ErrNotFound)
			_, err = s.Body(t.Context(), id)
			storetest.WantErr(t, "Body", err, relayoutbox.ErrNotFound)
			if list, err := s.List(t.Context(), "", 9); err != nil || len(list) != 1 || list[0].ID != good {
				t.Errorf("list: %d, %v", len(list), err)
			}
			if look, err := s.Look(t.Context(), []string{good, id, "none", "{", ""}); err != nil || len(look) != 5 || look[0].ID != good || look[1].ID != "" || look[2].ID != "" {
				t.Errorf("look: %v, %v", look, err)
			}
			if next, ok, err := s.Due(t.Context()); !ok || err != nil || !next.Equal(now.Add(time.Minute)) {
				t.Errorf("due: %v, %v, %v", next, ok, err)
			}
			if n, err := s.Count(t.Context()); n != 2 || err != nil {
				t.Errorf("it does not stay for a person: %d, %v", n, err)
			}
			if n := log.count("does not verify"); n != 1 {
				t.Errorf("said %d times: %s", n, log.buf.String())
			}
			repaired(t, s, id, good)
		})
	}
}

// repaired pushes the entry anew: what does not verify is no obstacle.
func repaired(t *testing.T, s *outbox.Store, id, good string) {
	t.Helper()
	e := storetest.Entry(0, "body ")
	e.Version = 1
	if err := s.Push(t.Context(), e, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("body ")), nil }); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Reindex(t.Context()); n != 2 || err != nil {
		t.Errorf("reindex: %d, %v", n, err)
	}
	got, crashed, ok, err := s.Claim(t.Context(), storetest.Start.Add(time.Hour), time.Minute)
	if err != nil || !ok || crashed || got.ID != id || got.ID == good {
		t.Errorf("claimed %q crashed %v, %v, %v", got.ID, crashed, ok, err)
	}
}

func TestManyForgedEntriesAreNotALineEach(t *testing.T) {
	c := redistest.Mini(t)
	log := &lines{}
	o := options(t, c)
	o.Log, o.Now = slog.New(slog.NewTextHandler(log, nil)), func() time.Time { return storetest.Start }
	s := outbox.New(o)
	for n := range 100 {
		c.Client().HSet(t.Context(), entityOf(c, add(t, s, n)), "r", "forged")
	}
	good := add(t, s, 100)
	e, _, ok, err := s.Claim(t.Context(), storetest.Start.Add(24*time.Hour), time.Minute)
	if err != nil || !ok || e.ID != good {
		t.Errorf("claimed %q, %v, %v", e.ID, ok, err)
	}
	if n := log.count("does not verify"); n < 1 || n > 20 {
		t.Errorf("said %d times", n)
	}
}

// counting is a courier that counts what it was given to send, by entry.
type counting struct {
	mu    sync.Mutex
	sends map[string][]relayoutbox.Entry
	send  func(e relayoutbox.Entry, try int) relayoutbox.Result
}

func TestDamagedBodyIsNotSent(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := outbox.New(options(t, c))
	id := add(t, s, 0)
	keys, _, err := c.Client().Scan(t.Context(), 0, c.Key("{o:"+id+"}:b:*"), 1000).Result()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	for name, harm := range map[string]func(){
		"changed": func() { c.Client().Set(t.Context(), keys[0], "x", 0) },
		"gone":    func() { c.Client().Del(t.Context(), keys[0]) },
	} {
		harm()
		_, err := s.Body(t.Context(), id)
		storetest.WantErr(t, name, err, quarantine.ErrCorrupt)
	}
	courier, alerts := &counting{}, 0
	ctx, cancel := context.WithCancel(t.Context())
	w := &relayoutbox.Worker{Store: s, Courier: courier, Now: late, Alert: func(context.Context, string, string) {
		alerts++
		cancel()
	}}
	w.Run(ctx)
	if e, err := s.Get(t.Context(), id); len(courier.sends) != 0 || alerts != 1 || err != nil || len(e.To) != 1 || e.Attempts != 1 {
		t.Errorf("%d sends, %d alerts, %+v, %v", len(courier.sends), alerts, e, err)
	}
}

func TestStoreAway(t *testing.T) {
	server := redistest.Server(t)
	s := outbox.New(options(t, redistest.Empty(t, server)))
	id := add(t, s, 0)
	e, _, ok, err := s.Claim(t.Context(), storetest.Start, time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	server.Kill()
	ctx := t.Context()
	for name, f := range map[string]func() error{
		"add":     func() error { _, err := s.Add(ctx, storetest.Entry(1, "x"), strings.NewReader("x")); return err },
		"claim":   func() error { _, _, _, err := s.Claim(ctx, storetest.Start, time.Minute); return err },
		"claimID": func() error { _, _, err := s.ClaimID(ctx, id, storetest.Start, time.Minute); return err },
		"retry":   func() error { return s.Retry(ctx, e) },
		"end":     func() error { return s.End(ctx, e) },
		"body":    func() error { _, err := s.Body(ctx, id); return err },
		"get":     func() error { _, err := s.Get(ctx, id); return err },
		"list":    func() error { _, err := s.List(ctx, "", 1); return err },
		"hurry":   func() error { return s.Hurry(ctx, id, storetest.Start) },
		"due":     func() error { _, _, err := s.Due(ctx); return err },
		"count":   func() error { _, err := s.Count(ctx); return err },
		"look":    func() error { _, err := s.Look(ctx, []string{id}); return err },
		"push":    func() error { e.Version = 99; return s.Push(ctx, e, nil) },
		"void":    func() error { _, err := s.Void(ctx, "a"); return err },
		"reindex": func() error { _, err := s.Reindex(ctx); return err },
	} {
		if err := f(); !errors.Is(err, conn.ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
