package dkim_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	oracle "github.com/emersion/go-msgauth/dkim"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"postern/filter/auth/dkim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the real time: the oracle signs with the machine's clock.
var now = time.Now().UTC().Truncate(time.Second)

// signer makes signed messages and holds the keys they need.
type signer struct {
	t    testing.TB
	key  crypto.Signer
	keys keys
}

func newSigner(t testing.TB) *signer {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{t: t, key: priv, keys: keys{"s._domainkey.example.com": {"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)}}}
}

func (s *signer) sign(msg string, change ...func(*oracle.SignOptions)) string {
	s.t.Helper()
	o := &oracle.SignOptions{Domain: "example.com", Selector: "s", Signer: s.key, Hash: crypto.SHA256}
	for _, f := range change {
		f(o)
	}
	var out bytes.Buffer
	if err := oracle.Sign(&out, strings.NewReader(msg), o); err != nil {
		s.t.Fatal(err)
	}
	return out.String()
}

func (s *signer) one(msg string) dkim.Signature {
	s.t.Helper()
	sigs := verify(s.t, s.keys, []byte(msg), now)
	if len(sigs) != 1 {
		s.t.Fatalf("%d signatures: %+v", len(sigs), sigs)
	}
	return sigs[0]
}

const plain = "From: A <a@example.com>\r\nTo: b@example.org\r\nSubject: =?utf-8?q?h=C3=A9?=\r\n  folded\r\n\r\nHello  world \r\n\r\nbye\r\n\r\n\r\n"

func relaxed(o *oracle.SignOptions) {
	o.HeaderCanonicalization, o.BodyCanonicalization = oracle.CanonicalizationRelaxed, oracle.CanonicalizationRelaxed
}

func TestPassSaysWhatWasSigned(t *testing.T) {
	s := newSigner(t)
	got := s.one(s.sign(plain, relaxed))
	if got.Result != dkim.Pass || got.Reason != "" || got.Domain != "example.com" || got.Selector != "s" ||
		got.Alg != "ed25519-sha256" || len(got.Value) != 8 || got.KeyBits != 256 || got.Testing || got.Added != nil {
		t.Errorf("%+v", got)
	}
}

func TestChangesAreSeen(t *testing.T) {
	s := newSigner(t)
	signed := s.sign(plain, relaxed)
	for name, c := range map[string]struct {
		old, new string
		want     dkim.Result
		reason   string
	}{
		"body":                {"world", "World", dkim.Fail, "the body was changed"},
		"body appended":       {"\r\n\r\nbye", "\r\n\r\nbye now", dkim.Fail, "the body was changed"},
		"subject":             {"folded", "Folded", dkim.Fail, "the signature does not match"},
		"from":                {"A <a@", "B <a@", dkim.Fail, "the signature does not match"},
		"blanks in body":      {"Hello  world ", "Hello \tworld", dkim.Pass, ""},
		"blank lines at end":  {"\r\nbye\r\n", "\r\nbye\r\n\r\n\r\n\r\n", dkim.Pass, ""},
		"folding":             {"\r\n  folded", " folded", dkim.Pass, ""},
		"name's case":         {"Subject:", "SUBJECT :", dkim.Pass, ""},
		"field added on top":  {"DKIM-Signature", "Received: x\r\nDKIM-Signature", dkim.Pass, ""},
		"bare LF in the body": {"world \r\n", "world \n", dkim.Fail, "the body was changed"},
	} {
		if !strings.Contains(signed, c.old) {
			t.Fatalf("%s: nothing to change", name)
		}
		if got := s.one(strings.Replace(signed, c.old, c.new, 1)); got.Result != c.want || got.Reason != c.reason {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got.Result, got.Reason, c.want, c.reason)
		}
	}
}

// edited puts other tags into a signature; what they say is judged before the hashes.
func edited(s *signer, old, new string) dkim.Signature {
	signed := s.sign(plain, relaxed)
	if !strings.Contains(signed, old) {
		s.t.Fatalf("no %q in %s", old, signed)
	}
	return s.one(strings.Replace(signed, old, new, 1))
}

func TestTags(t *testing.T) {
	s := newSigner(t)
	for _, c := range []struct{ old, new, reason string }{
		{"v=1;", "v=2;", `version "2"`},
		{"v=1;", "", "tag v= is missing"},
		{"v=1;", "v=1; v=1;", "tag v= is given twice"},
		{"v=1;", "v=1; nonsense;", `"nonsense" is no tag`},
		{"a=ed25519-sha256", "a=rsa-sha1", "rsa-sha1 is no longer valid"},
		{"a=ed25519-sha256", "a=rsa-sha512", `algorithm "rsa-sha512"`},
		{"a=ed25519-sha256", "a=rsa-sha256", "the key is not for rsa-sha256"},
		{"c=relaxed/relaxed", "c=relaxed/loose", `canonicalization "loose"`},
		{"c=relaxed/relaxed", "c=relaxed/", "c= is incomplete"},
		{"v=1;", "v=1; q=dns/srv;", `query method "dns/srv"`},
		{"v=1;", "v=1; i=@example.org;", "i= is outside of d="},
		{"v=1;", "v=1; i=example.com;", "i= is no address"},
		{"v=1;", "v=1; i=@notexample.com;", "i= is outside of d="},
		{"s=s;", "s=other;", "there is no key"},
		{"h=From", "h=X-From", "h= leaves From unsigned"},
		{"v=1;", "v=1; l=x;", "l= is no length"},
		{"bh=", "bh=AAAA", "bh= is no SHA-256"},
	} {
		if got := edited(s, c.old, c.new); got.Result != dkim.PermError || got.Reason != c.reason {
			t.Errorf("%s: %s (%s), want %s", c.new, got.Result, got.Reason, c.reason)
		}
	}
	// Letters in another case are no reason to fail: these reach the hash.
	for _, c := range []struct{ old, new string }{
		{"a=ed25519-sha256", "a=Ed25519-SHA256"}, {"c=relaxed/relaxed", "c=Relaxed/RELAXED"},
		{"d=example.com", "d=Example.COM"}, {"v=1;", "v=1; i=x@Sub.EXAMPLE.com;"}, {"v=1;", "v=1; q=dns/txt : x;"},
	} {
		if got := edited(s, c.old, c.new); got.Reason != "the signature does not match" || got.Domain != "example.com" {
			t.Errorf("%s: %+v", c.new, got)
		}
	}
}

func TestIdentityIgnoresCase(t *testing.T) {
	s := newSigner(t)
	got := s.one(s.sign(plain, func(o *oracle.SignOptions) { o.Identifier = "@Example.COM" }))
	if got.Result != dkim.Pass || got.Identity != "example.com" {
		t.Errorf("%+v", got)
	}
	s.keys["s._domainkey.example.com"][0] += "; t=s:y"
	if got := s.one(s.sign(plain, func(o *oracle.SignOptions) { o.Identifier = "@Example.COM" })); got.Result != dkim.Pass || !got.Testing {
		t.Errorf("%+v", got)
	}
	got = s.one(s.sign(plain, func(o *oracle.SignOptions) { o.Identifier = "@sub.example.com" }))
	if got.Result != dkim.PermError || got.Reason != "the key is not for subdomains" {
		t.Errorf("%+v", got)
	}
}

func TestH_H04ShortLength(t *testing.T) {
	s := newSigner(t)
	body := plain[strings.Index(plain, "\r\n\r\n")+4:]
	canonical := len(strings.TrimRight(body, "\r\n")) + 2
	for _, c := range []struct {
		l      int
		want   dkim.Result
		reason string
	}{
		{canonical, dkim.Pass, ""},
		{canonical - 1, dkim.Policy, "l= leaves 1 octets of the body unsigned"},
		{0, dkim.Policy, fmt.Sprintf("l= leaves %d octets of the body unsigned", canonical)},
		{canonical + 1, dkim.PermError, "l= is longer than the body"},
	} {
		// The oracle cannot write l=: sign by hand.
		got := s.one(s.byHand(fmt.Sprintf("l=%d; ", c.l), plain))
		if got.Result != c.want || got.Reason != c.reason {
			t.Errorf("l=%d: %s (%s)", c.l, got.Result, got.Reason)
		}
	}
	appended := s.byHand(fmt.Sprintf("l=%d; ", canonical), plain) + "<b>more</b>\r\n"
	if got := s.one(appended); got.Result != dkim.Policy {
		t.Errorf("an appended part: %+v", got)
	}
}

// H-H05: what was put in front of a signed field is named.
func TestH_H05AddedFieldsAreNamed(t *testing.T) {
	s := newSigner(t)
	signed := s.sign(plain, func(o *oracle.SignOptions) { o.HeaderKeys = []string{"From", "Subject", "To"} })
	got := s.one("From: CEO <ceo@bank.example>\r\nSubject: urgent\r\n" + signed)
	if got.Result != dkim.Pass || fmt.Sprint(got.Added) != "[from subject]" {
		t.Errorf("%+v", got)
	}
	over := s.sign(plain, func(o *oracle.SignOptions) { o.HeaderKeys = []string{"From", "From", "Subject", "To"} })
	if got := s.one("From: CEO <ceo@bank.example>\r\n" + over); got.Result != dkim.Fail {
		t.Errorf("signed twice: %+v", got)
	}
}

func TestH_H07Times(t *testing.T) {
	s := newSigner(t)
	at := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	for _, c := range []struct {
		tags   string
		want   dkim.Result
		reason string
	}{
		{"t=" + at(299*time.Second) + "; ", dkim.Pass, ""},
		{"t=" + at(301*time.Second) + "; ", dkim.PermError, "signed in the future"},
		{"x=" + at(-299*time.Second) + "; ", dkim.Pass, ""},
		{"x=" + at(-301*time.Second) + "; ", dkim.PermError, "expired"},
		{"t=" + at(-100*time.Second) + "; x=" + at(-200*time.Second) + "; ", dkim.PermError, "expires before it was signed"},
		{"t=1; x=999999999999; ", dkim.Pass, ""},
		{"t=soon; ", dkim.PermError, "t= is no time"},
		{"x=99999999999999999999; t=999999999999999999999; ", dkim.PermError, "signed in the future"},
	} {
		if got := s.one(s.byHand(c.tags, plain)); got.Result != c.want || got.Reason != c.reason {
			t.Errorf("%s: %s (%s)", c.tags, got.Result, got.Reason)
		}
	}
}

func TestH_H08Keys(t *testing.T) {
	s := newSigner(t)
	record := func(n *big.Int) string {
		der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n, E: 65537})
		if err != nil {
			t.Fatal(err)
		}
		return "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)
	}
	bits := func(n uint) *big.Int { return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), n-1), big.NewInt(1)) }
	signed := strings.Replace(s.sign(plain), "ed25519-sha256", "rsa-sha256", 1)
	for _, c := range []struct{ record, reason string }{
		{record(bits(512)), "an RSA key of 512 bits, taken are 1024 to 4096"},
		{record(bits(1023)), "an RSA key of 1023 bits, taken are 1024 to 4096"},
		{record(bits(1024)), "the signature does not match"},
		{record(bits(4096)), "the signature does not match"},
		{record(bits(4097)), "an RSA key of 4097 bits, taken are 1024 to 4096"},
		{record(bits(262144)), "the key record is larger than 4096 octets"},
		{"v=DKIM1; p=" + strings.Repeat("A", 64<<10), "the key record is larger than 4096 octets"},
		{"v=DKIM1; p=", "the key is revoked"},
		{"v=DKIM1; n=x", "the key record holds no key"},
		{"v=DKIM1; k=ed25519; p=AAAA", "the key is no Ed25519 key"},
		{"v=DKIM1; p=!", "the key is no base64"},
		{"v=DKIM1; h=sha1; p=AAAA", "the key is not for SHA-256"},
		{"v=spf1 -all", "the key record has another version"},
	} {
		s.keys["s._domainkey.example.com"] = []string{c.record}
		if got := s.one(signed); got.Result == dkim.Pass || got.Reason != c.reason {
			t.Errorf("%.40s: %s (%s), want %s", c.record, got.Result, got.Reason, c.reason)
		}
	}
}

