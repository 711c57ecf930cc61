// Package header reads header blocks as they come in the wild: folded, damaged, with names
// and lines that no standard allows, and decodes what a person would be shown.
package header

import (
	"bytes"
	"slices"
	"strings"
)

// Field is one header field.
type Field struct {
	Name   string // as written, without blanks before the colon and without NULs
	Value  string // raw value, unfolded, outer blanks removed; may hold 8-bit bytes
	Raw    []byte // the exact bytes of all its lines, line ends included
	Offset int64  // of Raw in the bytes the header was read from
}

// Header is a header block in the order written.
type Header struct {
	Fields []Field
}

// Get returns the raw value of the first field of that name, or "".
func (h *Header) Get(name string) string {
	if i := h.index(name, 0); i >= 0 {
		return h.Fields[i].Value
	}
	return ""
}

// Has reports whether a field of that name exists.
func (h *Header) Has(name string) bool { return h.index(name, 0) >= 0 }

// All returns the raw values of all fields of that name in order.
func (h *Header) All(name string) []string {
	var out []string
	for i := h.index(name, 0); i >= 0; i = h.index(name, i+1) {
		out = append(out, h.Fields[i].Value)
	}
	return out
}

// Decoded returns the first field of that name with its encoded words (RFC 2047) decoded.
func (h *Header) Decoded(name string) string { return Words(h.Get(name)) }

