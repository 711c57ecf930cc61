package nodes_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/blocklist"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/gateway"
	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/nodes"
	"postern/quarantine"
	"postern/test/rig"
	"postern/test/world"
)

// TestRollingRestart ends one node after the other under load, as an upgrade does, and starts
// it again: nobody notices but by a 421.
func TestRollingRestart(t *testing.T) {
	f, _ := fleet(t, at(single(t).Addr), 2, rig.Options{})
	rep := underLoad(t, f, load(f, 41), func() {
		for i := range pick(10, 1) * len(f.Nodes) {
			restart(t, f.Nodes[i%len(f.Nodes)], "")
		}
	})
	if rep.Refused > 0 {
		t.Errorf("%d copies were refused though nodes only restarted", rep.Refused)
	}
}

// restart ends a node with SIGTERM and starts it again, with another program where one is named.
func restart(t *testing.T, r *rig.Rig, bin string) {
	t.Helper()
	if err := r.Stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if bin != "" {
		r.Use(bin)
	}
	r.Start()
	r.Ready()
}

// TestUpgrade takes two nodes from one version to the next, one after the other, under load:
// each reads and ends what the other writes, before, between and after, and the version before
// is refused once the store is written in the new schema.
func TestUpgrade(t *testing.T) {
	before, now := world.Before(t), world.Binary(t)
	s := single(t)
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: rig.Mailboxes()})
	o := outward
	o.Behind = b.Addr()
	f := rig.NewFleet(t, at(s.Addr), o, o)
	b.Set(onlyLoad(f.Nodes[0].Behind(mailtest.Script{Mailboxes: rig.Mailboxes()})))
	for _, r := range f.Nodes {
		r.Use(before)
	}
	f.Start()
	stays := decided(t, f)
	out := loaded(t, load(f, 42), func() {
		crossed(t, f, b, "old and old")
		left := held(t, f, "left by the old ones")
		restart(t, f.Nodes[0], now)
		crossed(t, f, b, "new and old")
		restart(t, f.Nodes[1], now)
		crossed(t, f, b, "new and new")
		if long() {
			world.Await(t, "the nodes agree on the new schema", nodes.Agreed+nodes.Gone+time.Minute, func() bool { return schema(f.Nodes[0]) == 2 })
		} else {
			raise(t, s)
		}
		for _, r := range f.Nodes {
			world.Await(t, "the node writes the new schema", time.Minute, func() bool { return schema(r) == 2 })
		}
		crossed(t, f, b, "new and new, raised")
		ended(t, f, b, left)
		refused(t, f, before)
	})
	if rep := balanced(t, f, out); rep.Refused > 0 {
		t.Errorf("%d copies were refused though nodes were only upgraded", rep.Refused)
	}
	stays()
	for i, r := range f.Nodes {
		if out, errs, code := r.Run("audit", "verify"); code != 0 {
			t.Errorf("node %d: audit verify: %d %s %s", i, code, out, errs)
		}
	}
}

// onlyLoad keeps out of the book what is no message of the load.
func onlyLoad(s mailtest.Script) mailtest.Script {
	book := s.Done
	s.Done = func(tx mailtest.Transaction) {
		if ledger.ID(tx.Body) != "" {
			book(tx)
		}
	}
	return s
}

func schema(r *rig.Rig) int {
	var st gateway.Status
	if r.TryCall("status", struct{}{}, &st) != nil {
		return 0
	}
	return st.Store.Schema
}

// raise does what the nodes do by themselves once all of them have spoken the new schema for a
// minute.
func raise(t *testing.T, s *redisd.Server) {
	t.Helper()
	key := conn.DefaultPrefix + ":{nodes}:schema"
	if was := admin(t, s, "GET", key); was != "1" {
		t.Fatalf("the store is written in schema %q", was)
	}
	admin(t, s, "SET", key, "2")
}

// loaded runs a load while f does things. Nobody releases anything but f.
func loaded(t *testing.T, load ledger.Load, do func()) ledger.Result {
	t.Helper()
	enough := make(chan struct{})
	load.Until, load.Messages = enough, 1<<30
	var out ledger.Result
	done := make(chan error, 1)
	go func() {
		var err error
		out, err = load.Run(t.Context())
		done <- err
	}()
	do()
	close(enough)
	must(t, <-done)
	return out
}

// held makes every node hold a message, and returns the holds as the next node shows them.
func held(t *testing.T, f *rig.Fleet, what string) (all []quarantine.Hold) {
	t.Helper()
	for i, r := range f.Nodes {
		subject := fmt.Sprintf("%s %d of the load, dots", what, i)
		if err := send(r.Addr, rig.From, rig.Ada, subject); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		next := f.Nodes[(i+1)%len(f.Nodes)]
		world.Await(t, subject+" is listed", 20*time.Second, func() bool {
			var page quarantine.Page
			if next.TryCall("quarantine.list", calls.Search{Text: strings.ReplaceAll(what, ",", ""), Limit: 100}, &page) != nil {
				return false
			}
			at := slices.IndexFunc(page.Holds, func(h quarantine.Hold) bool { return h.Subject == subject })
			if at >= 0 {
				all = append(all, page.Holds[at])
			}
			return at >= 0
		})
	}
	return all
}

