// Package strict reads YAML the way an operator's file deserves: every error at once, each
// with file, line and column, unknown keys with the likely one named, and the place of every
// value kept so that later checks can point at it too.
package strict

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"postern/internal/said"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits of what is read.
const (
	MaxErrors = 50      // errors reported for one file; more are counted
	MaxBytes  = 4 << 20 // size of a file
	MaxDepth  = 100     // nesting
)

// Place is a position in a file; lines and columns count from 1.
type Place struct {
	File         string
	Line, Column int
}

// String is "file:line:column", or what is known of it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error is one thing wrong with a file.
type Error struct {
	Place
	Message string
	Words   said.Words // Message with its code, where it has one
}

func (e *Error) Error() string { return e.String() + ": " + e.Message }

// Said implements said.Sayer: the place, and what is wrong there.
func (e *Error) Said() said.Words {
	if e.Words.Code == "" {
		return said.Words{English: e.Error()}
	}
	return said.Words{Code: said.Around, Values: said.Values{"before": e.String() + ": ", "said": e.Words, "after": ""}, English: e.Error()}
}

// Errors are all things wrong, in the order of their places.
type Errors []*Error

func (e Errors) Error() string {
	var b strings.Builder
	for i, one := range e {
		if i == MaxErrors {
			fmt.Fprintf(&b, "\nand %d more", len(e)-MaxErrors)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(one.Error())
	}
	return b.String()
}

// Sort orders the errors by place.
func (e Errors) Sort() {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column)
	})
}

// Text is implemented by values written as one YAML scalar. The error is shown behind the
// place.
type Text interface {
	UnmarshalText(text []byte) error
}

// List is implemented by lists that may also be written as their only element.
type List interface{ OneOrMore() }

// Document is a decoded file: where each value stands, and what was wrong.
type Document struct {
	File   string
	places map[string]Place
	errs   Errors
}

// At is the place of a value by its path ("listeners[0].tls.cert"); the nearest value above
// it when the path itself is not written in the file.
func (d *Document) At(path string) Place {
	for {
		if p, ok := d.places[path]; ok {
			return p
		}
		i := strings.LastIndexAny(path, ".[")
		if i <= 0 {
			return Place{File: d.File}
		}
		path = path[:i]
	}
}

// Has reports whether the file itself wrote the value at path.
func (d *Document) Has(path string) bool { _, ok := d.places[path]; return ok }

// Fail records something wrong with the value at path, in English alone.
func (d *Document) Fail(path, format string, args ...any) {
	d.errs = append(d.errs, &Error{Place: d.At(path), Message: fmt.Sprintf(format, args...)})
}

// Fault records something wrong with the value at path; code, format and pairs are those of
// said.Say.
func (d *Document) Fault(path, code, format string, pairs ...any) {
	d.fail(d.At(path), code, format, pairs...)
}

// Because records that the value at path cannot be what it is for a reason.
func (d *Document) Because(path string, err error) { d.because(d.At(path), err) }

func (d *Document) fail(at Place, code, format string, pairs ...any) {
	d.errs = append(d.errs, NewError(at, said.Say(code, format, pairs...)))
}

func (d *Document) because(at Place, err error) { d.errs = append(d.errs, NewError(at, said.Of(err))) }

// NewError is one thing wrong at a place.
func NewError(at Place, what said.Words) *Error {
	return &Error{Place: at, Message: what.English, Words: what}
}

// Err is everything wrong so far, sorted by place, or nil.
func (d *Document) Err() error {
	if len(d.errs) == 0 {
		return nil
	}
	d.errs.Sort()
	return d.errs
}

// Decode reads one YAML document into the struct that into points to. Fields are named by
// their yaml tag; values the file does not write keep what they had. What is wrong is in the
// document's Err, never only the first.
func Decode(file string, src []byte, into any) *Document {
	d := &Document{File: file, places: map[string]Place{}}
	body := d.parse(src)
	if body == nil {
		return d
	}
	d.value(body, reflect.ValueOf(into).Elem(), "", 0)
	return d
}

func (d *Document) parse(src []byte) ast.Node {
	if len(src) > MaxBytes {
		d.fail(Place{File: d.File}, "yaml.the-file-has-bytes-at-most-are", "the file has %d bytes; at most %d are read", "n", len(src), "most", MaxBytes)
		return nil
	}
	src = []byte(strings.TrimPrefix(string(src), "\ufeff"))
	if line := tooDeep(src); line > 0 {
		d.fail(Place{File: d.File, Line: line, Column: 1}, "yaml.nested-deeper-than", "nested deeper than %d", "most", MaxDepth)
		return nil
	}
	f, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range f.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.NullType && len(f.Docs) > 1:
		case body != nil:
			d.fail(d.place(doc.Body), "yaml.a-second-document-one-file-holds-one", "a second document; one file holds one")
		default:
			body = doc.Body
		}
	}
	return body
}

// tooDeep is the line at which brackets or list dashes nest deeper than MaxDepth, or 0. It
// keeps the parser, which recurses, from hostile input.
func tooDeep(src []byte) int {
	depth, line, dashes := 0, 1, 0
	for i, c := range src {
		switch c {
		case '\n':
			line++
			dashes = 0
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		case '-', '?':
			if i+1 < len(src) && src[i+1] == ' ' {
				dashes++
			}
		case ' ':
		default:
			if dashes <= MaxDepth {
				dashes = min(dashes, 1)
			}
		}
		if depth > MaxDepth || dashes > MaxDepth {
			return line
		}
	}
	return 0
}

func (d *Document) place(n ast.Node) Place {
	p := Place{File: d.File}
	if n == nil {
		return p
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

// nearest names the known word closest to an unknown one, or "".
func nearest(word string, known []string) string {
	best, at := "", 3
	for _, k := range known {
		if n := distance(word, k); n < at {
			best, at = k, n
		}
	}
	return best
}

func distance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		cur := make([]int, len(b)+1)
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j+1]+1, cur[j]+1, prev[j]+cost)
		}
		prev = cur
	}
	return prev[len(b)]
}

// Nearest names the known word closest to an unknown one, or "" when none is close.
func Nearest(word string, known []string) string { return nearest(word, known) }

// Hint is the question behind an unknown word, whether a known one was meant; empty where none
// is near.
func Hint(word string, known []string) said.Words {
	like := nearest(word, known)
	if like == "" {
		return said.Words{}
	}
	return said.Say("yaml.did-you-mean", "; did you mean %q?", "like", like)
}
