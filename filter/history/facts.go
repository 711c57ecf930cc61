package history

import (
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"postern/filter"
	"postern/internal/address"
)

// signature is a DKIM signature that passed.
type signature struct{ domain, value string }

// facts are what history needs to know of a message: who it claims to be from and what
// authentication says to that.
type facts struct {
	author string // normalised address of the single author, "" if there is none or several
	domain string // the author's domain
	dmarc  string // result for that domain, "" when it was not told

	mailFrom, helo string // domains that SPF proved, in A-labels
	signatures     []signature
}

// read takes the facts out of a message and all that was found about it.
func read(m *filter.Message, found []filter.Finding) facts {
	var f facts
	f.author = author(m)
	f.domain = asciiDomain(f.author)
	for _, one := range found {
		if one.Symbol == "FROM_MULTIPLE" || one.Symbol == "FROM_MALFORMED" {
			f.author, f.domain = "", ""
		}
	}
	for _, one := range found {
		if one.Auth != nil {
			f.result(one.Auth)
		}
	}
	return f
}

func (f *facts) result(r *filter.AuthResult) {
	switch {
	case r.Method == "dmarc":
		if d := asciiDomain(r.Prop("header", "from")); d != "" && d == f.domain {
			f.dmarc = r.Result
		}
	case r.Result != "pass":
	case r.Method == "spf":
		if d := asciiDomain(r.Prop("smtp", "mailfrom")); d != "" {
			f.mailFrom = d
		} else if d := asciiDomain(r.Prop("smtp", "helo")); d != "" {
			f.helo = d
		}
	case r.Method == "dkim":
		s := signature{asciiDomain(r.Prop("header", "d")), r.Prop("header", "b")}
		if s.domain != "" && !slices.Contains(f.signatures, s) {
			f.signatures = append(f.signatures, s)
		}
	}
}

// author is the one address in From:. Several prove nothing: a reader sees only one of them.
func author(m *filter.Message) string {
	if m.Parts == nil {
		return ""
	}
	tree, err := m.Parts()
	if err != nil || tree == nil || len(tree.Root.Header.All("From")) != 1 {
		return ""
	}
	boxes := tree.From()
	if len(boxes) != 1 {
		return ""
	}
	if _, err := address.Parse(boxes[0].Address, true); err != nil {
		return ""
	}
	return address.Normalize(boxes[0].Address)
}

// asciiDomain is the domain of an address, or a domain itself, in lower-case A-labels; ""
// for what is no host name.
func asciiDomain(s string) string {
	s = strings.TrimSuffix(strings.ToLower(s[strings.LastIndexByte(s, '@')+1:]), ".")
	if !address.ValidDomain(s) {
		return ""
	}
	ascii, err := address.ToASCII(s)
	if err != nil {
		return ""
	}
	return ascii
}

// organization is the registrable domain of a host name, "" if it has none.
func organization(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return ""
	}
	return org
}

// aligned is relaxed alignment (RFC 9989): the same organizational domain.
func aligned(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a == b {
		return true
	}
	org := organization(a)
	return org != "" && org == organization(b)
}

// proves reports whether SPF or a signature passed for a domain aligned with this one.
func (f *facts) proves(domain string) bool {
	if aligned(domain, f.mailFrom) || aligned(domain, f.helo) {
		return true
	}
	return slices.ContainsFunc(f.signatures, func(s signature) bool { return aligned(domain, s.domain) })
}

// provedAuthor reports whether the author's address is proved: by DMARC, or by an aligned
// pass where the domain publishes no DMARC record.
func (f *facts) provedAuthor() bool {
	return f.author != "" && (f.dmarc == "pass" || f.dmarc == "none" && f.proves(f.domain))
}

// source is where a message came from: what SPF proved, else the organization of the
// confirmed reverse name, else the network of the client.
func (f *facts) source(c filter.Client) string {
	switch {
	case f.mailFrom != "":
		return "spf:" + f.mailFrom
	case f.helo != "":
		return "spf:" + f.helo
	}
	if d := organization(asciiDomain(c.Name)); d != "" {
		return "name:" + d
	}
	ip := c.IP.Unmap().WithZone("")
	if !ip.IsValid() {
		return ""
	}
	bits := 24
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return "net:" + p.String()
}

// sourceKey is the key of a source for one author domain; ok is false where one is unknown.
// Trust in a source never reaches beyond that domain.
func (f *facts) sourceKey(c filter.Client) (k Key, ok bool) {
	source := f.source(c)
	if source == "" || f.domain == "" {
		return Key{}, false
	}
	return keyOf("source", source, f.domain), true
}
