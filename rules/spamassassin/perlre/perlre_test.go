package perlre_test

import (
	"regexp"
	"strings"
	"testing"

	"postern/rules/spamassassin/perlre"
)

func TestWritten(t *testing.T) {
	for source, want := range map[string]string{
		`abc`:                             `abc`,
		`a\/b\@c\#d`:                      `a/b@c#d`,
		`(foo|bar)+?x`:                    `(?:foo|bar)+?x`,
		`(?:a|b(?:c))`:                    `(?:a|b(?:c))`,
		`(?<name>a)(?'other'b)`:           `(?:a)(?:b)`,
		`(?i:Foo)bar(?-i:x)`:              `(?i:Foo)bar(?-i:x)`,
		`a(?#what it is)b`:                `ab`,
		`\h\H\R\v\N`:                      `[ \t][^ \t](?:\r\n|\n|\r)[\n\v\f\r][^\n]`,
		`[\h\w\]\-x-z]`:                   `[ \t\w\]\-x-z]`,
		`[[:alpha:]_]`:                    `[[:alpha:]_]`,
		`[]a]`:                            `[\]a]`,
		`[\w-]`:                           `[\w\-]`,
		`[a-\w]`:                          `[a\-\w]`,
		`\x41\x{20ac}\x9`:                 `A€\t`,
		`\e\a\0\015`:                      `\x1b\x07\x00\r`,
		`a{2,}b{,3}c{x}d{1}`:              `a{2,}b{0,3}c\{x\}d{1}`,
		`\Qa.b\E+c`:                       `(?:a\.b)+c`,
		`\101[\042\60-9]`:                 `A["0-9]`,
		`\303\251`:                        `é`,
		`foo\Z`:                           `foo\z`,
		`a\Kb`:                            `ab`,
		`\p{Greek}\pL`:                    `\p{Greek}\pL`,
		`\xc3\xa9t\xc3[\xa0-\xa3]`:        `ét[\x{e0}-\x{e3}]`,
		`(?:[\xc3][\xa9]|e)`:              `(?:é|e)`,
		`\xe2(?:\x80[\x8b\x8c]|\x81\x9f)`: `[\x{200b}-\x{200c}\x{205f}]`,
		`[\x80-\xff]+`:                    `[\x{80}-\x{10ffff}]+`,
		`é{2}`:                            `é{2}`,
		`a\_b\-`:                          `a_b\-`,
	} {
		got, err := perlre.Translate(source, perlre.Options{})
		if err != nil || got.Match != want {
			t.Errorf("%s: %s %v, want %s", source, got.Match, err, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for flags, want := range map[string]string{"": "a b", "i": "(?i)a b", "mis": "(?ims)a b", "x": "ab", "gox": "ab"} {
		got, err := perlre.Translate("a b", perlre.Options{Flags: flags})
		if err != nil || got.Match != want {
			t.Errorf("/%s: %s %v", flags, got.Match, err)
		}
	}
	got, err := perlre.Translate("a # why\n [ #] \\ b", perlre.Options{Flags: "x"})
	if err != nil || got.Match != "a[ #] b" {
		t.Errorf("%s %v", got.Match, err)
	}
	got, err = perlre.Translate(`^a\s.$[^x]\W[\s]`, perlre.Options{Flags: "is", Lines: true})
	if want := `(?i)(?m:^)a[^\S\n][^\n](?m:$)[^\nx][^\w\n][\t\v\f\r ]`; err != nil || got.Match != want {
		t.Errorf("%s %v, want %s", got.Match, err, want)
	}
	if got, err = perlre.Translate(`a\n+b`, perlre.Options{CRLF: true}); err != nil || got.Match != `a(?:\r?\n)+b` {
		t.Errorf("%s %v", got.Match, err)
	}
}

// TestLooks gives texts that match and texts that do not, as Perl says.
func TestLooks(t *testing.T) {
	for source, texts := range map[string][2][]string{
		`(?<!\w)foo`:        {{"foo", " foo", "-foo"}, {"xfoo", "_foo"}},
		`foo(?!bar)`:        {{"foo", "foob", "foobabar", "fooba"}, {"foobar", "foobarx"}},
		`foo(?!bar|bat|x)`:  {{"foo", "fooba", "foobas"}, {"foobar", "foobat", "foox"}},
		`foo(?!ba?r)`:       {{"fooba", "foo"}, {"foobar", "foobr"}},
		`(?<!not )\bgood`:   {{"good", "very good", "not  good"}, {"not good"}},
		`(?<!ab|b)c`:        {{"c", "ac", "xc"}, {"bc", "abc"}},
		`foo(?=bar)`:        {{"foobar"}, {"foo", "fooba"}},
		`(?<=foo)bar`:       {{"foobar"}, {"bar", "fobar"}},
		`(?:a(?!b)|c(?!d))`: {{"ac", "cb", "a"}, {"ab", "cd"}},
		`\bfoo\b(?!\.com)`:  {{"foo", "foo.org", "foo."}, {"foo.com", "food"}},
		`(?i)sale(?!s)`:     {{"SALE", "saleX"}, {"SALES", "sales"}},
		`[a-z](?![a-z])1?`:  {nil, nil},
	} {
		got, err := perlre.Translate(source, perlre.Options{})
		if texts[0] == nil {
			if err == nil {
				t.Errorf("%s is taken as %s", source, got.Match)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		re := regexp.MustCompile(got.Match)
		for _, text := range texts[0] {
			if !re.MatchString(text) {
				t.Errorf("%s as %s does not match %q", source, got.Match, text)
			}
		}
		for _, text := range texts[1] {
			if re.MatchString(text) {
				t.Errorf("%s as %s matches %q", source, got.Match, text)
			}
		}
	}
}

func TestLooksStayInLines(t *testing.T) {
	got, err := perlre.Translate(`(?<!a)b(?!c)`, perlre.Options{Lines: true})
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(got.Match)
	for text, want := range map[string]bool{"a\nb\nc": true, "ab": false, "bc": false, "xbx": true, "b": true} {
		if re.MatchString(text) != want {
			t.Errorf("%s on %q", got.Match, text)
		}
	}
}

func TestRefuses(t *testing.T) {
	for source, want := range map[string]string{
		`(a)\1`: "refers back", `\k<x>`: "refers back", `\g1`: "refers back", `(?=a)b*c`: "looks ahead", `a(?!b).*c`: "looks ahead",
		`(?R)`: "calls itself", `(?(1)a|b)`: "calls itself", `(?&x)`: "calls itself", `(*SKIP)a`: "calls itself", `[a`: "missing closing ]",
		`(a`: "unmatched (", `a)`: "unmatched )", `*a`: "nothing before it", `a\`: "ends with a backslash", `\xe9`: "bytes that make no character",
		`\xc3x`: "bytes that make no character", `%{NAME}`: "another rule captured", `[z-a]`: "invalid character class range",
		`a{2000}`: "invalid repeat count", `\x{110000}`: "is no character", `(?#x`: "comment without end", `\y`: "is not known", `(?z)a`: "is not known",
		`\x{12`: "without end", strings.Repeat("(", 100): "groups deeper", strings.Repeat("a", 1<<17): "longer than", `(?!a)+b`: "looks ahead", `\p{Nope}`: "invalid character class",
		"\xff": "bytes that make no character", `(?<x`: "without end",
	} {
		if got, err := perlre.Translate(source, perlre.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %s %v, want %s", source, got.Match, err, want)
		}
	}
}

func TestNotes(t *testing.T) {
	for source, want := range map[string]string{
		`a++b`: "possessive", `(?>a|ab)c`: "atomic", `[\x80-\xff]`: "outside ASCII", `[a\xe4]b`: "left out", `(?:a|\xe4)b`: "left out", `[^a\xa1]`: "left out",
	} {
		got, err := perlre.Translate(source, perlre.Options{})
		if err != nil || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], want) {
			t.Errorf("%s: %v %v", source, got, err)
		}
	}
}

// FuzzTranslate: whatever comes in, what comes out compiles.
func FuzzTranslate(f *testing.F) {
	for _, s := range []string{`a(?!b|c)`, `(?<![\w.])x{2,3}+`, `[\xc3\xe2](?:[\x80][\x8b]|\x81)`, `(?^i:a)[^]x]\Qa\E`, `\x{e9}[[:^alpha:]-]`} {
		f.Add(s, "ix", true)
		f.Add(s, "ms", false)
	}
	f.Fuzz(func(t *testing.T, source, flags string, lines bool) {
		got, err := perlre.Translate(source, perlre.Options{Flags: flags, Lines: lines})
		if err != nil {
			return
		}
		if _, err := regexp.Compile(got.Match); err != nil {
			t.Errorf("%q as %q: %v", source, got.Match, err)
		}
	})
}
