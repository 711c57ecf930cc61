package nodes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/gateway"
	"postern/internal/alert"
	"postern/internal/mailtest"
	"postern/internal/mailtest/redisd"
	"postern/quarantine"
	"postern/test/rig"
	"postern/test/world"
)

// apart puts n nodes into network namespaces of their own.
func apart(t *testing.T, store string, n int) (*rig.Fleet, *mailtest.Backend, []*world.Netns) {
	t.Helper()
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: rig.Mailboxes()})
	var all []rig.Options
	var spaces []*world.Netns
	for range n {
		o := outward
		o.Behind, o.In = b.Addr(), world.NewNetns(t)
		o.Listeners = strings.ReplaceAll(o.Listeners, `"127.0.0.1:0", networks: [127.0.0.0/8]`, fmt.Sprintf(`"%s:0", networks: [10.0.0.0/8]`, o.In.Inside))
		all, spaces = append(all, o), append(spaces, o.In)
	}
	return rig.NewFleet(t, store, all...), b, spaces
}

// clean and toHold send one message; the answer is nil, or what the gateway said.
func clean(r *rig.Rig) error { return send(r.Addr, rig.From, rig.Lax, "a letter") }
func toHold(r *rig.Rig) error {
	return send(r.Addr, rig.From, rig.Ada, fmt.Sprint(time.Now().UnixNano(), " of the load, dots"))
}

// away is what every fault of the store must look like from outside: clean mail is taken,
// what must be held is put off, nothing is refused for good.
func away(t *testing.T, what string, r *rig.Rig) {
	t.Helper()
	if err := clean(r); err != nil {
		t.Errorf("%s: clean mail: %v", what, err)
	}
	if err := toHold(r); err == nil || !strings.HasPrefix(err.Error(), "451") {
		t.Errorf("%s: mail that must be held: %v", what, err)
	}
}

// back waits until mail can be held again.
func back(t *testing.T, what string, r *rig.Rig) {
	t.Helper()
	start := time.Now()
	world.Await(t, what+": mail is held again", time.Minute, func() bool { return toHold(r) == nil })
	t.Logf("%s: mail is held again after %v", what, time.Since(start).Round(time.Millisecond))
	r.Ready()
}

// lines checks that the log says once in ten seconds that the store is away, and nothing of it
// beside that: not for each message. An alert is told by itself.
func lines(t *testing.T, r *rig.Rig) {
	t.Helper()
	var last time.Time
	for line := range strings.Lines(r.Log()) {
		if !strings.Contains(line, `"msg":"redis is away"`) {
			if strings.Contains(line, "redis is away") && !strings.Contains(line, `"msg":"alert"`) {
				t.Errorf("said beside the one line: %s", line)
			}
			continue
		}
		_, text, _ := strings.Cut(line, `"time":"`)
		at, err := time.Parse(time.RFC3339Nano, text[:strings.IndexByte(text, '"')])
		must(t, err)
		if !last.IsZero() && at.Sub(last) < 9*time.Second {
			t.Errorf("said twice within %v", at.Sub(last))
		}
		last = at
	}
	if last.IsZero() {
		t.Error("nobody said that the store was away")
	}
}

// F6: Redis is down at the start, and dies while mail flows.
func TestF6RedisDown(t *testing.T) {
	s := single(t)
	s.Kill()
	f, _, _ := apart(t, at(s.Addr), 1)
	r := f.Nodes[0]
	r.Start()
	for range 20 {
		away(t, "down at the start", r)
	}
	s.Run(t)
	back(t, "started", r)
	s.Kill()
	for range 20 {
		away(t, "killed", r)
	}
	s.Run(t)
	back(t, "started again", r)
	lines(t, r)
}

