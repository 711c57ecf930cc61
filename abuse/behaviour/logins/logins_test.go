package logins_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"postern/abuse/behaviour"
	"postern/abuse/behaviour/logins"
	"postern/abuse/signal"
	"postern/internal/mailtest/entities"
)

var start = time.Date(2030, 3, 4, 12, 0, 0, 0, time.UTC)

// node is one of several before one store.
type node struct {
	*logins.Desk
	mu     sync.Mutex
	now    time.Time
	got    []signal.Signal
	failed []error
}

func newNode(t *testing.T, name string, store *entities.Memory) *node {
	n := &node{now: start}
	n.Desk = &logins.Desk{
		Log: logins.NewLog(store), Node: name, Now: func() time.Time { return n.now },
		Emit: func(_ context.Context, s signal.Signal) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.got = append(n.got, s)
			return nil
		},
		Failed: func(err error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.failed = append(n.failed, err)
		},
	}
	return n
}

// flush writes all that waits.
func (n *node) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

var (
	guesser = netip.MustParseAddr("203.0.113.9")
	owner   = netip.MustParseAddr("198.51.100.9")
)

func TestGuessedPassword(t *testing.T) {
	n := newNode(t, "a", &entities.Memory{})
	for range 12 {
		n.Seen("ann@x.example", guesser, false)
	}
	n.Seen("ann@x.example", owner, true) // she noticed nothing
	for range 12 {
		n.Seen("bob@x.example", guesser, false)
	}
	n.Seen("Bob@x.example", guesser, true)
	for range 12 {
		n.Seen("eve@x.example", guesser, false)
	}
	n.now = start.Add(2 * time.Hour)
	n.Seen("eve@x.example", guesser, true)
	n.flush(t)
	if len(n.got) != 1 || n.got[0].Account != "bob@x.example" || !n.got[0].Login || n.got[0].Family != signal.Behaviour {
		t.Errorf("%+v", n.got)
	}
}

// Twelve failures over three nodes, then a success at the fourth.
func TestOverNodes(t *testing.T) {
	store := &entities.Memory{}
	for i, name := range []string{"a", "b", "c"} {
		n := newNode(t, name, store)
		for range 4 {
			n.Seen("ann@x.example", guesser, false)
			n.Seen("bob@x.example", guesser, false)
		}
		n.Seen("cyd@x.example", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), true)
		n.flush(t)
		if len(n.got) != 0 {
			t.Errorf("four failures: %+v", n.got)
		}
	}
	last := newNode(t, "d", store)
	last.now = start.Add(time.Minute)
	last.Seen("ann@x.example", guesser, true)
	last.Seen("bob@x.example", owner, true)
	last.flush(t)
	f := logins.Follower{Log: last.Log}
	news, err := f.Next(t.Context(), last.now)
	if err != nil || len(news.Guessed) != 1 || news.Guessed[0].Account != "ann@x.example" || news.Guessed[0].Rule != behaviour.Guessed {
		t.Fatalf("%+v, %v", news, err)
	}
	if len(news.Worked) != 5 { // three of cyd's, one at each node
		t.Errorf("%+v", news.Worked)
	}
	if news, err = f.Next(t.Context(), last.now); err != nil || len(news.Worked)+len(news.Guessed) != 0 {
		t.Errorf("a second time: %+v, %v", news, err)
	}
	if n, err := last.Log.Forget(t.Context(), "ann@x.example"); err != nil || n != 4 {
		t.Error(n, err)
	}
	if n, err := last.Log.Purge(t.Context(), start.Add(time.Hour), 100); err != nil || n == 0 {
		t.Error(n, err)
	}
}

// An account whose phone asks every minute is written down four times a day.
func TestFewRows(t *testing.T) {
	store := &entities.Memory{}
	n := newNode(t, "a", store)
	for i := range 24 * 60 {
		n.now = start.Add(time.Duration(i) * time.Minute)
		n.Seen("ann@x.example", owner, true)
		n.Seen("ann@x.example", netip.MustParseAddr("10.0.0.1"), true) // nobody can tell where that is
	}
	n.flush(t)
	all, err := n.Log.Of(t.Context(), "ann@x.example", 100)
	if err != nil || len(all) < 4 || len(all) > 5 {
		t.Errorf("%d rows, %v", len(all), err)
	}
}

// A store that stands still takes nothing but rows: nobody waits, and it is said.
func TestSlowStore(t *testing.T) {
	n := newNode(t, "a", &entities.Memory{})
	for i := range logins.Waiting + 50 {
		n.Seen(fmt.Sprintf("u%d@x.example", i), owner, true)
	}
	n.flush(t)
	if len(n.failed) != 1 {
		t.Errorf("%v", n.failed)
	}
}

func TestBrokenStore(t *testing.T) {
	store := &entities.Memory{Fail: func() error { return errors.New("away") }}
	n := newNode(t, "a", store)
	n.Seen("ann@x.example", owner, true)
	n.flush(t)
	store.Fail = nil
	n.Seen("ann@x.example", owner, true)
	n.flush(t)
	if all, err := n.Log.Of(t.Context(), "ann@x.example", 10); err != nil || len(all) != 1 || len(n.failed) != 1 {
		t.Errorf("%+v %v %v", all, err, n.failed)
	}
}
