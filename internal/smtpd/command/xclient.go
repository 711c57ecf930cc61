package command

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// XClient are the attributes of one XCLIENT command (Postfix XCLIENT_README). A nil field
// was not given; an empty string was given as unavailable.
type XClient struct {
	Name, Helo, Login *string
	Addr              *netip.Addr // the zero address: unavailable
	Port              *uint16
}

// ParseXClient reads the argument of XCLIENT.
func ParseXClient(arg string) (XClient, error) {
	var x XClient
	words := strings.Fields(arg)
	if len(words) == 0 || len(words) > maxParams {
		return x, ErrSyntax
	}
	for _, w := range words {
		key, raw, ok := strings.Cut(w, "=")
		if !ok {
			return x, ErrSyntax
		}
		value, err := xtext(raw)
		if err != nil || !Plain(value) || len(value) > 255 {
			return x, ErrSyntax
		}
		if strings.EqualFold(value, "[UNAVAILABLE]") || strings.EqualFold(value, "[TEMPUNAVAIL]") {
			value = ""
		}
		if err := x.set(strings.ToUpper(key), value); err != nil {
			return x, err
		}
	}
	return x, nil
}

func (x *XClient) set(key, value string) error {
	switch key {
	case "NAME", "HELO":
		if !Host(value) {
			value = "" // what another server let pass is not for our headers
		}
		if key == "NAME" {
			x.Name = &value
		} else {
			x.Helo = &value
		}
	case "LOGIN":
		x.Login = &value
	case "ADDR":
		if len(value) > 5 && strings.EqualFold(value[:5], "IPV6:") {
			value = value[5:]
		}
		var ip netip.Addr
		if value != "" {
			var err error
			if ip, err = netip.ParseAddr(value); err != nil || ip.Zone() != "" {
				return ErrSyntax
			}
		}
		ip = ip.Unmap()
		x.Addr = &ip
	case "PORT":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil && value != "" {
			return ErrSyntax
		}
		port := uint16(n)
		x.Port = &port
	case "PROTO", "DESTADDR", "DESTPORT", "REVERSE_NAME":
	default:
		return ErrSyntax
	}
	return nil
}

// xtext decodes "+XX" (RFC 3461 section 4).
func xtext(s string) (string, error) {
	if !strings.Contains(s, "+") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", ErrSyntax
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", ErrSyntax
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String(), nil
}

// AddrPort is a network address without zone or IPv4 mapping; invalid when it is none.
func AddrPort(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
