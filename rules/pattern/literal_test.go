package pattern

import (
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
)

func parse(t *testing.T, source string) *syntax.Regexp {
	t.Helper()
	re, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	return re
}

func TestLiteralsAreTheRarest(t *testing.T) {
	for source, want := range map[string]string{
		`(?i)\b(?:order|invoice)\b.{0,9}8(?:00|33|05)[ -]\d{3}`: "800 |800-|805 |805-|833 |833-",
		`(?i)(?:call|contact|cancel)`:                           "call|cancel|contact",
		`(?i)(?:card|mail)\b.{0,40}(?:suspended|on hold)`:       "on hold|suspended",
		`(?i)^https?://[^/]*(?:paypal|dhl)-`:                    "dhl-|paypal-",
		`(?i)https?://x`:                                        "http://x|https://x",
		`de-?activ`:                                             "de-activ|deactiv",
		`(?i)\x{212a}iss`:                                       "kiss",
		`(?i)maſt`:                                              "mast",
		`&#[0-9]+;`:                                             "&#",
		`[a-z]+`:                                                "",
		`(?i)éa|b`:                                              "",
		`(?i)caféteria`:                                         "teria",
		`colou?r`:                                               "color|colour",
		`(?:abc)?`:                                              "",
		`(?:abc){2,}`:                                           "abc",
		`of`:                                                    "",
		`reé�suspend`:                                           "suspend",
	} {
		got := literals(parse(t, source))
		slices.Sort(got)
		if have := strings.Join(got, "|"); have != want {
			t.Errorf("%s: %q, want %q", source, have, want)
		}
	}
}

func TestLiteralsStayFew(t *testing.T) {
	for _, source := range []string{
		`[abc][def][ghi][jkl][mno]xyz`, strings.Repeat("(?:aa|bb|cc|dd)", 6), `(?:` + strings.Repeat("word|", 3) + `[a-h][a-h][a-h])`,
		`(?:[a-h]?){9}abc`,
	} {
		if n := len(literals(parse(t, source))); n > maxLiterals {
			t.Errorf("%s: %d literals", source, n)
		}
	}
}

func TestReach(t *testing.T) {
	for source, want := range map[string]extent{
		`abc`:                  {chars: 3},
		`a.{0,40}b`:            {chars: 42},
		`(?m)^a\b$`:            {chars: 1},
		`a\s+b\s*c`:            {chars: 3, blanks: 2},
		`(?i)(?:\w+\s+){0,3}x`: {chars: 1, blanks: 3, words: 3},
		`(?:a\s+b|cccc\w*)`:    {chars: 4, blanks: 1, words: 1},
		`0*1`:                  {chars: 1, words: 1},
		`[^\S\n]*a`:            {chars: 1, blanks: 1},
		`x\d{2,}`:              {chars: 1, words: 1},
		`[0-9a-f]+é?`:          {chars: 1, words: 1},
		`(?:ab?){3}`:           {chars: 6},
		`(?i)[[:word:]]+`:      {words: 1},
		`(?P<n>a\s+)?`:         {chars: 1, blanks: 1},
	} {
		if got, ok := reach(parse(t, source)); !ok || got != want {
			t.Errorf("%s: %+v %v, want %+v", source, got, ok, want)
		}
	}
	for _, source := range []string{`a.*b`, `[^<]*`, `(?:ab)+`, `(?:a\s*)*`, `[\s,]+`, `\W+`, `é*`, `(?:x|y.*){2}`, `(?:ab){2,}`} {
		if got, ok := reach(parse(t, source)); ok {
			t.Errorf("%s: %+v", source, got)
		}
	}
}

func TestMeasured(t *testing.T) {
	for text, want := range map[string]measure{
		"":                              {1, 0, 0},
		"a bc  d":                       {1, 2, 2},
		"\r\n \t\f x_9Z!":               {1, 6, 4},
		"...":                           {1, 0, 0},
		"né  ":                          {2, 2, 1},
		"“q” ":                          {3, 1, 1},
		"🎁":                             {4, 0, 0},
		"end" + strings.Repeat("_", 70): {1, 0, 73},
	} {
		if got := measured([]byte(text)); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestWindow(t *testing.T) {
	m := measure{char: 4, blank: 3, word: 10}
	if got := m.window(extent{chars: 5, blanks: 2, words: 1}); got != 5*4+2*3+10+8 {
		t.Error(got)
	}
	if got := m.window(extent{chars: maxWindow}); got != 0 {
		t.Errorf("a window of %d", got)
	}
}

func TestWiden(t *testing.T) {
	long := strings.Repeat("w", 200)
	for _, c := range []struct {
		text     string
		in, want span
		clean    bool
	}{
		{"one two three", span{5, 6}, span{4, 7}, true},
		{"one", span{1, 2}, span{0, 3}, true},
		{"é語x", span{1, 3}, span{0, 6}, true},
		{"a é b", span{3, 3}, span{2, 4}, true},
		{long, span{100, 101}, span{100 - maxWord, 101}, false},
		{"a " + long, span{1, 2}, span{0, 2 + maxWord}, false},
	} {
		if got, clean := widen([]byte(c.text), c.in); got != c.want || clean != c.clean {
			t.Errorf("%.20q %v: %v %v, want %v %v", c.text, c.in, got, clean, c.want, c.clean)
		}
	}
}
