package mime

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"postern/internal/mime/lines"
	"postern/internal/mime/oddity"
)

// cuts finds the delimiter lines of a boundary in body; real says that one is beyond doubt.
func (w *walk) cuts(p *Part, body []byte, boundary string) (out []lines.Delimiter, real bool) {
	out, real, more := lines.Delimiters(body, boundary, w.lim.Parts)
	if more {
		w.t.note(oddity.TooManyParts, p.Path, "")
	}
	return out, real
}

// split makes the parts of p between cuts, which count from start in src.
func (w *walk) split(p *Part, src []byte, start, end int, boundary string, cuts []lines.Delimiter, plain bool) {
	fallback := "text/plain"
	if p.MediaType == "multipart/digest" {
		fallback = "message/rfc822"
	}
	exact := slices.DeleteFunc(slices.Clone(cuts), func(c lines.Delimiter) bool { return c.Loose })
	closed := false
	n := 0
	for i, c := range exact {
		stop := end
		if i+1 < len(exact) {
			stop = lines.Before(src, start+c.Next, start+exact[i+1].At)
		}
		s := spot{src: src, start: start + c.Next, end: max(stop, start+c.Next), parent: p, fallback: fallback}
		s.start = min(s.start, s.end)
		if i == 0 {
			w.outside(p, src[start:start+c.At], s, start, start+c.At)
		}
		switch {
		case w.stopped:
			return
		case c.Final:
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
		w.t.note(oddity.BoundaryOpen, p.Path, "")
	}
	w.loose(p, src, start, end, boundary, cuts)
}

// late reads a part that stands behind the closing delimiter or belongs to another reading.
func (w *walk) late(s spot, closed bool) {
	c := w.alternate(s)
	if closed && c != nil {
		w.keepIf(c, oddity.PartOutside)
	}
}

// outside reads a preamble or epilogue as a part if it looks like one.
func (w *walk) outside(p *Part, text []byte, s spot, start, end int) {
	if len(bytes.TrimSpace(text)) == 0 || !lines.HasContentField(text, false) || !w.spend(len(text), p.Path) {
		return
	}
	for start < end && (s.src[start] == '\r' || s.src[start] == '\n') {
		start++
	}
	s.start, s.end = start, end
	w.keepIf(w.alternate(s), oddity.PartOutside)
}

// loose reads lines that merely begin with a delimiter as delimiters, unless they are those
// of a multipart further down.
func (w *walk) loose(p *Part, src []byte, start, end int, boundary string, cuts []lines.Delimiter) {
	for i, c := range cuts {
		if !c.Loose || c.Final {
			continue
		}
		l, _ := lines.At(src[:end], start+c.At)
		name := strings.TrimRight(string(l[2:]), " \t")
		own := slices.ContainsFunc(w.boundaries, func(b string) bool { return b != boundary && (name == b || name == b+"--") })
		if own || !lines.HasContentField(src[start+c.Next:min(end, start+c.Next+512)], true) {
			continue
		}
		stop := end
		if i+1 < len(cuts) {
			stop = lines.Before(src, start+c.Next, start+cuts[i+1].At)
		}
		w.keepIf(w.alternate(spot{src: src, start: start + c.Next, end: stop, parent: p, fallback: "text/plain"}), oddity.NestedBoundaryGame)
	}
}
