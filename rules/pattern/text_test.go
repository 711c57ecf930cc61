package pattern_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"postern/rules/pattern"
)

// search is the expressions that a text of any length is found to match, with what they matched.
func search(t *testing.T, m *pattern.Matcher, text string, parts ...int) map[int]string {
	t.Helper()
	hits, err := m.Search(context.Background(), pattern.NewText(text, parts, pattern.MaxText))
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]string{}
	for i, h := range hits {
		if i > 0 && hits[i-1].Expr >= h.Expr {
			t.Errorf("not in order: %v", hits)
		}
		out[h.Expr] = m.Excerpt(h.Expr, h.Near)
	}
	return out
}

const filling = "some quiet words of no meaning, on and on and on.\n"

func TestLiteralsAreFoundEverywhere(t *testing.T) {
	m := compile(t, `(?i)wire the\s+money`, `\d{4}-\d{4}-\d{4}`, `secret.{0,200}word`, `needle.*thread`, `(?m)^begin$`)
	middle := "wire the  MONEY 1111-2222-3333 secret pass word\nneedle and thread\nbegin\n"
	text := strings.Repeat(filling, 20_000) + middle + strings.Repeat(filling, 20_000)
	got := search(t, m, text)
	for i, want := range map[int]string{0: "wire the MONEY", 2: "secret pass word", 3: "needle and thread", 4: "begin"} {
		if got[i] != want {
			t.Errorf("expression %d: %q, want %q", i, got[i], want)
		}
	}
	if _, have := got[1]; have {
		t.Error("an expression without literals is asked far inside")
	}
	if near := "1111-2222-3333 "; search(t, m, near+text)[1] == "" || search(t, m, text+near)[1] == "" {
		t.Error("an expression without literals is not asked at the ends")
	}
}

// TestEdgesOfWindows: a cut makes no end of a line, no end of the text and no end of a word.
func TestEdgesOfWindows(t *testing.T) {
	m := compile(t, `needle$`, `(?m)needle$`, `\Aneedle`, `(?m)^.{0,900}needle`, `needle\b`, `needle\w*end`)
	long := strings.Repeat("x", 700)
	text := strings.Repeat(filling, 10_000) + strings.Repeat(long+" ", 5) + "needle" + long + " " + strings.Repeat(long+" ", 9) + "\n" + strings.Repeat(filling, 10_000)
	if got := search(t, m, text); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	text = strings.Replace(text, "needle"+long, "needle"+long+"end", 1)
	if got := search(t, m, text); len(got) != 1 || got[5] == "" {
		t.Errorf("found %v", got)
	}
}

func TestHeadAndTailOfEachPart(t *testing.T) {
	m := compile(t, `[0-7]{3}[ab]`) // no literal
	part := func(i int) string {
		return fmt.Sprintf("%03oa\n", i) + strings.Repeat(filling, 3000) + fmt.Sprintf("%03ob\n", i)
	}
	for n := 2; n < 40; n += 9 {
		var text strings.Builder
		var starts []int
		for i := range n {
			if i > 0 {
				starts = append(starts, text.Len())
			}
			text.WriteString(part(i))
		}
		ready := pattern.NewText(text.String(), starts, pattern.MaxText)
		hits, err := m.Search(context.Background(), ready)
		if err != nil || len(hits) != 1 || !ready.Cut() {
			t.Fatalf("%v, %v, cut %v", hits, err, ready.Cut())
		}
		if got := m.Count(0, hits[0].Near, 1000); got != 2*n {
			t.Errorf("%d parts: %d of %d ends are read", n, got, 2*n)
		}
		if got := len(hits[0].Near); got > pattern.MaxText+8*n || got < pattern.MaxText/2 {
			t.Errorf("%d parts: %d bytes are read", n, got)
		}
	}
}

func TestShortPartsLeaveTheirShare(t *testing.T) {
	m := compile(t, `[0-9]{3}[ab]`)
	text := "001a 001b\n" + strings.Repeat(filling, 4000) + "002a" + strings.Repeat(filling, 4000)
	hits, err := m.Search(context.Background(), pattern.NewText(text, []int{10}, pattern.MaxText))
	if err != nil || len(hits) != 1 || len(hits[0].Near) < pattern.MaxText-1000 {
		t.Errorf("%v, %v", hits, err)
	}
}

// TestNothingJoins: what stands on both sides of a cut is no match.
func TestNothingJoins(t *testing.T) {
	m := compile(t, `[l]eft\s+[r]ight`, `left\s+right`)
	n := (pattern.MaxText/2 - 4) / 5
	text := strings.Repeat("quiet", n) + "left\n" + strings.Repeat(filling, 9000) + "\nright" + strings.Repeat("quiet", n)
	if got := search(t, m, text); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}

// TestManyLiteralsOfOne: where its literal stands everywhere, an expression reads no more than its
// bound, and that it is found near the ends still holds.
func TestManyLiteralsOfOne(t *testing.T) {
	m := compile(t, `account\s+1234567`)
	text := strings.Repeat("account closed ", 200_000)
	if got := search(t, m, text); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	if got := search(t, m, text+"account  1234567"); len(got) != 1 {
		t.Errorf("found %v", got)
	}
}

// TestLongTextsAreValid: cuts go between characters, whatever the text, and the text is not longer
// than what may be read.
func TestLongTextsAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{"é", "語", "🎁", "a", " ", "\n", "\xff", strings.Repeat("語", 90)}), 20, 200).Draw(t, "pieces")
		text := strings.Join(pieces, "")
		starts := rapid.SliceOfN(rapid.IntRange(0, len(text)+5), 0, 5).Draw(t, "starts")
		most := rapid.IntRange(8, 300).Draw(t, "most")
		m, err := pattern.Compile([]string{`(?s).`})
		if err != nil {
			t.Fatal(err)
		}
		ready := pattern.NewText(text, starts, most)
		hits, err := m.Search(context.Background(), ready)
		if err != nil || len(hits) > 1 {
			t.Fatal(hits, err)
		}
		if ready.Cut() != (len(text) > most) {
			t.Fatalf("%d bytes of %d, cut %v", most, len(text), ready.Cut())
		}
		if len(hits) == 1 && (!utf8.Valid(hits[0].Near) || strings.ContainsRune(string(hits[0].Near), utf8.RuneError) && !strings.Contains(text, "\xff") && utf8.ValidString(text) && ascending(starts, text)) {
			t.Fatalf("%q", hits[0].Near)
		}
	})
}

// ascending tells that the starts stand at characters and in order, as those of parts do.
func ascending(starts []int, text string) bool {
	before := 0
	for _, at := range starts {
		if at < before || at < len(text) && !utf8.RuneStart(text[at]) {
			return false
		}
		before = at
	}
	return true
}
