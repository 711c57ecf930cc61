package traffic

import (
	"bytes"
	"strings"
)

// sieve tells from the text of a row that it cannot match, which is far cheaper than reading
// it. It lets rows pass that do not match, never the other way round.
type sieve struct {
	all   [][]byte // in lower case, stand in every row that matches
	words [][]byte // the same for rows of ASCII alone: others are folded first
}

func sieveOf(m *matcher) (out sieve) {
	for _, text := range []string{m.id, m.mid, m.to, m.from} {
		if text = strings.ToLower(text); len(text) > 1 && verbatim(text) {
			out.all = append(out.all, []byte(text))
		}
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

func (s *sieve) passes(line []byte) bool {
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
