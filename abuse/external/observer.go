package external

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postern/abuse/cases/flow"
	"postern/internal/address"
	"postern/internal/entity"
)

// oneIn is the part of the mail of a source that is half open which is let in.
const oneIn = 10

// Observer counts at RCPT how often watched sources try, in memory, and says who is half open.
// Each node has one.
type Observer struct {
	mu     sync.Mutex
	ips    map[netip.Prefix]string // to the case
	bits   map[int]bool
	names  map[string]string // addresses and domains
	half   map[string]bool
	counts map[string]int
	seen   map[string]int
}

// Verdict is what the Observer knows of one who writes.
type Verdict struct {
	Case     string // "" = nobody is watched
	HalfOpen bool   // accept with a score, and only a tenth
	Admit    bool   // this one is of the tenth; else it is told to come later (4.7.1)
}

// Seen counts one attempt at RCPT. from is the envelope sender.
func (o *Observer) Seen(ip netip.Addr, from string) Verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := o.find(ip.Unmap().WithZone(""), strings.ToLower(from))
	if id == "" {
		return Verdict{}
	}
	o.counts[id]++
	v := Verdict{Case: id, HalfOpen: o.half[id]}
	if v.HalfOpen {
		v.Admit = o.seen[id]%oneIn == 0
		o.seen[id]++
	}
	return v
}

// Signed counts a message that a domain signed, and says whether such mail is refused now.
func (o *Observer) Signed(domain string) (caseID string, refused bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := o.find(netip.Addr{}, "@"+strings.ToLower(domain))
	if id == "" {
		return "", false
	}
	o.counts[id]++
	return id, !o.half[id]
}

func (o *Observer) find(ip netip.Addr, from string) string {
	for bits := range o.bits {
		if p, err := ip.Prefix(bits); err == nil {
			if id := o.ips[p]; id != "" {
				return id
			}
		}
	}
	if id := o.names[from]; id != "" {
		return id
	}
	for name := address.DomainOf(from); name != ""; {
		if id := o.names[name]; id != "" {
			return id
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return ""
}

// Load reads which sources are watched.
func (o *Observer) Load(ctx context.Context, d *Desk) error {
	ips, bits, names, half := map[netip.Prefix]string{}, map[int]bool{}, map[string]string{}, map[string]bool{}
	err := d.sources().Each(ctx, entity.Query{Index: "live", Rising: true, Limit: 500}, func(r entity.Row[Source]) error {
		s := r.Value
		if s.Block == nil || s.State != flow.Blocked && s.State != flow.Observe && s.State != flow.HalfOpen {
			return nil
		}
		half[s.Case] = s.State == flow.HalfOpen
		p, err := netip.ParsePrefix(s.Block.Value)
		if ip, ipErr := netip.ParseAddr(s.Block.Value); ipErr == nil {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err == nil {
			ips[p], bits[p.Bits()] = s.Case, true
		} else {
			names[s.Block.Value] = s.Case
		}
		return nil
	})
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ips, o.bits, o.names, o.half = ips, bits, names, half
	if o.counts == nil {
		o.counts = map[string]int{}
	}
	if o.seen == nil {
		o.seen = map[string]int{}
	}
	for id := range o.seen {
		if !half[id] {
			delete(o.seen, id)
		}
	}
	return nil
}

// Flush writes the counts down and reads anew who is watched. Each node calls it, once a
// minute say.
func (o *Observer) Flush(ctx context.Context, d *Desk, now time.Time) error {
	o.mu.Lock()
	counts := o.counts
	o.counts = map[string]int{}
	o.mu.Unlock()
	var failed error
	for id, n := range counts {
		if failed == nil {
			_, failed = d.sources().Change(ctx, id, func(s *Source) error { s.tried(now, n); return nil })
		}
		if failed != nil { // count it the next time
			o.mu.Lock()
			o.counts[id] += n
			o.mu.Unlock()
		}
	}
	if failed != nil {
		return failed
	}
	return o.Load(ctx, d)
}
