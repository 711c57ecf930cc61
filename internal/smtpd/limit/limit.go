// Package limit counts what clients take at once: connections, body bytes, failed logins.
package limit

import (
	"net/netip"
	"sync"
	"time"
)

// Sessions counts open connections.
type Sessions struct {
	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int
}

// Enter counts one connection of any client; false when there are max already.
func (s *Sessions) Enter(maximum int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maximum {
		return false
	}
	s.all++
	return true
}

// Leave takes back one Enter.
func (s *Sessions) Leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
}

// Count is how many have entered.
func (s *Sessions) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// EnterFrom counts one connection of ip; nil when its address has perIP already, or its
// IPv6 /64 has per64. Else it returns what takes the count back.
func (s *Sessions) EnterFrom(ip netip.Addr, perIP, per64 int) (leave func()) {
	ip = ip.Unmap()
	host := netip.PrefixFrom(ip, ip.BitLen())
	keys := []netip.Prefix{host}
	if ip.Is6() {
		net, _ := ip.WithZone("").Prefix(64)
		keys = append(keys, net)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from == nil {
		s.from = map[netip.Prefix]int{}
	}
	if s.from[host] >= perIP || len(keys) > 1 && s.from[keys[1]] >= per64 {
		return nil
	}
	for _, k := range keys {
		s.from[k]++
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, k := range keys {
			if s.from[k]--; s.from[k] <= 0 {
				delete(s.from, k)
			}
		}
	}
}

// Bytes is a budget of octets shared by all bodies.
type Bytes struct {
	mu   sync.Mutex
	used int64
}

// Take books n octets; false when that would pass maximum, and then nothing is booked.
func (b *Bytes) Take(n, maximum int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > maximum-b.used {
		return false
	}
	b.used += n
	return true
}

// Give takes n booked octets back.
func (b *Bytes) Give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
}

// Used is what is booked.
func (b *Bytes) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// maxKeys bounds the memory of Failures: beyond it half is forgotten.
const maxKeys = 100_000

// Failures counts failed attempts by key within a window that starts with the first.
type Failures struct {
	mu    sync.Mutex
	first map[string]failure
}

type failure struct {
	since time.Time
	n     int
}

// Blocked reports whether key failed limit times within the window.
func (f *Failures) Blocked(key string, now time.Time, limit int, window time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.first[key]
	return ok && now.Sub(e.since) < window && e.n >= limit
}

// Add counts one failure of key.
func (f *Failures) Add(key string, now time.Time, window time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first == nil {
		f.first = map[string]failure{}
	}
	if len(f.first) >= maxKeys {
		f.prune(now, window)
	}
	e := f.first[key]
	if now.Sub(e.since) >= window {
		e = failure{since: now}
	}
	e.n++
	f.first[key] = e
}

// prune forgets what is over, and when that is not half, whatever comes first.
func (f *Failures) prune(now time.Time, window time.Duration) {
	for k, e := range f.first {
		if now.Sub(e.since) >= window {
			delete(f.first, k)
		}
	}
	for k := range f.first {
		if len(f.first) <= maxKeys/2 {
			return
		}
		delete(f.first, k)
	}
}

// Forget clears a key after a success.
func (f *Failures) Forget(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.first, key)
}
