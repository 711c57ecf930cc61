package limits_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/filter/limit"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/limits"
	"postern/internal/store/redis/redistest"
)

func connect(t testing.TB, s *redisd.Server) *conn.Conn {
	t.Helper()
	return redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password})
}

// windows are three with the same counts.
func windows(number int64, now, old int32) (w limit.Windows) {
	for i := range w {
		w[i] = limit.Window{Number: number, Now: now, Old: old}
	}
	return w
}

func count(name string, number int64, now, old int32) limit.Count {
	return limit.Count{Symbol: limit.RateIP, Name: name, Windows: windows(number, now, old), Keep: time.Hour}
}

// tell hands over one count and returns those of others.
func tell(t testing.TB, s *limits.Store, c limit.Count) limit.Windows {
	t.Helper()
	got, now, err := s.Exchange(t.Context(), []limit.Count{c})
	if err != nil || now.IsZero() || len(got) != 1 {
		t.Fatal(got, now, err)
	}
	return got[0]
}

func each(t *testing.T, f func(t *testing.T, open func() *conn.Conn)) {
	t.Run("redis-server", func(t *testing.T) {
		s := redistest.Server(t)
		f(t, func() *conn.Conn { return connect(t, s) })
	})
	t.Run("miniredis", func(t *testing.T) {
		m := miniredis.RunT(t)
		f(t, func() *conn.Conn { return redistest.Connect(t, conn.Options{Addrs: []string{m.Addr()}}) })
	})
	t.Run("cluster", func(t *testing.T) {
		o, _ := redistest.Cluster(t)
		f(t, func() *conn.Conn { return redistest.Connect(t, o) })
	})
}

func TestCountsOfOthers(t *testing.T) {
	each(t, func(t *testing.T, open func() *conn.Conn) {
		a, b, c := limits.New(open()), limits.New(open()), limits.New(open())
		want := func(what string, got limit.Windows, number int64, now, old int32) {
			t.Helper()
			if d := cmp.Diff(windows(number, now, old), got); d != "" {
				t.Errorf("%s:\n%s", what, d)
			}
		}
		want("nobody else", tell(t, a, count("n", 100, 3, 1)), 100, 0, 0)
		want("one other", tell(t, b, count("n", 100, 5, 2)), 100, 3, 1)
		want("only asked", tell(t, c, count("n", 100, 0, 0)), 100, 8, 3)
		want("told again", tell(t, a, count("n", 100, 3, 1)), 100, 5, 2)
		want("told again, no more", tell(t, b, count("n", 100, 5, 2)), 100, 3, 1)
		want("told late", tell(t, a, count("n", 100, 1, 0)), 100, 5, 2)
		want("the larger counts", tell(t, b, count("n", 100, 5, 2)), 100, 3, 1)
		want("another name", tell(t, b, count("m", 100, 1, 0)), 100, 0, 0)
		want("the next window", tell(t, b, count("n", 101, 1, 5)), 101, 0, 3)
		want("who is behind", tell(t, a, count("n", 100, 4, 1)), 100, 6, 0)
		want("told late, a window after", tell(t, b, count("n", 100, 9, 0)), 100, 4, 1)
		want("that is no more than what it told", tell(t, c, count("n", 101, 0, 0)), 101, 1, 9)
		want("a life that began anew", tell(t, limits.New(open()), count("n", 101, 0, 0)), 101, 1, 9)
		want("far ahead", tell(t, c, count("n", 500, 1, 0)), 500, 0, 0)
		want("what is over is gone", tell(t, a, count("n", 101, 0, 0)), 101, 0, 0)
		want("that far ahead does not count", tell(t, b, count("n", 102, 1, 0)), 102, 0, 0)
	})
}

