package header

import (
	"strings"
	"unicode"

	"postern/internal/address"
	"postern/internal/mime"
	"postern/internal/mime/alike"
)

// Lengths, in letters, below which a word found in a domain says nothing.
const (
	leastWord  = 4 // anywhere in it
	leastPiece = 2 // as a whole piece between dots and hyphens
	leastShort = 3 // first letters of a name
)

// named says whether the domain of an author has anything of the shown name: firms write from
// domains that are called as they are. Of free mailboxes, and of names that have no letters as
// domains have them, it says nothing.
func (l *look) named(from mime.Mailbox) {
	if free(from.Domain) || l.ours(from.Domain) {
		return
	}
	name := latin(from.Name)
	if len(strings.Join(name, "")) < leastShort {
		return
	}
	detail := from.Name + " <" + from.Address + ">"
	if calls(name, from.Domain) {
		l.add(FromNameDomain, detail)
	} else {
		l.add(FromNameStrange, detail)
	}
}

// latin are the words of a name, as they look, that a domain could have.
func latin(name string) (out []string) {
	for w := range strings.FieldsFuncSeq(alike.Skeleton(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if strings.IndexFunc(w, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
			out = append(out, w)
		}
	}
	return out
}

// calls reports whether a domain, its public suffix aside, has a word of a name, is a part of
// the name, or is its first letters.
func calls(name []string, domain string) bool {
	org := address.Registered(domain)
	label, _, _ := strings.Cut(org, ".")
	pieces := latin(strings.TrimSuffix(strings.TrimSuffix(domain, org), ".") + "." + label)
	domain = strings.Join(pieces, "")
	whole, short := strings.Join(name, ""), ""
	for _, w := range name {
		short += w[:1]
		if len(w) >= leastWord && strings.Contains(domain, w) {
			return true
		}
	}
	for i, p := range pieces {
		for _, w := range name {
			if len(p) >= leastPiece && p == w {
				return true
			}
		}
		// Below the registered name pieces are seldom names: mail, news, e.
		if i == len(pieces)-1 && len(p) >= leastWord && strings.Contains(whole, p) {
			return true
		}
	}
	return len(short) >= leastShort && strings.Contains(domain, short)
}