func TestSeveralKeyRecords(t *testing.T) {
	s := newSigner(t)
	good := s.keys["s._domainkey.example.com"][0]
	other := newSigner(t).keys["s._domainkey.example.com"][0]
	signed := s.sign(plain)
	for _, c := range []struct {
		records []string
		want    dkim.Result
	}{
		{[]string{other, "junk", good}, dkim.Pass},
		{[]string{"junk", other}, dkim.Fail},
		{[]string{other, other, other, other, good}, dkim.Fail}, // only four are tried
	} {
		s.keys["s._domainkey.example.com"] = c.records
		if got := s.one(signed); got.Result != c.want {
			t.Errorf("%v: %+v", len(c.records), got)
		}
	}
}

func TestH_H09DomainsNobodySignsFor(t *testing.T) {
	s := newSigner(t)
	for d, reason := range map[string]string{
		"com": "d=com is no signer's domain", "co.uk": "d=co.uk is a public suffix", "localhost": "d=localhost is no signer's domain",
		"xn--example-.com":               "d= holds xn--example-, which is no A-label",
		"xn--a.com":                      "d= holds xn--a, which is no A-label",
		"a..com":                         "d= is no domain",
		"legitimate.com(.attacker.com":   "d= is no domain",
		"ex%41mple.com":                  "d= is no domain",
		strings.Repeat("a", 64) + ".com": "d= is no domain",
	} {
		if got := edited(s, "d=example.com", "d="+d); got.Result != dkim.PermError || got.Reason != reason {
			t.Errorf("d=%s: %s (%s)", d, got.Result, got.Reason)
		}
	}
	for _, d := range []string{"xn--bcher-kva.example.com", "bücher.example", "_x.example.com", "foo.github.io"} {
		if got := edited(s, "d=example.com", "d="+d); got.Reason != "there is no key" {
			t.Errorf("d=%s: %s (%s)", d, got.Result, got.Reason)
		}
	}
}

