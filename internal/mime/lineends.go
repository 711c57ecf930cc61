package mime

import (
	"slices"

	"postern/internal/mime/lines"
	"postern/internal/mime/oddity"
)

// lineEnds sees to messages whose line ends are not all alike. Where a bare CR would count
// as a line end, the message is read once more that way and kept if that shows another
// structure.
func (w *walk) lineEnds() {
	raw := w.t.raw
	bare, mixed := lines.Ends(raw)
	if mixed {
		w.t.note(oddity.MixedLineEnds, "1", "")
	}
	if !bare || !w.spend(2*len(raw), "1") {
		return
	}
	plain := lines.Unify(raw)
	other := newWalk(plain, w.lim)
	other.t.Root = other.part(spot{src: plain, end: len(plain), step: "r", fallback: "text/plain", alternate: true})
	if sameShape(w.t, other.t) {
		return
	}
	w.t.note(oddity.LineEndConflict, "1", "")
	if len(w.t.Parts)+len(other.t.Parts) > w.lim.Parts {
		w.t.note(oddity.TooManyParts, "1", "")
		return
	}
	for _, p := range other.t.Parts {
		p.Alternate = true
	}
	w.t.Parts = append(w.t.Parts, other.t.Parts...)
	for _, a := range other.t.Anomalies {
		if _, yes := a.Kind.Unscannable(); yes {
			w.t.note(a.Kind, a.Path, a.Detail)
		}
	}
}

// sameShape reports whether two trees hold the same parts with the same headers.
func sameShape(a, b *Tree) bool {
	return slices.EqualFunc(a.Parts, b.Parts, func(p, q *Part) bool {
		return p.MediaType == q.MediaType && p.Encoding == q.Encoding && len(p.Header.Fields) == len(q.Header.Fields)
	})
}
