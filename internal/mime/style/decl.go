package style

import "bytes"

// Properties that a block of declarations sets.
const (
	display = 1 << iota
	visibility
	opacity
	size
	ink
	ground
	overflow
	room // some of width, height and their greatest
	away
	clip
	all
)

// Sides of a box that have no length.
const (
	flatWidth = 1 << iota
	flatHeight
	flatMaxWidth
	flatMaxHeight
)

// Decl is what a block of declarations says of being seen. The zero value says nothing.
type Decl struct {
	has, strong uint16 // what is set, and what of it is !important

	none, unseen, clear bool
	cut, clipped        bool
	flat, sides         uint8 // sides without a length; those that are set
	outside, moved      uint8 // ways off the page, by mover; those that are set
	size                length
	ink, ground         Color
}

// Parse adds the declarations of a block: those later win, unless earlier ones are !important.
func (d *Decl) Parse(css []byte) {
	if bytes.Contains(css, []byte("/*")) {
		css = uncommented(css)
	}
	for len(css) > 0 {
		var one []byte
		one, css, _ = bytes.Cut(css, []byte(";"))
		name, value, ok := bytes.Cut(one, []byte(":"))
		if ok {
			d.declare(bytes.TrimSpace(name), bytes.TrimSpace(value))
		}
	}
}

func uncommented(css []byte) []byte {
	out := make([]byte, 0, len(css))
	for {
		before, after, ok := bytes.Cut(css, []byte("/*"))
		out = append(out, before...)
		if !ok {
			return out
		}
		_, css, _ = bytes.Cut(after, []byte("*/"))
	}
}

// longest is the longest name of a property, and as much of a value, as is looked at.
const longest = 24

func (d *Decl) declare(name, value []byte) {
	if len(name) > longest || len(name) < 3 || len(value) == 0 {
		return
	}
	strong := false
	if i := bytes.LastIndexByte(value, '!'); i >= 0 {
		var buf [longest]byte
		strong = string(bytes.TrimSpace(lower(buf[:], value[i+1:]))) == "important"
		value = bytes.TrimSpace(value[:i])
	}
	var one Decl
	var buf [longest]byte
	one.set(lower(buf[:], name), value)
	if strong {
		one.strong = one.has
	}
	d.Add(&one)
}

// set takes one declaration.
func (d *Decl) set(name, value []byte) {
	var buf [longest]byte
	v := lower(buf[:], value)
	switch string(name) {
	case "display":
		d.has, d.none = display, string(v) == "none"
	case "visibility":
		d.has, d.unseen = visibility, string(v) == "hidden" || string(v) == "collapse"
	case "opacity":
		n, _, rest := number(v)
		d.has, d.clear = opacity, len(rest) < len(v) && n <= scale/20
	case "overflow", "overflow-x", "overflow-y":
		d.has, d.cut = overflow, string(v) == "hidden" || string(v) == "clip"
	case "clip":
		d.has, d.clipped = clip, noRect(v)
	case "font-size":
		d.font(v)
	case "font":
		d.shorthand(value)
	case "color":
		d.has, d.ink = ink, ParseColor(value)
		if string(v) == "inherit" {
			d.has = 0
		}
	case "background-color", "background", "background-image":
		d.paint(name, value)
	case "width", "height", "max-width", "max-height":
		d.side(name, v)
	default:
		d.move(name, v)
	}
}

// movers can take what they stand on off the page.
var movers = [...]string{"text-indent", "left", "right", "top", "bottom", "margin-left", "margin-top"}

// move takes a length that moves something.
func (d *Decl) move(name, v []byte) {
	for i, mover := range movers {
		if string(name) == mover {
			d.has, d.moved = away, 1<<i
			if farAway(v) {
				d.outside = d.moved
			}
		}
	}
}

// font takes a size of letters.
func (d *Decl) font(v []byte) {
	if l, ok := parseLength(v); ok {
		d.has, d.size = size, l
	}
}

