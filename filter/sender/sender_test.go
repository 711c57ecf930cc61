package sender_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/sender"
	"postern/internal/dns"
)

// world answers from maps; a name in fails has a temporary error.
type world struct {
	ptr   map[string][]string
	ips   map[string][]string
	mx    map[string][]dns.MX
	fails map[string]error
}

func missing(name string) error { return &net.DNSError{Name: name, IsNotFound: true, Err: "none"} }

func (w world) PTR(_ context.Context, ip netip.Addr) ([]string, error) {
	if err := w.fails[ip.String()]; err != nil {
		return nil, err
	}
	if n, ok := w.ptr[ip.String()]; ok {
		return n, nil
	}
	return nil, missing(ip.String())
}

func (w world) IPs(_ context.Context, name string) ([]netip.Addr, error) {
	if err := w.fails[name]; err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, s := range w.ips[name] {
		out = append(out, netip.MustParseAddr(s))
	}
	if out == nil {
		return nil, missing(name)
	}
	return out, nil
}

func (w world) MX(_ context.Context, name string) ([]dns.MX, error) {
	if err := w.fails["mx "+name]; err != nil {
		return nil, err
	}
	if m, ok := w.mx[name]; ok {
		return m, nil
	}
	return nil, missing(name)
}

var timeout = &net.DNSError{Err: "timeout", IsTimeout: true, IsTemporary: true}

func outcome(f []filter.Finding, err error) string {
	var s []string
	for _, x := range f {
		s = append(s, x.Symbol+"("+x.Detail+")")
		if x.Auth != nil {
			s = append(s, x.Auth.Method+"="+x.Auth.Result)
		}
	}
	var p filter.PlainError
	if errors.As(err, &p) {
		s = append(s, "could not: "+p.Plain())
	}
	return strings.Join(s, " ")
}

