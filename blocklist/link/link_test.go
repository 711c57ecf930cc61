package link_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/blocklist/link"
	"postern/internal/mime"
)

func urls(hosts ...string) []mime.URL {
	var all []mime.URL
	for _, h := range hosts {
		all = append(all, mime.URL{Raw: "https://" + h + "/", Host: h})
	}
	return all
}

func TestRegistrable(t *testing.T) {
	for host, want := range map[string][2]string{
		"shop.example":        {"shop.example", "shop.example"},
		"www.shop.example":    {"shop.example", "shop.example"},
		"a.b.shop.example":    {"shop.example", "a.b.shop.example"},
		"a.shop.co.uk":        {"shop.co.uk", "a.shop.co.uk"},
		"co.uk":               {},
		"www.co.uk":           {"www.co.uk", "www.co.uk"}, // somebody has registered that
		"WWW.Shop.example.":   {"shop.example", "shop.example"},
		"you.github.io":       {"you.github.io", "you.github.io"},
		"x.you.github.io":     {"you.github.io", "x.you.github.io"},
		"github.io":           {"github.io", "github.io"},
		"a.b.unknown-tld-x":   {"b.unknown-tld-x", "a.b.unknown-tld-x"},
		"192.0.2.1":           {},
		"2001:db8::1":         {},
		"localhost":           {},
		"":                    {},
		"a..example":          {},
		"a b.example":         {},
		"under_score.example": {"under_score.example", "under_score.example"},
	} {
		domain, name := link.Registrable(host)
		if got := [2]string{domain, name}; got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

// Whatever a mail links to: bounded, without repetition, only what it links to, the same for
// the same mail; the first and the last are always among them.
func TestNamesOfAnyMail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 120).Draw(t, "links")
		var hosts []string
		for range n {
			d := fmt.Sprintf("d%d.test", rapid.IntRange(0, 80).Draw(t, "domain"))
			hosts = append(hosts, rapid.SampledFrom([]string{"", "www.", "a.", "b.c."}).Draw(t, "below")+d)
		}
		ours := func(d string) bool { return d == "d7.test" }
		names, asked, known := link.Names(urls(hosts...), ours, "seed")
		again, _, _ := link.Names(urls(hosts...), ours, "seed")
		if !slices.Equal(names, again) {
			t.Fatalf("%v and %v for the same mail", names, again)
		}
		if len(names) > link.Most || asked > known || asked > len(names) || known > link.Most && asked != link.Most || known <= link.Most && asked != known {
			t.Fatalf("%d names, %d of %d domains", len(names), asked, known)
		}
		seen := map[string]bool{}
		for _, s := range names {
			if seen[s] || strings.Contains(s, "d7.test") || !slices.ContainsFunc(hosts, func(h string) bool { return strings.HasSuffix("."+h, "."+s) }) {
				t.Fatalf("%q in %v", s, names)
			}
			seen[s] = true
		}
		var domains []string
		for _, h := range hosts {
			if d, _ := link.Registrable(h); d != "d7.test" && !slices.Contains(domains, d) {
				domains = append(domains, d)
			}
		}
		if len(domains) > 0 && (!seen[domains[0]] || !seen[domains[len(domains)-1]]) {
			t.Fatalf("neither %s nor %s may be left out: %v", domains[0], domains[len(domains)-1], names)
		}
	})
}

func TestSeedDecidesWhatIsPicked(t *testing.T) {
	var hosts []string
	for i := range 100 {
		hosts = append(hosts, fmt.Sprintf("d%d.test", i))
	}
	one, _, _ := link.Names(urls(hosts...), nil, "one")
	two, _, _ := link.Names(urls(hosts...), nil, "two")
	if slices.Equal(one, two) || !slices.Equal(one[:8], two[:8]) || !slices.Equal(one[16:], two[16:]) {
		t.Errorf("%v\n%v", one, two)
	}
}

func FuzzRegistrable(f *testing.F) {
	for _, s := range []string{"a.example", "www.co.uk", "[::1]", "a..b", "xn--mnchen-3ya.example", "\xff.example", "WWW.A.example.", "WWW.0", "1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		domain, name := link.Registrable(host)
		if (domain == "") != (name == "") || !strings.HasSuffix("."+name, "."+domain) {
			t.Fatalf("%q: %q, %q", host, domain, name)
		}
		if again, _ := link.Registrable(domain); domain != "" && again != domain {
			t.Fatalf("%q: %q is not its own: %q", host, domain, again)
		}
	})
}