// shorthand takes the size of "italic 12px/1.5 serif".
func (d *Decl) shorthand(value []byte) {
	for word := range bytes.FieldsSeq(value[:min(len(value), 80)]) {
		word, _, _ = bytes.Cut(word, []byte("/"))
		var buf [longest]byte
		if l, ok := parseLength(lower(buf[:], word)); ok && (l.unit != plain || l.n == 0) {
			d.has, d.size = size, l
			return
		}
	}
}

// paint takes a ground.
func (d *Decl) paint(name, value []byte) {
	d.has, d.ground = ground, Unknown
	if bytes.Contains(value, []byte("(")) && !bytes.Contains(value, []byte("rgb")) {
		return // a picture or a blend
	}
	var buf [longest]byte
	v := lower(buf[:], value)
	if string(name) == "background-image" || string(v) == "none" || string(v) == "inherit" {
		d.has = 0
		return
	}
	if d.ground = ParseColor(value); d.ground != Unknown || string(name) != "background" {
		return
	}
	for word := range bytes.FieldsSeq(value[:min(len(value), 80)]) {
		if c := ParseColor(word); c != Unknown {
			d.ground = c
			return
		}
	}
}

// side takes a length of a box.
func (d *Decl) side(name, v []byte) {
	side := uint8(flatWidth)
	switch string(name) {
	case "height":
		side = flatHeight
	case "max-width":
		side = flatMaxWidth
	case "max-height":
		side = flatMaxHeight
	}
	l, ok := parseLength(v)
	d.has, d.sides = room, side
	if ok && l.n <= scale && (l.unit == pixels || l.n == 0) {
		d.flat = side
	}
}

// Add puts another block over this one: it wins, unless what it says is less important.
func (d *Decl) Add(o *Decl) {
	take := o.has &^ (d.strong &^ o.strong)
	if take == 0 {
		return
	}
	for bit := uint16(1); bit < all; bit <<= 1 {
		if take&bit != 0 {
			d.take(o, bit)
		}
	}
	d.has |= take
	d.strong |= take & o.strong
}

func (d *Decl) take(o *Decl, bit uint16) {
	switch bit {
	case display:
		d.none = o.none
	case visibility:
		d.unseen = o.unseen
	case opacity:
		d.clear = o.clear
	case size:
		d.size = o.size
	case ink:
		d.ink = o.ink
	case ground:
		d.ground = o.ground
	case overflow:
		d.cut = o.cut
	case room:
		d.flat = d.flat&^o.sides | o.flat
		d.sides |= o.sides
	case away:
		d.outside = d.outside&^o.moved | o.outside
		d.moved |= o.moved
	case clip:
		d.clipped = o.clipped
	}
}

// Hide, Ink, Ground and Letters are what old attributes say.

// Hide says that the element is not displayed.
func (d *Decl) Hide() { d.Add(&Decl{has: display, none: true}) }

// Ink gives text a colour.
func (d *Decl) Ink(value []byte) { d.Add(&Decl{has: ink, ink: ParseColor(value)}) }

// Ground gives the element a ground.
func (d *Decl) Ground(value []byte) { d.Add(&Decl{has: ground, ground: ParseColor(value)}) }

// Picture gives the element a picture as its ground.
func (d *Decl) Picture() { d.Add(&Decl{has: ground, ground: Unknown}) }

// Says reports whether anything was declared.
func (d *Decl) Says() bool { return d.has != 0 }

// Shows reports whether a block makes visible what another one hid.
func (d *Decl) Shows() bool {
	return d.has&display != 0 && !d.none || d.has&visibility != 0 && !d.unseen || d.has&opacity != 0 && !d.clear ||
		d.has&room != 0 && d.sides&^d.flat != 0 || d.has&overflow != 0 && !d.cut || d.has&size != 0 && d.size.of(usual) > tiny
}
