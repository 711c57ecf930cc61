package traffic

import (
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"

	"postern/internal/record"
	"postern/quarantine/search"
)

// A term is what a row is found by, hashed: its low 16 bits are kept in the list that the
// next 6 bits choose. Terms that meet by chance cost the reading of a block, and no answer.
type term uint32

// shards is the number of lists that the terms of an hour are spread over.
const shards = 64

func (t term) shard() int     { return int(t>>16) % shards }
func (t term) print() [2]byte { return [2]byte{byte(t >> 8), byte(t)} }

func termOf(kind, text string) term {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind)) // a hash takes everything
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(text))
	sum := h.Sum64()
	return term(sum>>32^sum) & (shards<<16 - 1)
}

// headRunes is the beginning of a word by which words that begin alike are found.
const headRunes = 3

// termsOf calls add for every term of a row.
func termsOf(r *record.Row, add func(term)) {
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
func netTerm(a netip.Addr, bits int) term {
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

// termsAtMost bounds the lists that are read for an hour of a query.
const termsAtMost = 8

// wanted are terms that every row has that the query asks for, the ones that few rows have
// first; none when all rows must be looked at.
func (m *matcher) wanted() []term {
	var out []term
	add := func(kind, text string) { out = append(out, termOf(kind, text)) }
	if m.id != "" {
		add("id", m.id)
	}
	if m.q.MessageID != "" {
		add("mid", m.mid)
	}
	if m.to != "" {
		add("to", m.to)
	}
	if m.from == "<>" {
		add("from", "")
	} else if m.from != "" {
		add("from", m.from)
	}
	if a := m.q.IP.Addr(); m.net != nil && !m.mixed() {
		for _, bits := range depths(a) {
			if bits <= m.bits {
				out = append(out, netTerm(a, bits))
				break
			}
		}
	}
	for _, w := range m.words {
		runes := []rune(w.Text)
		switch {
		case !w.Prefix:
			add("word", w.Text)
		case len(runes) >= headRunes:
			add("head", string(runes[:headRunes]))
		default:
			add("head", string(runes[:1]))
		}
	}
	return out[:min(len(out), termsAtMost)]
}

// mixed reports whether the network asked for has all of IPv4 in it.
func (m *matcher) mixed() bool {
	const all4 = 96
	return m.bits < all4 && string(masked([16]byte{10: 0xff, 11: 0xff}, m.bits)) == string(m.net)
}

// matcher tells whether a row is what a query asks for.
type matcher struct {
	q             record.Trace
	id, mid       string
	from, to      string
	words         []search.Term
	net           []byte // first address of the network, 16 octets
	bits          int
	since, until  int64 // milliseconds
	sinceSet, end bool
}

// matcherOf reads a query; ok is false when nothing can match.
func matcherOf(q record.Trace) (m *matcher, ok bool) {
	m = &matcher{q: q, mid: strings.Trim(q.MessageID, "<> "), from: strings.ToLower(q.From), to: strings.ToLower(q.To),
		since: q.Since.UnixMilli(), until: q.Until.UnixMilli(), sinceSet: !q.Since.IsZero(), end: !q.Until.IsZero()}
	m.id, _, _ = strings.Cut(q.ID, "-") // a hold's ID begins with that of its message
	if q.ID != "" && m.id == "" {
		return m, false
	}
	if words := strings.Fields(q.Subject); len(words) > 0 {
		if m.words = search.Wanted(words); len(m.words) == 0 {
			return m, false
		}
	}
	if q.IP.IsValid() {
		m.bits = q.IP.Bits()
		if q.IP.Addr().Is4() {
			m.bits += 96
		}
		m.net = masked(q.IP.Addr().As16(), m.bits)
	}
	return m, true
}

func (m *matcher) match(r *record.Row) bool {
	at := r.Time.UnixMilli()
	switch {
	case m.id != "" && r.ID != m.id,
		m.q.After != "" && r.ID >= m.q.After,
		m.sinceSet && at < m.since,
		m.end && at >= m.until,
		m.q.MessageID != "" && r.MessageID != m.mid:
		return false
	}
	return m.sender(r.From) && m.recipient(r.To) && m.network(r.Client.IP) && m.subject(r.Subject)
}

func (m *matcher) sender(from string) bool {
	from = strings.ToLower(from)
	switch {
	case m.from == "":
		return true
	case m.from == "<>":
		return from == ""
	case m.from[0] == '@':
		return domainOf(from) == m.from[1:]
	}
	return from == m.from
}

func (m *matcher) recipient(to []record.Fate) bool {
	if m.to == "" {
		return true
	}
	for _, f := range to {
		a := strings.ToLower(f.Address)
		if d := domainOf(a); a == m.to || d != "" && "@"+d == m.to {
			return true
		}
	}
	return false
}

func (m *matcher) network(ip string) bool {
	if m.net == nil {
		return true
	}
	a, err := netip.ParseAddr(ip)
	return err == nil && string(masked(a.As16(), m.bits)) == string(m.net)
}

func (m *matcher) subject(subject string) bool {
	if len(m.words) == 0 {
		return true
	}
	if ascii(subject) { // folding is dear: words that are not there at all need none
		low := strings.ToLower(subject)
		for _, w := range m.words {
			if !strings.Contains(low, w.Text) {
				return false
			}
		}
	}
	have := search.Terms(subject)
	for _, w := range m.words {
		found := false
		for _, t := range have {
			if found = t == w.Text || w.Prefix && strings.HasPrefix(t, w.Text); found {
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
