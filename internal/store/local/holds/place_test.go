package holds

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Places are in the order of IDs, as far as they tell IDs apart.
func TestPlace(t *testing.T) {
	id := func(rt *rapid.T, name string) string {
		ms := rapid.Int64Range(1<<40, 1<<41).Draw(rt, name+" time")
		if rapid.Bool().Draw(rt, name+" near") {
			ms = 1<<40 + ms%3
		}
		var b [26]byte
		for i := 9; i >= 0; i-- {
			b[i] = crockford[ms&31]
			ms >>= 5
		}
		for i := 10; i < len(b); i++ {
			b[i] = crockford[rapid.IntRange(0, 31).Draw(rt, name)]
		}
		return fmt.Sprintf("%s-%02d", b[:], rapid.IntRange(0, 99).Draw(rt, name+" number"))
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := id(rt, "a"), id(rt, "b")
		if a[:13] == b[:13] && a[:26] != b[:26] {
			return // the bits that are left out may tell them apart
		}
		if c := strings.Compare(a, b); c < 0 && place(a) > place(b) || c > 0 && place(a) < place(b) {
			rt.Fatalf("%s: %x, %s: %x", a, place(a), b, place(b))
		}
	})
}

// Whatever is taken for an ID has a place.
func TestPlaceOfNonsense(t *testing.T) {
	for _, id := range []string{"", "-", "x", "zzzzzzzzzzzzzzzzzzzzzzzzzz-99999999999999999999", "01JD9X0000ÄÖÜ", strings.Repeat("é", 40)} {
		if n := place(id); n < 0 || n > (maxMilli<<(randBits+noBits)|(perMilli-1)) {
			t.Errorf("%q: %d", id, n)
		}
	}
	if place("01JD9X00AB00000000000000AB-01") != place("01jd9x00ab00000000000000ab-01") {
		t.Error("the case of letters counts")
	}
}