func (h *Header) index(name string, from int) int {
	for i := from; i < len(h.Fields); i++ {
		if n := h.Fields[i].Name; len(n) == len(name) && strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}

// Odd is a set of things that are wrong with a header block.
type Odd uint16

// What can be wrong.
const (
	NoColon      Odd = 1 << iota // a line that is neither a field nor a continuation
	BlankName                    // blanks between name and colon
	LeadingBlank                 // the first line begins with a blank
	NULByte                      // NUL in the block
	EightBitName                 // 8-bit byte or control in a field name
	EmptyName                    // a line that begins with a colon
	BareCR                       // CR without LF
	BlankFold                    // a continuation line of blanks only, which some take for the end
	NoEnd                        // no empty line between header and body
	TooMany                      // more fields than the limit
	TooLong                      // more bytes than the limit
	MboxLine                     // a "From " line of a mailbox file
)

// Mode says what a line means that is no field.
type Mode uint8

// The modes. Plain decides as most readers do; the others are what some readers do.
const (
	Plain    Mode = iota // go on if a field follows, else end the header there
	Stop                 // such a line, and one with a name no standard allows, begins the body
	Skip                 // such a line is skipped
	BlankEnd             // a line of blanks only ends the header, other such lines are skipped
)

// Limits bounds a header block.
type Limits struct {
	Fields int
	Bytes  int
}

// Block is a header block with its place.
type Block struct {
	Header Header
	Body   int // offset at which the body begins
	Odd    Odd
}

// Parse reads the header block b begins with; base is the offset of b for Field.Offset.
// What exceeds lim is skipped and flagged.
func Parse(b []byte, base int64, lim Limits, mode Mode) Block {
	p := parser{b: b, base: base, lim: lim, mode: mode}
	p.run()
	p.fill()
	return Block{Header: Header{Fields: p.fields}, Body: p.pos, Odd: p.odd}
}

type parser struct {
	b      []byte
	base   int64
	lim    Limits
	mode   Mode
	pos    int
	odd    Odd
	fields []Field
	start  int // of the field being read; -1 = none
}

// run splits the block into raw fields; names and values are filled in afterwards.
func (p *parser) run() {
	p.start = -1
	for {
		if p.pos >= len(p.b) {
			p.odd |= NoEnd
			break
		}
		l, next := lineAt(p.b, p.pos)
		if len(l) == 0 {
			p.close()
			p.pos = next
			return
		}
		if p.line(l, next) {
			return
		}
		p.pos = next
	}
	p.close()
}

// line takes one line; done means that the header ended before or with it.
func (p *parser) line(l []byte, next int) (done bool) {
	switch {
	case l[0] == ' ' || l[0] == '\t':
		blank := len(bytes.TrimLeft(l, " \t")) == 0
		if blank {
			p.odd |= BlankFold
			if p.mode == BlankEnd {
				p.close()
				p.pos = next
				return true
			}
		}
		if p.start < 0 && !blank {
			p.odd |= LeadingBlank
			if fieldLike(bytes.TrimLeft(l, " \t")) {
				p.start = p.pos
			}
		}
	case fieldLike(l) && (p.mode != Stop || p.proper(l)):
		p.close()
		p.start = p.pos
	case bytes.HasPrefix(l, []byte("From ")) || bytes.HasPrefix(l, []byte(">From ")):
		p.odd |= MboxLine
		p.close()
	default:
		p.odd |= NoColon
		if p.mode == Stop || p.mode == Plain && !p.followed(next) {
			p.odd |= NoEnd
			p.close()
			return true
		}
		p.close()
	}
	return false
}

// proper reports whether l begins with a name as RFC 5322 section 2.2 wants it.
func (p *parser) proper(l []byte) bool { return properName(l[:bytes.IndexByte(l, ':')]) }

// followed reports whether the line at pos is a proper field, so that the bad line before
// it does not end the header.
func (p *parser) followed(pos int) bool {
	l, _ := lineAt(p.b, pos)
	return bytes.IndexByte(l, ':') > 0 && p.proper(l)
}

func (p *parser) close() {
	if p.start < 0 {
		return
	}
	switch {
	case len(p.fields) >= p.lim.Fields:
		p.odd |= TooMany
	case p.pos > p.lim.Bytes:
		p.odd |= TooLong
	default:
		p.fields = append(p.fields, Field{Raw: p.b[p.start:p.pos:p.pos], Offset: p.base + int64(p.start)})
	}
	p.start = -1
}

// lineAt returns the line at pos without its end, and where the next begins.
func lineAt(b []byte, pos int) (l []byte, next int) {
	i := bytes.IndexByte(b[pos:], '\n')
	if i < 0 {
		return bytes.TrimRight(b[pos:], "\r"), len(b)
	}
	l = b[pos : pos+i]
	for len(l) > 0 && l[len(l)-1] == '\r' {
		l = l[:len(l)-1]
	}
	return l, pos + i + 1
}

// fieldLike reports whether l is "name:" with any name a mail program would take.
func fieldLike(l []byte) bool {
	i := bytes.IndexByte(l, ':')
	if i < 0 || i > 998 {
		return false
	}
	name := bytes.TrimRight(l[:i], " \t")
	return !bytes.ContainsAny(name, " \t")
}

// properName reports whether a name is as RFC 5322 section 2.2 wants it.
func properName(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(name) > 0
}

// fill cuts names and values. All strings share one copy of the block.
func (p *parser) fill() {
	if len(p.fields) == 0 {
		return
	}
	first := int(p.fields[0].Offset - p.base)
	last := &p.fields[len(p.fields)-1]
	all := string(p.b[first : int(last.Offset-p.base)+len(last.Raw)])
	if strings.IndexByte(all, 0) >= 0 {
		p.odd |= NULByte
	}
	for i := range p.fields {
		f := &p.fields[i]
		at := int(f.Offset-p.base) - first
		raw := all[at : at+len(f.Raw)]
		lead := len(raw) - len(strings.TrimLeft(raw, " \t"))
		colon := strings.IndexByte(raw, ':')
		f.Name = p.name(raw[lead:colon])
		f.Value = p.value(raw[colon+1:])
	}
}

func (p *parser) name(s string) string {
	if t := strings.TrimRight(s, " \t"); len(t) != len(s) {
		p.odd |= BlankName
		s = t
	}
	if s == "" {
		p.odd |= EmptyName
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			p.odd |= EightBitName
			b := []byte(s) // by byte: 8-bit names need not be UTF-8
			return string(slices.DeleteFunc(b, func(c byte) bool { return c < ' ' }))
		}
	}
	return s
}

// value unfolds and trims.
func (p *parser) value(s string) string {
	s = strings.Trim(s, " \t\r\n")
	if strings.IndexByte(s, '\n') < 0 {
		if strings.IndexByte(s, '\r') >= 0 {
			p.odd |= BareCR
		}
		return s
	}
	var sb strings.Builder
	sb.Grow(len(s))
	for {
		i := strings.IndexByte(s, '\n')
		if i < 0 {
			break
		}
		l := strings.TrimSuffix(s[:i], "\r")
		if strings.IndexByte(l, '\r') >= 0 {
			p.odd |= BareCR
		}
		sb.WriteString(l)
		s = s[i+1:]
	}
	sb.WriteString(s)
	return sb.String()
}
