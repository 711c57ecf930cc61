package e2e

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"postern/cmd/postern/calls"
	"postern/filter/auth/arc"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/stamp/seal"
	"postern/test/world"
)

// startWith runs a gateway with more rules before a scripted backend that takes everything.
func startWith(t *testing.T, rules string, p plan) (*gateway, *mailtest.Backend) {
	t.Helper()
	b := mailtest.NewBackend(t, mailtest.Script{})
	p.Backend = b.Addr()
	g := prepare(t, p)
	g.WriteFile("rules.d/more.yaml", rules)
	g.Start()
	g.Ready()
	return g, b
}

// set puts records into the DNS.
func (g *gateway) set(t *testing.T, name string, records ...string) {
	t.Helper()
	if err := g.DNS.Set(name, records...); err != nil {
		t.Fatal(err)
	}
}

// resolver asks the name server of a gateway.
func (g *gateway) resolver(t *testing.T) *dns.Resolver {
	t.Helper()
	r, err := dns.New(dns.Config{Servers: []string{g.DNS.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// chain is what the next host finds of the ARC sets of a message.
func (g *gateway) chain(t *testing.T, body []byte) arc.Chain {
	t.Helper()
	c, err := arc.Validate(dns.Fresh(t.Context()), g.resolver(t), bytes.NewReader(body), int64(len(body)), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signer has a key that is in the DNS.
type signer struct {
	domain string
	key    ed25519.PrivateKey
}

// newSigner publishes a key under the selector s of a domain.
func (g *gateway) newSigner(t *testing.T, domain string) signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	g.set(t, "s._domainkey."+domain, "TXT v=DKIM1; k=ed25519; p="+base64.StdEncoding.EncodeToString(public))
	return signer{domain, private}
}

// sign signs a message by DKIM.
func (s signer) sign(t *testing.T, raw string) string {
	t.Helper()
	var b bytes.Buffer
	err := dkim.Sign(&b, strings.NewReader(raw), &dkim.SignOptions{Domain: s.domain, Selector: "s", Signer: s.key, HeaderKeys: []string{"From", "To", "Subject"}})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// seal adds an ARC set that says what this host saw; validated is what it says of the chain.
func (s signer) seal(t *testing.T, saw, validated, raw string) string {
	t.Helper()
	raw = fmt.Sprintf("Authentication-Results: %s; %s\r\n%s", s.domain, saw, raw)
	one := seal.Sealer{Domain: s.domain, Selector: "s", AuthservID: s.domain, Key: s.key}
	fields, err := one.Seal(strings.NewReader(raw), validated, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return string(fields) + raw
}

// The next host behind us can see what we saw, whatever the chain was that came in.
func TestInboundMailIsSealed(t *testing.T) {
	t.Parallel()
	g, b := startWith(t, "", plan{More: "auth: {arc_seal: true}\n"})
	lists := g.newSigner(t, "friend.example")
	sent := 0
	send := func(raw string) (arc.Chain, string) {
		t.Helper()
		g.mustDeliver(t, 250, "ada@example.com", raw)
		sent++
		body := b.WaitTransactions(t, sent)[sent-1].Body
		if !bytes.HasSuffix(body, []byte(raw)) {
			t.Errorf("what came in is not the end of what went out:\n%s", body)
		}
		return g.chain(t, body), string(body[:len(body)-len(raw)])
	}
	if c, _ := send(letter("before there is a key", "x")); len(c.Sets) != 0 {
		t.Fatalf("sealed without a key: %+v", c)
	}
	g.awaitLog(t, `"msg":"alert"`, "postern dkim add")
	key := runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", "--alg", "ed25519", "mx1.example.com")
	g.set(t, key.Record.Name, "TXT "+key.Record.Text)
	g.run(t, 0, "dkim", "dns", "mx1.example.com")

	c, block := send(letter("the first", "x"))
	if c.Result != arc.Pass || len(c.Sets) != 1 || c.Sets[0].Sealer != "mx1.example.com" {
		t.Fatalf("%+v behind\n%s", c, block)
	}
	if !strings.Contains(block, "cv=none") || !strings.Contains(block, "i=1; mx1.example.com") {
		t.Errorf("before the message stands\n%s", block)
	}
	once := lists.seal(t, "spf=pass smtp.mailfrom=frank@friend.example", "none", letter("sealed once", "x"))
	c, block = send(once)
	if c.Result != arc.Pass || len(c.Sets) != 2 || !strings.Contains(block, "cv=pass") || !strings.Contains(block, "arc=pass") {
		t.Errorf("on top of a valid chain: %+v\n%s", c, block)
	}
	broken := strings.Replace(lists.seal(t, "spf=pass smtp.mailfrom=frank@friend.example", "none", letter("changed after", "x")), "Subject: changed", "Subject: altered", 1)
	c, block = send(broken)
	if c.Result != arc.Fail || !strings.Contains(block, "i=2") || !strings.Contains(block, "cv=fail") || !strings.Contains(block, "arc=fail") {
		t.Errorf("on top of a broken chain: %+v\n%s", c, block)
	}
	if _, block = send(lists.seal(t, "spf=pass", "fail", broken)); strings.Contains(block, "ARC-Seal") {
		t.Errorf("a chain that failed before is sealed again:\n%s", block)
	}
}

// Mail that was held, or whose server was away, is sealed as if it had gone on at once.
func TestLaterDeliveriesAreSealed(t *testing.T) {
	t.Parallel()
	g, b := startWith(t, "", plan{More: "auth: {arc_seal: true}\n"})
	key := runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", "--alg", "ed25519", "mx1.example.com")
	g.set(t, key.Record.Name, "TXT "+key.Record.Text)
	g.run(t, 0, "dkim", "dns", "mx1.example.com")
	h, raw := g.hold(t, "ada@example.com", "Sealed later", "x")
	g.run(t, 0, "quarantine", "release", h.ID)
	check := func(n int, raw string) {
		t.Helper()
		body := b.WaitTransactions(t, n)[n-1].Body
		if c := g.chain(t, body); c.Result != arc.Pass || len(c.Sets) != 1 || !bytes.HasSuffix(body, []byte(raw)) {
			t.Errorf("%+v\n%s", c, body)
		}
	}
	check(1, raw)
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	g.Start()
	g.Ready()
	raw = letter("After a restart", "x")
	g.mustDeliver(t, 250, "ada@example.com", raw)
	check(2, raw)

	// A seal is a service to hosts behind us: without its key mail goes on, and somebody is told.
	file := filepath.Join(g.Dir, "state", "dkim", "mx1.example.com", key.Selector+".pem")
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
	g.run(t, 0, "dkim", "list") // reads the files anew
	for n, to := range []string{"ada@example.com", "bob@example.com"} {
		raw = letter("With a broken key, to "+to, "x")
		g.mustDeliver(t, 250, to, raw)
		if body := string(b.WaitTransactions(t, 3+n)[2+n].Body); !strings.HasSuffix(body, raw) {
			t.Errorf("it went out as\n%s", body)
		}
	}
	g.awaitLog(t, `"msg":"alert"`, file)
}

// A mailing list breaks the signature of an author whose domain asks to refuse such mail: who
// is believed about it is the postmaster's word alone.
func TestTrustedSealersVouchForBrokenMail(t *testing.T) {
	t.Parallel()
	g, b := startWith(t, `policies:
  lenient: {extends: default, dmarc: {reject: honour, quarantine: hold, on_list: tag}}
recipients:
  lenient@example.com: lenient
`, plan{More: "auth: {trusted_sealers: {bank.example: [lists.example]}}\n"})
	g.set(t, "bank.example", "MX 10 mail.bank.example", "TXT v=spf1 -all")
	g.set(t, "mail.bank.example", "A 192.0.2.77")
	g.set(t, "_dmarc.bank.example", "TXT v=DMARC1; p=reject")
	bank, lists, others := g.newSigner(t, "bank.example"), g.newSigner(t, "lists.example"), g.newSigner(t, "others.example")
	post := func(to, raw string) (int, string) {
		c := dial(t, g.Addrs["mx"])
		c.comesFrom("198.51.100.7")
		return c.transaction("list-bounces@other.example", []string{to}, raw)
	}
	altered := func(subject string) string {
		whole := bank.sign(t, letterFrom("Bea <bea@bank.example>", subject, "news"))
		return strings.Replace(whole, "Subject: ", "Subject: [list] ", 1)
	}
	const saw = "dmarc=pass header.from=bank.example"
	for name, raw := range map[string]string{
		"nobody seals":           altered("one"),
		"another seals":          others.seal(t, saw, "none", altered("two")),
		"changed after the seal": strings.Replace(lists.seal(t, saw, "none", altered("three")), "[list]", "[lost]", 1),
		"it saw no pass":         lists.seal(t, "dmarc=fail header.from=bank.example", "none", altered("four")),
		"it saw another's pass":  lists.seal(t, "dmarc=pass header.from=shop.example", "none", altered("five")),
	} {
		if code, text := post("lenient@example.com", raw); code != 550 || !strings.Contains(text, "5.7") {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if code, text := post("lenient@example.com", lists.seal(t, saw, "none", altered("six"))); code != 250 {
		t.Fatalf("a trusted sealer, tag: %d %s", code, text)
	}
	block := string(b.WaitTransactions(t, 1)[0].Body)
	for _, want := range []string{"arc=pass", "dmarc=fail", "ARC_TRUSTED +0.00"} {
		if !strings.Contains(unfolded(block), want) {
			t.Errorf("no %s in\n%s", want, block)
		}
	}
	code, text := post("ada@example.com", lists.seal(t, saw, "none", altered("seven")))
	if code != 250 {
		t.Fatalf("a trusted sealer, hold: %d %s", code, text)
	}
	all := holds(t, g, "state:held symbol:ARC_TRUSTED")
	if len(all) != 1 || !strings.Contains(text, all[0].ID) {
		t.Errorf("%q, %d holds", text, len(all))
	}
	if n := len(b.Transactions()); n != 1 {
		t.Errorf("%d messages behind", n)
	}
	for _, h := range all {
		if shown := g.run(t, 0, "quarantine", "show", h.ID); !slices.Contains(h.To, "ada@example.com") || !strings.Contains(shown, "lists.example saw dmarc=pass of bank.example") {
			t.Errorf("hold %+v\n%s", h, shown)
		}
	}
	// The postmaster no longer believes it.
	p := g.plan
	p.More = ""
	g.configure(p)
	world.Await(t, "the sealer is not believed", 15*time.Second, func() bool {
		code, _ := post("lenient@example.com", lists.seal(t, saw, "none", altered("eight")))
		return code == 550
	})
}

// unfolded is a header without its folding.
func unfolded(header string) string {
	return strings.Join(strings.Fields(header), " ")
}
