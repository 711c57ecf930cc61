package steps_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/checks"
	"postern/cmd/postern/home"
	"postern/cmd/postern/setup"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/internal/address"
	"postern/internal/config"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/internal/record"
	"postern/rules"
)

// letters is how many messages of the corpora are measured, spread evenly over all.
const letters = 300

// letter is a message before and after its body is known.
type letter struct {
	raw         []byte
	early, late *filter.Message
}

// readLetters takes messages with their recorded envelopes.
func readLetters(tb testing.TB) []letter {
	tb.Helper()
	path := mailtest.Corpora(tb, "envelopes.tsv")
	list, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(list)), "\n")[1:]
	var out []letter
	for i := 0; i < letters && i < len(rows); i++ {
		f := strings.Split(rows[i*len(rows)/letters], "\t")
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(path), filepath.FromSlash(f[1])))
		if err != nil {
			tb.Fatal(err)
		}
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		ip, err := netip.ParseAddr(f[2])
		if err != nil {
			ip = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		}
		out = append(out, newLetter(fmt.Sprintf("%026d", i), raw, ip, f[3], f[4]))
	}
	return out
}

func newLetter(id string, raw []byte, ip netip.Addr, helo, from string) letter {
	early := &filter.Message{
		ID: id, Time: time.Now(), From: from, Client: filter.Client{IP: ip, Helo: helo},
		To: []filter.Recipient{{Address: "ann@us.example", Policy: "default"}},
	}
	late := *early
	late.Body, late.Size, late.SHA256 = bytes.NewReader(raw), int64(len(raw)), id
	late.Parts = sync.OnceValues(func() (*mime.Tree, error) {
		return mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
	})
	return letter{raw, early, &late}
}

var (
	folded    = regexp.MustCompile(`\r\n[ \t]+`)
	signature = regexp.MustCompile(`(?mi)^DKIM-Signature:(.*)$`)
	selector  = regexp.MustCompile(`[;\s]s=\s*([^;\s]+)`)
	signer    = regexp.MustCompile(`[;\s]d=\s*([^;\s]+)`)
	author    = regexp.MustCompile(`(?mi)^From:.*@([a-z0-9.-]+)`)
)

