package keys_test

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/stamp/keys"
)

// ready makes a store with an active key each for two domains.
func ready(t *testing.T) (string, *clock) {
	t.Helper()
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, c)
	for _, d := range []string{"a.example", "b.example"} {
		k := add(t, s, d, keys.New{Algorithm: keys.Ed25519, Selector: "one"})
		if _, err := s.SetActive(d, k.Selector); err != nil {
			t.Fatal(err)
		}
	}
	return dir, c
}

func TestOnlyTheOwnerReads(t *testing.T) {
	dir, _ := ready(t)
	n := 0
	err := filepath.WalkDir(filepath.Join(dir, "a.example"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %v, want %v", path, info.Mode().Perm(), want)
		}
		n++
		return nil
	})
	if err != nil || n != 3 { // the folder, the key, its state
		t.Errorf("%d entries: %v", n, err)
	}
}

// A broken file is named, stops its own domain alone, and what was known before it broke
// goes on.
func TestBrokenFiles(t *testing.T) {
	const head = `{"v":1,"keys":[{"domain":"a.example","selector":"one","algorithm":"ed25519","bits":256,"state":"active","created":"2026-11-22T08:00:00Z","public":"x"}`
	for want, text := range map[string]string{
		"unexpected EOF":                   `{"v":1,"keys":[`,
		"EOF":                              "",
		"invalid character":                "\x00\x01",
		"version 2, this program knows 1":  `{"v":2}`,
		`unknown field "extra"`:            `{"v":1,"extra":true}`,
		`the folder is a.example`:          strings.ReplaceAll(head, "a.example", "c.example") + `]}`,
		`selector "../one"`:                strings.Replace(head, `"one"`, `"../one"`, 1) + `]}`,
		"selector one stands twice":        head + strings.TrimPrefix(head, `{"v":1,"keys":[`) + `]}`,
		`algorithm "dsa"`:                  strings.Replace(head, "ed25519", "dsa", 1) + `]}`,
		`state "sleeping"`:                 strings.Replace(head, "active", "sleeping", 1) + `]}`,
		"key one has no public key":        strings.Replace(head, `"x"`, `""`, 1) + `]}`,
		"keys one and two are both active": head + "," + strings.Replace(strings.TrimPrefix(head, `{"v":1,"keys":[`), `"one"`, `"two"`, 1) + `]}`,
		"larger than 1048576 bytes":        strings.Repeat(" ", 1<<20+1),
	} {
		dir, c := ready(t)
		s := open(t, dir, c)
		path := filepath.Join(dir, "a.example", "keys.json")
		text = strings.ReplaceAll(text, `"public":"x"}{`, `"public":"x"},{`)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		named := func(err error) bool {
			return err != nil && strings.HasPrefix(err.Error(), path+": ") && strings.Contains(err.Error(), want)
		}
		broken := open(t, dir, c)
		if faults := broken.Faults(); len(faults) != 1 || !named(faults[0]) {
			t.Errorf("%v, want %q", faults, want)
		}
		if _, err := broken.Active("a.example"); !named(err) {
			t.Errorf("%v, want %q", err, want)
		}
		if got := signing(t, broken, "b.example"); got != "one" {
			t.Errorf("%s: the other domain: %q", want, got)
		}
		if _, err := broken.Rotate("a.example"); err == nil {
			t.Errorf("%s: a broken state was changed", want)
		}
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if got := signing(t, s, "a.example"); got != "one" || len(s.Faults()) != 1 {
			t.Errorf("%s: what ran before: %q, faults %v", want, got, s.Faults())
		}
	}
}

