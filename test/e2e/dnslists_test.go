package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"postern/blocklist"
	"postern/internal/mailtest"
	"postern/test/world"
)

const listRules = `symbols:
  E2E_RBL: {action: reject, stage: rcpt, describe: The sending host is on a list}
  E2E_DBL: {action: reject, stage: rcpt, describe: The sender's domain is on a list}
  E2E_LINK: {score: 6, describe: A link leads to a listed domain}
policies:
  default: {greylist: off, quarantine: 5}
`

// listed is what the lists know besides their test entries (RFC 5782 section 5).
func listed() mailtest.Zone {
	return mailtest.Zone{
		"2.0.0.127.ip.lists.example":         {"A 127.0.0.2"},
		"99.113.0.203.ip.lists.example":      {"A 127.0.0.2", "TXT sends spam"},
		"test.domain.lists.example":          {"A 127.0.1.2"},
		"crook.example.domain.lists.example": {"A 127.0.1.2"},
		"test.link.lists.example":            {"A 127.0.2.2"},
		"phish.example.link.lists.example":   {"A 127.0.2.2", "TXT steals passwords"},
	}
}

// startLists runs a gateway with a list of each kind.
func startLists(t *testing.T) (*gateway, *mailtest.Backend) {
	t.Helper()
	b := mailtest.NewBackend(t, mailtest.Script{})
	g := prepare(t, plan{Backend: b.Addr(), More: `lists:
  - {name: hosts, zone: ip.lists.example, of: ip, codes: {127.0.0.2: E2E_RBL}}
  - {name: senders, zone: domain.lists.example, of: domain, codes: {127.0.1.2: E2E_DBL}}
  - {name: links, zone: link.lists.example, of: link, codes: {127.0.2.2: E2E_LINK}}
`})
	g.DNS.SetTTL(1)
	for name, records := range listed() {
		g.set(t, name, records...)
	}
	g.WriteFile("rules.d/lists.yaml", listRules)
	g.Start()
	g.Ready()
	world.Await(t, "the lists are on", 10*time.Second, func() bool {
		_, _, code := g.Run("blocklist", "test")
		return code == 0
	})
	return g, b
}

// Each kind of list speaks about its own part of a mail, and why tells what all of them say.
func TestDNSListsOfEachKind(t *testing.T) {
	t.Parallel()
	g, b := startLists(t)
	if code, text := g.deliverFrom(t, "203.0.113.99", "x@other.example", "ada@example.com", letter("x", "x")); code != 550 || !strings.Contains(text, "on a list") {
		t.Errorf("a listed host: %d %s", code, text)
	}
	if code, text := g.deliverFrom(t, friendIP, "x@crook.example", "ada@example.com", letter("x", "x")); code != 550 {
		t.Errorf("a listed sender: %d %s", code, text)
	}
	g.mustDeliver(t, 250, "ada@example.com", letter("One link", "see https://www.honest.example/path"))
	held := map[string]string{
		"plain":    letter("Plain", "see https://login.phish.example/a?b=c now"),
		"HTML":     strings.Replace(letter("HTML", `<a href="http://x.phish.example/">https://bank.example</a>`), "text/plain", "text/html", 1),
		"in words": letter("Encoded", "https://PHISH.example./x"),
	}
	for name, raw := range held {
		text := g.mustDeliver(t, 250, "ada@example.com", raw)
		found := false
		for _, h := range holds(t, g, "symbol:E2E_LINK") {
			found = found || strings.Contains(text, h.ID)
		}
		if !found {
			t.Errorf("%s: a listed link: %s", name, text)
		}
	}
	if n := len(b.Transactions()); n != 1 {
		t.Errorf("%d messages behind", n)
	}
	for of, want := range map[string]string{"203.0.113.99": "sends spam", "x@phish.example": "steals passwords", "crook.example": "E2E_DBL"} {
		out := g.run(t, 0, "blocklist", "why", of)
		if !strings.Contains(out, "LISTED") || !strings.Contains(out, want) {
			t.Errorf("why %s:\n%s", of, out)
		}
	}
	all := runJSON[[]blocklist.Answer](t, g, 0, "blocklist", "why", "--json", "x@phish.example")
	names := map[string]bool{}
	for _, a := range all {
		if a.Unasked == "" {
			names[a.List] = a.Listed
		}
	}
	if !maps.Equal(names, map[string]bool{"senders": false, "links": true}) {
		t.Errorf("why names %v", names)
	}
}

