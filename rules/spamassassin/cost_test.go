package spamassassin_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules/pattern"
	"postern/rules/spamassassin"
)

// expressions are those of imported patterns that look at text, in order.
func expressions(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"spamassassin-4.0.1", "kam"} {
		res, err := spamassassin.Import(os.DirFS(mailtest.Suites(t, "rules/"+name)), spamassassin.Options{})
		if err != nil {
			t.Fatal(err)
		}
		files := make([]string, 0, len(res.Files))
		for file := range res.Files {
			files = append(files, file)
		}
		slices.Sort(files)
		for _, file := range files {
			var doc struct{ Patterns []struct{ In, Match string } }
			if err := yaml.Unmarshal(res.Files[file], &doc); err != nil {
				t.Fatal(err)
			}
			for _, p := range doc.Patterns {
				if p.In == "paragraphs" || p.In == "rawbody" {
					out = append(out, p.Match)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// many are n expressions: those of the imports, then made-up ones in their manner.
func many(t testing.TB, n int) []string {
	t.Helper()
	all := expressions(t)
	if len(all) > n { // evenly, so that few are like many
		var some []string
		for i := range n {
			some = append(some, all[i*len(all)/n])
		}
		return some
	}
	for i := len(all); i < n; i++ {
		all = append(all, fmt.Sprintf(`(?i)\bword%d\W{1,3}(?:one|two|number)%d\b`, i, i%7))
	}
	return all
}

// letters are the texts of mails, each cut to 20 kB.
func letters(t *testing.T, n int) [][]byte {
	t.Helper()
	var out [][]byte
	for _, path := range spread(t, n) {
		raw, err := os.ReadFile(filepath.Clean(path))
		if err != nil {
			t.Fatal(err)
		}
		text := mime.Bytes(raw, mime.Limits{}).Text()
		out = append(out, pattern.Clean(text[:min(len(text), 20<<10)]))
	}
	return out
}

// cpu is the processor time of this process so far.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestCost prints what imported expressions cost by their number and by the size of a text:
//
//	POSTERN_CAMPAIGN=1 go test -timeout 30m -v -run TestCost ./rules/spamassassin
func TestCost(t *testing.T) {
	if os.Getenv("POSTERN_CAMPAIGN") == "" {
		t.Skip("a campaign: set POSTERN_CAMPAIGN=1")
	}
	texts := letters(t, 400)
	long := string(slices.Concat(texts[:60]...))
	for len(long) < 10<<20 {
		long += long
	}
	fmt.Println("| expressions | to build | a mail not seen before | a mail seen before | 2 kB | 20 kB | 200 kB | 2 MB | 10 MB |\n|---|---|---|---|---|---|---|---|---|")
	for _, n := range []int{100, 300, 1000, 3000, 10_000} {
		sources := many(t, n)
		built := cpu(t)
		m, err := pattern.Compile(sources)
		if err != nil {
			t.Fatal(err)
		}
		built = cpu(t) - built
		match := func(texts ...[]byte) time.Duration {
			from := cpu(t)
			for _, text := range texts {
				if _, err := m.Match(context.Background(), text); err != nil {
					t.Fatal(err)
				}
			}
			return (cpu(t) - from) / time.Duration(len(texts))
		}
		match(texts[:300]...)
		fmt.Printf("| %d | %s | %s | %s |", n, built.Round(time.Millisecond), match(texts[300:]...).Round(10*time.Microsecond), match(texts[300:]...).Round(10*time.Microsecond))
		for _, size := range []int{2 << 10, 20 << 10, 200 << 10, 2 << 20, 10 << 20} {
			text := pattern.Clean(long[:size])
			match(text)
			fmt.Printf(" %s |", match(text, text, text, text, text).Round(10*time.Microsecond))
		}
		fmt.Println()
	}
}

// BenchmarkImported is a mail of the corpora against 1,000 imported expressions.
func BenchmarkImported(b *testing.B) {
	m, err := pattern.Compile(many(b, 1000))
	if err != nil {
		b.Fatal(err)
	}
	text := pattern.Clean(strings.Repeat("Dear customer, your account of $1,500 at our bank was closed on 2 November. Click here to verify it.\n", 200))
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := m.Match(context.Background(), text); err != nil {
			b.Fatal(err)
		}
	}
}
