package mime

import (
	"bytes"
	"strconv"
	"strings"

	"postern/internal/mime/header"
	"postern/internal/mime/lines"
	"postern/internal/mime/oddity"
	"postern/internal/mime/param"
)

// walk is one pass over a message, other readings included.
type walk struct {
	t          *Tree
	lim        Limits
	work       int64 // bytes looked at so far
	maxWork    int64
	stopped    bool // a limit ended the walk
	boundaries []string
}

// spot is where a part lies.
type spot struct {
	src        []byte
	start, end int
	parent     *Part
	step       string // last step of the path
	fallback   string // media type of a part that names none
	alternate  bool
	mode       header.Mode
}

func newWalk(raw []byte, lim Limits) *walk {
	return &walk{
		t:   &Tree{lim: lim, raw: raw},
		lim: lim,
		// The floor lets small hostile mail be read in full.
		maxWork: int64(len(raw))*lim.Work + 1<<20,
	}
}

func (w *walk) root() {
	w.t.Root = w.part(spot{src: w.t.raw, end: len(w.t.raw), step: "1", fallback: "text/plain"})
	if from := w.t.Root.Header.All("From"); len(from) > 1 {
		w.t.note(oddity.FromTwice, "1", from[1])
	}
}

// spend counts bytes looked at; false means that the budget is gone.
func (w *walk) spend(n int, path string) bool {
	w.work += int64(n)
	if w.work > w.maxWork && !w.stopped {
		w.stopped = true
		w.t.note(oddity.TooMuchWork, path, "")
	}
	return !w.stopped
}

// part reads the entity at s and everything in it; nil if a limit forbids it.
func (w *walk) part(s spot) *Part {
	p := &Part{Path: s.step, Parent: s.parent, Alternate: s.alternate, src: s.src, Start: int64(s.start), End: int64(s.end)}
	depth := 1
	for up := s.parent; up != nil; up = up.Parent {
		depth++
	}
	if s.parent != nil {
		p.Path = s.parent.Path + "." + s.step
		switch {
		case depth > w.lim.Depth:
			w.t.note(oddity.TooDeep, s.parent.Path, "")
			return nil
		case len(w.t.Parts) >= w.lim.Parts:
			w.stopped = true
			w.t.note(oddity.TooManyParts, s.parent.Path, "")
			return nil
		}
	}
	block := header.Parse(s.src[s.start:s.end], int64(s.start), header.Limits{Fields: w.lim.Fields, Bytes: w.lim.Header}, s.mode)
	p.Header = block.Header
	p.BodyStart = int64(s.start + block.Body)
	if s.parent != nil {
		s.parent.Children = append(s.parent.Children, p)
	}
	w.t.Parts = append(w.t.Parts, p)
	w.headerOdd(p, block.Odd)
	if !w.spend(block.Body, p.Path) {
		return p
	}
	d := w.describe(p, s.fallback)
	w.structure(p, d)
	if s.mode == header.Plain && s.parentReading() {
		w.otherHeaders(p, s, block)
	}
	return p
}

// parentReading keeps readings of readings from multiplying: at most three on one path.
func (s spot) parentReading() bool {
	n := 0
	for up := s.parent; up != nil; up = up.Parent {
		if up.Alternate {
			n++
		}
	}
	return n < 3
}

// alternate reads the entity at s as another reading beside p's siblings or children.
func (w *walk) alternate(s spot) *Part {
	if w.stopped {
		return nil
	}
	if !s.parentReading() {
		w.t.note(oddity.TooManyReadings, s.parent.Path, "")
		return nil
	}
	n := 1
	if s.parent != nil {
		n += len(s.parent.Children)
	}
	s.alternate = true
	s.step = "a" + strconv.Itoa(n)
	return w.part(s)
}

func (w *walk) headerOdd(p *Part, odd header.Odd) {
	if p.BodyStart == p.End {
		odd &^= header.NoEnd // a header alone is no damage
	}
	for _, k := range oddity.OfHeader(odd) {
		w.t.note(k, p.Path, "")
	}
}

