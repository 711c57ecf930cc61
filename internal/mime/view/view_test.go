package view_test

import (
	"strings"
	"testing"

	"postern/internal/mime/view"
)

var wide = view.Budget{Text: 1 << 20, Tokens: 10_000, URLs: 1000}

func TestHTMLAsText(t *testing.T) {
	for in, want := range map[string]string{
		"<p>Hello</p><p>World</p>":                                        "Hello\nWorld\n",
		"V<b></b>ia<i>gra</i>":                                            "Viagra",
		"a  \r\n b&nbsp;c&#32;d &amp; e":                                  "a b c d & e",
		"<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>": "1 2\n3\n",
		"<style>p{color:red}</style><script>alert('x')</script>shown":     "shown",
		"<!-- hidden -->shown":                                            "shown",
		"<noscript>inside <b>noscript</b></noscript>":                     "inside noscript",
		"z\u200be\u00adr\u200do\ufeff":                                    "zero",
		"<img src=cid:1 alt='Click here'> now":                            "Click here now",
		"<title>The title</title><body>text":                              "The title\ntext",
		"unclosed <b>tag <a href='x":                                      "unclosed tag",
		"1 < 2 and 3 > 2":                                                 "1 < 2 and 3 > 2",
		"&#72;&#x69;":                                                     "Hi",
		"line<br>break<br/>twice":                                         "line\nbreak\ntwice",
		"":                                                                "",
	} {
		c := view.NewCollector(wide)
		c.AddHTML([]byte(in))
		if got := c.Text(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if c.HTML() != in {
			t.Errorf("%q: source %q", in, c.HTML())
		}
	}
}

func TestPlainText(t *testing.T) {
	c := view.NewCollector(wide)
	c.Plain([]byte("one\r\ntwo\rthree\u200b!"))
	c.Plain([]byte("four"))
	if got := c.Text(); got != "one\ntwo\nthree!\nfour" {
		t.Errorf("%q", got)
	}
}

func show(list []view.URL) string {
	var out []string
	for _, u := range list {
		out = append(out, u.Raw+" "+u.Host+" "+u.Text)
	}
	return strings.Join(out, "|")
}

func TestLinksOfHTML(t *testing.T) {
	for in, want := range map[string]string{
		`<a href="http://evil.example/x">www.bank.example</a>`:             "http://evil.example/x evil.example www.bank.example",
		`<A HREF = 'HTTPS://Evil.Example:8443/'> <b>a</b> b </A>`:          "HTTPS://Evil.Example:8443/ evil.example a b",
		`<a href="http://a.example">x</a> see http://b.example/y.`:         "http://a.example a.example x|http://b.example/y b.example ",
		`<img src="//cdn.example/p.png"><form action="http://f.example/">`: "//cdn.example/p.png cdn.example |http://f.example/ f.example ",
		`<meta http-equiv=refresh content="0; URL='http://r.example/'">`:   "http://r.example/ r.example ",
		`<base href="http://base.example/dir/"><a href="page">x</a>`:       "http://base.example/dir/page base.example x",
		`<a href="page">x</a><a href="#top">y</a><a href="mailto:a@b.c">z`: "",
		`<!--[if mso]><a href="http://mso.example/">x</a><![endif]-->`:     "http://mso.example/ mso.example ",
		`<a href="java&#115;cript:alert(1)">x</a>`:                         "javascript:alert(1)  x",
		`<a href="http://a.example/?a=1&amp;b=2">x</a>`:                    "http://a.example/?a=1&b=2 a.example x",
		`<a href="ht` + "\t" + `tp://tab.example/">x</a>`:                  "http://tab.example/ tab.example x",
		`<a href="http://a.example">one<a href="http://b.example">two</a>`: "http://a.example a.example one|http://b.example b.example two",
		`<noscript><a href="http://n.example/">x</a></noscript>`:           "http://n.example/ n.example x",
		`<a href="http://open.example/">never closed`:                      "http://open.example/ open.example never closed",
	} {
		c := view.NewCollector(wide)
		c.AddHTML([]byte(in))
		if got := show(c.URLs()); got != want {
			t.Errorf("%s:\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestLinksOfText(t *testing.T) {
	for in, want := range map[string]string{
		"see http://a.example/x, or (https://b.example).": "http://a.example/x a.example |https://b.example b.example ",
		"www.c.example and WWW.D.example":                 "www.c.example www.c.example |WWW.D.example www.d.example ",
		"xhttp://e.example":                               "http://e.example e.example ",
		"http://f.example/a?u=http://g.example":           "http://f.example/a?u=http://g.example f.example ",
		"<http://h.example/>":                             "http://h.example/ h.example ",
		"http://пример.рф/путь":                           "http://пример.рф/путь xn--e1afmkfd.xn--p1ai ",
		"http:// nothing, www., a:b, ://x":                "",
		"http://dup.example http://dup.example":           "http://dup.example dup.example ",
		"ftp://f.example/x gopher://g.example":            "ftp://f.example/x f.example ",
	} {
		c := view.NewCollector(wide)
		c.Plain([]byte(in))
		if got := show(c.URLs()); got != want {
			t.Errorf("%s:\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestHosts(t *testing.T) {
	for in, want := range map[string]string{
		"http://user:pass@host.example:80/x": "host.example",
		"http://bank.example@evil.example/":  "evil.example",
		`http:\\back.example\x`:              "back.example",
		"https:one.example":                  "one.example",
		"http:///three.example/":             "three.example",
		"http://EXAMPLE.com./":               "example.com",
		"http://ex%61mple.com/":              "example.com",
		"http://bücher.example/":             "xn--bcher-kva.example",
		"http://a。example/":                  "a.example",
		"http://3232235777/":                 "192.168.1.1",
		"http://0xc0.0xa8.1.1/":              "192.168.1.1",
		"http://0300.0250.0401/":             "192.168.1.1",
		"http://192.168.1.1:8080/":           "192.168.1.1",
		"http://[2001:db8::1]/":              "2001:db8::1",
		"http://[broken/":                    "",
		"http://1.2.3.4.5/":                  "1.2.3.4.5",
		"http://299.1.1.1/":                  "299.1.1.1",
	} {
		c := view.NewCollector(wide)
		c.AddHTML([]byte(`<a href="` + in + `">x</a>`))
		got := ""
		if u := c.URLs(); len(u) == 1 {
			got = u[0].Host
		}
		if got != want {
			t.Errorf("%s: host %q, want %q", in, got, want)
		}
	}
}

func TestBudgets(t *testing.T) {
	for name, b := range map[string]view.Budget{
		"text":   {Text: 100, Tokens: 1000, URLs: 1000},
		"tokens": {Text: 1 << 20, Tokens: 10, URLs: 1000},
		"links":  {Text: 1 << 20, Tokens: 1000, URLs: 3},
	} {
		c := view.NewCollector(b)
		c.AddHTML([]byte(strings.Repeat(`<p>word <a href="http://a.example">x</a>`, 50)))
		for i := range 10 {
			c.Plain([]byte("http://" + strings.Repeat("a", i+1) + ".example"))
		}
		if !c.Full() || len(c.Text()) > b.Text+20 || len(c.URLs()) > b.URLs {
			t.Errorf("%s: full %v, %d bytes, %d links", name, c.Full(), len(c.Text()), len(c.URLs()))
		}
	}
}

func FuzzViews(f *testing.F) {
	f.Add([]byte(`<a href="http://x.example">y<noscript><title><!--[if x]><a href=z>`))
	f.Add([]byte("http://www.www. ://://\u200b\xff www.\xc2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := view.NewCollector(view.Budget{Text: 1000, Tokens: 500, URLs: 20})
		c.AddHTML(b)
		c.Plain(b)
		if len(c.Text()) > 1100 || len(c.HTML()) > 1001 || len(c.URLs()) > 20 {
			t.Errorf("over budget: %d %d %d", len(c.Text()), len(c.HTML()), len(c.URLs()))
		}
	})
}

// TestEmbedded tells what is loaded with a message from links to follow.
func TestEmbedded(t *testing.T) {
	c := view.NewCollector(wide)
	c.AddHTML([]byte(`<link href="http://style.example/"><img src="http://image.example/"><a href="http://link.example/">x</a><form action="http://form.example/"><area href="http://area.example/"><body background="http://back.example/">`))
	want := map[string]bool{"style.example": true, "image.example": true, "back.example": true, "link.example": false, "form.example": false, "area.example": false}
	for _, u := range c.URLs() {
		if embedded, ok := want[u.Host]; !ok || u.Embedded != embedded {
			t.Errorf("%s: embedded %v", u.Host, u.Embedded)
		}
	}
	if len(c.URLs()) != len(want) {
		t.Errorf("%d links, want %d", len(c.URLs()), len(want))
	}
}

func TestFigures(t *testing.T) {
	for _, x := range []struct {
		plain, html string
		want        view.Figures
	}{
		{"", "", view.Figures{}},
		{" one  two\r\nthree\t", "", view.Figures{Plain: 3}},
		{"", "<p>one <b>two</b>&nbsp;three</p><style>p{}</style><!-- four -->", view.Figures{HTML: 3}},
		{"", `<img src=a alt="one two"><a href=b><img src=c></a><img>`, view.Figures{Pictures: 3, Linked: 1}},
		{"", `<!--[if mso]><img src=a><![endif]-->`, view.Figures{}},
		{"one", "<p>one</p>", view.Figures{Plain: 1, HTML: 1}},
	} {
		c := view.NewCollector(view.Budget{Text: 1000, Tokens: 100, URLs: 10})
		c.Plain([]byte(x.plain))
		c.AddHTML([]byte(x.html))
		if got := c.Figures(); got != x.want {
			t.Errorf("%q %q: %+v, wanted %+v", x.plain, x.html, got, x.want)
		}
	}
}

func TestAnchors(t *testing.T) {
	c := view.NewCollector(view.Budget{Text: 1000, Tokens: 100, URLs: 10})
	c.AddHTML([]byte(`<link href="https://a.test/"><a href="https://b.test/">b</a><area href="https://c.test/"><form action="https://d.test/"> https://e.test/`))
	for _, u := range c.URLs() {
		if want := u.Host == "b.test"; u.Anchor != want {
			t.Errorf("%s: %v", u.Raw, u.Anchor)
		}
	}
	if len(c.URLs()) != 5 {
		t.Errorf("%+v", c.URLs())
	}
}

// A link by itself is read as browsers read it.
func TestLink(t *testing.T) {
	for raw, host := range map[string]string{
		"HTTPS://A.EXAMPLE/X": "a.example", "www.a.example": "www.a.example", "http://3221225991/": "192.0.2.7",
		" https://a.example/\r\n": "a.example", "WIFI:S:x;;": "", "hello": "", "": "", "mailto:a@b.example": "",
	} {
		if u, _ := view.Link(raw); u.Host != host {
			t.Errorf("%q: %q, want %q", raw, u.Host, host)
		}
	}
}
