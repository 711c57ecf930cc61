package history_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	"postern/filter/history"
	"postern/internal/store/redis/conn"
	room "postern/internal/store/redis/history"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/historytest"
)

const day = 24 * time.Hour

func noon() time.Time { return time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC) }

func key(n int) (k history.Key) {
	binary.BigEndian.PutUint64(k[8:], uint64(n))
	return k
}

func name(n int) string { k := key(n); return "postern:hi:" + hex.EncodeToString(k[:]) }

func good(n int, at time.Time) history.Mark {
	return history.Mark{Key: key(n), At: at, Keep: 90 * day}
}

// patient asks again when a loaded machine is slower than a lookup may be.
type patient struct{ *room.Store }

func (p patient) Past(ctx context.Context, q []history.Question, now time.Time) ([]history.Past, error) {
	return redistest.Again(func() ([]history.Past, error) { return p.Store.Past(ctx, q, now) })
}

func open(t testing.TB, c *conn.Conn, keys int) *room.Store {
	t.Helper()
	s := room.New(c, room.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: noon, NewKeys: keys})
	t.Cleanup(func() { s.Close() })
	return s
}

func mark(t testing.TB, s *room.Store, marks ...history.Mark) {
	t.Helper()
	if err := s.Mark(t.Context(), marks); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func ask(t testing.TB, s *room.Store, now time.Time, all ...int) ([]history.Past, error) {
	t.Helper()
	var q []history.Question
	for _, n := range all {
		q = append(q, history.Question{Key: key(n), Since: now.Add(-90 * day)})
	}
	return s.Past(t.Context(), q, now)
}

func past(t testing.TB, s *room.Store, now time.Time, n int) history.Past {
	t.Helper()
	got, err := redistest.Again(func() ([]history.Past, error) { return ask(t, s, now, n) })
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func TestConformance(t *testing.T) {
	t.Run("redis-server", func(t *testing.T) {
		s := redistest.Server(t)
		historytest.Answers(t, func(t testing.TB) historytest.Store { return patient{open(t, redistest.Empty(t, s), 0)} })
	})
	t.Run("miniredis", func(t *testing.T) {
		historytest.Answers(t, func(t testing.TB) historytest.Store { return patient{open(t, redistest.Mini(t), 0)} })
	})
	t.Run("cluster", func(t *testing.T) {
		o, _ := redistest.Cluster(t)
		historytest.Answers(t, func(t testing.TB) historytest.Store {
			return patient{open(t, redistest.Connect(t, o), 0)}
		})
	})
}

// Two nodes mark one key: nothing is lost between them.
func TestNodesAddUp(t *testing.T) {
	s := redistest.Server(t)
	a, b := open(t, redistest.Empty(t, s), 0), open(t, redistest.Empty(t, s), 0)
	var wg sync.WaitGroup
	for _, node := range []*room.Store{a, b} {
		wg.Go(func() {
			for i := range 50 {
				m := good(1, noon().Add(-time.Duration(i%3)*day))
				if err := node.Mark(t.Context(), []history.Mark{m}); err != nil {
					t.Error(err)
				}
				if i%5 == 0 {
					if err := node.Sync(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
			if err := node.Sync(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, node := range []*room.Store{a, b} {
		if got := past(t, node, noon(), 1); got != (history.Past{Good: 100, Days: 3}) {
			t.Errorf("%+v", got)
		}
	}
}

// A message costs one round trip however much it asks; marks cost none.
func TestRoundTrips(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := open(t, c, 0)
	mark(t, s, good(1, noon()))
	n, err := redistest.Again(func() (int64, error) {
		before := c.Trips()
		_, err := ask(t, s, noon(), 1, 2, 3, 4, 5, 1)
		return c.Trips() - before, err
	})
	if n != 1 || err != nil {
		t.Errorf("%d round trips for six questions, %v", n, err)
	}
	before := c.Trips()
	for i := range 100 {
		if err := s.Mark(t.Context(), []history.Mark{good(i%7, noon())}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.Trips() - before; n > 4 {
		t.Errorf("%d round trips for the marks of 100 messages", n)
	}
}

// The server forgets a day after the last mark is of use; a shorter mark shortens nothing,
// and no clock of a node comes into it.
func TestKeysEndByTheClockOfTheServer(t *testing.T) {
	m := miniredis.RunT(t)
	s := open(t, redistest.Connect(t, conn.Options{Addrs: []string{m.Addr()}}), 0)
	short := history.Mark{Key: key(2), At: noon(), Keep: 2 * day}
	mark(t, s, good(1, noon()), short, history.Mark{Key: key(3), At: noon().Add(3650 * day), Keep: 1 << 62}, history.Mark{Key: key(4), Keep: -day})
	mark(t, s, history.Mark{Key: key(1), At: noon(), Keep: 2 * day})
	for n, want := range map[int]time.Duration{1: 91 * day, 2: 3 * day, 3: 731 * day, 4: day + time.Hour} {
		if got := m.TTL(name(n)); got != want {
			t.Errorf("key %d is kept for %s, want %s", n, got, want)
		}
	}
	m.FastForward(2 * day)
	mark(t, s, short)
	m.FastForward(2 * day)
	if got := past(t, s, noon(), 2); got.Good != 2 {
		t.Errorf("renewed: %+v", got)
	}
	m.FastForward(day)
	if got := past(t, s, noon(), 2); got != (history.Past{}) {
		t.Errorf("after its end: %+v", got)
	}
	if n, err := s.Prune(t.Context(), noon().Add(3650*day)); n != 0 || err != nil || past(t, s, noon(), 1).Good != 2 {
		t.Error("a node whose clock jumped forgets something:", n, err)
	}
}

// A key keeps its 92 latest days, at 4 octets each.
func TestDaysAreBounded(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	st := open(t, c, 0)
	var all []history.Mark
	for i := range 120 {
		all = append(all, good(1, noon().Add(-time.Duration(i)*day)))
	}
	mark(t, st, all...)
	got, err := st.Past(t.Context(), []history.Question{{Key: key(1), Since: noon().Add(-400 * day)}}, noon())
	if err != nil || got[0] != (history.Past{Good: 92, Days: 92}) {
		t.Error(got, err)
	}
	if n, err := c.Client().StrLen(t.Context(), name(1)).Result(); n != 5+4*92 || err != nil {
		t.Errorf("%d octets, %v", n, err)
	}
	for _, days := range []int{1, 10, 92} {
		k := 1000 + days
		var some []history.Mark
		for i := range days {
			some = append(some, good(k, noon().Add(-time.Duration(i)*day)))
		}
		mark(t, st, some...)
		n, err := c.Client().MemoryUsage(t.Context(), name(k)).Result()
		if err != nil || n > 140+int64(4*days) {
			t.Errorf("a key of %d days takes %d octets, %v", days, n, err)
		}
		t.Logf("a key of %d days takes %d octets", days, n)
	}
}

// Ever new names do not fill the store: the nodes together make so many keys a day.
func TestNewKeysAreBounded(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	nodes := []*room.Store{open(t, c, 40), open(t, redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: "test-secret"}), 40)}
	for i := range 200 {
		mark(t, nodes[i%2], good(i, noon()))
	}
	n := 0
	for i := range 200 {
		n += past(t, nodes[0], noon(), i).Good
	}
	if n < 40 || n > 44 {
		t.Errorf("%d keys were made, want about 40", n)
	}
	mark(t, nodes[1], good(0, noon()))
	if got := past(t, nodes[0], noon(), 0); got.Good != 2 {
		t.Errorf("a key that is there takes no more marks: %+v", got)
	}
	if nodes[0].Dropped()+nodes[1].Dropped() != uint64(200-n) {
		t.Errorf("%d and %d dropped of 200, %d kept", nodes[0].Dropped(), nodes[1].Dropped(), n)
	}
}

// What is no value of ours is nothing, what is another key's is an error; a mark writes over
// both.
func TestWhatIsNotOurs(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := open(t, c, 0)
	mark(t, s, good(1, noon()), good(2, noon()))
	r := c.Client()
	value, err := r.Get(t.Context(), name(1)).Result()
	if err != nil {
		t.Fatal(err)
	}
	for what, v := range map[string]string{"empty": "", "short": value[:3], "torn": value[:len(value)-1], "newer": "\x02" + value[1:], "words": strings.Repeat("x", 4000)} {
		if err := r.Set(t.Context(), name(2), v, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]history.Past{{}, {Good: 1, Days: 1}}, must(ask(t, s, noon(), 2, 1))); d != "" {
			t.Errorf("%s:\n%s", what, d)
		}
		mark(t, s, good(2, noon()))
		if got := past(t, s, noon(), 2); got.Good != 1 {
			t.Errorf("%s, marked: %+v", what, got)
		}
	}
	if err := r.Set(t.Context(), name(2), value, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t, s, noon(), 2); err == nil {
		t.Errorf("the history of another key: %+v", got)
	}
	if err := errors.Join(r.Del(t.Context(), name(2)).Err(), r.HSet(t.Context(), name(2), "a", "b").Err()); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t, s, noon(), 1, 2); err == nil {
		t.Errorf("a hash: %+v", got)
	}
	mark(t, s, good(2, noon()))
	if d := cmp.Diff([]history.Past{{Good: 1, Days: 1}, {Good: 1, Days: 1}}, must(ask(t, s, noon(), 1, 2))); d != "" {
		t.Error(d)
	}
}

func must(p []history.Past, err error) []history.Past {
	if err != nil {
		return nil
	}
	return p
}

// F6: with the store gone questions are answered by an error, marks are counted as lost and
// that is said once; when it is back all goes on.
func TestF6StoreAway(t *testing.T) {
	srv := redistest.Server(t)
	c := redistest.Empty(t, srv)
	var log bytes.Buffer
	s := room.New(c, room.Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: noon})
	defer s.Close()
	mark(t, s, good(1, noon()))
	srv.Kill()
	for range 20 {
		if got, err := ask(t, s, noon(), 1); !errors.Is(err, conn.ErrAway) {
			t.Fatal(got, err)
		}
		mark(t, s, good(1, noon()))
	}
	if s.Dropped() != 20 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("%d dropped, log:\n%s", s.Dropped(), &log)
	}
	srv.Run(t)
	for end := time.Now().Add(20 * time.Second); ; {
		if _, err := ask(t, s, noon(), 1); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for end := time.Now().Add(20 * time.Second); past(t, s, noon(), 1).Good < 2; {
		mark(t, s, good(1, noon()))
		if time.Now().After(end) {
			t.Fatal("no mark is taken any more")
		}
	}
}

// F7: a silent store costs a lookup its 50 ms, and soon nothing.
func TestF7StoreHangs(t *testing.T) {
	srv := redistest.Server(t)
	c := redistest.Empty(t, srv)
	s := open(t, c, 0)
	mark(t, s, good(1, noon()))
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	before := c.Trips()
	for range 50 {
		if _, err := ask(t, s, noon(), 1); !errors.Is(err, conn.ErrAway) {
			t.Fatal(err)
		}
	}
	if n := c.Trips() - before; n > 20 {
		t.Errorf("%d of 50 lookups waited", n)
	}
	if err := srv.Continue(); err != nil {
		t.Fatal(err)
	}
}

// F8: a full store takes no marks and goes on answering.
func TestF8StoreFull(t *testing.T) {
	srv := redistest.Server(t)
	c := redistest.Empty(t, srv)
	s := open(t, c, 0)
	mark(t, s, good(1, noon()))
	admin := srv.Client()
	defer admin.Close()
	if err := admin.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	mark(t, s, good(1, noon()))
	if got := past(t, s, noon(), 1); got.Good != 1 || s.Dropped() != 1 {
		t.Errorf("%+v, %d dropped", got, s.Dropped())
	}
}

// A closed store has written what waited, and says that it takes no more.
func TestClose(t *testing.T) {
	c := redistest.Mini(t)
	s := room.New(c, room.Options{Log: slog.New(slog.DiscardHandler), Now: noon})
	if err := s.Mark(t.Context(), []history.Mark{good(1, noon())}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close(), s.Sync(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := s.Mark(t.Context(), []history.Mark{good(1, noon())}); err == nil {
		t.Error("a closed store takes marks")
	}
	if got := past(t, open(t, c, 0), noon(), 1); got.Good != 1 {
		t.Errorf("%+v", got)
	}
}

// More messages than may wait are dropped and counted; nobody waits.
func TestMarksAreBounded(t *testing.T) {
	srv := redistest.Server(t)
	s := open(t, redistest.Empty(t, srv), 0)
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	for i := range 12_000 {
		if err := s.Mark(t.Context(), []history.Mark{good(i, noon())}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Dropped(); n < 1000 || n > 12_000 {
		t.Errorf("%d dropped", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	srv.Kill()
}
