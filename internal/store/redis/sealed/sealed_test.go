package sealed_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/store/redis/sealed"
)

func ring(t *testing.T, secrets ...string) *sealed.Ring {
	t.Helper()
	var all [][]byte
	for _, s := range secrets {
		all = append(all, []byte(s))
	}
	r, err := sealed.New(all...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const one, two = "0123456789abcdef", "fedcba9876543210"

func TestSeal(t *testing.T) {
	r := ring(t, one)
	for _, record := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte{0, 0xff}, 1000)} {
		s := r.Seal("hold", "a", record)
		got, err := r.Open("hold", "a", s)
		if err != nil || !bytes.Equal(got, record) {
			t.Errorf("%d bytes: %d, %v", len(record), len(got), err)
		}
		for i := range s {
			bad := bytes.Clone(s)
			bad[i] ^= 1
			if _, err := r.Open("hold", "a", bad); !errors.Is(err, sealed.ErrForged) {
				t.Errorf("byte %d changed: %v", i, err)
			}
			if _, err := r.Open("hold", "a", s[:i]); !errors.Is(err, sealed.ErrForged) {
				t.Errorf("cut at %d: %v", i, err)
			}
		}
		for _, other := range [][2]string{{"hold", "b"}, {"list", "a"}, {"holda", ""}, {"", "holda"}, {"hol", "da"}} {
			if _, err := r.Open(other[0], other[1], s); !errors.Is(err, sealed.ErrForged) {
				t.Errorf("as %q: %v", other, err)
			}
		}
	}
}

func TestKeysAreReplaced(t *testing.T) {
	old, both, now := ring(t, one), ring(t, two, one), ring(t, two)
	s := old.Seal("k", "n", []byte("x"))
	if _, err := both.Open("k", "n", s); err != nil {
		t.Error("the old key no longer counts:", err)
	}
	if _, err := now.Open("k", "n", s); !errors.Is(err, sealed.ErrForged) {
		t.Error("a key that was taken away still counts:", err)
	}
	if _, err := now.Open("k", "n", both.Seal("k", "n", nil)); err != nil {
		t.Error("the first key does not seal:", err)
	}
	if bytes.Contains(s, []byte(one)) {
		t.Error("the key itself is stored")
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for text, want := range map[string]string{
		strings.Repeat("ab", 32):                 "",
		"# old\n\n" + strings.Repeat("0", 32):    "",
		"":                                       "no key",
		strings.Repeat("ab", 32) + "\nxyz":       path + ":2",
		strings.Repeat("ab", 15):                 path + ":1",
		"# " + strings.Repeat("x", 70000) + "\n": path,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sealed.Read(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if _, err := sealed.Read(path + "none"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := sealed.New([]byte("short")); err == nil {
		t.Error("a short key was taken")
	}
}
