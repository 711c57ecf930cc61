package pattern_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"postern/internal/mailtest"
	"postern/rules/pattern"
)

// loop is the oracle: the standard library, one expression after the other.
type loop []*regexp.Regexp

func newLoop(sources []string) loop {
	var l loop
	for _, s := range sources {
		l = append(l, regexp.MustCompile(s))
	}
	return l
}

func (l loop) match(text []byte) []int {
	var hits []int
	for i, re := range l {
		if re.Match(text) {
			hits = append(hits, i)
		}
	}
	return hits
}

func compile(t testing.TB, sources ...string) *pattern.Matcher {
	t.Helper()
	m, err := pattern.Compile(sources)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func hits(t testing.TB, m *pattern.Matcher, text string) []int {
	t.Helper()
	got, err := m.Match(context.Background(), pattern.Clean(text))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// tricky are expressions whose literals, windows or anchors have an edge to fall off.
var tricky = []string{
	`(?i)\bkiss\b`, `(?i)mask`, `kiss`, `(?i)STRASSE|straße`, `(?i)größe`, `ſ`, `(?i)\x{212a}elvin`,
	`^From: `, `(?m)^From: `, `end$`, `(?m)end$`, `\Aabc`, `abc\z`,
	`foo.{0,20}bar`, `foo.*bar`, `(?s)foo.*bar`, `foo[^a]bar`, `(?s)foo.bar`,
	`\bfoo\b`, `\Bfoo\B`, `foo\b.`, `[^f]foo[^f]`, `(?i)(?:one|two|three)\s+(?:four|five)`,
	`(?:ab|abcd)ef`, `(?:he|she|his|hers)llo`, `a{3}b{2,4}ccc`, `(?i)a(?:bc)?def`, `x+yyyz`,
	`[0-9]{3,}`, `\p{Lu}{4}`, `.`, `\x{1F381}`, `日本.語`, `(?i)ÉCOLE`, `�x`, `lit�eral`,
	`(foo)(bar)?(baz)`, `(?:foo|ba)(?:r|z)quux`, `foobarfoo`, `oof`, `aaaa`, `aa(?:aa)+b`,
}

func TestSameAsStandardLibrary(t *testing.T) {
	m, oracle := compile(t, tricky...), newLoop(tricky)
	texts := []string{
		"", "kiss", "KISS", "\u212aiss", "ki\u017f\u017f", "xkissx", "a kiss.", "mas\u212a", "STRASSE", "straße", "GRÖSSE", "Größe",
		"\u212aelvin", "kelvin", "From: x", "a\nFrom: x", "the end", "the end\nmore", "abc", "xabc", "abc\n",
		"foo" + strings.Repeat("-", 20) + "bar", "foo" + strings.Repeat("-", 21) + "bar", "foo\nbar", "fooébar", "fooabar",
		"afoob", "foo", "foo\n", "ONE   five", "abcdef", "abef", "aaabbccc", "adef", "xxyyyz", "12 345", "ABCD", "🎁", "日本国語", "École",
		"\xff\xfex", "lit\xffteral", "lit\xfferal", "foobaz", "fooquux", "barquux", "foobarfoobarfoo", "aaaaaaab",
		strings.Repeat("foo ", 5000) + "bar", strings.Repeat("fo", 100000), strings.Repeat("é", 200000),
	}
	for _, text := range texts {
		clean := pattern.Clean(text)
		if got, want := hits(t, m, text), oracle.match(clean); !slices.Equal(got, want) {
			t.Errorf("%.60q: got %v, want %v", text, names(got), names(want))
		}
	}
}

func names(which []int) []string {
	var out []string
	for _, i := range which {
		out = append(out, tricky[i])
	}
	return out
}

// TestSameOnMadeUpTexts glues texts from the pieces the expressions are about.
func TestSameOnMadeUpTexts(t *testing.T) {
	m, oracle := compile(t, tricky...), newLoop(tricky)
	pieces := []string{"foo", "bar", "kiss", "K", "\u212a", "\u017f", "ab", "abc", "é", "日本", "語", "\n", " ", "a", "def", "lit", "eral", "\xff", "end", "From: ", "aaab", "-----", "quux", "z", "straße", "yyyz"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(t, "text"), "")
		clean := pattern.Clean(text)
		got, err := m.Match(context.Background(), clean)
		if err != nil {
			t.Fatal(err)
		}
		if want := oracle.match(clean); !slices.Equal(got, want) {
			t.Fatalf("%q: got %v, want %v", text, names(got), names(want))
		}
	})
}

// defaults are the expressions of the embedded rules.
func defaults(t testing.TB) []string {
	t.Helper()
	var out []string
	files, err := filepath.Glob("../default/patterns-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no default patterns", err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Patterns []struct{ Match string } }
		if err := yaml.Unmarshal(src, &doc); err != nil {
			t.Fatal(err)
		}
		for _, p := range doc.Patterns {
			out = append(out, p.Match)
		}
	}
	return out
}

