package style_test

import (
	"strings"
	"testing"

	"postern/internal/mime/style"
)

// look is how an element appears on a page with a sheet.
func look(sheet, tag, class, id, own string) (style.Look, bool) {
	s := style.Sheets([]byte(sheet))
	d, shown := s.Of(tag, []byte(class), []byte(id), []byte(own))
	return style.Page(s.Unsure()).With(&d), shown
}

// TestOwnDeclarations says of each whether text is seen.
func TestOwnDeclarations(t *testing.T) {
	for own, want := range map[string]style.Cause{
		"":                                      style.Seen,
		"display:none":                          style.Gone,
		" DISPLAY : None ; ":                    style.Gone,
		"display:/* x */none":                   style.Gone,
		"display:none!important":                style.Gone,
		"display:none;display:block":            style.Seen,
		"display:none !important;display:block": style.Gone,
		"display:inline-block":                  style.Seen,
		"visibility:hidden":                     style.Unseen,
		"visibility:visible":                    style.Seen,
		"opacity:0":                             style.Clear,
		"opacity:0.0;":                          style.Clear,
		"opacity:.01":                           style.Clear,
		"opacity:0.9":                           style.Seen,
		"font-size:0":                           style.Minute,
		"font-size:1px":                         style.Minute,
		"font-size:2px":                         style.Minute,
		"font-size:3px":                         style.Seen,
		"font-size:0.1em":                       style.Minute,
		"font-size:1%":                          style.Minute,
		"font-size:1em":                         style.Seen,
		"font-size:.9rem":                       style.Seen,
		"font-size:1pt":                         style.Minute,
		"font-size:9pt":                         style.Seen,
		"font-size:small":                       style.Seen,
		"font-size:-1px":                        style.Seen,
		"font:0/0 a":                            style.Minute,
		"font:italic 700 12px/1.5 Arial":        style.Seen,
		"font: 1px Arial":                       style.Minute,
		"font:700 14px Arial":                   style.Seen,
		"height:0;overflow:hidden":              style.NoRoom,
		"max-height:0px;max-width:0px;overflow:hidden": style.NoRoom,
		"max-height:0":                                     style.Seen,
		"overflow:hidden":                                  style.Seen,
		"height:0;height:auto;overflow:hidden":             style.Seen,
		"width:100%;height:20px;overflow:hidden":           style.Seen,
		"width:1%;overflow:hidden":                         style.Seen,
		"position:absolute;left:-9999px":                   style.Outside,
		"text-indent:-999em":                               style.Outside,
		"margin-left:-20px":                                style.Seen,
		"left:9999px":                                      style.Seen,
		"clip:rect(0 0 0 0)":                               style.NoRoom,
		"clip: rect(1px, 1px, 1px, 1px)":                   style.NoRoom,
		"clip:rect(0 100px 100px 0)":                       style.Seen,
		"color:#fff":                                       style.Alike,
		"color:#FFFFFF":                                    style.Alike,
		"color:white":                                      style.Alike,
		"color:rgb(255, 254, 255)":                         style.Alike,
		"color:rgba(255,255,255,1)":                        style.Alike,
		"color:rgba(255,255,255,.5)":                       style.Seen,
		"color:rgba(0,0,0,0)":                              style.Alike,
		"color:#fff0":                                      style.Alike,
		"color:#00000000":                                  style.Alike,
		"color:transparent":                                style.Alike,
		"color:#fdfdfd":                                    style.Alike,
		"color:#eeeeee":                                    style.Seen,
		"color:#333;background:#333":                       style.Alike,
		"color:#fff;background:#333":                       style.Seen,
		"color:#fff;background-color:transparent":          style.Alike,
		"color:#fff;background:url(x.png)":                 style.Seen,
		"color:#fff;background:linear-gradient(#000,#111)": style.Seen,
		"color:#fff;background:no-repeat #223":             style.Seen,
		"color:#fff;background:none":                       style.Alike,
		"color:windowtext":                                 style.Seen,
		"color:rebeccapurple":                              style.Seen,
		"mso-hide:all":                                     style.Seen, // hidden from one mail program alone
		"nonsense;:;;a:;:b;display":                        style.Seen,
	} {
		l, _ := look("", "p", "", "", own)
		if got := l.Cause(); got != want {
			t.Errorf("%q: %v, wanted %v", own, got, want)
		}
	}
}

