package dns

import (
	"context"
	"sync"
	"time"
)

// Share says what a lookup of a message is for. Some of it strangers can drive up at will, so
// every share has its part of the budget. The zero value is Auth.
type Share uint8

// The shares. What a row of the table allows is in shares.
const (
	Auth  Share = iota // DMARC policies, and all that is not marked
	SPF                // the SPF records of the sender's domain
	Keys               // DKIM and ARC keys: as many as a message has signatures
	Names              // reverse names, the HELO name, the hosts of the sender's domain
	Lists              // DNS lists of hosts and of the envelope's domains
	Links              // DNS lists of linked domains: as many as a message has links
)

// The pools that the questions of a message are taken from.
const (
	policyPool = iota
	authPool
	listPool
	openPool
)

// percents of the questions in each pool; openPool has the rest.
var percents = [...]int{policyPool: 10, authPool: 30, listPool: 20}

// shares is the table of who may take what: from which pools, in this order, and for how many
// eighths of the message's time. Links and keys can neither use up what tells who sent the
// mail and whether the host is listed, nor its time; what a domain owner asks for (DMARC)
// comes last on the way of a message and has a part that nothing else gets.
//
//	of 100 questions and 8 s   own   open   until
//	Auth                       10     30+40  8 s
//	SPF, Keys, Names            -     30+40  5, 6, 3 s
//	Lists                      20     40     6 s
//	Links                       -     40     4 s
var shares = [...]struct {
	pools  []int
	eighth time.Duration
}{
	Auth:  {[]int{authPool, openPool, policyPool}, 8},
	SPF:   {[]int{authPool, openPool}, 5},
	Keys:  {[]int{authPool, openPool}, 6},
	Names: {[]int{authPool, openPool}, 3},
	Lists: {[]int{listPool, openPool}, 6},
	Links: {[]int{openPool}, 4},
}

// Budget bounds what all lookups of one message may cost. The zero value allows nothing.
type Budget struct {
	mu      sync.Mutex
	left    [openPool + 1]int
	time    time.Duration // for all waiting
	waited  time.Duration // of it, up to since
	waiting int           // lookups that wait now
	since   time.Time     // when the first of them began
	cut     bool
}

// NewBudget allows so many questions that the cache cannot answer, and so much time waiting
// for answers in all; lookups that wait side by side count once. Time passes by the system's
// monotonic clock, not by Config.Now. Each Share has its part of both.
func NewBudget(questions int, wait time.Duration) *Budget {
	b := &Budget{time: wait}
	b.left[openPool] = questions
	for pool, percent := range percents {
		b.left[pool] = questions * percent / 100
		b.left[openPool] -= b.left[pool]
	}
	return b
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

// begin takes one question and says how long it may wait; false: nothing is left for its
// share.
func (b *Budget) begin(s Share) (time.Duration, bool) {
	row := shares[s]
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	left := b.time*row.eighth/8 - b.waited
	if b.waiting > 0 {
		left -= now.Sub(b.since)
	}
	if left <= 0 || !b.take(row.pools) {
		b.cut = true
		return 0, false
	}
	if b.waiting++; b.waiting == 1 {
		b.since = now
	}
	return left, true
}

// take takes one question from the first pool that has one. The lock is held.
func (b *Budget) take(pools []int) bool {
	for _, p := range pools {
		if b.left[p] > 0 {
			b.left[p]--
			return true
		}
	}
	return false
}

// end says that a lookup waits no longer.
func (b *Budget) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting--; b.waiting == 0 {
		b.waited += time.Since(b.since)
	}
}

func (b *Budget) setCut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut = true
}

type (
	budgetKey struct{}
	shareKey  struct{}
	freshKey  struct{}
)

// WithBudget binds the lookups made with the returned context to b; nil frees them.
func WithBudget(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, budgetKey{}, b)
}

func budgetOf(ctx context.Context) *Budget {
	b, _ := ctx.Value(budgetKey{}).(*Budget)
	return b
}

// WithShare says what the lookups made with the returned context are for.
func WithShare(ctx context.Context, s Share) context.Context {
	return context.WithValue(ctx, shareKey{}, s)
}

func shareOf(ctx context.Context) Share {
	s, _ := ctx.Value(shareKey{}).(Share)
	if int(s) >= len(shares) {
		return Links
	}
	return s
}

// Fresh makes the lookups of the returned context ask past the cache. What they bring
// replaces an older answer and is not kept otherwise, so that questions asked once do not
// push out those asked often.
func Fresh(ctx context.Context) context.Context {
	return context.WithValue(ctx, freshKey{}, true)
}

func isFresh(ctx context.Context) bool {
	fresh, _ := ctx.Value(freshKey{}).(bool)
	return fresh
}
