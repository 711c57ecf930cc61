// Package pdf looks through a PDF (ISO 32000-2) for what acts: programs it starts, scripts,
// files it carries, pages that are nothing but a link. It reads names wherever they stand
// instead of believing the table that says where the objects are.
package pdf

import (
	"bytes"
	"compress/zlib"
	"io"
)

// Facts is what was seen.
type Facts struct {
	Launch    bool   // /Launch: it starts a program or opens a file of the reader
	Script    bool   // JavaScript
	Opens     bool   // something is done when it is opened, more than turning to a page
	Embedded  bool   // files inside
	Encrypted bool   // strings and streams are encrypted
	Link      string // the first address it links to
	LinkOnly  bool   // a page or two with hardly a word, and a link
	Cut       bool   // it is larger or more involved than is looked at
	Spent     int64  // bytes that were expanded
}

// Bounds of what is looked at.
const (
	MaxBytes   = 32 << 20 // of the file
	maxInflate = 16 << 20 // of all its streams together
	maxStream  = 2 << 20  // of one stream
	maxStreams = 2000
	maxName    = 64
	maxLink    = 300
	fewWords   = 250 // characters of a page that is nothing but its link
)

// Look looks through a file and expands at most so many bytes of its streams.
func Look(data []byte, most int64) Facts {
	s := &scan{left: min(most, maxInflate)}
	before := s.left
	if len(data) > MaxBytes {
		data, s.f.Cut = data[:MaxBytes], true
	}
	s.objects(data, false)
	s.count()
	f := s.f
	f.Spent = before - s.left
	f.Opens = s.onOpen && (s.acts || f.Script || f.Launch)
	f.LinkOnly = f.Link != "" && s.pages > 0 && s.pages <= 2 && !f.Encrypted && !f.Cut && s.counted && s.shown < fewWords
	return f
}

// scan is one run.
type scan struct {
	f       Facts
	left    int64
	streams int
	pages   int
	onOpen  bool
	acts    bool // an action that leaves the document
	content [][]byte
	plain   [][]byte
	shown   int // characters that pages show
	counted bool
}

// object is what the names since the last "obj" say of the stream that may follow.
type object struct {
	flate, objects, other bool
	filters               int
	last                  string // the name before the current one
}

