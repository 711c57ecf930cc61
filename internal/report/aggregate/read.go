package aggregate

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"

	"postern/internal/report/inert"
)

// Bounds of a report that is read.
const (
	MaxBytes   = 32 << 20 // of XML, expanded
	MaxRecords = 50000

	maxElements  = 2_000_000 // elements of XML; a record has some thirty
	maxInRecord  = 1000      // elements of one record
	maxDepth     = 30        // elements inside each other
	maxUnescaped = 10_000    // angle brackets that begin no markup
)

// lastSecond is the end of the year 9999.
const lastSecond = 253402300799

// Errors of Read. They are wrapped: use errors.Is.
var (
	ErrTooLarge = errors.New("the report is larger than is read")
	ErrNoReport = errors.New("this is no DMARC report")
)

// Read reads a report. What is malformed in ways that are known to be sent is read all the
// same: text in no known charset, unescaped angle brackets, words in any case. Errors say
// what is wrong in plain words with the line.
func Read(src []byte) (*Feedback, error) {
	if len(src) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(src), MaxBytes)
	}
	f, err := read(src)
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		if g, again := read(escape(src)); again == nil {
			f, err = g, nil
		}
	}
	if err != nil {
		return nil, err
	}
	f.normalise()
	if f.Policy.Domain == "" {
		return nil, fmt.Errorf("%w: it names no policy domain", ErrNoReport)
	}
	if len(f.Records) == 0 {
		return nil, fmt.Errorf("%w: it has no record", ErrNoReport)
	}
	if b, e := f.Meta.Range.Begin, f.Meta.Range.End; b < 0 || e < b || e > lastSecond {
		return nil, fmt.Errorf("the period from %d to %d is none", b, e)
	}
	for i, r := range f.Records {
		if r.Row.Count < 0 || r.Row.Count > 1<<40 {
			return nil, fmt.Errorf("record %d: a count of %d", i+1, r.Row.Count)
		}
	}
	return f, nil
}

func read(src []byte) (*Feedback, error) {
	plain := src
	if !utf8.Valid(src) {
		plain = bytes.ToValidUTF8(src, []byte("?"))
	}
	d := xml.NewDecoder(bytes.NewReader(plain))
	if bytes.Contains(src[:min(len(src), 200)], []byte("encoding=")) && !bytes.Contains(bytes.ToLower(src[:min(len(src), 200)]), []byte(`utf-8`)) {
		d = xml.NewDecoder(bytes.NewReader(src))
	}
	d.Strict = false
	d.CharsetReader = charset.NewReaderLabel
	b := &bounded{d: d}
	d = xml.NewTokenDecoder(b)
	d.Strict = false
	if err := enter(d); err != nil {
		return nil, err
	}
	return children(d, b)
}

// bounded hands on tokens while there are not too many of them.
type bounded struct {
	d                         *xml.Decoder
	elements, inRecord, depth int
}

// Token implements xml.TokenReader.
func (b *bounded) Token() (xml.Token, error) {
	t, err := b.d.Token()
	switch e := t.(type) {
	case xml.StartElement:
		b.elements++
		b.inRecord++
		b.depth++
		e.Name.Space = "" // ends that are missing are made without one
		t = e
	case xml.EndElement:
		b.depth--
		e.Name.Space = ""
		t = e
	}
	switch {
	case err != nil:
		return t, err
	case b.elements > maxElements:
		return nil, fmt.Errorf("%w: more than %d elements", ErrTooLarge, maxElements)
	case b.inRecord > maxInRecord && b.depth > 1:
		return nil, fmt.Errorf("%w: more than %d elements in one part", ErrTooLarge, maxInRecord)
	case b.depth > maxDepth:
		return nil, fmt.Errorf("%w: more than %d elements inside each other", ErrTooLarge, maxDepth)
	}
	return t, nil
}

// enter finds the report; some send it below or behind its own schema.
func enter(d *xml.Decoder) error {
	first := ""
	for {
		t, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && first == "":
			return fmt.Errorf("%w: it is empty", ErrNoReport)
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: it begins with <%s>", ErrNoReport, inert.Text(first))
		case err != nil:
			return fmt.Errorf("reading the report: %w", err)
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if strings.EqualFold(s.Name.Local, "feedback") {
			return nil
		}
		if first == "" {
			first = s.Name.Local
		}
	}
}

// children reads what stands below the root, so that records are counted as they come.
func children(d *xml.Decoder, b *bounded) (*Feedback, error) {
	f := &Feedback{}
	for {
		b.inRecord = 0
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("reading the report: %w", err)
		}
		if _, end := t.(xml.EndElement); end {
			return f, nil
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		switch s.Name.Local {
		case "version":
			err = d.DecodeElement(&f.Version, &s)
		case "report_metadata":
			err = d.DecodeElement(&f.Meta, &s)
		case "policy_published":
			err = d.DecodeElement(&f.Policy, &s)
		case "record":
			var r Record
			if err = d.DecodeElement(&r, &s); err == nil {
				r.cut()
				f.Records = append(f.Records, r)
			}
		default:
			err = d.Skip()
		}
		if err != nil {
			return nil, fmt.Errorf("reading the report: %w", err)
		}
		if len(f.Records) > MaxRecords {
			return nil, fmt.Errorf("%w: more than %d records", ErrTooLarge, MaxRecords)
		}
	}
}

// tag is what an angle bracket must begin to be markup.
var tag = regexp.MustCompile(`^<(?:[?!][^<>]*|/?[A-Za-z_][A-Za-z0-9_:.-]*(?:\s[^<>]*)?/?)>`)

// escape turns angle brackets that begin no markup into text, unless there are very many.
func escape(src []byte) []byte {
	const window = 4096
	var out bytes.Buffer
	for unescaped := 0; ; {
		i := bytes.IndexByte(src, '<')
		if i < 0 || unescaped == maxUnescaped {
			out.Write(src)
			return out.Bytes()
		}
		out.Write(src[:i])
		src = src[i:]
		if n := len(tag.Find(src[:min(len(src), window)])); n > 0 {
			out.Write(src[:n])
			src = src[n:]
			continue
		}
		unescaped++
		out.WriteString("&lt;")
		src = src[1:]
	}
}
