package lease_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/lease"
	"postern/internal/store/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ttl = 400 * time.Millisecond

// both runs a test on Debian's server and on miniredis.
func both(t *testing.T, f func(t *testing.T, c *conn.Conn)) {
	t.Run("redis", func(t *testing.T) { f(t, redistest.Empty(t, redistest.Server(t))) })
	t.Run("mini", func(t *testing.T) { f(t, redistest.Mini(t)) })
}

func connect(t *testing.T, s *redisd.Server) *conn.Conn {
	t.Helper()
	return redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password})
}

func nothing(context.Context, int64) error { return nil }

// run runs a job that must run, and returns its token.
func run(t *testing.T, r lease.Runner, job, period string) (token int64) {
	t.Helper()
	ran, err := r.Run(t.Context(), job, period, time.Minute, func(_ context.Context, n int64) error {
		token = n
		return nil
	})
	if !ran || err != nil {
		t.Fatalf("%s for %q: ran %v, %v", job, period, ran, err)
	}
	return token
}

func idle(t *testing.T, r lease.Runner, job, period string) {
	t.Helper()
	ran, err := r.Run(t.Context(), job, period, time.Minute, func(context.Context, int64) error {
		t.Errorf("%s for %q runs", job, period)
		return nil
	})
	if ran || err != nil {
		t.Fatalf("%s for %q: ran %v, %v", job, period, ran, err)
	}
}

func TestDoneOnce(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		a, b := lease.New(c, "a", time.Now), lease.New(c, "b", time.Now)
		first := run(t, a, "reports", "2026-11-22")
		idle(t, a, "reports", "2026-11-22")
		idle(t, b, "reports", "2026-11-22")
		if second := run(t, b, "reports", "2026-11-23"); second <= first {
			t.Errorf("token %d after %d", second, first)
		}
		run(t, b, "expire", "2026-11-22") // another job
		life := c.Client().PTTL(t.Context(), c.Key("{job:reports}", "done", "2026-11-22")).Val()
		if life <= lease.DoneLife-time.Hour || life > lease.DoneLife {
			t.Errorf("it is remembered for %v", life)
		}
		if n := c.Client().Exists(t.Context(), c.Key("{job:reports}", "lease", "2026-11-22")).Val(); n != 0 {
			t.Error("the lease stays")
		}
	})
}

func TestNoPeriodIsNeverDone(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		a, b := lease.New(c, "a", time.Now), lease.New(c, "b", time.Now)
		last := int64(0)
		for i := range 6 {
			r := []lease.Runner{a, b}[i%2]
			token := run(t, r, "tend", "")
			if token <= last {
				t.Errorf("token %d after %d", token, last)
			}
			last = token
		}
	})
}

func TestFailedIsNotDone(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		a, b := lease.New(c, "a", time.Now), lease.New(c, "b", time.Now)
		boom := errors.New("boom")
		var first int64
		ran, err := a.Run(t.Context(), "j", "p", time.Minute, func(_ context.Context, n int64) error {
			first = n
			return boom
		})
		if !ran || !errors.Is(err, boom) {
			t.Errorf("ran %v, %v", ran, err)
		}
		if second := run(t, b, "j", "p"); second <= first {
			t.Errorf("token %d after %d", second, first)
		}
	})
}

func TestNames(t *testing.T) {
	l := lease.New(redistest.Mini(t), "a", time.Now)
	for _, name := range [][2]string{{"", "p"}, {"a b", "p"}, {"a}", "p"}, {"a", "{"}, {"a", strings.Repeat("x", 65)}, {"a", "\n"}} {
		if ran, err := l.Run(t.Context(), name[0], name[1], time.Minute, nothing); ran || err == nil {
			t.Errorf("%q: ran %v, %v", name, ran, err)
		}
	}
	run(t, l, "dmarc-reports", "2026-11-22T09:00:00+01:00")
}

