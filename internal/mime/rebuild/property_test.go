package rebuild_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/internal/mime/rebuild"
)

// drawn writes a random well-formed part and returns its text; depth bounds it.
func drawn(t *rapid.T, depth int, id *int) string {
	*id++
	kind := "leaf"
	if depth < 4 {
		kind = rapid.SampledFrom([]string{"leaf", "leaf", "multipart", "message", "signed"}).Draw(t, "kind")
	}
	switch kind {
	case "multipart", "signed":
		media := rapid.SampledFrom([]string{"mixed", "alternative", "related", "report"}).Draw(t, "media")
		if kind == "signed" {
			media = "signed"
		}
		b := fmt.Sprintf("=_%d_%s", *id, rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "boundary"))
		text := fmt.Sprintf("Content-Type: multipart/%s; boundary=\"%s\"\r\n\r\n", media, b)
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			text += "--" + b + "\r\n" + drawn(t, depth+1, id) + "\r\n"
		}
		return text + "--" + b + "--\r\n"
	case "message":
		return "Content-Type: message/rfc822\r\n\r\nFrom: inner@example.com\r\nSubject: inner\r\n" + drawn(t, depth+1, id)
	}
	content := rapid.SliceOfN(rapid.Byte(), 1, 120).Draw(t, "content")
	name := rapid.StringMatching(`[a-z-]{1,8}\.[a-z]{3}`).Draw(t, "name")
	return fmt.Sprintf("Content-Type: application/x-%d; name=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n%s", *id, name, base64.StdEncoding.EncodeToString(content))
}

// TestTheRestIsTheSame: of a well-formed message any leaves can be left out, and every other
// leaf is there as before. Twice the same input is the same message.
func TestTheRestIsTheSame(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		id := 0
		raw := []byte("From: a@example.com\r\nMIME-Version: 1.0\r\n" + drawn(r, 0, &id))
		tree := mime.Bytes(raw, mime.Limits{})
		var out []rebuild.Removal
		for p := range tree.Leaves() {
			if !p.Alternate && rapid.Bool().Draw(r, "leave out") {
				out = append(out, rebuild.Removal{Path: p.Path, Text: rapid.StringMatching(`(-{0,3}[a-zé=_0-9 \n]{0,60}){0,3}`).Draw(r, "text") + "!"})
			}
		}
		if len(out) == 0 {
			return
		}
		text := again(r, raw, tree, out)
		if !bytes.Equal(text, again(r, raw, tree, out)) {
			r.Error("not the same twice")
		}
		if err := rebuild.Same(tree, mime.Bytes(text, mime.Limits{}), out); err != nil {
			r.Errorf("%v\n%s\nbecame\n%s", err, raw, text)
		}
	})
}

func again(r rapid.TB, raw []byte, tree *mime.Tree, out []rebuild.Removal) []byte {
	m, err := rebuild.New(bytes.NewReader(raw), int64(len(raw)), tree, out)
	if err != nil {
		r.Fatalf("%v\n%s", err, raw)
	}
	text := make([]byte, m.Size())
	if _, err := m.ReadAt(text, 0); err != nil {
		r.Fatal(err)
	}
	return text
}

// eachLeaf leaves each leaf of a message out by itself, and all together; it counts what was
// rebuilt and what was refused.
func eachLeaf(t testing.TB, name string, raw []byte) (done, refused int) {
	tree := mime.Bytes(raw, mime.Limits{})
	var all []rebuild.Removal
	for p := range tree.Leaves() {
		if len(all) < 40 {
			all = append(all, rebuild.Removal{Path: p.Path, Text: notice})
		}
	}
	sets := [][]rebuild.Removal{all}
	for i := range all {
		sets = append(sets, all[i:i+1])
	}
	for _, out := range sets {
		m, err := rebuild.New(bytes.NewReader(raw), int64(len(raw)), tree, out)
		var no *rebuild.Refused
		switch {
		case errors.As(err, &no):
			refused++
			continue
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		}
		text := make([]byte, m.Size())
		if _, err := m.ReadAt(text, 0); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = rebuild.Same(tree, mime.Bytes(text, mime.Limits{}), out)
		switch {
		case errors.As(err, &no):
			refused++
		case err != nil:
			t.Errorf("%s without %v: %v", name, out, err)
		default:
			done++
		}
	}
	return done, refused
}

// TestSuites leaves parts out of the mails of the public MIME suites: each is rebuilt with the
// rest as it was, or refused.
func TestSuites(t *testing.T) {
	files, done, refused := 0, 0, 0
	err := filepath.WalkDir(mailtest.Suites(t, "mime"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || len(raw) > 1<<20 {
			return err
		}
		files++
		raw = crlf(strings.ReplaceAll(string(raw), "\r\n", "\n"))
		a, b := eachLeaf(t, path, raw)
		done, refused = done+a, refused+b
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 || done < files/2 {
		t.Errorf("%d files, %d rebuilt, %d refused", files, done, refused)
	}
	t.Logf("%d files: %d rebuilt, %d refused", files, done, refused)
}

// TestTestViruses attaches every file of the ClamAV test set to a mail and leaves it out.
func TestTestViruses(t *testing.T) {
	files, err := os.ReadDir(mailtest.Suites(t, "av/clamav-testfiles"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(mailtest.Suites(t, "av/clamav-testfiles"), f.Name()))
		if err != nil {
			continue // a folder
		}
		enc := base64.StdEncoding.EncodeToString(content)
		raw := bytes.Replace(crlf(mixed), []byte("UEsDBA=="), []byte(enc), 1)
		text, _, now, err := built(t, raw, "1.2")
		if err != nil {
			t.Fatalf("%s: %v", f.Name(), err)
		}
		n++
		if bytes.Contains(text, []byte(enc)) || string(now.Parts[3].Decoded()) != "%PDF-" {
			t.Errorf("%s is still there, or the other file is not", f.Name())
		}
	}
	if n < 40 {
		t.Errorf("%d files", n)
	}
	t.Logf("%d files", n)
}

func FuzzRebuild(f *testing.F) {
	f.Add(crlf(mixed))
	f.Add(crlf("Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; boundary=i\nLines: 7\n\n--i\n\ntext\n--i\nContent-Type: application/zip\n\nEVIL\n--i--\n"))
	f.Add(crlf("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\nEVIL\n--b\n\nSubject: two\n\nfine\n--b--\n"))
	f.Add([]byte("From: x\r\n\r\nbegin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n"))
	f.Add([]byte("A:\n\nx"))
	f.Fuzz(func(t *testing.T, raw []byte) { eachLeaf(t, "input", raw) })
}
