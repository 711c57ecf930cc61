package link_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/link"
	"postern/internal/mime"
)

func symbols(t *testing.T, c *link.Check, from, html string) []string {
	t.Helper()
	raw := []byte("From: " + from + "\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html + "\r\n")
	m := &filter.Message{Parts: func() (*mime.Tree, error) {
		return mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
	}}
	found, err := c.Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		out = append(out, f.Symbol)
	}
	return out
}

func TestSymbols(t *testing.T) {
	c := link.New([]string{"example.com"})
	a := func(href, text string) string { return `<a href="` + href + `">` + text + `</a>` }
	home := a("https://sender.test/", "home")
	for _, x := range []struct{ name, html, want string }{
		{"no link", "<p>Hello</p>", ""},
		{"the sender's own", a("https://www.sender.test/x", "Click"), ""},
		{"elsewhere", a("https://other.test/x", "Click"), "LINK_ELSEWHERE LINK_STRANGE"},
		{"elsewhere, only written out", "<p>https://other.test/x</p>", "LINK_ELSEWHERE"},
		{"elsewhere, a picture", `<img src="https://other.test/x.png">`, "LINK_ELSEWHERE"},
		{"both", home + a("https://other.test/x", "Click"), ""},

		{"shown is real", home + a("https://www.bank.com/x", "www.bank.com"), ""},
		{"shown is a sister", home + a("https://login.bank.com/x", "https://www.bank.com/y"), ""},
		{"shown is another", home + a("https://evil.net/x", "https://www.bank.com/login"), "LINK_MISMATCH"},
		{"shown without scheme", home + a("https://evil.net/x", "bank.com"), "LINK_MISMATCH"},
		{"shown in Cyrillic", home + a("https://evil.net/x", "http://банк.рф/"), "LINK_MISMATCH"},
		{"shown is a sentence", home + a("https://evil.net/x", "see bank.com"), ""},
		{"shown is a file", home + a("https://evil.net/x", "archive.zip"), ""},
		{"shown is a program", home + a("https://evil.net/x", "node.js"), ""},
		{"shown is an address of mail", home + a("https://evil.net/x", "ann@bank.com"), ""},
		{"shown is a number", home + a("https://evil.net/x", "1.2.3.4"), ""},
		{"shown has odd letters", home + a("https://evil.net/x", "b&#8203;ank.com"), "LINK_MISMATCH"},

		{"like ours", home + a("https://exarnple.com/login", "Click"), "LINK_LIKE_OWN"},
		{"ours", home + a("https://www.example.com/login", "Click"), ""},
		{"not like ours", home + a("https://sample.net/", "Click"), ""},
		{"like the sender", home + a("https://www.sonder.test/", "Click"), "LINK_LIKE_SENDER"},

		{"a damaged sender", home + a("https://www.sender.test=/", "Click"), ""},

		{"Cyrillic as Latin", home + a("https://раураl.com/", "Click"), "LINK_LOOKALIKE"},
		{"all Cyrillic, drawn like Latin", home + a("https://хсору.com/", "Click"), "LINK_LOOKALIKE"},
		{"honest Russian", home + a("https://почта.рф/", "Click"), ""},
		{"honest Chinese", home + a("https://例子.中国/", "Click"), ""},
		{"honest German", home + a("https://müller.de/", "Click"), ""},

		{"a page in a link", home + a("data:text/html;base64,PGI+", "Click"), "LINK_DATA"},
		{"a picture in a link", home + `<img src="data:image/png;base64,iVBOR">`, ""},
		{"a form of the sender", home + `<form action="https://www.sender.test/in"><input type=password>`, ""},
		{"a form of a stranger", home + `<form action="http://other.test/in"><input type=text>`, "FORM_ELSEWHERE"},
		{"a password to a stranger", home + `<form action="https://other.test/in"><input type=password>`, "FORM_ELSEWHERE FORM_PASSWORD"},
		{"a password unencrypted", home + `<form action="http://sender.test/in"><input type=password>`, "FORM_PASSWORD"},
		{"a form without an address", home + `<form action="in"><input type=password>`, ""},
		{"a base of the sender", `<base href="https://www.sender.test/"><a href="x">x</a>`, ""},
		{"a base of a stranger", home + `<base href="https://other.test/"><a href="x">x</a>`, "LINK_BASE"},
		{"a base for pictures alone", `<base href="https://other.test/"><img src="x">`, "LINK_ELSEWHERE"},
		{"an address literal", home + a("http://[2001:db8::1]/x", "Click"), ""},
	} {
		if got := strings.Join(symbols(t, c, "Ann <ann@sender.test>", x.html), " "); got != x.want {
			t.Errorf("%s: found %q, wanted %q", x.name, got, x.want)
		}
	}
	if got := symbols(t, c, "nobody", a("https://other.test/x", "Click")); len(got) != 0 {
		t.Errorf("without a sender's domain: %q", got)
	}
}

// TestParties shows whose links are not strange beside the author's.
func TestParties(t *testing.T) {
	c := link.New(nil)
	html := `<a href="https://pages.party.test/x">Click</a>`
	for head, strange := range map[string]bool{
		"":                                true,
		"Message-ID: <1@mail.party.test>": false,
		"Message-ID: <1@other.test>":      true,
		"Message-ID: <1@localhost>":       true,
		"List-Id: News <news.party.test>": false,
		"Sender: Lists <x@party.test>":    false,
		"List-Unsubscribe: <https://party.test/u>, <mailto:u@other.test>": false,
		"DKIM-Signature: v=1; a=rsa-sha256; d=party.test; s=x; b=AAAA":    false,
		"DKIM-Signature: v=1; a=rsa-sha256; d=other.test; s=party.test":   true,
	} {
		if head != "" {
			head = "\r\n" + head
		}
		got := slices.Contains(symbols(t, c, "Ann <ann@sender.test>"+head, html), link.Strange)
		if got != strange {
			t.Errorf("%q: strange is %v", head, got)
		}
	}
}

func TestEachSymbolOnce(t *testing.T) {
	var sb strings.Builder
	for range 50 {
		sb.WriteString(`<a href="https://evil.net/x">bank.com</a><a href="https://exarnple.com/">x</a>`)
	}
	if got := symbols(t, link.New([]string{"example.com"}), "a@b.test", sb.String()); len(got) != 4 {
		t.Errorf("found %q", got)
	}
}

func TestReload(t *testing.T) {
	c := link.New(nil)
	html := `<a href="https://exarnple.com/">x</a><a href="https://b.test/">y</a>`
	if got := symbols(t, c, "a@b.test", html); len(got) != 0 {
		t.Fatalf("found %q", got)
	}
	c.Reload([]string{"example.com"})
	if got := symbols(t, c, "a@b.test", html); len(got) != 1 || got[0] != link.LikeOwn {
		t.Fatalf("found %q", got)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(`<a href="https://xn--pypl-53dc.com/">paypal.com</a>`)
	f.Add(`<a href="data:">x</a><a href="//[::1]:99/">` + strings.Repeat("a.", 200) + "com</a>")
	f.Fuzz(func(t *testing.T, html string) {
		for _, s := range symbols(t, link.New([]string{"example.com"}), "a@sender.test", html) {
			if !strings.HasPrefix(s, "LINK_") {
				t.Errorf("found %q", s)
			}
		}
	})
}
