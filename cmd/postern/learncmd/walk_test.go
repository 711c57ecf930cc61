package learncmd

import (
	"os"
	"path/filepath"
	"testing"

	"postern/filter/bayes/train"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWalk(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"one.eml": "Subject: one\n\n1\n", "empty": "", ".hidden": "x", "sub/two": "Subject: two\r\n\r\n2\r\n", "tmp/kept": "Subject: no maildir\n\n",
		"md/cur/3:2,S": "Subject: three\n\n", "md/new/4": "Subject: four\n\n", "md/tmp/5": "half", "md/dovecot.index": "x", "md/subscriptions": "x",
		"box": "From a@b Mon Jan  1 00:00:00 2024\nSubject: b1\n\ntext\nFrom here on\n>From quoted\n>>From twice\n\nFrom c@d Mon Jan  1 00:00:00 2024\nSubject: b2\n\nlast",
	})
	got := map[string]string{}
	if err := walk([]string{dir}, func(ref string, body []byte) error {
		rel, err := filepath.Rel(dir, ref)
		got[rel] = string(body)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"one.eml": "Subject: one\n\n1\n", "sub/two": "Subject: two\r\n\r\n2\r\n", "tmp/kept": "Subject: no maildir\n\n", "md/cur/3:2,S": "Subject: three\n\n", "md/new/4": "Subject: four\n\n",
		"box:1": "Subject: b1\n\ntext\nFrom here on\nFrom quoted\n>From twice\n\n", "box:2": "Subject: b2\n\nlast",
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s is %q, want %q", name, got[name], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d messages, want %d: %v", len(got), len(want), got)
	}
	if err := walk([]string{filepath.Join(dir, "nothing")}, nil); err == nil {
		t.Error("a path that is not there is no error")
	}
}

func TestWords(t *testing.T) {
	if got := words(map[string]int{"learned": 3, "already": 1}); got != "1 already, 3 learned" {
		t.Error(got)
	}
	if got := part(train.Share{}); got != "none seen" {
		t.Error(got)
	}
	if got := part(train.Share{N: 1, Of: 4, Low: 0.046, High: 0.699}); got != "25.0 % (1 of 4; 4.6 to 69.9 %)" {
		t.Error(got)
	}
}
