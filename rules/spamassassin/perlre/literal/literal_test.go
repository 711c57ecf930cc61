package literal_test

import (
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"

	"postern/rules/spamassassin/perlre/literal"
)

func TestQuoteMatchesItself(t *testing.T) {
	for r := rune(0); r < 0x3000; r++ {
		s := literal.Quote(r)
		for _, re := range []string{`\A` + s + `\z`, `\A[` + s + `]\z`} {
			if !regexp.MustCompile(re).MatchString(string(r)) {
				t.Fatalf("%q as %s", r, re)
			}
		}
	}
	for r, want := range map[rune]string{'a': "a", '\n': `\n`, '\t': `\t`, 0: `\x00`, '.': `\.`, '-': `\-`, 'é': "é", 0x200b: `\x{200b}`, 0x85: `\x{85}`} {
		if got := literal.Quote(r); got != want {
			t.Errorf("%q: %s, want %s", r, got, want)
		}
	}
}

func TestClass(t *testing.T) {
	for want, runes := range map[string][]rune{"é": {'é'}, `[\x{e9}-\x{eb}]`: {0xe9, 0xea, 0xeb}, `[\x{61}\x{63}-\x{64}]`: {'a', 'c', 'd'}, `\.`: {'.'}} {
		if got := literal.Class(runes); got != want {
			t.Errorf("%q: %s, want %s", runes, got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	runes, all := literal.Decode([]string{"é", "\xc3", "語", "ab", string(utf8.RuneError)})
	if all || !slices.Equal(runes, []rune{'é', '語'}) {
		t.Errorf("%q %v", runes, all)
	}
	if runes, all = literal.Decode([]string{"é"}); !all || len(runes) != 1 {
		t.Errorf("%q %v", runes, all)
	}
}
