// Package who finds the line of a rule file's recipients or accounts that somebody falls under,
// of whom the name is known or only marks of it.
package who

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"postern/internal/address"
	"postern/rules/book"
)

// Line is what the most specific line says: that of the name, of the name without its +tag, of
// what stands before the @ at any domain, of the domain, of a domain above it, of everybody.
func Line(lines map[string]string, name string) (policy string, ok bool) {
	key := book.MapKey(name)
	base := Base(key)
	for _, k := range []string{key, base, Local(key) + "@*", Local(base) + "@*"} {
		if p, ok := lines[k]; ok {
			return p, true
		}
	}
	return byDomain(lines, address.DomainOf(key))
}

// byDomain looks for the line of a domain, of one above it, or of everybody.
func byDomain(lines map[string]string, domain string) (policy string, ok bool) {
	if domain != "" {
		if p, ok := lines["*@"+domain]; ok {
			return p, true
		}
		for {
			_, parent, more := strings.Cut(domain, ".")
			if !more {
				break
			}
			if p, ok := lines["*@*."+parent]; ok {
				return p, true
			}
			domain = parent
		}
	}
	p, ok := lines["*"]
	return p, ok
}

// Local is what stands before the last @ of a key, or all of it.
func Local(key string) string {
	if i := strings.LastIndexByte(key, '@'); i >= 0 {
		return key[:i]
	}
	return key
}

// Base is a key without its +tag.
func Base(key string) string {
	a, err := address.Parse(key, true)
	if err != nil {
		return key
	}
	return a.Base().String()
}

// Hidden is a recipient or an account without its name: enough to find its line, and not who
// it is. Two names of a domain are taken for one in one of four thousand million cases.
type Hidden struct {
	Domain      string // "" where it has none
	Local, Base uint32 // marks of what stands before the @, as it is and without its +tag
}

// Hide makes a Hidden of a name.
func Hide(name string) Hidden {
	key := book.MapKey(name)
	h := Hidden{Domain: address.DomainOf(key), Local: Mark(Local(key))}
	h.Base = h.Local
	if strings.Contains(key, "+") {
		h.Base = Mark(Local(Base(key)))
	}
	return h
}

// Mark is the first four octets of a text's SHA-256.
func Mark(s string) uint32 {
	sum := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint32(sum[:])
}

// Lines finds the lines of who is hidden.
type Lines struct {
	lines map[string]string
	exact map[exactly]string
}

// exactly is a line that names who stands before the @; its domain is "*" for all of them.
type exactly struct {
	domain string
	local  uint32
}

// NewLines prepares the lines of recipients or of accounts.
func NewLines(lines map[string]string) Lines {
	l := Lines{lines: lines, exact: map[exactly]string{}}
	for key, policy := range lines {
		if strings.HasPrefix(key, "*") {
			continue
		}
		domain := address.DomainOf(key)
		if strings.HasSuffix(key, "@*") {
			domain = "*"
		}
		l.exact[exactly{domain, Mark(Local(key))}] = policy
	}
	return l
}

// Policy is what Line says of the name that is hidden, or the default policy.
func (l Lines) Policy(h Hidden) string {
	for _, k := range [...]exactly{{h.Domain, h.Local}, {h.Domain, h.Base}, {"*", h.Local}, {"*", h.Base}} {
		if p, ok := l.exact[k]; ok {
			return p
		}
	}
	if p, ok := byDomain(l.lines, h.Domain); ok {
		return p
	}
	return book.DefaultPolicy
}
