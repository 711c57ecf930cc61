package rebuild_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"postern/internal/mime"
	"postern/internal/mime/rebuild"
)

const notice = "Here was virus.zip.\nReference: 01hf\n"

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

// built makes the message without paths, and reads all of it.
func built(t testing.TB, raw []byte, paths ...string) (text []byte, old, now *mime.Tree, err error) {
	t.Helper()
	var out []rebuild.Removal
	for _, p := range paths {
		out = append(out, rebuild.Removal{Path: p, Text: notice})
	}
	old = mime.Bytes(raw, mime.Limits{})
	m, err := rebuild.New(bytes.NewReader(raw), int64(len(raw)), old, out)
	if err != nil {
		return nil, old, nil, err
	}
	text = make([]byte, m.Size())
	if n, err := m.ReadAt(text, 0); n != len(text) || err != nil {
		t.Fatalf("read %d of %d: %v", n, len(text), err)
	}
	now = mime.Bytes(text, mime.Limits{})
	if err := rebuild.Same(old, now, out); err != nil {
		t.Fatalf("%v\n%s\nbecame\n%s", err, raw, text)
	}
	return text, old, now, nil
}

const mixed = `Received: by somewhere
MIME-Version: 1.0
From: a@example.com
Content-Type: multipart/mixed; boundary="b"
Content-Length: 400
Subject: two files

preamble
--b
Content-Type: text/plain

hello
--b
Content-Type: application/zip; name="virus.zip"
Content-Transfer-Encoding: base64

UEsDBA==
--b
Content-Type: application/pdf; name=good.pdf
Content-Transfer-Encoding: base64

JVBERi0=
--b--
epilogue
`

