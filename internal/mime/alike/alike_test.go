package alike_test

import (
	"strings"
	"testing"

	"postern/internal/mime/alike"
)

func TestClose(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"paypal.com", "paypa1.com", true},
		{"paypal.com", "pаypаl.com", true},              // Cyrillic a
		{"paypal.com", "xn--pypl-53dc.com", true},       // the same as an A-label
		{"example.com", "exarnple.com", true},           // rn
		{"example.com", "examp1e.com", true},            //
		{"example.com", "exampel.com", true},            // swapped
		{"example.com", "exmple.com", true},             // left out
		{"example.com", "examplle.com", true},           // added
		{"example.com", "ехample.com", true},            // Cyrillic
		{"microsoft.com", "rnicrosoft.com", true},       //
		{"wwf.org", "vvvvf.org", true},                  //
		{"example.com", "example.com", false},           // itself
		{"example.com", "EXAMPLE.com", false},           //
		{"example.com", "sample.com", false},            // two edits
		{"abc.de", "abd.de", true},                      // six letters with the ending
		{"abcd", "abce", false},                         // short
		{"", "example.com", false},                      //
		{"müller.example", "muller.example", true},      //
		{"почта.example", "post.example", false},        //
		{"mail.example.com", "mail2.example.com", true}, // the caller compares registered names
	} {
		if got := alike.Close(c.a, c.b); got != c.want {
			t.Errorf("Close(%q, %q) = %v; they look like %q and %q", c.a, c.b, got, alike.Skeleton(c.a), alike.Skeleton(c.b))
		}
		if alike.Close(c.a, c.b) != alike.Close(c.b, c.a) {
			t.Errorf("Close of %q and %q depends on the order", c.a, c.b)
		}
	}
}

func FuzzClose(f *testing.F) {
	for _, s := range []string{"paypal.com", "xn--pypl-53dc.com", "\xff\xfe", "xn--", strings.Repeat("rn", 200)} {
		f.Add(s, "example.com")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if alike.Close(a, b) != alike.Close(b, a) {
			t.Errorf("Close of %q and %q depends on the order", a, b)
		}
		if alike.Close(a, a) {
			t.Errorf("%q is close to itself", a)
		}
		if s := alike.Skeleton(a); len(s) > 20*256 {
			t.Errorf("a skeleton of %d bytes", len(s))
		}
	})
}
