package rebuild

import (
	"bytes"
	"fmt"
	"slices"

	"postern/internal/mime"
)

// Same reports, as an error, what a walk of the new message shows that should not be: it must
// have the leaves of the original at the same paths with the same content, the parts left out
// replaced by plain text. A *Refused says that the new message raises doubts that the original
// did not.
func Same(original, rebuilt *mime.Tree, out []Removal) error {
	if len(rebuilt.Unscannable) > 0 {
		return refused("%s", rebuilt.Unscannable[0])
	}
	a, b := plainLeaves(original), plainLeaves(rebuilt)
	if len(a) != len(b) {
		return fmt.Errorf("mime: %d leaves became %d", len(a), len(b))
	}
	for i, p := range a {
		q := b[i]
		if p.Path != q.Path {
			return fmt.Errorf("mime: part %s became %s", p.Path, q.Path)
		}
		if slices.ContainsFunc(out, func(r Removal) bool { return r.Path == p.Path }) {
			if q.MediaType != "text/plain" || len(q.FileNames) > 0 || bytes.Equal(p.Decoded(), q.Decoded()) {
				return fmt.Errorf("mime: part %s is still there", p.Path)
			}
			continue
		}
		if p.MediaType != q.MediaType || !slices.Equal(p.FileNames, q.FileNames) || !slices.EqualFunc(p.Readings(), q.Readings(), bytes.Equal) {
			return fmt.Errorf("mime: part %s changed", p.Path)
		}
	}
	if n, had := alternates(rebuilt), alternates(original); n > had {
		return refused("without the part it can be read in another way")
	}
	return nil
}

// plainLeaves are the leaves of the plain reading.
func plainLeaves(t *mime.Tree) []*mime.Part {
	var out []*mime.Part
	for p := range t.Leaves() {
		if plain(p) {
			out = append(out, p)
		}
	}
	return out
}

func alternates(t *mime.Tree) int {
	n := 0
	for _, p := range t.Parts {
		if p.Alternate {
			n++
		}
	}
	return n
}