// TestInherited looks through two elements.
func TestInherited(t *testing.T) {
	for _, x := range []struct {
		outer, inner string
		want         style.Cause
	}{
		{"display:none", "display:block", style.Gone},
		{"visibility:hidden", "visibility:visible", style.Seen},
		{"font-size:0", "", style.Minute},
		{"font-size:0", "font-size:14px", style.Seen},
		{"font-size:4px", "font-size:0.5em", style.Minute},
		{"font-size:0", "font-size:1rem", style.Seen},
		{"background:#000;color:#fff", "", style.Seen},
		{"background:#000", "color:#010101", style.Alike},
		{"color:#fff", "background:#fff", style.Alike},
		{"background:url(a.png)", "color:#fff", style.Seen},
		{"opacity:0", "opacity:1", style.Clear},
	} {
		outer, _ := look("", "div", "", "", x.outer)
		d, _ := (*style.Sheet)(nil).Of("p", nil, nil, []byte(x.inner))
		in := outer.With(&d)
		if got := in.Cause(); got != x.want {
			t.Errorf("%q in %q: %v, wanted %v", x.inner, x.outer, got, x.want)
		}
	}
}

// TestSheets reads rules by element, class and id.
func TestSheets(t *testing.T) {
	for _, x := range []struct {
		css, tag, class, id, own string
		want                     style.Cause
		shown                    bool
	}{
		{".x{display:none}", "p", "a x b", "", "", style.Gone, false},
		{".x{display:none}", "p", "xx", "", "", style.Seen, false},
		{"p.x{display:none}", "p", "x", "", "", style.Gone, false},
		{"p.x{display:none}", "div", "x", "", "", style.Seen, false},
		{".x.y{display:none}", "p", "x", "", "", style.Seen, false},
		{".x.y{display:none}", "p", "y x", "", "", style.Gone, false},
		{"#i{display:none}", "p", "", "i", "", style.Gone, false},
		{"p#i.x{display:none}", "p", "x", "i", "", style.Gone, false},
		{"p#i.x{display:none}", "p", "y", "i", "", style.Seen, false},
		{"P{visibility:hidden}", "p", "", "", "", style.Unseen, false},
		{"a, .x , b{font-size:0}", "p", "x", "", "", style.Minute, false},
		{".x{display:none}", "p", "x", "", "display:block", style.Seen, false},
		{".x{display:block!important}", "p", "x", "", "display:none", style.Seen, false},
		{".x{display:none}.x{display:block}", "p", "x", "", "", style.Seen, false},
		{"/* .x{display:none} */ .y{color:red}", "p", "x", "", "", style.Seen, false},
		{"@import url(a.css); .x{display:none}", "p", "x", "", "", style.Gone, false},
		{"@font-face{font-family:x} .x{display:none}", "p", "x", "", "", style.Gone, false},
		{"@media (max-width:600px){.x{display:none}}", "p", "x", "", "", style.Seen, false},
		{"@media (max-width:600px){.x{display:block!important}}", "p", "x", "", "display:none", style.Gone, true},
		{"@media screen{#i{max-height:none}}", "p", "", "i", "max-height:0;overflow:hidden", style.NoRoom, true},
		{"div .x{display:block}", "p", "x", "", "display:none", style.Gone, true},
		{".x:hover{display:none}", "p", "x", "", "", style.Seen, false},
		{"td .x{background:#000}", "p", "y", "", "color:#fff", style.Seen, false},
		{"a:hover{color:#000}", "p", "y", "", "color:#fff", style.Alike, false},
		{".x{display:none", "p", "x", "", "", style.Gone, false},
		{"}}{{;;@", "p", "x", "", "", style.Seen, false},
		{"<!-- .x{display:none} -->", "p", "x", "", "", style.Gone, false},
	} {
		l, shown := look("<html><style type='text/css'>"+x.css+"</style>", x.tag, x.class, x.id, x.own)
		if got := l.Cause(); got != x.want || shown != x.shown {
			t.Errorf("%s on <%s class=%q id=%q style=%q>: %v %v, wanted %v %v", x.css, x.tag, x.class, x.id, x.own, got, shown, x.want, x.shown)
		}
	}
}

