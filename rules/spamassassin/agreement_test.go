package spamassassin_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules"
	"postern/rules/spamassassin"
)

// mails is how many mails the campaign compares on.
const mails = 1000

// agreement counts on which mails a rule fired.
type agreement struct {
	rule, kind         string
	both, theirs, ours int
	noted              bool
	example            string // a mail on which they differ
}

// TestAgreement compares, rule by rule and mail by mail, what fires in Debian's SpamAssassin
// with what fires here after an import of the same files. It takes ten minutes:
//
//	POSTERN_CAMPAIGN=1 go test -timeout 60m -v -run TestAgreement ./rules/spamassassin
//
// POSTERN_SPAMASSASSIN names a file that keeps what SpamAssassin said, and of which mails, for
// the next run.
func TestAgreement(t *testing.T) {
	if os.Getenv("POSTERN_CAMPAIGN") == "" {
		t.Skip("a campaign: set POSTERN_CAMPAIGN=1")
	}
	dir := together(t, "spamassassin-4.0.1", "kam")
	res, err := spamassassin.Import(os.DirFS(dir), spamassassin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	theirs := spamAssassin(t, dir, func() []string { return spread(t, mails) })
	paths := slices.Sorted(maps.Keys(theirs))
	ours := imported(t, res, paths)
	all := compared(res.Report, paths, theirs, ours)
	table(t, all, len(paths))
	var both, differ int
	for _, a := range all {
		both, differ = both+a.both, differ+a.theirs+a.ours
	}
	if both == 0 || float64(both)/float64(both+differ) < 0.9 {
		t.Errorf("%d hits in both, %d in one alone: less than nine of ten agree", both, differ)
	}
}

// together is a folder with the *.cf of several rule sets.
func together(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		files, err := filepath.Glob(filepath.Join(mailtest.Suites(t, "rules/"+name), "*.cf"))
		if err != nil || len(files) == 0 {
			t.Fatal(name, err)
		}
		for _, f := range files {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), src, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// spread takes n mails of the labelled corpora, evenly.
func spread(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for _, class := range []string{"ham", "spam"} {
		err := filepath.WalkDir(mailtest.Corpora(t, class), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				all = append(all, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < n {
		t.Fatalf("%d mails", len(all))
	}
	var out []string
	for i := range n {
		out = append(out, all[i*len(all)/n])
	}
	return out
}

// spamAssassin asks SpamAssassin which rules fire.
func spamAssassin(t *testing.T, dir string, which func() []string) map[string][]string {
	t.Helper()
	keep := os.Getenv("POSTERN_SPAMASSASSIN")
	out, err := os.ReadFile(keep)
	if keep == "" || err != nil {
		paths := which()
		site := filepath.Join(mailtest.Suites(t, "rules/spamassassin-4.0.1"), "etc")
		cmd := exec.CommandContext(t.Context(), "perl", "testdata/hits.pl", dir, site, t.TempDir())
		cmd.Stdin = strings.NewReader(strings.Join(paths, "\n") + "\n")
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		if out, err = cmd.Output(); err != nil {
			t.Fatalf("%v (deploy/install-needs.sh spamassassin installs it): %.2000s", err, complaints.Bytes())
		}
		if n := bytes.Count(out, []byte("\n")); n != len(paths) {
			t.Fatalf("SpamAssassin answered for %d of %d mails", n, len(paths))
		}
		if keep != "" {
			if err := os.WriteFile(keep, out, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	hits := map[string][]string{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		path, names, _ := strings.Cut(lines.Text(), "\t")
		hits[path] = strings.Split(names, ",")
	}
	return hits
}

// imported judges the mails by the imported rules.
func imported(t *testing.T, res *spamassassin.Result, paths []string) map[string]map[string]bool {
	t.Helper()
	set := loaded(t, res)
	hits := map[string]map[string]bool{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		hits[path] = fired(t, set, raw)
	}
	return hits
}

// loaded are the imported rules, all of them said.
func loaded(t *testing.T, res *spamassassin.Result) *rules.Set {
	t.Helper()
	said := map[string][]byte{}
	for name, text := range res.Files {
		said[name] = bytes.ReplaceAll(text, []byte("    quiet: true\n"), nil)
	}
	return asWritten(t, said)
}

func asWritten(t *testing.T, files map[string][]byte) *rules.Set {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, err := rules.Load(dir)
	if err != nil {
		t.Fatalf("%.3000s", err.Error())
	}
	return set
}

// fired are the symbols that a mail raises.
func fired(t *testing.T, set *rules.Set, raw []byte) map[string]bool {
	t.Helper()
	raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	tree := mime.Bytes(raw, mime.Limits{})
	m := &filter.Message{Body: bytes.NewReader(raw), Size: int64(len(raw)), Parts: func() (*mime.Tree, error) { return tree, nil }}
	m.From = strings.Trim(tree.Root.Header.Get("Return-Path"), "<> ")
	found, err := set.Patterns().Check(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, r := range set.Judge(m, filter.Report{Findings: found}, "default").Reasons {
		out[r.Symbol] = true
	}
	return out
}

func compared(r spamassassin.Report, paths []string, theirs map[string][]string, ours map[string]map[string]bool) []*agreement {
	var all []*agreement
	for i, entries := range [][]spamassassin.Entry{r.Taken, r.Differ} {
		for _, e := range entries {
			a := &agreement{rule: e.Rule, kind: e.Kind, noted: i == 1}
			for _, path := range paths {
				there, here := slices.Contains(theirs[path], e.Rule), ours[path][e.Symbol]
				switch {
				case there && here:
					a.both++
				case there:
					a.theirs++
				case here:
					a.ours++
				}
				if there != here && a.example == "" {
					a.example = filepath.Base(path)
				}
			}
			all = append(all, a)
		}
	}
	return all
}

// table prints the rules by kind, then those that differ, the worst first.
func table(t *testing.T, all []*agreement, n int) {
	type line struct{ rules, same, silent, both, theirs, ours int }
	by := map[string]*line{}
	for _, a := range all {
		kinds := []string{a.kind, "all"}
		if a.noted {
			kinds = append(kinds, "all with a note")
		}
		for _, k := range kinds {
			l := by[k]
			if l == nil {
				l = &line{}
				by[k] = l
			}
			l.rules++
			switch {
			case a.both+a.theirs+a.ours == 0:
				l.silent++
			case a.theirs+a.ours == 0:
				l.same++
			}
			l.both, l.theirs, l.ours = l.both+a.both, l.theirs+a.theirs, l.ours+a.ours
		}
	}
	fmt.Printf("%d mails\n| kind | rules | fire nowhere | fire on the same mails | hits in both | only SpamAssassin | only here |\n|---|---|---|---|---|---|---|\n", n)
	for _, k := range slices.Sorted(maps.Keys(by)) {
		l := by[k]
		fmt.Printf("| %s | %d | %d | %d | %d | %d | %d |\n", k, l.rules, l.silent, l.same, l.both, l.theirs, l.ours)
	}
	slices.SortStableFunc(all, func(a, b *agreement) int { return cmp.Compare(b.theirs+b.ours, a.theirs+a.ours) })
	fmt.Println("| rule | kind | both | only SpamAssassin | only here | a mail |\n|---|---|---|---|---|---|")
	for _, a := range all {
		if a.theirs+a.ours > 0 {
			fmt.Printf("| %s | %s | %d | %d | %d | %.60s |\n", a.rule, a.kind, a.both, a.theirs, a.ours, a.example)
		}
	}
}
