package view_test

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/mime/view"
)

// spans shows what of pages is not seen and why; what leads is in brackets.
func spans(c *view.Collector) string {
	var out []string
	for _, s := range c.Pages().Spans {
		text := strings.ReplaceAll(c.Text()[s.Start:s.End], "\n", " ")
		if s.Lead {
			text = "[" + text + "]"
		}
		out = append(out, text+": "+s.Cause.String())
	}
	return strings.Join(out, "; ")
}

func read(pages ...string) *view.Collector {
	c := view.NewCollector(view.Budget{Text: 1 << 20, Tokens: 10_000, URLs: 100})
	for _, p := range pages {
		c.AddHTML([]byte(p))
	}
	return c
}

// TestWhatIsNotSeen follows elements, what they inherit, and where they end.
func TestWhatIsNotSeen(t *testing.T) {
	for in, want := range map[string]string{
		"<p>a</p><p>b</p>": "",
		"a <span style='display:none'>b <b>c</b> d</span> e":                                  "b c d: not displayed",
		"<div style='display:none'>b</div> a":                                                 "[b]: not displayed",
		"<div hidden>b</div> a":                                                               "[b]: not displayed",
		"<template>b</template>a":                                                             "[b]: not displayed",
		"a<span style='font-size:0'>x</span>b":                                                "x: without a size",
		"a <font color=#ffffff>b</font> c":                                                    "b: in the colour of its ground",
		"<body bgcolor=black text=white>a <font color=#000000>b</font>":                       "b: in the colour of its ground",
		"<table bgcolor='#222222'><tr><td><font color=white>a</table><font color=white>b":     "b: in the colour of its ground",
		"<td background=x.png><font color=white>a</font></td>":                                "",
		"<style>.x{visibility:hidden}</style>a <i class=x>b</i>":                              "b: invisible",
		"a <i class=x>b</i><style>.x{opacity:0}</style>":                                      "b: transparent",
		"a <i class=x style='display:none'>b</i><style>@media all{.x{display:block}}</style>": "",
		"<p style='display:none'>a<p>b":                                                       "[a]: not displayed",
		"<ul><li style='display:none'>a<li>b</ul>":                                            "[a]: not displayed",
		"<tr><td style='display:none'>a<td>b<tr><td>c":                                        "[a]: not displayed",
		"<table><tr><td><div style='display:none'>a</td><td>b</table>c":                       "[a]: not displayed",
		"<div style='display:none'>a</span></p></td>b</div>c":                                 "[a b]: not displayed",
		"<div style='display:none'>a</div></div></div>b":                                      "[a]: not displayed",
		"<br style='display:none'>a<img style='display:none'>b<input hidden>c":                "",
		"<o:p style='display:none'/>a":                                                        "",
		"<div style='display:none'>a</body></html>b":                                          "[a b]: not displayed",
		"<title>a</title><div style='display:none'>b</div>c":                                  "[b]: not displayed",
		"<title>a<body><p style='opacity:0'>b</p>c":                                           "",
		"<div style='display:none'><img alt='picture'>a</div>b":                               "[a]: not displayed",
		"<a style='color:#fff' href=x>a</a>":                                                  "[a]: in the colour of its ground",
		"<div style='color:#fff;background:url(x)'><a href=x>a</a></div>":                     "",
		"<div style='display:none'>\u200c&nbsp;\u034f</div>a":                                 "",
		"<!--[if mso]><p style='display:none'>a</p><![endif]-->b":                             "",
		"a <b style='display:none'>b</b> c <b style='display:none'>d</b>":                     "b: not displayed; d: not displayed",
		"a<b style='display:none'>b</b>c<b style='display:none'>d</b>e":                       "b: not displayed; d: not displayed",
		"a <b style='display:none'>b</b> <b style='display:none'>c</b> d":                     "b c: not displayed",
	} {
		if got := spans(read(in)); got != want {
			t.Errorf("%s\n got %q\nwant %q", in, got, want)
		}
	}
}

// TestVisible is the text without what is not seen.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"<p>a</p><p>b</p>": "a\nb\n",
		"V<i style='font-size:0'>x</i>ia<i style='display:none'>y z</i>gra": "Viagra",
		"<p style='display:none'>a b c</p>shown":                            "\nshown",
	} {
		c := read(in)
		if got := view.Visible(c.Text(), c.Pages().Spans); got != want {
			t.Errorf("%s: %q, wanted %q", in, got, want)
		}
	}
	c := read("<p>a <b style='display:none'>b</b>")
	c.Plain([]byte("plain\r\n"))
	c.AddHTML([]byte("<p style='opacity:0'>c</p>d"))
	if got := view.Visible(c.Text(), c.Pages().Spans); got != "a \nplain\n\nd" {
		t.Errorf("of three bodies %q of %q", got, c.Text())
	}
	for i, r := range c.Pages().Texts {
		if got := c.Text()[r.Start:r.End]; got != []string{"a b", "c\nd"}[i] {
			t.Errorf("page %d is %q", i, got)
		}
	}
}

