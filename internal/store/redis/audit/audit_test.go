package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/mailtest/redisd"
	"postern/internal/record"
	"postern/internal/store/redis/audit"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/redis/sealed"
	"postern/internal/store/storetest/recordtest"
)

const key = "postern:{audit}:log"

// node is one node of the tests.
type node struct {
	*audit.Audit
	t    *testing.T
	name string
	file string
	addr string // or several of a cluster
	now  func() time.Time

	mu     sync.Mutex
	events []string
}

func newNode(t *testing.T, name, addr string) *node {
	return &node{t: t, name: name, addr: addr, file: filepath.Join(t.TempDir(), "audit"), now: time.Now}
}

func (n *node) start() *node {
	n.t.Helper()
	log := slog.New(slog.NewTextHandler(n.t.Output(), nil)).With("node", n.name)
	c := redistest.Connect(n.t, conn.Options{Addrs: strings.Fields(n.addr), User: redistest.User, Password: redisd.Password, Log: log})
	a, err := audit.Open(audit.Options{File: n.file, Conn: c, Ring: redistest.Ring(n.t), Node: n.name, Now: func() time.Time { return n.now() }, Log: log, Event: func(key, _ string, over bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if over {
			key = "over " + key
		}
		n.events = append(n.events, key)
	}})
	if err != nil {
		n.t.Fatal(err)
	}
	n.Audit = a
	n.t.Cleanup(func() { a.Close() })
	return n
}

func (n *node) restart() *node {
	n.t.Helper()
	n.Close()
	return n.start()
}

func (n *node) write(objects ...string) (last record.Entry) {
	n.t.Helper()
	for _, o := range objects {
		var err error
		if last, err = n.Append(n.t.Context(), record.Entry{Time: n.now(), Actor: "me", Action: "suspend", Object: o, Note: "note"}); err != nil {
			n.t.Fatal(err)
		}
	}
	return last
}

