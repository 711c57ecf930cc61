package seal

import (
	"strings"

	"postern/internal/canon"
)

// layout is how a field looks. The zero layout is ours: i= first (RFC 8617 section 4.1), b=
// last, every line short.
type layout struct {
	message, seal []string                     // the order of the tags
	names         func(*canon.Header) []string // the fields to sign
	oneLine       bool
}

func (s *Sealer) names(h *canon.Header) []string {
	if s.layout.names != nil {
		return s.layout.names(h)
	}
	return signedNames(h)
}

// width is how long a line may become, without CRLF.
const width = 76

// field writes tags in an order; a tag that has no value yet stands empty.
func (s *Sealer) field(name string, order []string, tags map[string]string) []byte {
	if order == nil {
		order = []string{"i", "a", "cv", "c", "d", "s", "t", "h", "bh", "b"}
	}
	var words []string
	for _, tag := range order {
		value, ok := tags[tag]
		if !ok && tag != "b" {
			continue
		}
		words = append(words, s.pieces(tag+"="+value)...)
		words[len(words)-1] += ";"
	}
	words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], ";")
	if s.layout.oneLine {
		return []byte(name + ": " + strings.Join(words, " ") + "\r\n")
	}
	return fold(name, words)
}

// pieces cuts a long tag where blanks may stand: behind the colons of h=, and anywhere in
// b=, which is base64.
func (s *Sealer) pieces(tag string) []string {
	const most = width - 10
	var out []string
	for !s.layout.oneLine && len(tag) > most {
		at := most
		if strings.HasPrefix(tag, "b=") || len(out) > 0 && strings.HasPrefix(out[0], "b=") {
			out = append(out, tag[:at])
			tag = tag[at:]
			continue
		}
		if i := strings.LastIndexByte(tag[:at], ':'); i > 0 {
			at = i + 1
		} else {
			break
		}
		out = append(out, tag[:at])
		tag = tag[at:]
	}
	return append(out, tag)
}

// fold writes a field of words, a blank or a new line between them.
func fold(name string, words []string) []byte {
	out := []byte(name + ":")
	col := len(out)
	for i, word := range words {
		if i > 0 && col+1+len(word) > width {
			out = append(out, "\r\n\t"...)
			col = 8 // what a tab is shown as
		} else {
			out = append(out, ' ')
			col++
		}
		out = append(out, word...)
		col += len(word)
	}
	return append(out, "\r\n"...)
}
