package nodes_test

import (
	"context"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"postern/cmd/postern/calls"
	"postern/internal/mailtest/ledger"
	"postern/internal/mailtest/redisd"
	"postern/quarantine"
	"postern/test/rig"
	"postern/test/world"
)

// admin says something to a server with all rights.
func admin(t *testing.T, s *redisd.Server, words ...any) string {
	t.Helper()
	c := s.Client()
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := c.Do(ctx, words...).Result()
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return fmt.Sprint(out)
}

// decided suspends an account and releases a hold, and returns what must stay true.
func decided(t *testing.T, f *rig.Fleet) (stays func()) {
	t.Helper()
	const who = "ann@example.com"
	f.Nodes[0].Call("account.suspend", calls.AccountChange{Name: who, Reason: "spam"}, nil)
	m := ledger.Make(99, 4, rig.From, []string{rig.Ada}, 2000) // a kind that is held
	f.Book.Send(m)
	must(t, smtp.SendMail(f.Nodes[0].Addr, nil, m.From, m.To, m.Body))
	f.Book.Answer(m.ID, m.To, "250 taken")
	id := ""
	for _, h := range f.Nodes[0].Holds() {
		if h.SHA256 == m.SHA256 {
			id = h.ID
		}
	}
	var h quarantine.Hold
	f.Nodes[1].Call("quarantine.release", calls.ID{ID: id}, &h)
	if h.State != quarantine.Released {
		t.Fatalf("%s is %s", id, h.State)
	}
	return func() {
		t.Helper()
		for i, r := range f.Nodes {
			if err := send(r.Addrs["out"], who, rig.Lax, "out"); err == nil {
				t.Errorf("node %d lets a suspended account send", i)
			}
			world.Await(t, "the released hold is known as released", time.Minute, func() bool {
				var now quarantine.Hold
				return r.TryCall("quarantine.show", calls.ID{ID: id}, &now) == nil && now.State == quarantine.Released
			})
			var again quarantine.Hold
			if err := r.TryCall("quarantine.release", calls.ID{ID: id}, &again); err != nil || again.State != quarantine.Released {
				t.Errorf("node %d: releasing again: %s, %v", i, again.State, err)
			}
		}
	}
}

// outward is a listener for what local accounts send.
var outward = rig.Options{
	Listeners: `- {name: out, kind: smarthost, addr: "127.0.0.1:0", networks: [127.0.0.0/8], mail_from_is_account: true, senders: any}`,
	YAML:      "egress: mail\n",
}

// TestStoreLosesItsMemory empties the store under load, and takes it back to an old copy.
func TestStoreLosesItsMemory(t *testing.T) {
	s := single(t)
	f, b := fleet(t, at(s.Addr), 2, outward)
	old := filepath.Join(t.TempDir(), "old")
	copied(t, s, old) // of before anything was decided
	stays := decided(t, f)
	taken := complete(b)
	underLoad(t, f, load(f, 31), func() {
		for range pick(10, 1) {
			<-time.After(2 * time.Second)
			admin(t, s, "FLUSHALL")
			<-time.After(20 * time.Second) // longer than what the nodes wait for each other
			s.Kill()
			if out, err := exec.Command("sh", "-c", fmt.Sprintf("rm -rf %[1]s/appendonlydir && cp -r %[2]s/appendonlydir %[1]s/", s.Dir, old)).CombinedOutput(); err != nil {
				t.Fatalf("%s", out)
			}
			s.Run(t)
			<-time.After(20 * time.Second)
		}
	})
	stays()
	if complete(b) < taken {
		t.Error("the server behind forgot mail")
	}
}

// recovered waits until all nodes can do all of their work again, and says how long that took.
func recovered(t *testing.T, f *rig.Fleet) {
	t.Helper()
	recoveredFrom(t, f, time.Now())
}

// recoveredFrom is recovered, counted from some time on.
func recoveredFrom(t *testing.T, f *rig.Fleet, start time.Time) {
	t.Helper()
	for _, r := range f.Nodes {
		r.Ready()
	}
	t.Logf("ready again after %v", time.Since(start).Round(10*time.Millisecond))
}

// copied copies what a server has on disk.
func copied(t *testing.T, s *redisd.Server, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-r", filepath.Join(s.Dir, "appendonlydir"), to).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
}

// TestStoreSick freezes the store, fills it, and makes it a replica that takes no writes, under
// load: clean mail flows, what must be held is put off, and all is well soon after.
func TestStoreSick(t *testing.T) {
	s, other := single(t), single(t)
	f, _ := fleet(t, at(s.Addr), 2, outward)
	stays := decided(t, f)
	lasting := pick(60*time.Second, 15*time.Second)
	faults := []struct {
		name        string
		begin, heal func()
	}{
		{"frozen", func() { must(t, s.Stop()) }, func() { must(t, s.Continue()) }},
		{"full", func() { admin(t, s, "CONFIG", "SET", "maxmemory", "1mb") }, func() { admin(t, s, "CONFIG", "SET", "maxmemory", "0") }},
		{"read-only", func() { admin(t, s, "REPLICAOF", "127.0.0.1", port(other.Addr)) }, func() { admin(t, s, "REPLICAOF", "NO", "ONE") }},
		{"killed", s.Kill, func() { s.Run(t) }},
		{"wanting replicas", func() { admin(t, s, "CONFIG", "SET", "min-replicas-to-write", "1") }, func() { admin(t, s, "CONFIG", "SET", "min-replicas-to-write", "0") }},
		{"without us", func() { admin(t, s, "ACL", "SETUSER", rig.User, "off") }, func() { admin(t, s, "ACL", "SETUSER", rig.User, "on") }},
	}
	rep := underLoad(t, f, load(f, 32), func() {
		for _, fault := range faults[:pick(len(faults), 3)] { // the named tests have the others
			<-time.After(2 * time.Second)
			fault.begin()
			t.Logf("%s", fault.name)
			<-time.After(lasting)
			fault.heal()
			recovered(t, f)
		}
	})
	if rep.Refused > 0 {
		t.Errorf("%d copies were refused though only the store was sick", rep.Refused)
	}
	stays()
}