// settle waits until nothing waits for the store; after an outage the connection rests a while.
func (n *node) settle() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 30*time.Second)
	defer cancel()
	for err := n.Lost(ctx); err != nil || n.Pending() > 0; err = n.Lost(ctx) {
		select {
		case <-ctx.Done():
			n.t.Fatalf("%d entries of %s wait: %v", n.Pending(), n.name, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// objects checks the chain and returns what its entries are about, in order.
func (n *node) objects() (all []string) {
	n.t.Helper()
	if _, err := record.Verify(n.t.Context(), n); err != nil {
		n.t.Error(err)
	}
	entries, err := n.Entries(n.t.Context(), 0, 1000)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Object)
	}
	return all
}

func (n *node) wantObjects(want ...string) {
	n.t.Helper()
	if got := n.objects(); !slices.Equal(got, want) {
		n.t.Errorf("the chain is about %q, want %q", got, want)
	}
}

func admin(t *testing.T, s *redisd.Server) *redis.Client {
	c := s.Client()
	t.Cleanup(func() { c.Close() })
	return c
}

func flush(t *testing.T, c *redis.Client) {
	t.Helper()
	if err := c.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestSuite(t *testing.T) {
	t.Run("redis", func(t *testing.T) {
		recordtest.Audit(t, newNode(t, "a", redistest.Server(t).Addr).start())
	})
	t.Run("miniredis", func(t *testing.T) {
		a, err := audit.Open(audit.Options{File: filepath.Join(t.TempDir(), "audit"), Conn: redistest.Mini(t), Ring: redistest.Ring(t), Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		recordtest.Audit(t, a)
	})
}

// TestManyWriters: of all that append at once on two nodes nobody is turned away, and the chain
// has each entry once.
func TestManyWriters(t *testing.T) {
	s := redistest.Server(t)
	nodes := []*node{newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()}
	const writers, each = 16, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			n := nodes[w%2]
			for i := range each {
				e, err := n.Append(t.Context(), record.Entry{Time: n.now(), Object: fmt.Sprint(w, "-", i)})
				if err != nil || e.Seq == 0 {
					t.Errorf("entry %d, %v", e.Seq, err)
				}
			}
		})
	}
	wg.Wait()
	all := nodes[0].objects()
	slices.Sort(all)
	if len(slices.Compact(all)) != writers*each {
		t.Errorf("%d entries", len(all))
	}
}

// TestWithoutStore: what is done while the store is away is written down on the node, survives
// its restart and gets its number when the store is back.
func TestWithoutStore(t *testing.T) {
	s := redistest.Server(t)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.write("one")
	s.Kill()
	if e := a.write("two", "three"); e.Seq != 0 || e.Object != "three" {
		t.Errorf("without the store: %+v", e)
	}
	b.write("four")
	if _, err := a.Entries(t.Context(), 0, 5); !errors.Is(err, conn.ErrAway) {
		t.Errorf("Entries: %v", err)
	}
	if _, err := a.Append(t.Context(), record.Entry{Before: json.RawMessage("{")}); err == nil {
		t.Error("an entry that is no JSON was taken")
	}
	a.restart()
	a.write("five")
	if n := a.Pending(); n != 3 {
		t.Errorf("%d entries wait", n)
	}
	s.Run(t)
	a.settle()
	b.settle()
	a.wantObjects("one", "two", "three", "five", "four")
	a.restart().settle()
	a.write("six")
	a.wantObjects("one", "two", "three", "five", "four", "six")
}

// TestHungStore: an entry whose fate is not known is in the chain once in the end.
func TestHungStore(t *testing.T) {
	s := redistest.Server(t)
	a := newNode(t, "a", s.Addr).start()
	a.write("one")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if e := a.write("two", "three"); e.Seq != 0 {
		t.Errorf("a silent store gave number %d", e.Seq)
	}
	a.restart()
	if err := s.Continue(); err != nil {
		t.Fatal(err)
	}
	a.settle()
	a.wantObjects("one", "two", "three")
}

// TestAnswerLost: the store took entries and the node never heard of it, since it was killed
// before it could write that down; also when the chain was cut in between.
func TestAnswerLost(t *testing.T) {
	s := redistest.Server(t)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.write("one")
	s.Kill()
	a.write("two", "three")
	before, err := os.ReadFile(a.file)
	if err != nil {
		t.Fatal(err)
	}
	s.Run(t)
	a.settle()
	b.settle()
	b.write("four")
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(a.file, before, 0o600); err != nil {
			t.Fatal(err)
		}
		a.start().settle()
		a.wantObjects("one", "two", "three", "four")
	}
	flush(t, admin(t, s))
	b.settle() // says what was lost: four entries
	a.settle()
	a.wantObjects("entry 4", "four", "one", "two", "three")
}

