package tnef

import (
	"encoding/binary"
	"strconv"
	"unicode/utf16"
)

// The properties that matter ([MS-OXPROPS]).
const (
	bodyPlain    = 0x1000
	bodyRich     = 0x1009
	bodyHTML     = 0x1013
	displayName  = 0x3001
	dataObject   = 0x3701
	shortName    = 0x3704
	longName     = 0x3707
	mediaType    = 0x370e
	internetCode = 0x3fde
	firstNamed   = 0x8000
)

// The types of properties ([MS-OXCDATA] section 2.11.1).
const (
	typeObject = 0x0d
	typeText   = 0x1e
	typeWide   = 0x1f
	typeBinary = 0x102
	several    = 0x1000
)

// maxProperties bounds the properties of one list.
const maxProperties = 4096

// property is one of the kind above, with its first value.
type property struct {
	kind, id uint16
	value    []byte
}

func (p property) wide() bool { return p.kind&^several == typeWide }

// text is the value as a string.
func (p property) text() string {
	if !p.wide() {
		return text(p.value)
	}
	var units []uint16
	for i := 0; i+1 < len(p.value); i += 2 {
		u := binary.LittleEndian.Uint16(p.value[i:])
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// width is how many bytes a value of a type takes that does not say it itself; 0 = it does, or
// nobody knows.
func width(kind uint16) int {
	switch kind {
	case 0x02, 0x03, 0x04, 0x0a, 0x0b:
		return 4
	case 0x05, 0x06, 0x07, 0x14, 0x40:
		return 8
	case 0x48:
		return 16
	}
	return 0
}

// cursor reads numbers and bytes until there are no more.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.bad = true
		n = uint64(len(c.b))
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); len(b) == 2 {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); len(b) == 4 {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// counted is a value that says its length; values are padded to four bytes.
func (c *cursor) counted() []byte {
	n := uint64(c.u32())
	out := c.take(n)
	if pad := (4 - n%4) % 4; pad <= uint64(len(c.b)) {
		c.take(pad)
	}
	return out
}

// properties reads a list of them; what follows one that cannot be read is lost.
func (r *reader) properties(b []byte) []property {
	c := &cursor{b: b}
	var out []property
	for n := min(c.u32(), maxProperties); n > 0 && !c.bad; n-- {
		p := property{kind: c.u16(), id: c.u16()}
		if p.id >= firstNamed {
			c.take(16) // the set that the name is of
			if c.u32() == 0 {
				c.u32()
			} else {
				c.counted()
			}
		}
		base, values := p.kind&^several, uint32(1)
		own := base == typeText || base == typeWide || base == typeBinary || base == typeObject
		if own || p.kind&several != 0 {
			values = c.u32()
		}
		size := uint64(width(base))
		if !own && size == 0 {
			c.bad = true
		}
		for i := uint32(0); i < values && !c.bad; i++ {
			v := []byte(nil)
			if own {
				v = c.counted()
			} else {
				v = c.take(size)
			}
			if i == 0 {
				p.value = v
			}
		}
		out = append(out, p)
	}
	r.c.Broken = r.c.Broken || c.bad
	return out
}

// codepage is the name of a code page of Windows.
func codepage(n uint32) string {
	switch {
	case n == 65001:
		return "utf-8"
	case n == 20127:
		return "us-ascii"
	case n == 932:
		return "shift_jis"
	case n == 936:
		return "gbk"
	case n == 949:
		return "euc-kr"
	case n == 950:
		return "big5"
	case n == 20866:
		return "koi8-r"
	case n >= 28591 && n <= 28606:
		return "iso-8859-" + strconv.Itoa(int(n-28590))
	case n >= 1250 && n <= 1258:
		return "windows-" + strconv.Itoa(int(n))
	}
	return ""
}

// dictionary is what every compressed text may refer to ([MS-OXRTFCP] section 2.1.3.1.2).
const dictionary = `{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0` +
	"\r\n" + `\par \pard\plain\f0\fs20\b\i\u\tab\tx`

// rich undoes the compression of a text ([MS-OXRTFCP] section 2.2); whole is false where it is
// damaged or longer than is read.
func rich(b []byte) (out []byte, whole bool) {
	const head = 16
	if len(b) < head {
		return nil, len(b) == 0
	}
	size, form := int64(binary.LittleEndian.Uint32(b[4:])), string(b[8:12])
	b = b[head:]
	if form == "MELA" {
		return b[:min(size, int64(len(b)))], size <= int64(len(b))
	}
	if form != "LZFu" {
		return nil, false
	}
	const ring = 4096
	window := make([]byte, ring)
	at := copy(window, dictionary)
	put := func(c byte) {
		out = append(out, c)
		window[at%ring] = c
		at++
	}
	for len(b) > 0 && len(out) < maxText {
		flags := b[0]
		b = b[1:]
		for bit := 0; bit < 8 && len(b) > 0; bit++ {
			if flags>>bit&1 == 0 {
				put(b[0])
				b = b[1:]
				continue
			}
			if len(b) < 2 {
				return out, false
			}
			token := binary.BigEndian.Uint16(b)
			b = b[2:]
			from, n := int(token>>4), int(token&15)+2
			if from == at%ring { // the end
				return out, true
			}
			for i := range n {
				put(window[(from+i)%ring])
			}
		}
	}
	return out, int64(len(out)) >= size
}
