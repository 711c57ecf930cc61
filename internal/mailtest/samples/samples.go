// Package samples builds harmless files of the kinds that hostile mail carries: each has the
// marks of its kind and nothing that works.
package samples

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Member is a file in a container.
type Member struct {
	Name string
	Data []byte
}

// Text is a member that holds text.
func Text(name, text string) Member { return Member{name, []byte(text)} }

// Zip packs members in the order given.
func Zip(members ...Member) []byte {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, m := range members {
		if w, err := z.Create(m.Name); err == nil {
			w.Write(m.Data) //nolint:errcheck // into memory
		}
	}
	z.Close() //nolint:errcheck // into memory
	return buf.Bytes()
}

// Locked sets the encryption flag of every member of a zip.
func Locked(b []byte) []byte {
	b = bytes.Clone(b)
	for i := range len(b) - 10 {
		switch binary.LittleEndian.Uint32(b[i:]) {
		case 0x04034b50:
			b[i+6] |= 1
		case 0x02014b50:
			b[i+8] |= 1
		}
	}
	return b
}

// PE is the head of a program for Windows.
func PE() []byte {
	b := make([]byte, 256)
	copy(b, "MZ\x90\x00\x03")
	b[0x3c] = 0x80
	copy(b[0x80:], "PE\x00\x00\x4c\x01")
	return b
}

// LNK is the head of a shortcut.
func LNK() []byte {
	return append([]byte("L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F"), make([]byte, 60)...)
}

// ISO is the head of a disk image.
func ISO() []byte {
	b := make([]byte, 17*2048)
	copy(b[16*2048:], "\x01CD001\x01")
	return b
}

