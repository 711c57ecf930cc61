// Package mime walks a message into a tree of parts, tolerantly and inside hard limits, and
// offers the decoded views of it that checks and rules read. Where a message can be read in
// several ways all readings are kept; what cannot be read for certain is named.
//
// The whole message is held in memory while its tree is in use, and what its encoded parts
// decode to beside it.
package mime

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"postern/internal/mime/header"
	"postern/internal/mime/oddity"
	"postern/internal/mime/view"
)

// The nouns of the sub-rooms, under the names others use.
type (
	Header  = header.Header
	Field   = header.Field
	Mailbox = header.Mailbox
	URL     = view.URL
	Figures = view.Figures
	Pages   = view.Pages
	Kind    = oddity.Kind
	Anomaly = oddity.Anomaly
)

// Link reads one link, as browsers do; ok is false for what leads nowhere.
func Link(raw string) (u URL, ok bool) { return view.Link(raw) }

// Tree is what a walk found. It is safe for concurrent use and not to be changed.
type Tree struct {
	Root        *Part
	Parts       []*Part   // Root first, then in the order found; parts of other readings included
	Anomalies   []Anomaly // the oddities met, at most Limits.Anomalies
	Unscannable []string  // plain reasons why the message cannot be read for certain; empty = it can
	Work        int64     // bytes looked at, bounded by Limits.Work

	lim   Limits
	raw   []byte
	once  sync.Once
	views views
}

// Part is one entity of the message.
type Part struct {
	Path      string // "1", "1.2", "1.2.1"; a step with a letter ("1.a1") leads to another reading
	Parent    *Part
	Children  []*Part
	Alternate bool // found only by a reading other than the plain one

	Header      Header
	MediaType   string            // lower-case "type/subtype", defaults applied
	Params      map[string]string // of Content-Type, names in lower case, plain reading
	Charset     string            // lower-case, as declared
	Disposition string            // lower-case, "" if none
	Encoding    string            // lower-case transfer encoding, "" if none
	FileNames   []string          // every reading of every name it carries

	Start, BodyStart, End int64 // offsets in the message, or in the decoded body of the nearest encoded ancestor

	src      []byte // what Start, BodyStart and End count in
	readings []reading
}

// reading is one decoding of a body.
type reading struct {
	why  Kind // "" for the plain one
	data []byte
}

// Raw returns the bytes of the part with its header. Not to be changed.
func (p *Part) Raw() []byte { return p.src[p.Start:p.End] }

// Body returns the body as it stands, still encoded. Not to be changed.
func (p *Part) Body() []byte { return p.src[p.BodyStart:p.End] }

// Decoded returns the body with its transfer encoding undone, plain reading; for a multipart
// the body itself. Not to be changed.
func (p *Part) Decoded() []byte {
	if len(p.readings) == 0 {
		return p.Body()
	}
	return p.readings[0].data
}

// Readings returns every distinct decoding of the body, the plain one first.
func (p *Part) Readings() [][]byte {
	out := [][]byte{p.Decoded()}
	for i := 1; i < len(p.readings); i++ {
		out = append(out, p.readings[i].data)
	}
	return out
}

// Encoded returns those of the readings that are in the charset of the part.
func (p *Part) Encoded() [][]byte {
	out, last := p.Readings(), len(p.readings)-1
	if last > 0 && p.readings[last].why == Recoded {
		out = out[:last]
	}
	return out
}

// IsLeaf reports whether the part has content of its own rather than parts; parts that only
// another reading shows do not count.
func (p *Part) IsLeaf() bool {
	return !slices.ContainsFunc(p.Children, func(c *Part) bool { return !c.Alternate })
}

// Leaves yields the parts with content of their own, those of other readings included.
func (t *Tree) Leaves() iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		for _, p := range t.Parts {
			if p.IsLeaf() && !yield(p) {
				return
			}
		}
	}
}

// OtherReading is the Why of an alternative that is a part of its own, Recoded of a text in UTF-8
// whose charset hides from others what it says.
const (
	OtherReading Kind = "OTHER_READING"
	Recoded      Kind = "RECODED"
)

// Alternative is a reading that differs from the plain one.
type Alternative struct {
	Part *Part
	Why  Kind
	Data []byte
}

// Alternatives yields the decoded bytes of every reading that differs from the plain one,
// so that a scanner can be fed them too.
func (t *Tree) Alternatives() iter.Seq[Alternative] {
	return func(yield func(Alternative) bool) {
		for _, p := range t.Parts {
			for i, r := range p.readings {
				why := r.why
				if i == 0 {
					if !p.Alternate || !p.IsLeaf() {
						continue
					}
					why = OtherReading
				}
				if len(r.data) > 0 && !yield(Alternative{Part: p, Why: why, Data: r.data}) {
					return
				}
			}
		}
	}
}

// Has reports whether an anomaly of that kind was met.
func (t *Tree) Has(kind Kind) bool {
	return slices.ContainsFunc(t.Anomalies, func(a Anomaly) bool { return a.Kind == kind })
}

// Walk reads a message of size bytes. The error is that of r; whatever the bytes are, there
// is a tree.
func Walk(r io.ReaderAt, size int64, lim Limits) (*Tree, error) {
	var raw []byte
	if b, ok := r.(interface{ Bytes() []byte }); ok && int64(len(b.Bytes())) == size {
		raw = b.Bytes()
	} else {
		raw = make([]byte, size)
		if n, err := r.ReadAt(raw, 0); int64(n) < size {
			return nil, fmt.Errorf("mime: reading the message: %w", err)
		}
	}
	return Bytes(raw, lim), nil
}

// Bytes walks a message that is in memory; raw must not change while the tree is in use.
func Bytes(raw []byte, lim Limits) *Tree {
	lim = lim.withDefaults()
	w := newWalk(raw, lim)
	w.root()
	w.lineEnds()
	w.t.Work = w.work
	return w.t
}

// Kinds are all kinds of anomalies there are.
func Kinds() []Kind { return oddity.Kinds() }

// note records an oddity and whether it makes the message unscannable.
func (t *Tree) note(k Kind, path, detail string) {
	reason, yes := k.Unscannable()
	first := yes && !t.Has(k)
	if first {
		t.Unscannable = append(t.Unscannable, reason+" (part "+path+")")
	}
	if first || len(t.Anomalies) < t.lim.Anomalies {
		t.Anomalies = append(t.Anomalies, Anomaly{Kind: k, Path: path, Detail: oddity.Short(detail)})
	}
}