// F7: Redis hangs, or answers slowly.
func TestF7RedisHung(t *testing.T) {
	s := single(t)
	p := redisd.StartProxy(t, s.Addr)
	f, _, _ := apart(t, at(p.Addr), 1)
	r := f.Nodes[0]
	r.Start()
	r.Ready()
	usual := slowest(t, r)
	must(t, s.Stop())
	first := slowest(t, r) // until it is left alone
	later := slowest(t, r)
	t.Logf("clean mail takes at most %v, with the store hung %v, later %v", usual, first, later)
	if err := toHold(r); err == nil || !strings.HasPrefix(err.Error(), "451") {
		t.Errorf("mail that must be held: %v", err)
	}
	must(t, s.Continue())
	back(t, "hung", r)
	p.Latency(300 * time.Millisecond)
	for range 20 {
		if err := clean(r); err != nil {
			t.Error(err)
		}
	}
	p.Latency(0)
	back(t, "slow", r)
	lines(t, r)
}

// slowest is the longest of twenty clean messages.
func slowest(t *testing.T, r *rig.Rig) (most time.Duration) {
	t.Helper()
	for range 20 {
		start := time.Now()
		if err := clean(r); err != nil {
			t.Error(err)
		}
		most = max(most, time.Since(start))
	}
	return most.Round(time.Millisecond)
}

// F8: Redis refuses.
func TestF8RedisRefuses(t *testing.T) {
	s, empty := single(t), single(t)
	f, _, _ := apart(t, at(s.Addr), 1)
	r := f.Nodes[0]
	r.Start()
	r.Ready()
	back(t, "at first", r)
	set := func(name, value string) func() {
		return func() { admin(t, s, "CONFIG", "SET", name, value) }
	}
	for _, c := range []struct {
		name        string
		begin, heal func()
	}{
		{"OOM", set("maxmemory", "1"), set("maxmemory", "0")},
		{"NOREPLICAS", set("min-replicas-to-write", "1"), set("min-replicas-to-write", "0")},
		{"READONLY", func() { admin(t, s, "REPLICAOF", "127.0.0.1", port(empty.Addr)) }, func() { admin(t, s, "REPLICAOF", "NO", "ONE") }},
		{"MASTERDOWN", func() {
			admin(t, s, "CONFIG", "SET", "replica-serve-stale-data", "no")
			admin(t, s, "REPLICAOF", "127.0.0.1", "1")
		}, func() { admin(t, s, "REPLICAOF", "NO", "ONE") }},
		{"NOAUTH", func() {
			admin(t, s, "ACL", "SETUSER", rig.User, "off")
			admin(t, s, "CLIENT", "KILL", "USER", rig.User)
		}, func() { admin(t, s, "ACL", "SETUSER", rig.User, "on") }},
		{"NOPERM", func() { admin(t, s, "ACL", "SETUSER", rig.User, "-eval", "-hset") }, func() { admin(t, s, "ACL", "SETUSER", rig.User, "+eval", "+hset") }},
	} {
		c.begin()
		for range 5 {
			away(t, c.name, r)
		}
		c.heal()
		back(t, c.name, r)
	}
	lines(t, r)
}

// F8: everything that is there has another type than it should.
func TestF8WrongTypes(t *testing.T) {
	s := single(t)
	f, _, _ := apart(t, at(s.Addr), 1)
	r := f.Nodes[0]
	r.Start()
	r.Ready()
	back(t, "at first", r)
	c := s.Client()
	defer c.Close()
	keys, err := c.Keys(t.Context(), "*").Result()
	must(t, err)
	for _, k := range keys {
		must(t, c.Del(t.Context(), k).Err())
		must(t, c.LPush(t.Context(), k, "x", "y").Err())
	}
	t.Logf("%d keys are lists now", len(keys))
	for range 5 {
		if err := clean(r); err != nil {
			t.Error(err)
		}
		if err := toHold(r); err != nil && !strings.HasPrefix(err.Error(), "451") {
			t.Error(err)
		}
	}
	admin(t, s, "FLUSHALL")
	back(t, "emptied", r)
}

