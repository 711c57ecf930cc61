package blocklist_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"postern/blocklist"
	"postern/filter"
)

// names says whether an entry names a host or a mail address, worked out the slow way.
func names(value string, ip netip.Addr, from string) bool {
	if one, err := netip.ParseAddr(value); err == nil {
		return one == ip.Unmap()
	}
	if p, err := netip.ParsePrefix(value); err == nil {
		return p.Contains(ip.Unmap())
	}
	if strings.Contains(value, "@") {
		return value == from
	}
	_, domain, _ := strings.Cut(from, "@")
	return domain != "" && strings.HasSuffix("."+domain, "."+value)
}

var (
	someIPs      = []string{"192.0.2.1", "192.0.2.2", "192.0.3.1", "10.1.2.3", "2001:db8::1", "2001:db8:1::1", "::ffff:192.0.2.1"}
	someValues   = []string{"192.0.2.1", "192.0.2.0/24", "192.0.2.0/23", "192.0.0.0/16", "10.0.0.0/8", "2001:db8::/32", "2001:db8:1::/48", "2001:db8::1", "example", "b.example", "x.b.example", "a@b.example", "a@x.b.example", "c@b.example"}
	someSenders  = []string{"", "a@b.example", "c@b.example", "a@x.b.example", "a@y.x.b.example", "a@xb.example", "a@other.test"}
	someScopes   = []string{"all", "domain:us.example", "recipient:me@us.example", "recipient:you@them.example"}
	someReceiver = []string{"me@us.example", "you@sub.us.example", "you@them.example", "abuse@us.example"}
)

// The table in memory says what reading every entry would say.
func TestMatcherAgreesWithReadingEveryEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newMemory()
		for range rapid.IntRange(0, 8).Draw(t, "entries") {
			e := blocklist.Entry{Value: rapid.SampledFrom(someValues).Draw(t, "value"), Scope: rapid.SampledFrom(someScopes).Draw(t, "scope")}
			if e.Value != "example" { // single labels are refused by Normalize
				s.entries[e.Key()] = e
			}
		}
		o := blocklist.NewOwn(blocklist.OwnParts{Store: s})
		if err := o.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		ip := rapid.SampledFrom(someIPs).Draw(t, "ip")
		from := rapid.SampledFrom(someSenders).Draw(t, "from")
		m := message(ip, from, someReceiver...)
		got := map[string]bool{}
		all, err := o.Recipient().Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			got[f.For+" "+f.Detail] = true
		}
		want := map[string]bool{}
		for _, e := range s.entries {
			for _, to := range someReceiver {
				_, domain, _ := strings.Cut(to, "@")
				scoped := e.Scope == "all" || e.Scope == "recipient:"+to || strings.HasPrefix(e.Scope, "domain:") && strings.HasSuffix("."+domain, "."+e.Scope[7:])
				if scoped && !strings.HasPrefix(to, "abuse@") && names(e.Value, netip.MustParseAddr(ip), from) {
					want[to+" "+e.Value] = true
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s %s: %v, want %v", ip, from, got, want)
		}
	})
}

func TestWhyTellsEveryEntryTheMostExactFirst(t *testing.T) {
	o, _, _ := own(t, block("192.0.2.0/24", ""), block("192.0.2.1", "domain:us.example"), block("192.0.0.0/16", ""), allow("192.0.2.1", ""),
		block("b.example", ""), block("a@b.example", ""), block("x.b.example", ""))
	for of, want := range map[string]string{
		"192.0.2.1":     "allow 192.0.2.1 all, block 192.0.2.1 domain:us.example, block 192.0.2.0/24 all, block 192.0.0.0/16 all",
		"[192.0.2.9]":   "block 192.0.2.0/24 all, block 192.0.0.0/16 all",
		"A@B.example":   "block a@b.example all, block b.example all",
		"a@x.b.example": "block x.b.example all, block b.example all",
		"b.example.":    "block b.example all",
		"other.example": "",
		"nonsense":      "",
		"":              "",
	} {
		var got []string
		for _, a := range o.Why(of) {
			if a.List != "own" || !a.Listed {
				t.Errorf("%+v", a)
			}
			got = append(got, a.Codes...)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %q, want %q", of, strings.Join(got, ", "), want)
		}
	}
}

// Reading and writing at once: every look sees one whole list.
func TestChangesUnderLoad(t *testing.T) {
	o, _, _ := own(t, block("stays.example", ""))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			value := fmt.Sprintf("d%d.example", i)
			for range 50 {
				e, err := o.Add(t.Context(), block(value, ""))
				if err == nil {
					err = o.Remove(t.Context(), e.Key())
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			check := o.Recipient()
			for range 500 {
				f, err := check.Check(t.Context(), message("192.0.2.1", "a@stays.example", "me@us.example"))
				if err != nil || !slices.EqualFunc(f, []string{"OWN_BLOCK"}, func(f filter.Finding, s string) bool { return f.Symbol == s }) {
					t.Error(f, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := len(o.Why("d0.example")); n != 0 {
		t.Errorf("%d entries left", n)
	}
}

// An IPv6 client is asked about by its nibbles; one silent list does not cost the others.
func TestIPv6AndASilentList(t *testing.T) {
	w := tested(t)
	w.set(t, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example.org", "A 127.0.0.4")
	if got := found(t, w.Client(), message("2001:db8::1", "")); got != "RBL_A" {
		t.Error(got)
	}
	w.set(t, "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example.org", "A 127.0.0.4")
	w.set(t, "*.wl.example.org", "!silent")
	got, err := w.Client().Check(t.Context(), message("2001:db8::2", ""))
	if err == nil || err.Error() != "wl did not answer" || len(got) != 1 || got[0].Symbol != "RBL_A" {
		t.Errorf("%v, %v", got, err)
	}
}