// objects reads the names of b; nested is set inside an object stream, where there are no
// streams.
func (s *scan) objects(b []byte, nested bool) {
	var o object
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '/':
			var n string
			n, i = name(b, i+1)
			s.name(n, &o, b[i:])
		case c == 's' && !nested && bytes.HasPrefix(b[i:], []byte("stream")) && i > 0 && !letter(b[i-1]):
			i += len("stream")
			i += s.stream(b[i:], o)
			o = object{}
		case c == 'o' && bytes.HasPrefix(b[i:], []byte("obj")) && i > 0 && !letter(b[i-1]):
			i += len("obj")
			o = object{}
		case c == '%' && !nested && (i == 0 || b[i-1] == '\n' || b[i-1] == '\r'): // a comment, as in the first line
			for i < len(b) && b[i] != '\n' && b[i] != '\r' {
				i++
			}
		default:
			i++
		}
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// name reads a name with its escapes undone; next is where it ends.
func name(b []byte, i int) (n string, next int) {
	var buf [maxName]byte
	k := 0
	for ; i < len(b); i++ {
		c := b[i]
		if c <= ' ' || c == '/' || c == '<' || c == '>' || c == '[' || c == ']' || c == '(' || c == ')' || c == '{' || c == '}' || c == '%' {
			break
		}
		if c == '#' && i+2 < len(b) {
			if h, l := hex(b[i+1]), hex(b[i+2]); h >= 0 && l >= 0 {
				c = byte(h<<4 | l)
				i += 2
			}
		}
		if k < len(buf) {
			buf[k] = c
			k++
		}
	}
	return string(buf[:k]), i
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// name takes note of a name; rest is what follows it.
func (s *scan) name(n string, o *object, rest []byte) {
	switch n {
	case "Launch":
		s.f.Launch = s.f.Launch || o.last == "S"
	case "JavaScript", "JS":
		s.f.Script = s.f.Script || n == "JS" || o.last == "S"
	case "OpenAction", "AA":
		s.onOpen = true
	case "GoToE", "GoToR", "SubmitForm", "ImportData", "RichMediaExecute":
		s.acts = s.acts || o.last == "S"
	case "EmbeddedFile", "EmbeddedFiles":
		s.f.Embedded = true
	case "Encrypt":
		s.f.Encrypted = true
	case "URI":
		s.link(rest)
	case "Page":
		if o.last == "Type" {
			s.pages++
		}
	case "FlateDecode", "Fl":
		o.flate = true
		o.filters++
	case "ObjStm":
		o.objects = true
	case "Image", "XRef", "Metadata", "XML", "Length1", "Length2", "FontFile", "Type1C", "CIDFontType0C", "OpenType", "N":
		o.other = true
	case "ASCII85Decode", "A85", "ASCIIHexDecode", "AHx", "LZWDecode", "LZW", "RunLengthDecode", "RL", "DCTDecode", "JPXDecode", "CCITTFaxDecode", "JBIG2Decode", "Crypt":
		o.filters++
	}
	o.last = n
}

// link takes the first address that stands behind /URI.
func (s *scan) link(rest []byte) {
	if s.f.Link != "" {
		return
	}
	rest = bytes.TrimLeft(rest[:min(len(rest), maxLink)], " \t\r\n")
	if len(rest) == 0 || rest[0] != '(' {
		return
	}
	to, _, closed := bytes.Cut(rest[1:], []byte(")"))
	if closed && len(to) > 0 && !bytes.HasPrefix(bytes.ToLower(to), []byte("mailto:")) {
		s.f.Link = string(to)
	}
}

// stream takes the stream at the beginning of b and says how long it is. Its length may stand in
// another object: the word that ends it is believed instead.
func (s *scan) stream(b []byte, o object) int {
	skip := 0
	if skip < len(b) && b[skip] == '\r' {
		skip++
	}
	if skip < len(b) && b[skip] == '\n' {
		skip++
	}
	n := bytes.Index(b[skip:], []byte("endstream"))
	if n < 0 {
		n = len(b) - skip
	}
	raw := b[skip : skip+n]
	if s.streams++; s.streams > maxStreams {
		s.f.Cut = true
		return skip + n
	}
	switch {
	case o.objects && o.flate && o.filters == 1:
		s.objects(s.inflate(raw), true)
	case o.objects && o.filters == 0:
		s.objects(raw, true)
	case o.objects:
		s.f.Cut = true // objects under filters that nobody needs for them
	case !o.other && o.flate && o.filters == 1:
		s.content = append(s.content, raw)
	case !o.other && o.filters == 0:
		s.plain = append(s.plain, raw)
	}
	return skip + n
}

// inflate undoes the compression of a stream as far as it goes and as the budget allows.
func (s *scan) inflate(raw []byte) []byte {
	r, err := zlib.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil
	}
	most := min(int64(maxStream), s.left)
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(r, most+1))
	if s.left -= n; n > most || s.left <= 0 {
		s.f.Cut = true
	}
	_ = err // what came before the damage is what readers show too
	return out.Bytes()
}

// count counts what the pages show, where that decides anything: a long document is not counted.
func (s *scan) count() {
	if s.f.Link == "" || s.pages == 0 || s.pages > 2 || s.f.Encrypted {
		return
	}
	s.counted = true
	for _, raw := range s.content {
		if s.shown >= fewWords || s.f.Cut {
			return
		}
		s.shown += shows(s.inflate(raw))
	}
	for _, b := range s.plain {
		s.shown += shows(b)
	}
}

// shows counts the characters in the strings of a page's content, hexadecimal ones as two bytes
// each. Streams that show none count nothing.
func shows(b []byte) int {
	if !bytes.Contains(b, []byte("Tj")) && !bytes.Contains(b, []byte("TJ")) {
		return 0
	}
	n := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '(':
			for i++; i < len(b) && b[i] != ')'; i++ {
				if b[i] == '\\' {
					i++
				}
				n++
			}
		case '<':
			start := i + 1
			for i++; i < len(b) && hex(b[i]) >= 0; i++ {
				continue
			}
			if i < len(b) && b[i] == '>' {
				n += (i - start) / 4
			}
		}
	}
	return n
}