// TestFiguresOfPages counts what pages are made of.
func TestFiguresOfPages(t *testing.T) {
	for in, want := range map[string]string{
		"one 22 <b style='display:none'>three</b>":             "5 shown, 5 hidden",
		"<b style='display:none'>three</b> x":                  "1 shown, 5 hidden, 5 lead",
		"<b style='font-size:4px'>four - 4</b> x":              "6 shown, 5 tiny",
		"<a href=http://a.test/><img></a>":                     "1 anchors, 1 of images",
		"<a href=http://a.test/><img>x</a><a href=y>y</a>":     "2 shown, 2 anchors",
		"<a href=http://a.test/><img alt='See it'></a>":        "1 anchors, 1 of images",
		"<p onclick=x() on=y><body onload=z()>":                "2 handlers",
		"<base href='https://b.test/'><a href=x>x</a>":         "1 shown, 1 anchors, base b.test",
		"<b></b><span><i></i></span><b>x</b><b><img></b>":      "1 shown, 3 empty",
		"<qwrt>a</qwrt><o:p>b</o:p><my-tag>c</my-tag>":         "3 shown, 1 unknown",
		"<form action=http://f.test/><input type=Password>":    "form f.test secret",
		"<form action=http://f.test/><input type=text></form>": "form f.test",
		"<form action=x><input type=password>":                 "",
		"<input type=password>":                                "",
	} {
		if got := figures(read(in).Pages()); got != want {
			t.Errorf("%s: %q, wanted %q", in, got, want)
		}
	}
}

func figures(p view.Pages) string {
	var out []string
	for _, f := range []struct {
		n    int
		what string
	}{
		{p.Shown, "shown"}, {p.Hidden, "hidden"}, {p.Lead, "lead"}, {p.Tiny, "tiny"}, {p.Anchors, "anchors"}, {p.OfImage, "of images"},
		{p.Handler, "handlers"}, {p.Empty, "empty"}, {p.Unknown, "unknown"},
	} {
		if f.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", f.n, f.what))
		}
	}
	if p.Base != "" {
		out = append(out, "base "+p.Base)
	}
	for _, f := range p.Forms {
		s := "form " + f.Host
		if f.Secret {
			s += " secret"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// TestAttachedPages are no pages of the letter; what their forms ask for counts.
func TestAttachedPages(t *testing.T) {
	c := view.NewCollector(wide)
	c.Add(view.Body{MediaType: "text/html", Attached: true, Readings: [][]byte{[]byte(
		"<p style='display:none' onclick=x()>a</p><form action=http://f.test/><input type=password><qq>b</qq>")}})
	p := c.Pages()
	if got := figures(p); got != "form f.test secret" || len(p.Texts)+len(p.Spans) > 0 || !p.Forms[0].Attached {
		t.Errorf("%s; %+v", got, p)
	}
}

// TestDeepPages: elements beyond the depth look like those that hold them, and end with them.
func TestDeepPages(t *testing.T) {
	deep := strings.Repeat("<div>", view.MaxDepth+50)
	in := "a" + deep + "<p style='display:none'>b</p>" + strings.Repeat("</div>", view.MaxDepth+50) + "<p style='display:none'>c</p>d"
	if got := spans(read(in)); got != "c: not displayed" {
		t.Errorf("%q", got)
	}
	many := read(strings.Repeat("a<b style='display:none'>b</b>", view.MaxSpans/4))
	if n := len(many.Pages().Spans); n != view.MaxSpans/4 {
		t.Errorf("%d stretches", n)
	}
	c := view.NewCollector(view.Budget{Text: 4 << 20, Tokens: 200_000, URLs: 100})
	c.AddHTML([]byte(strings.Repeat("a<b style='display:none'>b</b>", view.MaxSpans+10)))
	c.AddHTML([]byte(strings.Repeat("<form action=http://f.test/>", view.MaxForms+10)))
	if p := c.Pages(); len(p.Spans) != view.MaxSpans || len(p.Forms) != view.MaxForms {
		t.Errorf("%d stretches, %d forms", len(p.Spans), len(p.Forms))
	}
}

func TestLetters(t *testing.T) {
	for in, want := range map[string]int{"": 0, "a b-1": 3, "\u2007 —!": 0, "έ": 2, "文字": 6, "\xff": 0} {
		if got := view.Letters(in); got != want {
			t.Errorf("%q: %d, wanted %d", in, got, want)
		}
	}
}
