package pattern_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/rules/pattern"
)

// stretching are expressions whose matches are as long as the text's runs of blanks or word
// characters, or that look at the ends of lines, where a window cuts too.
var stretching = []string{
	`foo\s+bar`, `(?i)foo\w*\s*kiss`, `(?m)^\s*foo`, `(?m)foo\s*$`, `\s*end\s*$`, `8(?:00|33)[ -]\d{3}`, `(?i)\w+foo\w+`,
	`(?m)^foo-*$`, `&#\d+;`, `(?i)de-?activ`, `(?:^|x)kiss(?:$|x)`, `\Bfoo\b`, `(?i)\bkiss\b`, `foo.{0,20}bar`, `\Afoo`, `foo\z`, `0*foo`,
}

func TestStretchesAsStandardLibrary(t *testing.T) {
	m, oracle := compile(t, stretching...), newLoop(stretching)
	for _, text := range []string{
		"", "foo", "a\nfoo", "foo \n bar", "foo" + strings.Repeat(" ", 5000) + "bar", "foo" + strings.Repeat("_", 5000) + " kiss",
		strings.Repeat("\n", 3000) + "foo" + strings.Repeat("\n", 3000), "é foo" + strings.Repeat("a", 1000) + "\u017f kiss",
		strings.Repeat(" \u212a", 900) + "foo" + strings.Repeat("\u017f", 900) + "kiss", "833-123", "834-123", "x DE-ACTIVE", "a&#77;", "&#;",
		strings.Repeat("kiss ", 900) + "kiss", "xkissx" + strings.Repeat("kiss", 900), "a" + strings.Repeat("é", 900) + "xkiss", strings.Repeat("0", 4000) + "foo",
		"foo" + strings.Repeat("é", 20) + "bar", "foo" + strings.Repeat("é", 21) + "bar", strings.Repeat("語", 500) + "foobar" + strings.Repeat("語", 500),
	} {
		if got, want := hits(t, m, text), oracle.match(pattern.Clean(text)); !slices.Equal(got, want) {
			t.Errorf("%.60q: got %v, want %v", text, got, want)
		}
	}
}

func TestStretchesOnMadeUpTexts(t *testing.T) {
	m, oracle := compile(t, stretching...), newLoop(stretching)
	pieces := []string{"foo", "bar", "kiss", "\u212a", "\u017f", "x", "é", "語", "\n", " ", "\t\t\t", "____", "-", "end", "800-123", "&#1;", "De-activ", "0", strings.Repeat(" ", 40), strings.Repeat("w", 90), strings.Repeat(". ", 200)}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(t, "text"), "")
		clean := pattern.Clean(text)
		got, err := m.Match(context.Background(), clean)
		if err != nil {
			t.Fatal(err)
		}
		if want := oracle.match(clean); !slices.Equal(got, want) {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
	})
}
