package links_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/links"
	"postern/internal/mailtest/entities"
)

// ring is keys of the tests.
type ring struct {
	all     map[byte][]byte
	sealing byte
}

func (r *ring) Derive(purpose string) (map[byte][]byte, byte) {
	out := map[byte][]byte{}
	for id, k := range r.all {
		b := []byte(strings.Repeat("x", 32))
		copy(b, purpose+string(k))
		out[id] = b
	}
	return out, r.sealing
}

func newRing() *ring {
	return &ring{all: map[byte][]byte{1: []byte("one"), 2: []byte("two")}, sealing: 2}
}

var start = time.Unix(1_900_000_000, 0).UTC()

func TestALinkSaysWhatItWasMadeFor(t *testing.T) {
	now, keys := start, newRing()
	s := &links.Sealer{Keys: keys, Purpose: "digest", Now: func() time.Time { return now }}
	want := links.Link{For: "ada@example.com", Act: "release", Of: "01m82c45ckahzjn41xfpajp9mr-00", Expires: start.Add(time.Hour)}
	text, err := s.Seal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Open(text); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if strings.Contains(text, "ada") || len(text) > links.MaxLen {
		t.Errorf("%d octets that say something: %s", len(text), text)
	}
	if again, _ := s.Seal(want); again == text || links.Mark(again) == links.Mark(text) {
		t.Error("two links are one")
	}
	keys.sealing = 1
	if got, err := s.Open(text); err != nil || got != want {
		t.Errorf("after a new key: %v", err)
	}
	delete(keys.all, 2)
	if _, err := s.Open(text); !errors.Is(err, links.ErrBad) {
		t.Errorf("with its key gone: %v", err)
	}
	keys.all[2] = []byte("two")
	now = want.Expires
	if _, err := s.Open(text); !errors.Is(err, links.ErrBad) {
		t.Errorf("when its time is over: %v", err)
	}
}

func TestNobodyElseMakesALink(t *testing.T) {
	s := &links.Sealer{Keys: newRing(), Purpose: "digest", Now: func() time.Time { return start }}
	text, err := s.Seal(links.Link{For: "ada@example.com", Act: "release", Of: "x", Expires: start.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw { // each bit of it counts
		for bit := range 8 {
			bad := append([]byte(nil), raw...)
			bad[i] ^= 1 << bit
			if _, err := s.Open(base64.RawURLEncoding.EncodeToString(bad)); !errors.Is(err, links.ErrBad) {
				t.Fatalf("octet %d, bit %d: %v", i, bit, err)
			}
		}
	}
	for _, bad := range []string{"", "A", "%", text + "=", text + "A", text[1:], text[:len(text)-1], strings.Repeat("A", 5000), strings.Repeat("A", 40)} {
		if _, err := s.Open(bad); !errors.Is(err, links.ErrBad) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	other := &links.Sealer{Keys: s.Keys, Purpose: "enter", Now: s.Now}
	if _, err := other.Open(text); !errors.Is(err, links.ErrBad) {
		t.Errorf("as a link of another purpose: %v", err)
	}
	if _, err := s.Seal(links.Link{For: strings.Repeat("a", 2000)}); err == nil {
		t.Error("a link without bounds")
	}
}

func TestOnce(t *testing.T) {
	used, ctx := links.NewUsed(&entities.Memory{}), t.Context()
	claim := func(mark string, want bool) {
		t.Helper()
		if got, err := used.Claim(ctx, mark, start); err != nil || got != want {
			t.Errorf("claim of %s: %v, %v", mark, got, err)
		}
	}
	was := func(mark string, want bool) {
		t.Helper()
		if got, err := used.Was(ctx, mark); err != nil || got != want {
			t.Errorf("%s was used: %v, %v", mark, got, err)
		}
	}
	a, b := links.Mark("a"), links.Mark("b")
	was(a, false)
	claim(a, true)
	claim(a, false)
	was(a, true)
	was(b, false)
	for range 2 {
		if err := used.Free(ctx, a); err != nil {
			t.Error(err)
		}
	}
	claim(a, true)
	claim(b, true)
	if n, err := used.Prune(ctx, start.Add(-time.Second)); n != 0 || err != nil {
		t.Errorf("before its time: %d, %v", n, err)
	}
	if n, err := used.Prune(ctx, start); n != 2 || err != nil {
		t.Errorf("after it: %d, %v", n, err)
	}
	was(a, false)
}

func FuzzOpen(f *testing.F) {
	s := &links.Sealer{Keys: newRing(), Purpose: "digest", Now: func() time.Time { return start }}
	sealed := links.Link{For: "a@b.example", Act: "delete", Expires: start.Add(time.Hour)}
	text, err := s.Seal(sealed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("")
	f.Fuzz(func(t *testing.T, in string) {
		// Each process of a fuzzer seals another text of the same link.
		if l, err := s.Open(in); err == nil && l != sealed {
			t.Errorf("%q opens: %+v", in, l)
		}
	})
}
