package pack_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"postern/internal/store/redis/pack"
)

var dict = []byte(strings.Repeat("what such records hold; ", 20))

func codec(t testing.TB, most int) *pack.Codec {
	t.Helper()
	c, err := pack.New(dict, most)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRoundTrip(t *testing.T) {
	c := codec(t, 1<<20)
	for _, text := range []string{"", "x", "what such records hold; and more", strings.Repeat("long ", 1<<15), "\x00\xff"} {
		for format, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 3: 2} {
			got, f, err := c.Unpack(c.Pack(format, []byte(text)))
			if err != nil || string(got) != text || f != want {
				t.Errorf("format %d, %d octets: %d octets, format %d, %v", format, len(text), len(got), f, err)
			}
		}
	}
	if n := len(c.Pack(1, dict[:200])); n > 60 {
		t.Errorf("the dictionary is not used: %d octets", n)
	}
}

func TestDamaged(t *testing.T) {
	c := codec(t, 1000)
	good := c.Pack(1, []byte("a record, whole"))
	bad := map[string][]byte{
		"nothing": nil, "a format to come": append([]byte{pack.Newest + 1}, good[1:]...), "no format": append([]byte{0}, good[1:]...),
		"garbage": []byte("\x01garbage"), "cut": good[:len(good)-3], "a bomb": c.Pack(1, make([]byte, 100_000)),
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-6] ^= 1
	bad["a bit"] = flipped
	for name, stored := range bad {
		if _, _, err := c.Unpack(stored); !errors.Is(err, pack.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	c := codec(f, 1<<16)
	f.Add(c.Pack(1, []byte("a record")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		if got, _, err := c.Unpack(stored); len(got) > 1<<16 || err != nil && got != nil {
			t.Errorf("%d octets, %v", len(got), err)
		}
	})
}