func TestPrivateKeyGoneOrOther(t *testing.T) {
	for want, spoil := range map[string]func(path string) error{
		"no such file": os.Remove,
		"no PEM block": func(p string) error { return os.Truncate(p, 30) },
		"this is not the key that keys.json names": func(p string) error {
			return os.Rename(strings.Replace(p, "a.example", "b.example", 1), p)
		},
		"larger than 1048576 bytes": func(p string) error { return os.Truncate(p, 1<<20+1) },
	} {
		dir, c := ready(t)
		path := filepath.Join(dir, "a.example", "one.pem")
		if err := spoil(path); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, dir, c).Active("a.example")
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What a crash may leave behind hurts nobody: half a file under another name, a private key
// that no state names, a folder without a state.
func TestLeftovers(t *testing.T) {
	dir, c := ready(t)
	for name, text := range map[string]string{
		"a.example/keys.json.new": "{", "a.example/r20261122.pem.new": "-----", "a.example/e20261122.pem": "half a key", "changed.new": "x", "stray": "x",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"c.example", "Not-A-Domain", ".x.example"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, c)
	if f := s.Faults(); len(f) != 0 || strings.Join(s.Domains(), " ") != "a.example b.example" {
		t.Errorf("%v %v", f, s.Domains())
	}
	if next, err := s.Rotate("a.example"); err != nil || next[0].Selector != "e20261122" {
		t.Fatalf("%v %v", next, err)
	}
	if _, err := s.SetActive("a.example", "e20261122"); err != nil {
		t.Fatal(err)
	}
	if got := signing(t, s, "a.example"); got != "e20261122" {
		t.Errorf("%q", got)
	}
	add(t, s, "c.example", keys.New{Algorithm: keys.Ed25519})
}

func TestDiskRefuses(t *testing.T) {
	dir, c := ready(t)
	s := open(t, dir, c)
	if got := signing(t, s, "a.example"); got != "one" {
		t.Fatal(got)
	}
	if err := os.Mkdir(filepath.Join(dir, "a.example", "keys.json.new"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rotate("a.example"); err == nil {
		t.Error("a state that cannot be written was changed")
	}
	if got := states(t, s, "a.example"); got != "one active" {
		t.Error(got)
	}
	if _, err := keys.Open(filepath.Join(dir, "stray", "\x00"), c.now); err == nil {
		t.Error("a folder that cannot be")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add("c.example", keys.New{Algorithm: keys.Ed25519}); err == nil {
		t.Error("the folder is gone")
	}
	c.forward(time.Minute)
	if err := s.ReloadIfChanged(); err == nil {
		t.Error("the folder is gone and nobody says so")
	}
	if _, err := s.Active("a.example"); err != nil { // said once; what was known goes on
		t.Error(err)
	}
}

// Killed at any moment, a process leaves keys that can be read, and of each kind at most one
// that signs. The key it said it had is there.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("POSTERN_TEST_KEYS"); dir != "" {
		churn(t, dir)
		return
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for round := range 12 {
		cmd := exec.Command(self, "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "POSTERN_TEST_KEYS="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(30+17*round)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		said := ""
		for in := bufio.NewScanner(out); in.Scan(); {
			if selector, ok := strings.CutPrefix(in.Text(), "signs with "); ok {
				said = selector
				total++
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
		kill.Stop()
		s, err := keys.Open(dir, time.Now)
		if err != nil || len(s.Faults()) > 0 {
			t.Fatalf("%v %v", err, s.Faults())
		}
		active, err := s.Active("a.example")
		if err != nil || len(active) > 1 {
			t.Fatalf("%d keys sign: %v", len(active), err)
		}
		if said == "" {
			continue
		}
		if all, _ := s.Of("a.example"); !hasKey(all, said) || len(active) == 0 {
			t.Fatalf("it said it had %s: %v", said, all)
		}
	}
	if total < 20 {
		t.Errorf("only %d changes were made in all rounds", total)
	}
}

func hasKey(all []keys.Key, selector string) bool {
	for _, k := range all {
		if k.Selector == selector {
			return true
		}
	}
	return false
}

// churn rotates without end, a day each time.
func churn(t *testing.T, dir string) {
	c := newClock()
	s := open(t, dir, c)
	all, err := s.Of("a.example")
	if err != nil {
		t.Fatal(err)
	}
	c.forward(time.Duration(len(all)+1) * 24 * time.Hour)
	next := all
	if len(all) == 0 {
		next = []keys.Key{add(t, s, "a.example", keys.New{Algorithm: keys.Ed25519})}
	}
	for {
		k := next[len(next)-1]
		if k.State == keys.Pending {
			if _, err := s.SetActive("a.example", k.Selector); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Printf("signs with %s\n", k.Selector)
		c.forward(24 * time.Hour)
		if next, err = s.Rotate("a.example"); err != nil {
			t.Fatal(err)
		}
	}
}
