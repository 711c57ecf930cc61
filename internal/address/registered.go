package address

import (
	"net/netip"

	"golang.org/x/net/publicsuffix"
)

// Registered is the domain that somebody registered and a host stands below, by the public
// suffix list. It is the host itself where there is none: an address, or what anybody may
// register below. host is in lower case and A-labels.
func Registered(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host // not "2.1" of 192.0.2.1
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}
	return host
}
