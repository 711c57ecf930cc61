package token

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"postern/internal/mime"
)

// relations adds how the parts of a message fit each other, which is the same in all languages
// and years: whether the name of the author is that of the domain, whether links lead back to
// it, and how hard the text was made to read for machines.
func (b *bag) relations(tree *mime.Tree) {
	from := tree.From()
	if len(from) > 0 {
		domain := organization(from[0].Domain)
		b.add(kindRelation, "name "+nameFits(from[0].Name, domain))
		b.add(kindRelation, "local "+localShape(localPart(from[0].Address)))
		b.add(kindRelation, "links "+linksFit(tree.URLs(), domain))
		b.disguise("name", from[0].Name)
		b.padding("name", from[0].Name)
	}
	b.disguise("subject", tree.Subject())
	b.padding("subject", tree.Subject())
	b.disguise("text", cut(tree.Text(), MaxText))
}

func localPart(address string) string {
	local, _, _ := strings.Cut(address, "@")
	return strings.ToLower(local)
}

// nameFits says whether a display name is that of the domain.
func nameFits(name, domain string) string {
	label, _, _ := strings.Cut(domain, ".")
	name = strings.ToLower(norm.NFKC.String(cut(name, 400)))
	if strings.TrimSpace(name) == "" {
		return "none"
	}
	if label != "" && len(label) > 2 && strings.Contains(letters(name), letters(label)) {
		return "domain"
	}
	for _, w := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(w) > 2 && strings.Contains(label, w) {
			return "domain"
		}
	}
	return "elsewhere"
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// localShape says what the part before the @ looks like.
func localShape(local string) string {
	digits, turns, was := 0, 0, false
	for i, r := range local {
		d := unicode.IsDigit(r)
		if d {
			digits++
		}
		if i > 0 && d != was {
			turns++
		}
		was = d
	}
	s := "short"
	if len(local) > 20 {
		s = "long"
	}
	switch {
	case turns > 2:
		return s + " mixed"
	case digits > 3:
		return s + " digits"
	}
	return s
}

// linksFit says how many links lead to the domain of the author.
func linksFit(all []mime.URL, domain string) string {
	n, home := 0, 0
	first, several := "", false
	for u := range followed(all) {
		org := organization(u.Host)
		if n++; n == 1 {
			first = org
		}
		several = several || org != first
		if org == domain {
			home++
		}
	}
	switch {
	case n == 0:
		return "none"
	case home == 0 && !several:
		return "one elsewhere"
	case home == 0:
		return "elsewhere"
	case home*2 >= n:
		return "home"
	}
	return "some home"
}

// script is what is known of the word that is being read.
type script struct{ latin, other, letter bool }

// disguised counts how letters were hidden from machines.
type disguised struct{ hidden, styled, mixed int }

// disguise adds how letters were hidden from machines: invisible ones between others, styled
// ones of mathematics, scripts mixed within a word.
func (b *bag) disguise(where, text string) {
	var n disguised
	var s script
	for _, r := range text {
		if r < utf8.RuneSelf {
			if 'a' <= r|0x20 && r|0x20 <= 'z' {
				if s.other {
					n.mixed++
				}
				s = script{latin: true, letter: true}
			} else {
				s = script{}
			}
			continue
		}
		n.rune(r, &s)
	}
	for _, what := range []struct {
		name string
		n    int
	}{{"hidden", n.hidden}, {"styled", n.styled}, {"mixed", n.mixed}} {
		if what.n > 0 {
			b.add(kindRelation, where+" "+what.name+" "+rough(min(what.n, 8)))
		}
	}
}

func (n *disguised) rune(r rune, s *script) {
	switch {
	case r >= 0x1d400 && r < 0x1d800, r >= 0x24b6 && r < 0x24ea, r >= 0x1f130 && r < 0x1f18a:
		n.styled++
	case r < 0x590 && unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian):
		if s.latin {
			n.mixed++
		}
		*s = script{other: true, letter: true}
	case unicode.Is(unicode.Cf, r):
		if s.letter {
			n.hidden++
		}
	case unicode.IsLetter(r):
		s.letter = true
	}
}

// padding adds runs of blanks, which nobody types, and codes that tell one copy from another.
func (b *bag) padding(where, text string) {
	text = cut(text, 400)
	if strings.Contains(text, "   ") || strings.HasPrefix(text, "  ") {
		b.add(kindRelation, where+" padded")
	}
	for _, w := range strings.Fields(text) {
		w = letters(w)
		if len(w) >= 5 && strings.ContainsFunc(w, unicode.IsDigit) && strings.ContainsFunc(w, unicode.IsLetter) {
			b.add(kindRelation, where+" code")
			return
		}
	}
}
