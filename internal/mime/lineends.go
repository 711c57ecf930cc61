package mime

import (
	"bytes"
)

// lineEnds sees to messages whose line ends are not all alike. Where a bare CR would count
// as a line end, the message is read once more that way and kept if that shows another
// structure.
func (w *walk) lineEnds() {
	raw := w.t.raw
	bare := bareCRs(raw)
	lf := bytes.Count(raw, []byte{'\n'})
	crlf := bytes.Count(raw, []byte("\r\n"))
	if bare > 0 || crlf > 0 && crlf < lf {
		w.t.note(MixedLineEnds, "1", "")
	}
	if bare == 0 || !w.spend(2*len(raw), "1") {
		return
	}
	plain := bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte{'\n'}), []byte{'\r'}, []byte{'\n'})
	other := newWalk(plain, w.lim)
	other.t.Root = other.part(spot{src: plain, end: len(plain), step: "r", fallback: "text/plain", alternate: true})
	if sameShape(w.t, other.t) {
		return
	}
	if len(w.t.Parts)+len(other.t.Parts) > w.lim.Parts {
		w.t.note(TooManyParts, "1", "")
	}
	for _, p := range other.t.Parts {
		p.Alternate = true
	}
	w.t.Parts = append(w.t.Parts, other.t.Parts...)
	w.t.note(LineEndConflict, "1", "")
	for _, a := range other.t.Anomalies {
		if _, yes := a.Kind.Unscannable(); yes {
			w.t.note(a.Kind, a.Path, a.Detail)
		}
	}
}

// bareCRs counts CRs that no LF follows, apart from those right before another CR and LF.
func bareCRs(b []byte) int {
	n := 0
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			return n
		}
		b = b[i+1:]
		b2 := bytes.TrimLeft(b, "\r")
		if len(b2) == 0 || b2[0] != '\n' {
			n++
		}
		b = b2
	}
}

// sameShape reports whether two trees hold the same parts with the same headers.
func sameShape(a, b *Tree) bool {
	if len(a.Parts) != len(b.Parts) {
		return false
	}
	for i, p := range a.Parts {
		q := b.Parts[i]
		if p.MediaType != q.MediaType || p.Encoding != q.Encoding || len(p.Header.Fields) != len(q.Header.Fields) {
			return false
		}
	}
	return true
}