func TestLookupTrouble(t *testing.T) {
	s := newSigner(t)
	signed := s.sign(plain)
	s.keys["s._domainkey.example.com"] = []string{"TEMPERROR"}
	if got := s.one(signed); got.Result != dkim.TempError || got.Err == nil || got.Reason != "the key could not be looked up" {
		t.Errorf("%+v", got)
	}
	s.keys["s._domainkey.example.com"] = []string{"PERMERROR"}
	if got := s.one(signed); got.Result != dkim.PermError || got.Reason != "there is no key" {
		t.Errorf("%+v", got)
	}
	sigs, err := dkim.Verify(t.Context(), panicking{}, strings.NewReader(signed), int64(len(signed)), now)
	if err != nil || len(sigs) != 1 || sigs[0].Result != dkim.TempError || sigs[0].Reason != "internal fault" {
		t.Errorf("a panic in the resolver: %+v %v", sigs, err)
	}
}

type panicking struct{}

func (panicking) TXT(context.Context, string) ([]string, error) { panic("boom") }

func TestTenSignaturesAtMost(t *testing.T) {
	s := newSigner(t)
	msg := plain
	for range 12 {
		msg = s.sign(msg)
	}
	if got := verify(t, s.keys, []byte(msg), now); len(got) != 10 || got[0].Result != dkim.Pass || got[9].Result != dkim.Pass {
		t.Errorf("%d: %+v", len(got), got)
	}
}

