package zip64_test

import (
	"testing"

	"postern/internal/archive/zip64"
)

func TestFill(t *testing.T) {
	const full = 0xffffffff
	size := "\x05\x00\x00\x00\x01\x00\x00\x00"
	for name, x := range map[string]struct {
		extra string
		a, b  int64
		ok    bool
		wantA int64
		wantB int64
	}{
		"none":         {"", 1, 2, true, 1, 2},
		"one":          {"\x01\x00\x08\x00" + size, full, 2, true, 1<<32 + 5, 2},
		"the second":   {"\x01\x00\x08\x00" + size, 1, full, true, 1, 1<<32 + 5},
		"both":         {"\x01\x00\x10\x00" + size + size, full, full, true, 1<<32 + 5, 1<<32 + 5},
		"behind one":   {"\x07\x00\x01\x00x\x01\x00\x08\x00" + size, full, 2, true, 1<<32 + 5, 2},
		"not needed":   {"\x01\x00\x08\x00" + size, 1, 2, true, 1, 2},
		"one too few":  {"\x01\x00\x08\x00" + size, full, full, false, 1<<32 + 5, full},
		"cut off":      {"\x01\x00\x08\x00" + size[:7], full, 2, true, full, 2},
		"another kind": {"\x02\x00\x08\x00" + size, full, 2, true, full, 2},
	} {
		a, b := x.a, x.b
		if ok := zip64.Fill([]byte(x.extra), &a, &b); ok != x.ok || a != x.wantA || b != x.wantB {
			t.Errorf("%s: %d, %d, %v", name, a, b, ok)
		}
	}
}
