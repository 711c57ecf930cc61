package rulescmd_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/cmd/postern/app"
	"postern/rules"
	"postern/rules/spamassassin"
)

func TestImportSpamAssassin(t *testing.T) {
	n := &node{t: t, dir: t.TempDir()}
	in, out := filepath.Join(n.dir, "in"), filepath.Join(n.dir, "out")
	n.put("in/20_a.cf", "body ONE /one/\ndescribe ONE One\nscore ONE 1 2 3 4\nbody TWO /(a)\\1/\nbody THREE /a++b/\nelse\nreport x\n")
	n.put("in/30_b.cf", "meta FOUR ONE && !THREE\n")
	for _, says := range []string{"20_a.cf:4: TWO not taken: it refers back", "20_a.cf:5: THREE differs: a possessive", "20_a.cf:6: not understood", "20_a.cf:7: report passed over, 1 in all", "2 patterns, 1 composites"} {
		n.says(app.Fine, says, "", "import", "spamassassin", in)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("written without --out")
	}
	n.says(app.Fine, "KIND", "", "import", "spamassassin", in, "--out", out)
	n.says(app.Fine, "KIND", "", "import", "spamassassin", in, "--out", out, "--scores", "bayes-net")
	set, err := rules.Load(out)
	must(t, err)
	if s, ok := set.Symbol("SA_ONE"); !ok || s.Score != 400 {
		t.Errorf("%+v %v", s, ok)
	}
	var r spamassassin.Report
	must(t, json.Unmarshal([]byte(n.says(app.Fine, "{", "", "import", "spamassassin", in, "--json")), &r))
	if len(r.Taken) != 2 || len(r.Refused) != 1 || r.Refused[0].Line != 4 {
		t.Errorf("%+v", r)
	}
	n.says(app.Usage, "--scores", "", "import", "spamassassin", in, "--scores", "9")
	n.says(app.Usage, "", "", "import", "spamassassin", filepath.Join(n.dir, "none"))
}

// TestImportLeavesOthersFiles: a file of another hand is not written over, and nothing else
// is written.
func TestImportLeavesOthersFiles(t *testing.T) {
	n := &node{t: t, dir: t.TempDir()}
	n.put("in/a.cf", "body ONE /one/\n")
	n.put("in/b.cf", "body TWO /two/\n")
	n.put("out/spamassassin-b.yaml", "# mine\n")
	n.says(app.Fault, "spamassassin-b.yaml was not written by an import", "", "import", "spamassassin", filepath.Join(n.dir, "in"), "--out", filepath.Join(n.dir, "out"))
	text, err := os.ReadFile(filepath.Join(n.dir, "out/spamassassin-b.yaml"))
	must(t, err)
	if _, err := os.Stat(filepath.Join(n.dir, "out/spamassassin-a.yaml")); err == nil || !strings.HasPrefix(string(text), "# mine") {
		t.Error("something was written")
	}
}
