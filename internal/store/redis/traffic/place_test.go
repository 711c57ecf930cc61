package traffic

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/record"
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

// FuzzTerms: what matches is never missed by its terms or the sieve.
func FuzzTerms(f *testing.F) {
	f.Add("01kan8x5h3k2m4n6p8q0r1s2t3", "a@b.example", "Große Rechnung", "große", "192.0.2.1", uint8(24))
	f.Add("x", "\u212a@\u212a.example", "請求書 <b>", "京", "2001:db8::1", uint8(40))
	f.Add("x", "A\"@b", "İstanbul\u2028", "i*", "::ffff:192.0.2.1", uint8(0))
	f.Fuzz(func(t *testing.T, id, address, subject, words, ip string, bits uint8) {
		r := record.Row{ID: id, MessageID: address, From: address, To: []record.Fate{{Address: address}}, Subject: subject, Client: record.Client{IP: ip}}
		has := map[term]bool{}
		termsOf(&r, func(x term) { has[x] = true })
		text, err := json.Marshal(r)
		if err != nil || json.Unmarshal(text, &r) != nil { // as it will be read again
			return
		}
		qs := []record.Trace{{ID: id}, {After: "01kan8x5h3k2m4n6p8q0r1s2t4"}, {After: id + "0"}, {From: address}, {To: address}, {MessageID: address}, {Subject: words}, {Subject: subject}, {From: address, Subject: words}}
		if i := bytes.LastIndexByte([]byte(address), '@'); i >= 0 {
			qs = append(qs, record.Trace{From: address[i:]}, record.Trace{To: address[i:]})
		}
		if a, err := netip.ParseAddr(ip); err == nil {
			if p, err := a.Prefix(int(bits)); err == nil {
				qs = append(qs, record.Trace{IP: p})
			}
		}
		for _, q := range qs {
			m, ok := matcherOf(q)
			if !ok || !m.match(&r) {
				continue
			}
			for _, w := range m.wanted() {
				if !has[w] {
					t.Errorf("%+v: a term is missing", q)
				}
			}
			if of := sieveOf(m); text != nil && !of.passes(text) {
				t.Errorf("%+v: the sieve keeps %s", q, text)
			}
		}
	})
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