func TestOneOfManyRuns(t *testing.T) {
	s := redistest.Server(t)
	redistest.Empty(t, s)
	var running, most, runs atomic.Int64
	var mu sync.Mutex
	tokens := map[int64]bool{}
	var wg sync.WaitGroup
	for n := range 5 {
		l := lease.New(connect(t, s), fmt.Sprint("node", n), time.Now)
		for range 3 {
			wg.Go(func() {
				for period := range 8 {
					_, err := l.Run(t.Context(), "j", fmt.Sprint(period), time.Minute, func(_ context.Context, token int64) error {
						mu.Lock()
						defer mu.Unlock()
						if tokens[token] {
							t.Errorf("token %d twice", token)
						}
						tokens[token] = true
						runs.Add(1)
						return nil
					})
					if err != nil {
						t.Error(err)
					}
					if _, err := l.Run(t.Context(), "always", "", time.Minute, func(context.Context, int64) error {
						now := running.Add(1)
						defer running.Add(-1)
						if now > most.Load() {
							most.Store(now)
						}
						time.Sleep(time.Millisecond)
						return nil
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	if runs.Load() != 8 || most.Load() != 1 {
		t.Errorf("%d runs for 8 periods, %d at once", runs.Load(), most.Load())
	}
}

// lost waits until the context of a job ends and returns why.
func lost(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestRenewed has a node whose clock stands still: its lease is renewed all the same, longer
// than it would last by itself. Where the machine stood still for a good part of the lease it
// may well have ended, so that another attempt is made, with a longer one.
func TestRenewed(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	frozen := time.Now()
	a, b := lease.New(c, "a", func() time.Time { return frozen }), lease.New(c, "b", time.Now)
	for ttl := ttl; ttl < 30*time.Second; ttl *= 2 {
		gap, stop := watchGaps(t, connect(t, s))
		period, others := ttl.String(), false
		ran, err := a.Run(t.Context(), "j", period, ttl, func(ctx context.Context, _ int64) error {
			for end := time.Now().Add(3 * ttl); !others && time.Now().Before(end); time.Sleep(ttl / 10) {
				var err error
				if others, err = b.Run(t.Context(), "j", period, time.Minute, nothing); err != nil {
					return err
				}
			}
			if others {
				return lost(ctx) // it is told
			}
			return context.Cause(ctx)
		})
		stop()
		switch {
		case !ran:
			t.Fatalf("ran %v, %v", ran, err)
		case err == nil && !others:
			return
		case !errors.Is(err, lease.ErrLost):
			t.Fatal(err)
		case gap() < ttl/4:
			t.Fatalf("a lease of %v was lost, and nothing stood still for more than %v", ttl, gap())
		}
		t.Logf("nothing is shown: something stood still for %v of %v", gap(), ttl)
	}
	t.Error("no lease lasted longer than it would by itself")
}

// watchGaps looks for the longest time that this process, or the server, stood still until stop
// is called.
func watchGaps(t *testing.T, c *conn.Conn) (longest func() time.Duration, stop func()) {
	t.Helper()
	var most atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for last := time.Now(); ctx.Err() == nil; time.Sleep(time.Millisecond) {
			if err := c.Client().Ping(t.Context()).Err(); err != nil {
				t.Error(err)
			}
			now := time.Now()
			most.Store(max(most.Load(), int64(now.Sub(last))))
			last = now
		}
	})
	return func() time.Duration { return time.Duration(most.Load()) }, func() { cancel(); wg.Wait() }
}

// TestServerHangs freezes the server while the job runs: the job is stopped before anybody else
// can have the lease.
func TestServerHangs(t *testing.T) {
	s := redistest.Server(t)
	a, b := lease.New(redistest.Empty(t, s), "a", time.Now), lease.New(connect(t, s), "b", time.Now)
	var first int64
	ran, err := a.Run(t.Context(), "j", "p", ttl, func(ctx context.Context, token int64) error {
		first = token
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		err := lost(ctx)
		if err := s.Continue(); err != nil {
			t.Error(err)
		}
		return err
	})
	if !ran || !errors.Is(err, lease.ErrLost) {
		t.Errorf("ran %v, %v", ran, err)
	}
	for {
		var second int64
		ran, err := b.Run(t.Context(), "j", "p", time.Minute, func(_ context.Context, token int64) error {
			second = token
			return nil
		})
		if err != nil && !errors.Is(err, conn.ErrAway) {
			t.Fatal(err)
		}
		if ran {
			if second <= first {
				t.Errorf("token %d after %d", second, first)
			}
			return
		}
	}
}

// TestTakenAway gives the lease to somebody else while the job runs.
func TestTakenAway(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		l, key := lease.New(c, "a", time.Now), c.Key("{job:j}", "lease", "p")
		for _, result := range []error{nil, errors.New("failed")} {
			ran, err := l.Run(t.Context(), "j", "p", ttl, func(ctx context.Context, _ int64) error {
				c.Client().Set(t.Context(), key, "somebody else", time.Minute)
				if err := lost(ctx); !errors.Is(err, lease.ErrLost) {
					t.Error(err)
				}
				return result
			})
			if !ran || err == nil || result == nil && !errors.Is(err, lease.ErrLost) || !errors.Is(err, result) && result != nil {
				t.Errorf("ran %v, %v", ran, err)
			}
			if holder := c.Client().Get(t.Context(), key).Val(); holder != "somebody else" {
				t.Errorf("the lease of somebody else is now %q", holder)
			}
			if n := c.Client().Exists(t.Context(), c.Key("{job:j}", "done", "p")).Val(); n != 0 {
				t.Error("marked as done")
			}
			c.Client().Del(t.Context(), key)
		}
	})
}

// TestFlushed loses all data while the job runs: the next run has a greater token.
func TestFlushed(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	a, b := lease.New(c, "a", time.Now), lease.New(c, "b", time.Now)
	for range 20 { // tokens of quick runs are close to each other
		run(t, b, "j", "")
	}
	var first, second int64
	ran, err := a.Run(t.Context(), "j", "p", ttl, func(ctx context.Context, token int64) error {
		first = token
		redistest.Empty(t, s)
		second = run(t, b, "j", "p")
		return lost(ctx)
	})
	if !ran || !errors.Is(err, lease.ErrLost) || second <= first {
		t.Errorf("ran %v, %v, tokens %d and %d", ran, err, first, second)
	}
	idle(t, a, "j", "p")
}

// TestNodeDies ends the connection of a node under its job, as its death does: the lease runs out
// and the job runs elsewhere.
func TestNodeDies(t *testing.T) {
	s := redistest.Server(t)
	redistest.Empty(t, s)
	dying, b := connect(t, s), lease.New(connect(t, s), "b", time.Now)
	var first, second int64
	ran, err := lease.New(dying, "a", time.Now).Run(t.Context(), "j", "p", ttl, func(_ context.Context, token int64) error {
		first = token
		return dying.Close()
	})
	if !ran || err == nil {
		t.Errorf("ran %v, %v", ran, err)
	}
	for ran = false; !ran; {
		ran, err = b.Run(t.Context(), "j", "p", time.Minute, func(_ context.Context, token int64) error {
			second = token
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if second <= first {
		t.Errorf("token %d after %d", second, first)
	}
}

func TestStoreAway(t *testing.T) {
	s := redistest.Server(t)
	l := lease.New(redistest.Empty(t, s), "a", time.Now)
	s.Kill()
	ran, err := l.Run(t.Context(), "j", "p", time.Minute, func(context.Context, int64) error {
		t.Error("it runs")
		return nil
	})
	if ran || !errors.Is(err, conn.ErrAway) {
		t.Errorf("ran %v, %v", ran, err)
	}
}

// TestCallerStops ends the caller's context: the job sees it, and the lease is given back.
func TestCallerStops(t *testing.T) {
	both(t, func(t *testing.T, c *conn.Conn) {
		l := lease.New(c, "a", time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		ran, err := l.Run(ctx, "j", "p", time.Minute, func(ctx context.Context, _ int64) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		})
		if !ran || !errors.Is(err, context.Canceled) || errors.Is(err, lease.ErrLost) {
			t.Errorf("ran %v, %v", ran, err)
		}
		run(t, l, "j", "p")
	})
}

func TestLocal(t *testing.T) {
	var l lease.Runner = &lease.Local{}
	last := int64(0)
	for range 1000 {
		token := run(t, l, "j", "p")
		if token <= last {
			t.Fatalf("token %d after %d", token, last)
		}
		last = token
	}
	boom := errors.New("boom")
	if ran, err := l.Run(t.Context(), "j", "p", 0, func(context.Context, int64) error { return boom }); !ran || !errors.Is(err, boom) {
		t.Errorf("ran %v, %v", ran, err)
	}
}

func TestCluster(t *testing.T) {
	o, _ := redistest.Cluster(t)
	a, b := lease.New(redistest.Connect(t, o), "a", time.Now), lease.New(redistest.Connect(t, o), "b", time.Now)
	for n := range 20 { // on all masters
		job := fmt.Sprint("job", n)
		ran, err := a.Run(t.Context(), job, "p", time.Minute, func(context.Context, int64) error {
			idle(t, b, job, "p")
			return nil
		})
		if !ran || err != nil {
			t.Errorf("%s: ran %v, %v", job, ran, err)
		}
		idle(t, b, job, "p")
	}
}