// otherHeaders reads a damaged header as other programs do, and keeps what comes out
// differently.
func (w *walk) otherHeaders(p *Part, s spot, plain header.Block) {
	var modes []header.Mode
	if plain.Odd&(header.NoColon|header.BlankName|header.EightBitName) != 0 {
		modes = append(modes, header.Stop, header.Skip)
	}
	if plain.Odd&header.BlankFold != 0 {
		modes = append(modes, header.BlankEnd)
	}
	s.parent = p
	for _, m := range modes {
		if !w.spend(plain.Body, p.Path) {
			return
		}
		lim := header.Limits{Fields: w.lim.Fields, Bytes: w.lim.Header}
		other := header.Parse(s.src[s.start:s.end], int64(s.start), lim, m)
		if other.Body == plain.Body && len(other.Header.Fields) == len(plain.Header.Fields) {
			continue
		}
		if !w.matters(other, s) {
			continue
		}
		s.mode = m
		w.keepIf(w.alternate(s), oddity.HeaderEndConflict)
	}
	if len(plain.Header.Fields) == 0 && plain.Body > 0 && !isMessage(p.MediaType) { // an empty line before the header
		rest := s.src[s.start+plain.Body : s.end]
		if skip := len(rest) - len(bytes.TrimLeft(rest, "\r\n")); lines.HasContentField(rest[skip:min(len(rest), skip+2048)], true) {
			s.start += plain.Body + skip
			s.mode = header.Skip
			w.keepIf(w.alternate(s), oddity.HeaderEndConflict)
		}
	}
}

// matters reports whether another reading of a header can change what the part holds.
func (w *walk) matters(other header.Block, s spot) bool {
	plain := s.parent
	h := other.Header
	for _, name := range []string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "From"} {
		if h.Get(name) != plain.Header.Get(name) {
			return true
		}
	}
	return other.Body < int(plain.BodyStart-plain.Start) || !plain.IsLeaf() || plain.Encoding == "base64"
}

// keepIf notes kind if a reading shows more than text.
func (w *walk) keepIf(p *Part, kind Kind) {
	if p != nil && p.holdsFile() {
		w.t.note(kind, p.Path, "")
	}
}

// holdsFile reports whether p or a part of it is more than text for reading.
func (p *Part) holdsFile() bool {
	if len(p.FileNames) > 0 {
		return true
	}
	if len(p.Children) == 0 {
		return !strings.HasPrefix(p.MediaType, "text/") && !strings.HasPrefix(p.MediaType, "multipart/") && !strings.HasPrefix(p.MediaType, "message/")
	}
	for _, c := range p.Children {
		if c.holdsFile() {
			return true
		}
	}
	return false
}

// described is what the fields of a part say, in every reading.
type described struct {
	types      []param.Value // of all Content-Type fields
	encodings  []encoding    // readings of the transfer encoding, the plain one first
	multiparts bool          // some reading of the type is a multipart
}

// describe fills in the fields of p.
func (w *walk) describe(p *Part, fallback string) described {
	var d described
	var disp []param.Value
	var encs []string
	for i := range p.Header.Fields {
		f := &p.Header.Fields[i]
		if len(f.Name) < len("Content-Type") || f.Name[0]|0x20 != 'c' {
			continue
		}
		switch {
		case strings.EqualFold(f.Name, "Content-Type"):
			d.types = append(d.types, param.Parse(f.Value))
		case strings.EqualFold(f.Name, "Content-Disposition"):
			disp = append(disp, param.Parse(f.Value))
		case strings.EqualFold(f.Name, "Content-Transfer-Encoding"):
			encs = append(encs, f.Value)
		}
	}
	w.mediaType(p, &d, fallback)
	d.encodings = w.encodings(p, encs)
	if len(disp) > 0 {
		p.Disposition = disp[0].Main
	}
	w.paramOdd(p, d.types, disp)
	w.fileNames(p, append(disp, d.types...))
	return d
}

func (w *walk) mediaType(p *Part, d *described, fallback string) {
	p.MediaType = fallback
	for i, v := range d.types {
		main := strings.Join(strings.Fields(v.Main), "")
		if top, sub, ok := strings.Cut(main, "/"); !ok || top == "" || sub == "" {
			w.t.note(oddity.TypeBroken, p.Path, v.Main)
			if strings.HasPrefix(main, "multipart") {
				d.multiparts = true
			}
			continue
		}
		if i == 0 {
			p.MediaType = main
		} else if main != p.MediaType || v.Params["boundary"] != d.types[0].Params["boundary"] {
			w.t.note(oddity.TypeTwice, p.Path, main)
		}
		d.multiparts = d.multiparts || strings.HasPrefix(main, "multipart/")
	}
	if len(d.types) > 0 {
		p.Params = d.types[0].Params
		p.Charset = strings.ToLower(p.Params["charset"])
	}
}

func (w *walk) paramOdd(p *Part, lists ...[]param.Value) {
	for _, list := range lists {
		for _, v := range list {
			if v.Odd&param.Many != 0 {
				w.t.note(oddity.TooManyReadings, p.Path, "parameters")
			}
			if v.Odd&^(param.Extended|param.Escaped) != 0 {
				w.t.note(oddity.ParamOdd, p.Path, v.Main)
			}
		}
	}
}
