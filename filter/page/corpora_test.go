package page_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/page"
	"postern/internal/mailtest"
	"postern/internal/mime"
)

// count runs the check on all mail of a folder and counts symbols by source.
func count(t *testing.T, class string) (hits map[string]map[string]int, mails map[string]int) {
	t.Helper()
	root := mailtest.Corpora(t, class)
	hits, mails = map[string]map[string]int{}, map[string]int{}
	err := filepath.WalkDir(root+"/", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		source, _, _ := strings.Cut(rel, string(filepath.Separator))
		mails[source]++
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		tree := mime.Bytes(raw, mime.DefaultLimits())
		found, err := page.Check{}.Check(t.Context(), &filter.Message{Parts: func() (*mime.Tree, error) { return tree, nil }})
		if err != nil {
			return err
		}
		for _, f := range found {
			if hits[f.Symbol] == nil {
				hits[f.Symbol] = map[string]int{}
			}
			hits[f.Symbol][source]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hits, mails
}

// TestOnHam: what is held against a page is next to never found in honest mail.
func TestOnHam(t *testing.T) {
	hits, mails := count(t, "ham")
	all := 0
	for source, n := range mails {
		all += n
		for _, symbol := range page.Symbols() {
			t.Logf("%s %s: %d of %d", symbol, source, hits[symbol][source], n)
		}
	}
	for _, symbol := range page.Symbols() {
		sum := 0
		for _, n := range hits[symbol] {
			sum += n
		}
		most := all / 500
		if strings.HasPrefix(symbol, "HIDDEN_") {
			most = all / 5000
		}
		if sum > most {
			t.Errorf("%s on %d of %d honest mails", symbol, sum, all)
		}
	}
}

// TestOnSpam: pages of modern spam hide words.
func TestOnSpam(t *testing.T) {
	hits, mails := count(t, "spam")
	for source, n := range mails {
		for _, symbol := range page.Symbols() {
			t.Logf("%s %s: %d of %d", symbol, source, hits[symbol][source], n)
		}
	}
	if n, of := hits[page.HiddenText]["foff-milter"], mails["foff-milter"]; n*20 < of {
		t.Errorf("%s on %d of %d", page.HiddenText, n, of)
	}
}
