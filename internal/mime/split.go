package mime

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// cut is one delimiter line of a multipart.
type cut struct {
	at, next int  // where its line begins, where the next one does
	final    bool // the closing delimiter
	loose    bool // only begins with the delimiter; most readers do not take it for one
}

// cuts finds the delimiter lines of a boundary in body; none if there are only loose ones.
func (w *walk) cuts(body []byte, boundary string) []cut {
	out, real := w.lines(body, boundary)
	if !real {
		return nil
	}
	return out
}

// lines finds the lines that begin with a delimiter; real says that one is nothing
// else and opens a part.
func (w *walk) lines(body []byte, boundary string) (out []cut, real bool) {
	delim := []byte("--" + boundary)
	for at := 0; len(out) <= w.lim.Parts; {
		i := bytes.Index(body[at:], delim)
		if i < 0 {
			break
		}
		at += i
		if !lineBegins(body, at) {
			at += 2
			continue
		}
		l, next := lineAt(body, at)
		rest := bytes.TrimRight(l[len(delim):], " \t")
		c := cut{at: at, next: next, final: bytes.HasPrefix(rest, []byte("--"))}
		c.loose = len(rest) > 0 && (!c.final || len(rest) > 2)
		real = real || !c.loose && !c.final
		out = append(out, c)
		at = next
	}
	return out, real
}

// lineBegins reports whether a line begins at pos.
func lineBegins(b []byte, pos int) bool { return pos == 0 || b[pos-1] == '\n' || b[pos-1] == '\r' }

// lineAt returns the line at pos without its end, and where the next one begins.
func lineAt(b []byte, pos int) (l []byte, next int) {
	i := bytes.IndexByte(b[pos:], '\n')
	if i < 0 {
		return bytes.TrimRight(b[pos:], "\r"), len(b)
	}
	return bytes.TrimRight(b[pos:pos+i], "\r"), pos + i + 1
}

// before steps back over the line end that belongs to the delimiter at pos.
func before(b []byte, start, pos int) int {
	if pos > start && b[pos-1] == '\n' {
		pos--
	}
	if pos > start && b[pos-1] == '\r' {
		pos--
	}
	return pos
}

// split makes the parts of p between cuts, which count from start in src.
func (w *walk) split(p *Part, src []byte, start, end int, boundary string, cuts []cut, plain bool) {
	fallback := "text/plain"
	if p.MediaType == "multipart/digest" {
		fallback = "message/rfc822"
	}
	exact := slices.DeleteFunc(slices.Clone(cuts), func(c cut) bool { return c.loose })
	closed := false
	n := 0
	for i, c := range exact {
		stop := end
		if i+1 < len(exact) {
			stop = before(src, start+c.next, start+exact[i+1].at)
		}
		s := spot{src: src, start: start + c.next, end: max(stop, start+c.next), parent: p, fallback: fallback}
		s.start = min(s.start, s.end)
		if i == 0 {
			w.outside(p, src[start:start+c.at], s, start, start+c.at)
		}
		switch {
		case w.stopped:
			return
		case c.final:
			closed = true
			w.outside(p, src[s.start:s.end], s, s.start, s.end)
		case closed || !plain:
			w.late(s, closed)
		default:
			n++
			s.step = strconv.Itoa(n)
			if w.part(s) == nil {
				return
			}
		}
	}
	if !closed && plain {
		w.t.note(BoundaryOpen, p.Path, "")
	}
	w.loose(p, src, start, end, boundary, cuts)
}

// late reads a part that stands behind the closing delimiter or belongs to another reading.
func (w *walk) late(s spot, closed bool) {
	c := w.alternate(s)
	if closed && c != nil {
		w.keepIf(c, PartOutside)
	}
}

// outside reads a preamble or epilogue as a part if it looks like one.
func (w *walk) outside(p *Part, text []byte, s spot, start, end int) {
	if len(bytes.TrimSpace(text)) == 0 || !hasContentField(text, false) || !w.spend(len(text), p.Path) {
		return
	}
	for start < end && (s.src[start] == '\r' || s.src[start] == '\n') {
		start++
	}
	s.start, s.end = start, end
	w.keepIf(w.alternate(s), PartOutside)
}

// hasContentField reports whether a line of b begins with "Content-", or only its first
// lines up to an empty one if head is set.
func hasContentField(b []byte, head bool) bool {
	for len(b) > 0 {
		l, next := lineAt(b, 0)
		if head && len(l) == 0 {
			return false
		}
		if len(l) > len("content-") && strings.EqualFold(string(l[:len("content-")]), "content-") && bytes.IndexByte(l, ':') > 0 {
			return true
		}
		b = b[next:]
	}
	return false
}

// loose reads lines that merely begin with a delimiter as delimiters, unless they are those
// of a multipart further down.
func (w *walk) loose(p *Part, src []byte, start, end int, boundary string, cuts []cut) {
	for i, c := range cuts {
		if !c.loose || c.final {
			continue
		}
		l, _ := lineAt(src[:end], start+c.at)
		name := strings.TrimRight(string(l[2:]), " \t")
		own := slices.ContainsFunc(w.boundaries, func(b string) bool { return b != boundary && (name == b || name == b+"--") })
		if own || !hasContentField(src[start+c.next:min(end, start+c.next+512)], true) {
			continue
		}
		stop := end
		if i+1 < len(cuts) {
			stop = before(src, start+c.next, start+cuts[i+1].at)
		}
		w.keepIf(w.alternate(spot{src: src, start: start + c.next, end: stop, parent: p, fallback: "text/plain"}), NestedBoundaryGame)
	}
}
