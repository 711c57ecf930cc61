package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"postern/filter"
	"postern/internal/relay/outbox"
	"postern/internal/relay/outbox/outboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryConforms(t *testing.T) {
	outboxtest.Conformance(t, func(*testing.T) outbox.Store { return outboxtest.NewMemory() },
		func(_ *testing.T, s outbox.Store) outbox.Store {
			s.(*outboxtest.Memory).Crash()
			return s
		})
}

// courier is a scripted world behind the worker.
type courier struct {
	mu     sync.Mutex
	send   func(try int, to string) outbox.Result
	tries  map[string]int
	when   []time.Duration // of each Send, since start
	start  time.Time
	holds  map[string]string // entry and recipient -> reply
	refuse error
}

func newCourier(send func(try int, to string) outbox.Result) *courier {
	return &courier{send: send, tries: map[string]int{}, holds: map[string]string{}, start: time.Now()}
}

func (c *courier) Send(_ context.Context, e outbox.Entry, _ outbox.Body) []outbox.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.when = append(c.when, time.Since(c.start))
	var out []outbox.Result
	for _, to := range e.To {
		c.tries[to.Address]++
		out = append(out, c.send(c.tries[to.Address], to.Address))
	}
	return out
}

func (c *courier) Refuse(_ context.Context, e outbox.Entry, to filter.Recipient, reply string, _ outbox.Body) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return "", c.refuse
	}
	c.holds[e.ID+to.Address] = reply
	return "hold-" + to.Address, nil
}

func (c *courier) Kept(_ context.Context, e outbox.Entry, to filter.Recipient) (string, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.holds[e.ID+to.Address]
	return "hold-" + to.Address, ok, nil
}

// last is when the last try was.
func (c *courier) last() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.when[len(c.when)-1]
}

var (
	done  = outbox.Result{Reply: "250 2.0.0 ok", Done: true}
	later = outbox.Result{Reply: "451 4.0.0 later"}
	never = outbox.Result{Reply: "550 5.0.0 no", Refused: true}
)

// world runs a worker over one entry for a, b and c for the given time.
func world(t *testing.T, c *courier, run time.Duration, prepare func(s *outboxtest.Memory, w *outbox.Worker, id string)) (s *outboxtest.Memory, fates []string) {
	t.Helper()
	s = outboxtest.NewMemory()
	e, body := outboxtest.Entry(3, time.Now())
	id, err := s.Add(t.Context(), e, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	w := &outbox.Worker{Store: s, Courier: c, Now: time.Now, Ended: func(_ context.Context, _ outbox.Entry, f filter.Fate) {
		mu.Lock()
		defer mu.Unlock()
		fates = append(fates, fmt.Sprintf("%s %s %s %v", f.Recipient, f.State, f.Reply, f.Ambiguous))
	}}
	if prepare != nil {
		prepare(s, w, id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	time.Sleep(run)
	cancel()
	<-ended
	return s, fates
}

func TestEachRecipientEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourier(func(try int, to string) outbox.Result {
			switch {
			case to == "a@example.com":
				return done
			case to == "b@example.com":
				return never
			case try < 4:
				return later
			}
			return done
		})
		s, fates := world(t, c, 24*time.Hour, nil)
		want := []string{
			"a@example.com delivered 250 2.0.0 ok false", "b@example.com held 550 5.0.0 no false", "c@example.com delivered 250 2.0.0 ok false",
		}
		if d := cmp.Diff(want, fates); d != "" {
			t.Error(d)
		}
		if c.tries["a@example.com"] != 1 || c.tries["b@example.com"] != 1 || c.tries["c@example.com"] != 4 {
			t.Errorf("tries %v", c.tries)
		}
		if s.Len() != 0 {
			t.Error("the entry was not ended")
		}
		// The entry had one try before: waits of 2, 4 and 8 minutes follow.
		for i, want := range []time.Duration{0, 2 * time.Minute, 6 * time.Minute, 14 * time.Minute} {
			if got := c.when[i]; got < want || got > want+time.Minute {
				t.Errorf("try %d after %v, want about %v", i, got, want)
			}
		}
	})
}

func TestFiveDaysEndInAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourier(func(int, string) outbox.Result { return later })
		s, fates := world(t, c, 5*24*time.Hour+2*time.Hour, nil)
		if s.Len() != 0 || len(fates) != 3 || len(c.holds) != 3 {
			t.Errorf("%d entries, %d holds, fates %v", s.Len(), len(c.holds), fates)
		}
		if n := c.tries["a@example.com"]; n < 120 || n > 135 {
			t.Errorf("%d tries in five days", n)
		}
		if last := c.when[len(c.when)-1]; last < 5*24*time.Hour {
			t.Errorf("given up after %v", last)
		}
	})
}

func TestNeverEndedOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourier(func(int, string) outbox.Result { return never })
		c.refuse = errors.New("disk full")
		s, fates := world(t, c, 10*24*time.Hour, nil)
		if s.Len() != 1 || len(fates) != 0 {
			t.Errorf("%d entries, fates %v", s.Len(), fates)
		}
	})
	synctest.Test(t, func(t *testing.T) { // no answer for a recipient at all
		c := newCourier(nil)
		s, fates := world(t, c, time.Hour, func(_ *outboxtest.Memory, w *outbox.Worker, _ string) { w.Courier = mute{c} })
		if s.Len() != 1 || len(fates) != 0 {
			t.Errorf("%d entries, fates %v", s.Len(), fates)
		}
	})
}

type mute struct{ *courier }

func (mute) Send(context.Context, outbox.Entry, outbox.Body) []outbox.Result { return nil }

func TestStoreAwayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourier(func(int, string) outbox.Result { return done })
		s, fates := world(t, c, time.Hour, func(s *outboxtest.Memory, _ *outbox.Worker, _ string) {
			s.Fail(errors.New("away"))
			go func() { time.Sleep(20 * time.Minute); s.Fail(nil) }()
		})
		if s.Len() != 0 || len(fates) != 3 || c.when[0] < 20*time.Minute {
			t.Errorf("%d entries, fates %v, sent at %v", s.Len(), fates, c.when)
		}
	})
}

// A process that died in the middle of a try leaves a claim behind: the entry is tried again
// and marked, and what had become a hold is not sent.
func TestAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourier(func(int, string) outbox.Result { return done })
		s, fates := world(t, c, time.Hour, func(s *outboxtest.Memory, _ *outbox.Worker, id string) {
			if _, _, ok, err := s.Claim(t.Context(), time.Now(), outbox.DefaultLease); !ok || err != nil {
				t.Fatal(ok, err)
			}
			c.holds[id+"b@example.com"] = "550 5.0.0 no"
		})
		want := []string{"a@example.com delivered 250 2.0.0 ok true", "c@example.com delivered 250 2.0.0 ok true"}
		if d := cmp.Diff(want, fates); d != "" {
			t.Error(d)
		}
		if c.when[0] < outbox.DefaultLease || c.when[0] > outbox.DefaultLease+time.Minute {
			t.Errorf("sent after %v, want when the lease is over", c.when[0])
		}
		if s.Len() != 0 {
			t.Error("the entry was not ended")
		}
	})
}

func TestHoldAndRetryByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourier(func(try int, to string) outbox.Result { return later })
		s, fates := world(t, c, 3*time.Hour, func(s *outboxtest.Memory, w *outbox.Worker, id string) {
			go func() {
				time.Sleep(100 * time.Minute)
				if err := w.Retry(t.Context(), id); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Second)
				if last := c.last(); last != 100*time.Minute {
					t.Errorf("the last try was at %v", last)
				}
				if err := w.Hold(t.Context(), id); err != nil {
					t.Error(err)
				}
				if err := w.Hold(t.Context(), id); !errors.Is(err, outbox.ErrNotFound) {
					t.Errorf("held twice: %v", err)
				}
				if err := w.Retry(t.Context(), id); !errors.Is(err, outbox.ErrNotFound) {
					t.Errorf("retry of none: %v", err)
				}
			}()
		})
		if s.Len() != 0 || len(fates) != 3 || len(c.holds) != 3 {
			t.Errorf("%d entries, %d holds, fates %v", s.Len(), len(c.holds), fates)
		}
	})
}

func TestHoldThatFailsKeepsTheEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCourier(nil)
		c.refuse = errors.New("disk full")
		s := outboxtest.NewMemory()
		e, body := outboxtest.Entry(2, time.Now())
		id, err := s.Add(t.Context(), e, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		w := &outbox.Worker{Store: s, Courier: c, Now: time.Now}
		if err := w.Hold(t.Context(), id); !errors.Is(err, outbox.ErrKept) {
			t.Errorf("%v", err)
		}
		if got, err := s.Get(t.Context(), id); err != nil || len(got.To) != 2 {
			t.Errorf("%v %v", got.To, err)
		}
	})
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{-1: time.Minute, 0: time.Minute, 1: time.Minute, 2: 2 * time.Minute, 6: 32 * time.Minute, 7: time.Hour, 1 << 40: time.Hour} {
		if got := outbox.Backoff(n); got != want {
			t.Errorf("after %d tries %v, want %v", n, got, want)
		}
	}
}

// What a paused account had on its way waits without a try, goes out when the pause is over, and
// becomes a hold where that takes too long.
func TestPausedMailWaits(t *testing.T) {
	for name, c := range map[string]struct {
		account, origin string
		pause           time.Duration
		tries           int
		state           string
	}{
		"in time":       {"ada@example.com", outbox.OriginRelay, time.Hour, 1, "delivered"},
		"for too long":  {"ada@example.com", outbox.OriginRelay, 1000 * time.Hour, 0, "held"},
		"released":      {"ada@example.com", "release", 1000 * time.Hour, 1, "delivered"},
		"of nobody":     {"", outbox.OriginRelay, 1000 * time.Hour, 1, "delivered"},
		"of an other's": {"bob@example.com", outbox.OriginRelay, 1000 * time.Hour, 1, "delivered"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				cr := newCourier(func(int, string) outbox.Result { return done })
				var kept string
				_, fates := world(t, cr, 900*time.Hour, func(s *outboxtest.Memory, w *outbox.Worker, id string) {
					e, body := outboxtest.Entry(3, time.Now())
					old, _, err := s.ClaimID(t.Context(), id, time.Now(), time.Minute)
					if err != nil {
						t.Fatal(err)
					}
					old.To = nil
					if err := s.End(t.Context(), old); err != nil {
						t.Fatal(err)
					}
					e.ID, e.Account, e.Origin, e.Direction, e.To = "", c.account, c.origin, filter.Outbound, e.To[:1]
					if _, err := s.Add(t.Context(), e, strings.NewReader(body)); err != nil {
						t.Fatal(err)
					}
					w.Paused = func(account string) (string, bool) {
						kept = "kept back"
						return kept, account == "ada@example.com" && time.Since(start) < c.pause
					}
				})
				if len(fates) != 1 || !strings.Contains(fates[0], c.state) || len(cr.when) != c.tries {
					t.Errorf("%v after %d tries", fates, len(cr.when))
				}
			})
		})
	}
}
