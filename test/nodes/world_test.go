// Package nodes_test puts several gateways on one Redis, of every kind, and breaks nodes and
// stores under load. With POSTERN_CAMPAIGN=1 there is more of everything.
package nodes_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/test/rig"
	"postern/test/world"
)

func long() bool { return os.Getenv("POSTERN_CAMPAIGN") == "1" }

// pick is the campaign's value or that of the short form.
func pick[T any](campaign, short T) T {
	if long() {
		return campaign
	}
	return short
}

// at are the keys of "store" for servers on loopback.
func at(addrs ...string) string {
	return `addrs: ["` + strings.Join(addrs, `", "`) + `"]`
}

func atCluster(addrs ...string) string { return at(addrs...) + ", cluster: true" }

// single is a Redis of its own, with a user that has just the rights the papers give.
func single(t *testing.T, args ...string) *redisd.Server {
	t.Helper()
	s := redisd.Start(t, redisd.Options{ACL: rig.ACL(), Args: args})
	old(t, s)
	return s
}

// old makes a new store one that was born long ago: in one that was emptied just now nothing
// is released for half a minute.
func old(t *testing.T, masters ...*redisd.Server) {
	t.Helper()
	for _, s := range masters {
		c := s.Client()
		err := c.Set(t.Context(), conn.DefaultPrefix+":born", time.Now().Add(-time.Hour).UnixMilli(), 0).Err()
		c.Close()
		if err != nil && !strings.HasPrefix(err.Error(), "MOVED") { // another master has the slot
			t.Fatal(err)
		}
	}
}

func sentinel(t *testing.T, replicas int) *redisd.Sentinel {
	t.Helper()
	timing := redisd.Timing{}
	if long() {
		timing.DownAfter = time.Duration(advised(t, "sentinel down-after-milliseconds mail")) * time.Millisecond
		timing.Failover = time.Duration(advised(t, "sentinel failover-timeout mail")) * time.Millisecond
	}
	s := redisd.StartSentinelWith(t, replicas, redisd.Options{ACL: rig.ACL()}, timing)
	old(t, s.Master(t))
	return s
}

// advised is a number that the paper about stores gives for a setting.
func advised(t *testing.T, setting string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(mailtest.ModuleRoot(t), "docs", "stores.md"))
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "\n"+setting+" ")
	n, err := strconv.Atoi(rest[:max(strings.IndexByte(rest, '\n'), 0)])
	must(t, err)
	return n
}

func cluster(t *testing.T) *redisd.Cluster {
	t.Helper()
	o := redisd.Options{ACL: rig.ACL()}
	if long() {
		o.Args = []string{"--cluster-node-timeout", strconv.Itoa(advised(t, "cluster-node-timeout"))}
	}
	c := redisd.StartCluster(t, 3, 3, o)
	old(t, c.Masters(t)...)
	return c
}

// fleet starts n nodes before a server behind that writes what it takes into the book.
func fleet(t *testing.T, store string, n int, o rig.Options) (*rig.Fleet, *mailtest.Backend) {
	t.Helper()
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: rig.Mailboxes()})
	o.Behind = b.Addr()
	f := rig.NewFleet(t, store, times(n, o)...)
	t.Cleanup(func() {
		for _, r := range f.Nodes {
			if t.Failed() { // its folder is kept
				r.WriteFile("log", r.Log())
			}
		}
	})
	b.Set(f.Nodes[0].Behind(mailtest.Script{Mailboxes: rig.Mailboxes()}))
	f.Start()
	return f, b
}

// balanced is what holds in the end: nothing lost, nothing doubled but what the nodes or the
// client itself count as ambiguous, no refusal that a fault caused.
func balanced(t *testing.T, f *rig.Fleet, out ledger.Result) ledger.Report {
	t.Helper()
	excused := f.Excuse()
	start, rep := time.Now(), f.Balance()
	for ; !rep.OK() && time.Since(start) < time.Minute; rep = f.Balance() { // what a store lost comes back after a grace
		<-time.After(time.Second)
	}
	t.Logf("the book balances %v after the load", time.Since(start).Round(100*time.Millisecond))
	t.Logf("%s\n%s\nambiguous by the nodes' own count: %d", out, rep, excused)
	// A store that lost what a node was about to confirm may hold a mail twice in the end: nobody
	// got it twice, and a person sees both.
	doubled := slices.DeleteFunc(slices.Clone(rep.Ambiguous), func(line string) bool { return strings.Contains(line, "copies 0") })
	if !rep.OK() || len(rep.Unfinished)+len(doubled) > 0 {
		t.Errorf("the book does not balance: ambiguous %v, unfinished %d", doubled, len(rep.Unfinished))
	}
	return rep
}

// underLoad runs a load and releases of what is held while f breaks things, and balances the
// book afterwards.
func underLoad(t *testing.T, f *rig.Fleet, load ledger.Load, breakThings func()) ledger.Report {
	t.Helper()
	enough, quiet := make(chan struct{}), make(chan struct{})
	load.Until, load.Messages = enough, 1<<30
	type ended struct {
		out ledger.Result
		err error
	}
	done, released := make(chan ended, 1), make(chan int, 1)
	go func() {
		out, err := load.Run(t.Context())
		done <- ended{out, err}
	}()
	go func() { released <- f.Releases(quiet) }()
	breakThings()
	<-time.After(pick(5*time.Second, time.Second))
	close(enough)
	end := <-done
	close(quiet)
	n := <-released
	if end.err != nil {
		t.Fatal(end.err)
	}
	t.Logf("%d holds were released from all nodes at once", n)
	if n == 0 {
		t.Error("nothing was released")
	}
	world.Await(t, "no release is under way", 3*time.Minute, func() bool { return f.Quiet() })
	return balanced(t, f, end.out)
}

// load is mail that nothing but a fault can refuse, some of it to be held.
func load(f *rig.Fleet, seed uint64) ledger.Load {
	l := f.Load(seed, 0)
	l.Parallel, l.Make = pick(50, 20), rig.Harmless(seed, 50<<10)
	return l
}

func atSentinel(s *redisd.Sentinel) string {
	return at(s.Addrs...) + ", sentinel: " + redisd.MasterName + ", sentinel_auth: {user: default, password_file: DIR/redis.pw}"
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func port(addr string) string {
	_, p, _ := strings.Cut(addr, ":")
	return p
}
