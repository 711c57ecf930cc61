package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/nodes"
	"postern/internal/store/redis/redistest"
)

// clock is a time that moves only when told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Unix(1_800_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var start = time.Date(2026, 11, 22, 8, 0, 0, 123456789, time.UTC)

// node is a registry whose clock is the test's.
func node(t *testing.T, c *conn.Conn, at *clock, info nodes.Info) *nodes.Registry {
	t.Helper()
	if info.Started.IsZero() {
		info.Started = start
	}
	return nodes.New(nodes.Options{Conn: c, Now: at.now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Self: func() nodes.Info { return info }})
}

func list(t *testing.T, r *nodes.Registry) (names []string) {
	t.Helper()
	all, err := r.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

// stores are a real server, which looks after our rights, and miniredis.
func stores(t *testing.T, f func(t *testing.T, c *conn.Conn)) {
	s := redistest.Server(t)
	t.Run("redis", func(t *testing.T) {
		f(t, redistest.Empty(t, s))
		admin := s.Client()
		defer admin.Close()
		if log, err := admin.Do(t.Context(), "acl", "log").Slice(); err != nil || len(log) != 0 {
			t.Error("beyond the rights of our user: ", log, err)
		}
	})
	t.Run("mini", func(t *testing.T) { f(t, redistest.Mini(t)) })
}

func TestList(t *testing.T) {
	stores(t, func(t *testing.T, c *conn.Conn) {
		at := newClock()
		a := node(t, c, at, nodes.Info{Name: "a", Version: "1.2", Schema: 2, Rules: "r1", Config: "c1", Addr: "10.0.0.1"})
		b := node(t, c, at, nodes.Info{Name: "b", Version: "1.3"})
		if got := list(t, a); len(got) != 0 {
			t.Error(got)
		}
		b.Beat(t.Context())
		a.Beat(t.Context())
		all, err := b.List(t.Context())
		if err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		got := all[0]
		if age := time.Since(got.At); age > time.Minute || age < -time.Minute {
			t.Error(got.At)
		}
		got.At = time.Time{}
		if want := (nodes.Info{Name: "a", Version: "1.2", Schema: 2, Rules: "r1", Config: "c1", Addr: "10.0.0.1", Started: start}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if p := a.Problems(); len(p) != 0 {
			t.Error(p)
		}
	})
}

// TestWhatAnybodyMayHaveWritten fills the list with what no node writes.
func TestWhatAnybodyMayHaveWritten(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	admin := s.Client()
	defer admin.Close()
	now := time.Now().Unix()
	key := c.Key("{nodes}")
	record := func(name string, at int64) string { return fmt.Sprintf(`%d 1 {"name":%q,"version":"1"}`, at, name) }
	for field, value := range map[string]string{
		"ok": record("ok", now), "edge": record("edge", now-50), "gone": record("gone", now-70), "forgotten": record("forgotten", now-90_000),
		"empty": "", "number": "7", "negative": record("negative", -5), "huge": "99999999999999999999 1 {}", "json": fmt.Sprintf("%d 1 {", now), "other": record("another", now),
		"esc": fmt.Sprintf(`%d 1 {"name":"esc","version":"\u001b[31mred\u009b%s"}`, now, strings.Repeat("x", 500)),
		"new": fmt.Sprintf(`%d 9 {"name":"new","version":"9","schema":9,"unknown":{"a":[1]}}`, now),
	} {
		if err := admin.HSet(t.Context(), key, field, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r := node(t, c, newClock(), nodes.Info{Name: "a"})
	if got := fmt.Sprint(list(t, r)); got != "[edge esc new ok]" {
		t.Error(got)
	}
	all, _ := r.List(t.Context())
	if v := all[1].Version; len(v) > 128 || strings.ContainsAny(v, "\x1b\u009b") || !strings.HasPrefix(v, "[31mred") {
		t.Errorf("%q", v)
	}
	if left := admin.HKeys(t.Context(), key).Val(); len(left) != 5 { // what is gone is kept for a day
		t.Errorf("%q are left", left)
	}
	for i := range 1500 {
		admin.HSet(t.Context(), key, fmt.Sprint(i), record(fmt.Sprint(i), now))
	}
	if n := len(list(t, r)); n != 1000 {
		t.Errorf("%d nodes", n)
	}
	admin.Del(t.Context(), key)
	admin.Set(t.Context(), key, "of another type", 0)
	if all, err := r.List(t.Context()); !errors.Is(err, conn.ErrAway) || all != nil {
		t.Error(all, err)
	}
	r.Beat(t.Context()) // goes on
}

func TestAnswersThatAreNone(t *testing.T) {
	for _, text := range []string{"*0\r\n", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n", "*1\r\n$1\r\nx\r\n", ":5\r\n", "$1\r\nx\r\n", "-OOM full\r\n"} {
		s := redisd.StartScripted(t, func([]string) redisd.Answer { return redisd.Answer{Text: text} })
		r := node(t, redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}}), newClock(), nodes.Info{Name: "a"})
		if all, err := r.List(t.Context()); !errors.Is(err, conn.ErrAway) || len(all) != 0 {
			t.Errorf("%q: %v, %v", text, all, err)
		}
		if _, err := r.Schema(t.Context(), 2, 1); err == nil {
			t.Errorf("%q as a schema", text)
		}
	}
}

func TestTwins(t *testing.T) {
	stores(t, func(t *testing.T, c *conn.Conn) {
		at := newClock()
		one := node(t, c, at, nodes.Info{Name: "a", Addr: "10.0.0.1"})
		two := node(t, c, at, nodes.Info{Name: "a", Addr: "10.0.0.2", Started: start.Add(time.Nanosecond)})
		other := node(t, c, at, nodes.Info{Name: "b", Started: start.Add(time.Second)})
		round := func(all ...*nodes.Registry) {
			for _, r := range all {
				r.Beat(t.Context())
				other.Beat(t.Context())
			}
			at.add(5 * time.Second)
		}
		for range 3 {
			round(one)
		}
		round(one, two) // a restart: both for a while
		round(one, two)
		for range 5 {
			round(two)
		}
		if p := append(one.Problems(), two.Problems()...); len(p) != 0 {
			t.Fatal("a restart is taken for a twin: ", p)
		}
		for range 4 {
			round(two, one)
		}
		for _, c := range []struct {
			r    *nodes.Registry
			want string
		}{{one, "10.0.0.2"}, {two, "10.0.0.1"}} {
			if p := c.r.Problems(); len(p) != 1 || !strings.Contains(p[0].Error(), "another process at "+c.want+", started 2026-11-22 08:00:00, has the name of this node") {
				t.Error(p)
			}
		}
		if p := other.Problems(); len(p) != 0 {
			t.Error(p)
		}
		for range 13 {
			round(one)
		}
		if p := one.Problems(); len(p) != 0 {
			t.Error("it has been alone for a minute: ", p)
		}
	})
}

// TestAlone: whether a name is ours alone is certain only after a while, and not beside a twin.
func TestAlone(t *testing.T) {
	stores(t, func(t *testing.T, c *conn.Conn) {
		at := newClock()
		one, two := node(t, c, at, nodes.Info{Name: "a"}), node(t, c, at, nodes.Info{Name: "a", Started: start.Add(1)})
		want := func(when string, r *nodes.Registry, is bool) {
			t.Helper()
			if r.Alone() != is {
				t.Errorf("%s: alone %v", when, !is)
			}
		}
		beats := func(all ...*nodes.Registry) {
			for range 3 {
				at.add(3 * time.Second)
				for _, r := range all {
					r.Beat(t.Context())
				}
			}
		}
		one.Beat(t.Context())
		want("at the start", one, false)
		beats(one)
		want("after some beats", one, true)
		two.Beat(t.Context())
		beats(one, two)
		want("beside a twin", one, false)
		want("the twin", two, false)
		at.add(2 * nodes.Gone)
		beats(two)
		want("long after the other has gone", two, true)
	})
}

func TestRunBeats(t *testing.T) {
	c := redistest.Mini(t)
	r := node(t, c, newClock(), nodes.Info{Name: "a"})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	for limit := time.After(20 * time.Second); len(list(t, r)) == 0; {
		select {
		case <-limit:
			t.Fatal("no sign of life")
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	wg.Wait()
}

func TestDrift(t *testing.T) {
	for name, c := range map[string]struct {
		list []nodes.Info
		want []string
	}{
		"nobody": {nil, nil},
		"one":    {[]nodes.Info{{Name: "a", Rules: "1"}}, nil},
		"alike":  {[]nodes.Info{{Name: "a", Rules: "1", Version: "v"}, {Name: "b", Rules: "1", Version: "v"}}, nil},
		"rules": {
			[]nodes.Info{{Name: "c", Rules: "2"}, {Name: "a", Rules: "1"}, {Name: "b", Rules: "2"}},
			[]string{"the nodes have different rules: b, c have 2; a has 1"},
		},
		"all": {
			[]nodes.Info{{Name: "a", Version: "1", Rules: "1", Config: "1"}, {Name: "b", Version: "2"}},
			[]string{"the nodes have different versions: a has 1; b has 2", "the nodes have different rules: b has none; a has 1", "the nodes have different configurations: b has none; a has 1"},
		},
	} {
		if got := nodes.Drift(c.list); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	var many []nodes.Info
	for i := range 1000 {
		many = append(many, nodes.Info{Name: fmt.Sprintf("node%03d", i), Rules: fmt.Sprint(i % 3 / 2), Config: fmt.Sprint(i)})
	}
	got := nodes.Drift(many)
	if len(got) != 2 || !strings.HasPrefix(got[0], "the nodes have different rules: node000, node001, ") || !strings.Contains(got[0], " and 657 more have 0; ") {
		t.Errorf("%.300q", got)
	}
	if len(got[1]) > 1000 {
		t.Errorf("%d bytes about a thousand configurations", len(got[1]))
	}
}

func TestOnACluster(t *testing.T) {
	options, cluster := redistest.Cluster(t)
	c := redistest.Connect(t, options)
	at := newClock()
	a, b := node(t, c, at, nodes.Info{Name: "a", Schema: 2}), node(t, redistest.Connect(t, options), at, nodes.Info{Name: "b", Schema: 2})
	for _, r := range []*nodes.Registry{a, b} {
		if v, err := r.Schema(t.Context(), 2, 1); err != nil || v != 2 {
			t.Fatal(v, err)
		}
	}
	if got := fmt.Sprint(list(t, a)); got != "[a b]" {
		t.Error(got)
	}
	cluster.Fail(t, cluster.Master(t, c.Key("{nodes}")))
	for limit := time.After(30 * time.Second); ; {
		a.Beat(t.Context())
		b.Beat(t.Context())
		if all, err := a.List(t.Context()); err == nil && len(all) == 2 {
			break
		}
		select {
		case <-limit:
			t.Fatal("no list after the failover")
		case <-time.After(20 * time.Millisecond):
		}
	}
	if a.Write() != 2 || len(a.Problems()) != 0 {
		t.Error(a.Write(), a.Problems())
	}
}