// ended reads each hold on every node and releases it from all of them at once: the server
// behind gets it once.
func ended(t *testing.T, f *rig.Fleet, b *mailtest.Backend, holds []quarantine.Hold) {
	t.Helper()
	for _, h := range holds {
		for i, r := range f.Nodes {
			var raw calls.Raw
			r.Call("quarantine.raw", calls.ID{ID: h.ID}, &raw)
			if raw.Hold.ID != h.ID || !bytes.Contains(raw.Body, []byte(h.Subject)) {
				t.Errorf("%s: node %d reads %s with %q", h.Subject, i, raw.Hold.ID, raw.Body)
			}
		}
		var wg sync.WaitGroup
		for i, r := range f.Nodes {
			wg.Go(func() {
				var out quarantine.Hold
				if err := r.TryCall("quarantine.release", calls.ID{ID: h.ID}, &out); err == nil && out.State != quarantine.Released && out.State != quarantine.Releasing {
					t.Errorf("%s: node %d: %s", h.Subject, i, out.State)
				}
			})
		}
		wg.Wait()
		for i, r := range f.Nodes {
			world.Await(t, fmt.Sprintf("%s: node %d knows that it is released", h.Subject, i), 20*time.Second, func() bool {
				var out quarantine.Hold
				return r.TryCall("quarantine.show", calls.ID{ID: h.ID}, &out) == nil && out.State == quarantine.Released
			})
		}
		if n := copies(b, h.Subject); n != 1 {
			t.Errorf("%s: %d copies arrived", h.Subject, n)
		}
	}
}

// copies counts messages with these words that the server behind took.
func copies(b *mailtest.Backend, words string) (n int) {
	for _, tx := range b.Transactions() {
		if tx.Complete && tx.Accepted() && bytes.Contains(tx.Body, []byte(words)) {
			n++
		}
	}
	return n
}

// crossed lets each of two nodes hold, list and suspend what the other one reads and ends.
func crossed(t *testing.T, f *rig.Fleet, b *mailtest.Backend, what string) {
	t.Helper()
	ended(t, f, b, held(t, f, what))
	for i, h := range held(t, f, what+" again") { // held by i, seen on the other, deleted there
		var out quarantine.Hold
		f.Nodes[1-i].Call("quarantine.delete", calls.ID{ID: h.ID}, &out)
		f.Nodes[i].Call("quarantine.show", calls.ID{ID: h.ID}, &out)
		if out.State != quarantine.Deleted {
			t.Errorf("%s: deleted on the other node, here it is %s", h.Subject, out.State)
		}
	}
	for i, r := range f.Nodes {
		other := f.Nodes[1-i]
		bad, who := fmt.Sprintf("bad%d@evil.example", i), fmt.Sprintf("bea%d@example.com", i)
		r.Call("blocklist.add", blocklist.Entry{Value: bad, Scope: "all", Reason: "spam"}, nil)
		r.Call("account.suspend", calls.AccountChange{Name: who, Reason: "spam"}, nil)
		blocked := func() bool { return send(other.Addr, bad, rig.Lax, "x") != nil }
		suspended := func() bool { return send(other.Addrs["out"], who, rig.Lax, "x") != nil }
		world.Await(t, what+": the entry counts on the other node", 20*time.Second, blocked)
		world.Await(t, what+": the suspension counts on the other node", 20*time.Second, suspended)
		other.Call("blocklist.remove", calls.ID{ID: "block " + bad + " all"}, nil)
		other.Call("account.restore", calls.AccountChange{Name: who, Reason: "clean"}, nil)
		world.Await(t, what+": the end of both counts here", 20*time.Second, func() bool {
			return send(r.Addr, bad, rig.Lax, "x") == nil && send(r.Addrs["out"], who, rig.Lax, "x") == nil
		})
	}
}

// refused checks that the program before cannot use the store any more, and says so, while mail
// flows on the other node.
func refused(t *testing.T, f *rig.Fleet, before string) {
	t.Helper()
	r := f.Nodes[1]
	if err := r.Stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	for _, words := range [][]string{{"serve"}, {"quarantine", "list"}} {
		_, errs, code := world.Run(t, before, append([]string{"-c", r.Config}, words...)...)
		if code != 3 || !strings.Contains(errs, "written in schema 2 and this version reads at most 1: install the version that the other nodes run") {
			t.Errorf("%v of the version before: %d %s", words, code, errs)
		}
	}
	if err := clean(f.Nodes[0]); err != nil {
		t.Errorf("clean mail meanwhile: %v", err)
	}
	r.Start()
	r.Ready()
}
