package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/store/local"
	"postern/internal/store/local/localtest"
	"postern/internal/store/local/sqlite"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// large opens a home as if its database were a large one.
func large(t *testing.T, dir string) (*local.Home, error) {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: dir, Small: 1})
	if err == nil {
		t.Cleanup(func() { h.Close() })
	}
	return h, err
}

// crowded is a home with some thousand holds.
func crowded(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "s")
	if err := localtest.Fill(t.Context(), dir, 3000, func(n int) (quarantine.Hold, []byte) {
		h := storetest.Hold(n, "x")
		h.State, h.V, h.Version, h.Subject = quarantine.Held, quarantine.RecordVersion, 2, fmt.Sprintf("subject of hold %d", n)
		return h, []byte("x")
	}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// zero overwrites the pages of a database that hold some text with zeros, as a disk does that
// lost them, and returns what was there.
func zero(t *testing.T, path, text string) (whole []byte) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoiled := bytes.Clone(whole)
	at := bytes.Index(spoiled, []byte(text))
	if at < 0 {
		t.Fatalf("%q is not in the file", text)
	}
	page := at / 4096 * 4096
	clear(spoiled[page : page+4096])
	if err := os.WriteFile(path, spoiled, 0o600); err != nil {
		t.Fatal(err)
	}
	return whole
}

// A large database that is damaged is in use until the damage is found. Then nothing is written
// any more, what can be read is read, and the next start refuses it until it is restored.
func TestDamageOfALargeDatabase(t *testing.T) {
	dir := crowded(t)
	path := filepath.Join(dir, "postern.db")
	whole := zero(t, path, `"subject of hold 1500"`)
	h, err := large(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	err = h.Settle(t.Context())
	var damaged *sqlite.DamageError
	if !errors.Is(err, quarantine.ErrReadOnly) || !errors.As(err, &damaged) || !strings.Contains(err.Error(), "postern store reindex") {
		t.Fatalf("after all was looked at: %v", err)
	}
	if _, err := h.Holds().Put(t.Context(), storetest.Hold(9000, "y"), strings.NewReader("y")); !errors.Is(err, quarantine.ErrReadOnly) {
		t.Errorf("a new hold: %v", err)
	}
	if got, err := h.Holds().Get(t.Context(), storetest.Hold(3, "").ID); err != nil || got.State != quarantine.Held {
		t.Errorf("a hold that is whole: %v", err)
	}
	h.Close()
	for range 2 {
		if _, err := large(t, dir); !errors.As(err, &damaged) {
			t.Fatalf("the next start: %v", err)
		}
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if h, err = large(t, dir); err != nil {
			t.Fatalf("a restored database: %v", err)
		}
		if err := h.Settle(t.Context()); err != nil {
			t.Errorf("a restored database: %v", err)
		}
		h.Close()
	}
	if _, err := os.Stat(path + ".suspect"); err == nil {
		t.Error("a restored database is still suspect")
	}
}

// What the start of a large home cannot miss is found before it is used.
func TestDamageSeenAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("before anything runs side by side")
	}
	dir := crowded(t)
	path := filepath.Join(dir, "postern.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoiled := range map[string][]byte{
		"cut off": whole[:len(whole)/2], "no header": append(bytes.Repeat([]byte("x"), 100), whole[100:]...), "no schema": append(append(bytes.Clone(whole[:100]), make([]byte, 3996)...), whole[4096:]...),
	} {
		if err := os.WriteFile(path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		var damaged *sqlite.DamageError
		if _, err := large(t, dir); !errors.As(err, &damaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Reindex(t.Context(), local.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
}

// A large home is in use while it is looked at: keys are found, bodies of a crash go, those of
// mail that comes meanwhile stay.
func TestLargeHomeIsInUse(t *testing.T) {
	dir := crowded(t)
	sha := storetest.SHA("orphan")
	orphan := filepath.Join(dir, "bodies", sha[:2], sha+".zst")
	if err := errors.Join(os.MkdirAll(filepath.Dir(orphan), 0o700), os.WriteFile(orphan, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	h, err := large(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 50 {
		body := fmt.Sprint("new body ", n)
		if _, err := h.Holds().Put(t.Context(), storetest.Hold(5000+n, body), strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := h.Holds().FindKey(t.Context(), storetest.Hold(n, "").Key, storetest.Start); !ok || err != nil {
			t.Fatalf("the key of hold %d: %v, %v", n, ok, err)
		}
	}
	if err := h.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(orphan); err == nil {
		t.Error("an orphan stays")
	}
	if got := len(files(t, dir)); got != 51 {
		t.Errorf("%d bodies, want 51", got)
	}
	if _, ok, err := h.Holds().FindKey(t.Context(), "nobody's", storetest.Start); ok || err != nil {
		t.Errorf("a key of no hold: %v, %v", ok, err)
	}
	n, records, err := local.Left(t.Context(), dir)
	if err != nil || n != 3000 || records != 0 { // the new ones are not confirmed
		t.Errorf("Left beside an open home: %d, %v", n, err)
	}
	h.Close()
	if n, _, err = local.Left(t.Context(), dir); err != nil || n != 3000 {
		t.Errorf("Left: %d, %v", n, err)
	}
}

func TestLeft(t *testing.T) {
	dir := t.TempDir()
	if n, _, err := local.Left(t.Context(), dir); n != 0 || err != nil {
		t.Errorf("no home: %d, %v", n, err)
	}
	spoil(t, filepath.Join(dir, "postern.db"))
	if _, _, err := local.Left(t.Context(), dir); err == nil {
		t.Error("no database: no error")
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 1 {
		t.Errorf("looking made files: %v", found)
	}
}
