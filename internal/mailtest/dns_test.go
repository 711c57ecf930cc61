package mailtest_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postern/internal/dns"
	"postern/internal/mailtest"
)

func ask(t *testing.T, srv *mailtest.DNS) *dns.Resolver {
	t.Helper()
	r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestZoneFromYAML(t *testing.T) {
	z, err := mailtest.ParseZone(`
example.com: ["A 192.0.2.1", "TXT v=spf1 -all"]
"*.zen.example": ["A 127.0.0.2"]
slow.example.com:
  - A 192.0.2.3
  - "!delay 1ms A"
  - "!servfail TXT"
`)
	if err != nil {
		t.Fatal(err)
	}
	srv := mailtest.NewDNS(t, z)
	r := ask(t, srv)
	for name, want := range map[string]string{
		"example.com": "[192.0.2.1]", "1.2.0.192.zen.example": "[127.0.0.2]", "slow.example.com": "[192.0.2.3]",
	} {
		if a, err := r.A(t.Context(), name); fmt.Sprint(a) != want {
			t.Errorf("%s: %v %v", name, a, err)
		}
	}
	var e *net.DNSError
	if _, err := r.TXT(t.Context(), "slow.example.com"); !errors.As(err, &e) || !e.IsTemporary {
		t.Errorf("a fault of one type: %v", err)
	}
	if srv.Count("EXAMPLE.com.") != 1 || srv.Queries()[0].TCP {
		t.Errorf("%v", srv.Queries())
	}
}

func TestZoneErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a: [\"A x\"]":         "unable to parse IP",
		"a: [\"MX x y\"]":      "invalid syntax",
		"a: [\"SPF v=spf1\"]":  `unknown record type "SPF"`,
		"a: [\"!crash\"]":      `unknown fault "crash"`,
		"a: [\"!delay\"]":      "how long?",
		"a: [\"!delay soon\"]": "invalid duration",
		"a: [\"!\"]":           "a fault without a name",
		"- a":                  "zone:",
	} {
		if _, err := mailtest.ParseZone(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := mailtest.StartDNS(mailtest.Zone{"a": {"A x"}}); err == nil {
		t.Error("a bad zone was served")
	}
}

func TestZoneChangesWhileServing(t *testing.T) {
	srv := mailtest.NewDNS(t, nil)
	lookup := func() string {
		a, err := ask(t, srv).A(t.Context(), "example.com")
		switch {
		case errors.Is(err, dns.ErrNoName):
			return "no name"
		case err != nil:
			return "error"
		}
		return fmt.Sprint(a)
	}
	steps := []struct {
		change func() error
		want   string
	}{
		{func() error { return nil }, "no name"},
		{func() error { return srv.Set("example.com", "A 192.0.2.1") }, "[192.0.2.1]"},
		{func() error { return srv.Set("example.com", "A 192.0.2.2", "!servfail") }, "error"},
		{func() error { srv.Fault("example.com"); return nil }, "[192.0.2.2]"},
		{func() error { srv.Fault("*", mailtest.DNSFault{Rcode: 5}); return nil }, "error"},
		{func() error { srv.Fault("*"); return nil }, "[192.0.2.2]"},
		{func() error { srv.SetSilent(true); return nil }, "error"},
		{func() error { srv.SetSilent(false); return srv.Set("example.com") }, "no name"},
	}
	for i, s := range steps {
		if err := s.change(); err != nil {
			t.Fatal(err)
		}
		if got := lookup(); got != s.want {
			t.Errorf("step %d: %s, want %s", i, got, s.want)
		}
	}
	srv.Forget()
	if len(srv.Queries()) != 0 || mailtest.ReverseName("192.0.2.1") != "1.2.0.192.in-addr.arpa" || mailtest.ReverseName("x") != "" {
		t.Error("Forget, ReverseName")
	}
}
