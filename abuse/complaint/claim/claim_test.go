package claim_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"postern/abuse/complaint/claim"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		" a\r\nb\x00c\x1b[31m ": "a  b c [31m", "caf\xe9": "caf?", "a\u202eb\u2028c\u009bd": "a b c d", "": "",
	} {
		if got := claim.Text(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
	for _, long := range []string{strings.Repeat("ä", 10_000), strings.Repeat("\x00", 1<<20) + "x", strings.Repeat("字", 999)} {
		if got := claim.Text(long); len(got) > claim.MaxValue || !utf8.ValidString(got) {
			t.Errorf("%d bytes", len(got))
		}
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"<a@b>": "a@b", "rfc822; a@b": "a@b", "RFC822;<a@b>": "a@b", "Anna <a@b>": "a@b", "a@b": "a@b", "<a@b": "a@b", "<>": "", "": "",
		"<Undisclosed Recipients>": "Undisclosed Recipients", "'a@b',": "a@b", `"x;y"@b`: `"x;y"@b`, `utf-8; \x{3b1}@b`: "α@b", `\x{110000}@b`: `\x{110000}@b`, `\x{0d}a@b`: `\x{0d}a@b`,
	} {
		if got := claim.Address(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestAdd(t *testing.T) {
	var list []string
	for i := range 200 {
		list = claim.Add(claim.Add(list, strings.Repeat("a", i)), "")
	}
	if list = claim.Add(list, "a"); len(list) != claim.MaxList {
		t.Errorf("%d values", len(list))
	}
	if got := claim.Add([]string{"a"}, "a"); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestWhen(t *testing.T) {
	for in, want := range map[string]string{
		"Thu, 8 Mar 2005 14:00:00 EDT": "2005-03-08T18:00:00Z", "Thu, 8 Mar 2005 14:00:00 -0500 (EST)": "2005-03-08T19:00:00Z", "8 Oct 2011 20:15:58 +0000 (GMT)": "2011-10-08T20:15:58Z",
		"Tue, 23 Jun 2020 06:31:38 GMT": "2020-06-23T06:31:38Z", "Tue, 23 Jun 2020 06:31:38 PST": "2020-06-23T14:31:38Z", "23 Jun 2020 06:31 CST": "2020-06-23T12:31:00Z",
		"2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123+0800": "2026-01-01T19:04:05Z", "2026-01-02 03:04:05 +0800": "2026-01-01T19:04:05Z",
		"": "", "yesterday": "", "Thu, 8 Mar 0005 14:00:00 +0000": "", "9999-01-02T03:04:05Z": "", strings.Repeat("(", 100_000): "", "1 2 3": "",
	} {
		got := ""
		if at, ok := claim.When(in); ok {
			got = at.Truncate(time.Second).Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%.60q is %q, want %q", in, got, want)
		}
	}
}

func TestIPAndPort(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "[192.0.2.1]": "192.0.2.1", "192.0.2.1 (host.example)": "192.0.2.1", "IPv6:2001:db8::1": "2001:db8::1", "[IPv6:2001:DB8::1]": "2001:db8::1", "::ffff:192.0.2.1": "192.0.2.1",
		"fe80::1%eth0": "fe80::1", "": "", "localhost": "", "192.0.2.256": "", "192.0.2.1.1": "",
	} {
		a, ok := claim.IP(in)
		if ok != (want != "") || ok && a.String() != want {
			t.Errorf("%q is %v %v", in, a, ok)
		}
	}
	for in, want := range map[string]uint16{"25": 25, " 51514 ": 51514, "51514 (tcp)": 51514, "0": 0, "65536": 0, "-1": 0, "smtp": 0, "": 0} {
		if p, ok := claim.Port(in); p != want && ok || ok != (want != 0) {
			t.Errorf("%q is %d %v", in, p, ok)
		}
	}
}