// world is the DNS around the letters: every domain has its records, every signature a key,
// not the right one, so that all of it has to be computed.
func world(tb testing.TB, all []letter) *mailtest.DNS {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	zone := mailtest.Zone{"2.0.0.127.dnsbl.example": {"A 127.0.0.2"}, "2.0.0.127.dnswl.example": {"A 127.0.10.2"}, "test.dbl.example": {"A 127.0.1.2"}, "test.uri.example": {"A 127.0.1.2"},
		"_spf.example": {"TXT v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::/32 ~all"}}
	host := func(name string) {
		if a, err := address.ToASCII(strings.TrimSuffix(name, ".")); err == nil && strings.Contains(a, ".") {
			zone[a] = []string{"A 192.0.2.1", "MX 10 mx." + a, "TXT v=spf1 ip4:192.0.2.0/24 a mx include:_spf.example -all"}
			zone["mx."+a] = []string{"A 192.0.2.2"}
			zone["_dmarc."+a] = []string{"TXT v=DMARC1; p=quarantine; rua=mailto:d@" + a}
		}
	}
	for _, l := range all {
		host(l.late.FromDomain())
		host(l.late.Client.Helo)
		zone[mailtest.ReverseName(l.late.Client.IP.String())] = []string{"PTR host.example.net"}
		head, _, _ := bytes.Cut(l.raw, []byte("\r\n\r\n"))
		head = folded.ReplaceAll(head, []byte(" "))
		if a := author.FindSubmatch(head); a != nil {
			host(strings.ToLower(string(a[1])))
		}
		for _, s := range signature.FindAllSubmatch(head, -1) {
			by, at := selector.FindSubmatch(s[1]), signer.FindSubmatch(s[1])
			if by != nil && at != nil {
				zone[strings.ToLower(fmt.Sprintf("%s._domainkey.%s", by[1], at[1]))] = []string{"TXT v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(public)}
			}
		}
	}
	d := mailtest.NewDNS(tb, zone)
	d.SetTTL(3600)
	return d
}

// node builds the checks of a node with one list of each kind and all rates.
func node(tb testing.TB, all []letter) (*checks.Checks, *filter.Pipeline, *rules.Set) {
	tb.Helper()
	cfg := config.Default()
	cfg.Hostname, cfg.State = "mx1.us.example", tb.TempDir()
	cfg.DNS.Servers = []string{world(tb, all).Addr()}
	cfg.Lists = []config.List{
		{Name: "dnsbl", Zone: "dnsbl.example", Of: "ip", Codes: map[string]string{"127.0.0.2": "RBL_IP"}},
		{Name: "dnswl", Zone: "dnswl.example", Of: "ip", Codes: map[string]string{"127.0.*.2": "DNSWL_MED"}},
		{Name: "dbl", Zone: "dbl.example", Of: "domain", Codes: map[string]string{"127.0.1.2": "RBL_DOMAIN"}},
		{Name: "uri", Zone: "uri.example", Of: "link", Codes: map[string]string{"127.0.1.2": "RBL_LINK"}},
	}
	cfg.Routes = map[string]config.Route{"us.example": {Backend: "mail"}}
	rate := config.Rate{Minute: 1 << 20, Hour: 1 << 20}
	cfg.Rates = map[string]config.Rate{"ip": rate, "net": rate, "domain": rate, "account": rate, "account_recipients": rate, "recipient": rate, "bad_recipient": rate, "errors": rate}
	quiet := slog.New(slog.DiscardHandler)
	state, err := home.Open(tb.Context(), home.Options{Config: cfg, Log: quiet, Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = state.Close() })
	resolver, err := dns.New(setup.DNSConfig(cfg))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(resolver.Close)
	var at atomic.Pointer[config.Config]
	at.Store(cfg)
	c, err := checks.New(tb.Context(), checks.Parts{
		Config: &at, Home: state, Resolver: resolver, Audit: &record.Auditor{Store: state.Audit, Now: time.Now},
		Key: []byte("k"), Event: func(string, string, bool) {}, Now: time.Now, Log: quiet,
	})
	if err != nil {
		tb.Fatal(err)
	}
	c.Lists.Test(tb.Context())
	set, err := rules.Load()
	if err != nil {
		tb.Fatal(err)
	}
	p := steps.Pipeline(c.Steps(), set, cfg, quiet)
	for i, l := range all {
		for _, s := range p.Steps {
			if s.Stage < filter.OnData {
				l.late.Seen = append(l.late.Seen, ask(c, s, l, i)...)
			}
		}
	}
	return c, p, set
}

// ask runs a step on a letter as the pipeline would, without its budget. Steps of our own
// people see the letter as theirs.
func ask(c *checks.Checks, s filter.Step, l letter, n int) []filter.Finding {
	m := l.early
	if s.Stage == filter.OnData {
		m = l.late
	}
	own := s.Name == steps.StepAccount || s.Name == steps.StepSenders || s.Name == steps.StepLimits && s.Stage == filter.OnData
	if own || s.Name == steps.StepAuth || s.Name == steps.StepLimits {
		fresh := *m // nothing is known of it from the round before
		m = &fresh
	}
	if own {
		m.Direction, m.Account = filter.Outbound, "ann@us.example"
	}
	if s.Name == steps.StepLimits {
		m.ID = fmt.Sprint(n)
		defer c.Limits.Abandoned(m)
	}
	found, _ := s.Check.Check(context.Background(), m)
	return found
}

// BenchmarkChecks is what each step costs for a message of the corpora, with everything the
// DNS knows about it in the cache. The scanner is not among them: its cost is clamd's.
func BenchmarkChecks(b *testing.B) {
	all := readLetters(b)
	c, p, set := node(b, all)
	reports := make([]filter.Report, len(all))
	for i, l := range all {
		for _, s := range p.Steps {
			reports[i].Findings = append(reports[i].Findings, ask(c, s, l, i)...)
		}
	}
	b.Run("reading", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			raw := all[i%len(all)].raw
			t, err := mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
			if err != nil {
				b.Fatal(err)
			}
			t.URLs() // decodes text and HTML, once for all steps
		}
	})
	for _, s := range p.Steps {
		b.Run(s.Name+"@"+s.Stage.String(), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ask(c, s, all[i%len(all)], i)
			}
		})
	}
	b.Run("verdict", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			filter.Verdicts(set, all[i%len(all)].late, reports[i%len(all)])
		}
	})
}

// The letters that are measured give the checks something to do: else the figures say little.
func TestLettersAreRealWork(t *testing.T) {
	all := readLetters(t)
	c, p, _ := node(t, all)
	found := map[string]int{}
	for i, l := range all {
		for _, s := range p.Steps {
			for _, f := range ask(c, s, l, i) {
				found[f.Symbol]++
			}
		}
	}
	for _, symbol := range []string{"SPF_FAIL", "DKIM_FAIL", "DMARC_FAIL", "GREY_NEW", "HAS_UNSUBSCRIBE"} {
		if found[symbol] < letters/20 {
			t.Errorf("%s fired for %d of %d messages", symbol, found[symbol], len(all))
		}
	}
	if len(all) != letters || c.Limits.Open() != 0 {
		t.Errorf("%d messages, %d open", len(all), c.Limits.Open())
	}
}
