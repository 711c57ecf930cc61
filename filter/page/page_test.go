package page_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/page"
	"postern/internal/mime"
)

func findings(t testing.TB, raw string) []filter.Finding {
	t.Helper()
	b := []byte(strings.ReplaceAll(raw, "\n", "\r\n"))
	m := &filter.Message{Parts: func() (*mime.Tree, error) {
		return mime.Walk(bytes.NewReader(b), int64(len(b)), mime.DefaultLimits())
	}}
	found, err := page.Check{}.Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func symbols(t testing.TB, raw string) []string {
	t.Helper()
	var out []string
	for _, f := range findings(t, raw) {
		out = append(out, f.Symbol)
	}
	slices.Sort(out)
	return out
}

func html(body string) string { return "Subject: x\nContent-Type: text/html; charset=utf-8\n\n" + body }

// letters are so many letters, five of each word another one.
func letters(n int) string {
	var b strings.Builder
	for i := range n / 5 {
		for range 5 {
			b.WriteByte(byte('a' + i%26))
		}
		b.WriteByte("bcdfg"[i%5])
		b.WriteByte(' ')
	}
	return b.String()
}

func off(text string) string { return "<div style='display:none'>" + text + "</div>" }

func TestSymbols(t *testing.T) {
	const shown = "<p>We meet on Tuesday at ten in the small room on the second floor, as we did last month.</p>"
	long := strings.Repeat(shown, 9)
	for _, x := range []struct{ name, raw, want string }{
		{"a page", html(shown), ""},
		{"a plain letter", "Subject: x\n\nhello\n", ""},

		{"a preview", html(off("This week: lamps, shades and what else the house needs, all of it on one page for you.&zwnj;&nbsp;"+strings.Repeat("&#8199; ", 300)) + shown), ""},
		{"a long preview", html(off(letters(300)) + long), ""},
		{"salad for a preview", html(off(letters(500)) + long), page.HiddenText},
		{"a line behind", html(long + off(letters(120))), ""},
		{"salad behind", html(long + off(letters(300))), page.HiddenText},
		{"more salad than text", html(shown + off(letters(300))), page.HiddenMost + " " + page.HiddenText},
		{"the same once more for small screens", html(long + off(long)), ""},
		{"a preview of what follows", html(off(long) + long), ""},
		{"white on white", html(long + "<font color=white>" + letters(200) + "</font>"), page.HiddenColour + " " + page.HiddenText},
		{"a few words white on white", html(long + "<font color=white>" + letters(100) + "</font>"), page.HiddenColour},
		{"white on blue", html(long + "<div style='background:#00f'><font color=white>" + letters(200) + "</font></div>"), ""},
		{"a date white on white", html(long + "<font color=white>Mon 23 Nov 2026</font>"), ""},

		{"cut words", html("V<i style='font-size:0'>qq</i>iagra and c<i style='display:none'>r</i>ialis"), page.HiddenLetters},
		{"one cut word", html("V<i style='font-size:0'>qq</i>iagra"), ""},
		{"whole words between", html("Buy <i style='font-size:0'>or</i> sell <i style='font-size:0'>at</i> once"), ""},
		{"cut with a seam", html("V<i style='font-size:0'>a</i><i style='display:none'>b</i>ia c<i style='font-size:0'>a</i>d"), page.HiddenLetters},

		{"tiny", html(shown + "<p style='font-size:4px'>" + letters(60) + "</p>"), page.TextTiny},
		{"small", html(shown + "<p style='font-size:8px'>" + letters(60) + "</p>"), ""},
		{"a tiny line", html(shown + "<p style='font-size:4px'>" + letters(40) + "</p>"), ""},

		{"a picture for a link", html(long + "<a href=https://a.test/x><img src=cid:1></a>"), page.PictureLink},
		{"twice", html(long + "<a href=https://a.test/x><img src=cid:1></a><a href=https://a.test/x><img src=cid:2></a>"), page.PictureLink},
		{"two pictures", html(long + "<a href=https://a.test/x><img src=cid:1></a><a href=https://a.test/y><img src=cid:2></a>"), ""},
		{"a picture and a word", html(long + "<a href=https://a.test/x><img src=cid:1></a><a href=https://a.test/x>see</a>"), ""},
		{"few words", html(shown + "<a href=https://a.test/x><img src=cid:1></a>"), ""},

		{"a script in waiting", html("<body onload='x()'>" + shown), page.Event},
		{"an attribute like one", html("<body on='x' data-on=y>" + shown), ""},
		{"markup around nothing", html(shown + strings.Repeat("<b></b>", 11)), page.EmptyTags},
		{"some of it", html(shown + strings.Repeat("<b></b>", 10)), ""},
		{"in a long letter", html(strings.Repeat(shown, 20) + strings.Repeat("<b></b>", 11)), ""},
		{"markup that is none", html(shown + "<qwz>a</qwz><xkq>b</xkq>"), page.UnknownTags},
		{"once", html(shown + "<qwz>a</qwz>"), ""},
		{"of another name space", html(shown + "<o:p></o:p><v:rect></v:rect><my-box></my-box>"), ""},
		{"an attached page", "Subject: x\nContent-Type: text/html\nContent-Disposition: attachment\n\n" + off(letters(500)) + "<qwz><xkq>", ""},
	} {
		if got := strings.Join(symbols(t, x.raw), " "); got != x.want {
			t.Errorf("%s: found %q, wanted %q", x.name, got, x.want)
		}
	}
}

// TestDetails say what was hidden and how.
func TestDetails(t *testing.T) {
	for raw, want := range map[string]string{
		html("x " + "<i style='opacity:0'>" + letters(200) + "</i>"):                                        "240 letters transparent",
		html("V<i style='font-size:0'>qq</i>iagra and c<i style='display:none'>r</i>ialis, plain as it is"): `2 words, "Viagra"`,
	} {
		if got := findings(t, raw); len(got) == 0 || got[0].Detail != want {
			t.Errorf("%v, wanted %q", got, want)
		}
	}
}

// TestOfOtherTexts: words of the plain version do not excuse those a page hides.
func TestOfOtherTexts(t *testing.T) {
	raw := "Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n" + letters(500) +
		"\n--b\nContent-Type: text/html\n\n<p>Dear Bob</p>" + off(letters(500)) + "\n--b--\n"
	if got := strings.Join(symbols(t, raw), " "); got != page.HiddenMost+" "+page.HiddenText {
		t.Errorf("found %q", got)
	}
}

// TestCouldNot says that a message that cannot be read was not looked at.
func TestCouldNot(t *testing.T) {
	m := &filter.Message{Parts: func() (*mime.Tree, error) { return nil, bytes.ErrTooLarge }}
	if found, err := (page.Check{}).Check(t.Context(), m); err == nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(html("<style>.x{display:none}</style><p class=x>" + letters(100) + "<a href=https://a.test/><img>"))
	f.Add(html("V<i style='font-size:0'>x</i>ia<font color=white>gra</font><form action=https://f.test/><input type=password>"))
	f.Add("Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<p hidden>a\n--b\n\nb\n--b--")
	f.Fuzz(func(t *testing.T, raw string) {
		found := symbols(t, raw)
		for _, s := range found {
			if !slices.Contains(page.Symbols(), s) {
				t.Errorf("found %q", s)
			}
		}
		if n := len(found); len(slices.Compact(found)) != n {
			t.Errorf("found one twice: %q", found)
		}
	})
}
