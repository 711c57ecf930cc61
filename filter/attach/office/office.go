// Package office looks into office files for what acts when they are opened: macros, links to
// templates and objects elsewhere, packed programs, fields that start programs.
package office

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strings"

	"postern/internal/archive/cfb"
)

// Facts is what was seen in one office file. Each text is what exactly, "" = not seen.
type Facts struct {
	Macro      string // it holds macros
	Auto       string // a macro that runs by itself
	Sheet      string // a sheet of Excel 4 macros
	Remote     string // it fetches a template or an object from elsewhere when it is opened
	DDE        string // a field that starts a program
	Encrypted  string
	Object     string   // of a letter in rich text: the class of an object in it
	Updates    string   // one that is loaded when the letter is opened
	Equation   string   // one of the equation editor
	Packed     []Packed // files in it
	Incomplete bool     // it is larger or more involved than is looked at
	Spent      int64    // bytes of streams that were read
}

// Packed is a file embedded as an object.
type Packed struct {
	Names []string
	Head  []byte // its beginning
}

// Bounds of what is looked at.
const (
	MaxPacked   = 50
	packedHead  = 64 << 10
	maxStream   = 4 << 20  // of a stream with macros or fields
	maxTotal    = 32 << 20 // of all streams of one file together
	maxSource   = 1 << 20  // of a macro's text
	objectName  = "\x01Ole10Native"
	linkName    = "\x01Ole"
	maxLink     = 64 << 10 // of a stream that says where an object comes from
	maxRelation = 2000

	leastCompound = 3 * 512 // bytes of the smallest compound file: header, table, directory
)

// Member adds what one member of an Office document of the newer form (ECMA-376) shows; name is
// its name in the package and head its beginning.
func (f *Facts) Member(name string, head []byte) {
	lower := strings.ToLower(name)
	switch {
	case strings.HasSuffix(lower, ".rels"):
		f.relations(head)
	case path.Base(lower) == "vbaproject.bin" || path.Base(lower) == "vbaprojectsignature.bin" && f.Macro == "":
		set(&f.Macro, name)
		f.Compound(head)
	case strings.Contains(lower, "/macrosheets/") || strings.Contains(lower, "/intlmacrosheets/"):
		set(&f.Sheet, name)
	case strings.Contains(lower, "/externallinks/") && bytes.Contains(head, []byte("ddeService")):
		set(&f.DDE, name)
	case lower == "word/document.xml" || strings.HasPrefix(lower, "word/") && strings.HasSuffix(lower, ".xml"):
		f.fields(name, head)
	case strings.Contains(lower, "/embeddings/") && cfb.Is(head):
		f.Compound(head)
	case lower == "encryptedpackage":
		set(&f.Encrypted, name)
	}
}

func set(to *string, what string) {
	if *to == "" {
		*to = what
	}
}

// fetched are the relations whose target is loaded without being asked for.
var fetched = []string{"/attachedtemplate", "/oleobject", "/frame", "/subdocument", "/externalreference"}

// relations reads the relations of a part and looks for targets outside that are loaded.
func (f *Facts) relations(head []byte) {
	d := xml.NewDecoder(bytes.NewReader(head))
	d.Strict = false
	for range maxRelation {
		t, err := d.RawToken()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				f.Incomplete = true
			}
			return
		}
		e, ok := t.(xml.StartElement)
		if !ok || !strings.EqualFold(e.Name.Local, "Relationship") {
			continue
		}
		var kind, target, mode string
		for _, a := range e.Attr {
			switch strings.ToLower(a.Name.Local) {
			case "type":
				kind = strings.ToLower(a.Value)
			case "target":
				target = strings.TrimSpace(a.Value)
			case "targetmode":
				mode = a.Value
			}
		}
		if !strings.EqualFold(mode, "External") || !elsewhere(target) {
			continue
		}
		for _, r := range fetched {
			if strings.HasSuffix(kind, r) {
				set(&f.Remote, path.Base(kind)+" "+target)
			}
		}
	}
	f.Incomplete = true
}

// elsewhere reports whether a target is on another network: a page of the web, or a share whose
// host has dots. The templates of an office lie on drives and shares of its own.
func elsewhere(target string) bool {
	t := strings.ToLower(strings.ReplaceAll(target, `\`, "/"))
	for _, scheme := range []string{"http:", "https:", "ftp:", "mhtml:", "script:", "ms-msdt:"} {
		if strings.HasPrefix(t, scheme) {
			return true
		}
	}
	t = strings.TrimPrefix(t, "file:")
	if !strings.HasPrefix(t, "//") {
		return false
	}
	host, _, _ := strings.Cut(strings.TrimLeft(t, "/"), "/")
	return strings.ContainsAny(host, ".@")
}

// fields looks for fields that start programs (DDE and DDEAUTO) in the text of a letter. Their
// words are often spread over several runs.
func (f *Facts) fields(name string, head []byte) {
	if !bytes.Contains(head, []byte("instr")) {
		return
	}
	var all []byte
	for rest := head; len(all) < 1<<16; {
		i := bytes.Index(rest, []byte("instr"))
		if i < 0 {
			break
		}
		rest = rest[i+len("instr"):]
		switch {
		case bytes.HasPrefix(rest, []byte("Text")): // <w:instrText>...</w:instrText>
			_, inner, ok := bytes.Cut(rest, []byte(">"))
			if !ok {
				continue
			}
			text, after, closed := bytes.Cut(inner, []byte("<"))
			if !closed {
				continue
			}
			all = append(all, text...)
			rest = after[min(len(after), len("/w:instrText>")):]
		case bytes.HasPrefix(rest, []byte(`="`)): // <w:fldSimple w:instr="...">
			text, after, _ := bytes.Cut(rest[2:], []byte(`"`))
			all = append(append(all, ' '), text...)
			rest = after
		}
	}
	if dde(all) {
		set(&f.DDE, name)
	}
}

