package nodes_test

import (
	"bytes"
	"fmt"
	"net/smtp"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/blocklist"
	"postern/cmd/postern/calls"
	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/internal/mailtest/redisd"
	"postern/internal/relay/outbox"
	"postern/quarantine"
	"postern/test/rig"
	"postern/test/world"
)

// owed is a mailbox whose server has no room just now.
const owed = "owed@example.com"

// busyBehind takes mail for everybody but owed.
func busyBehind() mailtest.Script {
	return mailtest.Script{LMTP: true, Mailboxes: append(rig.Mailboxes(), owed), EndFor: map[string]mailtest.Step{owed: {Reply: "451 4.2.2 later"}}}
}

// houses are two nodes, prepared to work on one Redis; nothing runs yet.
func houses(t *testing.T) (*rig.Fleet, *mailtest.Backend, *redisd.Server) {
	t.Helper()
	s := single(t)
	b := mailtest.NewBackend(t, busyBehind())
	o := outward
	o.Behind = b.Addr()
	f := rig.NewFleet(t, at(s.Addr), o, o)
	b.Set(onlyLoad(f.Nodes[0].Behind(busyBehind())))
	for _, r := range f.Nodes {
		rewrite(t, r, "tls: none}]", "tls: none, protocol: lmtp}]")
		r.WriteFile("rules.d/doubt.yaml", `patterns:
  - {id: LOAD_DOUBT, describe: A doubtful message, in: subject, match: 'a doubtful offer', score: 4.8, tests: {hit: ["a doubtful offer"], miss: ["an offer"]}}
`)
	}
	return f, b, s
}

// rewrite changes a node's configuration, for its next start.
func rewrite(t *testing.T, r *rig.Rig, old, new string) {
	t.Helper()
	text, err := os.ReadFile(r.Config)
	must(t, err)
	if !strings.Contains(string(text), old) {
		t.Fatalf("%q is not in\n%s", old, text)
	}
	r.Write(strings.ReplaceAll(string(text), old, new))
}

// goods is what a node had before it moved.
type goods struct {
	what  string
	holds []quarantine.Hold
	owed  []outbox.Entry
}

const (
	outcast = "outcast@example.com" // is suspended
	pest    = "pest@evil.example"   // stands in the own list
)

func owing(what string, i int) string { return fmt.Sprintf("%s owed %d.", what, i) }

// stocked fills the home of a node with some of everything.
func stocked(t *testing.T, r *rig.Rig, what string, holds int) (all goods) {
	t.Helper()
	all.what = what
	for i := range holds {
		must(t, send(r.Addr, rig.From, rig.Ada, fmt.Sprintf("%s %d. of the load, dots", what, i)))
	}
	for i := range 3 {
		must(t, smtpSend(r.Addr, rig.From, owing(what, i), rig.Lax, owed))
	}
	r.Call("account.suspend", calls.AccountChange{Name: outcast, Reason: "spam"}, nil)
	r.Call("blocklist.add", blocklist.Entry{Value: pest, Scope: "all", Reason: "spam"}, nil)
	if err := send(r.Addr, "odd@sender.example", rig.Ada, "a doubtful offer"); err == nil || !strings.HasPrefix(err.Error(), "451") {
		t.Errorf("a stranger's doubtful mail: %v", err)
	}
	all.holds = r.Holds()
	r.Call("outbox.list", calls.Paging{Limit: 100}, &all.owed)
	if len(all.holds) != holds || len(all.owed) != 3 {
		t.Fatalf("%d holds, %d owed", len(all.holds), len(all.owed))
	}
	return all
}

func smtpSend(addr, from, subject string, to ...string) error {
	return smtp.SendMail(addr, nil, from, to, fmt.Appendf(nil, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%d@load.example>\r\n\r\nhello\r\n",
		from, strings.Join(to, ", "), subject, time.Now().Format(time.RFC1123Z), time.Now().UnixNano()))
}

// arrived checks that everything is in the home of these nodes.
func (g goods) arrived(t *testing.T, b *mailtest.Backend, nodes ...*rig.Rig) {
	t.Helper()
	for i, r := range nodes {
		for _, h := range g.holds {
			var raw calls.Raw
			r.Call("quarantine.raw", calls.ID{ID: h.ID}, &raw)
			if raw.Hold.State != quarantine.Held || raw.Hold.SHA256 != h.SHA256 || !bytes.Contains(raw.Body, []byte(h.Subject)) {
				t.Errorf("node %d: %s is %s with %q", i, h.Subject, raw.Hold.State, raw.Body)
			}
		}
		var all []outbox.Entry
		r.Call("outbox.list", calls.Paging{Limit: 100}, &all)
		if len(all) != len(g.owed) {
			t.Errorf("node %d owes %d, want %d", i, len(all), len(g.owed))
		}
		world.Await(t, "the suspended account stays suspended", 20*time.Second, func() bool { return send(r.Addrs["out"], outcast, rig.Lax, "x") != nil })
		world.Await(t, "the own list counts", 20*time.Second, func() bool { return send(r.Addr, pest, rig.Lax, "x") != nil })
		said(t, r, 0, "unbroken", "audit", "verify")
		said(t, r, 0, "odd@sender.example", "greylist", "list")
		world.Await(t, "trace finds the old mail, each once", 30*time.Second, func() bool {
			out, _, _ := r.Run("trace", "--subject", g.holds[0].Subject)
			return strings.Count(out, g.holds[0].Subject) == 1
		})
	}
	for i := range g.owed {
		if n := copiesFor(b, owed, owing(g.what, i)); n != 0 {
			t.Errorf("%d of the outbox was delivered %d times while its server was busy", i, n)
		}
	}
}

