package header

import (
	"strings"
)

// Mailbox is one author as a mail program shows it.
type Mailbox struct {
	Name    string // display name, decoded; "" if none
	Address string // what stands between the angle brackets, or the bare address
	Domain  string // lower-case domain of Address; "" if it has none
}

// maxMailboxes bounds one list; nobody is shown more.
const maxMailboxes = 1000

// Mailboxes reads an address list (RFC 5322 section 3.4) whatever its state: a bracket left
// open, comments, groups, commas in bare names. It takes linear time.
func Mailboxes(value string) []Mailbox {
	s := scanner{s: strings.ReplaceAll(value, "\x00", "")}
	for s.i < len(s.s) && len(s.out) < maxMailboxes {
		s.next()
	}
	s.finish()
	return s.out
}

// scanner walks over an address list once.
type scanner struct {
	s       string
	i       int
	out     []Mailbox
	phrase  strings.Builder // words outside brackets and comments, quotes undone
	comment strings.Builder
	angle   string
	hasAddr bool
	raw     strings.Builder // the same, quotes kept
	at      bool            // raw holds an @
}

// next consumes one element.
func (s *scanner) next() {
	switch c := s.s[s.i]; c {
	case '"':
		start := s.i
		t := s.delimited('"', '"')
		s.phrase.WriteString(t)
		s.raw.WriteString(s.s[start:s.i])
	case '(':
		if s.comment.Len() > 0 {
			s.comment.WriteByte(' ')
		}
		s.comment.WriteString(s.delimited('(', ')'))
	case '<':
		if s.hasAddr {
			s.finish()
		}
		s.i++
		end := strings.IndexByte(s.s[s.i:], '>')
		if end < 0 {
			end = len(s.s) - s.i
		}
		s.angle, s.hasAddr = s.s[s.i:s.i+end], true
		s.i = min(s.i+end+1, len(s.s))
	case ',', ';':
		s.finish()
		s.i++
	case ':':
		s.i++
		if !s.hasAddr && !s.at {
			s.reset() // the name of a group
		}
	default:
		n := strings.IndexAny(s.s[s.i:], "\"(<,;:")
		if n < 0 {
			n = len(s.s) - s.i
		}
		t := s.s[s.i : s.i+n]
		s.phrase.WriteString(t)
		s.raw.WriteString(t)
		s.at = s.at || strings.Contains(t, "@")
		s.i += n
	}
}

// delimited reads a quoted string or a nested comment and returns its content unescaped.
func (s *scanner) delimited(opening, closing byte) string {
	var sb strings.Builder
	depth := 1
	for s.i++; s.i < len(s.s); s.i++ {
		c := s.s[s.i]
		switch {
		case c == '\\' && s.i+1 < len(s.s):
			s.i++
			c = s.s[s.i]
		case c == closing:
			if depth--; depth == 0 {
				s.i++
				return sb.String()
			}
		case c == opening:
			depth++
		}
		sb.WriteByte(c)
	}
	return sb.String()
}

// finish ends one mailbox.
func (s *scanner) finish() {
	phrase := strings.TrimSpace(s.phrase.String())
	comment := strings.TrimSpace(s.comment.String())
	var m Mailbox
	switch {
	case s.hasAddr:
		m = Mailbox{Name: Words(phrase), Address: strings.TrimSpace(s.angle)}
		if m.Name == "" {
			m.Name = Words(comment)
		}
	case strings.Contains(phrase, "@"):
		raw := strings.TrimSpace(s.raw.String())
		m = bare(raw)
		if m.Name == "" {
			m.Name = Words(comment)
		}
	case phrase != "":
		m = Mailbox{Name: Words(phrase)}
	}
	s.reset()
	if m == (Mailbox{}) {
		return
	}
	if i := strings.LastIndexByte(m.Address, '@'); i >= 0 {
		m.Domain = strings.ToLower(strings.Trim(m.Address[i+1:], " \t."))
	}
	s.out = append(s.out, m)
}

// bare reads an address without brackets; words around it are its name.
func bare(raw string) Mailbox {
	if strings.HasPrefix(raw, `"`) || !strings.ContainsAny(raw, " \t") {
		return Mailbox{Address: raw}
	}
	var name []string
	var m Mailbox
	for _, w := range strings.Fields(raw) {
		if m.Address == "" && strings.Contains(w, "@") {
			m.Address = w
			continue
		}
		name = append(name, w)
	}
	m.Name = Words(strings.Join(name, " "))
	return m
}

func (s *scanner) reset() {
	s.phrase.Reset()
	s.comment.Reset()
	s.raw.Reset()
	s.angle, s.hasAddr, s.at = "", false, false
}
