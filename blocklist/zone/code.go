package zone

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// code is one answer that counts.
type code struct {
	prefix  netip.Prefix
	octets  [4]octet // used when prefix is invalid
	symbol  string
	written string
}

// octet is one place of a written code: the bits it looks at and what they must be.
type octet struct{ mask, want byte }

func parseCode(written, symbol string) (code, error) {
	c := code{symbol: symbol, written: written}
	bad := fmt.Errorf("code %q: want an address of 127.0.0.0/8, a prefix of it, * in place of octets, or &N for an octet that has the bits of N", written)
	if p, err := netip.ParsePrefix(written); err == nil {
		if !loopback.Contains(p.Addr()) || p.Bits() < 8 {
			return c, bad
		}
		c.prefix = p.Masked()
		return c, nil
	}
	parts := strings.Split(written, ".")
	if len(parts) != 4 || parts[0] != "127" {
		return c, bad
	}
	for i, p := range parts {
		o, ok := parseOctet(p)
		if !ok {
			return c, bad
		}
		c.octets[i] = o
	}
	return c, nil
}

func parseOctet(s string) (octet, bool) {
	if s == "*" {
		return octet{}, true
	}
	bits, masked := strings.CutPrefix(s, "&")
	n, err := strconv.ParseUint(bits, 10, 8)
	if err != nil || masked && n == 0 {
		return octet{}, false
	}
	if masked {
		return octet{byte(n), byte(n)}, true
	}
	return octet{0xff, byte(n)}, true
}

func (c code) matches(a netip.Addr) bool {
	if c.prefix.IsValid() {
		return c.prefix.Contains(a)
	}
	for i, o := range a.As4() {
		if o&c.octets[i].mask != c.octets[i].want {
			return false
		}
	}
	return true
}