// breakages are what becomes of lists, in turn: all names of the zone then answer so.
func breakages() map[string]func(g *gateway, zone string) error {
	fault := func(f mailtest.DNSFault) func(*gateway, string) error {
		return func(g *gateway, zone string) error {
			g.DNS.Fault("*."+zone, f)
			for name := range listed() {
				if strings.HasSuffix(name, "."+zone) {
					g.DNS.Fault(name, f)
				}
			}
			return nil
		}
	}
	answer := func(records ...string) func(*gateway, string) error {
		return func(g *gateway, zone string) error {
			for name := range listed() {
				if strings.HasSuffix(name, "."+zone) {
					if err := g.DNS.Set(name, records...); err != nil {
						return err
					}
				}
			}
			return g.DNS.Set("*."+zone, records...)
		}
	}
	return map[string]func(*gateway, string) error{
		"blocked resolver":  answer("A 127.255.255.254"),
		"too many queries":  answer("A 127.255.255.255"),
		"lists everything":  answer("A 127.0.0.2"),
		"a parked domain":   answer("A 192.0.2.200"),
		"silence":           fault(mailtest.DNSFault{Silent: true}),
		"SERVFAIL":          fault(mailtest.DNSFault{Rcode: 2}),
		"REFUSED":           fault(mailtest.DNSFault{Rcode: 5}),
		"the zone is empty": answer(),
	}
}

// Whatever becomes of a list, nobody is refused for it; the operator hears of it, and the list
// counts again once it works.
func TestListDrill(t *testing.T) {
	t.Parallel()
	for name, spoil := range breakages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, _ := startLists(t)
			refuses := func() bool {
				code, _ := g.deliverFrom(t, "203.0.113.99", "x@other.example", "ada@example.com", letter("x", "x"))
				return code == 550
			}
			if !refuses() {
				t.Fatal("the list does not count")
			}
			if err := spoil(g, "ip.lists.example"); err != nil {
				t.Fatal(err)
			}
			end := time.Now().Add(1500 * time.Millisecond) // beyond the life of cached answers
			for i := 0; time.Now().Before(end); i++ {
				g.mustDeliver(t, 250, "ada@example.com", letter(fmt.Sprint("while it is broken ", i), "x"))
				time.Sleep(100 * time.Millisecond)
			}
			if name != "the zone is empty" && refuses() {
				t.Error("a list that is broken refuses mail")
			}
			if out := g.run(t, 1, "blocklist", "test"); !strings.Contains(out, "OFF since") || strings.Count(out, "works") != 2 {
				t.Errorf("test says\n%s", out)
			}
			g.awaitLog(t, `"msg":"alert"`, "list hosts (ip.lists.example) is switched off")
			if code, text := g.deliverFrom(t, friendIP, "x@crook.example", "ada@example.com", letter("x", "x")); code != 550 {
				t.Errorf("another list no longer counts: %d %s", code, text)
			}
			g.heal(t, "ip.lists.example")
			world.Await(t, "its test passes", 10*time.Second, func() bool { _, _, code := g.Run("blocklist", "test"); return code == 0 })
			g.awaitLog(t, `"msg":"all clear"`, "list/hosts")
			world.Await(t, "the list counts again", 10*time.Second, refuses)
		})
	}
}

// heal undoes what was done to a zone.
func (g *gateway) heal(t *testing.T, zone string) {
	t.Helper()
	for name, records := range listed() {
		if strings.HasSuffix(name, "."+zone) {
			g.DNS.Fault(name)
			g.set(t, name, records...)
		}
	}
	g.DNS.Fault("*." + zone)
	g.set(t, "*."+zone)
}
