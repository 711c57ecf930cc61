package complaint_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/abuse/complaint"
	"postern/internal/mailtest"
)

// files are the files of a suite with one of the endings.
func files(t testing.TB, dir string, endings ...string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains(endings, filepath.Ext(path)) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// table parses files, prints what came of each and counts the formats. Whatever a file is,
// it is read or is UNPARSED with a reason, and its bytes stay as they were.
func table(t *testing.T, paths []string, wrap func(path string, raw []byte) []byte) map[complaint.Format]int {
	t.Helper()
	counts := map[complaint.Format]int{}
	for _, path := range paths {
		raw := wrap(path, read(t, path))
		before := bytes.Clone(raw)
		r := complaint.Parse(raw, complaint.Options{})
		counts[r.Format]++
		t.Logf("%-34s %-8s %-12s original=%-6d whole=%-5v text=%-5d lang=%-2s from=%.30s ip=%v %q", filepath.Base(path), r.Format, r.Feedback, len(r.Original), r.Whole, len(r.Text), r.Language, r.Claims.MailFrom, r.Claims.SourceIP, r.Problems)
		if !bytes.Equal(before, raw) {
			t.Errorf("%s: parsing changed the report", path)
		}
		if r.Format == complaint.Unparsed && len(r.Problems) == 0 {
			t.Errorf("%s: nothing says why it could not be read", path)
		}
		if r.Original != nil && len(r.Original) == 0 {
			t.Errorf("%s: a message of no bytes", path)
		}
	}
	t.Logf("%d files: %s", len(paths), line(counts))
	return counts
}

func line(counts map[complaint.Format]int) string {
	var out []string
	for _, f := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%s=%d", f, counts[f]))
	}
	return strings.Join(out, " ")
}

func asIs(_ string, raw []byte) []byte { return raw }

// inMail is a document attached to a mail.
func inMail(_ string, doc []byte) []byte {
	return []byte("From: a@reporter.example\r\nTo: abuse@here.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nPlease look at this.\r\n" +
		"--b\r\nContent-Type: application/json; name=xarf.json\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(doc) + "\r\n--b--\r\n")
}

// The counts are those reached; a change means that something is read differently.
func TestReportsOfOthers(t *testing.T) {
	for _, c := range []struct {
		suite, dir string
		endings    []string
		wrap       func(string, []byte) []byte
		want       string
	}{
		{"arf", "stalwart-mail-auth", []string{".eml"}, asIs, "arf=5"},
		{"arf", "email-arf", []string{".msg"}, asIs, "arf=3"},
		{"arf", "xarf-v4/samples", []string{".json"}, asIs, "xarf3=4 xarf4=32"},
		{"arf", "xarf-v4/samples", []string{".json"}, inMail, "xarf3=4 xarf4=32"},
		{"bounces", "maildir", []string{".eml"}, asIs, "arf=1 dsn=110 forward=3 pasted=2 plain=1"},
		{"dmarc", "", []string{".eml"}, asIs, "arf=4 pasted=1 plain=8 unparsed=3"},
		{"dmarc", "", []string{".xml", ".zip", ".gz", ".json", ".dat"}, asIs, "plain=21 unparsed=5"},
	} {
		t.Run(c.suite+"/"+c.dir, func(t *testing.T) {
			if got := line(table(t, files(t, filepath.Join(mailtest.Suites(t, c.suite), c.dir), c.endings...), c.wrap)); got != c.want {
				t.Errorf("read as %s, want %s", got, c.want)
			}
		})
	}
}