// Many names are one round trip, in any slots.
func TestOneRoundTrip(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	a, b := limits.New(c), limits.New(c)
	var all []limit.Count
	for i := range 500 {
		all = append(all, count(fmt.Sprint(i), 100, int32(i), 0))
	}
	if _, _, err := a.Exchange(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	before := c.Trips()
	if _, _, err := a.Exchange(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if n := c.Trips() - before; n != 1 {
		t.Errorf("%d round trips", n)
	}
	got, _, err := b.Exchange(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range got {
		if w != windows(100, int32(i), 0) {
			t.Fatal(i, w)
		}
	}
	key := "postern:li:" + conn.Hash(limit.RateIP, "7")
	if n, err := c.Client().MemoryUsage(t.Context(), key).Result(); err != nil || n > 250 {
		t.Errorf("a name of two nodes takes %d octets, %v", n, err)
	} else {
		t.Logf("a name of two nodes takes %d octets", n)
	}
}

func TestLifetimes(t *testing.T) {
	m := miniredis.RunT(t)
	s := limits.New(redistest.Connect(t, conn.Options{Addrs: []string{m.Addr()}}))
	for name, c := range map[string]struct{ keep, want time.Duration }{
		"hour": {2 * time.Hour, 2 * time.Hour}, "none": {0, time.Minute}, "back": {-time.Hour, time.Minute}, "ever": {1 << 62, 48 * time.Hour},
	} {
		one := count(name, 100, 1, 0)
		one.Keep = c.keep
		tell(t, s, one)
		one.Keep = time.Minute
		tell(t, s, one) // shortens nothing
		if got := m.TTL("postern:li:" + conn.Hash(limit.RateIP, name)); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	tell(t, s, count("asked", 100, 0, 0))
	if n := len(m.Keys()); n != 4 {
		t.Errorf("%d keys: asking makes one", n)
	}
}

// What is no count of ours counts nothing and is removed.
func TestWhatIsNotOurs(t *testing.T) {
	srv := redistest.Server(t)
	a, b := limits.New(redistest.Empty(t, srv)), limits.New(connect(t, srv))
	r := srv.Client()
	defer r.Close()
	key := "postern:li:" + conn.Hash(limit.RateIP, "n")
	for what, v := range map[string]string{
		"empty": "", "words": "a b c", "few": "100 1 2", "many": strings.Repeat("100 ", 12), "long": strings.Repeat("1", 5000),
		"fractions": "100 1.5 0 100 1 0 100 1 0", "negative": "100 -5 0 100 -5 0 100 -5 0", "zeros": "\x00\x00",
	} {
		tell(t, a, count("n", 100, 2, 0))
		if err := r.HSet(t.Context(), key, "x", v, v, "y").Err(); err != nil {
			t.Fatal(err)
		}
		if got := tell(t, b, count("n", 100, 0, 0)); got != windows(100, 2, 0) {
			t.Errorf("%s: %+v", what, got)
		}
		if all := r.HGetAll(t.Context(), key).Val(); len(all) != 1 {
			t.Errorf("%s: left %v", what, all)
		}
	}
	if err := r.HSet(t.Context(), key, "x", "100 9999999999 9999999999 100 1 1 100 1 1").Err(); err != nil {
		t.Fatal(err)
	}
	if got := tell(t, a, count("n", 100, 2, 0)); got[0].Now < 1<<20 || got[0].Now+got[0].Old < 0 {
		t.Errorf("too many: %+v", got)
	}
	if err := errors.Join(r.Del(t.Context(), key).Err(), r.Set(t.Context(), key, "a string", 0).Err()); err != nil {
		t.Fatal(err)
	}
	tell(t, a, count("n", 100, 2, 0))
	if got := tell(t, b, count("n", 100, 0, 0)); got != windows(100, 2, 0) {
		t.Errorf("after a string: %+v", got)
	}
}

var client = netip.MustParseAddr("192.0.2.7")

var serial struct {
	sync.Mutex
	n int
}

// send sends a message and reports whether it was within the rates.
func send(t testing.TB, l *limit.Limiter) bool {
	t.Helper()
	serial.Lock()
	serial.n++
	m := &filter.Message{ID: fmt.Sprint("m", serial.n), From: "a@sender.example", Client: filter.Client{IP: client}}
	serial.Unlock()
	found, err := l.Sender().Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	fate := filter.Delivered
	if len(found) > 0 {
		fate = filter.Deferred
	}
	if err := l.Done(t.Context(), m, filter.Outcome{Fates: []filter.Fate{{State: fate}}}); err != nil {
		t.Fatal(err)
	}
	return len(found) == 0
}

func limiter() *limit.Limiter { return limit.New(limit.Config{IP: limit.Rate{Hour: 100}}, time.Now) }

// traffic sends in turn through the nodes, each of which exchanges after every so many
// messages, until all refuse; it returns how many came through.
func traffic(t testing.TB, between int, nodes []*limit.Limiter, shared []*limits.Store) (through int) {
	t.Helper()
	for i := range 600 {
		n := i % len(nodes)
		if send(t, nodes[n]) {
			through++
		}
		if i/len(nodes)%between == between-1 {
			if err := nodes[n].Exchange(t.Context(), shared[n]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return through
}

// A rate of 100 an hour over two and four nodes is used up at 100 in all, and as many as come
// between two exchanges.
func TestARateOfAllNodes(t *testing.T) {
	each(t, func(t *testing.T, open func() *conn.Conn) {
		for i, nodes := range []int{2, 4} {
			client = netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			for j, between := range []int{1, 5, 25} {
				client = netip.AddrFrom4([4]byte{192, 0, byte(j), byte(i)})
				var all []*limit.Limiter
				var shared []*limits.Store
				for range nodes {
					all, shared = append(all, limiter()), append(shared, limits.New(open()))
				}
				for n, l := range all {
					if err := l.Exchange(t.Context(), shared[n]); err != nil {
						t.Fatal(err)
					}
				}
				got := traffic(t, between, all, shared)
				t.Logf("%d nodes, %d messages of each between exchanges: %d came through", nodes, between, got)
				if got < 98 || got > 102+2*nodes*between { // an hour may turn meanwhile
					t.Errorf("%d nodes, %d messages between exchanges: %d of 100 came through", nodes, between, got)
				}
			}
		}
	})
}

// F42: nodes that are cut off from the store count for themselves; when it is back they agree
// again, and nothing that was counted meanwhile is lost or doubled. A node that begins anew
// learns what the others, and its life before, had counted.
func TestF42Partition(t *testing.T) {
	client = netip.MustParseAddr("192.0.2.42")
	srv := redistest.Server(t)
	a, b := limiter(), limiter()
	sa, sb := limits.New(connect(t, srv)), limits.New(connect(t, srv))
	both := func() {
		t.Helper()
		for range 2 {
			for l, s := range map[*limit.Limiter]*limits.Store{a: sa, b: sb} {
				for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
					if err := l.Exchange(t.Context(), s); err == nil {
						break
					} else if time.Now().After(end) {
						t.Fatal(err)
					}
				}
			}
		}
	}
	both()
	for range 20 {
		send(t, a)
		send(t, b)
	}
	both()
	srv.Kill()
	if err := a.Exchange(t.Context(), sa); err != nil {
		t.Fatal("nothing to hand over asks nobody:", err)
	}
	for i := range 25 {
		if !send(t, a) || !send(t, b) {
			t.Fatalf("message %d is over the rate of its own node", i)
		}
		for l, s := range map[*limit.Limiter]*limits.Store{a: sa, b: sb} {
			if err := l.Exchange(t.Context(), s); !errors.Is(err, conn.ErrAway) {
				t.Fatal(err)
			}
		}
	}
	srv.Run(t)
	both()
	through := 0
	for range 30 { // 90 of 100 are used
		for l, s := range map[*limit.Limiter]*limits.Store{a: sa, b: sb} {
			if send(t, l) {
				through++
			}
			if err := l.Exchange(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	if through < 8 || through > 13 {
		t.Errorf("%d messages came through after 90 of 100", through)
	}
	anew, life := limiter(), limits.New(connect(t, srv))
	if err := anew.Exchange(t.Context(), life); err != nil {
		t.Fatal(err)
	}
	first := send(t, anew)
	if err := anew.Exchange(t.Context(), life); err != nil {
		t.Fatal(err)
	}
	if !first || send(t, anew) {
		t.Error("a node that began anew knows of its first message only what it saw itself, and of the second what all saw")
	}
	srv.Kill()
	srv.Run(t)
	admin := srv.Client()
	defer admin.Close()
	if err := admin.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	again := 0 // of each node, with more than 90 of 100 used
	for ; again < 10 && (send(t, a) || send(t, b)); again++ {
		both()
	}
	if again == 10 {
		t.Error("after the store lost all, nodes do not tell it again")
	}
}

// A silent store (F7): what was sent into the silence and is read after it counts once.
func TestF7StoreHangs(t *testing.T) {
	client = netip.MustParseAddr("192.0.2.43")
	srv := redistest.Server(t)
	a, sa := limiter(), limits.New(connect(t, srv))
	if err := a.Exchange(t.Context(), sa); err != nil {
		t.Fatal(err)
	}
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		send(t, a)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := a.Exchange(ctx, sa); !errors.Is(err, conn.ErrAway) && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
	}
	if err := srv.Continue(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); a.Exchange(t.Context(), sa) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the store does not come back")
		}
	}
	number := time.Now().Unix() / 3600
	w := tell(t, limits.New(connect(t, srv)), limit.Count{Symbol: limit.RateIP, Name: client.String(), Windows: limit.Windows{1: {Number: number}}})
	if n := w[1].Now + w[1].Old; n != 10 {
		t.Errorf("%d counted, want 10: %+v", n, w)
	}
}

// F8: with a full store each node counts for itself.
func TestF8StoreFull(t *testing.T) {
	client = netip.MustParseAddr("192.0.2.44")
	srv := redistest.Server(t)
	a, sa := limiter(), limits.New(redistest.Empty(t, srv))
	if err := a.Exchange(t.Context(), sa); err != nil {
		t.Fatal(err)
	}
	admin := srv.Client()
	defer admin.Close()
	if err := admin.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for i := range 102 {
		if got := send(t, a); got != (i < 100) {
			t.Fatalf("message %d: %v", i+1, got)
		}
		if err := a.Exchange(t.Context(), sa); !errors.Is(err, conn.ErrAway) {
			t.Fatal(err)
		}
	}
}

// The loop hands over what was counted last when it ends.
func TestShareLoop(t *testing.T) {
	client = netip.MustParseAddr("192.0.2.45")
	srv := redistest.Server(t)
	a, sa, sb := limiter(), limits.New(redistest.Empty(t, srv)), limits.New(connect(t, srv))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Share(ctx, sa, time.Millisecond) }()
	seen := func() int32 {
		number := time.Now().Unix() / 3600
		w := tell(t, sb, limit.Count{Symbol: limit.RateIP, Name: client.String(), Windows: limit.Windows{1: {Number: number}}})
		return w[1].Now + w[1].Old
	}
	for end := time.Now().Add(20 * time.Second); seen() == 0; {
		send(t, a)
		if time.Now().After(end) {
			t.Fatal("nothing is told")
		}
	}
	before := seen()
	for range 5 {
		send(t, a)
	}
	cancel()
	if err := <-ended; err != nil || seen() < before+5 {
		t.Errorf("%d, then %d: %v", before, seen(), err)
	}
}
