package header_test

import (
	"bytes"
	"fmt"
	"net/mail"
	"strings"
	"testing"

	"postern/internal/mime/header"
)

var wide = header.Limits{Fields: 1000, Bytes: 256 << 10}

// names lists the fields in short.
func names(h header.Header) string {
	var out []string
	for _, f := range h.Fields {
		out = append(out, f.Name+"="+f.Value)
	}
	return strings.Join(out, "|")
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		in, fields, body string
		odd              header.Odd
	}{
		{"A: 1\r\nB: 2\r\n\r\nbody", "A=1|B=2", "body", 0},
		{"A: 1\nB:2\n\nbody", "A=1|B=2", "body", 0},
		{"A: 1\r\n folded\r\n\tmore\r\n\r\nb", "A=1 folded\tmore", "b", 0},
		{"\r\nbody", "", "body", 0},
		{"A: 1\r\n", "A=1", "", header.NoEnd},
		{"", "", "", header.NoEnd},
		{"From : x\r\n\r\nb", "From=x", "b", header.BlankName},
		{" A: 1\r\nB: 2\r\n\r\nb", "A=1|B=2", "b", header.LeadingBlank},
		{"  junk\r\nB: 2\r\n\r\nb", "B=2", "b", header.LeadingBlank},
		{"A: 1\r\nno colon\r\nB: 2\r\n\r\nb", "A=1|B=2", "b", header.NoColon},
		{"A: 1\r\nThis is text\r\nmore text\r\n\r\nb", "A=1", "This is text\r\nmore text\r\n\r\nb", header.NoColon | header.NoEnd},
		{"A: 1\r\n \r\nB: 2\r\n\r\nb", "A=1|B=2", "b", header.BlankFold},
		{": x\r\nB: 2\r\n\r\nb", "=x|B=2", "b", header.EmptyName},
		{"A\x00: 1\r\n\r\nb", "A=1", "b", header.NULByte | header.EightBitName},
		{"\xc3\xa9: 1\r\n\r\nb", "\xc3\xa9=1", "b", header.EightBitName},
		{"A: 1\rB: 2\r\n\r\nb", "A=1\rB: 2", "b", header.BareCR},
		{"A: 1\r\r\nB: 2\r\n\r\nb", "A=1|B=2", "b", 0},
		{">From x Mon\r\nA: 1\r\n\r\nb", "A=1", "b", header.MboxLine},
		{"From x@y Mon Jan\nA: 1\n\nb", "A=1", "b", header.MboxLine},
	} {
		got := header.Parse([]byte(tc.in), 0, wide, header.Plain)
		if names(got.Header) != tc.fields || tc.in[got.Body:] != tc.body || got.Odd != tc.odd {
			t.Errorf("%q: %q body %q odd %b; want %q %q %b", tc.in, names(got.Header), tc.in[got.Body:], got.Odd, tc.fields, tc.body, tc.odd)
		}
		for _, f := range got.Header.Fields {
			if !bytes.Equal(f.Raw, []byte(tc.in)[f.Offset:f.Offset+int64(len(f.Raw))]) {
				t.Errorf("%q: Raw and Offset of %s disagree", tc.in, f.Name)
			}
		}
	}
}

func TestModes(t *testing.T) {
	const in = "A: 1\nbad line\nB: 2\nC : 3\n \nD: 4\n\nbody"
	for mode, want := range map[header.Mode]string{
		header.Plain:    "A=1|B=2|C=3|D=4 body",
		header.Stop:     "A=1 bad line\nB: 2\nC : 3\n \nD: 4\n\nbody",
		header.Skip:     "A=1|B=2|C=3|D=4 body",
		header.BlankEnd: "A=1|B=2|C=3 D: 4\n\nbody",
	} {
		got := header.Parse([]byte(in), 0, wide, mode)
		if s := names(got.Header) + " " + in[got.Body:]; s != want {
			t.Errorf("mode %d: %q, want %q", mode, s, want)
		}
	}
}

func TestLimits(t *testing.T) {
	in := strings.Repeat("A: 1\r\n", 20) + "\r\nbody"
	got := header.Parse([]byte(in), 0, header.Limits{Fields: 5, Bytes: 1000}, header.Plain)
	if len(got.Header.Fields) != 5 || got.Odd != header.TooMany || in[got.Body:] != "body" {
		t.Errorf("%d fields, %b", len(got.Header.Fields), got.Odd)
	}
	got = header.Parse([]byte(in), 0, header.Limits{Fields: 50, Bytes: 30}, header.Plain)
	if len(got.Header.Fields) != 5 || got.Odd != header.TooLong || in[got.Body:] != "body" {
		t.Errorf("%d fields, %b", len(got.Header.Fields), got.Odd)
	}
}

