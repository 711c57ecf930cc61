package bodies_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/internal/store/local/bodies"
)

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func open(t *testing.T) (*bodies.Bodies, string) {
	t.Helper()
	dir := t.TempDir()
	b, err := bodies.Open(dir, bodies.OS{})
	if err != nil {
		t.Fatal(err)
	}
	return b, dir
}

func write(t *testing.T, b *bodies.Bodies, body []byte) string {
	t.Helper()
	sha := sum(body)
	defer b.Lock(sha)()
	if _, err := b.Write(sha, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	return sha
}

func TestRoundTrip(t *testing.T) {
	b, dir := open(t)
	for _, body := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("line\r\n"), 1<<18), {0, 0xff, '\r'}} {
		sha := write(t, b, body)
		r, err := b.Read(sha)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: read %d, %v", len(body), len(got), err)
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil {
			t.Error("a closed body was read")
		}
		if want := filepath.Join(dir, sha[:2], sha+".zst"); b.Path(sha) != want || !b.Has(sha) {
			t.Errorf("%s is not at %s", sha, want)
		}
	}
}

func TestDamage(t *testing.T) {
	b, _ := open(t)
	body := bytes.Repeat([]byte("0123456789 lorem ipsum dolor\r\n"), 1000)
	sha := write(t, b, body)
	whole, err := os.ReadFile(b.Path(sha))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(b.Path(write(t, b, []byte("another body"))))
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string][]byte{"empty": {}, "another body": other, "garbage": []byte("no zstd at all")}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 0x10
		damaged["byte "+string(rune('0'+i%10))+" flipped"] = flipped
		damaged["cut"] = whole[:i]
	}
	for name, bad := range damaged {
		if err := os.WriteFile(b.Path(sha), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := b.Read(sha)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if !errors.Is(err, bodies.ErrDigest) && !bytes.Equal(got, body) {
			t.Errorf("%s: read %d bytes, error %v", name, len(got), err)
		}
		r.Close()
	}
}

func TestNames(t *testing.T) {
	b, _ := open(t)
	for _, bad := range []string{"", "ab", "../../etc/passwd", strings.Repeat("g", 64), strings.ToUpper(sum(nil)), sum(nil) + "0"} {
		if _, err := b.Write(bad, strings.NewReader("")); !errors.Is(err, bodies.ErrDigest) {
			t.Errorf("Write(%q): %v", bad, err)
		}
		if _, err := b.Read(bad); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Read(%q): %v", bad, err)
		}
		if err := b.Remove(bad); err != nil {
			t.Errorf("Remove(%q): %v", bad, err)
		}
		b.Lock(bad)()
	}
	if err := b.Remove(sum([]byte("none"))); err != nil {
		t.Errorf("removing nothing: %v", err)
	}
}

func TestLook(t *testing.T) {
	b, dir := open(t)
	keep, orphan := write(t, b, []byte("keep")), write(t, b, []byte("orphan"))
	missing := sum([]byte("missing"))
	foreign := filepath.Join(dir, keep[:2], "README")
	if err := os.Mkdir(filepath.Join(dir, "zz"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(dir, "tmp", "body-1"), filepath.Join(dir, "tmp", "body-2"), foreign} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := b.Clear(); n != 2 || err != nil {
		t.Errorf("Clear: %d, %v", n, err)
	}
	known := map[string]map[string]struct{}{}
	for _, sha := range []string{keep, missing} {
		if known[sha[:2]] == nil {
			known[sha[:2]] = map[string]struct{}{}
		}
		known[sha[:2]][sha] = struct{}{}
	}
	var orphans, gone []string
	for n := range bodies.Folders {
		o, m, err := b.Look(n, known[fmt.Sprintf("%02x", n)])
		if err != nil {
			t.Fatal(err)
		}
		orphans, gone = append(orphans, o...), append(gone, m...)
	}
	if !slices.Equal(orphans, []string{orphan}) || !slices.Equal(gone, []string{missing}) {
		t.Errorf("orphans %v, missing %v", orphans, gone)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a foreign file went: %v", err)
	}
}

func TestSweep(t *testing.T) {
	b, dir := open(t)
	keep, orphan := write(t, b, []byte("keep")), write(t, b, []byte("orphan"))
	missing := sum([]byte("missing"))
	foreign := filepath.Join(dir, keep[:2], "README")
	if err := os.Mkdir(filepath.Join(dir, "zz"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(dir, "tmp", "body-1"), filepath.Join(dir, "tmp", "body-2"), foreign} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Sweep(map[string]struct{}{keep: {}, missing: {}})
	if err != nil || got.Temp != 2 || got.Orphans != 1 || len(got.Missing) != 1 || got.Missing[0] != missing {
		t.Errorf("Sweep: %+v, %v", got, err)
	}
	if !b.Has(keep) || b.Has(orphan) {
		t.Error("the wrong body went")
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a foreign file went: %v", err)
	}
}
