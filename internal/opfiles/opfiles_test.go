package opfiles_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"postern/internal/mailtest/entities"
	"postern/internal/opfiles"
)

type world struct {
	t     *testing.T
	dir   string
	shelf *opfiles.Shelf
	hist  *opfiles.History
	now   time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), now: time.UnixMilli(1_700_000_000_000)}
	w.shelf = &opfiles.Shelf{Folders: func() []opfiles.Folder {
		return []opfiles.Folder{
			{Kind: "default", FS: fstest.MapFS{"base.yaml": {Data: []byte("symbols: {}\n")}}},
			{Kind: "rules", Dir: w.dir}, {Kind: "config", Dir: filepath.Join(w.dir, "etc"), Only: "postern.yaml"}, {Kind: "calendar"},
		}
	}}
	w.hist = &opfiles.History{Store: &entities.Memory{}, Node: "mx1", Shelf: w.shelf, Now: func() time.Time { w.now = w.now.Add(time.Second); return w.now }}
	if err := os.Mkdir(filepath.Join(w.dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.put("etc/postern.yaml", "hostname: mx1\n")
	return w
}

func (w *world) put(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o640); err != nil {
		w.t.Fatal(err)
	}
}

func TestReadAndWrite(t *testing.T) {
	w := newWorld(t)
	w.put("own.yaml", "a: 1\n")
	w.put("notes.txt", "x")
	w.put(".hidden.yaml", "x")
	all, err := w.shelf.List()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, f := range all {
		ids = append(ids, f.ID+" "+f.ReadOnly)
	}
	if want := []string{"default/base.yaml own", "rules/own.yaml ", "config/postern.yaml "}; !slices.Equal(ids, want) {
		t.Errorf("%q", ids)
	}
	f, err := w.shelf.Read("rules/own.yaml")
	if err != nil || f.Text != "a: 1\n" || f.Hash != opfiles.Hash("a: 1\n") {
		t.Fatalf("%+v %v", f, err)
	}
	before, after, err := w.shelf.Write(f.ID, f.Hash, "a: 2\n")
	if err != nil || before.Text != "a: 1\n" || after.Text != "a: 2\n" {
		t.Fatalf("%v %+v", err, after)
	}
	info, err := os.Stat(filepath.Join(w.dir, "own.yaml"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v", info.Mode())
	}
	var changed *opfiles.ChangedError
	if _, _, err := w.shelf.Write(f.ID, f.Hash, "a: 3\n"); !errors.As(err, &changed) || changed.Now.Text != "a: 2\n" {
		t.Errorf("over a change of somebody else: %v", err)
	}
	if _, after, err = w.shelf.Write("rules/new.yaml", "", "b: 1\n"); err != nil || after.Text != "b: 1\n" {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(w.dir, "new.yaml")); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v", err)
	}
	if _, err := w.shelf.Remove("rules/new.yaml", after.Hash); err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(w.dir, ".*.new"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	w.put("big.yaml", strings.Repeat("# x\n", opfiles.MaxText/4+1))
	w.put("keys.yaml", "user: a\npassword: hunter2\nurl: https://u:p4ss@h.example/\n")
	if err := os.Symlink(filepath.Join(w.dir, "big.yaml"), filepath.Join(w.dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	read := func(id string) opfiles.File {
		f, err := w.shelf.Read(id)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	secret := read("rules/keys.yaml")
	if strings.Contains(secret.Text, "hunter2") || strings.Contains(secret.Text, "p4ss") || !strings.Contains(secret.Text, "user: a") {
		t.Errorf("shown: %s", secret.Text)
	}
	for id, why := range map[string]string{"rules/big.yaml": opfiles.Large, "rules/link.yaml": opfiles.Large, "rules/keys.yaml": opfiles.Hidden, "default/base.yaml": opfiles.Builtin} {
		f := read(id)
		if f.ReadOnly != why {
			t.Errorf("%s: %q", id, f.ReadOnly)
		}
		if _, _, err := w.shelf.Write(id, f.Hash, "x: 1\n"); !errors.Is(err, opfiles.ErrReadOnly) {
			t.Errorf("%s was written: %v", id, err)
		}
	}
	for _, id := range []string{"rules/../x.yaml", "rules/.x.yaml", "rules/x.txt", "rules/", "", "rules/a/b.yaml", "config/../own.yaml"} {
		if _, _, err := w.shelf.Write(id, "", "x: 1\n"); !errors.Is(err, opfiles.ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"config/other.yaml", "calendar/china.yaml", "nothing/x.yaml"} {
		if _, _, err := w.shelf.Write(id, "", "x: 1\n"); !errors.Is(err, opfiles.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := w.shelf.Remove("config/postern.yaml", read("config/postern.yaml").Hash); !errors.Is(err, opfiles.ErrReadOnly) {
		t.Error("the configuration was removed")
	}
	if _, _, err := w.shelf.Write("rules/new.yaml", "", strings.Repeat("x", opfiles.MaxText+1)); !errors.Is(err, opfiles.ErrInvalid) {
		t.Error(err)
	}
}

func TestMask(t *testing.T) {
	for text, want := range map[string]string{
		"password_file: /x\nsecret_file: y\n": "password_file: /x\nsecret_file: y\n",
		"tokens: 3\n":                         "tokens: 3\n",
		"api_token: abc\n":                    "api_token: ••••••\n",
		"a: {password: x, b: 1}\n":            "a: {password: ••••••, b: 1}\n",
		"u: redis://me:pw@h:1/\n":             "u: redis://••••••h:1/\n",
		"- secret: 'q'\n":                     "- secret: ••••••\n",
	} {
		if got := opfiles.Mask(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestHistory(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.put("own.yaml", "a: 1\n")
	first, err := w.hist.Notice(ctx)
	if err != nil || len(first) != 2 || first[0].How != opfiles.First {
		t.Fatalf("%+v %v", first, err)
	}
	if again, err := w.hist.Notice(ctx); err != nil || len(again) != 0 {
		t.Fatalf("%+v %v", again, err)
	}
	f, _ := w.shelf.Read("rules/own.yaml")
	var saved opfiles.Change
	err = w.hist.With(func() error {
		b, a, err := w.shelf.Write(f.ID, f.Hash, "a: 2\n")
		if err == nil {
			saved, err = w.hist.Note(ctx, opfiles.Change{File: f.ID, How: opfiles.Saved, Actor: "olga", Note: "why", Before: b.Hash, After: a.Hash}, a.Text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.put("own.yaml", "a: 3\n")
	noticed, err := w.hist.Notice(ctx)
	if err != nil || len(noticed) != 1 || noticed[0].How != opfiles.OnDisk || noticed[0].From != saved.ID {
		t.Fatalf("%+v %v", noticed, err)
	}
	if c, before, known, err := w.hist.Get(ctx, noticed[0].ID); err != nil || !known || before != "a: 2\n" || c.Text != "a: 3\n" {
		t.Errorf("%+v %q %v %v", c, before, known, err)
	}
	if err := os.Remove(filepath.Join(w.dir, "own.yaml")); err != nil {
		t.Fatal(err)
	}
	if gone, err := w.hist.Notice(ctx); err != nil || len(gone) != 1 || gone[0].After != "" {
		t.Errorf("%+v %v", gone, err)
	}
	if again, err := w.hist.Notice(ctx); err != nil || len(again) != 0 {
		t.Errorf("%+v %v", again, err)
	}
	all, next, err := w.hist.Find(ctx, "rules/own.yaml", "", 2)
	if err != nil || len(all) != 2 || next == "" || all[0].After != "" || all[0].Text != "" {
		t.Errorf("%+v %q %v", all, next, err)
	}
	if _, _, _, err := w.hist.Get(ctx, "nothing"); !errors.Is(err, opfiles.ErrNotFound) {
		t.Error(err)
	}
}

func TestSecretsAreInNoHistory(t *testing.T) {
	w := newWorld(t)
	w.put("keys.yaml", "password: hunter2\n")
	all, err := w.hist.Notice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if strings.Contains(c.Text, "hunter2") || c.File == "rules/keys.yaml" && !c.NoText {
			t.Errorf("%+v", c)
		}
	}
}

func TestOldChangesAreForgotten(t *testing.T) {
	w := newWorld(t)
	for i := range opfiles.Kept + 5 {
		if _, err := w.hist.Note(t.Context(), opfiles.Change{File: "rules/own.yaml", Before: "x", After: opfiles.Hash(string(rune(i)))}, string(rune(i))); err != nil {
			t.Fatal(err)
		}
	}
	all, _, err := w.hist.Find(t.Context(), "rules/own.yaml", "", 1000)
	if err != nil || len(all) != opfiles.Kept {
		t.Fatalf("%d %v", len(all), err)
	}
	if _, _, known, err := w.hist.Get(t.Context(), all[len(all)-1].ID); known || err != nil {
		t.Errorf("the text before the oldest is known: %v", err)
	}
}

func TestWith(t *testing.T) {
	base := fstest.MapFS{"a.yaml": {Data: []byte("1")}, "c.yaml": {Data: []byte("3")}}
	read := func(f fs.FS) (out []string) {
		all, err := fs.ReadDir(f, ".")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			b, err := fs.ReadFile(f, e.Name())
			if err != nil {
				t.Fatal(err)
			}
			info, err := fs.Stat(f, e.Name())
			if err != nil || info.Size() != int64(len(b)) || !info.Mode().IsRegular() {
				t.Errorf("%s: %v", e.Name(), err)
			}
			out = append(out, e.Name()+string(b))
		}
		return out
	}
	if got := read(opfiles.With(base, "b.yaml", "2", false)); !slices.Equal(got, []string{"a.yaml1", "b.yaml2", "c.yaml3"}) {
		t.Error(got)
	}
	if got := read(opfiles.With(base, "c.yaml", "x", false)); !slices.Equal(got, []string{"a.yaml1", "c.yamlx"}) {
		t.Error(got)
	}
	without := opfiles.With(base, "c.yaml", "", true)
	if got := read(without); !slices.Equal(got, []string{"a.yaml1"}) {
		t.Error(got)
	}
	if _, err := without.Open("c.yaml"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
