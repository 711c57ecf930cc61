package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/filter"
	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/relay/outbox/outboxtest"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest"
)

func (c *counting) Send(_ context.Context, e relayoutbox.Entry, b relayoutbox.Body) []relayoutbox.Result {
	c.mu.Lock()
	c.sends[e.ID] = append(c.sends[e.ID], e)
	try := len(c.sends[e.ID])
	c.mu.Unlock()
	if _, err := io.Copy(io.Discard, io.NewSectionReader(b, 0, b.Size())); err != nil {
		return []relayoutbox.Result{{Reply: "451 body"}}
	}
	return []relayoutbox.Result{c.send(e, try)}
}

func (*counting) Refuse(context.Context, relayoutbox.Entry, filter.Recipient, string, relayoutbox.Body) (string, error) {
	return "", errors.New("nothing is refused here")
}

func (*counting) Kept(context.Context, relayoutbox.Entry, filter.Recipient) (string, bool, error) {
	return "", false, nil
}

// of is what was sent of an entry.
func (c *counting) of(id string) []relayoutbox.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sends[id]
}

// late is when all entries of a test are due.
func late() time.Time { return storetest.Start.Add(24 * time.Hour) }

// node is one gateway of several, with a connection and workers of its own.
func node(t *testing.T, name string, o conn.Options) *outbox.Store {
	t.Helper()
	opt := options(t, redistest.Connect(t, o))
	opt.Node = name
	return outbox.New(opt)
}

