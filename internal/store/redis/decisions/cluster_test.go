package decisions_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/desktest"
)

// TestCluster: all of it on a cluster, over the death of the master that holds the decisions,
// which takes what it had not yet copied along.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six servers")
	}
	c := redisd.StartCluster(t, 3, 3, redisd.Options{ACL: conn.Rule(redistest.User, redisd.Password, conn.DefaultPrefix)})
	addrs := strings.Join(c.Addrs(), " ")
	desktest.Lists(t, newNode(t, "a", addrs).start().Lists())
	desktest.Accounts(t, newNode(t, "b", addrs).start().Accounts())
	a, b := newNode(t, "a", addrs).start(), newNode(t, "b", addrs).start()
	for i := range 20 {
		a.set(fmt.Sprint("account", i), abuse.Suspended)
		b.put(block(fmt.Sprint("192.0.2.", i)))
	}
	c.Fail(t, c.Master(t, hash))
	a.set("meanwhile", abuse.Suspended)
	a.sync()
	b.sync()
	a.sync()
	if !maps.Equal(a.Texts(), b.Texts()) {
		t.Error("the nodes differ")
	}
	for i := range 20 {
		b.wantState(fmt.Sprint("account", i), abuse.Suspended)
		a.wantHas(block(fmt.Sprint("192.0.2.", i)), true)
	}
	if n := newNode(t, "c", addrs).start(); !maps.Equal(a.Texts(), n.Texts()) {
		t.Error("a new node differs")
	}
}

// TestFileBroken: a node whose file takes nothing refuses to decide, but learns what others
// decided and says that something is wrong.
func TestFileBroken(t *testing.T) {
	s := redistest.Server(t)
	a, b := newNode(t, "a", s.Addr).start(), newNode(t, "b", s.Addr).start()
	a.set("x", abuse.Active)
	b.sync()
	b.Close() // its file takes nothing from now on
	a.set("x", abuse.Suspended)
	a.put(block("192.0.2.1"))
	if err := b.Sync(t.Context()); err == nil {
		t.Error("nobody was told that the file takes nothing")
	}
	b.wantState("x", abuse.Suspended)
	b.mu.Lock()
	if count(b.events, "decisions-file") != 1 {
		t.Errorf("said %v", b.events)
	}
	b.mu.Unlock()
	if err := b.Lists().PutListEntry(t.Context(), block("192.0.2.9")); err == nil {
		t.Error("a decision that is not on the disk was taken for good")
	}
	b.start()
	b.wantHas(block("192.0.2.1"), true)
}

// TestDamagedFile: what cannot be read is set aside and said; the store has it still.
func TestDamagedFile(t *testing.T) {
	s := redistest.Server(t)
	a := newNode(t, "a", s.Addr).start()
	for i := range 10 {
		a.put(block(fmt.Sprint("192.0.2.", i)))
	}
	want := a.Texts()
	a.Close()
	text, err := os.ReadFile(a.file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(a.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.start()
	if !maps.Equal(a.Texts(), want) {
		t.Error("what was damaged did not come back")
	}
	if count(a.events, "decisions-damaged") != 1 {
		t.Errorf("said %v", a.events)
	}
}

// TestRefusals: what cannot be kept is refused and leaves no trace.
func TestRefusals(t *testing.T) {
	s := redistest.Server(t)
	a := newNode(t, "a", s.Addr).start()
	ctx := t.Context()
	long := block("192.0.2.1")
	long.Reason = strings.Repeat("x", 20<<10)
	for name, err := range map[string]error{
		"a long reason":     a.Lists().PutListEntry(ctx, long),
		"a name of no text": a.Accounts().PutAccount(ctx, abuse.Account{Name: "\xff", Version: 1}),
		"no name":           a.Accounts().PutAccount(ctx, abuse.Account{Version: 1}),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := a.Lists().RemoveListEntry(ctx, "block 192.0.2.1 all"); !errors.Is(err, blocklist.ErrNotFound) {
		t.Errorf("removing nothing: %v", err)
	}
	if len(a.Texts()) != 0 {
		t.Errorf("left: %v", a.Texts())
	}
	a.sync()
}
