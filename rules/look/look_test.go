package look_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/mime"
	"postern/rules/look"
)

const letter = `From: "Ann Lee" <ann@a.example>, Bob <bob@b.example>
To: one@c.example
Cc: =?utf-8?q?Tw=C3=B6?= <two@c.example>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
 and more
Received: from a
Received: from b
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8; name=one.txt
Content-Transfer-Encoding: quoted-printable

First line =
goes on
and	 on.

Second=C2=A0paragraph
--b
Content-Type: text/html
X-Part: =?utf-8?q?=C3=A9?=

<p>Third <b>one</b></p>
--b--
`

func message(t *testing.T, src string) (*filter.Message, *mime.Tree) {
	t.Helper()
	raw := []byte(strings.ReplaceAll(src, "\n", "\r\n"))
	return &filter.Message{From: "env@a.example", Body: bytes.NewReader(raw), Size: int64(len(raw))}, mime.Bytes(raw, mime.Limits{})
}

// shown are the texts that a way shows.
func shown(in, of string, m *filter.Message, tree *mime.Tree) ([]string, error) {
	all, err := look.Texts(in, of, m, tree)
	var out []string
	for _, t := range all.Texts {
		out = append(out, t.Text)
	}
	return out, err
}

func TestTexts(t *testing.T) {
	m, tree := message(t, letter)
	for way, want := range map[string][]string{
		"subject":                 {"Grüße and more"},
		"from":                    {`"Ann Lee" <ann@a.example>, Bob <bob@b.example>`},
		"header:Received":         {"from a", "from b"},
		"header:none":             nil,
		"fields:received":         {"from a\nfrom b"},
		"fields:none":             nil,
		"fields:To,Cc":            {"one@c.example\nTwö <two@c.example>"},
		"fields:from:addr":        {"ann@a.example\nbob@b.example"},
		"fields:from:name":        {"Ann Lee\nBob"},
		"fields:to,cc:addr":       {"one@c.example\ntwo@c.example"},
		"fields:subject:raw":      {"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\n and more"},
		"part:x-part":             {"é"},
		"part:content-type":       {"multipart/mixed; boundary=b", "text/plain; charset=utf-8; name=one.txt", "text/html"},
		"mailfrom":                {"env@a.example"},
		"paragraphs":              {"Grüße and more\nFirst line goes on and on.\nSecond paragraph Third one"},
		"rawbody":                 {"First line goes on\nand\t on.\n\nSecond\u00a0paragraph", "<p>Third <b>one</b></p>"},
		"html":                    {"<p>Third <b>one</b></p>"},
		"filename":                {"one.txt"},
		"url":                     nil,
		"uri":                     nil,
		"fields:subject,received": {"Grüße and more\nfrom a\nfrom b"},
	} {
		in, of, err := look.Parse(way)
		if err != nil {
			t.Fatal(err)
		}
		got, err := shown(in, of, m, tree)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q %v, want %q", way, got, err, want)
		}
		if back := look.Word(in, of); back != strings.ToLower(way) {
			t.Errorf("%s is written %s", way, back)
		}
	}
}

func TestWholeHeader(t *testing.T) {
	m, tree := message(t, letter)
	for way, want := range map[string][]string{
		"headers":     {"Cc: Twö <two@c.example>\nSubject: Grüße and more\n", "Received: from b\n"},
		"headers:raw": {"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n and more\nReceived: from a\n"},
		"raw":         {"\r\nReceived: from a\r\n", "--b--\r\n"},
		"body":        {"goes on\nand\t on.\n\nSecond"},
	} {
		in, of, err := look.Parse(way)
		if err != nil {
			t.Fatal(err)
		}
		got, err := shown(in, of, m, tree)
		for _, w := range want {
			if err != nil || len(got) != 1 || !strings.Contains(got[0], w) {
				t.Errorf("%s: %q %v holds no %q", way, got, err, w)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for way, want := range map[string]string{
		"boddy": "expected one of subject, from, header:NAME", "body:x": "expected one of", "headers:odd": "expected one of",
		"header:": "is no name", "header:NAME": "write the name of the field behind \"header:\"", "part:": "is no name",
		"fields:a,,b": "is no name", "fields:from:host": "expected addr, name or raw", "header:from:addr": "is no name", "fields:": "is no name",
	} {
		if _, _, err := look.Parse(way); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", way, err, want)
		}
	}
	for _, way := range look.Ways() {
		in, of, err := look.Parse(strings.ReplaceAll(way, "NAME", "x-y"))
		if err != nil {
			t.Errorf("%s: %v %s %s", way, err, in, of)
		}
	}
}

func TestBounds(t *testing.T) {
	many := "X-Long: " + strings.Repeat("w", 20_000) + "\n" + strings.Repeat("X-One: "+strings.Repeat("v", 300)+"\n", 900) + "\nbody " + strings.Repeat("b", 3<<20)
	m, tree := message(t, many)
	for way, most := range map[string]int{"header:x-one": 500 * 300, "fields:x-one": 256 << 10, "fields:x-long": 8 << 10, "fields:x-long:raw": 8 << 10, "headers": 256 << 10, "headers:raw": 256 << 10, "raw": 2 << 20, "rawbody": 4 << 20} {
		in, of, _ := look.Parse(way)
		texts, err := shown(in, of, m, tree)
		size := 0
		for _, text := range texts {
			size += len(text)
		}
		if err != nil || size == 0 || size > most {
			t.Errorf("%s: %d bytes, at most %d: %v", way, size, most, err)
		}
	}
}

func TestURIs(t *testing.T) {
	m, tree := message(t, "Content-Type: text/html\n\nwww.a.example <a href=\"//b.example/x\">b</a> <a href='https://c.example'>ann@d.example</a> <a href=\"mailto:bob@e.example?subject=x\">write</a>")
	got, err := shown("uri", "", m, tree)
	want := []string{"http://b.example/x", "http://www.a.example", "https://c.example", "mailto:ann@d.example", "mailto:bob@e.example"}
	if slices.Sort(got); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v", got, err)
	}
}

func TestFoldsAreBlanks(t *testing.T) {
	m, tree := message(t, "To:\n a@b.example,\n\t c@d.example\nX: y\n\nz")
	for way, want := range map[string]string{"fields": "a@b.example, c@d.example", "headers": "To: a@b.example, c@d.example\nX: y\n"} {
		of := map[string]string{"fields": "to"}[way]
		if got, err := shown(way, of, m, tree); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q %v", way, got, err)
		}
	}
}