// empties waits until nothing is owed any more.
func empties(t *testing.T, s *outbox.Store, step func()) {
	t.Helper()
	for {
		n, err := s.Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		step()
		select {
		case <-t.Context().Done():
			t.Fatalf("%d entries stay", n)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// manyWorkers lets nodes send what is owed, every third entry at the second try: each try is made
// once, whoever makes it.
func manyWorkers(t *testing.T, o conn.Options) {
	const entries = 150
	ahead := &atomic.Int64{} // how far the nodes' clocks have been moved
	now := func() time.Time { return late().Add(time.Duration(ahead.Load())) }
	courier := &counting{sends: map[string][]relayoutbox.Entry{}, send: func(e relayoutbox.Entry, try int) relayoutbox.Result {
		if e.ID[len(e.ID)-3]%3 == 0 && try == 1 {
			return relayoutbox.Result{Reply: "451 later"}
		}
		return relayoutbox.Result{Reply: "250 ok", Done: true}
	}}
	stores := []*outbox.Store{node(t, "a", o), node(t, "b", o), node(t, "c", o)}
	for n := range entries {
		add(t, stores[0], n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	for _, s := range stores {
		w := &relayoutbox.Worker{Store: s, Courier: courier, Now: now, Poll: 10 * time.Millisecond}
		go func() {
			w.Run(ctx)
			done <- struct{}{}
		}()
	}
	empties(t, stores[0], func() { ahead.Add(int64(5 * time.Second)) })
	cancel()
	for range stores {
		<-done
	}
	for n := range entries {
		id := storetest.Entry(n, "").ID
		sent, want := courier.of(id), 1
		if id[len(id)-3]%3 == 0 {
			want = 2
		}
		if len(sent) != want {
			t.Errorf("%s was sent %d times, want %d", id, len(sent), want)
		}
		for _, e := range sent {
			if e.Ambiguous {
				t.Errorf("%s is said to have crashed", id)
			}
		}
	}
	trips := int64(0)
	for _, s := range stores {
		trips += s.Conn.Trips()
	}
	t.Logf("%d entries, %d round trips", entries, trips)
}

func address(s interface{ Client() *redis.Client }) conn.Options {
	return conn.Options{Addrs: []string{s.Client().Options().Addr}, User: redistest.User, Password: "test-secret"}
}

func TestNodesSendOnce(t *testing.T) { manyWorkers(t, address(redistest.Server(t))) }

func TestCluster(t *testing.T) {
	o, cluster := redistest.Cluster(t)
	open := func(t testing.TB) *conn.Conn {
		redistest.Flush(t, cluster.Servers[:3]...)
		return redistest.Connect(t, o)
	}
	t.Run("storetest", func(t *testing.T) { storetest.Outbox(t, newTimed(options(t, open(t)))) })
	t.Run("outboxtest", func(t *testing.T) {
		outboxtest.Conformance(t, func(t *testing.T) relayoutbox.Store { return newTimed(options(t, open(t))) }, nil)
	})
	t.Run("large", func(t *testing.T) { largeBody(t, outbox.New(options(t, open(t)))) })
	t.Run("reindex", func(t *testing.T) { reindexed(t, open(t)) })
	t.Run("workers", func(t *testing.T) {
		open(t)
		manyWorkers(t, o)
	})
}

// TestNodeDies kills a node that has four tries under way: what it had is said to be uncertain
// and is sent again once its claims are void; nothing else is sent twice.
func TestNodeDies(t *testing.T) {
	const entries = 40
	o := address(redistest.Server(t))
	a, b := node(t, "a", o), node(t, "b", o)
	for n := range entries {
		add(t, b, n)
	}
	inFlight, dead := make(chan string, entries), make(chan struct{})
	dying := &counting{sends: map[string][]relayoutbox.Entry{}, send: func(e relayoutbox.Entry, _ int) relayoutbox.Result {
		if e.ID[len(e.ID)-3] >= '2' { // it has sent some before
			inFlight <- e.ID
			<-dead
		}
		return relayoutbox.Result{Reply: "250 ok", Done: true}
	}}
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(ended)
		(&relayoutbox.Worker{Store: a, Courier: dying, Now: late, Poll: 10 * time.Millisecond}).Run(ctx)
	}()
	lost := map[string]bool{}
	for range relayoutbox.DefaultParallel {
		lost[<-inFlight] = true
	}
	if err := a.Conn.Close(); err != nil { // from now on it writes nothing
		t.Fatal(err)
	}
	cancel()
	close(dead)
	<-ended

	survivor := &counting{sends: map[string][]relayoutbox.Entry{}, send: func(relayoutbox.Entry, int) relayoutbox.Result {
		return relayoutbox.Result{Reply: "250 ok", Done: true}
	}}
	bctx, bcancel := context.WithCancel(t.Context())
	bdone := make(chan struct{})
	go func() {
		defer close(bdone)
		(&relayoutbox.Worker{Store: b, Courier: survivor, Now: late, Poll: 10 * time.Millisecond}).Run(bctx)
	}()
	for n := 0; n != len(lost); n, _ = b.Count(t.Context()) {
		time.Sleep(10 * time.Millisecond)
	}
	for id := range lost {
		if len(survivor.of(id)) != 0 {
			t.Errorf("%s was sent while its lease lasted", id)
		}
	}
	again := node(t, "a", o)
	if n, err := again.Void(t.Context(), "b"); n != 0 || err != nil {
		t.Errorf("%d claims of an idle node are void, %v", n, err)
	}
	if n, err := again.Void(t.Context(), "a"); n != len(lost) || err != nil {
		t.Errorf("%d claims are void, want %d, %v", n, len(lost), err)
	}
	empties(t, b, func() {})
	bcancel()
	<-bdone
	for n := range entries {
		id := storetest.Entry(n, "").ID
		first, second := dying.of(id), survivor.of(id)
		switch {
		case lost[id] && (len(first) != 1 || len(second) != 1 || !second[0].Ambiguous):
			t.Errorf("%s was under way and was sent %d and %d times", id, len(first), len(second))
		case !lost[id] && len(first)+len(second) != 1:
			t.Errorf("%s was sent %d times", id, len(first)+len(second))
		}
	}
}

// TestClocksDiffer has nodes whose clocks are minutes ahead or behind: none takes a claim away
// before the server's clock says so.
func TestClocksDiffer(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	a, b := outbox.New(options(t, c)), outbox.New(options(t, c))
	ctx, now := t.Context(), late()
	id := add(t, a, 0)
	for _, skew := range []time.Duration{-7 * time.Minute, 0, 7 * time.Minute} {
		held, crashed, ok, err := a.Claim(ctx, now.Add(skew), 5*time.Minute)
		if err != nil || !ok || crashed {
			t.Fatalf("%v: %v, %v, %v", skew, crashed, ok, err)
		}
		for _, other := range []time.Duration{-11 * time.Minute, -3 * time.Minute, 0, 3 * time.Minute, 11 * time.Minute, 24 * time.Hour} {
			if e, _, ok, err := b.Claim(ctx, now.Add(other), time.Minute); ok || err != nil {
				t.Errorf("%v: a node at %v took %q, %v", skew, other, e.ID, err)
			}
			_, _, err := b.ClaimID(ctx, id, now.Add(other), time.Minute)
			storetest.WantErr(t, fmt.Sprint("ClaimID at ", other), err, relayoutbox.ErrLost)
			if err := b.Hurry(ctx, id, now.Add(other)); err != nil {
				t.Error(err)
			}
		}
		held.Next = storetest.Start
		if err := a.Retry(ctx, held); err != nil {
			t.Errorf("%v: the claim does not stand: %v", skew, err)
		}
	}
	old, _, ok, err := a.Claim(ctx, now, time.Millisecond)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	for ok = false; !ok; {
		var e relayoutbox.Entry
		var crashed bool
		if e, crashed, ok, err = b.Claim(ctx, now.Add(time.Second), time.Minute); err != nil || ok && (!crashed || e.Version <= old.Version) {
			t.Fatalf("%+v crashed %v, %v", e, crashed, err)
		}
	}
	storetest.WantErr(t, "Retry of a lease that ran out", a.Retry(ctx, old), relayoutbox.ErrLost)
	storetest.WantErr(t, "End of a lease that ran out", a.End(ctx, old), relayoutbox.ErrLost)
}

// twice sends every command that changes something twice, as a client does when the answer to the
// first was lost on the way.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook { return next }

func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "eval" {
			_ = next(ctx, cmd)
			cmd.SetErr(nil)
		}
		return next(ctx, cmd)
	}
}

func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		for _, cmd := range cmds {
			cmd.SetErr(nil)
		}
		return next(ctx, cmds)
	}
}

func TestLostAnswers(t *testing.T) {
	s := redistest.Server(t)
	open := func(t testing.TB) relayoutbox.Store {
		c := redistest.Empty(t, s)
		c.Client().AddHook(twice{})
		return newTimed(options(t, c))
	}
	t.Run("storetest", func(t *testing.T) { storetest.Outbox(t, open(t)) })
	t.Run("outboxtest", func(t *testing.T) {
		outboxtest.Conformance(t, func(t *testing.T) relayoutbox.Store { return open(t) }, nil)
	})
}
