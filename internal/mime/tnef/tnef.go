// Package tnef takes apart the wrapping in which Outlook sends what a plain message has no place
// for, mostly as winmail.dat ([MS-OXTNEF]): the files in it and the texts.
package tnef

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Magic is how every such stream begins.
const Magic = "\x78\x9f\x3e\x22"

// Bounds of what is taken apart.
const (
	maxLevels = 5       // messages inside messages
	maxText   = 4 << 20 // of a text that is compressed
)

// File is one file, or one text of the message.
type File struct {
	Names   []string // as written, the longest first; none for a text
	Type    string   // media type in lower case: of a text, or as declared for a file
	Charset string   // of a text, "" = not known
	Data    []byte
}

// Content is what a stream holds.
type Content struct {
	Files  []File
	Broken bool // something is cut off or contradicts itself
	Many   bool // there are more files than were asked for
}

// The attributes that matter: level and identifier ([MS-OXTNEF] section 2.1.3.2).
const (
	onMessage    = 1
	onAttachment = 2

	attachTitle = 0x8010
	attachData  = 0x800f
	attachRend  = 0x9002
	attachProps = 0x9005
	messageBody = 0x800c
	messageProp = 0x9003
	oemCodepage = 0x9007
)

// Is reports whether data begins as such a stream does.
func Is(data []byte) bool { return bytes.HasPrefix(data, []byte(Magic)) }

// Read takes data apart, into at most so many files.
func Read(data []byte, most int) Content {
	r := &reader{most: most}
	r.stream(data, 0)
	return r.c
}

type reader struct {
	c    Content
	most int
}

// add keeps a file that has a name or any content.
func (r *reader) add(f File) {
	switch {
	case len(f.Data) == 0 && len(f.Names) == 0:
	case len(r.c.Files) >= r.most:
		r.c.Many = true
	default:
		if f.Type = strings.ToLower(f.Type); strings.Count(f.Type, "/") != 1 {
			f.Type = "application/octet-stream"
		}
		r.c.Files = append(r.c.Files, f)
	}
}

// stream reads one stream; level counts those around it.
func (r *reader) stream(b []byte, level int) {
	const head, frame = 6, 9
	if len(b) < head || level >= maxLevels {
		r.c.Broken = true
		return
	}
	b = b[head:]
	var current File
	var open bool
	charset := ""
	finish := func() {
		if open {
			r.add(current)
		}
		current, open = File{}, false
	}
	defer finish()
	for len(b) >= frame && (b[0] == onMessage || b[0] == onAttachment) {
		where, id, n := b[0], binary.LittleEndian.Uint16(b[1:]), binary.LittleEndian.Uint32(b[5:])
		b = b[frame:]
		if uint64(n) > uint64(len(b)) {
			r.c.Broken = true
			n = uint32(len(b))
		}
		value := b[:n]
		b = b[min(uint64(n)+2, uint64(len(b))):] // a sum of two bytes behind it
		switch {
		case where == onAttachment && id == attachRend:
			finish()
			open = true
		case where == onAttachment && id == attachTitle:
			current.Names, open = append(current.Names, text(value)), true
		case where == onAttachment && id == attachData:
			current.Data, open = value, true
		case where == onAttachment && id == attachProps:
			open = true
			r.attachment(&current, r.properties(value), level)
		case where == onMessage && id == oemCodepage && len(value) >= 4:
			charset = codepage(binary.LittleEndian.Uint32(value))
		case where == onMessage && id == messageBody:
			r.add(File{Type: "text/plain", Charset: charset, Data: bytes.TrimRight(value, "\x00")})
		case where == onMessage && id == messageProp:
			r.bodies(r.properties(value), charset)
		}
	}
	if len(b) > 0 && (b[0] == onMessage || b[0] == onAttachment) {
		r.c.Broken = true
	}
}

// text is a string as it is stored: it ends at the first NUL.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// attachment takes what the properties say of the current file.
func (r *reader) attachment(f *File, props []property, level int) {
	for _, p := range props {
		switch p.id {
		case longName:
			f.Names = append([]string{p.text()}, f.Names...)
		case shortName, displayName:
			if s := p.text(); s != "" && len(f.Names) == 0 {
				f.Names = append(f.Names, s)
			}
		case mediaType:
			f.Type = p.text()
		case dataObject:
			r.object(f, p, level)
		}
	}
}

// object is bytes, or a message or object in their place, in front of which stands what it is.
func (r *reader) object(f *File, p property, level int) {
	const class = 16
	b := p.value
	if p.kind == typeObject {
		if len(b) <= class {
			return
		}
		b = b[class:]
		if Is(b) {
			r.stream(b, level+1)
			return
		}
	}
	if len(f.Data) < len(b) { // beside an object stands at most a picture of it
		f.Data = b
	}
}

// bodies adds the texts of the message.
func (r *reader) bodies(props []property, charset string) {
	for _, p := range props {
		if p.id == internetCode && len(p.value) >= 4 {
			charset = codepage(binary.LittleEndian.Uint32(p.value))
		}
	}
	for _, p := range props {
		switch {
		case p.id == bodyHTML:
			r.add(File{Type: "text/html", Charset: charset, Data: p.value})
		case p.id == bodyPlain && p.wide():
			r.add(File{Type: "text/plain", Charset: "utf-8", Data: []byte(p.text())})
		case p.id == bodyPlain:
			r.add(File{Type: "text/plain", Charset: charset, Data: bytes.TrimRight(p.value, "\x00")})
		case p.id == bodyRich:
			data, whole := rich(p.value)
			r.c.Broken = r.c.Broken || !whole
			r.add(File{Type: "application/rtf", Data: data})
		}
	}
}