func TestMessageShapes(t *testing.T) {
	s := newSigner(t)
	noBody := s.sign("From: a@example.com\r\n\r\n")
	for name, msg := range map[string]string{
		"no empty line": strings.TrimSuffix(noBody, "\r\n"), "empty body": noBody, "only empty lines": noBody + "\r\n\r\n",
	} {
		if got := s.one(msg); got.Result != dkim.Pass {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, msg := range []string{"", "\r\n", "\r\n\r\nbody", "x", "From: a@b\r\n\r\n", " \r\n"} {
		if got := verify(t, s.keys, []byte(msg), now); len(got) != 0 {
			t.Errorf("%q: %+v", msg, got)
		}
	}
	if got := s.one("DKIM-Signature:\r\n\r\n"); got.Result != dkim.PermError {
		t.Errorf("%+v", got)
	}
}

// The guards of hostile shapes: each is refused or takes linear time.
func TestHostileShapesAreBounded(t *testing.T) {
	s := newSigner(t)
	signed := s.sign(plain, relaxed)
	big := func(header string) ([]dkim.Signature, error) {
		msg := strings.Replace(signed, "To: b", header+"To: b", 1)
		return dkim.Verify(t.Context(), s.keys, strings.NewReader(msg), int64(len(msg)), now)
	}
	start := time.Now()
	for name, c := range map[string]struct {
		header string
		refuse bool
	}{
		"header of 300 kB":        {"X: " + strings.Repeat("x", 300<<10) + "\r\n", true},
		"2,100 fields":            {strings.Repeat("X: y\r\n", 2100), true},
		"200 kB of folds":         {"X: y\r\n" + strings.Repeat(" z\r\n", 50<<10), false},
		"1,900 fields":            {strings.Repeat("X: y\r\n", 1900), false},
		"a field without colon":   {"nonsense\r\n", false},
		"continuation of nothing": {"\x00: \r\n \r\n", false},
	} {
		got, err := big(c.header)
		if c.refuse != (err != nil) || !c.refuse && got[0].Result != dkim.Pass {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	for old, tags := range map[string]string{
		"h=From": "h=" + strings.Repeat("x:", 10_000) + "From", "v=1;": "v=1; z=" + strings.Repeat("y", 17<<10) + ";",
	} {
		if got := s.one(strings.Replace(signed, old, tags, 1)); got.Result != dkim.PermError {
			t.Errorf("%.20s: %+v", tags, got)
		}
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %v", d)
	}
}

// Both verifiers say the same of what a fair signer made and a relay changed.
func TestOracle(t *testing.T) {
	s := newSigner(t)
	rapid.Check(t, func(rt *rapid.T) {
		line := rapid.StringMatching(`[ \tabC.]{0,12}`)
		msg := "From: a@example.com\r\nSubject:" + line.Draw(rt, "subject") + "x\r\n\r\n" +
			strings.Join(rapid.SliceOfN(line, 0, 6).Draw(rt, "body"), "\r\n")
		canon := []oracle.Canonicalization{oracle.CanonicalizationSimple, oracle.CanonicalizationRelaxed}
		signed := s.sign(msg, func(o *oracle.SignOptions) {
			o.HeaderCanonicalization, o.BodyCanonicalization = rapid.SampledFrom(canon).Draw(rt, "hc"), rapid.SampledFrom(canon).Draw(rt, "bc")
		})
		at := rapid.IntRange(0, len(signed)-1).Draw(rt, "at")
		if cut := rapid.SampledFrom([]string{"", "x", " ", "\r\n"}).Draw(rt, "put"); cut != "" && at > strings.Index(signed, "\r\nFrom:") && signed[at] != '\n' {
			signed = signed[:at] + cut + signed[at:]
		}
		want, err := oracle.VerifyWithOptions(strings.NewReader(signed), &oracle.VerifyOptions{LookupTXT: func(d string) ([]string, error) { return s.keys.TXT(t.Context(), d) }})
		if err != nil || len(want) != 1 {
			return // a message it does not take at all
		}
		got := verify(t, s.keys, []byte(signed), now)
		if len(got) != 1 || (got[0].Result == dkim.Pass) != (want[0].Err == nil) {
			rt.Fatalf("ours %+v, theirs %v, of %q", got, want[0].Err, signed)
		}
	})
}

func FuzzVerify(f *testing.F) {
	s := newSigner(f)
	f.Add([]byte(s.sign(plain, relaxed)), s.keys["s._domainkey.example.com"][0])
	f.Add([]byte(s.byHand("l=3; t=1; x=2; ", plain)), "v=DKIM1; t=s:y; s=email; h=sha256; k=rsa; p=MIGf")
	f.Add([]byte("DKIM-Signature: v=1; b=\r\n ; ;=;\r\n\r\n"), ";;==")
	f.Fuzz(func(t *testing.T, msg []byte, record string) {
		k := fixed(record)
		sigs, err := dkim.Verify(t.Context(), k, bytes.NewReader(msg), int64(len(msg)), now)
		if err != nil {
			return
		}
		for _, s := range sigs {
			switch s.Result {
			case dkim.Pass, dkim.Policy, dkim.Fail, dkim.PermError, dkim.TempError:
			default:
				t.Errorf("%+v", s)
			}
			if s.Result != dkim.Pass && s.Reason == "" || s.Reason == "internal fault" {
				t.Errorf("%+v", s)
			}
		}
	})
}

type fixed string

func (f fixed) TXT(_ context.Context, name string) ([]string, error) {
	if f == "" {
		return nil, &net.DNSError{Name: name, IsNotFound: true}
	}
	return []string{string(f)}, nil
}

func TestContextEnds(t *testing.T) {
	s := newSigner(t)
	signed := s.sign(plain)
	sigs, err := dkim.Verify(t.Context(), ended{}, strings.NewReader(signed), int64(len(signed)), now)
	if err != nil || sigs[0].Result != dkim.TempError || !errors.Is(sigs[0].Err, context.DeadlineExceeded) {
		t.Errorf("%+v %v", sigs, err)
	}
}

type ended struct{}

func (ended) TXT(context.Context, string) ([]string, error) { return nil, context.DeadlineExceeded }

func BenchmarkVerify(b *testing.B) {
	s := newSigner(b)
	for _, size := range []int{2 << 10, 20 << 10, 1 << 20} {
		msg := []byte(s.sign(plain+strings.Repeat("a line of text like any other, to the end\r\n", size/43), relaxed))
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if got := verify(b, s.keys, msg, now); got[0].Result != dkim.Pass {
					b.Fatal(got)
				}
			}
		})
	}
}