func TestPlainBlanks(t *testing.T) {
	if got := string(look.PlainBlanks([]byte("a\u00a0b\u3000c\u2009d é"))); got != "a b c d é" {
		t.Errorf("%q", got)
	}
	if !look.IsProse("paragraphs") || look.IsProse("rawbody") {
		t.Error("prose")
	}
}

func TestNothingThere(t *testing.T) {
	m, tree := message(t, "X: y\n\n")
	for _, way := range []string{"fields:to", "fields:to:addr", "part:to", "rawbody", "uri", "url", "filename", "from", "header:to"} {
		in, of, err := look.Parse(way)
		if err != nil {
			t.Fatal(err)
		}
		if texts, err := shown(in, of, m, tree); err != nil || len(texts) != 0 {
			t.Errorf("%s: %q %v", way, texts, err)
		}
	}
}

// TestPartsOfTexts: what is read of a long text is spread over the parts, so their beginnings are
// known where several make one text.
func TestPartsOfTexts(t *testing.T) {
	m, tree := message(t, "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none one\n\none\n--b\nContent-Type: text/html\n\n<p>two</p>\n--b\n\n three\n--b\nContent-Type: text/html\n\n<p>four</p>\n--b--\n")
	for way, want := range map[string]string{"body": "one one\n\none|two|three|four", "paragraphs": "s one one one|two|three|four", "html": "<p>two</p>|<p>four</p>"} {
		all, err := look.Texts(way, "", m, tree)
		if err != nil || len(all.Texts) != 1 || all.Cut {
			t.Fatalf("%s: %+v %v", way, all, err)
		}
		text, from := all.Texts[0].Text, 0
		var got []string
		for _, at := range append(all.Texts[0].Parts, len(text)) {
			part := strings.TrimSpace(text[from:at])
			if way == "paragraphs" {
				part = strings.Join(strings.Fields(part), " ")
			}
			got, from = append(got, part), at
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q, want %s", way, got, want)
		}
	}
}

func TestFolds(t *testing.T) {
	for _, way := range look.Ways() {
		in, of, _ := look.Parse(strings.ReplaceAll(way, "NAME", "x-y"))
		switch want := !slices.Contains([]string{"fields:x-y:raw", "headers:raw", "mailfrom", "html", "rawbody", "url", "uri", "raw"}, look.Word(in, of)); {
		case look.Folds(in, of) != want:
			t.Errorf("%s folds: %v", way, !want)
		}
	}
}

func TestCutIsSaid(t *testing.T) {
	many := "X-Long: " + strings.Repeat("w", 9000) + "\n" + strings.Repeat("X-One: v\n", 400) + strings.Repeat("X-Two: v\n", 550) + "X-Short: s\n\nbody"
	m, tree := message(t, many)
	for way, want := range map[string]bool{"header:x-long": true, "fields:x-long": true, "header:x-one": false, "fields:x-one": false, "fields:x-two": true, "fields:x-short": false, "body": false, "subject": false} {
		in, of, _ := look.Parse(way)
		if all, err := look.Texts(in, of, m, tree); err != nil || all.Cut != want {
			t.Errorf("%s: cut %v, %v", way, all.Cut, err)
		}
	}
}