func TestReverseName(t *testing.T) {
	w := world{
		ptr: map[string][]string{
			"192.0.2.1": {"Mail.Good.example."}, "192.0.2.2": {"other.example."}, "192.0.2.3": {"bad.example", "mail3.good.example"},
			"192.0.2.4": {"host-4-2-0-192.pool.example"}, "192.0.2.6": {"slow.example"}, "2001:db8::1": {"v6.good.example"},
		},
		ips: map[string][]string{
			"mail.good.example": {"198.51.100.9", "192.0.2.1"}, "mail3.good.example": {"192.0.2.3"}, "other.example": {"203.0.113.1"},
			"host-4-2-0-192.pool.example": {"192.0.2.4"}, "v6.good.example": {"2001:db8::1"},
		},
		fails: map[string]error{"192.0.2.5": timeout, "slow.example": &net.DNSError{Err: "spent", IsTemporary: true, UnwrapErr: dns.ErrBudget}},
	}
	for ip, want := range map[string]string{
		"192.0.2.1": "", "::ffff:192.0.2.1": "", "2001:db8::1": "", "127.0.0.1": "",
		"192.0.2.2": "PTR_MISMATCH(other.example) iprev=fail",
		"192.0.2.3": "",
		"192.0.2.4": "PTR_GENERIC(host-4-2-0-192.pool.example) iprev=pass",
		"192.0.2.9": "PTR_NONE(192.0.2.9) iprev=fail",
		"192.0.2.5": "could not: DNS timed out",
		"192.0.2.6": "could not: the DNS budget of the message was spent (DNS_BUDGET)",
	} {
		addr := netip.MustParseAddr(ip).Unmap()
		got := outcome(sender.ReverseName(w).Check(t.Context(), &filter.Message{Client: filter.Client{IP: addr}}))
		if got != want {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
	if got := outcome(sender.ReverseName(w).Check(t.Context(), &filter.Message{})); got != "could not: no client address is known" {
		t.Error(got)
	}
	rev, err := sender.LookUp(t.Context(), w, netip.MustParseAddr("192.0.2.1"))
	if err != nil || rev.Name != "mail.good.example" {
		t.Errorf("%+v %v", rev, err)
	}
}

func TestReverseNamesAreBounded(t *testing.T) {
	w := world{ptr: map[string][]string{}, ips: map[string][]string{}}
	for i := range 100 {
		w.ptr["192.0.2.1"] = append(w.ptr["192.0.2.1"], fmt.Sprintf("n%d.example", i))
	}
	w.ips["n99.example"] = []string{"192.0.2.1"}
	rev, err := sender.LookUp(t.Context(), w, netip.MustParseAddr("192.0.2.1"))
	if err != nil || rev.Name != "" || len(rev.Others) != 10 {
		t.Errorf("%d names were asked for, %v", len(rev.Others), err)
	}
}

func TestHelo(t *testing.T) {
	w := world{
		ips:   map[string][]string{"mail.good.example": {"192.0.2.1"}, "mx1.example.com": {"192.0.2.50"}},
		fails: map[string]error{"slow.example": &net.DNSError{Err: "servfail", IsTemporary: true}},
	}
	ours := func(n string) bool { return n == "mx1.example.com" || n == "example.com" }
	for helo, want := range map[string]string{
		"":                       "",
		"mail.good.example":      "",
		"Mail.Good.Example.":     "",
		"192.0.2.1":              "HELO_BARE_IP(192.0.2.1)",
		"2001:db8::1":            "HELO_BARE_IP(2001:db8::1)",
		"[192.0.2.1]":            "",
		"[IPv6:::ffff:c000:201]": "",
		"[192.0.2.2]":            "HELO_LITERAL([192.0.2.2])",
		"[192.0.2.1":             "HELO_INVALID([192.0.2.1)",
		"[nonsense]":             "HELO_INVALID([nonsense])",
		"a b":                    "HELO_INVALID(a b)",
		"-x.example":             "HELO_INVALID(-x.example)",
		"localhost":              "HELO_NO_DOT(localhost)",
		"MX1.example.com":        "HELO_IS_US(MX1.example.com)",
		"example.com":            "HELO_IS_US(example.com)",
		"nowhere.example":        "HELO_NO_NAME(nowhere.example)",
		"slow.example":           "could not: DNS gave no answer",
	} {
		m := &filter.Message{Client: filter.Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: helo}}
		if got := outcome(sender.Helo(w, ours).Check(t.Context(), m)); got != want {
			t.Errorf("%q: %q, want %q", helo, got, want)
		}
	}
}

func TestSenderDomain(t *testing.T) {
	w := world{
		ips: map[string][]string{"host.example": {"192.0.2.1"}},
		mx: map[string][]dns.MX{
			"good.example": {{Pref: 10, Host: "mail.good.example"}}, "null.example": {{Host: ""}}, "two.example": {{Host: ""}, {Pref: 10, Host: "x"}},
		},
		fails: map[string]error{"mx slow.example": timeout, "halfslow.example": timeout},
	}
	for from, want := range map[string]string{
		"":                   "",
		"a@[192.0.2.1]":      "",
		"a@good.example":     "",
		"a@GOOD.example":     "",
		"a@host.example":     "",
		"a@two.example":      "",
		"a@null.example":     "SENDER_NULL_MX(null.example)",
		"a@nowhere.example":  "SENDER_NO_HOST(nowhere.example)",
		"a@slow.example":     "could not: DNS timed out",
		"a@halfslow.example": "could not: DNS timed out",
		`"x@y"@null.example`: "SENDER_NULL_MX(null.example)",
	} {
		if got := outcome(sender.Domain(w).Check(t.Context(), &filter.Message{From: from})); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}

// H-B14: who calls himself the local host is not local, however he spells it.
func TestSpellingsOfTheLocalHost(t *testing.T) {
	w := world{ips: map[string][]string{"localhost.localdomain": {"127.0.0.1"}}}
	ours := func(n string) bool { return n == "localhost.localdomain" }
	for helo, want := range map[string]string{
		"[127.0.0.1]":             sender.HeloLiteral,
		"[IPv6:::ffff:127.0.0.1]": sender.HeloLiteral,
		"[IPv6:::1]":              sender.HeloLiteral,
		"[ipv6:0:0:0:0:0:0:0:1]":  sender.HeloLiteral,
		"[0.0.0.0]":               sender.HeloLiteral,
		"[::1]":                   sender.HeloLiteral,
		"localhost":               sender.HeloNoDot,
		"localhost.":              sender.HeloNoDot,
		"LOCALHOST":               sender.HeloNoDot,
		"localhost.localdomain":   sender.HeloIsUs,
		"127.0.0.1":               sender.HeloBareIP,
		"::ffff:127.0.0.1":        sender.HeloBareIP,
		"127.1":                   sender.HeloNoName,
		"2130706433":              sender.HeloNoDot,
		"[127.0.0.1%lo]":          sender.HeloInvalid,
		"[127.0.0.1][192.0.2.1]":  sender.HeloInvalid,
		"[]":                      sender.HeloInvalid,
	} {
		m := &filter.Message{Client: filter.Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: helo}}
		got, err := sender.Helo(w, ours).Check(t.Context(), m)
		if err != nil || len(got) != 1 || got[0].Symbol != want {
			t.Errorf("%q: %v %v, want %s", helo, got, err, want)
		}
	}
}

// Whatever a client calls itself, there is one answer and no crash.
func FuzzHelo(f *testing.F) {
	for _, s := range []string{"mail.example", "[192.0.2.1]", "[IPv6:::1]", "[", "]", "192.0.2.1", "\x00", strings.Repeat("a.", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, helo string) {
		m := &filter.Message{Client: filter.Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: helo}}
		got, err := sender.Helo(world{}, func(string) bool { return false }).Check(t.Context(), m)
		if err != nil || len(got) > 1 {
			t.Fatalf("%q: %v %v", helo, got, err)
		}
		literal := strings.EqualFold(helo, "[192.0.2.1]") || strings.HasPrefix(strings.ToLower(helo), "[ipv6:::ffff:")
		if len(got) == 0 && helo != "" && helo != "." && !literal && !strings.HasPrefix(helo, "[") {
			t.Fatalf("%q, a name that does not exist, passes", helo)
		}
	})
}
