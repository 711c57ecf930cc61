package holds

import (
	"fmt"
	"sync"
	"testing"
)

// A key that was added is never denied, also when many are added at once; of those that were
// not, few are taken for known.
func TestKeys(t *testing.T) {
	k := newKeys()
	if k.may("") || k.may("a") {
		t.Error("an empty set knows a key")
	}
	const workers, each = 8, 25_000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				k.add(fmt.Sprint(w, "/", i))
			}
		})
	}
	wg.Wait()
	wrong := 0
	for w := range workers {
		for i := range each {
			if !k.may(fmt.Sprint(w, "/", i)) {
				t.Fatalf("key %d/%d is denied", w, i)
			}
			if k.may(fmt.Sprint("no", w, "/", i)) {
				wrong++
			}
		}
	}
	if share := float64(wrong) / (workers * each); share > 0.01 { // 0.2 % are expected
		t.Errorf("%.3f of unknown keys ask in vain", share)
	}
}
