// Package order is what blocks of sources look like, and whom none may hit.
package order

import (
	"net/netip"
	"strings"
	"time"

	"postern/internal/address"
	"postern/internal/said"
)

// ErrBlock is wrapped by every refusal of a block.
var ErrBlock = said.New("block.this-is-not-blocked", "this is not blocked")

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
	Scope string     `json:"scope"`
	Value string     `json:"value"`
	Rule  string     `json:"rule"`
	Why   string     `json:"why"`
	Said  said.Words `json:"said,omitzero"` // Why by its code, where no person gave it
	By    string     `json:"by"`
	At    time.Time  `json:"at"`
	Until time.Time  `json:"until"`
}

// Reason is why.
func (b Block) Reason() said.Words { return said.Kept(b.Why, b.Said) }

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
		return said.Errorf("block.is-larger-than-ipv6", "%w: %s is larger than /%d (IPv6: /%d)", "kind", ErrBlock, "net", n, "widest4", Widest4, "widest6", Widest6)
	}
	if !n.Addr().IsGlobalUnicast() || n.Addr().IsPrivate() {
		return said.Errorf("block.is-no-address-of-the-internet", "%w: %s is no address of the Internet", "kind", ErrBlock, "net", n)
	}
	for _, own := range p.Networks {
		if own.Overlaps(n) {
			return said.Errorf("block.covers-which-is-our-own-or-a", "%w: %s covers %s, which is our own or a partner's", "kind", ErrBlock, "net", n, "own", own)
		}
	}
	return nil
}

// Domain says why a domain is not blocked, or nil.
func (p Protected) Domain(name string) error {
	for _, own := range p.Domains {
		if own = strings.ToLower(own); name == own || strings.HasSuffix(own, "."+name) || strings.HasSuffix(name, "."+own) {
			return said.Errorf("block.is-our-own-or-a-partners", "%w: %s is our own or a partner's", "kind", ErrBlock, "name", name)
		}
	}
	return nil
}

// Check brings an order into its one form, or says why it is refused.
func (b *Block) Check(p Protected, now time.Time) error {
	if b.Rule != WhenQuiet && b.Rule != ByReview && b.Rule != WhenDropped {
		return said.Errorf("block.a-block-needs-the-rule-by-which", "%w: a block needs the rule by which it is lifted: quiet or review", "kind", ErrBlock)
	}
	if strings.TrimSpace(b.Why) == "" || len(b.Why) > 400 {
		return said.Errorf("block.a-block-needs-a-reason-of-at", "%w: a block needs a reason of at most 400 octets", "kind", ErrBlock)
	}
	if !b.Until.After(now) || b.Until.Sub(now) > MaxUntil {
		return said.Errorf("block.a-block-ends-or-is-reviewed-within", "%w: a block ends, or is reviewed, within 366 days", "kind", ErrBlock)
	}
	switch b.Scope {
	case ByIP, ByNet:
		n, err := netip.ParsePrefix(b.Value)
		if ip, ipErr := netip.ParseAddr(b.Value); ipErr == nil && ip.Zone() == "" {
			n, err = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
		}
		if err != nil || n.Addr().Is4In6() {
			return said.Errorf("block.is-no-address-or-network", "%w: %.100q is no address or network", "kind", ErrBlock, "value", b.Value)
		}
		n = n.Masked()
		if b.Value = n.String(); n.IsSingleIP() {
			b.Value = n.Addr().String()
		}
		return p.Network(n)
	case ByDomain:
		b.Value = strings.ToLower(strings.TrimSuffix(b.Value, "."))
		if !address.ValidDomain(b.Value) || !strings.Contains(b.Value, ".") {
			return said.Errorf("block.is-no-domain", "%w: %.100q is no domain", "kind", ErrBlock, "value", b.Value)
		}
		return p.Domain(b.Value)
	case ByFrom:
		a, err := address.Parse(b.Value, false)
		if err != nil || a.Domain == "" {
			return said.Errorf("block.is-no-address", "%w: %.100q is no address", "kind", ErrBlock, "value", b.Value)
		}
		b.Value = strings.ToLower(a.String())
		return p.Domain(strings.ToLower(a.Domain))
	}
	return said.Errorf("block.the-scope-is-none-there-are-ip", "%w: the scope %.20q is none; there are ip, net, domain and from", "kind", ErrBlock, "scope", b.Scope)
}
