// Package throttle bounds how often a stranger may try something.
package throttle

import (
	"net/netip"
	"sync"
	"time"
)

// Throttle lets a source do something Burst times at once and then once each Every. It
// remembers at most Sources of them, the ones that waited longest are forgotten first.
type Throttle[K comparable] struct {
	Burst   int
	Every   time.Duration
	Sources int
	Now     func() time.Time

	mu     sync.Mutex
	owed   map[K]time.Time // when the source is even again
	forget time.Time
}

// Source is what counts as one source of a network: an IPv4 address or an IPv6 /64.
func Source(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return netip.PrefixFrom(a, 32)
	}
	p, _ := a.Prefix(64) // an address that is none gives the zero prefix, one source as well
	return p
}

// Wait is how long the source must wait before it may try; 0: now.
func (t *Throttle[K]) Wait(source K) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	even, now := t.owed[source], t.Now()
	if !even.After(now) {
		return 0
	}
	return max(0, even.Sub(now)-time.Duration(t.Burst-1)*t.Every)
}

// Note counts one try of the source.
func (t *Throttle[K]) Note(source K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.Now()
	if t.owed == nil {
		t.owed = map[K]time.Time{}
	}
	t.clean(now)
	at := t.owed[source]
	if at.Before(now) {
		at = now
	}
	t.owed[source] = at.Add(t.Every)
}

// clean forgets who is even; with too many left, half of those who owe least.
func (t *Throttle[K]) clean(now time.Time) {
	if len(t.owed) < t.Sources && now.Before(t.forget) {
		return
	}
	t.forget = now.Add(time.Minute)
	for s, at := range t.owed {
		if !at.After(now) {
			delete(t.owed, s)
		}
	}
	for bound := now.Add(t.Every); len(t.owed) >= t.Sources; bound = bound.Add(t.Every) {
		for s, at := range t.owed {
			if len(t.owed) <= t.Sources/2 {
				break
			}
			if !at.After(bound) {
				delete(t.owed, s)
			}
		}
	}
}
