package auth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"postern/filter"
	"postern/filter/auth"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/mime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the real time: the oracle signs with the machine's clock.
var now = time.Now().UTC().Truncate(time.Second)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func keyRecord() string {
	pub, _ := key.Public().(ed25519.PublicKey)
	return "TXT v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
}

func world(t testing.TB, more mailtest.Zone) (*dns.Resolver, *mailtest.DNS) {
	t.Helper()
	z := mailtest.Zone{
		"example.com":               {"TXT v=spf1 ip4:192.0.2.1 -all"},
		"_dmarc.example.com":        {"TXT v=DMARC1; p=reject"},
		"s._domainkey.example.com":  {keyRecord()},
		"bank.example":              {"TXT v=spf1 -all"},
		"_dmarc.bank.example":       {"TXT v=DMARC1; p=reject"},
		"_dmarc.quarantine.example": {"TXT v=DMARC1; p=quarantine"},
		"_dmarc.soft.example":       {"TXT v=DMARC1; p=reject; t=y"},
		"_dmarc.none.example":       {"TXT v=DMARC1; p=none"},
		"free.example":              {"A 192.0.2.99"},
		"s._domainkey.free.example": {keyRecord()},
		"helo.example.com":          {"TXT v=spf1 ip4:192.0.2.1 -all"},
	}
	for n, r := range more {
		z[n] = r
	}
	srv := mailtest.NewDNS(t, z)
	r, err := dns.New(dns.Config{Servers: []string{srv.Addr()}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, srv
}

func sign(t testing.TB, domain, msg string) string {
	t.Helper()
	var out bytes.Buffer
	o := &dkim.SignOptions{Domain: domain, Selector: "s", Signer: key, Hash: crypto.SHA256, HeaderKeys: []string{"From", "Subject"}}
	if err := dkim.Sign(&out, strings.NewReader(msg), o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func message(from, body string) *filter.Message {
	r := strings.NewReader(body)
	return &filter.Message{
		Time: now, From: from, Client: filter.Client{IP: netip.MustParseAddr("192.0.2.1"), Helo: "helo.example.com"},
		Body: r, Size: int64(len(body)),
		Parts: sync.OnceValues(func() (*mime.Tree, error) { return mime.Walk(r, int64(len(body)), mime.DefaultLimits()) }),
	}
}

// judge runs SPF, then Message, as the pipeline does.
func judge(t testing.TB, r auth.Resolver, m *filter.Message) (found []filter.Finding, errs []string) {
	t.Helper()
	f, err := auth.SPF(r, "mx.example.net").Check(t.Context(), m)
	m.Seen = f
	more, err2 := auth.Message(r, func() time.Time { return now }, nil).Check(t.Context(), m)
	for _, e := range []error{err, err2} {
		if e != nil {
			var plain filter.PlainError
			if !errors.As(e, &plain) {
				t.Errorf("no plain words: %v", e)
				continue
			}
			errs = append(errs, plain.Plain())
		}
	}
	return append(f, more...), errs
}

func symbols(found []filter.Finding) string {
	var out []string
	for _, f := range found {
		out = append(out, f.Symbol)
	}
	return strings.Join(out, " ")
}

func mail(from string) string { return "From: " + from + "\r\nSubject: x\r\n\r\nhello\r\n" }

func TestSymbols(t *testing.T) {
	r, _ := world(t, nil)
	signedBy := func(d, from string) string { return sign(t, d, mail(from)) }
	for _, c := range []struct{ name, envelope, body, want string }{
		{"all well", "a@example.com", signedBy("example.com", "a@example.com"), "SPF_PASS DKIM_PASS DMARC_PASS"},
		{"by SPF alone", "a@example.com", mail("a@example.com"), "SPF_PASS DKIM_NONE DMARC_PASS"},
		{"by DKIM alone", "x@free.example", signedBy("example.com", "a@example.com"), "SPF_NONE DKIM_PASS DMARC_PASS"},
		{"spoofed bank", "x@free.example", signedBy("free.example", "b@bank.example"), "SPF_NONE DKIM_PASS DMARC_FAIL DMARC_REJECT"},
		{"SPF of another", "a@example.com", mail("b@quarantine.example"), "SPF_PASS DKIM_NONE DMARC_FAIL DMARC_QUARANTINE"},
		{"t=y is milder", "x@free.example", mail("b@soft.example"), "SPF_NONE DKIM_NONE DMARC_FAIL DMARC_QUARANTINE"},
		{"p=none asks nothing", "x@free.example", mail("b@none.example"), "SPF_NONE DKIM_NONE DMARC_FAIL"},
		{"no policy", "x@free.example", mail("b@free.example"), "SPF_NONE DKIM_NONE DMARC_NONE"},
		{"broken signature", "a@example.com", signedBy("example.com", "a@example.com") + "more", "SPF_PASS DKIM_FAIL DMARC_PASS"},
		{"null sender: HELO", "", mail("a@helo.example.com"), "SPF_PASS DKIM_NONE DMARC_PASS"},
		{"SPF refuses", "x@bank.example", mail("x@free.example"), "SPF_FAIL DKIM_NONE DMARC_NONE"},
		{"added From", "x@free.example", "From: c@free.example\r\n" + signedBy("example.com", "a@example.com"),
			"SPF_NONE DKIM_PASS DKIM_ADDED_FIELDS FROM_MULTIPLE DMARC_NONE"},
		{"header too large", "a@example.com", "X: " + strings.Repeat("x", 300<<10) + "\r\n" + signedBy("example.com", "a@example.com"), "SPF_PASS DKIM_POLICY"},
	} {
		found, errs := judge(t, r, message(c.envelope, c.body))
		got := symbols(found)
		if c.name == "header too large" { // whether From is still found is the walk's affair
			got = strings.Join(strings.Fields(got)[:2], " ")
		} else if errs != nil {
			t.Errorf("%s: %q", c.name, errs)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		for _, f := range found {
			if f.Auth == nil && !strings.HasPrefix(f.Symbol, "FROM_") {
				t.Errorf("%s: %s has no result", c.name, f.Symbol)
			}
		}
	}
}

// H-E07 and RFC 8601: what is written of a result.
func TestAuthResults(t *testing.T) {
	r, _ := world(t, nil)
	m := message("a@example.com", sign(t, "example.com", mail("a@example.com")))
	found, _ := judge(t, r, m)
	var got []string
	for _, f := range found {
		s := f.Auth.Method + "=" + f.Auth.Result
		for _, p := range f.Auth.Props {
			v := p.Value
			if p.Name == "b" {
				v = fmt.Sprint(len(v))
			}
			s += " " + p.Type + "." + p.Name + "=" + v
		}
		got = append(got, s)
	}
	want := []string{
		"spf=pass smtp.mailfrom=a@example.com",
		"dkim=pass header.d=example.com header.s=s header.a=ed25519-sha256 header.b=8",
		"dmarc=pass header.from=example.com",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	found, _ = judge(t, r, message("", mail("b@bank.example")))
	if p := found[0].Auth.Props; len(p) != 1 || p[0] != (filter.AuthProp{Type: "smtp", Name: "helo", Value: "helo.example.com"}) {
		t.Errorf("%+v", p)
	}
	last := found[len(found)-1]
	if last.Auth.At != "bank.example" || last.Auth.Record != "v=DMARC1; p=reject" {
		t.Errorf("the record is not with its result: %+v", last.Auth)
	}
	if last.Symbol != "DMARC_REJECT" || last.Auth.Result != "fail" || last.Auth.Reason != "p=reject of bank.example" || last.Auth != found[len(found)-2].Auth {
		t.Errorf("%+v %+v", last, last.Auth)
	}
}

// What people read of a result: which check said what.
func TestDetails(t *testing.T) {
	r, _ := world(t, mailtest.Zone{"broken.example": {"TXT v=spf1 nonsense"}})
	for _, c := range []struct{ envelope, body, symbol, want string }{
		{"a@example.com", mail("a@example.com"), "SPF_PASS", "SPF: example.com allows 192.0.2.1 (ip4:192.0.2.1)"},
		{"a@bank.example", mail("a@example.com"), "SPF_FAIL", "SPF: bank.example does not allow 192.0.2.1 (-all)"},
		{"a@free.example", mail("a@example.com"), "SPF_NONE", "SPF: free.example publishes no record that allows 192.0.2.1"},
		{"a@broken.example", mail("a@example.com"), "SPF_PERMERROR",
			`SPF: broken.example cannot say whether it allows 192.0.2.1: the record of broken.example: "nonsense": unknown mechanism`},
		{"a@example.com", sign(t, "example.com", mail("a@example.com")), "DKIM_PASS", "DKIM: signed by example.com (ed25519-sha256, 256 bits)"},
		{"a@example.com", sign(t, "example.com", mail("a@example.com")) + "more", "DKIM_FAIL",
			"DKIM: signed by example.com (ed25519-sha256, 256 bits), but the body was changed"},
		{"a@example.com", sign(t, "example.com", mail("a@example.com")), "DMARC_PASS", "DMARC: example.com is proven by DKIM of example.com"},
		{"a@example.com", mail("a@mail.example.com"), "DMARC_PASS", "DMARC: mail.example.com is proven by SPF of example.com"},
		{"a@example.com", mail("a@free.example"), "DMARC_NONE", "DMARC: free.example publishes no policy"},
		{"a@example.com", mail("a@soft.example"), "DMARC_QUARANTINE", "DMARC: neither SPF nor DKIM proves soft.example, p=reject of soft.example, in test mode"},
		{"a@example.com", mail("a@localhost"), "DMARC_PERMERROR", "DMARC: a From address has a domain that is none"},
	} {
		found, _ := judge(t, r, message(c.envelope, c.body))
		if got := detail(found, c.symbol); got != c.want {
			t.Errorf("%s: %q, want %q", c.symbol, got, c.want)
		}
	}
}

// RFC 8301: SHA-1 and short keys prove nothing, and are told apart from what is broken.
func TestWeakKeys(t *testing.T) {
	const modulus = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANSRXBdQGL1oYLdUdQFRqmLm9gDmcnceevfmR2FQe0+10gd9RX8uQCK7gqeZ+v+kv0TOkqNMX0WrGGU3QObPSl0CAwEAAQ=="
	r, _ := world(t, mailtest.Zone{"short._domainkey.example.com": {"TXT v=DKIM1; k=rsa; p=" + modulus}})
	for tags, want := range map[string]string{
		"a=rsa-sha1; s=s":       "DKIM: example.com signs with rsa-sha1",
		"a=rsa-sha256; s=short": "DKIM: example.com signs with rsa-sha256 and a key of 512 bits",
		"a=rsa-sha256; s=s":     "",
	} {
		field := "DKIM-Signature: v=1; c=relaxed/relaxed; d=example.com; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=" +
			strings.Repeat("A", 84) + "AA==; " + tags + "\r\n"
		found, _ := judge(t, r, message("x@free.example", field+mail("a@example.com")))
		if got := detail(found, "DKIM_WEAK_KEY"); got != want {
			t.Errorf("%s: %q, want %q (%s)", tags, got, want, symbols(found))
		}
	}
}

// F1-F3: whatever the DNS does, nothing fails that could have passed, and the ledger says so.
func TestTemporaryTroubleRefusesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		fault string
		want  string
		words string
	}{
		"the key":    {"s._domainkey.example.com", "SPF_NONE DKIM_TEMPERROR DMARC_TEMPERROR", "the key of a DKIM signature could not be looked up; DMARC: what could prove example.com could not be looked up"},
		"the policy": {"_dmarc.example.com", "SPF_NONE DKIM_PASS DMARC_TEMPERROR", "DMARC: the policy of example.com could not be looked up"},
		"SPF":        {"free.example", "SPF_TEMPERROR DKIM_PASS DMARC_PASS", "the SPF record could not be looked up"},
	} {
		for _, f := range []mailtest.DNSFault{{Rcode: 2}, {Rcode: 5}, {Silent: true}, {WrongID: true}} {
			r, srv := world(t, nil)
			srv.Fault(c.fault, f)
			found, errs := judge(t, r, message("x@free.example", sign(t, "example.com", mail("a@example.com"))))
			if got := symbols(found); got != c.want || strings.Join(errs, "|") != c.words {
				t.Errorf("%s: %s %q", name, got, errs)
			}
		}
	}
}

// H-H15: the budget ends all questions of a message, and the ledger names it.
func TestH15BudgetHolds(t *testing.T) {
	r, srv := world(t, nil)
	m := message("x@free.example", sign(t, "example.com", mail("b@bank.example")))
	b := dns.NewBudget(0, time.Second)
	ctx := dns.WithBudget(t.Context(), b)
	_, err := auth.SPF(r, "").Check(ctx, m)
	_, err2 := auth.Message(r, time.Now, nil).Check(ctx, m)
	for _, e := range []error{err, err2} {
		var plain filter.PlainError
		if !errors.As(e, &plain) || !strings.Contains(plain.Plain(), "(DNS_BUDGET)") {
			t.Errorf("%v", e)
		}
	}
	if !b.Cut() || len(srv.Queries()) != 0 {
		t.Errorf("cut %v, asked %v", b.Cut(), srv.Queries())
	}
}

func TestWithoutSPFNothingFails(t *testing.T) {
	r, _ := world(t, nil)
	check := auth.Message(r, func() time.Time { return now }, nil)
	f, err := check.Check(t.Context(), message("x@y.example", mail("b@bank.example")))
	var plain filter.PlainError
	if symbols(f) != "DKIM_NONE" || !errors.As(err, &plain) || plain.Plain() != "DMARC was not checked: SPF was not" {
		t.Errorf("%s %v", symbols(f), err)
	}
	f, err = check.Check(t.Context(), message("x@y.example", sign(t, "example.com", mail("a@example.com"))))
	if symbols(f) != "DKIM_PASS DMARC_PASS" || err != nil {
		t.Errorf("%s %v", symbols(f), err)
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestUnreadable(t *testing.T) {
	r, _ := world(t, nil)
	m := message("a@example.com", mail("a@example.com"))
	m.Body = broken{}
	if f, err := auth.Message(r, time.Now, nil).Check(t.Context(), m); err == nil || f != nil {
		t.Errorf("%v %v", f, err)
	}
	m = message("a@example.com", mail("a@example.com"))
	m.Parts = func() (*mime.Tree, error) { return nil, io.ErrUnexpectedEOF }
	if f, err := auth.Message(r, time.Now, nil).Check(t.Context(), m); err == nil || symbols(f) != "DKIM_NONE" {
		t.Errorf("%v %v", f, err)
	}
}

func TestRecorded(t *testing.T) {
	for _, c := range []struct{ spf, dkim, dmarc, want, words string }{
		{"pass", "pass", "pass", "SPF_PASS DKIM_PASS DMARC_PASS", ""},
		{"fail", "none", "fail", "SPF_FAIL DKIM_NONE DMARC_FAIL", ""},
		{"SoftFail", "pass d=example.com", "bestguesspass", "SPF_SOFTFAIL DKIM_PASS DMARC_NONE", ""},
		{"hardfail", "permfail", "none", "SPF_FAIL DKIM_PERMERROR DMARC_NONE", ""},
		{"temperror", "tempfail", "timeout", "", "no recorded result for SPF, DKIM, DMARC"},
		{"", " pass ", "", "DKIM_PASS", "no recorded result for SPF, DMARC"},
		{"gibberish", "softfail", "pass", "DMARC_PASS", "no recorded result for SPF, DKIM"},
	} {
		f, err := auth.Recorded(c.spf, c.dkim, c.dmarc).Check(t.Context(), &filter.Message{})
		words := ""
		var plain filter.PlainError
		if errors.As(err, &plain) {
			words = plain.Plain()
		}
		if symbols(f) != c.want || words != c.words {
			t.Errorf("%+v: %s, %q", c, symbols(f), words)
		}
		for _, x := range f {
			if x.Symbol == "DKIM_PASS" && (len(x.Auth.Props) == 1) != strings.Contains(c.dkim, "d=") {
				t.Errorf("%+v", x.Auth)
			}
		}
	}
}

func TestOnce(t *testing.T) {
	var mu sync.Mutex
	runs := 0
	release := make(chan struct{})
	c := auth.Once(filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) {
		mu.Lock()
		runs++
		mu.Unlock()
		<-release
		return []filter.Finding{{Symbol: "X"}}, io.EOF
	}))
	m := &filter.Message{ID: "1"}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			f, err := c.Check(t.Context(), m)
			if symbols(f) != "X" || !errors.Is(err, io.EOF) {
				t.Errorf("%v %v", f, err)
			}
		})
	}
	close(release)
	wg.Wait()
	if _, err := c.Check(t.Context(), &filter.Message{ID: "1"}); !errors.Is(err, io.EOF) || runs != 2 {
		t.Errorf("%d runs for two messages: %v", runs, err)
	}
	m.ID = "2" // the struct is used again for another message
	if _, err := c.Check(t.Context(), m); !errors.Is(err, io.EOF) || runs != 3 {
		t.Errorf("%d runs for three messages: %v", runs, err)
	}
}

func TestOnceAfterPanicAndCancel(t *testing.T) {
	c := auth.Once(filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) { panic("boom") }))
	m := &filter.Message{ID: "1"}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = c.Check(t.Context(), m)
	}()
	if _, err := c.Check(t.Context(), m); err == nil {
		t.Error("no error after a panic")
	}
	block := make(chan struct{})
	started := make(chan struct{})
	c = auth.Once(filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) {
		close(started)
		<-block
		return nil, nil
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Check(context.Background(), m)
	}()
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Check(ctx, m); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(block)
	<-done
}

func BenchmarkMessage(b *testing.B) {
	r, _ := world(b, nil)
	body := sign(b, "example.com", mail("a@example.com")+strings.Repeat("a line of text like any other\r\n", 600))
	b.ReportAllocs()
	for b.Loop() {
		if f, _ := judge(b, r, message("a@example.com", body)); symbols(f) != "SPF_PASS DKIM_PASS DMARC_PASS" {
			b.Fatal(symbols(f))
		}
	}
}
