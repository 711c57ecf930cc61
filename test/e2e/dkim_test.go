package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"postern/cmd/postern/calls"
	"postern/internal/dns"
)

// From the first key to the second, on a running gateway: mail goes out unsigned, signed, and
// signed with the next key, and every signature verifies by the DNS.
func TestOutboundMailIsSigned(t *testing.T) {
	t.Parallel()
	g, egress := outgoing(t)
	c := dial(t, g.Addrs["submission"])
	if code, text := c.logIn("ada@example.com", "ada-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	resolver, err := dns.New(dns.Config{Servers: []string{g.DNS.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	texts := func(name string) ([]string, error) { return resolver.TXT(dns.Fresh(t.Context()), name) }
	const raw = "From: Ada <ada@example.com>\r\nTo: x@far.example\r\nSubject: Out\r\n\r\nhello\r\n"
	sent := 0
	send := func() []*dkim.Verification {
		t.Helper()
		if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, raw); code != 250 {
			t.Fatalf("%d %s", code, text)
		}
		sent++
		body := egress.WaitTransactions(t, sent)[sent-1].Body
		all, err := dkim.VerifyWithOptions(bytes.NewReader(body), &dkim.VerifyOptions{LookupTXT: texts})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range all {
			if v.Err != nil {
				t.Errorf("%v in\n%s", v.Err, body)
			}
		}
		return all
	}
	first := runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", "example.com", "--selector", "one")
	g.run(t, 1, "dkim", "dns", "example.com")
	if got := send(); len(got) != 0 {
		t.Fatalf("signed before the record is there: %+v", got)
	}
	if err := g.DNS.Set(first.Record.Name, "TXT "+first.Record.Text); err != nil {
		t.Fatal(err)
	}
	g.run(t, 0, "dkim", "dns", "example.com")
	if got := send(); len(got) != 1 || got[0].Domain != "example.com" || !slices.Contains(got[0].HeaderKeys, "Message-ID") {
		t.Fatalf("%+v", got)
	}
	next := runJSON[[]calls.DKIMKey](t, g, 0, "dkim", "rotate", "--json", "example.com")
	if got := send(); len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	if err := g.DNS.Set(next[0].Record.Name, "TXT "+next[0].Record.Text); err != nil {
		t.Fatal(err)
	}
	seen := runJSON[calls.DKIMSeen](t, g, 0, "dkim", "dns", "--json", "example.com")
	if len(seen.Changes) != 2 {
		t.Fatalf("%+v", seen)
	}
	if err := g.DNS.Set(first.Record.Name); err != nil { // only the new one can verify now
		t.Fatal(err)
	}
	if got := send(); len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	if got := actions(t, g, next[0].Record.Name); !slices.Equal(got, []string{"dkim-rotate", "dkim-active"}) {
		t.Errorf("audited are %q", got)
	}
	broken := filepath.Join(g.Dir, "state", "dkim", "example.com", next[0].Selector+".pem")
	if err := os.Truncate(broken, 100); err != nil {
		t.Fatal(err)
	}
	g.run(t, 0, "dkim", "list") // reads the files anew
	if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, raw); code != 451 {
		t.Errorf("a key that cannot be read: %d %s", code, text)
	}
	g.awaitLog(t, "alert", "dkim-key:example.com", broken)
	if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, "From: ada@elsewhere.example\r\n\r\nhello\r\n"); code != 250 {
		t.Errorf("mail of another author: %d %s", code, text)
	}
	g.run(t, 0, "dkim", "retire", "example.com", next[0].Selector)
	if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, raw); code != 250 {
		t.Errorf("without a key: %d %s", code, text)
	}
}