// handed delivers everything that arrived: each hold is released from all nodes at once, each
// entry of the outbox is tried.
func (g goods) handed(t *testing.T, f *rig.Fleet, b *mailtest.Backend, nodes ...*rig.Rig) {
	t.Helper()
	ended(t, &rig.Fleet{Nodes: nodes}, b, g.holds)
	s := busyBehind()
	s.EndFor = nil
	b.Set(onlyLoad(f.Nodes[0].Behind(s)))
	for i, e := range g.owed {
		_, _, _ = nodes[i%len(nodes)].Run("outbox", "retry", e.ID) // the worker may have been quicker
	}
	world.Await(t, "nothing is owed", time.Minute, func() bool {
		var all []outbox.Entry
		return nodes[0].TryCall("outbox.list", calls.Paging{Limit: 100}, &all) == nil && len(all) == 0
	})
	for i := range g.owed {
		if n := copiesFor(b, owed, owing(g.what, i)); n != 1 {
			t.Errorf("%d of the outbox was delivered %d times", i, n)
		}
	}
}

// copiesFor counts what one mailbox was given of a message.
func copiesFor(b *mailtest.Backend, mailbox, words string) (n int) {
	for _, tx := range b.Transactions() {
		if i := slices.Index(tx.To, mailbox); i >= 0 && tx.Complete && bytes.Contains(tx.Body, []byte(words)) && strings.HasPrefix(tx.Replies[min(i, len(tx.Replies)-1)], "2") {
			n++
		}
	}
	return n
}

// said runs a command and checks its exit code and a word of what it says.
func said(t *testing.T, r *rig.Rig, code int, word string, args ...string) string {
	t.Helper()
	out, errs, got := r.Run(args...)
	if got != code || !strings.Contains(out+errs, word) {
		t.Errorf("%v: exit code %d, want %d with %q\n%s%s", args, got, code, word, out, errs)
	}
	return out + errs
}

// figures reads "N holds" and the like from the last line of a move.
func figures(t *testing.T, out string) map[string]string {
	t.Helper()
	all := map[string]string{}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, m := range regexp.MustCompile(`(\d+) ([a-z ]+)`).FindAllStringSubmatch(lines[len(lines)-1], -1) {
		all[m[2]] = m[1]
	}
	return all
}

func hasFigures(t *testing.T, out string, want map[string]string) {
	t.Helper()
	got := figures(t, out)
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s %s, want %s:\n%s", got[name], name, n, out)
		}
	}
}

// books balances what the load sent against what both homes keep of it.
func books(t *testing.T, f *rig.Fleet, out ledger.Result) {
	t.Helper()
	f.Excuse()
	kept := map[ledger.Copy]bool{}
	for _, r := range f.Nodes {
		for _, h := range r.Holds() {
			for _, to := range h.To {
				if strings.HasPrefix(h.Subject, "message ") {
					kept[ledger.Copy{SHA256: h.SHA256, Recipient: to}] = true
				}
			}
		}
	}
	var all []ledger.Copy
	for c := range kept {
		all = append(all, c)
	}
	rep := f.Book.Report(all...)
	t.Logf("%s\n%s", out, rep)
	if !rep.OK() || len(rep.Unfinished) > 0 {
		t.Errorf("the book does not balance: ambiguous %v, unfinished %d", rep.Ambiguous, len(rep.Unfinished))
	}
}

// gentle is a load that leaves a move room.
func gentle(f *rig.Fleet, seed uint64) ledger.Load {
	l := load(f, seed)
	l.Parallel = pick(20, 3)
	return l
}

// settle changes the home of a node that is down, or ends it first, and starts it.
func settle(t *testing.T, r *rig.Rig, from, to string) {
	t.Helper()
	if err := r.Stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	rewrite(t, r, "home: "+from, "home: "+to)
	r.Start()
	r.Ready()
}

