package rebuild

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"postern/internal/mime"
)

// nameMost bounds a name in a notice, in characters.
const nameMost = 80

// Name is the file name of a part made fit for a notice: printable, without marks that change
// the direction of text, bounded. A part without a name is called by its type.
func Name(p *mime.Part) string {
	name := ""
	for _, n := range p.FileNames {
		if name = Printable(n); name != "" {
			break
		}
	}
	if name == "" {
		name = "unnamed, " + Printable(p.MediaType)
	}
	return name
}

// Printable is text of strangers made fit for a notice, as Name is.
func Printable(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s))
	if r := []rune(s); len(r) > nameMost {
		return string(r[:nameMost/2]) + "..." + string(r[len(r)-nameMost/2:])
	}
	return s
}

// lineMost is the longest line of quoted-printable (RFC 2045 section 6.7, rule 5), less the
// sign of a soft line end.
const lineMost = 75

// writeQuoted writes text as quoted-printable. A line that would begin with "-" begins with
// that character encoded, so that none can be taken for a delimiter.
func writeQuoted(b *bytes.Buffer, text, eol string) {
	const hex = "0123456789ABCDEF"
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		col := 0
		for i := range len(line) {
			c := line[i]
			blank := c == ' ' || c == '\t'
			asIs := c > ' ' && c <= '~' && c != '=' || blank && i+1 < len(line)
			width := 3
			if asIs {
				width = 1
			}
			if col+width > lineMost {
				b.WriteString("=" + eol)
				col = 0
			}
			if col == 0 && c == '-' {
				asIs, width = false, 3
			}
			if asIs {
				b.WriteByte(c)
			} else {
				b.Write([]byte{'=', hex[c>>4], hex[c&15]})
			}
			col += width
		}
		b.WriteString(eol)
	}
}
