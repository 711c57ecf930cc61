package rules_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules"
)

var update = flag.Bool("update", false, "rewrite generated documents and golden files")

// message makes a filter.Message of raw bytes.
func message(raw []byte) *filter.Message {
	raw = crlf(raw)
	m := &filter.Message{ID: "00000000000000000000000000", Body: bytes.NewReader(raw), Size: int64(len(raw))}
	m.Parts = sync.OnceValues(func() (*mime.Tree, error) { return mime.Walk(m.Body, m.Size, mime.DefaultLimits()) })
	return m
}

// crlf makes the line ends of a file those of a message.
func crlf(raw []byte) []byte {
	if bytes.Contains(raw, []byte("\r\n")) {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
}

// corpus is a folder of labelled mail and what the content of each message came to.
type corpus struct {
	name   string
	files  []string
	hits   map[string]int
	scores []filter.Score
	worst  string // the file with the largest score
}

func corpora(t *testing.T) []*corpus {
	t.Helper()
	var all []*corpus
	for _, name := range []string{"ham/list-ham", "ham/foff-milter", "ham/spamassassin-corpus", "spam/foff-milter", "spam/phishing-pot", "spam/spamassassin-corpus"} {
		c := &corpus{name: name, hits: map[string]int{}}
		n := 0
		err := filepath.WalkDir(mailtest.Corpora(t, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				if n++; n%sparse == 0 {
					c.files = append(c.files, path)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// judge runs the patterns over every message of the corpus and judges by content alone.
func (c *corpus) judge(t *testing.T, s *rules.Set) {
	verdicts := make([]filter.Verdict, len(c.files))
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				verdicts[i] = judgeFile(t, s, c.files[i])
			}
		})
	}
	for i := range c.files {
		next <- i
	}
	close(next)
	wg.Wait()
	for i, v := range verdicts {
		for _, r := range v.Reasons {
			c.hits[r.Symbol]++
		}
		if len(c.scores) == 0 || v.Score > slices.Max(c.scores) {
			c.worst = filepath.Base(c.files[i])
		}
		c.scores = append(c.scores, v.Score)
	}
}

func judgeFile(t *testing.T, s *rules.Set, path string) filter.Verdict {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return filter.Verdict{}
	}
	m := message(raw)
	found, err := s.Patterns().Check(context.Background(), m)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return s.Judge(m, filter.Report{Findings: found}, "default")
}

// atLeast counts the messages whose score reaches a threshold.
func (c *corpus) atLeast(limit filter.Score) int {
	n := 0
	for _, s := range c.scores {
		if s >= limit {
			n++
		}
	}
	return n
}

// TestPatternsOnCorpora measures the default patterns on labelled mail. With -update it
// writes docs/patterns.md.
func TestPatternsOnCorpora(t *testing.T) {
	all := corpora(t)
	s := load(t)
	for _, c := range all {
		c.judge(t, s)
	}
	for _, c := range all {
		if !strings.HasPrefix(c.name, "ham/") {
			continue
		}
		p, _ := s.Policy("default")
		if n := c.atLeast(p.Reject); n > 0 && c.name == "ham/list-ham" {
			t.Errorf("%s: content alone rejects %d messages; the worst is %s", c.name, n, c.worst)
		}
		if n := c.atLeast(p.Quarantine); n*100 > len(c.scores) {
			t.Errorf("%s: content alone holds %d of %d messages", c.name, n, len(c.scores))
		}
	}
	doc := table(s, all)
	t.Logf("\n%s", doc)
	if *update && sparse == 1 {
		if err := os.WriteFile(filepath.Join(mailtest.ModuleRoot(t), "docs", "patterns.md"), []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// contentSymbols are the symbols that content alone can raise.
func contentSymbols(s *rules.Set) []rules.Symbol {
	return slices.DeleteFunc(s.Symbols(), func(sym rules.Symbol) bool { return sym.Kind == "check" })
}

func table(s *rules.Set, all []*corpus) string {
	var b strings.Builder
	b.WriteString(`# The default patterns on labelled mail

Hits of every pattern and composite of the embedded rules, measured by content alone (no DNS, no
virus scanner, no lists). Written by ` + "`go test ./rules -run TestPatternsOnCorpora -update`" + `.

| symbol | score |`)
	for _, c := range all {
		fmt.Fprintf(&b, " %s (%d) |", c.name, len(c.files))
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(all)) + "\n")
	for _, sym := range contentSymbols(s) {
		fmt.Fprintf(&b, "| %s | %s |", sym.Name, sym.Score)
		for _, c := range all {
			fmt.Fprintf(&b, " %d |", c.hits[sym.Name])
		}
		b.WriteByte('\n')
	}
	for _, limit := range []filter.Score{400, 700, 1500} {
		fmt.Fprintf(&b, "| all together reach | %s |", limit)
		for _, c := range all {
			fmt.Fprintf(&b, " %d |", c.atLeast(limit))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestPatternTableIsComplete(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(mailtest.ModuleRoot(t), "docs", "patterns.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, sym := range contentSymbols(load(t)) {
		if !strings.Contains(string(doc), fmt.Sprintf("| %s | %s |", sym.Name, sym.Score)) {
			t.Errorf("docs/patterns.md does not show %s at %s; run the command at its head", sym.Name, sym.Score)
		}
	}
}
