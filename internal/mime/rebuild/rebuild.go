// Package rebuild makes a new message out of one that is to lose some of its parts. A small
// notice stands where a part was; every other byte stays as it is. Only a message whose
// structure is beyond doubt is taken apart.
package rebuild

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/internal/mime"
	"postern/internal/mime/oddity"
)

// Removal is one part to leave out.
type Removal struct {
	Path string // of a leaf of the tree, "1.2"
	Text string // what stands in its place: plain text in UTF-8, lines ended by LF; see Name
}

// Refused says why a message is not taken apart.
type Refused struct {
	Reason string // plain words without text of the message
}

func (e *Refused) Error() string { return "mime: not rebuilt: " + e.Reason }

func refused(format string, args ...any) error {
	return &Refused{Reason: fmt.Sprintf(format, args...)}
}

// Message is the new message, composed of the original's bytes and the notices on every read:
// nothing is copied. It is safe for concurrent use as long as the original is.
type Message struct {
	original io.ReaderAt
	size     int64
	pieces   []piece
}

// piece is a stretch of the new message: literal bytes, or as many of the original.
type piece struct {
	at   int64 // where it begins in the new message
	n    int64
	lit  []byte // nil: from the original
	from int64
}

// edit replaces the bytes [start, end) of the original.
type edit struct {
	start, end int64
	lit        []byte
}

// New makes the message that body is without the parts named. t is the walk of body, which
// has size bytes. The same input gives the same message: no boundary is made up, since a
// notice stands in the place of its part and holds no line that could be a delimiter. The
// error is a *Refused when the structure is not beyond doubt.
func New(body io.ReaderAt, size int64, t *mime.Tree, out []Removal) (*Message, error) {
	if len(t.Unscannable) > 0 {
		return nil, refused("%s", t.Unscannable[0])
	}
	if len(t.Anomalies) >= mime.DefaultLimits().Anomalies {
		return nil, refused("it has more oddities than are kept")
	}
	if len(out) == 0 {
		return nil, errors.New("mime: nothing to leave out")
	}
	if int64(len(t.Root.Raw())) != size {
		return nil, fmt.Errorf("mime: a tree of %d bytes for a message of %d", len(t.Root.Raw()), size)
	}
	var edits []edit
	changed := map[*mime.Part]bool{}
	for _, r := range out {
		p, err := find(t, r.Path)
		if err != nil {
			return nil, err
		}
		if changed[p] {
			return nil, fmt.Errorf("mime: part %s is named twice", r.Path)
		}
		if err := certain(t, p); err != nil {
			return nil, err
		}
		edits = append(edits, replace(t, p, r.Text)...)
		changed[p] = true
		for up := p.Parent; up != nil && !changed[up]; up = up.Parent {
			changed[up] = true
			edits = append(edits, without(up, measures)...)
		}
	}
	return compose(body, size, edits)
}

// find returns the leaf of the plain reading at path.
func find(t *mime.Tree, path string) (*mime.Part, error) {
	for _, p := range t.Parts {
		if p.Path != path {
			continue
		}
		if !plain(p) {
			return nil, refused("part %s exists in one reading of the message only", path)
		}
		switch {
		case !p.IsLeaf():
			return nil, refused("part %s holds other parts", path)
		case p.Start == p.End:
			return nil, refused("part %s is empty", path)
		}
		return p, nil
	}
	return nil, refused("there is no part %s", path)
}

// plain reports whether the plain reading shows p.
func plain(p *mime.Part) bool {
	for ; p != nil; p = p.Parent {
		if p.Alternate {
			return false
		}
	}
	return true
}

// doubtful are the oddities of an entity that leave in doubt where its parts begin and end, or
// what its header says.
func doubtful() []mime.Kind {
	return []mime.Kind{
		oddity.BoundaryMissing, oddity.BoundaryLong, oddity.BoundaryOpen, oddity.BoundaryReused, oddity.ParamOdd, oddity.TypeTwice,
		oddity.TypeBroken, oddity.EncodingTwice, oddity.HeaderNoColon, oddity.HeaderBlankName, oddity.HeaderLeading, oddity.HeaderNUL,
		oddity.HeaderBadName, oddity.HeaderBareCR, oddity.HeaderBlankFold, oddity.MixedLineEnds,
	}
}