// TestFlush: an emptied store starts a new chain; it begins by saying what was lost, once, and
// goes on with what each node had kept.
func TestFlush(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.write("a1")
	b.write("b1")
	last := a.write("a2")
	b.settle() // has seen entry 3
	flush(t, c)
	a.restart()
	a.write("a3")
	b.write("b2")
	a.wantObjects("entry 3", "a1", "a2", "a3", "b1", "b2")
	entries, err := a.Entries(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if e := entries[0]; e.Action != audit.ActionLost || !strings.Contains(e.Note, "up to entry 3, hash "+last.Hash) {
		t.Errorf("the first entry: %+v", e)
	}
	if e := entries[2]; !strings.Contains(e.Note, "was entry 3, hash "+last.Hash) || e.Time.After(entries[0].Time) {
		t.Errorf("an entry that was lost: %+v", e)
	}
	losses, err := audit.Losses(t.Context(), a)
	if err != nil || len(losses) != 1 || losses[0].Seq != 1 {
		t.Errorf("losses: %v, %v", losses, err)
	}
	a.settle()
	a.mu.Lock()
	if !slices.Contains(a.events, "audit-lost") {
		t.Errorf("said %v", a.events)
	}
	a.mu.Unlock()

	flush(t, c) // and again, found by the loop
	b.settle()
	a.settle()
	if got := a.objects(); len(got) != 7 || got[0] != "entry 6" || !slices.Contains(got, "a3") || !slices.Contains(got, "b2") {
		t.Errorf("after the second: %q", got)
	}
	for _, e := range must(a.Entries(t.Context(), 0, 10)) {
		if strings.Count(e.Note, "was entry") > 1 {
			t.Errorf("the note grows: %q", e.Note)
		}
	}
}

func must(all []record.Entry, err error) []record.Entry {
	if err != nil {
		return nil
	}
	return all
}

// TestOldDump: the store lost the end of the chain, and others have written on from there.
func TestOldDump(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.write("a1")
	b.write("b1")
	dump, err := c.Dump(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	a.write("a2", "a3")
	if err := c.RestoreReplace(t.Context(), key, 0, dump).Err(); err != nil {
		t.Fatal(err)
	}
	b.write("b2", "b3", "b4") // has not seen what was lost; the chain is longer than a has seen
	a.settle()
	a.wantObjects("a1", "b1", "b2", "b3", "b4", "entry 4", "a2", "a3")
	b.write("b5")
	a.settle()
	a.wantObjects("a1", "b1", "b2", "b3", "b4", "entry 4", "a2", "a3", "b5")
}

// TestForged: an entry that none of our nodes wrote in that place breaks the chain there.
func TestForged(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	ctx := t.Context()
	a := newNode(t, "a", s.Addr).start()
	a.write("one", "two", "three")
	raw, err := c.LRange(ctx, key, 0, -1).Result()
	if err != nil || len(raw) != 3 {
		t.Fatal(raw, err)
	}
	other, err := sealed.New([]byte("the key of somebody else"))
	if err != nil {
		t.Fatal(err)
	}
	for name, second := range map[string]string{
		"forged":  string(other.Seal("audit", "2", []byte(raw[1][20:]))),
		"changed": strings.Replace(raw[1], "two", "tow", 1),
		"moved":   raw[0],
		"empty":   "",
	} {
		if err := c.LSet(ctx, key, 1, second).Err(); err != nil {
			t.Fatal(err)
		}
		last, err := record.Verify(ctx, a)
		var broken *record.BrokenError
		if !errors.As(err, &broken) || broken.Seq != 2 || last.Seq != 1 {
			t.Errorf("%s: %v after %d", name, err, last.Seq)
		}
	}
	if err := c.LSet(ctx, key, 1, raw[1]).Err(); err != nil {
		t.Fatal(err)
	}
	a.wantObjects("one", "two", "three")
	if err := c.RPush(ctx, key, "no seal").Err(); err != nil {
		t.Fatal(err)
	}
	a.write("five") // goes on behind it: what is done is written down
	if _, err := record.Verify(ctx, a); err == nil {
		t.Error("a forged end was taken for good")
	}
	entries, err := a.Entries(ctx, 3, 5)
	if err != nil || len(entries) != 2 || entries[0].Action != audit.ActionForged || entries[1].Object != "five" {
		t.Errorf("entries %+v, %v", entries, err)
	}
	if err := c.Del(ctx, key).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(ctx, key, "no list", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if e := a.write("six"); e.Seq != 0 {
		t.Errorf("a key of another type gave number %d", e.Seq)
	}
}

// TestKept: what the store has had for long is forgotten on the node; what waits is not.
func TestKept(t *testing.T) {
	s := redistest.Server(t)
	c := admin(t, s)
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := newNode(t, "a", s.Addr)
	a.now = func() time.Time { return clock }
	a.start().write("old")
	s.Kill()
	a.write("waits")
	clock = clock.Add(audit.Keep + time.Minute)
	s.Run(t)
	a.settle()
	a.wantObjects("old", "waits")
	a.write("new")
	a.settle()
	flush(t, c)
	a.settle()
	a.wantObjects("entry 3", "new") // the old ones are lost, and it is said
}

// TestLoop: the loop gives the store what waits and says while it cannot.
func TestLoop(t *testing.T) {
	s := redistest.Server(t)
	a := newNode(t, "a", s.Addr).start()
	s.Kill()
	a.write("one")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range a.Loops() {
		wg.Go(func() { _ = run(ctx) })
	}
	said := func(word string) func() bool {
		return func() bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return slices.Contains(a.events, word)
		}
	}
	eventually(t, said("audit-waits"))
	s.Run(t)
	eventually(t, said("over audit-waits"))
	cancel()
	wg.Wait()
	a.wantObjects("one")
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not happen")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
