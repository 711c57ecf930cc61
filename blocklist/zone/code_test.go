package zone_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postern/blocklist/zone"
	"postern/internal/dns"
)

// Lists that put several listings into the bits of one answer, and allowlists that tell a
// category and a trust apart.
func TestCodesByBits(t *testing.T) {
	s := &served{a: map[string]string{}}
	z, err := zone.New(zone.Config{Name: "multi", Zone: "multi.example.org", Of: zone.OfLink, Codes: map[string]string{
		"127.0.0.&8": "PHISH", "127.0.0.&16": "MALWARE", "127.0.0.&192": "BOTH", "127.0.0.64": "EXACT", "127.0.*.3": "TRUST_HIGH", "127.&2.0.0/x": "",
	}}, s)
	if err == nil {
		t.Fatalf("a mask in a prefix is taken: %v", z)
	}
	z, err = zone.New(zone.Config{Name: "multi", Zone: "multi.example.org", Of: zone.OfLink, Codes: map[string]string{
		"127.0.0.&8": "PHISH", "127.0.0.&16": "MALWARE", "127.0.0.&192": "BOTH", "127.0.0.64": "EXACT", "127.0.*.3": "TRUST_HIGH",
	}}, s)
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]string{
		"127.0.0.8":              "[PHISH]",
		"127.0.0.24":             "[MALWARE PHISH]",
		"127.0.0.26":             "[MALWARE PHISH]",
		"127.0.0.64":             "[EXACT]", // BOTH wants both bits
		"127.0.0.192":            "[BOTH]",
		"127.0.0.254":            "[MALWARE BOTH PHISH]",
		"127.0.1.8":              "[]",
		"127.0.9.3":              "[TRUST_HIGH]",
		"127.0.0.2":              "[]",
		"127.0.0.8 127.0.5.3":    "[TRUST_HIGH PHISH]",
		"127.255.255.8":          "refuses to answer us (127.255.255.8)",
		"127.0.0.8 198.51.100.8": "gives an address that is no list answer (198.51.100.8)",
	} {
		s.set("bad.example.multi.example.org", answer)
		a, err := z.Ask(t.Context(), "bad.example", time.Now())
		got := fmt.Sprint(a.Symbols)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
}

func TestIPv6TestEntries(t *testing.T) {
	const yes = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.example.org"
	const no = "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl.example.org"
	z, s := list(t)
	if err := z.Test(t.Context()); err != nil || z.Health().IPv6 {
		t.Error("a list without IPv6 is well all the same", err)
	}
	s.set(yes, "127.0.0.2")
	if err := z.Test(t.Context()); err != nil || !z.Health().IPv6 {
		t.Error(err, z.Health())
	}
	s.set(no, "127.0.0.2")
	if err := z.Test(t.Context()); err == nil || err.Error() != "lists everything" {
		t.Error(err)
	}
}

// A spent budget says nothing about the list, and its words carry the mark of the ledger.
func TestSpentBudgetIsNoFaultOfTheList(t *testing.T) {
	z, s := list(t)
	s.fails = &net.DNSError{Name: "x", Err: dns.ErrBudget.Error(), UnwrapErr: dns.ErrBudget, IsTemporary: true, IsTimeout: true}
	_, err := z.Ask(t.Context(), "192.0.2.1", time.Now())
	if !errors.Is(err, zone.ErrCut) || !strings.Contains(err.Error(), "DNS_BUDGET") {
		t.Error(err)
	}
}

func TestOffFor(t *testing.T) {
	z, _ := list(t)
	now := time.Unix(1000, 0)
	if d := z.OffFor(now); d != 0 {
		t.Error("never tested", d)
	}
	z.Turn(errors.New("x"), now)
	z.Turn(errors.New("y"), now.Add(time.Minute))
	if d := z.OffFor(now.Add(2 * time.Hour)); d != 2*time.Hour {
		t.Error(d)
	}
	z.Turn(nil, now.Add(3*time.Hour))
	if d := z.OffFor(now.Add(4 * time.Hour)); d != 0 {
		t.Error("on", d)
	}
}