// TestWhereSheetsStand: anywhere in the page, several, not in comments.
func TestWhereSheetsStand(t *testing.T) {
	for page, want := range map[string]style.Cause{
		"<p class=x>text<STYLE>.x{display:none}</STYLE>":                     style.Gone,
		"<style>.y{color:red}</style><style media=all>.x{opacity:0}</style>": style.Clear,
		"<!--[if mso]><style>.x{display:none}</style><![endif]--> text":      style.Seen,
		"<!-- a --><style>.x{display:none}</style>":                          style.Gone,
		"<styled>.x{display:none}</styled>":                                  style.Seen,
		"<style>.x{display:none}":                                            style.Gone,
		"<style":                                                             style.Seen,
		"<!-- never closed <style>.x{display:none}</style>":                  style.Seen,
	} {
		l, _ := look(page, "p", "x", "", "")
		if got := l.Cause(); got != want {
			t.Errorf("%q: %v, wanted %v", page, got, want)
		}
	}
}

// TestTiny letters are seen and not read.
func TestTiny(t *testing.T) {
	for own, want := range map[string]bool{"font-size:5px": true, "font-size:3pt": true, "font-size:6px": false, "": false} {
		if l, _ := look("", "p", "", "", own); l.Tiny() != want || l.Cause() != style.Seen {
			t.Errorf("%q: tiny %v, %v", own, l.Tiny(), l.Cause())
		}
	}
}

// TestAttributes are the old ways.
func TestAttributes(t *testing.T) {
	var d style.Decl
	d.Ink([]byte("FFFFFF"))
	l := style.Page(false).With(&d)
	if l.Cause() != style.Alike {
		t.Errorf("white on white: %v", l.Cause())
	}
	var dark style.Decl
	dark.Ground([]byte("#000080"))
	if in := l.With(&dark); in.Cause() != style.Seen {
		t.Errorf("white on navy: %v", in.Cause())
	}
	var picture style.Decl
	picture.Picture()
	if in := l.With(&picture); in.Cause() != style.Seen {
		t.Errorf("white on a picture: %v", in.Cause())
	}
	var hide style.Decl
	hide.Hide()
	if in := l.With(&hide); in.Cause() != style.Gone {
		t.Errorf("hidden: %v", in.Cause())
	}
	if in := l.Link(); in.Cause() != style.Seen {
		t.Errorf("a link: %v", in.Cause())
	}
}

// TestBounds: neither many rules nor long names cost more than they say.
func TestBounds(t *testing.T) {
	many := "<style>" + strings.Repeat(".a{display:none}", style.MaxRules+10) + ".x{display:none}</style>"
	if l, _ := look(many, "p", "x", "", ""); l.Cause() != style.Seen {
		t.Errorf("a rule beyond the bound: %v", l.Cause())
	}
	deep := "<style>" + strings.Repeat("@media all{", 100_000) + ".x{display:none}"
	if l, _ := look(deep, "p", "x", "", ""); l.Cause() != style.Seen {
		t.Errorf("a deep rule: %v", l.Cause())
	}
	long := "<style>" + strings.Repeat("x", style.MaxSheets) + "{}.x{display:none}</style>"
	if l, _ := look(long, "p", "x", "", ""); l.Cause() != style.Seen {
		t.Errorf("a rule behind too much: %v", l.Cause())
	}
}

func TestCausesHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for c := style.Seen; c <= style.Alike; c++ {
		if s := c.String(); s == "" || seen[s] {
			t.Errorf("%d is %q", c, s)
		}
		seen[c.String()] = true
	}
}

func FuzzSheets(f *testing.F) {
	f.Add("<style>.x{display:none}@media all{p#i.x.y{color:#fff!important}}</style>", "x y", "font:1px/2 a;color:rgb(1,2,3)")
	f.Add("<style>{}{}};@;<!-- a,b>c:d{background:url(", "", "clip:rect(1px 1px,1px")
	f.Fuzz(func(_ *testing.T, page, class, own string) {
		s := style.Sheets([]byte(page))
		d, _ := s.Of("p", []byte(class), []byte("i"), []byte(own))
		l := style.Page(s.Unsure()).With(&d)
		_ = l.Cause().String()
	})
}
