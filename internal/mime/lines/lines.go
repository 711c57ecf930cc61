// Package lines finds lines whatever ends them, and the delimiter lines of multiparts.
package lines

import (
	"bytes"
	"strings"
)

// At returns the line at pos without its end, and where the next one begins. LF ends a
// line; CRs before it belong to the end.
func At(b []byte, pos int) (l []byte, next int) {
	i := bytes.IndexByte(b[pos:], '\n')
	if i < 0 {
		return bytes.TrimRight(b[pos:], "\r"), len(b)
	}
	return bytes.TrimRight(b[pos:pos+i], "\r"), pos + i + 1
}

// Begins reports whether a line begins at pos.
func Begins(b []byte, pos int) bool { return pos == 0 || b[pos-1] == '\n' || b[pos-1] == '\r' }

// Before steps back over the line end in front of pos, not behind start: it belongs to the
// delimiter that follows.
func Before(b []byte, start, pos int) int {
	if pos > start && b[pos-1] == '\n' {
		pos--
	}
	if pos > start && b[pos-1] == '\r' {
		pos--
	}
	return pos
}

// Delimiter is one line of a multipart that begins with "--" and the boundary.
type Delimiter struct {
	At, Next int  // where its line begins, where the next one does
	Final    bool // "--" follows: the closing delimiter
	Loose    bool // more follows; most readers do not take it for a delimiter
}

// Delimiters finds at most limit delimiters of a boundary in body. real says that one of
// them opens a part and is not loose; more, that there are others beyond the limit.
func Delimiters(body []byte, boundary string, limit int) (out []Delimiter, real, more bool) {
	delim := []byte("--" + boundary)
	for at := 0; ; {
		i := bytes.Index(body[at:], delim)
		if i < 0 {
			return out, real, false
		}
		at += i
		if !Begins(body, at) {
			at += 2
			continue
		}
		if len(out) == limit {
			return out, real, true
		}
		l, next := At(body, at)
		rest := bytes.TrimRight(l[len(delim):], " \t")
		d := Delimiter{At: at, Next: next, Final: bytes.HasPrefix(rest, []byte("--"))}
		d.Loose = len(rest) > 0 && (!d.Final || len(rest) > 2)
		real = real || !d.Loose && !d.Final
		out = append(out, d)
		at = next
	}
}

// HasContentField reports whether a line of b begins with "Content-" and holds a colon; with
// head set only the lines up to an empty one count.
func HasContentField(b []byte, head bool) bool {
	const prefix = "content-"
	for len(b) > 0 {
		l, next := At(b, 0)
		if head && len(l) == 0 {
			return false
		}
		if len(l) > len(prefix) && strings.EqualFold(string(l[:len(prefix)]), prefix) && bytes.IndexByte(l, ':') > 0 {
			return true
		}
		b = b[next:]
	}
	return false
}

// Ends looks at all line ends of b: bare says that there are CRs no LF follows, mixed that
// not all are alike.
func Ends(b []byte) (bare, mixed bool) {
	bare = bareCR(b)
	lf, crlf := bytes.Count(b, []byte{'\n'}), bytes.Count(b, []byte("\r\n"))
	return bare, bare || crlf > 0 && crlf < lf
}

// bareCR looks for a CR that neither an LF nor another CR before an LF follows.
func bareCR(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			return false
		}
		b = bytes.TrimLeft(b[i+1:], "\r")
		if len(b) == 0 || b[0] != '\n' {
			return true
		}
	}
}

// Unify returns b with every line end, bare CRs included, as LF.
func Unify(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte{'\n'}), []byte{'\r'}, []byte{'\n'})
}
