package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"postern/internal/mailtest"
)

func TestCRLF(t *testing.T) {
	got := string(crlf([]byte("From x\nA: b\r\n\r\nbare\rcr \x00 nul\n\n\n")))
	if got != "A: b\r\n\r\nbare cr   nul\r\n" {
		t.Errorf("%q", got)
	}
}

func TestMadeMailIsTheSameAndSigned(t *testing.T) {
	a, b := compose(rand.New(rand.NewPCG(1, 2)), 7), compose(rand.New(rand.NewPCG(1, 2)), 7)
	if !bytes.Equal(a, b) {
		t.Error("the same seed gives other mail")
	}
	dir := t.TempDir()
	key, err := newKey(filepath.Join(dir, "keys.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.sign(a)
	if err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(filepath.Join(dir, "keys.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	name, text, _ := strings.Cut(strings.TrimSpace(string(line)), "\t")
	v, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: func(n string) ([]string, error) {
		if n != name {
			t.Errorf("asked for %s", n)
		}
		return []string{text}, nil
	}})
	if err != nil || len(v) != 1 || v[0].Err != nil {
		t.Errorf("%v %v", v, err)
	}
}

func TestTheWholeSet(t *testing.T) {
	out := t.TempDir()
	if err := run(mailtest.Corpora(t, ""), out, 100); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, "index.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{`"label":"ham"`, `"label":"spam"`, `"label":"made"`} {
		if n := strings.Count(string(text), label); n != 35 && n != 30 {
			t.Errorf("%d mails with %s", n, label)
		}
	}
}
