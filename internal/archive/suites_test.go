package archive_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/archive"
	"postern/internal/mailtest"
)

// TestClamavFiles walks one harmless program in 44 kinds of container: what this package
// reads it reads without complaint, and what is nested too deep is said.
func TestClamavFiles(t *testing.T) {
	dir := mailtest.Suites(t, "av/clamav-testfiles")
	files, err := filepath.Glob(filepath.Join(dir, "clam*"))
	if err != nil || len(files) != 44 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f := walk(t, b, archive.Limits{})
		want := ""
		switch name {
		case "clam_cache_emax.tgz": // nine tars in one another: beyond clamd's recursion when in a mail
			want = "bomb"
		case "clam.impl.zip", "clam.d64.zip", "clam.7z", "clam.arj", "clam.cab", "clam.tnef", "clam.exe.szdd", "clam.ole.doc", "clam.ppt",
			"clam.bin-be.cpio", "clam.bin-le.cpio", "clam.newc.cpio", "clam.odc.cpio", "clam_ISmsi_ext.exe", "clam_ISmsi_int.exe":
			want = "foreign"
		}
		if got := bad(f); got != want && (want != "foreign" || got != "") {
			t.Errorf("%s: %q %+v, want %q", name, got, f, want)
		}
		t.Logf("%-24s kind %-6q entries %d foreign %q bomb %q", name, f.Kind, len(f.Entries), f.Foreign, f.Bomb)
	}
}

func TestOfficeFilesAreOrdinary(t *testing.T) {
	n := 0
	for _, suite := range []string{"av/eicar", "tnef/verdammelt-tnef/datafiles"} {
		files, err := filepath.Glob(filepath.Join(mailtest.Suites(t, suite), "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			n++
			if f := walk(t, b, archive.Limits{}); f.Bomb != "" || len(f.Unreadable) > 0 || len(f.Encrypted) > 0 {
				t.Errorf("%s: %+v", file, f)
			} else if strings.HasSuffix(file, "x") && len(f.Entries) < 5 {
				t.Errorf("%s: an Office file with %d members", file, len(f.Entries))
			}
		}
	}
	if n < 30 {
		t.Errorf("only %d files", n)
	}
}