func TestAccess(t *testing.T) {
	h := header.Parse([]byte("Subject: =?utf-8?q?caf=C3=A9?=\nX: 1\nx: 2\n\n"), 0, wide, header.Plain).Header
	if h.Get("SUBJECT") != "=?utf-8?q?caf=C3=A9?=" || h.Decoded("subject") != "café" || fmt.Sprint(h.All("X")) != "[1 2]" || !h.Has("x") || h.Has("y") || h.Get("y") != "" {
		t.Errorf("%+v", h)
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                                       "plain",
		"=?utf-8?B?Y2Fmw6k=?=":                        "café",
		"=?UTF-8?q?caf=C3=A9_bar?= end":               "café bar end",
		"=?utf-8?q?a?= =?utf-8?q?b?=":                 "ab",
		"=?utf-8?q?a?= \t=?iso-8859-1?q?=e9?= c":      "aé c",
		"=?utf-8?B?4pg=?= =?utf-8?B?gw==?=":           "☃", // a character split between words
		"=?utf-8?Q?=E2=98?=\r\n =?utf-8?Q?=83?=":      "☃",
		"\"=?utf-8?q?quoted?=\"":                      "\"quoted\"",
		"x=?utf-8?q?in?=y":                            "xiny",
		"=?utf-8?q?raw blank?=":                       "raw blank",
		"=?utf-8*en?q?lang?=":                         "lang",
		"=?utf-8?B?Y2Fmw6k?=":                         "café", // no padding
		"=?x?z?a?= rest":                              "=?x?z?a?= rest",
		"=?utf-8?q?open":                              "=?utf-8?q?open",
		"=? =?utf-8?q?ok?=":                           "=? ok",
		"a =?utf-8?q??= b":                            "a  b",
		"raw gr\xfc\xdfe":                             "raw grüße",
		"raw grüße":                                   "raw grüße",
		"two\r\n lines":                               "two  lines",
		"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=":          "日本",
		"=?gb2312?B?t6LGsQ==?= =?gb2312?B?t6LGsQ==?=": "发票发票",
		"=?utf-8?B?YQ==YQ==?=":                        "aa",
	} {
		if got := header.Words(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMailboxes(t *testing.T) {
	for in, want := range map[string]string{
		`a@example.com`:                                       `|a@example.com|example.com`,
		`A B <a@Example.COM>`:                                 `A B|a@Example.COM|example.com`,
		`"B, A" <a@example.com>, c@d.example`:                 `B, A|a@example.com|example.com + |c@d.example|d.example`,
		`a@example.com (A B)`:                                 `A B|a@example.com|example.com`,
		`=?utf-8?q?Caf=C3=A9?= <a@example.com>`:               `Café|a@example.com|example.com`,
		`"=?utf-8?q?Caf=C3=A9?=" <a@example.com>`:             `Café|a@example.com|example.com`,
		`"service@bank.example" <x@evil.example>`:             `service@bank.example|x@evil.example|evil.example`,
		`service@bank.example <x@evil.example>`:               `service@bank.example|x@evil.example|evil.example`,
		`<x@evil.example`:                                     `|x@evil.example|evil.example`,
		`group: a@b.example, c@d.example;`:                    `|a@b.example|b.example + |c@d.example|d.example`,
		`undisclosed-recipients:;`:                            ``,
		`<a@b.example> <c@d.example>`:                         `|a@b.example|b.example + |c@d.example|d.example`,
		`"john \"x\" doe" <j@b.example>`:                      `john "x" doe|j@b.example|b.example`,
		`"quoted local"@b.example`:                            `|"quoted local"@b.example|b.example`,
		`Just A Name`:                                         `Just A Name||`,
		`a@b.example.`:                                        `|a@b.example.|b.example`,
		`Name a@b.example`:                                    `Name|a@b.example|b.example`,
		"x\x00@b.example":                                     `|x@b.example|b.example`,
		`((nested (comment)) <not@this.example>) a@b.example`: `(nested (comment)) <not@this.example>|a@b.example|b.example`,
		``:   ``,
		`,,`: ``,
	} {
		var got []string
		for _, m := range header.Mailboxes(in) {
			got = append(got, m.Name+"|"+m.Address+"|"+m.Domain)
		}
		if s := strings.Join(got, " + "); s != want {
			t.Errorf("%q: %q, want %q", in, s, want)
		}
	}
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

// FuzzHeader compares with net/mail where that reads the header, and looks for crashes
// elsewhere.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{"A: 1\r\n b\r\n\r\nbody", "From : =?utf-8?q?a?=\n\n", " x: y\n:\n\x00: a\n\n", "no colon\nA: b\n\n", "A: 1\n \nB: 2\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for mode := header.Plain; mode <= header.BlankEnd; mode++ {
			got := header.Parse(b, 7, header.Limits{Fields: 50, Bytes: 1000}, mode)
			if got.Body < 0 || got.Body > len(b) || len(got.Header.Fields) > 50 {
				t.Fatalf("mode %d: body at %d of %d", mode, got.Body, len(b))
			}
			for _, f := range got.Header.Fields {
				header.Words(f.Value)
				header.Mailboxes(f.Value)
				if !bytes.Equal(f.Raw, b[f.Offset-7:f.Offset-7+int64(len(f.Raw))]) {
					t.Fatalf("Raw of %q is not where it says", f.Name)
				}
			}
		}
		m, err := mail.ReadMessage(bytes.NewReader(b))
		if err != nil || bytes.IndexByte(b, '\r') >= 0 || bytes.IndexByte(b, 0) >= 0 {
			return
		}
		got := header.Parse(b, 0, wide, header.Plain)
		for name, values := range m.Header {
			if printable(name) && len(got.Header.All(name)) < len(values) {
				t.Errorf("net/mail sees %d %q, this %d", len(values), name, len(got.Header.All(name)))
			}
		}
	})
}
