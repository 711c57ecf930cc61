package mime_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mime"
)

// mails calls f with every file below dir.
func mails(t testing.TB, dir string, f func(path string, raw []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err == nil {
			f(path, raw)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// crlf brings a file to the line ends SMTP has.
func crlf(raw []byte) []byte {
	s := strings.ReplaceAll(string(raw), "\r\n", "\n")
	return []byte(strings.ReplaceAll(s, "\n", "\r\n"))
}

func TestHamIsScannable(t *testing.T) {
	dir := mailtest.Corpora(t, "ham")
	n, bad := 0, 0
	kinds := map[mime.Kind]int{}
	mails(t, dir, func(path string, raw []byte) {
		n++
		tree := mime.Bytes(crlf(raw), mime.Limits{})
		if len(tree.Unscannable) > 0 {
			bad++
			t.Logf("%s: %v", path, tree.Unscannable)
		}
		seen := map[mime.Kind]bool{}
		for _, a := range tree.Anomalies {
			if !seen[a.Kind] {
				seen[a.Kind] = true
				kinds[a.Kind]++
			}
		}
	})
	t.Logf("%d of %d unscannable; anomalies %v", bad, n, kinds)
	if bad*1000 > n {
		t.Errorf("%d of %d ham are unscannable, more than one in a thousand", bad, n)
	}
}
