package style

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseColor(t *testing.T) {
	for in, want := range map[string]Color{
		"":                     Unknown,
		"#000":                 Black,
		"#fff":                 White,
		"#FFF":                 White,
		"#123":                 0x112233,
		"#123456":              0x123456,
		"#AbCdEf":              0xabcdef,
		" #123456 ":            0x123456,
		"#1234567":             Unknown,
		"#12":                  Unknown,
		"#xyz":                 Unknown,
		"#12345600":            Transparent,
		"#123456ff":            0x123456,
		"#12345680":            Unknown,
		"#1230":                Transparent,
		"#123f":                0x112233,
		"123456":               0x123456,
		"fff":                  White,
		"White":                White,
		"BLACK":                Black,
		"WindowText":           Black,
		"transparent":          Transparent,
		"snow":                 0xfafafa,
		"whitesmoke":           0xf5f5f5,
		"gray":                 0x808080,
		"grey":                 0x808080,
		"silver":               0xc0c0c0,
		"red":                  0xff0000,
		"green":                0x008000,
		"blue":                 0x0000ff,
		"navy":                 0x000080,
		"yellow":               0xffff00,
		"orange":               0xffa500,
		"currentcolor":         Unknown,
		"rgb(1,2,3)":           0x010203,
		"rgb( 1 , 2 , 3 )":     0x010203,
		"RGB(255 255 255)":     White,
		"rgb(300,-4,0)":        0xff0000,
		"rgba(1,2,3,1)":        0x010203,
		"rgba(1,2,3,0)":        Transparent,
		"rgba(1,2,3,.02)":      Transparent,
		"rgba(1,2,3,0.5)":      Unknown,
		"rgb(1 2 3 / 0)":       Transparent,
		"rgb(1,2)":             Unknown,
		"rgb(":                 Unknown,
		"hsl(0,0%,100%)":       Unknown,
		"url(a.png)":           Unknown,
		strings.Repeat("f", 9): Unknown,
	} {
		if got := ParseColor([]byte(in)); got != want {
			t.Errorf("%q: %#x, wanted %#x", in, int32(got), int32(want))
		}
	}
}

func TestNear(t *testing.T) {
	for _, x := range []struct {
		a, b Color
		want bool
	}{
		{White, White, true},
		{White, 0xfefefe, true},
		{White, 0xf4f4f4, true},
		{White, 0xf2f2f2, false},
		{White, 0xffffe0, false},
		{Black, 0x0b0b0b, true},
		{Black, White, false},
		{Unknown, Unknown, false},
		{Transparent, Transparent, false},
		{Unknown, White, false},
		{White, Transparent, false},
		{0x336699, 0x336690, true},
		{0x336699, 0x326699, true},
		{0x336699, 0x996633, false},
	} {
		if x.a.near(x.b) != x.want || x.b.near(x.a) != x.want {
			t.Errorf("%#x and %#x: wanted %v", int32(x.a), int32(x.b), x.want)
		}
	}
}

func TestParseLength(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "none",
		"0":                      "0 0",
		"0px":                    "0 1",
		"12px":                   "1200 1",
		"12.5px":                 "1250 1",
		".5px":                   "50 1",
		"0.055px":                "5 1",
		"+3px":                   "300 1",
		"-3px":                   "none",
		"9pt":                    "1200 1",
		"2em":                    "200 2",
		".5em":                   "50 2",
		"50%":                    "50 2",
		"1rem":                   "100 3",
		"3vw":                    "none",
		"auto":                   "none",
		"px":                     "none",
		"7":                      "700 0",
		"1px solid":              "100 1",
		"1px)":                   "100 1",
		"99999999999999999999px": fmt.Sprint(most*scale) + " 1",
	} {
		l, ok := parseLength([]byte(in))
		got := "none"
		if ok {
			got = fmt.Sprint(l.n, " ", l.unit)
		}
		if got != want {
			t.Errorf("%q: %s, wanted %s", in, got, want)
		}
	}
}

