package token_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/proof/token"
	"postern/filter"
)

var start = time.Date(2026, 11, 22, 12, 0, 30, 0, time.UTC)

func ring(t testing.TB, now func() time.Time) (*token.Ring, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.keys")
	if err := token.Ensure(path, now()); err != nil {
		t.Fatal(err)
	}
	r, err := token.Open(path, now)
	if err != nil {
		t.Fatal(err)
	}
	return r, path
}

func at(tm time.Time) func() time.Time { return func() time.Time { return tm } }

func serial(t testing.TB, now time.Time) string {
	t.Helper()
	id, err := filter.NewID(now, rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSealAndOpen(t *testing.T) {
	r, path := ring(t, at(start))
	in := token.Trace{Serial: serial(t, start), Domain: token.DomainHash("Example.ORG."), Flags: token.Submitted}
	sealed, err := r.Seal("Anna@Example.com", in)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(sealed) - len(token.Version); n != 99 {
		t.Errorf("a token has %d characters", n)
	}
	again, err := r.Seal("anna@example.com", in)
	if err != nil || again == sealed {
		t.Errorf("two tokens of one message are the same: %v", err)
	}
	other, err := token.Open(path, at(start)) // another node with the same file
	if err != nil {
		t.Fatal(err)
	}
	got, err := other.Open(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if got.Serial != in.Serial || !got.Minute.Equal(start.Truncate(time.Minute)) || got.Domain != token.DomainHash("example.org") || got.Flags != in.Flags || got.Key != "1" {
		t.Errorf("opened %+v", got)
	}
	if !other.Names(got, " ANNA@example.com") || other.Names(got, "bob@example.com") {
		t.Error("the token does not name its account, and it alone")
	}
	if strings.Contains(sealed, base64.RawURLEncoding.EncodeToString([]byte("anna"))) {
		t.Error("the account can be read")
	}
}

func TestNeedsASerial(t *testing.T) {
	r, _ := ring(t, at(start))
	for _, id := range []string{"", "x", strings.Repeat("z", filter.IDLen), strings.Repeat("u", filter.IDLen)} {
		if _, err := r.Seal("a", token.Trace{Serial: id}); err == nil {
			t.Errorf("serial %q was taken", id)
		}
	}
}

func TestEveryChangedBitIsSeen(t *testing.T) {
	r, _ := ring(t, at(start))
	sealed, err := r.Seal("anna@example.com", token.Trace{Serial: serial(t, start)})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(sealed, token.Version))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		b := bytes.Clone(raw)
		b[bit/8] ^= 1 << (bit % 8)
		_, err := r.Open(token.Version + base64.RawURLEncoding.EncodeToString(b))
		want := token.ErrNotOurs
		if bit < 8 {
			want = token.ErrUnknownKey
		}
		if !errors.Is(err, want) {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for _, bad := range []string{"", "v1.", "v2." + sealed[3:], sealed[:len(sealed)-1], sealed + "A", strings.Replace(sealed, ".", "=", 1), sealed[:50] + "\x00" + sealed[51:]} {
		if _, err := r.Open(bad); !errors.Is(err, token.ErrNotOurs) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestKeyOfAnother(t *testing.T) {
	r, _ := ring(t, at(start))
	other, _ := ring(t, at(start))
	sealed, err := other.Seal("anna@example.com", token.Trace{Serial: serial(t, start)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(sealed); !errors.Is(err, token.ErrNotOurs) {
		t.Errorf("opened with another key: %v", err)
	}
}

func TestFind(t *testing.T) {
	r, _ := ring(t, at(start))
	sealed, err := r.Seal("anna@example.com", token.Trace{Serial: serial(t, start)})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{
		sealed, " " + sealed + "\r\n", "(v1. comment) " + sealed + " (more)", "<" + sealed + ">", sealed[:40] + "\r\n\t" + sealed[40:],
		"v1." + strings.Repeat("A", 99) + " " + sealed, "v1.v1." + sealed, token.FeedbackID(sealed),
	} {
		if got, err := r.Find(value); err != nil || got.Serial == "" {
			t.Errorf("%q: %v", value, err)
		}
	}
	for _, value := range []string{"", "v1.", strings.Repeat("v1.", 5000), strings.Repeat("x", 5000) + sealed} {
		if _, err := r.Find(value); !errors.Is(err, token.ErrNotOurs) {
			t.Errorf("%.20q: %v", value, err)
		}
	}
}

func TestRotation(t *testing.T) {
	now := start
	clock := func() time.Time { return now }
	r, path := ring(t, clock)
	old, err := r.Seal("anna@example.com", token.Trace{Serial: serial(t, start)})
	if err != nil {
		t.Fatal(err)
	}
	k, err := token.Rotate(path, now, now.Add(time.Hour))
	if err != nil || k.ID != "2" {
		t.Fatal(k, err)
	}
	if err := r.Reload(path); err != nil {
		t.Fatal(err)
	}
	if _, sealing := r.Keys(); sealing != "1" {
		t.Errorf("key %s seals before its time", sealing)
	}
	now = now.Add(time.Hour)
	if all, sealing := r.Keys(); sealing != "2" || len(all) != 2 {
		t.Errorf("key %s of %d seals", sealing, len(all))
	}
	if got, err := r.Open(old); err != nil || !r.Names(got, "anna@example.com") {
		t.Errorf("the old key opens no more: %v", err)
	}
	if _, err := token.Rotate(path, now, now.Add(-2*time.Hour)); err == nil {
		t.Error("a key before the last one was taken")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A key is dropped by the first rotation after it sealed nothing for as long as the log is kept.
func TestRetiredKeysAreKept(t *testing.T) {
	now := start
	_, path := ring(t, at(now))
	if _, err := token.Rotate(path, now, now); err != nil { // key 1 retires now
		t.Fatal(err)
	}
	ids := func() (out string) {
		r, err := token.Open(path, at(now))
		if err != nil {
			t.Fatal(err)
		}
		all, _ := r.Keys()
		for _, k := range all {
			out += k.ID
		}
		return out
	}
	now = start.Add(token.KeepRetired - time.Second)
	if _, err := token.Rotate(path, now, now); err != nil || ids() != "123" {
		t.Errorf("keys %s, %v", ids(), err)
	}
	now = start.Add(token.KeepRetired)
	if _, err := token.Rotate(path, now, now); err != nil || ids() != "234" {
		t.Errorf("keys %s, %v", ids(), err)
	}
}

func TestBadFiles(t *testing.T) {
	good := strings.Repeat("ab", 32)
	dir := t.TempDir()
	for text, want := range map[string]string{
		"":                                 "there is no key in it",
		"# only words\n":                   "there is no key in it",
		"1 2026-11-22T12:00:00Z":           ":1: 2 words",
		"\n0 2026-11-22T12:00:00Z " + good: ":2: ID \"0\"",
		"256 2026-11-22T12:00:00Z " + good: "ID \"256\"",
		"1 yesterday " + good:              "time \"yesterday\"",
		"1 2026-11-22T12:00:00Z abcd":      "want 32 octets in hex",
		"1 2026-11-22T12:00:00Z " + good + "\n1 2026-11-23T12:00:00Z " + good: "two trace keys have the ID 1",
		"1 2026-11-22T12:00:00Z " + good + "\n2 2026-11-21T12:00:00Z " + good: "begins before the one above",
		strings.Repeat("#", 70<<10): "larger than",
	} {
		path := filepath.Join(dir, "k")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := token.Open(path, at(start))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%.40q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), good) {
			t.Error("the error shows the key")
		}
	}
}

// What cannot be read changes nothing of what is in effect.
func TestReloadKeepsWhatWasGood(t *testing.T) {
	r, path := ring(t, at(start))
	sealed, err := r.Seal("a", token.Trace{Serial: serial(t, start)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(path); err == nil {
		t.Error("a broken file was taken")
	}
	if _, err := r.Open(sealed); err != nil {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	r, _ := ring(f, at(start))
	sealed, err := r.Seal("anna@example.com", token.Trace{Serial: serial(f, start)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add("v1.")
	f.Add(" (c) " + sealed[:30] + "\r\n " + sealed[30:])
	f.Add(token.Version + strings.Repeat("_", 99))
	f.Fuzz(func(t *testing.T, value string) {
		got, err := r.Find(value)
		if err != nil {
			if got != (token.Trace{}) {
				t.Errorf("an error and %+v", got)
			}
			return
		}
		if !strings.Contains(strings.ReplaceAll(strings.Join(strings.Fields(value), ""), "v1:", "v1."), sealed) || got.Serial != serial(t, start) {
			t.Errorf("%q opened to %+v", value, got)
		}
	})
}
