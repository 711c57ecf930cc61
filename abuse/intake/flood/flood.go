// Package flood says which reports are worked on in full and which are one of many: token buckets,
// and the names of floods.
package flood

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"time"
)

// Rates are how many reports an hour are worked on in full. Those above are kept and linked
// to one line that counts them. Zero fields take the default, negative ones mean no bound.
type Rates struct {
	Reporter int // of one reporter that is proved; default 60
	Domain   int // of one domain's reporters together; default 300
	Feed     int // of one feedback loop; default 3600
	Network  int // of one network of strangers that nothing proves; default 20
	Unproved int // of all strangers that nothing proves together; default 120
	Target   int // without a vote, about one account; default 60
}

// DefaultRates are the rates of a zero Rates.
func DefaultRates() Rates {
	return Rates{Reporter: 60, Domain: 300, Feed: 3600, Network: 20, Unproved: 120, Target: 60}
}

// WithDefaults fills the zero fields.
func (r Rates) WithDefaults() Rates {
	d := DefaultRates()
	return Rates{
		cmp.Or(r.Reporter, d.Reporter), cmp.Or(r.Domain, d.Domain), cmp.Or(r.Feed, d.Feed),
		cmp.Or(r.Network, d.Network), cmp.Or(r.Unproved, d.Unproved), cmp.Or(r.Target, d.Target),
	}
}

// bucketsMost bounds the memory of the buckets.
const bucketsMost = 50_000

// Buckets are token buckets, one hour deep, filled by the times of the reports themselves: so
// whoever goes on after a crash decides the same.
type Buckets struct {
	all map[string]*bucket
}

type bucket struct {
	level float64
	at    time.Time
}

// Take takes a token; false says that there is none.
func (b *Buckets) Take(name string, perHour int, at time.Time) bool {
	if perHour < 0 {
		return true
	}
	if b.all == nil || len(b.all) >= bucketsMost {
		b.prune(at)
	}
	c := b.all[name]
	if c == nil {
		c = &bucket{level: float64(perHour), at: at}
		b.all[name] = c
	}
	if since := at.Sub(c.at); since > 0 {
		c.level, c.at = min(float64(perHour), c.level+since.Hours()*float64(perHour)), at
	}
	if c.level < 1 {
		return false
	}
	c.level--
	return true
}

// prune forgets what is full again, and everything when that does not help.
func (b *Buckets) prune(now time.Time) {
	for name, c := range b.all {
		if now.Sub(c.at) > time.Hour {
			delete(b.all, name)
		}
	}
	if b.all == nil || len(b.all) >= bucketsMost {
		b.all = map[string]*bucket{}
	}
}

// Name names the flood of a source on a day.
func Name(kind, source string, at time.Time) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + source))
	return "f-" + kind + "-" + at.UTC().Format("20060102") + "-" + hex.EncodeToString(sum[:6])
}

// Network is the /24 or /64 of an address.
func Network(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 24
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return p.String()
}