// F9: a failover loses writes that the dead master had acknowledged.
func TestF9FailoverLosesWrites(t *testing.T) {
	s := sentinel(t, 1)
	f, _ := fleet(t, atSentinel(s), 2, outward)
	master := s.Master(t)
	replica := s.Servers[slices.IndexFunc(s.Servers, func(x *redisd.Server) bool { return x != master })]
	must(t, replica.Stop()) // what follows does not reach it
	for range 5 {
		if err := toHold(f.Nodes[0]); err != nil {
			t.Fatal(err)
		}
	}
	before := ids(f.Nodes[0].Holds())
	f.Nodes[1].Call("account.suspend", calls.AccountChange{Name: "ann@example.com", Reason: "spam"}, nil)
	f.Nodes[1].Call("blocklist.add", blocklist.Entry{Value: "bad@evil.example", Scope: "all"}, nil)
	master.Kill()
	must(t, replica.Continue())
	s.Failover(t, master)
	world.Await(t, "all holds are there again", time.Minute, func() bool {
		var page quarantine.Page
		return f.Nodes[1].TryCall("quarantine.list", calls.Search{Limit: 100}, &page) == nil && slices.Equal(ids(page.Holds), before)
	})
	world.Await(t, "the decisions are in the store again", time.Minute, func() bool {
		c := replica.Client()
		defer c.Close()
		keys, err := c.Keys(t.Context(), "*{dec}*").Result()
		return err == nil && len(keys) > 0
	})
	for _, r := range f.Nodes {
		world.Await(t, "the suspension counts", time.Minute, func() bool { return send(r.Addrs["out"], "ann@example.com", rig.Lax, "out") != nil })
		world.Await(t, "the list entry counts", time.Minute, func() bool { return send(r.Addr, "bad@evil.example", rig.Lax, "x") != nil })
	}
}

func ids(holds []quarantine.Hold) (out []string) {
	for _, h := range holds {
		out = append(out, h.ID)
	}
	slices.Sort(out)
	return out
}

// F10: answers are left out, so that each later one belongs to another question, and come in
// pieces.
func TestF10AnswersShift(t *testing.T) {
	s := single(t)
	p := redisd.StartProxy(t, s.Addr)
	f, b := fleet(t, at(p.Addr), 1, rig.Options{})
	r := f.Nodes[0]
	p.Slice(true)
	for i := range pick(300, 60) {
		if i%3 == 0 {
			p.Swallow(1 + i%5)
		}
		_ = clean(r)
		_ = toHold(r)
		var page quarantine.Page
		_ = r.TryCall("quarantine.list", calls.Search{Limit: 10}, &page)
		for _, h := range page.Holds {
			var raw calls.Raw
			if r.TryCall("quarantine.raw", calls.ID{ID: h.ID}, &raw) == nil && (raw.Hold.ID != h.ID || !strings.Contains(string(raw.Body), h.Subject)) {
				t.Fatalf("asked for %s (%s), got %s with\n%s", h.ID, h.Subject, raw.Hold.ID, raw.Body)
			}
		}
	}
	p.Slice(false)
	back(t, "shifted", r)
	for _, tx := range b.Transactions() {
		if tx.Complete && strings.Contains(string(tx.Body), "of the load, dots") {
			t.Error("mail that must be held was delivered")
		}
	}
	if _, bad := r.Verify(); len(bad) > 0 {
		t.Errorf("damaged holds: %v", bad)
	}
}

// F11: the store is emptied.
func TestF11RedisFlushed(t *testing.T) {
	s := single(t)
	f, b, _ := apart(t, at(s.Addr), 2)
	f.Start()
	stays := decided(t, f)
	for range 5 {
		if err := toHold(f.Nodes[0]); err != nil {
			t.Fatal(err)
		}
	}
	before, taken := ids(f.Nodes[1].Holds()), complete(b)
	admin(t, s, "FLUSHALL")
	for _, r := range f.Nodes {
		if err := clean(r); err != nil {
			t.Errorf("clean mail after it: %v", err)
		}
	}
	world.Await(t, "all holds are there again", 2*time.Minute, func() bool { return slices.Equal(ids(f.Nodes[1].Holds()), before) })
	stays()
	if got := complete(b) - taken; got != 2 { // the two clean ones
		t.Errorf("%d more messages arrived behind, want 2", got)
	}
}

