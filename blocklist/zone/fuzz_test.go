package zone_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/blocklist/zone"
)

// fixed answers every question with the same addresses and keeps the last name asked.
type fixed struct {
	addrs []netip.Addr
	last  string
}

func (f *fixed) A(_ context.Context, name string) ([]netip.Addr, error) {
	f.last = name
	return f.addrs, nil
}

func (f *fixed) TXT(context.Context, string) ([]string, error) { return nil, nil }

// Whatever a client calls itself and whatever a list answers: the question is a name that
// fits the wire and ends in the zone, and only a named code of a list that is well counts.
func FuzzAsk(f *testing.F) {
	f.Add("example.com", []byte{127, 0, 0, 2})
	f.Add("[192.0.2.1]", []byte{127, 255, 255, 254})
	f.Add("a\x00.b", []byte{127, 0, 0, 2, 8, 8, 8, 8})
	f.Add("xn--mnchen-3ya.example", []byte{127, 0, 0, 1})
	f.Add("192.0.2.1", []byte{})
	f.Fuzz(func(t *testing.T, subject string, raw []byte) {
		res := &fixed{}
		for c := range slices.Chunk(raw[:len(raw)/4*4], 4) {
			res.addrs = append(res.addrs, netip.AddrFrom4([4]byte(c)))
		}
		z, err := zone.New(zone.Config{Name: "z", Zone: "z.example.org", Of: zone.OfHelo, Codes: map[string]string{"127.0.0.2": "A", "127.0.*.9": "B"}}, res)
		if err != nil {
			t.Fatal(err)
		}
		a, err := z.Ask(t.Context(), subject, time.Now())
		if res.last != "" {
			if len(res.last) > 253 || !strings.HasSuffix(res.last, ".z.example.org") || strings.ContainsAny(res.last, "\x00\r\n \"\\") {
				t.Fatalf("asked %q", res.last)
			}
			for l := range strings.SplitSeq(res.last, ".") {
				if l == "" || len(l) > 63 {
					t.Fatalf("label %q in %q", l, res.last)
				}
			}
		}
		well := true
		for _, ip := range res.addrs {
			o := ip.As4()
			well = well && o[0] == 127 && (o[1] != 255 || o[2] != 255) && o != [4]byte{127, 0, 0, 1}
		}
		if res.last != "" && well != (err == nil) {
			t.Fatalf("%v: %v", res.addrs, err)
		}
		hit := slices.ContainsFunc(res.addrs, func(ip netip.Addr) bool {
			o := ip.As4()
			return o == [4]byte{127, 0, 0, 2} || o[0] == 127 && o[1] == 0 && o[3] == 9
		})
		if want := well && hit && res.last != ""; want != (len(a.Symbols) > 0) {
			t.Fatalf("%q, %v: %v", subject, res.addrs, a)
		}
	})
}

func FuzzCodes(f *testing.F) {
	for _, s := range []string{"127.0.0.2", "127.0.0.0/28", "127.0.*.3", "127.0.0.&4", "127.*.*.*", "127.0.0.2/33", "127.0.0", "0x7f.0.0.1", "127.0.0.02"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		res := &fixed{addrs: []netip.Addr{netip.MustParseAddr("8.8.8.8")}}
		z, err := zone.New(zone.Config{Name: "z", Zone: "z.example", Of: zone.OfIP, Codes: map[string]string{code: "X"}}, res)
		if err != nil {
			return
		}
		if a, err := z.Ask(t.Context(), "192.0.2.1", time.Now()); err == nil || len(a.Symbols) != 0 {
			t.Fatalf("code %q takes a foreign answer: %v", code, a)
		}
	})
}
