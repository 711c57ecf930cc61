package campaign

import (
	"hash/fnv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"postern/filter"
	"postern/internal/address"
)

// proved is the author's organization, where authentication proves the author's address: by
// DMARC, or by an aligned pass where the domain publishes no DMARC record.
func proved(m *filter.Message, found []filter.Finding) string {
	org := organization(author(m))
	if org == "" {
		return ""
	}
	dmarc, aligned := "", false
	for _, f := range found {
		if f.Auth == nil {
			continue
		}
		switch domain := domainOf(f.Auth); f.Auth.Method {
		case "dmarc":
			if organization(domain) == org {
				dmarc = f.Auth.Result
			}
		case "spf", "dkim":
			aligned = aligned || f.Auth.Result == "pass" && organization(domain) == org
		}
	}
	if dmarc == "pass" || (dmarc == "none" || dmarc == "") && aligned {
		return org
	}
	return ""
}

// domainOf is the domain that a result is about.
func domainOf(r *filter.AuthResult) string {
	var v string
	switch r.Method {
	case "dmarc":
		v = r.Prop("header", "from")
	case "dkim":
		v = r.Prop("header", "d")
	case "spf":
		if v = r.Prop("smtp", "mailfrom"); v == "" {
			v = r.Prop("smtp", "helo")
		}
	}
	return v
}

// author is the domain of the one address in From:; several prove nothing.
func author(m *filter.Message) string {
	tree, err := m.Parts()
	if err != nil || len(tree.Root.Header.All("From")) != 1 {
		return ""
	}
	boxes := tree.From()
	if len(boxes) != 1 {
		return ""
	}
	return boxes[0].Address
}

// organization is the registrable domain of an address or a host name, in A-labels; "" if it
// has none.
func organization(s string) string {
	s = strings.TrimSuffix(strings.ToLower(s[strings.LastIndexByte(s, '@')+1:]), ".")
	if !address.ValidDomain(s) {
		return ""
	}
	ascii, err := address.ToASCII(s)
	if err != nil {
		return ""
	}
	org, err := publicsuffix.EffectiveTLDPlusOne(ascii)
	if err != nil {
		return ""
	}
	return org
}

// source is where a message came from: its proved author's organization, whose mail may come
// from as many hosts as it likes, else the network of the client.
func source(m *filter.Message, author string) string {
	if author != "" {
		return author
	}
	ip := m.Client.IP.Unmap().WithZone("")
	if !ip.IsValid() {
		return ""
	}
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// Hash is what a Source has of its name.
func Hash(source string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(source))
	return h.Sum64()
}
