package limit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/filter"
	"postern/filter/limit"
)

var errAway = errors.New("away")

// place is a shared place in memory, with a clock of its own.
type place struct {
	mu    sync.Mutex
	now   time.Time
	away  bool
	short bool                                  // answers too little
	told  map[[2]string]map[*node]limit.Windows // by symbol and name
	calls [][]limit.Count
}

// node is the place as one node sees it.
type node struct{ *place }

func newPlace() *place {
	return &place{now: start().t, told: map[[2]string]map[*node]limit.Windows{}}
}

func (n *node) Exchange(_ context.Context, counts []limit.Count) ([]limit.Windows, time.Time, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, counts)
	if n.away {
		return nil, time.Time{}, errAway
	}
	if n.short && len(counts) > 0 {
		return nil, n.now, nil
	}
	all := make([]limit.Windows, len(counts))
	for i, c := range counts {
		k := [2]string{c.Symbol, c.Name}
		if n.told[k] == nil {
			n.told[k] = map[*node]limit.Windows{}
		}
		n.told[k][n] = c.Windows
		for w := range all[i] {
			all[i][w].Number = c.Windows[w].Number
		}
		for other, theirs := range n.told[k] {
			if other == n {
				continue
			}
			for w := range theirs {
				switch c.Windows[w].Number - theirs[w].Number {
				case 0:
					all[i][w].Now += theirs[w].Now
					all[i][w].Old += theirs[w].Old
				case 1:
					all[i][w].Old += theirs[w].Now
				}
			}
		}
	}
	return all, n.now, nil
}

// cluster is some nodes on clocks that go alike.
type cluster struct {
	*place
	clock *clock
	nodes []*node
	all   []*limit.Limiter
}

func newCluster(t testing.TB, cfg limit.Config, n int) *cluster {
	t.Helper()
	c := &cluster{place: newPlace(), clock: start()}
	for range n {
		c.nodes = append(c.nodes, &node{c.place})
		c.all = append(c.all, limit.New(cfg, c.clock.now))
	}
	c.exchange(t)
	return c
}

func (c *cluster) pass(d time.Duration) { c.clock.t, c.now = c.clock.t.Add(d), c.now.Add(d) }

// exchange tells all nodes what all counted of the sender, who is just asking each of them.
func (c *cluster) exchange(t testing.TB) {
	t.Helper()
	for range 2 { // what the last one tells reaches the first
		for i, l := range c.all {
			m := message(nil)
			if _, err := l.Sender().Check(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			l.Abandoned(m)
			if err := l.Exchange(t.Context(), c.nodes[i]); err != nil && !c.away {
				t.Fatal(err)
			}
		}
	}
}

// took sends messages through a node and returns how many came through.
func (c *cluster) took(t testing.TB, node, messages int) (through int) {
	t.Helper()
	for range messages {
		m := message(nil)
		found, err := c.all[node].Sender().Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		fate := filter.Deferred
		if len(found) == 0 {
			fate = filter.Delivered
			through++
		}
		if err := c.all[node].Done(t.Context(), m, filter.Outcome{Fates: []filter.Fate{{State: fate}}}); err != nil {
			t.Fatal(err)
		}
	}
	return through
}

func wants(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d came through, want %d", what, got, want)
	}
}

func TestNodesShareARate(t *testing.T) {
	c := newCluster(t, limit.Config{IP: limit.Rate{Hour: 10}}, 3)
	wants(t, "the first node", c.took(t, 0, 4), 4)
	wants(t, "the second node, that was not told", c.took(t, 1, 3), 3)
	c.exchange(t)
	late := limit.New(limit.Config{IP: limit.Rate{Hour: 10}}, c.clock.now)
	c.all, c.nodes = append(c.all, late), append(c.nodes, &node{c.place})
	if err := late.Exchange(t.Context(), c.nodes[3]); err != nil {
		t.Fatal(err)
	}
	wants(t, "a node of a name it never saw", c.took(t, 3, 1), 1)
	c.exchange(t)
	wants(t, "that node, when it was told", c.took(t, 3, 5), 2)
	c.exchange(t)
	for i := range 4 {
		wants(t, "a rate that is used up", c.took(t, i, 3), 0)
	}
}

