package xclient

import (
	"net/netip"
	"strings"
	"testing"

	"postern/filter"
)

func TestAttributes(t *testing.T) {
	all := []string{"NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "IDENT", "SOURCE", "DESTADDR"}
	full := Session{
		Client:  filter.Client{IP: netip.MustParseAddr("192.0.2.7"), Port: 25, Name: "mx.example.net", Helo: "mx"},
		Account: "jo+x=y@example.org", ID: "01",
	}
	for name, c := range map[string]struct {
		offered []string
		s       Session
		want    string
	}{
		"all":     {all, full, " ADDR=192.0.2.7 PORT=25 PROTO=ESMTP SOURCE=REMOTE IDENT=01 LOGIN=jo+2Bx+3Dy@example.org NAME=mx.example.net HELO=mx"},
		"some":    {[]string{"HELO", "ADDR"}, full, " ADDR=192.0.2.7 HELO=mx"},
		"nothing": {nil, full, ""},
		"unknown": {all, Session{Client: filter.Client{IP: netip.MustParseAddr("fe80::1%eth0")}}, " ADDR=IPV6:fe80::1 PORT=[UNAVAILABLE] PROTO=ESMTP SOURCE=REMOTE IDENT=[UNAVAILABLE] LOGIN=[UNAVAILABLE] NAME=[UNAVAILABLE] HELO=[UNAVAILABLE]"},
	} {
		if got := Attributes(c.offered, c.s); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAttributesFitOneLine(t *testing.T) {
	s := Session{Client: filter.Client{IP: netip.MustParseAddr("2001:db8::1"), Name: strings.Repeat("n", 250), Helo: strings.Repeat("\r", 250)}}
	got := Attributes([]string{"ADDR", "NAME", "HELO"}, s)
	if len("XFORWARD")+len(got)+2 > 512 || !strings.HasSuffix(got, " HELO=[UNAVAILABLE]") || !strings.Contains(got, "NAME=nnn") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func FuzzXtext(f *testing.F) {
	f.Add("a b")
	f.Add("+=\r\n\x00ü")
	f.Fuzz(func(t *testing.T, s string) {
		if got := xtext(s); strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' || r == '=' }) || len(got) > 3*len(s) {
			t.Fatalf("%q became %q", s, got)
		}
	})
}
