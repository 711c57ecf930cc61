package watch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/watch"
)

// eventually waits until f is true, and fails when the test's time is over.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for limit := time.After(40 * time.Second); !f(); {
		select {
		case <-limit:
			t.Fatal("never: ", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// told collects what a watch says.
type told struct {
	mu       sync.Mutex
	lost     []string
	findings [][]string
}

func (o *told) take() (lost []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lost, o.lost = o.lost, nil
	return lost
}

func (o *told) strict() [][]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.findings)
}

// start runs a watch until the test, or the returned function, ends it.
func start(t *testing.T, c *conn.Conn, node string) (*watch.Watch, *told, func()) {
	t.Helper()
	o := &told{}
	w := watch.New(watch.Options{
		Conn: c, Node: node, Every: 20 * time.Millisecond,
		Lost: func(_ context.Context, why string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.lost = append(o.lost, why)
		},
		Strict: func(findings []string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.findings = append(o.findings, findings)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	end := func() { cancel(); wg.Wait() }
	t.Cleanup(end)
	eventually(t, "the first beat", func() bool { return len(o.strict()) > 0 })
	return w, o, end
}

// saidOnce waits for one event and then for some beats without another.
func saidOnce(t *testing.T, o *told, words ...string) {
	t.Helper()
	var all []string
	eventually(t, "told of "+fmt.Sprint(words), func() bool { all = append(all, o.take()...); return len(all) > 0 })
	time.Sleep(200 * time.Millisecond)
	all = append(all, o.take()...)
	if len(all) != 1 {
		t.Errorf("told %d times: %q", len(all), all)
	}
	for _, w := range words {
		if !strings.Contains(all[0], w) {
			t.Errorf("%q does not say %q", all[0], w)
		}
	}
}

func quiet(t *testing.T, o *told) {
	t.Helper()
	time.Sleep(200 * time.Millisecond)
	if lost := o.take(); len(lost) != 0 {
		t.Errorf("a false alarm: %q", lost)
	}
}

func TestFlush(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	w, o, _ := start(t, c, "a")
	before, now, err := w.Born(t.Context())
	if err != nil || now.Before(before) || time.Since(before) > time.Minute || time.Since(before) < -time.Minute {
		t.Fatal(before, err)
	}
	if again, _, err := w.Born(t.Context()); err != nil || !again.Equal(before) {
		t.Fatal(again, err)
	}
	quiet(t, o)
	redistest.Flush(t, s)
	saidOnce(t, o, "emptied")
	if after, _, err := w.Born(t.Context()); err != nil || !after.After(before) {
		t.Error(after, err)
	}
	quiet(t, o)
	admin := s.Client()
	defer admin.Close()
	for _, nonsense := range []string{"not a time", "", "-5", "nan", "inf", "99999999999999999999"} {
		if err := admin.Set(t.Context(), c.Key("born"), nonsense, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if born, now, err := w.Born(t.Context()); err != nil || !born.After(before) || now.Before(born) {
			t.Errorf("%q: %v, %v, %v", nonsense, born, now, err)
		}
	}
	ahead := time.Now().Add(time.Hour).UnixMilli() // of another server's clock, before a failover
	if err := admin.Set(t.Context(), c.Key("born"), ahead, 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.Reborn(t.Context())
	if born, _, err := w.Born(t.Context()); err != nil || born.UnixMilli() != ahead+1 {
		t.Error("born again unseen: ", born, err)
	}
	for _, nonsense := range []string{"x", "", "-1", "99999999999999999999"} {
		if err := admin.Set(t.Context(), c.Key("{beat:0}", "a"), nonsense, 0).Err(); err != nil {
			t.Fatal(err)
		}
		saidOnce(t, o)
	}
	if log, err := admin.Do(t.Context(), "acl", "log").Slice(); err != nil || len(log) != 0 {
		t.Error("beyond the rights of our user: ", log, err)
	}
}

func TestTwoOfOneName(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	_, a, _ := start(t, c, "same")
	_, b, end := start(t, redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password}), "same")
	quiet(t, a)
	quiet(t, b)
	end()
	quiet(t, a)
}

func TestRestart(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	_, o, end := start(t, c, "a")
	s.Kill()
	s.Run(t)
	saidOnce(t, o, "another process")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three beats failed", func() bool { return c.Status().Faults["no answer in time"] >= 3 })
	if err := s.Continue(); err != nil {
		t.Fatal(err)
	}
	saidOnce(t, o, "beats that failed")
	end()
	_, again, _ := start(t, c, "a") // the node starts anew
	quiet(t, again)
}

func TestAnOldDump(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	_, o, _ := start(t, c, "a")
	quiet(t, o)
	s.Kill()
	aof := filepath.Join(s.Dir, "appendonlydir")
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(aof)); err != nil {
		t.Fatal(err)
	}
	s.Run(t)
	saidOnce(t, o, "another process")
	quiet(t, o)
	s.Kill()
	if err := os.RemoveAll(aof); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(aof, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	s.Run(t)
	saidOnce(t, o, "went back")
	quiet(t, o)
}

func TestStrictIsToldOnChange(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	_, o, _ := start(t, c, "a")
	if got := o.strict(); len(got) != 1 || len(got[0]) != 0 {
		t.Fatal(got)
	}
	admin := s.Client()
	defer admin.Close()
	if err := admin.ConfigSet(t.Context(), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	redistest.Flush(t, s) // makes it ask at once
	eventually(t, "told", func() bool { return len(o.strict()) == 2 })
	if got := o.strict()[1]; len(got) != 1 || !strings.Contains(got[0], "everysec") {
		t.Error(got)
	}
	redistest.Flush(t, s)
	time.Sleep(200 * time.Millisecond)
	if got := o.strict(); len(got) != 2 {
		t.Error("told again without a change: ", got)
	}
}

func TestWhereNothingMayBeAsked(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	admin := s.Client()
	defer admin.Close()
	if err := admin.Do(t.Context(), "acl", "setuser", redistest.User, "-info", "-config|get").Err(); err != nil {
		t.Fatal(err)
	}
	_, o, _ := start(t, c, "a")
	if got := o.strict()[0]; len(got) != 4 {
		t.Error(got)
	}
	quiet(t, o)
	redistest.Flush(t, s)
	saidOnce(t, o, "emptied")
}

func TestMini(t *testing.T) {
	c := redistest.Mini(t)
	w, o, _ := start(t, c, "a")
	quiet(t, o)
	if born, _, err := w.Born(t.Context()); err != nil || born.IsZero() {
		t.Error(born, err)
	}
	if err := c.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	saidOnce(t, o, "emptied")
}

func TestSentinelFailover(t *testing.T) {
	options, set := redistest.Sentinel(t)
	_, o, _ := start(t, redistest.Connect(t, options), "a")
	quiet(t, o)
	set.Fail(t)
	var all []string
	eventually(t, "told", func() bool { all = append(all, o.take()...); return len(all) > 0 })
	quiet(t, o)
	t.Log(all)
}

func TestClusterFailover(t *testing.T) {
	options, cluster := redistest.Cluster(t)
	c := redistest.Connect(t, options)
	w, o, _ := start(t, c, "a")
	quiet(t, o)
	keys := func() (n int) {
		for _, s := range cluster.Masters(t) {
			admin := s.Client()
			names, err := admin.Keys(t.Context(), c.Key("*beat*")).Result()
			_ = admin.Close()
			if err != nil || len(names) != 1 {
				t.Error(s.Addr, names, err)
			}
			n += len(names)
		}
		return n
	}
	if n := keys(); n != 3 {
		t.Errorf("%d beats on three masters", n)
	}
	one := cluster.Masters(t)[1]
	redistest.Flush(t, one)
	saidOnce(t, o, one.Addr, "emptied")
	cluster.Fail(t, one)
	var all []string
	eventually(t, "told", func() bool { all = append(all, o.take()...); return len(all) > 0 })
	eventually(t, "all masters are up", func() bool { time.Sleep(time.Second); all = append(all, o.take()...); return c.Status().Up })
	quiet(t, o)
	t.Log(all)
	if n := keys(); n != 3 {
		t.Errorf("%d beats on three masters", n)
	}
	if _, _, err := w.Born(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSlowAnswersAreNoLoss(t *testing.T) {
	var n int64
	var mu sync.Mutex
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		mu.Lock()
		defer mu.Unlock()
		if args[0] != "eval" {
			return redisd.Answer{Text: "-NOPERM not allowed\r\n"}
		}
		was := fmt.Sprint(n)
		if n == 0 {
			was = ""
		}
		n = max(n+1, time.Now().UnixMilli())
		a := redisd.Answer{Text: fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$13\r\n%d\r\n", len(was), was, n)}
		switch n % 4 {
		case 0:
			a.After = 30 * time.Millisecond
		case 1:
			a.Close = true
		}
		return a
	})
	c := redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}})
	_, o, _ := start(t, c, "a")
	time.Sleep(time.Second)
	for _, why := range o.take() {
		if !strings.Contains(why, "beats that failed") {
			t.Error(why)
		}
	}
}

// hear listens until the test ends.
func hear(t *testing.T, c *conn.Conn, each time.Duration) func() map[string]int {
	t.Helper()
	var mu sync.Mutex
	heard := map[string]int{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		watch.NewBus(c).Listen(ctx, func(kind string) {
			mu.Lock()
			heard[kind]++
			mu.Unlock()
			time.Sleep(each)
		})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	get := func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		out := map[string]int{}
		for k, n := range heard {
			out[k] = n
		}
		return out
	}
	eventually(t, "all kinds once", func() bool { return len(get()) == 5 })
	return get
}

func TestBus(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	heard := hear(t, c, 0)
	other := watch.NewBus(redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password}))
	if err := other.Publish(t.Context(), "acct"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "heard", func() bool { return heard()["acct"] == 2 })
	if err := other.Publish(t.Context(), "secrets"); err == nil {
		t.Error("an unknown kind was published")
	}
	admin := s.Client()
	defer admin.Close()
	for _, text := range []string{"secrets", "", "acct ", strings.Repeat("x", 1<<20), "ACCT"} {
		if err := admin.Publish(t.Context(), c.Key("ev"), text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	before := heard()
	begin := time.Now()
	for range 50 {
		if _, err := admin.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for range 200 {
				p.Publish(t.Context(), c.Key("ev"), "list")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the flood is over", func() bool { n := heard()["list"]; time.Sleep(200 * time.Millisecond); return n == heard()["list"] })
	after := heard()
	if n, most := after["list"]-before["list"], int(time.Since(begin)/(50*time.Millisecond))+2; n < 1 || n > most {
		t.Errorf("%d calls for 10,000 hints, at most %d", n, most)
	}
	if after["acct"] != 2 || len(after) != 5 {
		t.Errorf("%v", after)
	}
	s.Kill()
	s.Run(t)
	eventually(t, "all kinds after the restart", func() bool { return heard()["kill"] == 2 && heard()["acct"] == 3 })
	eventually(t, "published", func() bool { return other.Publish(t.Context(), "hold") == nil })
	eventually(t, "heard again", func() bool { return heard()["hold"] >= 3 })
	if log, err := admin.Do(t.Context(), "acl", "log").Slice(); err != nil || len(log) != 0 {
		t.Error("beyond the rights of our user: ", log, err)
	}
}

func TestBusWithoutAServer(t *testing.T) {
	port, err := mailtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	c := redistest.Connect(t, conn.Options{Addrs: []string{fmt.Sprintf("127.0.0.1:%d", port)}})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	watch.NewBus(c).Listen(ctx, func(string) { t.Error("heard something") })
	if err := watch.NewBus(c).Publish(t.Context(), "acct"); err == nil {
		t.Error("published to nobody")
	}
}

func TestBusAcrossACluster(t *testing.T) {
	options, _ := redistest.Cluster(t)
	heard := hear(t, redistest.Connect(t, options), 0)
	for range 5 { // from any node
		one := watch.NewBus(redistest.Connect(t, options))
		before := heard()["rules"]
		if err := one.Publish(t.Context(), "rules"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "heard", func() bool { return heard()["rules"] > before })
	}
}

// TestEndsBesideASilentServer ends what runs while the server is frozen.
func TestEndsBesideASilentServer(t *testing.T) {
	s := redistest.Server(t)
	c := redistest.Empty(t, s)
	_, _, end := start(t, c, "a")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	heard := make(chan string, 100)
	wg.Go(func() { watch.NewBus(c).Listen(ctx, func(kind string) { heard <- kind }) })
	<-heard
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is away", func() bool { return !c.Status().Up })
	cancel()
	end()
	wg.Wait()
}