// TestSizesOfLetters are in tenths of a pixel, and stay within bounds at any depth.
func TestSizesOfLetters(t *testing.T) {
	for _, x := range []struct {
		l            length
		around, want int32
	}{
		{length{1200, pixels}, 160, 120},
		{length{0, plain}, 160, 0},
		{length{50, share}, 160, 80},
		{length{200, share}, 160, 320},
		{length{100, root}, 7, 160},
		{length{most * scale, share}, most, most},
	} {
		if got := x.l.of(x.around); got != x.want {
			t.Errorf("%+v of %d: %d, wanted %d", x.l, x.around, got, x.want)
		}
	}
	around := int32(usual)
	for range 1000 {
		if around = (length{9900, share}).of(around); around < 0 || around > most {
			t.Fatalf("%d", around)
		}
	}
}

// declared is one declaration as a browser orders it.
type declared struct {
	name, value string
	strong      bool
}

// TestOrder: of each property the last of the important declarations counts, else the last; in
// one block and over several.
func TestOrder(t *testing.T) {
	values := map[string][]string{
		"display":     {"none", "block"},
		"visibility":  {"hidden", "visible"},
		"opacity":     {"0", "1"},
		"font-size":   {"0", "14px"},
		"color":       {"#ffffff", "#000000"},
		"text-indent": {"-9999px", "0"},
		"left":        {"-9999px", "0"},
	}
	names := []string{"color", "display", "font-size", "left", "opacity", "text-indent", "visibility"}
	one := rapid.Custom(func(t *rapid.T) declared {
		name := rapid.SampledFrom(names).Draw(t, "name")
		return declared{name, rapid.SampledFrom(values[name]).Draw(t, "value"), rapid.Bool().Draw(t, "important")}
	})
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(one, 0, 8).Draw(t, "declarations")
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		var first, second Decl
		first.Parse([]byte(written(all[:cut])))
		second.Parse([]byte(written(all[cut:])))
		first.Add(&second)
		want := winners(all)
		l := Page(false).With(&first)
		hides := want["display"] == "none" || want["opacity"] == "0" || want["left"] == "-9999px" || want["text-indent"] == "-9999px" ||
			want["visibility"] == "hidden" || want["font-size"] == "0" || want["color"] == "#ffffff"
		if (l.Cause() != Seen) != hides {
			t.Fatalf("%s | %s: %v, wanted hidden %v by %v", written(all[:cut]), written(all[cut:]), l.Cause(), hides, want)
		}
	})
}

func written(all []declared) string {
	var b strings.Builder
	for _, d := range all {
		b.WriteString(d.name + ": " + d.value)
		if d.strong {
			b.WriteString(" !important")
		}
		b.WriteString("; ")
	}
	return b.String()
}

func winners(all []declared) map[string]string {
	out := map[string]string{}
	for _, strong := range []bool{false, true} {
		for _, d := range all {
			if d.strong == strong {
				out[d.name] = d.value
			}
		}
	}
	return out
}

// TestSelectors are read as far as they are simple.
func TestSelectors(t *testing.T) {
	for in, want := range map[string]string{
		"p":                  "p  []",
		"P":                  "p  []",
		".a":                 "  [a]",
		"#i":                 " i []",
		"p.a.b":              "p  [a b]",
		"p#i.a":              "p i [a]",
		"p.a#i":              "p i [a]",
		"":                   "none",
		".":                  "none",
		"p.":                 "none",
		"p..a":               "none",
		"#":                  "none",
		".a.b.c.d.e.f.g.h":   "  [a b c d e f g h]",
		".a.b.c.d.e.f.g.h.i": "none",
	} {
		got := "none"
		if r, ok := parseSelector([]byte(in)); ok {
			got = fmt.Sprint(r.tag, " ", r.id, " ", r.classes)
		}
		if got != want {
			t.Errorf("%q: %q, wanted %q", in, got, want)
		}
	}
}

// TestManyAlike: of selectors that begin alike a few are kept, and the same one once.
func TestManyAlike(t *testing.T) {
	var css strings.Builder
	for i := range 50 {
		fmt.Fprintf(&css, ".a.b%d{color:red} .same{color:red}", i)
	}
	s := Sheets([]byte("<style>" + css.String() + "</style>"))
	if n := len(s.classes["a"]); n != mostAlike {
		t.Errorf("%d of .a", n)
	}
	if n := len(s.classes["same"]); n != 1 {
		t.Errorf("%d of .same", n)
	}
	if !slices.Equal(s.classes["a"][0].classes, []string{"a", "b0"}) {
		t.Errorf("the first is %v", s.classes["a"][0].classes)
	}
}
