package history

import (
	"net/netip"
	"slices"
	"strings"

	"postern/filter"
	"postern/internal/address"
)

// Forwarder is a host that forwards mail of others to us on behalf of our users.
type Forwarder struct {
	Name     string
	Networks []netip.Prefix
	Hosts    []string // confirmed reverse names; "*.domain" is every name below domain
	For      []string // recipients or recipient domains it forwards for; none = all
}

// is reports whether the client is the forwarder.
func (f *Forwarder) is(c filter.Client) bool {
	ip := c.IP.Unmap().WithZone("")
	if slices.ContainsFunc(f.Networks, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return true
	}
	name := asciiDomain(c.Name)
	return name != "" && slices.ContainsFunc(f.Hosts, func(host string) bool {
		if below, ok := strings.CutPrefix(host, "*."); ok {
			below = asciiDomain(below)
			return below != "" && strings.HasSuffix(name, "."+below)
		}
		return name == asciiDomain(host)
	})
}

// covers reports whether it forwards for a recipient; a tag in the recipient does not matter.
func (f *Forwarder) covers(recipient string) bool {
	domain, base := asciiDomain(recipient), withoutTag(recipient)
	return slices.ContainsFunc(f.For, func(who string) bool {
		if strings.Contains(who, "@") {
			return withoutTag(who) == base
		}
		return asciiDomain(who) == domain
	})
}

// withoutTag is the normalised address without the "+tag" of its local part.
func withoutTag(s string) string {
	a, err := address.Parse(strings.TrimSpace(s), true)
	if err != nil {
		return address.Normalize(s)
	}
	return address.Normalize(a.Base().String())
}

// forwarded are the findings about configured forwarders.
func forwarded(all []Forwarder, m *filter.Message) []filter.Finding {
	var found []filter.Finding
	for i := range all {
		f := &all[i]
		if !f.is(m.Client) {
			continue
		}
		if len(f.For) == 0 {
			found = append(found, filter.Finding{Symbol: ForwarderKnown, Detail: f.Name})
			continue
		}
		for _, to := range m.To {
			if f.covers(to.Address) {
				found = append(found, filter.Finding{Symbol: ForwarderKnown, Detail: f.Name, For: to.Address})
			}
		}
	}
	return found
}
