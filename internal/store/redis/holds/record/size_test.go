package record_test

import (
	"testing"
	"time"

	"postern/internal/store/redis/holds/holdstest"
	"postern/internal/store/redis/holds/record"
	"postern/internal/store/storetest"
)

// Records of mail that differs are a third of what they are as JSON.
func TestSizes(t *testing.T) {
	const n = 500
	sizes := map[int]int{}
	for _, schema := range []int{record.JSON, record.Packed} {
		s := scribe(t, schema)
		for i := range n {
			fixed, state := halves(t, s, holdstest.Hold(i, storetest.Start, time.Second).Hold)
			sizes[schema] += len(fixed) + len(state)
		}
	}
	t.Logf("bytes of a record: %d as JSON, %d packed", sizes[record.JSON]/n, sizes[record.Packed]/n)
	if 2*sizes[record.Packed] > sizes[record.JSON] {
		t.Errorf("packing gains too little: %v", sizes)
	}
}
