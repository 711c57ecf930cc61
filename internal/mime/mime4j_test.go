package mime_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mime"
)

// shape is a tree as the mime4j suite writes it down.
type shape struct {
	name string // message, multipart, body
	file string // decoded content of a body
	sub  []shape
}

func (s shape) String() string {
	if s.name == "body" {
		return "body"
	}
	parts := make([]string, len(s.sub))
	for i, c := range s.sub {
		parts[i] = c.String()
	}
	return s.name + "(" + strings.Join(parts, " ") + ")"
}

// bodies lists the decoded files in order.
func (s shape) bodies() []string {
	if s.name == "body" {
		return []string{s.file}
	}
	var out []string
	for _, c := range s.sub {
		out = append(out, c.bodies()...)
	}
	return out
}

// readShape reads a *_decoded.xml file.
func readShape(t *testing.T, file string) shape {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(raw), "?"))))
	d.Strict = false
	stack := []shape{{}}
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			s := shape{name: e.Name.Local}
			if strings.HasSuffix(s.name, "-body") {
				s.name = "body"
				for _, a := range e.Attr {
					if a.Name.Local == "name" {
						s.file = a.Value
					}
				}
			}
			stack = append(stack, s)
		case xml.EndElement:
			top := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			up := &stack[len(stack)-1]
			switch top.name {
			case "message", "multipart", "body":
				up.sub = append(up.sub, top)
			case "body-part":
				up.sub = append(up.sub, top.sub...)
			}
		}
	}
	return stack[0].sub[0]
}

// shapeOf writes a walked tree in the same way.
func shapeOf(p *mime.Part) (s shape, leaves []*mime.Part) {
	switch {
	case p.IsLeaf() && strings.HasPrefix(p.MediaType, "multipart/"):
		return shape{name: "multipart"}, nil
	case p.IsLeaf():
		return shape{name: "body"}, []*mime.Part{p}
	case strings.HasPrefix(p.MediaType, "multipart/"):
		s.name = "multipart"
	}
	for _, c := range p.Children {
		if c.Alternate {
			continue
		}
		sub, l := shapeOf(c)
		if s.name == "" { // message/rfc822
			sub = shape{name: "message", sub: []shape{sub}}
			return sub, l
		}
		s.sub = append(s.sub, sub)
		leaves = append(leaves, l...)
	}
	return s, leaves
}

// mime4jDeviations are the mails on which this walk differs on purpose.
var mime4jDeviations = map[string]string{
	"badbound":                              "no delimiter matches the boundary; the parts are found by guessing it",
	"frag":                                  "the bytes of an incomplete last base64 group are kept",
	"multi-frag":                            "the bytes of an incomplete last base64 group are kept",
	"hdr-fakeout":                           "a line that is no field ends the header, so the text is body rather than lost",
	"basic-plain-with-bad-header-separator": "a line that is no field ends the header, so the text is body rather than lost",
	"malformedHeader-noheader":              "a line that is no field ends the header, so the text is body rather than lost",
	"malformedHeaderStartsBody-noheader":    "both lines are body, not one of them",
	"malformedHeaderStartsBody-nocrlfcrlf":  "the field behind the bad line is kept; the suite's body is another reading",
	"very-long-boundary":                    "trailing blanks are no part of a boundary (RFC 2046 section 5.1.1)",
	"very-very-long-boundary":               "trailing blanks are no part of a boundary (RFC 2046 section 5.1.1)",
	"weird-boundary":                        "trailing blanks are no part of a boundary (RFC 2046 section 5.1.1)",
}

func TestMime4j(t *testing.T) {
	dir := mailtest.Suites(t, "mime/mime4j/core/src/test/resources")
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.msg"))
	if err != nil || len(files) < 80 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	same, deviations := 0, 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".msg")
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tree := mime.Bytes(raw, mime.Limits{})
		want := readShape(t, strings.TrimSuffix(file, ".msg")+"_decoded.xml")
		body, leaves := shapeOf(tree.Root)
		got := shape{name: "message", sub: []shape{body}}
		diff := ""
		if got.String() != want.String() {
			diff = "got " + got.String() + " want " + want.String()
		} else {
			for i, f := range want.bodies() {
				content, err := os.ReadFile(filepath.Join(filepath.Dir(file), f))
				if err != nil {
					t.Fatal(err)
				}
				if g := leaves[i].Decoded(); !bytes.Equal(lf(g), lf(content)) {
					diff += f + " differs: " + clip(g) + " want " + clip(content) + "; "
				}
			}
		}
		switch {
		case diff == "":
			same++
		case mime4jDeviations[name] != "":
			deviations++
			t.Logf("%s differs as known: %s", name, mime4jDeviations[name])
		default:
			t.Errorf("%s: %s", name, diff)
		}
	}
	t.Logf("%d of %d alike, %d known deviations", same, len(files), deviations)
}

func lf(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r"), nil) }

func clip(b []byte) string {
	b = lf(b)
	if len(b) > 160 {
		return string(b[:80]) + "..." + string(b[len(b)-60:])
	}
	return string(b)
}
