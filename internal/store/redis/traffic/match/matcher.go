package match

import (
	"net/netip"
	"slices"
	"strings"

	"postern/internal/record"
	"postern/quarantine/search"
)

// Matcher tells whether a row is what a query asks for.
type Matcher struct {
	q             record.Trace
	id, mid       string
	from, to      string
	account       string
	reply         string
	words         []search.Term
	net           []byte // first address of the network, 16 octets
	bits          int
	since, until  int64 // milliseconds
	sinceSet, end bool
	sieve         sieve
}

// New reads a query; ok is false when nothing can match.
func New(q record.Trace) (m *Matcher, ok bool) {
	m = &Matcher{q: q, mid: strings.Trim(q.MessageID, "<> "), from: strings.ToLower(q.From), to: strings.ToLower(q.To), account: strings.ToLower(q.Account),
		since: q.Since.UnixMilli(), until: q.Until.UnixMilli(), sinceSet: !q.Since.IsZero(), end: !q.Until.IsZero()}
	m.id, _, _ = strings.Cut(q.ID, "-") // a hold's ID begins with that of its message
	if q.ID != "" && m.id == "" {
		return m, false
	}
	if m.reply = record.ReplyWord(q.Reply); q.Reply != "" && m.reply == "" {
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
	m.sieve = sieveOf(m)
	return m, true
}

// ID is the message ID asked for; "" for any.
func (m *Matcher) ID() string { return m.id }

// During reports whether rows with times from lo to hi can be asked for.
func (m *Matcher) During(lo, hi int64) bool {
	return (!m.sinceSet || hi >= m.since) && (!m.end || lo < m.until)
}

// Passes reports whether the row of this JSON may be asked for. It is far cheaper than reading
// it; it lets rows pass that do not match, never the other way round.
func (m *Matcher) Passes(line []byte) bool { return m.sieve.passes(line) }

// Match reports whether the query asks for the row.
func (m *Matcher) Match(r *record.Row) bool {
	at := r.Time.UnixMilli()
	switch {
	case m.id != "" && r.ID != m.id,
		m.q.After != "" && r.ID >= m.q.After,
		m.sinceSet && at < m.since,
		m.end && at >= m.until,
		m.q.MessageID != "" && r.MessageID != m.mid:
		return false
	}
	return m.other(r) && m.sender(r.From) && m.recipient(r.To) && m.network(r.Client.IP) && m.subject(r.Subject)
}

// other are the fields that people seldom ask for.
func (m *Matcher) other(r *record.Row) bool {
	return (m.account == "" || strings.ToLower(r.Account) == m.account) &&
		(m.q.Direction == "" || r.Direction == m.q.Direction) &&
		(m.q.State == "" || slices.ContainsFunc(r.To, func(f record.Fate) bool { return f.State == m.q.State })) &&
		(m.reply == "" || slices.Contains(r.ReplyWords(), m.reply))
}

func (m *Matcher) sender(from string) bool {
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

func (m *Matcher) recipient(to []record.Fate) bool {
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

func (m *Matcher) network(ip string) bool {
	if m.net == nil {
		return true
	}
	a, err := netip.ParseAddr(ip)
	return err == nil && string(masked(a.As16(), m.bits)) == string(m.net)
}

func (m *Matcher) subject(subject string) bool {
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

// termsAtMost bounds the lists that are read for an hour of a query.
const termsAtMost = 8

// Terms are terms that every row has that the query asks for, the ones that few rows have
// first; none when all rows must be looked at.
func (m *Matcher) Terms() []Term {
	var out []Term
	add := func(kind, text string) { out = append(out, termOf(kind, text)) }
	if m.id != "" {
		add("id", m.id)
	}
	if m.q.MessageID != "" {
		add("mid", m.mid)
	}
	if m.reply != "" {
		add("reply", m.reply)
	}
	if m.to != "" {
		add("to", m.to)
	}
	if m.account != "" {
		add("account", m.account)
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
func (m *Matcher) mixed() bool {
	const all4 = 96
	return m.bits < all4 && string(masked([16]byte{10: 0xff, 11: 0xff}, m.bits)) == string(m.net)
}
