// Package proxy says who a request comes from where proxies stand in front.
package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops bounds how many hops are read.
const maxHops = 20

// Client is the address of whoever asked: the peer, or, where that is one of the trusted proxies,
// the last address of X-Forwarded-For that none of them has. Each proxy adds whom it saw at the
// right, so what a client claims stands to the left of the truth and is never reached.
func Client(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // a listener of ours gives no other
	at := peer.Addr().Unmap()
	known := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= max(0, len(hops)-maxHops) && known(at); i-- {
		next, ok := address(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		at = next
	}
	return at
}

// address reads an address, with or without the port that some proxies write.
func address(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}
