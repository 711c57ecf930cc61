package keys_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	resolver "postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/stamp/keys"
)

// What is printed for the zone file is what a name server makes the record of.
func TestZoneText(t *testing.T) {
	for bits, strs := range map[int]int{0: 1, 2048: 2, 4096: 3} {
		s := open(t, t.TempDir(), newClock())
		n := keys.New{Bits: bits, Selector: "s1"}
		if bits == 0 {
			n.Algorithm = keys.Ed25519
		}
		r := add(t, s, "example.com", n).Record()
		if len(r.Strings) != strs || strings.Join(r.Strings, "") != r.Text || r.Name != "s1._domainkey.example.com" {
			t.Errorf("%d bits: %+v", bits, r)
		}
		for _, part := range r.Strings {
			if len(part) > 255 {
				t.Errorf("a string of %d octets", len(part))
			}
		}
		rr, err := dns.NewRR(r.Zone)
		if err != nil {
			t.Fatal(err)
		}
		txt, ok := rr.(*dns.TXT)
		if !ok || strings.Join(txt.Txt, "") != r.Text || txt.Hdr.Name != r.Name+"." {
			t.Errorf("%v", rr)
		}
	}
}

// The DNS is read as verifiers read it.
func TestAsk(t *testing.T) {
	s := open(t, t.TempDir(), newClock())
	k := add(t, s, "example.com", keys.New{Selector: "s1"})
	p := k.Public
	spread := p[:100] + " \t" + p[100:]
	for _, c := range []struct {
		texts   []string
		problem string // "" = published
	}{
		{[]string{k.Record().Text}, ""},
		{[]string{"p=" + p}, ""},
		{[]string{"v=DKIM1;k=RSA;h=sha1:sha256;s=email;t=y:s;n=note;p=" + strings.TrimRight(p, "=")}, ""},
		{[]string{" v = DKIM1 ; s=* ; p = " + spread + " ; "}, ""},
		{[]string{"v=DKIM1; p="}, "revoked"},
		{[]string{"v=DKIM1; k=rsa"}, "holds no key"},
		{[]string{"v=DKIM2; p=" + p}, "v=DKIM2"},
		{[]string{"v=spf1 -all"}, "v=spf1"},
		{[]string{"hello"}, "cannot be read"},
		{[]string{"k=ed25519; p=" + p}, "type ed25519"},
		{[]string{"p=" + strings.ToLower(p)}, "another key"},
		{[]string{"h=sha1; p=" + p}, "sha256"},
		{[]string{"s=tlsrpt; p=" + p}, "not for mail"},
		{[]string{k.Record().Text, "p=AAAA"}, "another key"},
		{[]string{k.Record().Text, k.Record().Text}, ""},
	} {
		z := newZone()
		z.texts["s1._domainkey.example.com"] = c.texts
		a := keys.Ask(t.Context(), z, k)
		if a.Published != (c.problem == "") || !strings.Contains(a.Problem, c.problem) || a.Unknown || a.Published && a.Problem != "" {
			t.Errorf("%q: %+v", c.texts, a)
		}
	}
	if a := keys.Ask(t.Context(), newZone(), k); a.Published || a.Problem != "there is no record at s1._domainkey.example.com" {
		t.Errorf("%+v", a)
	}
}

// Over the wire, with a record that needs TCP, and with servers that fail.
func TestAskOverTheWire(t *testing.T) {
	s := open(t, t.TempDir(), newClock())
	k := add(t, s, "example.com", keys.New{Bits: 4096, Selector: "s1"})
	name := k.Record().Name
	server := mailtest.NewDNS(t, mailtest.Zone{name: {"TXT " + k.Record().Text}, "other.example": {"A 192.0.2.1"}})
	ask := func() keys.Answer {
		r, err := resolver.New(resolver.Config{Servers: []string{server.Addr()}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		return keys.Ask(t.Context(), r, k)
	}
	if a := ask(); !a.Published {
		t.Errorf("%+v", a)
	}
	for fault, want := range map[string]string{"!servfail": "unknown", "!refused": "unknown", "!truncate": "published"} {
		if err := server.Set(name, fault, "TXT "+k.Record().Text); err != nil {
			t.Fatal(err)
		}
		a := ask()
		if got := map[bool]string{true: "unknown", false: fmt.Sprintf("published %v", a.Published)}[a.Unknown]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %+v", fault, a)
		}
	}
	if err := server.Set(name); err != nil {
		t.Fatal(err)
	}
	if a := ask(); a.Published || a.Unknown {
		t.Errorf("%+v", a)
	}
}
