package complaint_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"postern/abuse/complaint"
	"postern/internal/mailtest"
)

// corpus is up to n mails people and spammers wrote.
func corpus(b testing.TB, n int) [][]byte {
	b.Helper()
	var out [][]byte
	for _, dir := range []string{"ham", "spam"} {
		have := len(out)
		err := filepath.WalkDir(mailtest.Corpora(b, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || len(out)-have >= n/2 {
				return err
			}
			raw, err := os.ReadFile(path)
			if err == nil && len(bytes.TrimSpace(raw)) > 0 {
				out = append(out, raw)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return out
}

func BenchmarkParse(b *testing.B) {
	mails := corpus(b, 2000)
	for name, wrap := range map[string]func([]byte) []byte{
		"as they are": func(raw []byte) []byte { return raw },
		"in reports": func(raw []byte) []byte {
			return []byte(mail("", report, words, fields, "Content-Type: message/rfc822\r\n\r\n"+string(raw)))
		},
		"pasted": func(raw []byte) []byte {
			return append([]byte("From: a@b.example\r\n\r\nPlease look at this:\r\n\r\n"), raw...)
		},
	} {
		var all [][]byte
		size := 0
		for _, m := range mails {
			w := wrap(m)
			all, size = append(all, w), size+len(w)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				for _, m := range all {
					complaint.Parse(m, complaint.Options{})
				}
			}
			b.ReportMetric(float64(len(all)*b.N)/b.Elapsed().Seconds(), "mails/s")
		})
	}
}

// Mail nobody wrote as a report is read as well: as it is, as a report about it, and pasted.
func TestCorpora(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 60
	}
	counts, lost := map[complaint.Format]int{}, 0
	for _, raw := range corpus(t, n) {
		counts[complaint.Parse(raw, complaint.Options{}).Format]++
		complaint.Safe(raw)
		r := complaint.Parse([]byte(mail("", report, words, fields, "Content-Type: message/rfc822\r\n\r\n"+string(raw))), complaint.Options{})
		if r.Format != complaint.ARF || len(r.Original) == 0 {
			t.Errorf("a report about %.60q is %s", raw, r.Format)
		}
		if len(r.Original) < len(raw)-200 {
			lost++
		}
	}
	t.Logf("as they are: %s; cut short in a report: %d", line(counts), lost)
	if lost > 0 {
		t.Errorf("%d messages did not come out of their reports whole", lost)
	}
}
