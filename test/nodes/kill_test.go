package nodes_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"postern/test/rig"
)

// cycles is how often something is killed.
func cycles() int { return pick(10, 2) }

// after waits for a moment of up to d.
func after(random *rand.Rand, d time.Duration) {
	<-time.After(time.Duration(random.Int64N(int64(d))))
}

// TestNodeKilled kills a node under load and starts it again: what it had answered for is
// there, on the other node too.
func TestNodeKilled(t *testing.T) {
	f, _ := fleet(t, at(single(t).Addr), 2, rig.Options{})
	random := rand.New(rand.NewPCG(21, 1))
	underLoad(t, f, load(f, 21), func() {
		for i := range cycles() {
			after(random, 3*time.Second)
			r := f.Nodes[i%2]
			r.Kill()
			after(random, time.Second)
			r.Start()
			recovered(t, f)
		}
	})
}

// TestPrimaryKilled kills the master under load, and another takes its place: what it had
// acknowledged and not yet handed on is pushed again.
func TestPrimaryKilled(t *testing.T) {
	s := sentinel(t, 2)
	f, _ := fleet(t, atSentinel(s), 2, rig.Options{})
	random := rand.New(rand.NewPCG(22, 1))
	underLoad(t, f, load(f, 22), func() {
		for range cycles() {
			after(random, 3*time.Second)
			killed, before := time.Now(), s.Elections(t)
			dead, _ := s.Fail(t)
			t.Logf("another master after %v and %d elections", time.Since(killed).Round(10*time.Millisecond), s.Elections(t)-before)
			recoveredFrom(t, f, killed)
			after(random, 3*time.Second)
			s.Restart(t, dead)
		}
	})
}

// TestClusterMasterKilled kills one master of three after the other.
func TestClusterMasterKilled(t *testing.T) {
	c := cluster(t)
	f, _ := fleet(t, atCluster(c.Addrs()...), 2, rig.Options{})
	random := rand.New(rand.NewPCG(23, 1))
	underLoad(t, f, load(f, 23), func() {
		for range cycles() {
			after(random, 3*time.Second)
			masters := c.Masters(t)
			dead := masters[random.IntN(len(masters))]
			killed := time.Now()
			c.Fail(t, dead)
			t.Logf("another master after %v", time.Since(killed).Round(10*time.Millisecond))
			recoveredFrom(t, f, killed)
			after(random, 3*time.Second)
			c.Restart(t, dead)
		}
	})
}

// TestNodeFrozen stops a node in the middle of its work and lets it go on: what it believed to
// have is not done a second time.
func TestNodeFrozen(t *testing.T) {
	f, _ := fleet(t, at(single(t).Addr), 2, rig.Options{})
	underLoad(t, f, load(f, 24), func() {
		for i := range pick(4, 1) {
			<-time.After(2 * time.Second)
			r := f.Nodes[i%2]
			r.Signal(syscall.SIGSTOP)
			<-time.After(20 * time.Second)
			r.Signal(syscall.SIGCONT)
			recovered(t, f)
		}
	})
}
