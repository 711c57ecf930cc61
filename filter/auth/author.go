package auth

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/filter/auth/dmarc"
	"postern/internal/mime"
	"postern/internal/mime/header"
)

// MaxAuthors bounds the author domains that are judged; a message with more is malformed.
const MaxAuthors = 20

// authors are the people a message claims to be from, as any reader might see them.
type authors struct {
	domains   []string // distinct, lower case, A-labels, in order
	several   bool     // more than one From field or address
	more      bool     // there are more domains than are judged
	malformed string   // what is wrong, or ""
	nobody    bool     // some reader shows no author at all: nothing proves him
}

// readAuthors takes every author domain out of a message, those too that only some readers
// would see: whoever judges by one and shows another is fooled.
func readAuthors(t *mime.Tree) authors {
	var a authors
	fields := t.Root.Header.All("From")
	boxes := t.From()
	if len(fields) == 0 {
		a.fault("there is no From field")
	}
	a.several = len(fields) > 1
	for _, f := range fields {
		if strings.TrimSpace(f) == "" {
			a.nobody = true
			a.fault("a From field is empty")
		}
		if strings.ContainsFunc(f, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' && r != '\n' || r == 0x7f }) {
			a.nobody = true
			a.fault("a From field holds control characters")
		}
	}
	addresses := map[string]bool{}
	for _, b := range boxes {
		if b.Address == "" {
			continue
		}
		addresses[strings.ToLower(b.Address)] = true
		a.add(b.Address)
	}
	a.several = a.several || len(addresses) > 1
	for _, f := range fields {
		head, _, _ := strings.Cut(f, "\x00") // where some readers end
		found := loose(f)
		if head != f {
			found = append(found, loose(head)...)
		}
		for _, d := range found {
			if len(a.domains) <= MaxAuthors && !slices.Contains(a.domains, d) {
				a.several = a.several || len(a.domains) > 0
				a.domains = append(a.domains, d)
				a.fault("a From field holds several addresses as one")
			}
		}
	}
	if len(a.domains) == 0 {
		a.fault("From names no domain")
	}
	if len(a.domains) > MaxAuthors {
		a.domains, a.more = a.domains[:MaxAuthors], true
		a.fault("From names more domains than anyone reads")
	}
	return a
}

// fault keeps the first thing that is wrong.
func (a *authors) fault(words string) {
	if a.malformed == "" {
		a.malformed = words
	}
}

// add takes the domains of one address. One that is no mailbox still has the domains that
// some reader would take from it.
func (a *authors) add(address string) {
	rest := address
	if strings.HasPrefix(rest, `"`) { // a quoted local part may hold an @
		if end := closingQuote(rest); end > 0 {
			rest = rest[end:]
		}
	}
	if bare := uncommented(rest); bare != rest {
		a.fault("a From address holds a comment")
		a.read(bare)
	}
	a.read(rest)
	if address[0] == '@' {
		a.fault("a From address has several @")
	}
}

// read takes the domains out of what stands behind a local part.
func (a *authors) read(rest string) {
	pieces := strings.Split(rest, "@")
	if len(pieces) < 2 {
		a.fault("a From address has no domain")
		if plain := header.Words(rest); strings.Contains(plain, "@") {
			a.nobody = true
			a.name(plain[strings.LastIndexByte(plain, '@')+1:])
		}
		return
	}
	if len(pieces) > 2 {
		a.fault("a From address has several @")
	}
	for _, p := range pieces[1:] {
		if i := strings.IndexAny(p, ":,"); i >= 0 { // a source route of RFC 822
			a.fault("a From address holds a route")
			p = p[:i]
		}
		p = strings.TrimSpace(p)
		first := a.uncut(p)
		a.name(first)
		if whole := a.uncut(joined(p)); whole != first {
			a.name(whole)
		}
	}
}

// uncut is a domain up to where a reader may think that it ends.
func (a *authors) uncut(p string) string {
	if i := strings.IndexAny(p, " \t\r\n<>()"); i >= 0 {
		a.fault("a From address holds blanks or brackets")
		p = p[:i]
	}
	return p
}

// name takes one domain.
func (a *authors) name(p string) {
	d, ok := dmarc.Name(p)
	if !ok || !strings.Contains(d, ".") {
		a.fault("a From address has a domain that is none")
		a.nobody = true
		if d, ok = dmarc.Name(legible(p)); !ok || !strings.Contains(d, ".") {
			return
		}
	}
	if len(a.domains) <= MaxAuthors && !slices.Contains(a.domains, d) {
		a.domains = append(a.domains, d)
	}
}

// legible is the domain that a person reads in what is none: encoded words decoded, without
// what cannot be seen, up to what no domain holds.
func legible(p string) string {
	p = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.In(r, unicode.C, unicode.Z) {
			return -1
		}
		return r
	}, header.Words(p))
	p = strings.TrimLeft(p, `[{('"`)
	end := strings.IndexFunc(p, func(r rune) bool {
		return r < utf8.RuneSelf && r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	})
	if end >= 0 {
		p = p[:end]
	}
	return p
}

// joined is a domain without the blanks around its dots, which RFC 5322 section 4.4 allows.
func joined(p string) string {
	labels := strings.Split(p, ".")
	for i := range labels {
		labels[i] = strings.TrimSpace(labels[i])
	}
	return strings.Join(labels, ".")
}

// uncommented is a text without its comments (RFC 5322 section 3.2.2).
func uncommented(s string) string {
	var b strings.Builder
	var pairs pairs
	for i := 0; i < len(s); {
		if s[i] == '(' {
			if n := pairs.comment(s[i:]); n > 0 {
				i += n
				continue
			}
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String()
}

// closingQuote is the offset behind the quoted string s begins with, or 0.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}
