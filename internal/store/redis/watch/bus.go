package watch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"postern/internal/store/redis/conn"
)

// Kinds of hints: accounts, lists, rules, kill switches and holds have changed.
var kinds = []string{"acct", "list", "rules", "kill", "hold"}

// Times of the bus.
const (
	fold     = 50 * time.Millisecond // between two calls about one kind
	silence  = 10 * time.Second      // after which the server is asked whether it is there
	firstTry = 100 * time.Millisecond
	lastTry  = 5 * time.Second
)

// Bus carries hints between the nodes: that something of a kind has changed, never what. A hint
// can be missed, so whoever listens also looks on his own from time to time.
type Bus struct{ conn *conn.Conn }

// NewBus makes a bus.
func NewBus(c *conn.Conn) *Bus { return &Bus{c} }

func (b *Bus) channel() string { return b.conn.Key("ev") }

// Publish tells all nodes, this one too.
func (b *Bus) Publish(ctx context.Context, kind string) error {
	if !slices.Contains(kinds, kind) {
		return fmt.Errorf("%q is no kind of hint", kind)
	}
	return b.conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		return r.Publish(ctx, b.channel(), kind).Err()
	})
}

// Listen calls f for every kind that something was published about, until the context ends:
// one call at a time, at most some twenty a second for a kind. After every new connection it is
// called for all kinds, since hints may have been missed.
func (b *Bus) Listen(ctx context.Context, f func(kind string)) {
	q := &hints{wake: make(chan struct{}, 1), due: map[string]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() { q.deliver(ctx, f) })
	defer wg.Wait()
	for try := firstTry; ctx.Err() == nil; try = min(2*try, lastTry) {
		if b.hear(ctx, q) {
			try = firstTry
		}
		select {
		case <-ctx.Done():
		case <-time.After(try/2 + rand.N(try/2)):
		}
	}
}

// hear listens on one connection until it breaks, and reports whether it ever worked.
func (b *Bus) hear(ctx context.Context, q *hints) (worked bool) {
	if b.greet(ctx) != nil {
		return false
	}
	sub := b.conn.Client().Subscribe(ctx, b.channel())
	defer func() { _ = sub.Close() }()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	asked := false
	for {
		msg, err := sub.ReceiveTimeout(ctx, silence)
		var slow interface{ Timeout() bool }
		switch {
		case err == nil:
		case errors.As(err, &slow) && slow.Timeout() && worked && !asked:
			if sub.Ping(ctx) != nil {
				return worked
			}
			asked = true
			continue
		default:
			return worked
		}
		asked = false
		switch m := msg.(type) {
		case *redis.Subscription:
			worked = true
			q.add(kinds...)
		case *redis.Message:
			if slices.Contains(kinds, m.Payload) {
				q.add(m.Payload)
			}
		}
	}
}

// greet asks whether the server is there: a subscription to a silent one cannot be ended.
func (b *Bus) greet(ctx context.Context) error {
	return b.conn.Do(ctx, conn.Background, func(ctx context.Context, r redis.UniversalClient) error {
		ctx, cancel := context.WithTimeout(ctx, beatTime)
		defer cancel()
		return r.Ping(ctx).Err()
	})
}

// hints are the kinds that are due.
type hints struct {
	wake chan struct{}
	mu   sync.Mutex
	due  map[string]bool
}

func (q *hints) add(kinds ...string) {
	q.mu.Lock()
	for _, k := range kinds {
		q.due[k] = true
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *hints) take() (due []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range kinds {
		if q.due[k] {
			due = append(due, k)
		}
	}
	clear(q.due)
	return due
}

func (q *hints) deliver(ctx context.Context, f func(kind string)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
		for _, k := range q.take() {
			if ctx.Err() != nil {
				return
			}
			f(k)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(fold):
		}
	}
}
