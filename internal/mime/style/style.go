// Package style reads from the styles of a page whether its text can be seen: as much of CSS as
// mail programs follow, declaration by declaration, and simple selectors of style sheets.
package style

// Cause is why text is not seen.
type Cause uint8

// The causes.
const (
	Seen    Cause = iota // it is seen
	Gone                 // display: none, the attribute hidden
	Unseen               // visibility: hidden
	Clear                // opacity 0
	Minute               // letters of at most two pixels
	NoRoom               // a box without a size that shows nothing beyond it
	Outside              // moved off the page
	Alike                // in the colour of its ground
)

// String says it in words.
func (c Cause) String() string {
	switch c {
	case Gone:
		return "not displayed"
	case Unseen:
		return "invisible"
	case Clear:
		return "transparent"
	case Minute:
		return "without a size"
	case NoRoom:
		return "in a box without a size"
	case Outside:
		return "off the page"
	case Alike:
		return "in the colour of its ground"
	}
	return "seen"
}

// Letters of so many tenths of a pixel cannot be seen, or not be read.
const (
	minute = 20
	tiny   = 50
	usual  = 160
)

// Look is how the text of an element appears, what it inherits included.
type Look struct {
	gone   Cause // of the element or one around it; nothing inside takes it back
	unseen bool
	unsure bool  // grounds are set by rules that cannot be tied to their elements
	size   int32 // of letters, tenths of a pixel
	ink    Color
	ground Color
}

// Page is the look of an empty page. With unsure set colours hide nothing.
func Page(unsure bool) Look {
	return Look{size: usual, ink: Black, ground: White, unsure: unsure}
}

// Cause says why text of that look is not seen, or Seen.
func (l *Look) Cause() Cause {
	switch {
	case l.gone != Seen:
		return l.gone
	case l.unseen:
		return Unseen
	case l.size <= minute:
		return Minute
	case l.ink == Transparent, !l.unsure && l.ink.near(l.ground):
		return Alike
	}
	return Seen
}

// Tiny reports whether text of that look is too small to be read.
func (l *Look) Tiny() bool { return l.size <= tiny }

// Link is the look of a link that says nothing of its own.
func (l Look) Link() Look {
	l.ink = Unknown
	return l
}

// With is the look of an element inside with declarations of its own.
func (l Look) With(d *Decl) Look {
	if d.has == 0 {
		return l
	}
	if l.gone == Seen {
		l.gone = d.gone()
	}
	if d.has&visibility != 0 {
		l.unseen = d.unseen
	}
	if d.has&size != 0 {
		l.size = d.size.of(l.size)
	}
	if d.has&ink != 0 {
		l.ink = d.ink
	}
	if d.has&ground != 0 && d.ground != Transparent {
		l.ground = d.ground
	}
	return l
}

// gone says why an element is not there for its reader.
func (d *Decl) gone() Cause {
	switch {
	case d.has&display != 0 && d.none:
		return Gone
	case d.has&opacity != 0 && d.clear:
		return Clear
	case d.has&room != 0 && d.has&overflow != 0 && d.cut && d.flat != 0, d.has&clip != 0 && d.clipped:
		return NoRoom
	case d.has&away != 0 && d.outside != 0:
		return Outside
	}
	return Seen
}
