package account

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/address"
)

// An address equals itself however it is written, and folding is stable.
func TestKeysAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`[A-Za-z0-9\x{c0}-\x{17f}\x{212a}.+"@ ]{1,12}`).Draw(t, "local")
		k, ok := parse(local + "@B\u00fccher.Example")
		if !ok {
			return
		}
		if again := fold(k.local); again != k.local {
			t.Fatalf("%q folds to %q", k.local, again)
		}
		written := address.Address{Local: k.local, Domain: k.domain}.String()
		if again, ok := parse(written); !ok || again != k {
			t.Fatalf("%v became %v", k, again)
		}
	})
}

// No two names that differ in more than case are one after folding.
func TestFoldNeverMakesASCII(t *testing.T) {
	for r := rune(0x80); r < 0x30000; r++ {
		for _, c := range fold(string(r)) {
			if c < 0x80 {
				t.Errorf("%U becomes %q", r, c)
			}
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("sales@example.com anna, bob\n# x\n@b.example a\n\"a b\"@c.example d")
	f.Add("\"\\")
	f.Add("a@b.example\tx#y")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := read("f", strings.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "senders: f:") {
				t.Fatalf("an error without its place: %v", err)
			}
			return
		}
		for k, accounts := range g.addresses {
			for a := range accounts {
				if !g.has(k, a) {
					t.Fatalf("%q is not granted %v", a, k)
				}
			}
		}
	})
}
