// Package mime walks a message into a tree of parts, tolerantly and inside hard limits, and
// offers the decoded views of it that checks and rules read. Where a message can be read in
// several ways all readings are kept; what cannot be read for certain is named.
package mime

import (
	"io"
	"iter"

	"postern/internal/mime/header"
	"postern/internal/mime/view"
)

// The nouns of the sub-rooms, under the names others use.
type (
	Header  = header.Header
	Field   = header.Field
	Mailbox = header.Mailbox
	URL     = view.URL
)

// Tree is what a walk found. It is safe for concurrent use.
type Tree struct {
	Root        *Part
	Parts       []*Part   // all parts in the order of the message, Root first, parts of other readings included
	Anomalies   []Anomaly // every oddity met, at most Limits.Anomalies
	Unscannable []string  // plain reasons why the message cannot be read for certain; empty = it can
}

// Part is one entity of the message.
type Part struct {
	Path      string // "1", "1.2", "1.2.1"; parts that only another reading has carry a letter ("1.2b")
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
}

// Anomaly is one oddity of a message.
type Anomaly struct {
	Kind   Kind
	Path   string // of the part
	Detail string // may hold text of the message
}

// Kind names an oddity; as a string it is the stem of a symbol.
type Kind string

// Limits bounds a walk. The zero value of a field means its default.
type Limits struct {
	Depth int // levels of parts
}

// DefaultLimits are the limits used where a configuration says nothing.
func DefaultLimits() Limits { return Limits{Depth: 30} }

// Alternative is a reading that differs from the plain one.
type Alternative struct {
	Part *Part
	Why  Kind
	Data []byte
}

// Walk reads a message of size bytes. The error is that of r; whatever the bytes are, there
// is a tree.
func Walk(r io.ReaderAt, size int64, lim Limits) (*Tree, error) { return &Tree{Root: &Part{}}, nil }

// Decoded returns the body with its transfer encoding undone, plain reading. Not to be changed.
func (p *Part) Decoded() []byte { return nil }

// Readings returns every distinct decoding of the body, the plain one first.
func (p *Part) Readings() [][]byte { return nil }

// IsLeaf reports whether the part has content of its own rather than parts.
func (p *Part) IsLeaf() bool { return len(p.Children) == 0 }

// Text returns the text of all text parts, HTML as text, in UTF-8, bounded.
func (t *Tree) Text() string { return "" }

// HTMLText returns the decoded source of all HTML parts in UTF-8, bounded.
func (t *Tree) HTMLText() string { return "" }

// URLs returns the links of text and HTML parts, bounded.
func (t *Tree) URLs() []URL { return nil }

// FileNames returns every reading of every file name, without repetition.
func (t *Tree) FileNames() []string { return nil }

// Subject returns the decoded subject.
func (t *Tree) Subject() string { return "" }

// From returns the mailboxes of all From fields in order.
func (t *Tree) From() []Mailbox { return nil }

// Alternatives yields the decoded bytes of every reading that differs from the plain one,
// so that a scanner can be fed them too.
func (t *Tree) Alternatives() iter.Seq[Alternative] { return func(func(Alternative) bool) {} }
