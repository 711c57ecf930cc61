package simhash_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"postern/filter/campaign/simhash"
	"postern/internal/mailtest"
	"postern/internal/mime"
)

// sample is a letter of the public corpora.
type sample struct {
	print           simhash.Print
	sender, subject string
}

func corpus(t *testing.T, dir string) (out []sample, without int) {
	t.Helper()
	err := filepath.WalkDir(dir+"/", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		tree := mime.Bytes(raw, mime.DefaultLimits())
		s := sample{print: simhash.Of(tree.Text()), subject: bare(tree.Subject())}
		if from := tree.From(); len(from) > 0 {
			s.sender = strings.ToLower(from[0].Address)
		}
		if s.print == 0 {
			without++
			return nil
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, without
}

// bare is a subject without what answers put before it.
func bare(s string) string {
	s = strings.ToLower(s)
	for _, mark := range []string{"re:", "fwd:", "fw:", "aw:"} {
		s = strings.ReplaceAll(s, mark, "")
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return r
	}, s)
}

// TestCorpora prints how many letters fall near one of another sender. For good mail that is a
// false alarm, unless one quotes or answers the other: those have the same subject.
func TestCorpora(t *testing.T) {
	root := mailtest.Corpora(t, ".")
	for _, c := range []struct {
		dir  string
		most float64 // of a hundred letters, near one of another sender and another subject
	}{{"ham/spamassassin-corpus", 1}, {"ham/list-ham", 2}, {"ham/foff-milter", 1}, {"spam/spamassassin-corpus", 100}, {"spam/foff-milter", 100}} {
		all, without := corpus(t, filepath.Join(root, c.dir))
		near, wrong, crowd := 0, 0, 0
		for i, a := range all {
			found, other := false, false
			var senders []string
			for j, b := range all {
				if i == j || a.sender == b.sender || simhash.Apart(a.print, b.print) > simhash.Near {
					continue
				}
				found = true
				other = other || a.subject != b.subject
				if !slices.Contains(senders, b.sender) {
					senders = append(senders, b.sender)
				}
			}
			if found {
				near++
			}
			if other {
				wrong++
			}
			if len(senders) >= 7 {
				crowd++
			}
		}
		share := func(n int) float64 { return 100 * float64(n) / float64(max(len(all), 1)) }
		t.Logf("%-26s %5d letters, %4d more with too few words: %4d (%.1f %%) near another sender's, %4d (%.2f %%) with another subject, %4d near those of 7 others or more", c.dir, len(all), without, near, share(near), wrong, share(wrong), crowd)
		if share(wrong) > c.most {
			t.Errorf("%s: %.2f %% of the letters are near one of another sender with another subject", c.dir, share(wrong))
		}
	}
}