// dde reports whether a field's text is one that starts a program.
func dde(text []byte) bool {
	up := bytes.ToUpper(text)
	for _, word := range []string{"DDEAUTO", "DDE "} {
		for rest := up; ; {
			i := bytes.Index(rest, []byte(word))
			if i < 0 {
				break
			}
			if i == 0 || rest[i-1] == ' ' || rest[i-1] == 0x13 || rest[i-1] == '"' {
				return true
			}
			rest = rest[i+len(word):]
		}
	}
	return false
}

// Compound adds what a compound file shows: a document of the old form, the macros of a newer
// one, an embedded object. A damaged one is Incomplete.
func (f *Facts) Compound(data []byte) {
	c, err := cfb.Open(data)
	if err != nil {
		f.Incomplete = f.Incomplete || len(data) >= leastCompound
		return
	}
	f.Incomplete = f.Incomplete || c.Cut
	read := func(e cfb.Entry, most int64) []byte {
		b := c.Read(e, min(most, maxTotal-f.Spent))
		if f.Spent += int64(len(b)); f.Spent >= maxTotal {
			f.Incomplete = true
		}
		return b
	}
	project := false
	for _, e := range c.Entries {
		switch e.Name {
		case "VBA", "Macros", "_VBA_PROJECT_CUR", "_VBA_PROJECT":
			project = true
		case "EncryptedPackage", "EncryptedSummary":
			set(&f.Encrypted, "an encrypted package")
		case "Workbook", "Book":
			f.workbook(read(e, maxStream))
		case "WordDocument":
			f.letter(read(e, maxStream))
		case linkName:
			f.moniker(read(e, maxLink))
		case objectName:
			f.object(read(e, packedHead+1024))
		}
	}
	if !project {
		return
	}
	set(&f.Macro, "a macro project")
	for _, e := range c.Entries {
		if !e.Storage && e.Size > 32 && f.Auto == "" {
			f.Auto = auto(read(e, maxStream))
		}
	}
}

// The records of a workbook that matter ([MS-XLS] section 2.3).
const (
	boundSheet = 0x85
	filePass   = 0x2f
	endOfGlobe = 0x0a
)

// workbook follows the records of the first substream of a workbook.
func (f *Facts) workbook(b []byte) {
	for len(b) >= 4 {
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		b = b[4:]
		if id == endOfGlobe || n > len(b) {
			return
		}
		switch {
		case id == filePass:
			set(&f.Encrypted, "a workbook with a password")
			return // what follows cannot be read
		case id == boundSheet && n >= 6 && b[5] == 1:
			set(&f.Sheet, "a sheet of the workbook")
		}
		b = b[n:]
	}
}

// letter looks at the head of a Word document ([MS-DOC] section 2.5.1) and at its fields.
func (f *Facts) letter(b []byte) {
	if len(b) > 12 && b[11]&1 != 0 {
		set(&f.Encrypted, "a letter with a password")
		return
	}
	for rest := b; ; {
		i := bytes.IndexByte(rest, 0x13) // a field begins
		if i < 0 {
			return
		}
		rest = rest[i+1:]
		begin := bytes.ReplaceAll(rest[:min(len(rest), 32)], []byte{0}, nil)
		if dde(bytes.TrimLeft(begin, " ")) {
			set(&f.DDE, "a field of the letter")
			return
		}
	}
}

// object reads a packed file from the stream that holds it.
func (f *Facts) object(b []byte) {
	if len(b) >= 6 {
		f.pack(b[6:]) // behind the size of the whole, and a mark
	}
}

// pack reads a packed file: its label, the path it came from, and its bytes.
func (f *Facts) pack(b []byte) {
	if len(f.Packed) >= MaxPacked {
		f.Incomplete = true
		return
	}
	label, b, _ := bytes.Cut(b, []byte{0})
	from, b, _ := bytes.Cut(b, []byte{0})
	p := Packed{Names: []string{string(label), string(from)}}
	if len(b) >= 8 {
		b = b[4:]
		n := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if uint64(n) <= uint64(len(b)) && n < 4096 {
			p.Names = append(p.Names, strings.TrimRight(string(b[:n]), "\x00"))
			b = b[n:]
			if len(b) >= 4 {
				p.Head = b[4:]
			}
		}
	}
	f.Packed = append(f.Packed, p)
}
