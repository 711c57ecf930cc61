package dns

import (
	"context"
	"sync"
	"time"
)

// Budget bounds what all lookups of one message may cost. The zero value allows nothing.
type Budget struct {
	mu      sync.Mutex
	left    int
	wait    time.Duration // what is left of it, up to since
	waiting int           // lookups that wait now
	since   time.Time     // when the first of them began
	cut     bool
}

// NewBudget allows so many questions that the cache cannot answer, and so much time waiting
// for answers in all; lookups that wait side by side count once. Time passes by the system's
// monotonic clock, not by Config.Now.
func NewBudget(questions int, wait time.Duration) *Budget {
	return &Budget{left: questions, wait: wait}
}

// Cut reports whether a lookup was refused or given up because the budget was spent.
func (b *Budget) Cut() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cut
}

// begin takes one question and says how long it may wait; false: nothing is left.
func (b *Budget) begin() (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	left := b.wait
	if b.waiting > 0 {
		left -= now.Sub(b.since)
	}
	if b.left <= 0 || left <= 0 {
		b.cut = true
		return 0, false
	}
	b.left--
	if b.waiting++; b.waiting == 1 {
		b.since = now
	}
	return left, true
}

// end says that a lookup waits no longer.
func (b *Budget) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting--; b.waiting == 0 {
		b.wait -= time.Since(b.since)
	}
}

func (b *Budget) setCut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut = true
}

type budgetKey struct{}

// WithBudget binds the lookups made with the returned context to b.
func WithBudget(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, budgetKey{}, b)
}

func budgetOf(ctx context.Context) *Budget {
	b, _ := ctx.Value(budgetKey{}).(*Budget)
	return b
}