func TestOnePartOfThree(t *testing.T) {
	got, _, _, err := built(t, crlf(mixed), "1.2")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(mixed, "Content-Length: 400\n", "", 1)
	want = strings.Replace(want, `Content-Type: application/zip; name="virus.zip"
Content-Transfer-Encoding: base64

UEsDBA==
`, `Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable
Content-Disposition: inline

Here was virus.zip.
Reference: 01hf

`, 1)
	if !bytes.Equal(got, crlf(want)) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		name, mail string
		cut        []string
		has, not   []string
	}{
		{"both files", mixed, []string{"1.2", "1.3"}, []string{"hello", "preamble", "epilogue"}, []string{"UEsDBA==", "JVBERi0="}},
		{"a single part", "From: a@example.com\nContent-Type: application/zip\nContent-Transfer-Encoding: base64\nContent-MD5: x\nSubject: s\n\nUEsDBA==\n", []string{"1"},
			[]string{"From: a@example.com\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"}, []string{"UEsDBA==", "MD5", "application/zip"}},
		{"a message without a body's end", "From: a@example.com\nMIME-Version: 1.0\n\nEVIL", []string{"1"}, []string{"MIME-Version: 1.0\r\nContent-Type: text/plain"}, []string{"EVIL"}},
		{"a message without header", "\nEVIL\n", []string{"1"}, []string{"MIME-Version: 1.0\r\nContent-Type: text/plain"}, []string{"EVIL"}},
		{"a forwarded message", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-MD5: x\n\nFrom: inner@example.com\nSubject: inner\n" +
			"Content-Type: application/zip\n\nEVIL\n--b--\n", []string{"1.1.1"}, []string{"From: inner@example.com\r\nSubject: inner\r\nMIME-Version: 1.0\r\n", "Content-Type: message/rfc822\r\n\r\n"}, []string{"EVIL", "MD5"}},
		{"a part of a forwarded message", "Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; boundary=i\nLines: 7\n\n--i\n\ntext\n--i\n" +
			"Content-Type: application/zip\n\nEVIL\n--i--\n", []string{"1.1.2"}, []string{"Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n", "text"}, []string{"EVIL", "Lines"}},
		{"under a signature", "Content-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"; micalg=pgp-sha256\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\ntext\n--c\n" +
			"Content-Type: application/zip\n\nEVIL\n--c--\n\n--b\nContent-Type: application/pgp-signature\n\nSIG\n--b--\n", []string{"1.1.2"}, []string{"no longer holds", "micalg=pgp-sha256", "SIG"}, []string{"EVIL"}},
		{"inside an encrypted part", "Content-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\nEVIL\n--b--\n",
			[]string{"1.2"}, []string{"cannot be decrypted", "Version: 1"}, []string{"EVIL"}},
		{"in a digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\nEVIL\n--b\n\nSubject: two\n\nfine\n--b--\n", []string{"1.1.1"}, []string{"Subject: one\r\n", "Subject: two\r\n\r\nfine"}, []string{"EVIL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, _, err := built(t, crlf(c.mail), c.cut...)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range append(c.has, "virus.zip") {
				if !bytes.Contains(bytes.ReplaceAll(got, []byte("=\r\n"), nil), []byte(s)) {
					t.Errorf("%q is missing in\n%s", s, got)
				}
			}
			for _, s := range c.not {
				if bytes.Contains(got, []byte(s)) {
					t.Errorf("%q is still in\n%s", s, got)
				}
			}
			if n := bytes.Count(got, []byte("MIME-Version")); n > 1 {
				t.Errorf("%d MIME-Version fields", n)
			}
			if bytes.Count(got, []byte("\n")) != bytes.Count(got, []byte("\r\n")) {
				t.Error("line ends are mixed")
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, mail, cut string }{
		{"unscannable", "Content-Type: message/partial; id=x\n\nSubject: s\n\nx\n", "1"},
		{"an empty part", "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\nok\n--b--\n", "1.1"},
		{"no such part", mixed, "1.9"},
		{"a part that holds parts", mixed, "1"},
		{"another reading", "Content-Type: text/plain\n\nbegin 644 a.exe\n#0V%T\n`\nend\n", "1.a1"},
		{"no closing delimiter", strings.Replace(mixed, "--b--\n", "", 1), "1.2"},
		{"a guessed boundary", strings.Replace(mixed, `boundary="b"`, `boundary="c"`, 1), "1.2"},
		{"two types", strings.Replace(mixed, "Subject:", "Content-Type: multipart/alternative; boundary=b\nSubject:", 1), "1.2"},
		{"a comment beside the boundary", strings.Replace(mixed, `boundary="b"`, `boundary="b" (a comment)`, 1), "1.2"},
		{"a line without colon", strings.Replace(mixed, "Subject: two", "Subject two", 1), "1.2"},
		{"a message under base64", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaW5uZXIKQ29udGVudC1UeXBlOiBhcHBsaWNhdGlvbi96aXAKCkVWSUwK\n", "1.1"},
	} {
		_, tree, _, err := built(t, crlf(c.mail), c.cut)
		var no *rebuild.Refused
		if !errors.As(err, &no) || no.Reason == "" {
			t.Errorf("%s: %v (parts %d, %v)", c.name, err, len(tree.Parts), tree.Anomalies)
		}
	}
	if _, _, _, err := built(t, crlf(strings.Replace(mixed, "hello\n", "hello\n"+strings.Repeat("--b\nContent-Type: text/plain; charset=none\n\nx\n", 250), 1)), "1.252"); err == nil {
		t.Error("more oddities than are kept: taken apart")
	}
	// What goes with its header may be as odd as it likes.
	odd := strings.Replace(mixed, `application/zip; name="virus.zip"`, `application/zip (comment); name=virus .zip; name="x`, 1)
	if _, _, _, err := built(t, crlf(odd), "1.2"); err != nil {
		t.Error(err)
	}
	raw := crlf(mixed)
	tree := mime.Bytes(raw, mime.Limits{})
	for name, out := range map[string][]rebuild.Removal{"nothing": nil, "twice": {{Path: "1.2"}, {Path: "1.2"}}} {
		if _, err := rebuild.New(bytes.NewReader(raw), int64(len(raw)), tree, out); err == nil {
			t.Errorf("%s to leave out was taken", name)
		}
	}
	if _, err := rebuild.New(bytes.NewReader(raw), int64(len(raw))-1, tree, []rebuild.Removal{{Path: "1.2"}}); err == nil {
		t.Error("the tree of another message was taken")
	}
}

// A notice says what strangers wrote; nothing in it can be a delimiter or a field.
func TestNoticesAreInert(t *testing.T) {
	raw := crlf(mixed)
	tree := mime.Bytes(raw, mime.Limits{})
	texts := []string{"--b\n--b--\n", strings.Repeat("é", 200) + "\n", "-", "trailing \t\n.\n..\nFrom x\n", strings.Repeat("x", 74) + "--b", strings.Repeat("x", 75) + "--b--", "=3D\r\n", ""}
	for _, text := range texts {
		out := []rebuild.Removal{{Path: "1.2", Text: text}}
		m, err := rebuild.New(bytes.NewReader(raw), int64(len(raw)), tree, out)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(m, 0, m.Size()))
		if err != nil {
			t.Fatal(err)
		}
		now := mime.Bytes(got, mime.Limits{})
		if err := rebuild.Same(tree, now, out); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		for line := range bytes.Lines(got) {
			if len(line) > 78 {
				t.Errorf("%q: a line of %d bytes", text, len(line))
			}
		}
		want := strings.TrimRight(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"), "\r\n")
		if text != "" && strings.TrimRight(string(now.Parts[2].Decoded()), "\r\n") != want {
			t.Errorf("%q became %q", text, now.Parts[2].Decoded())
		}
	}
}

func TestName(t *testing.T) {
	for header, want := range map[string]string{
		`application/zip; name="virus.zip"`:                          "virus.zip",
		`application/zip`:                                            "unnamed, application/zip",
		`application/zip; name*=utf-8''gnp%E2%80%AEexe.`:             "gnp?exe.",
		`application/zip; name="` + strings.Repeat("a", 300) + `"`:   strings.Repeat("a", 40) + "..." + strings.Repeat("a", 40),
		`application/zip; name*=utf-8''a%0D%0ABcc%3A%20x%00%1B[2J`:   "a Bcc: x??[2J",
		"application/zip; name=\"=?utf-8?B?w7xiZXJzaWNodC56aXA=?=\"": "übersicht.zip",
	} {
		tree := mime.Bytes(crlf("Content-Type: "+header+"\n\nx\n"), mime.Limits{})
		if got := rebuild.Name(tree.Root); got != want {
			t.Errorf("%s: %q, want %q (%q)", header, got, want, tree.Root.FileNames)
		}
	}
}

// An original that fails or ends early is an error wherever that is.
func TestReadAt(t *testing.T) {
	raw := crlf(mixed)
	want, tree, _, err := built(t, raw, "1.2")
	if err != nil {
		t.Fatal(err)
	}
	out := []rebuild.Removal{{Path: "1.2", Text: notice}}
	m, err := rebuild.New(bytes.NewReader(raw), int64(len(raw)), tree, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(io.NewSectionReader(m, 0, m.Size()), want); err != nil {
		t.Error(err)
	}
	for n := range len(want) {
		b := make([]byte, 7)
		got, err := m.ReadAt(b, int64(n))
		if end := min(n+7, len(want)); !bytes.Equal(b[:got], want[n:end]) || (err != nil) != (n+7 > len(want)) {
			t.Fatalf("at %d: %q %v", n, b[:got], err)
		}
	}
	if _, err := m.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was read")
	}
	if n, err := m.ReadAt(make([]byte, 1), m.Size()); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d %v", n, err)
	}
	short, err := rebuild.New(bytes.NewReader(raw[:len(raw)-5]), int64(len(raw)), tree, out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(io.NewSectionReader(short, 0, short.Size())); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an original that ends early: %v", err)
	}
}

// Same sees whatever a rebuild could get wrong.
func TestSame(t *testing.T) {
	old := mime.Bytes(crlf(mixed), mime.Limits{})
	gone := strings.Replace(mixed, "Content-Type: application/zip; name=\"virus.zip\"\nContent-Transfer-Encoding: base64\n\nUEsDBA==", "Content-Type: text/plain\n\nnotice", 1)
	out := []rebuild.Removal{{Path: "1.2"}}
	if err := rebuild.Same(old, mime.Bytes(crlf(gone), mime.Limits{}), out); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"the part is still there": mixed,
		"a part changed":          strings.Replace(gone, "JVBERi0=", "JVBERj0=", 1),
		"a name changed":          strings.Replace(gone, "good.pdf", "bad.pdf", 1),
		"a type changed":          strings.Replace(gone, "application/pdf", "application/zip", 1),
		"a part more":             strings.Replace(gone, "--b--", "--b\n\nmore\n--b--", 1),
		"a part less":             strings.Replace(gone, "--b\nContent-Type: application/pdf", "Content-Type: application/pdf", 1),
		"a part deeper":           "Content-Type: message/rfc822\n\n" + gone,
		"doubt":                   strings.Replace(gone, "epilogue", "Content-Type: application/zip; name=a.zip\n\nx", 1),
		"another reading":         strings.Replace(gone, "notice", "begin 644 a.txt\n#0V%T\n`\nend", 1),
	} {
		if rebuild.Same(old, mime.Bytes(crlf(text), mime.Limits{}), out) == nil {
			t.Errorf("%s: not seen", name)
		}
	}
}

// A large message costs no copy of it: neither to make the new one nor to read it.
func TestNothingIsCopied(t *testing.T) {
	raw := bytes.Replace(crlf(mixed), []byte("JVBERi0="), bytes.Repeat([]byte("JVBERi0tJVBERi0tJVBERi0tJVBERi0t\r\n"), 1<<20), 1)
	tree := mime.Bytes(raw, mime.Limits{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := rebuild.New(bytes.NewReader(raw), int64(len(raw)), tree, []rebuild.Removal{{Path: "1.2", Text: notice}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, io.NewSectionReader(m, 0, m.Size()))
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; err != nil || n != m.Size() || got > 1<<20 {
		t.Errorf("%d of %d bytes read for %d bytes of memory: %v", n, m.Size(), got, err)
	}
}
