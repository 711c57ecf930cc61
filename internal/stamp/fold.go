package stamp

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"
)

// Line lengths of RFC 5322 section 2.1.1, without CRLF. A word is cut long before lineMax.
const (
	lineWanted = 78
	wordMax    = 400
)

// fold before a word asks for a new line there.
const fold = "\n"

// writeField writes a field of words, which must be clean already, folded between them.
func writeField(b *bytes.Buffer, name string, words []string) {
	b.WriteString(name)
	b.WriteByte(':')
	col := len(name) + 1
	for i, w := range words {
		w, asked := strings.CutPrefix(w, fold)
		if i > 0 && (asked || col+1+len(w) > lineWanted) {
			b.WriteString("\r\n\t")
			col = 8 // what a tab is shown as
		} else {
			b.WriteByte(' ')
			col++
		}
		b.WriteString(w)
		col += len(w)
	}
	b.WriteString("\r\n")
}

// clean keeps what may stand in a header line: printable ASCII, and with wide also other
// printable UTF-8. Everything else becomes a question mark, so that no line ends early.
func clean(s string, wide bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r >= ' ' && r < 0x7f:
			b.WriteByte(byte(r))
		case wide && r >= 0xa0 && (r != utf8.RuneError || n > 1) && r != 0x2028 && r != 0x2029:
			b.WriteRune(r)
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// cut shortens s to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// atom is s as one word of letters, digits and harmless marks, never empty.
func atom(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-+/@", r):
			return r
		}
		return '?'
	}, cut(s, wordMax))
	if s == "" {
		return "-"
	}
	return s
}

// sentence is plain text as words; text beyond ASCII becomes encoded words (RFC 2047).
func sentence(s string) []string {
	s = cut(strings.ReplaceAll(strings.ToValidUTF8(s, "?"), ";", ","), describeMax)
	if strings.IndexFunc(s, func(r rune) bool { return r > 0x7e }) >= 0 {
		s = mime.QEncoding.Encode("utf-8", strings.Join(strings.Fields(s), " "))
	}
	return strings.Fields(clean(strings.Join(strings.Fields(s), " "), false))
}

// quote is s as a quoted-string (RFC 5322 section 3.2.4), bounded in length.
func quote(s string, wide bool) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range clean(cut(s, wordMax), wide) {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
