package blocklist

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/address"
	"postern/internal/said"
)

// The symbols own lists give.
const (
	OwnBlock = "OWN_BLOCK"
	OwnAllow = "OWN_ALLOW"
)

// All is the scope of an entry that holds for every recipient.
const All = "all"

// ErrEntry is wrapped by every error about the text of an entry.
var ErrEntry = said.New("list.blocklist-not-an-entry", "blocklist: not an entry")

const (
	reasonMost = 500
	hostBits4  = 8  // the widest prefixes that may be listed
	hostBits6  = 16 //
)

// Normalize returns the entry as it is stored: value and scope in their one form. The error
// wraps ErrEntry.
func (e Entry) Normalize() (Entry, error) {
	var err error
	if e.Value, err = normalValue(e.Value); err != nil {
		return e, err
	}
	if e.Scope, err = normalScope(e.Scope); err != nil {
		return e, err
	}
	if len(e.Reason) > reasonMost || strings.ContainsFunc(e.Reason, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return e, said.Errorf("list.the-reason-is-longer-than-bytes-or", "%w: the reason is longer than %d bytes or holds control characters", "kind", ErrEntry, "reasonmost", reasonMost)
	}
	return e, nil
}

// normalValue reads an IP address, a prefix, a mail address or a domain.
func normalValue(s string) (string, error) {
	s = strings.TrimSpace(s)
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip.Zone() != "" || ip.IsUnspecified() {
			return "", said.Errorf("list.names-no-host", "%w: %q names no host", "kind", ErrEntry, "s", s)
		}
		return ip.Unmap().String(), nil
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return normalPrefix(s, p)
	}
	if strings.Contains(s, "@") {
		return normalAddress(s)
	}
	return normalDomain(s)
}

func normalPrefix(s string, p netip.Prefix) (string, error) {
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return "", said.Errorf("list.mixes-ipv4-and-ipv6", "%w: %q mixes IPv4 and IPv6", "kind", ErrEntry, "s", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	least := hostBits6
	if p.Addr().Is4() {
		least = hostBits4
	}
	if p.Bits() < least {
		return "", said.Errorf("list.is-wider-than", "%w: %s is wider than /%d", "kind", ErrEntry, "s", s, "least", least)
	}
	if p.IsSingleIP() {
		return p.Addr().String(), nil
	}
	return p.Masked().String(), nil
}

func normalAddress(s string) (string, error) {
	a, err := address.Parse(s, true)
	if err != nil || a.Domain == "" {
		return "", said.Errorf("list.is-no-mail-address", "%w: %q is no mail address", "kind", ErrEntry, "s", s)
	}
	return subject(s), nil
}

func normalDomain(s string) (string, error) {
	d := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s), "*"), ".")
	a, err := address.ToASCII(strings.TrimSuffix(d, "."))
	if err != nil || !strings.Contains(a, ".") || !address.ValidDomain(a) || strings.ContainsAny(a, " *") {
		return "", said.Errorf("list.is-no-ip-address-prefix-domain-or", "%w: %q is no IP address, prefix, domain or mail address", "kind", ErrEntry, "s", s)
	}
	return strings.ToLower(a), nil
}

func normalScope(s string) (string, error) {
	s = strings.TrimSpace(s)
	kind, of, _ := strings.Cut(s, ":")
	switch {
	case s == "" || s == All:
		return All, nil
	case kind == "domain":
		d, err := normalDomain(of)
		return "domain:" + d, err
	case kind == "recipient":
		a, err := normalAddress(of)
		return "recipient:" + a, err
	}
	return "", said.Errorf("list.scope-want-all-domain-name-or-recipient", "%w: scope %q: want all, domain:NAME or recipient:ADDRESS", "kind", ErrEntry, "s", s)
}

// subject is a mail address as entries hold it: lower case, the domain as A-labels. "" for
// what is none.
func subject(s string) string {
	a, err := address.Parse(s, true)
	if err != nil || a.Domain == "" {
		return ""
	}
	if d, err := address.ToASCII(a.Domain); err == nil {
		a.Domain = d
	}
	return strings.ToLower(a.String())
}

// Expired reports whether the entry has ended.
func (e Entry) Expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

// covers reports whether the entry holds for mail to the recipient.
func (e Entry) covers(recipient string) bool {
	switch kind, of, _ := strings.Cut(e.Scope, ":"); kind {
	case "domain":
		at := strings.LastIndexByte(recipient, '@')
		return at >= 0 && within(recipient[at+1:], of)
	case "recipient":
		if recipient == of {
			return true
		}
		a, err := address.Parse(recipient, true)
		return err == nil && strings.EqualFold(a.Base().String(), of)
	}
	return true
}

// within reports that domain is parent or below it.
func within(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// table holds the entries for quick look-up. It is never changed once made.
type table struct {
	revision uint64
	ips      map[netip.Addr][]*Entry
	nets     map[netip.Prefix][]*Entry
	bits4    []int // lengths of the prefixes in nets, longest first
	bits6    []int
	names    map[string][]*Entry // domains and mail addresses
	sorted   func() []*Entry     // all of them, the youngest first
}

func newTable(entries []Entry, revision uint64) *table {
	t := &table{revision: revision, ips: map[netip.Addr][]*Entry{}, nets: map[netip.Prefix][]*Entry{}, names: map[string][]*Entry{}}
	t.sorted = sync.OnceValue(func() []*Entry {
		all := make([]*Entry, len(entries))
		for i := range entries {
			all[i] = &entries[i]
		}
		slices.SortFunc(all, Younger)
		return all
	})
	lengths := map[[2]int]bool{}
	for i := range entries {
		e := &entries[i]
		if ip, err := netip.ParseAddr(e.Value); err == nil {
			t.ips[ip] = append(t.ips[ip], e)
			continue
		}
		if p, err := netip.ParsePrefix(e.Value); err == nil {
			t.nets[p] = append(t.nets[p], e)
			lengths[[2]int{p.Addr().BitLen(), p.Bits()}] = true
			continue
		}
		t.names[e.Value] = append(t.names[e.Value], e)
	}
	for l := range lengths {
		if l[0] == 32 {
			t.bits4 = append(t.bits4, l[1])
		} else {
			t.bits6 = append(t.bits6, l[1])
		}
	}
	for _, bits := range [][]int{t.bits4, t.bits6} {
		slices.SortFunc(bits, func(a, b int) int { return b - a })
	}
	return t
}

// byIP returns the entries that name the host, the most exact first.
func (t *table) byIP(ip netip.Addr) []*Entry {
	ip = ip.Unmap().WithZone("")
	all := slices.Clone(t.ips[ip])
	bits := t.bits6
	if ip.Is4() {
		bits = t.bits4
	}
	for _, n := range bits {
		if p, err := ip.Prefix(n); err == nil {
			all = append(all, t.nets[p]...)
		}
	}
	return all
}

// byAddress returns the entries that name the mail address or its domain, the most exact
// first. A bare domain may stand for an address.
func (t *table) byAddress(s string) []*Entry {
	at := strings.LastIndexByte(s, '@')
	var all []*Entry
	if at >= 0 {
		all = append(all, t.names[s]...)
	}
	for d := s[at+1:]; d != ""; {
		all = append(all, t.names[d]...)
		_, rest, more := strings.Cut(d, ".")
		if !more {
			break
		}
		d = rest
	}
	return all
}
