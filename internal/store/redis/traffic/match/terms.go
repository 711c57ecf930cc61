// Package match tells which rows of traffic a query asks for: by terms before a row is read, by
// its text, and by the row.
package match

import (
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"

	"postern/internal/record"
	"postern/quarantine/search"
)

// A Term is what a row is found by, hashed: its low 16 bits are kept in the list that the
// next 6 bits choose. Terms that meet by chance cost the reading of a block, and no answer.
type Term uint32

// Lists is the number of lists that the terms of an hour are spread over.
const Lists = 64

// List is the list that the term is kept in.
func (t Term) List() int { return int(t>>16) % Lists }

// Print is what is kept of the term in its list.
func (t Term) Print() [2]byte { return [2]byte{byte(t >> 8), byte(t)} }

func termOf(kind, text string) Term {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind)) // a hash takes everything
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(text))
	sum := h.Sum64()
	return Term(sum>>32^sum) & (Lists<<16 - 1)
}

// headRunes is the beginning of a word by which words that begin alike are found.
const headRunes = 3

// TermsOf calls add for every term of a row.
func TermsOf(r *record.Row, add func(Term)) {
	add(termOf("id", r.ID))
	add(termOf("mid", r.MessageID))
	from := strings.ToLower(r.From)
	add(termOf("from", from))
	add(termOf("from", "@"+domainOf(from)))
	for _, to := range r.To {
		a := strings.ToLower(to.Address)
		add(termOf("to", a))
		add(termOf("to", "@"+domainOf(a)))
	}
	if r.Account != "" {
		add(termOf("account", strings.ToLower(r.Account)))
	}
	for _, w := range r.ReplyWords() {
		add(termOf("reply", w))
	}
	if a, err := netip.ParseAddr(r.Client.IP); err == nil {
		for _, bits := range depths(a) {
			add(netTerm(a, bits))
		}
	}
	for _, w := range search.Terms(r.Subject) {
		runes := []rune(w)
		add(termOf("word", w))
		add(termOf("head", string(runes[:min(1, len(runes))])))
		if len(runes) >= headRunes {
			add(termOf("head", string(runes[:headRunes])))
		}
	}
}

// depths are the networks of an address by which it is found, narrowest first.
func depths(a netip.Addr) []int {
	if a.Unmap().Is4() {
		return []int{128, 120, 112}
	}
	return []int{128, 64, 48, 32}
}

// netTerm is the term of the network of a with so many bits of 128.
func netTerm(a netip.Addr, bits int) Term {
	raw := a.As16()
	return termOf("ip", strconv.Itoa(bits)+string(masked(raw, bits)))
}

func masked(raw [16]byte, bits int) []byte {
	for i := range raw {
		switch left := bits - 8*i; {
		case left <= 0:
			raw[i] = 0
		case left < 8:
			raw[i] &= 0xff << (8 - left)
		}
	}
	return raw[:]
}

func domainOf(address string) string {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return ""
	}
	return address[i+1:]
}
