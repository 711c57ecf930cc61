package mime_test

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mime"
)

// TestHideFileName reads 176 mails that hide a file name from naive readers: the name must
// be among FileNames, and well-formed ones must be scannable.
func TestHideFileName(t *testing.T) {
	dir := mailtest.Suites(t, "mime/mime-is-broken")
	f, err := os.Open(filepath.Join(dir, "hide-filename.manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found, unscannable, n := 0, 0, 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		col := strings.Split(sc.Text(), "\t")
		if strings.HasPrefix(col[0], "#") {
			continue
		}
		n++
		raw, err := os.ReadFile(filepath.Join(dir, col[0]))
		if err != nil {
			t.Fatal(err)
		}
		tree := mime.Bytes(crlf(raw), mime.Limits{})
		names := tree.FileNames()
		want := ".zip"
		if strings.HasSuffix(col[2], ".png") {
			want = ".png"
		}
		if slices.ContainsFunc(names, func(s string) bool {
			return strings.HasPrefix(s, "file") && strings.HasSuffix(s, want) && !strings.ContainsAny(s, "=*() ")
		}) {
			found++
		} else {
			t.Errorf("%s (%s): names %q have no file*%s", col[0], col[2], names, want)
		}
		if len(tree.Unscannable) > 0 {
			unscannable++
			if col[1] != "0" && col[1] != "1" {
				t.Errorf("%s (%s, validity %s): unscannable: %v", col[0], col[2], col[1], tree.Unscannable)
			}
		}
	}
	if found != 176 || n != 176 {
		t.Errorf("name found in %d of %d, want 176 of 176", found, n)
	}
	t.Logf("found %d of %d, unscannable %d", found, n, unscannable)
}
