// Package order is what blocks of sources look like, and whom none may hit.
package order

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postern/internal/address"
)

// ErrBlock is wrapped by every refusal of a block.
var ErrBlock = errors.New("this is not blocked")

// MaxUntil is how long a block lasts at most.
const MaxUntil = 366 * 24 * time.Hour

// Scopes of a block.
const (
	ByIP     = "ip"
	ByNet    = "net"
	ByDomain = "domain" // d= of a signature
	ByFrom   = "from"   // a sender's address
)

// Rules by which a block is lifted.
const (
	WhenQuiet = "quiet"  // by itself: less than an attempt a day for the hold, or the provider's word
	ByReview  = "review" // by a person, who is asked at the end
	// WhenDropped is for entries of a published list: at its end, or when the list drops it.
	WhenDropped = "dropped"
)

// Block is an order to refuse a source.
type Block struct {
	Scope string    `json:"scope"`
	Value string    `json:"value"`
	Rule  string    `json:"rule"`
	Why   string    `json:"why"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
}

// Protected are those that are never blocked.
type Protected struct {
	Networks []netip.Prefix // our own, and partners'
	Domains  []string
}

// Widest4 and Widest6 are the widest networks that are blocked.
const (
	Widest4 = 16
	Widest6 = 32
)

// Network says why a network is not blocked, or nil.
func (p Protected) Network(n netip.Prefix) error {
	if n.Addr().Is4() && n.Bits() < Widest4 || n.Addr().Is6() && n.Bits() < Widest6 {
		return fmt.Errorf("%w: %s is larger than /%d (IPv6: /%d)", ErrBlock, n, Widest4, Widest6)
	}
	if !n.Addr().IsGlobalUnicast() || n.Addr().IsPrivate() {
		return fmt.Errorf("%w: %s is no address of the Internet", ErrBlock, n)
	}
	for _, own := range p.Networks {
		if own.Overlaps(n) {
			return fmt.Errorf("%w: %s covers %s, which is our own or a partner's", ErrBlock, n, own)
		}
	}
	return nil
}

// Domain says why a domain is not blocked, or nil.
func (p Protected) Domain(name string) error {
	for _, own := range p.Domains {
		if own = strings.ToLower(own); name == own || strings.HasSuffix(own, "."+name) || strings.HasSuffix(name, "."+own) {
			return fmt.Errorf("%w: %s is our own or a partner's", ErrBlock, name)
		}
	}
	return nil
}

// Check brings an order into its one form, or says why it is refused.
func (b *Block) Check(p Protected, now time.Time) error {
	if b.Rule != WhenQuiet && b.Rule != ByReview && b.Rule != WhenDropped {
		return fmt.Errorf("%w: a block needs the rule by which it is lifted: quiet or review", ErrBlock)
	}
	if strings.TrimSpace(b.Why) == "" || len(b.Why) > 400 {
		return fmt.Errorf("%w: a block needs a reason of at most 400 octets", ErrBlock)
	}
	if !b.Until.After(now) || b.Until.Sub(now) > MaxUntil {
		return fmt.Errorf("%w: a block ends, or is reviewed, within 366 days", ErrBlock)
	}
	switch b.Scope {
	case ByIP, ByNet:
		n, err := netip.ParsePrefix(b.Value)
		if ip, ipErr := netip.ParseAddr(b.Value); ipErr == nil && ip.Zone() == "" {
			n, err = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
		}
		if err != nil || n.Addr().Is4In6() {
			return fmt.Errorf("%w: %.100q is no address or network", ErrBlock, b.Value)
		}
		n = n.Masked()
		if b.Value = n.String(); n.IsSingleIP() {
			b.Value = n.Addr().String()
		}
		return p.Network(n)
	case ByDomain:
		b.Value = strings.ToLower(strings.TrimSuffix(b.Value, "."))
		if !address.ValidDomain(b.Value) || !strings.Contains(b.Value, ".") {
			return fmt.Errorf("%w: %.100q is no domain", ErrBlock, b.Value)
		}
		return p.Domain(b.Value)
	case ByFrom:
		a, err := address.Parse(b.Value, false)
		if err != nil || a.Domain == "" {
			return fmt.Errorf("%w: %.100q is no address", ErrBlock, b.Value)
		}
		b.Value = strings.ToLower(a.String())
		return p.Domain(strings.ToLower(a.Domain))
	}
	return fmt.Errorf("%w: the scope %.20q is none; there are ip, net, domain and from", ErrBlock, b.Scope)
}
