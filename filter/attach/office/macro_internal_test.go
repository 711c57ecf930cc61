package office

import (
	"strings"
	"testing"
)

// TestUnpack undoes the example of [MS-OVBA] section 3.2.2 and what is damaged.
func TestUnpack(t *testing.T) {
	example := "\x01\x2f\xb0\x00\x23\x61\x61\x61\x62\x63\x64\x65\x82\x66\x00\x70\x61\x67\x68\x69\x6a\x01\x38\x08\x61\x6b\x6c\x00\x30\x6d\x6e\x6f\x70\x06\x71\x02\x70\x04\x10\x72\x73\x74\x75\x76\x10\x77\x78\x79\x7a\x00\x3c"
	if got := string(unpack([]byte(example))); got != "#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa" {
		t.Errorf("%q", got)
	}
	for _, damaged := range []string{"", "\x01", "\x02\x03\xb0\x00a", "\x01\x00\x00", "\x01\xff\xff\xff", "\x01\x03\xb0\xff\x00\x00\x00\x00"} {
		if got := unpack([]byte(damaged)); len(got) > 10 {
			t.Errorf("%q: %q", damaged, got)
		}
	}
	if got := unpack([]byte("\x01\x02\x30abc")); string(got) != "abc" {
		t.Errorf("a chunk that is not packed: %q", got)
	}
	bomb := "\x01" + strings.Repeat("\x05\xb0\x02a\xff\x0f\xff\x0f", 5000)
	if got := unpack([]byte(bomb)); len(got) > maxSource+1<<14 {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x01\x2f\xb0\x00\x23\x61\x61\x61\x62\x63\x64\x65\x82\x66\x00\x70"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := unpack(b); len(got) > maxSource+1<<14 {
			t.Errorf("%d bytes", len(got))
		}
		auto(b)
	})
}