// Compound builds a compound file of streams, and of storages where Data is nil; class is that
// of its root, nil = none.
func Compound(class []byte, members ...Member) []byte {
	const sector, free, end, special = 512, 0xffffffff, 0xfffffffe, 0xfffffffd
	entries := len(members) + 1
	dirSectors := (entries + 3) / 4
	var body bytes.Buffer
	table := []uint32{special}
	chain := func(n int) (start uint32) {
		start = uint32(len(table))
		for i := range n {
			next := start + uint32(i) + 1
			if i == n-1 {
				next = end
			}
			table = append(table, next)
		}
		return start
	}
	dirStart := chain(dirSectors)
	dir := make([]byte, dirSectors*sector)
	entry := func(i int, name string, kind byte, start uint32, size int) {
		e := dir[i*128:]
		units := utf16.Encode([]rune(name))
		for k, u := range units {
			binary.LittleEndian.PutUint16(e[2*k:], u)
		}
		binary.LittleEndian.PutUint16(e[64:], uint16(2*len(units)+2))
		e[66] = kind
		for at := 68; at < 80; at += 4 {
			binary.LittleEndian.PutUint32(e[at:], free)
		}
		binary.LittleEndian.PutUint32(e[116:], start)
		binary.LittleEndian.PutUint32(e[120:], uint32(size))
	}
	entry(0, "Root Entry", 5, end, 0)
	copy(dir[80:96], class)
	for i, m := range members {
		if m.Data == nil {
			entry(i+1, m.Name, 1, 0, 0)
			continue
		}
		n := max((len(m.Data)+sector-1)/sector, 8) // short ones would lie in small sectors
		entry(i+1, m.Name, 2, chain(n), n*sector)
		body.Write(m.Data)
		body.Write(make([]byte, n*sector-len(m.Data)))
	}
	for len(table) < sector/4 {
		table = append(table, free)
	}
	head := make([]byte, sector)
	copy(head, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	copy(head[24:], "\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00")
	for at, v := range map[int]uint32{44: 1, 48: dirStart, 56: 4096, 60: end, 68: end} {
		binary.LittleEndian.PutUint32(head[at:], v)
	}
	for at := 76; at < sector; at += 4 {
		binary.LittleEndian.PutUint32(head[at:], free)
	}
	binary.LittleEndian.PutUint32(head[76:], 0)
	out := bytes.NewBuffer(head)
	for _, v := range table {
		binary.Write(out, binary.LittleEndian, v) //nolint:errcheck // into memory
	}
	out.Write(dir)
	out.Write(body.Bytes())
	return out.Bytes()
}

// Module is a module of a macro project whose text is source, packed as little as can be.
func Module(source string) []byte {
	source = "Attribute VB_Name = \"ThisDocument\"\r\n" + source
	var chunk bytes.Buffer
	for rest := source; rest != ""; rest = rest[min(8, len(rest)):] {
		chunk.WriteByte(0)
		chunk.WriteString(rest[:min(8, len(rest))])
	}
	var out bytes.Buffer
	out.WriteString(strings.Repeat("\xff", 20)) // what is compiled stands before the text
	out.WriteByte(1)
	binary.Write(&out, binary.LittleEndian, uint16(0xb000|(chunk.Len()-1))) //nolint:errcheck // into memory
	out.Write(chunk.Bytes())
	return out.Bytes()
}

// Macros is a macro project.
func Macros(source string) []byte {
	return Compound(nil, Member{"VBA", nil}, Member{"_VBA_PROJECT", []byte("\xcc\x61")}, Member{"ThisDocument", Module(source)})
}

// Document is a letter of the newer form with more members.
func Document(more ...Member) []byte {
	return Zip(append([]Member{
		Text("[Content_Types].xml", `<?xml version="1.0"?><Types/>`),
		Text("word/document.xml", `<w:document><w:body><w:p><w:r><w:t>The minutes</w:t></w:r></w:p></w:body></w:document>`),
	}, more...)...)
}

// Relation is the relations of a letter, with one of a kind to a target outside.
func Relation(kind, target string) Member {
	return Text("word/_rels/settings.xml.rels", `<?xml version="1.0"?><Relationships><Relationship Id="rId1" `+
		`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/`+kind+`" Target="`+target+`" TargetMode="External"/></Relationships>`)
}

// Object is the stream of a file that is embedded as an object.
func Object(label, path string, data []byte) []byte {
	var b bytes.Buffer
	b.Write([]byte{0, 0, 0, 0, 2, 0})
	b.WriteString(label + "\x00" + path + "\x00\x00\x00\x03\x00")
	for _, part := range [][]byte{[]byte(path + "\x00"), data} {
		binary.Write(&b, binary.LittleEndian, uint32(len(part))) //nolint:errcheck // into memory
		b.Write(part)
	}
	return b.Bytes()
}

// Workbook is the stream of a workbook of the old form with these records.
func Workbook(records ...Member) []byte {
	var b bytes.Buffer
	b.Write([]byte{0x09, 0x08, 4, 0, 0, 6, 5, 0})
	for _, r := range records {
		b.WriteString(r.Name)
		binary.Write(&b, binary.LittleEndian, uint16(len(r.Data))) //nolint:errcheck // into memory
		b.Write(r.Data)
	}
	b.Write([]byte{0x0a, 0, 0, 0})
	return b.Bytes()
}

// PDF is a file of objects; one that begins with "stream " is packed, the word and what follows up to
// the first line end being its dictionary.
func PDF(objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	for i, o := range objects {
		fmt.Fprintf(&b, "%d 0 obj\n", i+1)
		if rest, packed := strings.CutPrefix(o, "stream "); packed {
			dict, text, _ := strings.Cut(rest, "\n")
			var z bytes.Buffer
			w := zlib.NewWriter(&z)
			w.Write([]byte(text)) //nolint:errcheck // into memory
			w.Close()             //nolint:errcheck // into memory
			fmt.Fprintf(&b, "<</Length %d /Filter /FlateDecode %s>>\nstream\n%s\nendstream", z.Len(), dict, z.Bytes())
		} else {
			b.WriteString(o)
		}
		b.WriteString("\nendobj\n")
	}
	b.WriteString("trailer <</Root 1 0 R>>\n%%EOF\n")
	return b.Bytes()
}

// OneNote is a section of a notebook that holds files.
func OneNote(files ...[]byte) []byte {
	var b bytes.Buffer
	b.WriteString("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3")
	b.Write(make([]byte, 1008))
	for _, f := range files {
		b.WriteString("\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac")
		binary.Write(&b, binary.LittleEndian, uint64(len(f))) //nolint:errcheck // into memory
		b.Write(make([]byte, 12))
		b.Write(f)
	}
	return b.Bytes()
}

// PNG is the head of a picture.
func PNG() []byte { return []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01") }

// TNEF is a wrapping (winmail.dat) with a page as its text, "" = none, and files.
func TNEF(html string, files ...Member) []byte {
	var b bytes.Buffer
	b.WriteString("\x78\x9f\x3e\x22\x01\x00")
	attribute := func(level byte, id, kind uint16, value []byte) {
		b.WriteByte(level)
		for _, n := range []any{id, kind, uint32(len(value))} {
			binary.Write(&b, binary.LittleEndian, n) //nolint:errcheck // into memory
		}
		b.Write(value)
		sum := uint16(0)
		for _, c := range value {
			sum += uint16(c)
		}
		binary.Write(&b, binary.LittleEndian, sum) //nolint:errcheck // into memory
	}
	if html != "" {
		var p bytes.Buffer
		for _, n := range []uint32{2, 0x3fde0003, 65001, 0x10130102, 1, uint32(len(html))} {
			binary.Write(&p, binary.LittleEndian, n) //nolint:errcheck // into memory
		}
		p.WriteString(html)
		p.Write(make([]byte, (4-len(html)%4)%4))
		attribute(1, 0x9003, 6, p.Bytes())
	}
	for _, f := range files {
		attribute(2, 0x9002, 6, make([]byte, 14))
		attribute(2, 0x8010, 1, append([]byte(f.Name), 0))
		attribute(2, 0x800f, 6, f.Data)
	}
	return b.Bytes()
}
