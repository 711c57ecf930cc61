package mailtest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/filter"
)

func writeCase(t *testing.T, dir, name string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadCases(t *testing.T) {
	dir := t.TempDir()
	writeCase(t, dir, "b", map[string]string{"mail.eml": "B"})
	writeCase(t, dir, "a", map[string]string{"mail.eml": "A", "circumstances.yaml": "fires: [SPF_FAIL]\nfrom: ''\ndns: {example.org: [A 192.0.2.1]}\nlists: [{zone: z, of: ip, codes: {127.0.0.2: RBL_X}}]\n"})
	cases, err := ReadCases(dir, filepath.Join(dir, "missing"))
	if err != nil || len(cases) != 2 {
		t.Fatalf("%v %v", cases, err)
	}
	a := cases[0]
	if a.Name != "a" || string(a.Mail) != "A" || a.From == nil || *a.From != "" || a.DNS["example.org"][0] != "A 192.0.2.1" || a.Lists[0].Codes["127.0.0.2"] != "RBL_X" {
		t.Errorf("%+v", a)
	}
	writeCase(t, dir, "c", map[string]string{"mail.eml": "C", "circumstances.yaml": "fire: [X]\n"})
	if _, err := ReadCases(dir); err == nil || !strings.Contains(err.Error(), "fire") {
		t.Errorf("an unknown key: %v", err)
	}
	writeCase(t, dir, "d", nil)
	if _, err := ReadCase(filepath.Join(dir, "d")); err == nil {
		t.Error("a case without a mail")
	}
}

func TestComplaints(t *testing.T) {
	g := Golden{Known: func(s string) bool { return s != "NEW" }}
	c := Case{Circumstances: Circumstances{Fires: []string{"AA", "BB"}, Misses: []string{"CC", "DD"}}}
	got := g.complaints(c, []string{"AA", "CC", "NEW"})
	want := []string{"does not fire BB", "fires CC, of which it is to be a near miss", "no rule knows NEW"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestUpdateWritesWhatWasFound(t *testing.T) {
	dir := t.TempDir()
	writeCase(t, dir, "a", map[string]string{"mail.eml": "A"})
	run := func(context.Context, testing.TB, Case) ([]filter.Finding, error) {
		return []filter.Finding{{Symbol: "BB"}, {Symbol: "AA"}, {Symbol: "BB"}}, nil
	}
	t.Run("write", Golden{Dirs: []string{dir}, Update: true, Run: run}.Test)
	t.Run("read", Golden{Dirs: []string{dir}, Run: run}.Test)
	if got, err := os.ReadFile(filepath.Join(dir, "a", "expected.txt")); err != nil || string(got) != "AA\nBB\n" {
		t.Errorf("%q %v", got, err)
	}
	if d := difference([]string{"AA", "CC"}, []string{"AA", "BB"}); d != "- CC\n+ BB\n" {
		t.Errorf("%q", d)
	}
}

func TestUncovered(t *testing.T) {
	cases := []Case{{Circumstances: Circumstances{Fires: []string{"AA"}, Misses: []string{"BB"}}}}
	unfired, unmissed := Uncovered(cases, []string{"AA", "BB", "CC"})
	if !slices.Equal(unfired, []string{"BB", "CC"}) || !slices.Equal(unmissed, []string{"AA", "CC"}) {
		t.Errorf("%v %v", unfired, unmissed)
	}
}

func TestWhatCameEarlierHasTheSameEnvelope(t *testing.T) {
	dir := t.TempDir()
	writeCase(t, dir, "a", map[string]string{"mail.eml": "A", "circumstances.yaml": `
ip: 192.0.2.9
to: [bob@example.com]
account: ann
earlier:
  - {days_ago: [3, 1], before: 2h}
  - {mail: other.eml, from: "", ip: 192.0.2.8, readers: 3, account: bob}
`})
	c, err := ReadCase(filepath.Join(dir, "a"))
	if err != nil || c.IP != "192.0.2.9" || c.Login != "ann" || len(c.Earlier) != 2 {
		t.Fatalf("%+v %v", c, err)
	}
	first, second := c.Earlier[0], c.Earlier[1]
	if e := first.Over(c.Envelope); e.IP != "192.0.2.9" || !slices.Equal(e.To, c.To) || e.Login != "" || e.From != nil {
		t.Errorf("%+v", e)
	}
	if !slices.Equal(first.DaysAgo, []int{3, 1}) || first.Before != 2*time.Hour {
		t.Errorf("%+v", first)
	}
	if e := second.Over(c.Envelope); e.IP != "192.0.2.8" || len(e.To) != 0 || e.Readers != 3 || e.Login != "bob" || *e.From != "" {
		t.Errorf("%+v", e)
	}
}
