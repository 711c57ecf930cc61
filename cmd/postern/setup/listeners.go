package setup

import (
	"fmt"
	"net"
	"net/netip"

	"postern/internal/config"
)

// Beneath warns of pages that stand where strangers bring mail: the desk on an address of the
// MX is in front of everybody, and two listeners on one port cannot both open it.
func Beneath(c *config.Config) (out []string) {
	web := []struct {
		name string
		at   config.Web
	}{{"desk", c.Desk.Web()}, {"public", c.Public.Web()}, {"api", c.API}, {"admin", config.Web{Addr: c.Admin.Addr}}}
	for _, w := range web {
		if !w.at.On() {
			continue
		}
		for _, l := range c.Listeners {
			host, port := meet(w.at.Addr, l.Addr)
			switch {
			case host && port:
				out = append(out, fmt.Sprintf("%s.addr (%s) is the address of listener %s (%s): only one of them can open it", w.name, w.at.Addr, l.Name, l.Addr))
			case host && w.name != "public" && l.Kind == config.KindInbound && !ownMachine(w.at.Addr):
				out = append(out, fmt.Sprintf("%s.addr (%s) is on the address of listener %s, where all the world brings mail: bind it to 127.0.0.1 or to an address that only your people reach", w.name, w.at.Addr, l.Name))
			}
		}
	}
	return out
}

// meet reports whether two addresses have a host and a port in common. No host is all of them;
// port 0 is one of its own.
func meet(a, b string) (host, port bool) {
	ah, ap, err1 := net.SplitHostPort(a)
	bh, bp, err2 := net.SplitHostPort(b)
	if err1 != nil || err2 != nil {
		return false, false
	}
	return every(ah) || every(bh) || same(ah, bh), ap == bp && ap != "0"
}

func every(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func same(a, b string) bool {
	x, err1 := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	if err1 != nil || err2 != nil {
		return a == b
	}
	return x.Unmap() == y.Unmap()
}

func ownMachine(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