// TestMove takes a node with all it has from the embedded home to Redis and back, while mail
// flows and another node works on Redis; the server is killed in the middle.
func TestMove(t *testing.T) {
	f, b, _ := houses(t)
	one, two := f.Nodes[0], f.Nodes[1]
	rewrite(t, one, "home: redis", "home: local")
	f.Start()
	old := stocked(t, one, "old", 40)
	settle(t, one, "local", "redis")
	if !strings.Contains(one.Log(), "the embedded home still keeps mail") || !strings.Contains(one.Log(), `"left":43`) {
		t.Error("the log does not say that mail was left behind")
	}
	out := loaded(t, gentle(f, 51), func() {
		killedInside(t, one, two)
		text := said(t, one, 0, "holds", "store", "move")
		t.Log(text)
		hasFigures(t, text, map[string]string{"outbox entries": "3"})
		old.arrived(t, b, one, two)
		text = said(t, two, 0, "0 holds, 0 outbox entries", "store", "move") // it has nothing
		t.Log(text)
		text = said(t, one, 0, "holds", "store", "move")
		hasFigures(t, text, map[string]string{"holds": "0", "outbox entries": "0", "list entries": "0", "accounts": "0", "reports": "0", "greylisted": "0"})
		old.arrived(t, b, one, two)
		removed(t, f)
	})
	books(t, f, out)
	old.handed(t, f, b, one, two)
}

// killedInside kills the server of one in the middle of its move, and starts it again.
func killedInside(t *testing.T, one, two *rig.Rig) {
	t.Helper()
	one.Call("store.move", struct{}{}, nil)
	world.Await(t, "the first hold has moved", time.Minute, func() bool {
		var page quarantine.Page
		return two.TryCall("quarantine.list", calls.Search{Text: "old", Limit: 1}, &page) == nil && len(page.Holds) > 0
	})
	one.Kill()
	one.Start()
	one.Ready()
	t.Logf("killed when %d had moved", strings.Count(said(t, two, 0, "ID", "quarantine", "list", "--limit", "1000", "old"), "old "))
}

// removed removes a list entry and restores an account after a move: running it again does not
// bring them back.
func removed(t *testing.T, f *rig.Fleet) {
	t.Helper()
	one, two := f.Nodes[0], f.Nodes[1]
	two.Call("blocklist.remove", calls.ID{ID: "block " + pest + " all"}, nil)
	two.Call("account.restore", calls.AccountChange{Name: outcast, Reason: "clean"}, nil)
	free := func() bool {
		return send(one.Addr, pest, rig.Lax, "x") == nil && send(one.Addrs["out"], outcast, rig.Lax, "x") == nil
	}
	world.Await(t, "both are free on the node that moved", 20*time.Second, free)
	hasFigures(t, said(t, one, 0, "holds", "store", "move"), map[string]string{"list entries": "0", "accounts": "0"})
	if !free() {
		t.Error("moving again brought back what was removed")
	}
}

// TestMoveBack takes a node from Redis to its embedded home while another one stays on Redis
// and releases what is being moved.
func TestMoveBack(t *testing.T) {
	f, b, _ := houses(t)
	one, two := f.Nodes[0], f.Nodes[1]
	f.Start()
	old := stocked(t, one, "old", 40)
	settle(t, one, "redis", "local")
	out := loaded(t, gentle(f, 52), func() {
		racing := make(chan struct{})
		go func() { // newest first, as the move
			defer close(racing)
			for i, h := range old.holds {
				if i%2 == 0 {
					_ = two.TryCall("quarantine.release", calls.ID{ID: h.ID}, nil)
				}
			}
		}()
		moved, errs, code := one.Run("store", "move")
		<-racing
		t.Logf("%s%s%d", moved, errs, code)
		if code > 1 {
			t.Errorf("%d %s", code, errs)
		}
		said(t, one, 0, "holds", "store", "move")
	})
	released := 0
	for _, h := range old.holds {
		n := copies(b, h.Subject)
		var here, there quarantine.Hold
		errHere := one.TryCall("quarantine.show", calls.ID{ID: h.ID}, &here)
		errThere := two.TryCall("quarantine.show", calls.ID{ID: h.ID}, &there)
		open := errHere == nil && here.State.Open()
		switch {
		case n == 0 && open && errThere == nil && there.State == quarantine.Deleted && there.Ended.By == "store move to local":
		case n == 1 && !open && there.State == quarantine.Released:
			released++
		default:
			t.Errorf("%s: %d copies; here %s (%v), there %s (%v)", h.Subject, n, here.State, errHere, there.State, errThere)
		}
	}
	t.Logf("%d of %d were released on Redis meanwhile", released, len(old.holds))
	old.holds = slices.DeleteFunc(old.holds, func(h quarantine.Hold) bool { return copies(b, h.Subject) > 0 })
	old.arrived(t, b, one)
	books(t, f, out)
	old.handed(t, f, b, one)
}