// sample takes every nth mail of the labelled corpora.
func sample(t testing.TB, nth int) []string {
	t.Helper()
	var out []string
	for _, class := range []string{"ham", "spam"} {
		i := 0
		err := filepath.WalkDir(mailtest.Corpora(t, class), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if i++; i%nth == 0 {
				src, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				out = append(out, string(src))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestSameOnCorpora(t *testing.T) {
	sources := defaults(t)
	m, oracle := compile(t, sources...), newLoop(sources)
	texts := sample(t, 200*sparse)
	total := 0
	for _, text := range texts {
		clean := pattern.Clean(text[:min(len(text), 20_000)])
		got, err := m.Match(context.Background(), clean)
		if err != nil {
			t.Fatal(err)
		}
		if want := oracle.match(clean); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v in %.200q", got, want, text)
		}
		total += len(got)
	}
	t.Logf("%d mails, %d expressions, %d hits, the same in both", len(texts), len(sources), total)
	if total == 0 {
		t.Error("nothing hit: the comparison says nothing")
	}
}

func TestManyExpressionsWithoutLiterals(t *testing.T) {
	var sources []string
	for i := range 120 {
		sources = append(sources, fmt.Sprintf(`\b[a-z]{%d}\d{%d}\b`, i%11+1, i/11+1))
	}
	m, oracle := compile(t, sources...), newLoop(sources)
	text := "a1 bb22 ccc333 dddd4444 eeeee1 f55555 gggggggg88"
	if got, want := hits(t, m, text), oracle.match([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestConcurrentUse(t *testing.T) {
	m, oracle := compile(t, tricky...), newLoop(tricky)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				text := strings.Repeat("x", g*i) + " foo kiss bar From: end"
				if got, want := hits(t, m, text), oracle.match([]byte(text)); !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestContextEndsTheSearch(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, src := range []string{`foo`, `[0-9]`} {
		if _, err := compile(t, src).Match(ctx, []byte("foo 1")); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestClean(t *testing.T) {
	if got := string(pattern.Clean("a\xffb")); got != "a\ufffdb" {
		t.Errorf("%q", got)
	}
	long := pattern.Clean("x" + strings.Repeat("é", pattern.MaxText))
	if len(long) != pattern.MaxText-1 || !utf8.Valid(long) {
		t.Errorf("%d bytes, valid %v", len(long), utf8.Valid(long))
	}
}

func TestValid(t *testing.T) {
	for src, want := range map[string]string{
		`(`: "missing closing )", `(?=x)`: "invalid or unsupported Perl syntax", `((a{100}){100}){100}`: "invalid repeat count", `[z-a]`: "invalid character class range", `\8`: "invalid escape sequence",
	} {
		if _, err := pattern.Valid(src); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
		if _, err := pattern.Compile([]string{src}); err == nil {
			t.Errorf("%s compiles", src)
		}
	}
	for src, want := range map[string]bool{`a*`: true, `a+`: false, `^`: true, `x|`: true} {
		if empty, err := pattern.Valid(src); err != nil || empty != want {
			t.Errorf("%s: %v %v", src, empty, err)
		}
	}
}

func TestExcerpt(t *testing.T) {
	m := compile(t, `foo.{0,200}bar`, `b\s+z`)
	for text, want := range map[string]string{"a foo-bar b": "foo-bar", "foo" + strings.Repeat("é", 60) + "bar": "foo" + strings.Repeat("é", 38) + "...", "none": ""} {
		if got := m.Excerpt(0, []byte(text)); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := m.Excerpt(1, []byte("b\r\n\tz")); got != "b z" {
		t.Errorf("%q", got)
	}
}

// TestHostileTexts looks for texts that make the search slow: many literals, windows that
// merge, expressions over all of a large text. The bound only catches a hang.
func TestHostileTexts(t *testing.T) {
	sources := defaults(t)
	m := compile(t, sources...)
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"verify", "your", "account", "next", "of", "kin", "transfer", "fund", "million", "click", "here", "\u017f", "\u212a"}
	var b strings.Builder
	for b.Len() < 1<<20 {
		b.WriteString(words[r.IntN(len(words))] + " ")
	}
	for name, text := range map[string]string{"words": b.String(), "one letter": strings.Repeat("a", 1<<20), "one word": strings.Repeat("account ", 1<<17), "quotes": strings.Repeat("=\"", 1<<19)} {
		t.Run(name, func(t *testing.T) { hits(t, m, text) })
	}
}

// TestManyExpressionsOnLargeText (H-J07): 500 expressions of an operator on a megabyte end,
// and end early when their time is over.
func TestManyExpressionsOnLargeText(t *testing.T) {
	var sources []string
	for i := range 500 {
		sources = append(sources, fmt.Sprintf(`(?i)\b(?:[a-z]+\s+){1,4}word%d\b`, i), fmt.Sprintf(`[a-f]{%d}x`, i%30+1))
	}
	m := compile(t, sources...)
	text := strings.Repeat("a few words and word7 abcdefabcdef ", 30_000)
	if got := hits(t, m, text); len(got) == 0 {
		t.Error("nothing hit")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	if _, err := m.Match(ctx, pattern.Clean(text)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func BenchmarkMatch(b *testing.B) {
	sources := defaults(b)
	m, oracle := compile(b, sources...), newLoop(sources)
	var texts [][]byte
	size := 0
	for _, s := range sample(b, 400) {
		c := pattern.Clean(s[:min(len(s), 20_000)])
		texts = append(texts, c)
		size += len(c)
	}
	for name, match := range map[string]func([]byte){
		"matcher": func(t []byte) { m.Match(context.Background(), t) },
		"stdlib":  func(t []byte) { oracle.match(t) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size / len(texts)))
			for i := 0; b.Loop(); i++ {
				match(texts[i%len(texts)])
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	sources := defaults(b)
	b.ReportAllocs()
	for b.Loop() {
		compile(b, sources...)
	}
}

func TestCount(t *testing.T) {
	m := compile(t, `foo`, `[a-z]\d`)
	for i, want := range []int{3, 2} {
		if got := m.Count(i, []byte("foo a1 foo b2 foofoo"), want); got != want {
			t.Errorf("expression %d: %d, want %d", i, got, want)
		}
	}
	if got := m.Count(0, []byte("bar"), 5); got != 0 {
		t.Errorf("%d of none", got)
	}
}
