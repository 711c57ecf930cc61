package received

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestFields(t *testing.T) {
	head := "Received: one\r\n\tfolded\r\nSubject: x\r\n received: folded away\r\nRECEIVED : two\r\nReceived:three\r\n\r\nReceived: body\r\n"
	values, n := Fields([]byte(head), 2)
	if n != 3 || strings.Join(values, "|") != "one folded|two" {
		t.Errorf("%d %q", n, values)
	}
	for _, in := range []string{"", "\r\n", "no colon\r\nReceived: x\r\n", "\r\nReceived: x\r\n"} {
		if _, n := Fields([]byte(in), 9); n != 0 {
			t.Errorf("%q: %d", in, n)
		}
	}
	if v, n := Fields([]byte("Received: cut"), 9); n != 1 || v[0] != "cut" {
		t.Errorf("%d %q", n, v)
	}
	if v := Values([]byte(strings.Repeat("X-User: a\r\n", 50)), "x-user"); len(v) != maxValues {
		t.Errorf("%d values", len(v))
	}
	v, _ := Fields([]byte("Received: "+strings.Repeat("x", 1<<20)), 1)
	if len(v[0]) > maxField {
		t.Errorf("%d octets", len(v[0]))
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]Hop{
		"from helo.test (name.test [192.0.2.1]) by mx.test (Postfix) with ESMTP id 1 for <a@b>; Mon": {ip("192.0.2.1"), "name.test", "helo.test"},
		"from helo.test (unknown [192.0.2.1]) by mx.test":                                            {ip("192.0.2.1"), "", "helo.test"},
		"from h (n.test [IPv6:2001:db8::1]) (using TLSv1.3 with cipher X (256/256 bits)) by mx.test": {ip("2001:db8::1"), "n.test", "h"},
		"from [10.0.0.9] (n.test [192.0.2.1]) by mx.test":                                            {ip("192.0.2.1"), "n.test", "[10.0.0.9]"},
		"from h.test (N.test. [192.0.2.1] (may be forged)) by mx.test":                               {ip("192.0.2.1"), "", "h.test"},
		"from name.test ([192.0.2.1] helo=h.test) by mx.test with esmtp (Exim 4.98)":                 {ip("192.0.2.1"), "name.test", "h.test"},
		"from name.test ([192.0.2.1]) by mx.test with esmtp (Exim 4.98)":                             {ip("192.0.2.1"), "", "name.test"},
		"from [192.0.2.1] (helo=h.test) by mx.test":                                                  {ip("192.0.2.1"), "", "h.test"},
		"from [192.0.2.1] (port=25 helo=[8.8.8.8]) by mx.test":                                       {ip("192.0.2.1"), "", "[8.8.8.8]"},
		"from name.test ([192.0.2.1] helo=[8.8.8.8]) by mx.test":                                     {ip("192.0.2.1"), "name.test", "[8.8.8.8]"},
		"from h.test (192.0.2.1) by EX01.corp (10.0.0.2) with Microsoft SMTP Server":                 {ip("192.0.2.1"), "", "h.test"},
		"FROM h.test (n.test [::ffff:192.0.2.1]) BY mx.test":                                         {ip("192.0.2.1"), "n.test", "h.test"},
	} {
		if got, ok := Parse(in); !ok || got != want {
			t.Errorf("%s\n got %+v %v\nwant %+v", in, got, ok, want)
		}
	}
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// What a stranger can choose, HELO and reverse name, must not name another address; what is
// not certain is refused.
func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "by mx.test", "from", "from x", "from x by y", "from x (y) by z", "from x ([]) by z", "from x (y [1.2.3]) by z",
		"from a (b [8.8.8.8]) (real [192.0.2.1]) by mx.test",       // HELO "a (b [8.8.8.8])"
		"from a) (b [8.8.8.8]) by x (real [192.0.2.1]) by mx.test", // unbalanced
		"from a[8.8.8.8] (real [192.0.2.1]) by mx.test",            // brackets in HELO
		"from a (b [8.8.8.8] [192.0.2.1]) by mx.test",              // two literals
		"from a (b c [192.0.2.1]) by mx.test",                      // two words before the literal
		`from a ("x [8.8.8.8]" [192.0.2.1]) by mx.test`,            // quotes
		"from a (b [192.0.2.1]) x by mx.test",                      // junk behind
		"from a (b [192.0.2.1]",                                    // cut
		"from a (helo=b) by mx.test",                               // no address at all
		"from unknown (HELO x) (8.8.8.8) (192.0.2.1) by mx.test",   // qmail: HELO may hold anything
		"(qmail 123 invoked from network); 1 Jan",
		"from a (b [fe80::1%eth0]x) by mx.test",
	} {
		if got, ok := Parse(in); ok {
			t.Errorf("%q: %+v", in, got)
		}
	}
}

func TestFirstUntrusted(t *testing.T) {
	trusted := func(a netip.Addr) bool { return netip.MustParsePrefix("10.0.0.0/8").Contains(a) }
	f := func(ips ...string) (out []string) {
		for _, a := range ips {
			out = append(out, fmt.Sprintf("from h (n [%s]) by x", a))
		}
		return out
	}
	for _, tt := range []struct {
		in   []string
		want string
	}{
		{f("192.0.2.1"), "192.0.2.1"},
		{f("10.1.1.1", "127.0.0.1", "192.0.2.1", "203.0.113.1"), "192.0.2.1"},
		{f("10.1.1.1"), ""},
		{nil, ""},
		{append([]string{"by local"}, f("192.0.2.1")...), ""},
		{append(f("10.1.1.1"), "from x (forged"), ""},
		{append(f(strings.Fields(strings.Repeat("10.1.1.1 ", MaxHops))...), f("192.0.2.1")...), ""},
	} {
		got, ok := FirstUntrusted(tt.in, trusted)
		if ok != (tt.want != "") || ok && got.IP.String() != tt.want {
			t.Errorf("%v: %+v %v", tt.in, got, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("from helo.test (name.test [192.0.2.1]) by mx.test")
	f.Add("from [192.0.2.1] (port=25 helo=x) by mx.test")
	f.Add("Received: from x\r\n y\r\n\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		Fields([]byte(s), 5)
		if h, ok := Parse(s); ok && (!h.IP.IsValid() || strings.ContainsAny(h.Name, "\r\n ")) {
			t.Fatalf("%q: %+v", s, h)
		}
	})
}

// A stranger's HELO, however it looks, never moves the address that Postfix writes.
func FuzzHELO(f *testing.F) {
	for _, s := range []string{"a", "[8.8.8.8]", "a(b", "a)", "(b [8.8.8.8]) by x", "helo=", "[8.8.8.8] (port=1 helo=x) by y ("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, helo string) {
		if strings.ContainsAny(helo, "\r\n\x00") {
			return
		}
		if !strings.ContainsAny(helo, " \t()") && helo != "" { // what a relay passes on at least
			if h, ok := Parse("from " + helo + " (name.test [192.0.2.1]) by mx.test"); ok && h.IP != ip("192.0.2.1") {
				t.Fatalf("%q: %+v", helo, h)
			}
		}
	})
}
