package dsn_test

import (
	"os"
	"path/filepath"
	"testing"

	"postern/abuse/complaint/dsn"
	"postern/internal/mailtest"
)

// Real bounces of many mailers, a good part of them in words of their own. The counts are
// those reached; fewer means that something is no longer read.
func TestBouncesOfManyMailers(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(mailtest.Suites(t, "bounces"), "maildir", "*", "*.eml"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var read, standard, status, original, action int
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r, ok := dsn.Parse(raw)
		first := dsn.Recipient{}
		if len(r.Recipients) > 0 {
			first = r.Recipients[0]
		}
		t.Logf("%-28s ok=%-5v std=%-5v n=%d %-36s %-8s %-8s original=%-5d %.60s", filepath.Base(f), ok, r.Standard, len(r.Recipients), first.Final, first.Action, first.Status, len(r.Original), first.Diagnostic)
		read += count(ok && len(r.Recipients) > 0)
		standard += count(r.Standard)
		status += count(first.Status != "")
		original += count(r.Original != nil)
		action += count(first.Action != "")
	}
	if read != 110 || standard != 77 || status != 95 || action != 110 || original != 98 {
		t.Error("the counts were 110 with recipients, 77 standard, 95 with a status, 110 with an action, 98 with the message")
	}
	t.Logf("%d files: %d with recipients, %d standard, %d with a status, %d with an action, %d with the message", len(files), read, standard, status, action, original)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
