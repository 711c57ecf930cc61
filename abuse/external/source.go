// Package external works on cases about sources elsewhere: it confirms them, tells those who
// run them, blocks them, and opens again, half at first, when no more comes from there. The
// case says where a source stands; what is kept here is what follows from that.
package external

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/cases/flow"
	"postern/internal/address"
	"postern/internal/entity"
)

// Ground is why a source is held to send abuse.
type Ground string

// The grounds. The last two are nothing to confirm a case by, nor to complain of.
const (
	User    Ground = "user"    // a user reported it
	Trap    Ground = "trap"    // it wrote to a trap
	Agent   Ground = "agent"   // an agent looked at the evidence
	Content Ground = "content" // our filters alone held it for spam
	SPF     Ground = "spf"     // its SPF failed, and nothing else
)

// Good reports whether a ground carries a complaint.
func (g Ground) Good() bool { return g == User || g == Trap || g == Agent }

// Sign is one ground, seen once.
type Sign struct {
	Ground Ground    `json:"ground"`
	Ref    string    `json:"ref"` // the report, or the hash of the evidence
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

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

// Source is what is kept of one case.
type Source struct {
	Case      string         `json:"case"`
	State     flow.State     `json:"state"` // of the case, as it was last looked at
	Since     time.Time      `json:"since"`
	IP        netip.Addr     `json:"ip,omitzero"`
	Domain    string         `json:"domain,omitempty"`
	Account   string         `json:"account,omitempty"` // as the provider would know it: the envelope sender
	Signs     []Sign         `json:"signs,omitempty"`
	Incidents int            `json:"incidents"` // signs that count, those no longer listed too
	Told      int            `json:"told"`      // up to which incident the provider was told
	Block     *Block         `json:"block,omitempty"`
	Held      bool           `json:"held,omitempty"`  // Block is in the list
	Hold      int            `json:"hold,omitempty"`  // days; doubled at each return
	Word      string         `json:"word,omitempty"`  // the provider's, that it stopped
	Tries     map[string]int `json:"tries,omitempty"` // attempts by day, 2006-01-02
}

// Bounds of a Source.
const (
	maxSigns  = 200
	maxDays   = 60
	firstHold = 7
	lastHold  = 28
	maxUntil  = 366 * 24 * time.Hour
	day       = 24 * time.Hour
)

func (d *Desk) sources() entity.Table[Source] {
	return entity.Table[Source]{Store: d.Home, Kind: "external-source", ID: func(s *Source) string { return s.Case }, Keys: func(s *Source) []entity.Key {
		keys := []entity.Key{{Index: "all", At: s.Since.UnixMilli()}}
		if s.live() {
			keys = append(keys, entity.Key{Index: "live", At: s.Since.UnixMilli()})
		}
		return keys
	}}
}

// live reports whether time alone may change something.
func (s *Source) live() bool {
	switch s.State {
	case flow.Lifted, flow.Rejected, flow.Resolved, flow.ResultSent, flow.Closed:
		return s.Held
	}
	return true
}

// sign adds a ground, once; it reports whether it was new.
func (s *Source) sign(g Sign) bool {
	if slices.ContainsFunc(s.Signs, func(o Sign) bool { return o.Ground == g.Ground && o.Ref == g.Ref }) {
		return false
	}
	if s.Signs = append(s.Signs, g); len(s.Signs) > maxSigns {
		s.Signs = slices.Delete(s.Signs, 1, 2) // the first one stays
	}
	if g.Ground.Good() {
		s.Incidents++
	}
	return true
}

// tried counts attempts.
func (s *Source) tried(at time.Time, n int) {
	if s.Tries == nil {
		s.Tries = map[string]int{}
	}
	s.Tries[at.UTC().Format(time.DateOnly)] += n
	oldest := at.UTC().AddDate(0, 0, -maxDays).Format(time.DateOnly)
	for k := range s.Tries {
		if k < oldest {
			delete(s.Tries, k)
		}
	}
}

// triesIn are the attempts of the last days, the present one included.
func (s *Source) triesIn(now time.Time, days int) int {
	sum := 0
	for i := range days {
		sum += s.Tries[now.UTC().AddDate(0, 0, -i).Format(time.DateOnly)]
	}
	return sum
}

// Errors of a Desk; they come wrapped in sentences.
var (
	ErrGround  = errors.New("no ground for this (RFC 6650 section 5.2)")
	ErrBlock   = errors.New("this is not blocked")
	ErrMessage = errors.New("the message is not kept")
)

// Protected are those that are never blocked.
type Protected struct {
	Networks []netip.Prefix // our own, and partners'
	Domains  []string
}

// widest are the widest networks that are blocked.
const (
	widest4 = 16
	widest6 = 32
)

// Network says why a network is not blocked, or nil.
func (p Protected) Network(n netip.Prefix) error {
	if n.Addr().Is4() && n.Bits() < widest4 || n.Addr().Is6() && n.Bits() < widest6 {
		return fmt.Errorf("%w: %s is larger than /%d (IPv6: /%d)", ErrBlock, n, widest4, widest6)
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

// check brings an order into its one form, or says why it is refused.
func (b *Block) check(p Protected, now time.Time) error {
	if b.Rule != WhenQuiet && b.Rule != ByReview {
		return fmt.Errorf("%w: a block needs the rule by which it is lifted: quiet or review", ErrBlock)
	}
	if strings.TrimSpace(b.Why) == "" || len(b.Why) > 400 {
		return fmt.Errorf("%w: a block needs a reason of at most 400 octets", ErrBlock)
	}
	if !b.Until.After(now) || b.Until.Sub(now) > maxUntil {
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