// What others counted fades out by its windows when nobody tells it again.
func TestOthersFade(t *testing.T) {
	c := newCluster(t, limit.Config{IP: limit.Rate{Hour: 10}}, 2)
	c.took(t, 0, 10)
	c.took(t, 1, 1)
	c.exchange(t)
	wants(t, "used up", c.took(t, 1, 1), 0)
	c.away = true
	c.pass(time.Hour)
	wants(t, "an hour later", c.took(t, 1, 1), 0)
	c.pass(30 * time.Minute)
	if got := c.took(t, 1, 10); got < 4 || got > 6 {
		t.Errorf("an hour and a half later %d came through, want about 5", got)
	}
	c.pass(4 * time.Hour)
	wants(t, "hours later", c.took(t, 1, 12), 10)
}

// While the place is away each node counts for itself; nothing is lost or told twice.
func TestF42NodesAlone(t *testing.T) {
	c := newCluster(t, limit.Config{IP: limit.Rate{Hour: 10}}, 2)
	c.away = true
	wants(t, "alone", c.took(t, 0, 4), 4)
	c.exchange(t)
	wants(t, "alone", c.took(t, 1, 4), 4)
	c.exchange(t)
	c.exchange(t)
	c.away = false
	c.exchange(t)
	wants(t, "together again", c.took(t, 0, 5), 2)
	c.short = true
	if err := c.all[0].Exchange(t.Context(), c.nodes[0]); err == nil {
		t.Error("half an answer is taken for one")
	}
	c.short = false
	c.exchange(t)
	wants(t, "after half an answer", c.took(t, 1, 5), 0)
	anew := limit.New(limit.Config{IP: limit.Rate{Hour: 10}}, c.clock.now)
	c.all, c.nodes = append(c.all, anew), append(c.nodes, &node{c.place})
	wants(t, "a node that begins anew", c.took(t, 2, 1), 1)
	c.exchange(t)
	wants(t, "when it was told", c.took(t, 2, 1), 0)
}

// The clock of a node may be wrong from the start or be set; that of the place rules, and may
// be set itself.
func TestF37SharedClock(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, wrong := range []time.Duration{-10 * year, -time.Hour, -time.Second, 0, time.Second, time.Hour, 10 * year} {
		t.Run(wrong.String(), func(t *testing.T) {
			c := newCluster(t, limit.Config{IP: limit.Rate{Hour: 10}}, 1)
			other := start()
			other.t = other.t.Add(wrong)
			c.all, c.nodes = append(c.all, limit.New(limit.Config{IP: limit.Rate{Hour: 10}}, other.now)), append(c.nodes, &node{c.place})
			c.exchange(t)
			wants(t, "both", c.took(t, 0, 5)+c.took(t, 1, 3), 8)
			c.exchange(t)
			other.t = other.t.Add(-wrong.Abs() / 2)
			wants(t, "the one with the wrong clock", c.took(t, 1, 5), 2)
			c.now = c.now.Add(wrong)
			c.exchange(t)
			left := 0
			if wrong.Abs() > time.Hour {
				left = 5 // what others counted is of another time
			}
			wants(t, "each counts its own whatever the place says", c.took(t, 0, 20), left)
			c.pass(4 * time.Hour)
			other.t = other.t.Add(4 * time.Hour)
			c.exchange(t)
			wants(t, "hours later", c.took(t, 0, 20), 10)
		})
	}
}

// Whatever comes through two nodes and however often they exchange, no hour lets more through
// than two nodes alone, nor does sharing refuse what is within the rate.
func TestSharedRatesHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.IntRange(2, 12).Draw(rt, "rate")
		c := newCluster(t, limit.Config{IP: limit.Rate{Hour: rate}}, 2)
		var taken []time.Time
		for range rapid.IntRange(1, 80).Draw(rt, "messages") {
			c.pass(time.Duration(rapid.IntRange(0, 600).Draw(rt, "seconds")) * time.Second)
			n := rapid.IntRange(0, 1).Draw(rt, "node")
			c.away = rapid.IntRange(0, 4).Draw(rt, "away") == 0
			if rapid.IntRange(0, 2).Draw(rt, "exchange") == 0 {
				c.exchange(t)
			}
			recent := 0
			for _, at := range taken {
				if c.clock.t.Sub(at) < 2*time.Hour {
					recent++
				}
			}
			if c.took(t, n, 1) == 1 {
				taken = append(taken, c.clock.t)
				continue
			}
			if recent < rate {
				rt.Fatalf("refused with %d in two hours and a rate of %d", recent, rate)
			}
		}
		for i, at := range taken {
			n := 0
			for _, before := range taken[:i+1] {
				if at.Sub(before) < time.Hour {
					n++
				}
			}
			if n > 4*rate {
				rt.Fatalf("%d in an hour with a rate of %d", n, rate)
			}
		}
	})
}