// certain refuses a part that cannot be cut out for certain: it and every entity around it
// stand in the message as they are, and nothing is odd about them that matters. What is odd
// about a part that goes with its header does not.
func certain(t *mime.Tree, p *mime.Part) error {
	raw := t.Root.Raw()
	around := map[string]bool{}
	for up := p; up != nil; up = up.Parent {
		if b := up.Raw(); up.End > int64(len(raw)) || up.Start > up.BodyStart || len(b) > 0 && &b[0] != &raw[up.Start] {
			return refused("part %s is inside an encoded part", p.Path)
		}
		if up != p || keepsHeader(p) {
			around[up.Path] = true
		}
	}
	kinds := doubtful()
	for _, a := range t.Anomalies {
		if around[a.Path] && slices.Contains(kinds, a.Kind) {
			return refused("its structure is not certain (%s at part %s)", strings.ToLower(strings.ReplaceAll(string(a.Kind), "_", " ")), a.Path)
		}
	}
	return nil
}

// keepsHeader reports whether the header of p is that of a message and not of a body part.
func keepsHeader(p *mime.Part) bool {
	return p.Parent == nil || !strings.HasPrefix(p.Parent.MediaType, "multipart/")
}

// replace puts a notice in the place of p. Of a message the header stays, less what describes
// the body that is gone.
func replace(t *mime.Tree, p *mime.Part, text string) []edit {
	eol := "\r\n"
	raw := t.Root.Raw()
	if !bytes.Contains(raw, []byte("\r\n")) && bytes.IndexByte(raw, '\n') >= 0 {
		eol = "\n"
	}
	if seal := sealAround(p); seal != "" {
		text = strings.TrimRight(text, "\n") + "\n\n" + seal + "\n"
	}
	var b bytes.Buffer
	var out []edit
	start := p.Start
	if keepsHeader(p) {
		out = without(p, describes)
		start = headerEnd(p)
		cut := slices.ContainsFunc(out, func(e edit) bool { return e.end == start })
		if start > p.Start && raw[start-1] != '\n' && !cut {
			b.WriteString(eol)
		}
		if !p.Header.Has("MIME-Version") {
			b.WriteString("MIME-Version: 1.0" + eol)
		}
	}
	b.WriteString("Content-Type: text/plain; charset=utf-8" + eol + "Content-Transfer-Encoding: quoted-printable" + eol)
	b.WriteString("Content-Disposition: inline" + eol + eol)
	writeQuoted(&b, text, eol)
	return append(out, edit{start: start, end: p.End, lit: b.Bytes()})
}

// sealAround is what a notice says when the part was under a signature or inside an encrypted
// part (RFC 1847).
func sealAround(p *mime.Part) string {
	for up := p.Parent; up != nil; up = up.Parent {
		switch up.MediaType {
		case "multipart/signed":
			return "The signature of this part of the message no longer holds, because the part was changed here."
		case "multipart/encrypted":
			return "This part of the message was encrypted; it cannot be decrypted any more."
		}
	}
	return ""
}

// headerEnd is where the empty line behind the header of p begins.
func headerEnd(p *mime.Part) int64 {
	head := p.Raw()[:p.BodyStart-p.Start]
	if len(head) == 0 || head[len(head)-1] != '\n' {
		return p.BodyStart
	}
	last := bytes.LastIndexByte(head[:len(head)-1], '\n') + 1
	if len(bytes.TrimRight(head[last:], "\r\n")) > 0 {
		return p.BodyStart
	}
	return p.Start + int64(last)
}

// describes reports fields that are about the body alone.
func describes(name string) bool {
	return len(name) > len("Content-") && strings.EqualFold(name[:len("Content-")], "Content-") || measures(name)
}

// measures reports fields that hold for the exact bytes of a body.
func measures(name string) bool {
	for _, n := range []string{"Content-Length", "Content-MD5", "Content-Digest", "Repr-Digest", "Lines"} {
		if strings.EqualFold(name, n) {
			return true
		}
	}
	return false
}

// without cuts fields out of the header of p.
func without(p *mime.Part, drop func(name string) bool) []edit {
	var out []edit
	for i := range p.Header.Fields {
		if f := &p.Header.Fields[i]; drop(f.Name) {
			out = append(out, edit{start: f.Offset, end: f.Offset + int64(len(f.Raw))})
		}
	}
	return out
}

// compose lists the pieces of the new message.
func compose(body io.ReaderAt, size int64, edits []edit) (*Message, error) {
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	m := &Message{original: body}
	add := func(p piece) {
		if p.n > 0 {
			p.at = m.size
			m.pieces = append(m.pieces, p)
			m.size += p.n
		}
	}
	pos := int64(0)
	for _, e := range edits {
		if e.start < pos || e.end < e.start || e.end > size {
			return nil, refused("its parts overlap")
		}
		add(piece{n: e.start - pos, from: pos})
		add(piece{n: int64(len(e.lit)), lit: e.lit})
		pos = e.end
	}
	add(piece{n: size - pos, from: pos})
	return m, nil
}
