package behaviour

import "hash/maphash"

// filterFor is how long one half of the memory of recipients is written to.
const filterFor = 28 * 24 * 3600

// filterPair remembers pairs of account and recipient for 28 to 56 days in a fixed number of
// bits: two Bloom filters, of which the older is emptied when the newer is full of days. A
// recipient that it takes wrongly for known is one of many at most.
type filterPair struct {
	seed     maphash.Seed
	now, old []uint64
	mask     uint64
	since    int64
}

func newFilterPair(bits uint) filterPair {
	words := uint64(1) << (bits - 6)
	return filterPair{seed: maphash.MakeSeed(), now: make([]uint64, words), old: make([]uint64, words), mask: words*64 - 1}
}

const hashes = 5

// see reports whether it was seen before, and remembers it.
func (f *filterPair) see(s string, at int64) (before bool) {
	if f.since == 0 {
		f.since = at
	}
	if at-f.since >= filterFor {
		f.now, f.old = f.old, f.now
		clear(f.now)
		f.since = at
	}
	h := maphash.String(f.seed, s)
	step := h>>33 | 1
	inNow, inOld := true, true
	for i := range uint64(hashes) {
		bit := (h + i*step) & f.mask
		word, one := bit/64, uint64(1)<<(bit%64)
		inNow = inNow && f.now[word]&one != 0
		inOld = inOld && f.old[word]&one != 0
		f.now[word] |= one
	}
	return inNow || inOld
}

// rowsKept bounds how many rows are remembered, twice.
const rowsKept = 300_000

// seenRows remembers rows and how many of their copies were found to be to nobody, in two
// halves of which the older is dropped.
type seenRows struct{ now, old map[string]uint16 }

func (s *seenRows) see(serial string, gone int) (before int, again bool) {
	if s.now == nil {
		s.now = map[string]uint16{}
	}
	n, again := s.now[serial]
	if !again {
		n, again = s.old[serial]
	}
	if len(s.now) >= rowsKept {
		s.old, s.now = s.now, map[string]uint16{}
	}
	s.now[serial] = uint16(max(min(gone, 1<<16-1), int(n)))
	return int(n), again
}
