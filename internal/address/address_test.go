package address

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in   string
		utf8 bool
		want Address
	}{
		{"a@b.test", false, Address{"a", "b.test"}},
		{"A.b+c@B.Test", false, Address{"A.b+c", "b.test"}},
		{"postmaster", false, Address{"postmaster", ""}},
		{"POSTMASTER", false, Address{"postmaster", ""}},
		{`"a b"@c.test`, false, Address{"a b", "c.test"}},
		{`"a@b"@c.test`, false, Address{"a@b", "c.test"}},
		{`"a\"\\b"@c.test`, false, Address{`a"\b`, "c.test"}},
		{`"plain"@c.test`, false, Address{"plain", "c.test"}},
		{"!#$%&'*+-/=?^_`{|}~@c.test", false, Address{"!#$%&'*+-/=?^_`{|}~", "c.test"}},
		{"a@[192.0.2.1]", false, Address{"a", "[192.0.2.1]"}},
		{"a@[IPv6:2001:DB8::1]", false, Address{"a", "[ipv6:2001:db8::1]"}},
		{"jürgen@bücher.test", true, Address{"jürgen", "bücher.test"}},
		{"a@xn--bcher-kva.test", false, Address{"a", "xn--bcher-kva.test"}},
		{"a@_dmarc.b.test", false, Address{"a", "_dmarc.b.test"}},
		{strings.Repeat("l", 64) + "@b.test", false, Address{strings.Repeat("l", 64), "b.test"}},
	} {
		got, err := Parse(tt.in, tt.utf8)
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.in, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for in, want := range map[string]error{
		"":                                       ErrSyntax,
		"a":                                      ErrSyntax,
		"@":                                      ErrRoute,
		"@a.test:b@c.test":                       ErrRoute,
		"a@":                                     ErrDomain,
		"@b.test":                                ErrRoute,
		`""@b.test`:                              ErrSyntax,
		`"a`:                                     ErrSyntax,
		`"a\`:                                    ErrSyntax,
		`"a"b@c.test`:                            ErrSyntax,
		"a..b@c.test":                            ErrSyntax,
		".a@c.test":                              ErrSyntax,
		"a.@c.test":                              ErrSyntax,
		"a b@c.test":                             ErrSyntax,
		"a<b@c.test":                             ErrSyntax,
		"a@b@c.test":                             ErrDomain,
		"a@-b.test":                              ErrDomain,
		"a@b-.test":                              ErrDomain,
		"a@b..test":                              ErrDomain,
		"a@b.test.":                              ErrDomain,
		"a@b c":                                  ErrDomain,
		"a@xn---":                                ErrDomain,
		"a@xn--a-ecp.ru":                         ErrDomain,
		"a@[192.0.2.1":                           ErrDomain,
		"a@[]":                                   ErrDomain,
		"a@[IPv6:192.0.2.1]":                     ErrDomain,
		"a@[2001:db8::1]":                        ErrDomain,
		"a@[IPv6:fe80::1%eth0]":                  ErrDomain,
		"a\x00@b.test":                           ErrControl,
		"a\r\n@b.test":                           ErrControl,
		"\"a\tb\"@b.test":                        ErrControl,
		"a\x7f@b.test":                           ErrControl,
		"jürgen@b.test":                          ErrUTF8,
		strings.Repeat("l", 65) + "@b.test":      ErrTooLong,
		"a@" + strings.Repeat("d.", 127) + "dd":  ErrTooLong,
		"a@" + strings.Repeat("d", 64) + ".test": ErrDomain,
	} {
		if got, err := Parse(in, false); !errors.Is(err, want) {
			t.Errorf("%q: %+v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"a\xff@b.test", "a\u2028b@c.test", "a\u0085b@c.test", "a@b\u2029.test"} {
		if got, err := Parse(in, true); err == nil {
			t.Errorf("%q with SMTPUTF8: %+v", in, got)
		}
	}
}

// What Parse takes, String gives in a form that Parse reads as the same, and that can stand
// between angle brackets.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Address{
			Local:  rapid.StringMatching(`[ -~]{1,64}`).Draw(t, "local"),
			Domain: rapid.SampledFrom([]string{"b.test", "[192.0.2.1]", "xn--bcher-kva.test"}).Draw(t, "domain"),
		}
		s := a.String()
		got, err := Parse(s, false)
		if err != nil || got != a {
			t.Fatalf("%q: %+v, %v", s, got, err)
		}
		if i := strings.LastIndexByte(s, '@'); DomainOf(s) != s[i+1:] {
			t.Fatalf("DomainOf(%q) = %q", s, DomainOf(s))
		}
	})
}

func TestBase(t *testing.T) {
	for in, want := range map[string]string{"a+tag@b.test": "a@b.test", "a+b+c@b.test": "a@b.test", "+a@b.test": "+a@b.test", "a@b.test": "a@b.test"} {
		a, err := Parse(in, false)
		if err != nil || a.Base().String() != want {
			t.Errorf("%s: %s, %v", in, a.Base(), err)
		}
	}
}

func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		" Foo@Bar.Test ":     "foo@bar.test",
		`"Foo"@bar.test`:     "foo@bar.test",
		`"F o"@bar.test`:     `"f o"@bar.test`,
		"Ü@Bücher.test":      "ü@xn--bcher-kva.test",
		"no address":         "no address",
		"Postmaster":         "postmaster",
		"USER@example.com\n": "user@example.com",
	} {
		if got := Normalize(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if again := Normalize(Normalize(in)); again != want {
			t.Errorf("%q: not stable: %q", in, again)
		}
	}
}

func TestDomains(t *testing.T) {
	for _, ok := range []string{"a", "a.b", "1.2", "xn--bcher-kva.de", "bücher.de", "a_b.c", strings.Repeat("d", 63) + ".test"} {
		if !ValidDomain(ok) {
			t.Errorf("%q is refused", ok)
		}
	}
	for _, bad := range []string{"", ".", "a.", ".a", "a..b", "a b", "-a", "a-", "[1.2.3.4]", "a\x00b", "a/b", "\xff", strings.Repeat("d", 64)} {
		if ValidDomain(bad) {
			t.Errorf("%q is taken", bad)
		}
	}
	for in, want := range map[string]string{"Bücher.DE": "xn--bcher-kva.de", "A_b.Test": "a_b.test", "[192.0.2.1]": "[192.0.2.1]"} {
		if got, err := ToASCII(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if DomainOf("none") != "" || DomainOf("a@B.Test") != "b.test" || DomainOf(`"a@x"@B`) != "b" {
		t.Error("DomainOf")
	}
}

func TestASCII(t *testing.T) {
	if !(Address{"a", "b"}).ASCII() || (Address{"ä", "b"}).ASCII() || (Address{"a", "bü"}).ASCII() {
		t.Error("ASCII")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a@b.test", `"a\"b"@c.test`, "@a:b@c", "a@[IPv6:::1]", "ü@ü.test", "postmaster", `"\`} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, utf8 bool) {
		a, err := Parse(s, utf8)
		Normalize(s)
		if err != nil {
			return
		}
		wire := a.String()
		if strings.ContainsAny(wire, "\r\n\x00") {
			t.Fatalf("%q: control in %q", s, wire)
		}
		if again, err := Parse(wire, utf8); err != nil || again != a {
			t.Fatalf("%q became %q became %+v, %v", s, wire, again, err)
		}
	})
}
