package office

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"postern/filter/attach/rtf"
	"postern/internal/archive/cfb"
)

// Rich adds what a document in rich text shows.
func (f *Facts) Rich(data []byte) {
	r := rtf.Read(data)
	f.Incomplete = f.Incomplete || r.Cut
	if elsewhere(r.Template) {
		set(&f.Remote, "template "+r.Template)
	}
	if dde(r.Fields) {
		set(&f.DDE, "a field of the letter")
	}
	led := true // every object says where it comes from
	for _, o := range r.Objects {
		f.Spent += int64(len(o.Data) + len(o.Loose))
		led = f.embedded(o) && led
	}
	if len(r.Objects) > 0 && (r.Updates || r.Links && !led) {
		set(&f.Updates, f.Object)
	}
}

// native is an object as rich text holds it ([MS-OLEDS] sections 2.2.4 to 2.2.6).
type native struct {
	linked bool
	class  string
	from   string // of a link: what it leads to
	data   []byte // of an object that is embedded
}

// maxName bounds a class or a path.
const maxName = 4 << 10

// open reads the head of an object; ok is false where it has none that a reader would take.
func open(b []byte) (n native, ok bool) {
	if len(b) < 12 {
		return n, false
	}
	const link, embed = 1, 2
	form := binary.LittleEndian.Uint32(b[4:]) // behind a version, which nobody checks
	if form != link && form != embed {
		return n, false
	}
	n.linked = form == link
	b = b[8:]
	var names [3]string // class, topic, item
	for i := range names {
		if len(b) < 4 {
			return n, i > 0
		}
		size := binary.LittleEndian.Uint32(b)
		if b = b[4:]; size > maxName || int(size) > len(b) {
			return n, i > 0
		}
		names[i] = strings.TrimRight(string(b[:size]), "\x00")
		b = b[size:]
		n.class, n.from = names[0], names[1]
	}
	if !n.linked && len(b) >= 4 {
		n.data = b[4:min(uint64(len(b)), 4+uint64(binary.LittleEndian.Uint32(b)))]
	}
	return n, true
}

// embedded adds what an object in rich text shows, and reports whether it is a link that says
// what it leads to.
func (f *Facts) embedded(o rtf.Object) bool {
	n, ok := open(o.Data)
	if !ok {
		n, ok = open(o.Loose)
	}
	if !ok { // a damaged head does not keep a compound file behind it from being told
		if n.data = o.Data; !bytes.Contains(n.data, []byte(compound)) {
			n.data = o.Loose
		}
	}
	name := n.class
	if name == "" {
		name = o.Class
	}
	if name == "" {
		name = "no class"
	}
	set(&f.Object, name)
	if strings.EqualFold(n.class, "Package") && len(n.data) > 2 {
		f.pack(n.data[2:min(len(n.data), packedHead+1024)])
	}
	held := n.data[max(bytes.Index(n.data, []byte(compound)), 0):]
	if cfb.Is(held) {
		f.Compound(held)
	}
	if equation(n.class) || equation(o.Class) || equates(held) {
		set(&f.Equation, name)
	}
	if n.linked && elsewhere(n.from) {
		set(&f.Remote, "a link to "+n.from)
	}
	return n.linked && n.from != ""
}

// compound is how a compound file begins.
const compound = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// equation reports whether a class is one of the equation editor. It was withdrawn for its
// holes and still stands on many machines.
func equation(class string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(class)), "equation.")
}

// The class of the equation editor as a compound file names it, and the stream it reads.
var equationMarks = [][]byte{
	[]byte("\x02\xce\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F"),
	wide("Equation Native"),
}

// equates reports whether an object is of the equation editor by its content.
func equates(b []byte) bool {
	if !cfb.Is(b) {
		return false
	}
	for _, mark := range equationMarks {
		if bytes.Contains(b, mark) {
			return true
		}
	}
	return false
}

func wide(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// urlMoniker marks an address in the stream of a link ([MS-OSHARED] section 2.3.7.6).
const urlMoniker = "\xe0\xc9\xea\x79\xf9\xba\xce\x11\x8c\x82\x00\xaa\x00\x4b\xa9\x0b"

// moniker reads the address that a linked object is loaded from.
func (f *Facts) moniker(b []byte) {
	_, b, ok := bytes.Cut(b, []byte(urlMoniker))
	if !ok || len(b) < 4 {
		return
	}
	size := min(uint64(binary.LittleEndian.Uint32(b)), maxName, uint64(len(b)-4))
	var units []uint16
	for b = b[4 : 4+size]; len(b) >= 2 && (b[0] != 0 || b[1] != 0); b = b[2:] {
		units = append(units, binary.LittleEndian.Uint16(b))
	}
	if to := string(utf16.Decode(units)); elsewhere(to) {
		set(&f.Remote, "a link to "+to)
	}
}