// F42: the nodes are cut off from the store, each decides for itself, and they meet again.
func TestF42Partition(t *testing.T) {
	s := single(t)
	f, b, spaces := apart(t, at(s.Addr), 2)
	f.Start()
	one, two := f.Nodes[0], f.Nodes[1]
	if err := toHold(one); err != nil {
		t.Fatal(err)
	}
	held := one.Holds()[0]
	decide := func(r *rig.Rig, name, who string) {
		t.Helper()
		r.Call("account."+name, calls.AccountChange{Name: who, Reason: "test"}, nil)
	}
	decide(one, "suspend", "both@example.com")
	spaces[0].Cut(port(s.Addr))
	away(t, "cut off", one)
	decide(one, "suspend", "ann@example.com") // while the other knows nothing of it
	decide(one, "restore", "both@example.com")
	decide(two, "suspend", "bea@example.com")
	decide(two, "suspend", "both@example.com") // again: the two do not agree
	var h quarantine.Hold
	two.Call("quarantine.release", calls.ID{ID: held.ID}, &h)
	if h.State != quarantine.Released {
		t.Fatalf("released: %s", h.State)
	}
	if err := one.TryCall("quarantine.release", calls.ID{ID: held.ID}, nil); err == nil {
		t.Error("a node without its store released a hold")
	}
	admin(t, s, "FLUSHALL") // and the store forgets, which only the node in reach sees at once
	spaces[0].Mend()
	back(t, "mended", one)
	for _, r := range f.Nodes {
		for _, who := range []string{"ann@example.com", "bea@example.com", "both@example.com"} {
			world.Await(t, who+" is suspended everywhere", time.Minute, func() bool {
				var a abuse.Account
				return r.TryCall("account.show", calls.AccountChange{Name: who}, &a) == nil && a.State == abuse.Suspended
			})
		}
		world.Await(t, "the release is known", 2*time.Minute, func() bool {
			var now quarantine.Hold
			return r.TryCall("quarantine.show", calls.ID{ID: held.ID}, &now) == nil && now.State == quarantine.Released
		})
	}
	copies := 0
	for _, tx := range b.Transactions() {
		if tx.Complete && strings.Contains(string(tx.Body), held.Subject) {
			copies++
		}
	}
	if copies != 1 {
		t.Errorf("%d copies of the released hold arrived", copies)
	}
}

// F43: a node runs older rules.
func TestF43NodeLags(t *testing.T) {
	s := single(t)
	f, b, _ := apart(t, at(s.Addr), 2)
	f.Nodes[1].WriteFile("rules.d/more.yaml", "symbols:\n  SPF_FAIL: {score: 1.75, describe: Other than elsewhere}\n")
	f.Start()
	for _, r := range f.Nodes {
		if err := clean(r); err != nil {
			t.Fatal(err)
		}
	}
	revisions := map[string]bool{}
	for _, tx := range b.Transactions() {
		if _, rest, ok := strings.Cut(string(tx.Body), "rules="); ok && tx.Complete {
			rev, _, _ := strings.Cut(rest, ";")
			revisions[rev] = true
		}
	}
	if len(revisions) != 2 {
		t.Errorf("the verdicts name the revisions %v, want two", revisions)
	}
	var st gateway.Status
	world.Await(t, "the drift is seen", time.Minute, func() bool {
		f.Nodes[0].Call("status", struct{}{}, &st)
		return len(st.Store.Drift) > 0
	})
	t.Logf("%q", st.Store.Drift)
	if len(st.Store.Nodes) != 2 || !strings.Contains(strings.Join(st.Store.Drift, " "), "mx2.example.com") {
		t.Errorf("nodes %+v, drift %q", st.Store.Nodes, st.Store.Drift)
	}
	world.Await(t, "an alert says so", time.Minute, func() bool {
		f.Nodes[0].Call("status", struct{}{}, &st)
		return slices.ContainsFunc(st.Alerts, func(a alert.Alert) bool { return strings.HasPrefix(a.Key, "drift") })
	})
}
