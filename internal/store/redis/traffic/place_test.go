package traffic

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"postern/filter"
)

func TestPlace(t *testing.T) {
	begin, _ := hour("2026112209").begin()
	for range 2000 {
		hi := begin + rand.Int64N(hourMs)
		want := place{name: blockName{1, 2, 3, 4, byte(hi)}, hi: hi, lo: max(begin, hi-rand.Int64N(1<<rand.IntN(22)))}
		raw := want.text(begin)
		got, ok := placeAt(raw, begin)
		if !ok || len(raw) != placeLen || got.name != want.name || got.hi != hi || got.lo > want.lo || got.lo < begin || hi-got.lo > 2*(hi-want.lo)+1 {
			t.Fatalf("%+v became %+v", want, got)
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, placeLen-1), bytes.Repeat([]byte{0xff}, placeLen), {0, 0, 0, 0, 0, 0, 0, 0, 23}} {
		if _, ok := placeAt(bad, begin); ok {
			t.Errorf("%x is a place", bad)
		}
	}
}

func TestHours(t *testing.T) {
	for name, ok := range map[hour]bool{"2026112209": true, "2026112224": false, "": false, "202611220": false, "20261122090": false, "2026133209": false, "9999123123": true} {
		begin, got := name.begin()
		if got != ok || ok && (hourOf(begin) != name || hourOf(begin+hourMs-1) != name || hourOf(begin+hourMs) == name) {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestTimesOfIDs(t *testing.T) {
	for _, ms := range []int64{0, 1, 31, 32, 1_795_000_000_000, lastMs - 1} {
		for _, tail := range []byte{0, 0xff} {
			id, err := filter.NewID(time.UnixMilli(ms), bytes.NewReader(bytes.Repeat([]byte{tail}, 10)))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := idTime(id); !ok || got != ms || firstID(ms) > id || firstID(ms+1) <= id {
				t.Errorf("%d: %s, %d, %s", ms, id, got, firstID(ms))
			}
		}
	}
	for _, id := range []string{"", "test", "8zzzzzzzzz0000000000000000", "7zzzzzzzzz0000000000000000", "01JD9X00000000000000000000"} {
		if _, ok := idTime(id); ok {
			t.Errorf("%q tells a time", id)
		}
	}
}

// FuzzEntries: what a list holds is read or left out, whatever it is.
func FuzzEntries(f *testing.F) {
	f.Add([]byte("123456789ab"))
	f.Fuzz(func(t *testing.T, entry []byte) {
		begin, _ := hour("2026112209").begin()
		if p, ok := placeAt(entry, begin); ok && (p.lo < begin || p.lo > p.hi || p.hi >= begin+hourMs) {
			t.Errorf("%x: %+v", entry, p)
		}
		_ = hasPrint(entry, 77)
	})
}
