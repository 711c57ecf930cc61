package bayes

import (
	"context"
	"sync"
	"time"
)

// Bounds of a cache.
const (
	MaxCached = 200_000     // tokens remembered; when there are more it begins anew
	Fresh     = time.Minute // how long another node's learning may go unseen
)

// Cache is a Store that remembers counts for a while: a message asks for hundreds, and most
// messages for the same ones. All that it remembers is of the same minute, so that the counts
// of tokens and those of all messages fit each other.
type Cache struct {
	Store
	now func() time.Time

	mu    sync.RWMutex
	until time.Time
	known map[uint64]Count
	era   int // grows when what is known was thrown away
}

// NewCache puts a cache before a store.
func NewCache(s Store, now func() time.Time) *Cache {
	return &Cache{Store: s, now: now, known: map[uint64]Count{}}
}

// Counts implements Store.
func (c *Cache) Counts(ctx context.Context, tokens []uint64) ([]Count, error) {
	out := make([]Count, len(tokens))
	era, missing, at := c.look(tokens, out)
	if len(missing) == 0 {
		return out, nil
	}
	found, err := c.Store.Counts(ctx, missing)
	if err != nil {
		return nil, err
	}
	for i, n := range at {
		out[n] = found[i]
	}
	c.keep(era, missing, found)
	return out, nil
}

// look fills in what is known, and returns the rest with its places.
func (c *Cache) look(tokens []uint64, out []Count) (era int, missing []uint64, at []int) {
	now := c.now()
	c.mu.RLock()
	stale := !now.Before(c.until) || c.until.Sub(now) > Fresh
	c.mu.RUnlock()
	if stale {
		c.Forget()
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for i, t := range tokens {
		n, ok := c.known[t]
		if !ok {
			missing, at = append(missing, t), append(at, i)
		}
		out[i] = n
	}
	return c.era, missing, at
}

func (c *Cache) keep(era int, tokens []uint64, counts []Count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if era != c.era { // it was learned meanwhile
		return
	}
	if len(c.known)+len(tokens) > MaxCached {
		clear(c.known)
	}
	for i, t := range tokens {
		c.known[t] = counts[i]
	}
}

// Forget throws away what is known.
func (c *Cache) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.known)
	c.era++
	c.until = c.now().Add(Fresh)
}

// Apply implements Store.
func (c *Cache) Apply(ctx context.Context, changes []Change) error {
	defer c.Forget()
	return c.Store.Apply(ctx, changes)
}

// Reset implements Store.
func (c *Cache) Reset(ctx context.Context) error {
	defer c.Forget()
	return c.Store.Reset(ctx)
}
