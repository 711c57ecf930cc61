package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ErrPrivate is a target in a network that events do not go to.
var ErrPrivate = errors.New("webhooks do not go to addresses of this machine or of private networks")

// Dialer connects to addresses that are in nobody's private network, unless one is named.
type Dialer struct {
	Allow []netip.Prefix // private networks that may be reached all the same
}

// Dial is for http.Transport. The address is looked at after the name was resolved, so that no
// name can point inwards.
func (d Dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{Control: func(_, resolved string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return err
		}
		if !d.may(ap.Addr().Unmap()) {
			return fmt.Errorf("%s: %w", ap.Addr(), ErrPrivate)
		}
		return nil
	}}
	return dialer.DialContext(ctx, network, addr)
}

func (d Dialer) may(ip netip.Addr) bool {
	for _, p := range d.Allow {
		if p.Contains(ip) {
			return true
		}
	}
	for _, p := range inward() {
		if p.Contains(ip) {
			return false
		}
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
}

// inward are networks beyond those that netip knows: shared address space (RFC 6598), this
// network, protocol assignments, benchmarks, reserved, and IPv6 forms that carry IPv4.
func inward() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{"100.64.0.0/10", "0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
