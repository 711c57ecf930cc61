package limit

import (
	"net/netip"

	"postern/filter"
	"postern/internal/address"
)

// ipKey is the address a client counts as: its own, or its IPv6 /64, inside which it may take
// any address it likes.
func ipKey(ip netip.Addr) string {
	ip = ip.Unmap()
	switch {
	case !ip.IsValid():
		return ""
	case ip.Is4():
		return ip.String()
	default:
		return prefix(ip, 64)
	}
}

// netKey is the network a client counts in: its /24, or the IPv6 /48 that one site is given.
func netKey(ip netip.Addr) string {
	ip = ip.Unmap()
	switch {
	case !ip.IsValid():
		return ""
	case ip.Is4():
		return prefix(ip, 24)
	default:
		return prefix(ip, 48)
	}
}

func prefix(ip netip.Addr, bits int) string {
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// domainKey is the domain of MAIL FROM in its ASCII form.
func domainKey(m *filter.Message) string {
	domain := address.DomainOf(m.From)
	if ascii, err := address.ToASCII(domain); err == nil {
		return ascii
	}
	return domain
}

// recipientKey is one mailbox however it is written: without its +tag, in lower case.
func recipientKey(s string) string {
	key := address.Normalize(s)
	if a, err := address.Parse(key, true); err == nil {
		return a.Base().String()
	}
	return key
}