// A flood of names is handed over in batches, and what waits is bounded; names of the past do
// not stay.
func TestSharingIsBounded(t *testing.T) {
	const size = 8 * 1000
	c := newCluster(t, limit.Config{IP: limit.Rate{Hour: 3, Minute: 2}, Domain: limit.Rate{Minute: 5}, MaxKeys: size}, 1)
	flood := func() {
		for i := range 30_000 {
			ip := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			send(t, c.all[0], message(func(m *filter.Message) { m.Client.IP = ip; m.From = fmt.Sprintf("a@d%d.example", i) }), filter.Delivered)
		}
	}
	c.away = true
	flood()
	c.away = false
	c.calls = nil
	names := 0
	for range 30 {
		before := len(c.calls)
		if err := c.all[0].Exchange(t.Context(), c.nodes[0]); err != nil {
			t.Fatal(err)
		}
		if n := len(c.calls) - before; n > 16 {
			t.Errorf("%d batches at once", n)
		}
	}
	for _, call := range c.calls {
		names += len(call)
		if len(call) > 512 {
			t.Errorf("%d names in a batch", len(call))
		}
		for _, one := range call {
			if want := map[string]time.Duration{limit.RateIP: 2 * time.Hour, limit.RateDomain: 2 * time.Minute}[one.Symbol]; one.Keep != want {
				t.Fatalf("%s is kept for %s", one.Symbol, one.Keep)
			}
		}
	}
	if names > size || names < size/2 {
		t.Errorf("%d names were handed over, %d may wait", names, size)
	}
	before := len(c.calls)
	if err := c.all[0].Exchange(t.Context(), c.nodes[0]); err != nil || len(c.calls) != before {
		t.Error("a node with nothing to tell asks:", err)
	}
}

// An address that each node refused but a little was refused often.
func TestRefusalsAreShared(t *testing.T) {
	c := newCluster(t, limit.Config{Errors: limit.Rate{Hour: 5}}, 3)
	ip := message(nil).Client.IP
	for _, l := range c.all {
		l.Refused(ip)
		l.Refused(ip)
	}
	c.exchange(t)
	for i := range c.all {
		if got := send(t, c.all[i], message(nil), filter.Deferred); got != limit.RateErrors {
			t.Errorf("node %d: %q", i, got)
		}
	}
}

// Mail goes on while nodes exchange.
func TestShareBesideMail(t *testing.T) {
	p := newPlace()
	p.now = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var mail, loops sync.WaitGroup
	for range 2 {
		l := limit.New(limit.Config{IP: limit.Rate{Hour: 1 << 20}, Domain: limit.Rate{Day: 1 << 20}}, time.Now)
		mine := &node{p}
		if err := l.Exchange(ctx, mine); err != nil { // from here on all is told
			t.Fatal(err)
		}
		loops.Go(func() {
			if err := l.Share(ctx, mine, time.Millisecond); err != nil {
				t.Error(err)
			}
		})
		for n := range 2 {
			mail.Go(func() {
				for i := range 500 {
					m := &filter.Message{ID: fmt.Sprint("share", n, i), From: "a@sender.example", Client: filter.Client{IP: netip.MustParseAddr("192.0.2.7")}}
					if _, err := l.Sender().Check(ctx, m); err != nil {
						t.Error(err)
					}
					if err := l.Done(ctx, m, filter.Outcome{Fates: []filter.Fate{{State: filter.Delivered}}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	mail.Wait()
	cancel()
	loops.Wait()
	var sum int32
	for _, w := range p.told[[2]string{limit.RateDomain, "sender.example"}] {
		sum += w[2].Now + w[2].Old
	}
	if sum != 2000 {
		t.Errorf("%d of 2000 messages were told", sum)
	}
}
