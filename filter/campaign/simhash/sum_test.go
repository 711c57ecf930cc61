package simhash

import (
	"math/rand/v2"
	"testing"
)

// TestSum counts the bits of features as one would one by one.
func TestSum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, features := range []int{1, 2, 254, 255, 256, 510, 3000} {
		s := sum{seen: map[uint64]struct{}{}}
		var bits [64]int
		for range features {
			h := rnd.Uint64()
			s.feature(h)
			for i := range bits {
				bits[i] += int(h>>i&1)*2 - 1
			}
		}
		var want Print
		for i, n := range bits {
			if n > 0 {
				want |= 1 << i
			}
		}
		if got := s.print(); got != max(want, 1) {
			t.Errorf("%d features: %x, want %x", features, uint64(got), uint64(want))
		}
	}
}
