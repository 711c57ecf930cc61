package match

import (
	"bytes"
	"strings"
	"time"

	"postern/filter"
)

// sieve tells from the text of a row that it cannot match.
type sieve struct {
	after        string   // IDs that are not less are of the pages before
	since, until *int64   // milliseconds; nil = any
	all          [][]byte // in lower case, stand in every row that matches
	words        [][]byte // the same for rows of ASCII alone: others are folded first
}

func sieveOf(m *Matcher) (out sieve) {
	for _, text := range []string{m.id, m.mid, m.to, m.from, m.account, m.reply, m.q.Direction, m.q.State} {
		if text = strings.ToLower(text); len(text) > 1 && verbatim(text) {
			out.all = append(out.all, []byte(text))
		}
	}
	out.after = m.q.After
	if m.sinceSet {
		out.since = &m.since
	}
	if m.end {
		out.until = &m.until
	}
	for _, w := range m.words {
		if ascii(w.Text) {
			out.words = append(out.words, []byte(w.Text))
		}
	}
	return out
}

// verbatim reports whether JSON writes a text as it is.
func verbatim(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			return false
		}
	}
	return true
}

func ascii[T string | []byte](text T) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// idAt is where the ID stands in the text of a row.
const idAt = len(`{"id":"`)

// timeAt is what stands between the ID and the time.
const timeAt = `","time":"`

// front looks at the ID and the time of a row that begins as rows are written.
func (s *sieve) front(line []byte) bool {
	if s.after == "" && s.since == nil && s.until == nil || len(line) < idAt+filter.IDLen || string(line[:idAt]) != `{"id":"` {
		return true
	}
	id, rest := string(line[idAt:idAt+filter.IDLen]), line[idAt+filter.IDLen:]
	rest, whole := bytes.CutPrefix(rest, []byte(timeAt))
	if !whole || !filter.ValidID(id) {
		return true
	}
	if s.after != "" && id >= s.after {
		return false
	}
	text, _, _ := bytes.Cut(rest, []byte{'"'})
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return err != nil || (s.since == nil || at.UnixMilli() >= *s.since) && (s.until == nil || at.UnixMilli() < *s.until)
}

func (s *sieve) passes(line []byte) bool {
	if !s.front(line) {
		return false
	}
	if len(s.all)+len(s.words) == 0 {
		return true
	}
	low := bytes.ToLower(line)
	for _, text := range s.all {
		if !bytes.Contains(low, text) {
			return false
		}
	}
	if len(s.words) == 0 || !ascii(line) {
		return true
	}
	for _, text := range s.words {
		if !bytes.Contains(low, text) {
			return false
		}
	}
	return true
}
