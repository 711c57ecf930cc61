package auth_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"postern/filter"
	"postern/filter/auth"
	"postern/internal/mailtest"
)

// sealed is a message on its way through hosts that seal it.
type sealed struct {
	msg    string
	chain  []string // ARC fields in the order that seals sign them
	n      int
	cv     string // "" = as it should be
	signs  string // h= of ARC-Message-Signature; "" = from:subject
	secret ed25519.PrivateKey
}

func relaxed(field string) string {
	name, value, _ := strings.Cut(field, ":")
	return strings.ToLower(name) + ":" + strings.Join(strings.Fields(value), " ")
}

func (s *sealed) sign(data string) string {
	sum := sha256.Sum256([]byte(data))
	return base64.StdEncoding.EncodeToString(ed25519.Sign(s.secret, sum[:]))
}

// hop is one host that found results and seals.
func (s *sealed) hop(domain, results string) *sealed {
	s.n++
	if s.secret == nil {
		s.secret = key
	}
	cv := s.cv
	switch {
	case cv != "":
	case s.n == 1:
		cv = "none"
	default:
		cv = "pass"
	}
	names := s.signs
	if names == "" {
		names = "from:subject"
	}
	header, body, _ := strings.Cut(s.msg, "\r\n\r\n")
	var data string
	for name := range strings.SplitSeq(names, ":") {
		for line := range strings.SplitSeq(strings.ReplaceAll(header, "\r\n ", " "), "\r\n") {
			if strings.HasPrefix(strings.ToLower(line), name+":") {
				data += relaxed(line) + "\r\n"
			}
		}
	}
	sum := sha256.Sum256([]byte(body))
	results = fmt.Sprintf("ARC-Authentication-Results: i=%d; %s", s.n, results)
	message := fmt.Sprintf("ARC-Message-Signature: i=%d; a=ed25519-sha256; c=relaxed/relaxed; d=%s; s=s; h=%s; bh=%s; b=",
		s.n, domain, names, base64.StdEncoding.EncodeToString(sum[:]))
	message += s.sign(data + relaxed(message))
	seal := fmt.Sprintf("ARC-Seal: i=%d; a=ed25519-sha256; cv=%s; d=%s; s=s; b=", s.n, cv, domain)
	s.chain = append(s.chain, relaxed(results), relaxed(message))
	seal += s.sign(strings.Join(s.chain, "\r\n") + "\r\n" + relaxed(seal))
	s.chain = append(s.chain, relaxed(seal))
	s.msg = seal + "\r\n" + message + "\r\n" + results + "\r\n" + s.msg
	return s
}

var sealers = mailtest.Zone{
	"s._domainkey.lists.example":  {keyRecord()},
	"s._domainkey.second.example": {keyRecord()},
	"s._domainkey.evil.example":   {keyRecord()},
	"_dmarc.open.example":         {"TXT v=DMARC1; p=none"},
	"_dmarc.strict.example":       {"TXT v=DMARC1; p=reject; adkim=s; aspf=s"},
}

func trusting(pairs ...string) func() auth.Trust {
	t := auth.Trust{Sealers: map[string][]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		t.Sealers[pairs[i]] = append(t.Sealers[pairs[i]], pairs[i+1])
	}
	return func() auth.Trust { return t }
}

// believe is what is found of ARC and DMARC in a message from a stranger's address.
func believe(t testing.TB, r auth.Resolver, msg string, trust func() auth.Trust) ([]filter.Finding, string) {
	t.Helper()
	m := message("x@free.example", msg)
	m.Seen, _ = auth.SPF(r, "mx.example.net").Check(t.Context(), m)
	found, _ := auth.Message(r, m.Time.Local, trust).Check(t.Context(), m)
	var words []string
	for _, f := range found {
		if strings.HasPrefix(f.Symbol, "ARC_") || strings.HasPrefix(f.Symbol, "DMARC_") {
			words = append(words, f.Symbol)
		}
	}
	return found, strings.Join(words, " ")
}

func detail(found []filter.Finding, symbol string) string {
	for _, f := range found {
		if f.Symbol == symbol {
			return f.Detail
		}
	}
	return ""
}

const (
	refused = "DMARC_FAIL DMARC_REJECT"
	bank    = "b@bank.example"
)

// H-H13: what a sealer that is believed saw speaks for the author, and nothing else does.
func TestH_H13TrustedSealers(t *testing.T) {
	r, _ := world(t, sealers)
	lists := trusting("*", "lists.example")
	proven := "lists.example; dmarc=pass (p=reject) header.from=bank.example"
	for _, c := range []struct {
		name, results, from string
		trust               func() auth.Trust
		want, detail        string
	}{
		{"dmarc=pass", proven, bank, lists, "ARC_TRUSTED", "lists.example saw dmarc=pass of bank.example"},
		{"dkim=pass, d=", "lists.example; dkim=pass header.d=bank.example", bank, lists, "ARC_TRUSTED", "lists.example saw dkim=pass of bank.example"},
		{"dkim=pass, i=", "lists.example; dkim=pass header.i=@mail.bank.example header.s=x", bank, lists, "ARC_TRUSTED", "lists.example saw dkim=pass of mail.bank.example"},
		{"spf=pass", "lists.example; spf=pass smtp.mailfrom=b@bank.example", bank, lists, "ARC_TRUSTED", "lists.example saw spf=pass of bank.example"},
		{"spf=pass of HELO", "lists.example; spf=pass smtp.helo=mx.bank.example", bank, lists, "ARC_TRUSTED", "lists.example saw spf=pass of mx.bank.example"},
		{"named for the author", proven, bank, trusting("bank.example", "lists.example"), "ARC_TRUSTED", "lists.example saw dmarc=pass of bank.example"},
		{"named for the author's parent", "x; dmarc=pass header.from=sub.bank.example", "b@sub.bank.example", trusting("Bank.Example", "LISTS.example"), "ARC_TRUSTED", "lists.example saw dmarc=pass of sub.bank.example"},
		{"nobody is believed", proven, bank, nil, "", ""},
		{"another is believed", proven, bank, trusting("*", "second.example"), "", ""},
		{"a parent of the sealer is believed", "x; dmarc=pass header.from=bank.example", bank, trusting("*", "example"), "", ""},
		{"dmarc=pass of another", "lists.example; dmarc=pass header.from=free.example", bank, lists, "", ""},
		{"dmarc=fail", "lists.example; dmarc=fail header.from=bank.example; dkim=pass header.d=bank.example", bank, lists, "", ""},
		{"dmarc=none", "lists.example; dmarc=none header.from=bank.example", bank, lists, "", ""},
		{"dkim=pass of another", "lists.example; dkim=pass header.d=free.example", bank, lists, "", ""},
		{"dkim=fail", "lists.example; dkim=fail header.d=bank.example", bank, lists, "", ""},
		{"dkim=pass without a domain", "lists.example; dkim=pass", bank, lists, "", ""},
		{"spf=softfail", "lists.example; spf=softfail smtp.mailfrom=bank.example", bank, lists, "", ""},
		{"strict alignment", "lists.example; dkim=pass header.d=x.strict.example", "a@strict.example", lists, "", ""},
		{"strict alignment, identical", "lists.example; dkim=pass header.d=strict.example", "a@strict.example", lists, "ARC_TRUSTED", "lists.example saw dkim=pass of strict.example"},
		{"nothing was seen", "lists.example; none", bank, lists, "", ""},
		{"no syntax", "lists.example; dmarc=pass header.from=bank.example; (", bank, lists, "", ""},
		{"arc=pass is no proof", "lists.example; arc=pass header.from=bank.example", bank, lists, "", ""},
	} {
		s := (&sealed{msg: mail(c.from)}).hop("lists.example", c.results)
		found, got := believe(t, r, s.msg, c.trust)
		if want := strings.TrimSpace(refused + " ARC_PASS " + c.want); got != want {
			t.Errorf("%s: %s, want %s (%s)", c.name, got, want, detail(found, "ARC_FAIL"))
		}
		if d := detail(found, "ARC_TRUSTED"); d != c.detail {
			t.Errorf("%s: %q", c.name, d)
		}
	}
}

// Only the newest sets in a row that are all of believed sealers count, and of them the
// lowest speaks.
func TestH_H13Chains(t *testing.T) {
	r, srv := world(t, sealers)
	const proven, failed = "x; dmarc=pass header.from=bank.example", "x; dmarc=fail header.from=bank.example"
	both := trusting("*", "lists.example", "bank.example", "second.example")
	for _, c := range []struct {
		name  string
		hops  [][2]string
		trust func() auth.Trust
		want  string
	}{
		{"two believed", [][2]string{{"lists.example", proven}, {"second.example", failed}}, both, "lists.example saw dmarc=pass of bank.example, then second.example"},
		{"two believed, the first saw a fail", [][2]string{{"lists.example", failed}, {"second.example", proven}}, both, ""},
		{"a stranger below", [][2]string{{"evil.example", proven}, {"lists.example", failed}}, both, ""},
		{"a stranger below, but it was proven above him", [][2]string{{"evil.example", failed}, {"lists.example", proven}}, both, "lists.example saw dmarc=pass of bank.example"},
		{"a stranger on top", [][2]string{{"lists.example", proven}, {"evil.example", proven}}, both, ""},
		{"a stranger between", [][2]string{{"lists.example", proven}, {"evil.example", proven}, {"second.example", failed}}, both, ""},
		{"only the upper is believed", [][2]string{{"lists.example", proven}, {"second.example", failed}}, trusting("*", "second.example"), ""},
	} {
		s := &sealed{msg: mail(bank)}
		for _, h := range c.hops {
			s.hop(h[0], h[1])
		}
		found, got := believe(t, r, s.msg, c.trust)
		if !strings.HasPrefix(got, refused+" ARC_PASS") || detail(found, "ARC_TRUSTED") != c.want {
			t.Errorf("%s: %s %q", c.name, got, detail(found, "ARC_TRUSTED"))
		}
	}

	long := &sealed{msg: mail(bank)}
	for range 50 {
		long.hop("lists.example", proven)
	}
	srv.Forget()
	if _, got := believe(t, r, long.msg, both); got != refused+" ARC_PASS ARC_TRUSTED" {
		t.Errorf("50 sets: %s", got)
	}
	if n := len(srv.Queries()); n > 10 {
		t.Errorf("%d questions for 50 sets of one sealer", n)
	}
	if _, got := believe(t, r, long.hop("lists.example", proven).msg, both); got != refused+" ARC_FAIL" {
		t.Errorf("51 sets: %s", got)
	}
}

// H-H13: chains that do not hold.
func TestH_H13Forgeries(t *testing.T) {
	r, _ := world(t, sealers)
	const proven = "x; dmarc=pass header.from=bank.example"
	whole := func() *sealed { return (&sealed{msg: mail(bank)}).hop("lists.example", proven) }
	forged := &sealed{msg: mail(bank), cv: "pass"}
	stolen := &sealed{msg: mail(bank), secret: ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", ed25519.SeedSize)))}
	gap := &sealed{msg: mail(bank), n: 1}
	unsigned := &sealed{msg: mail(bank), signs: "subject"}
	for name, c := range map[string]struct{ msg, want string }{
		"cv=pass at i=1":      {forged.hop("lists.example", proven).msg, "ARC_FAIL"},
		"another's key":       {stolen.hop("lists.example", proven).msg, "ARC_FAIL"},
		"a gap in i=":         {gap.hop("lists.example", proven).msg, "ARC_FAIL"},
		"the body changed":    {whole().msg + "more", "ARC_FAIL"},
		"the subject changed": {strings.Replace(whole().msg, "Subject: x", "Subject: y", 1), "ARC_FAIL"},
		"the word changed":    {strings.Replace(whole().msg, "dmarc=pass", "spf=pass", 1), "ARC_FAIL"},
		"no seal":             {whole().msg[strings.Index(whole().msg, "\r\n")+2:], "ARC_FAIL"},
		"only the word":       {"ARC-Authentication-Results: i=1; " + proven + "\r\n" + mail(bank), "ARC_FAIL"},
		"From is not signed":  {unsigned.hop("lists.example", proven).msg, "ARC_PASS"},
		"no ARC at all":       {mail(bank), ""},
	} {
		found, got := believe(t, r, c.msg, trusting("*", "lists.example"))
		if want := strings.TrimSpace(refused + " " + c.want); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		for _, f := range found {
			if strings.HasPrefix(f.Symbol, "ARC_") && (f.Auth == nil || f.Auth.Method != "arc" || f.Auth.Result != strings.ToLower(f.Symbol[4:]) || f.Detail == "ARC: ") {
				t.Errorf("%s: %+v %+v", name, f, f.Auth)
			}
		}
	}
	found, _ := believe(t, r, whole().msg, nil)
	last := found[len(found)-1]
	if p := last.Auth.Props; len(p) != 1 || p[0] != (filter.AuthProp{Type: "header", Name: "oldest-pass", Value: "0"}) || last.Detail != "ARC: sealed by lists.example" {
		t.Errorf("%+v %+v", last, p)
	}
	// A second author beside the one that was seen: nobody can speak for both.
	two := whole()
	two.msg = strings.Replace(two.msg, "\r\nFrom:", "\r\nFrom: a@example.com\r\nFrom:", 1)
	list := (&sealed{msg: mail("a@free.example, " + bank)}).hop("lists.example", proven)
	comma := (&sealed{msg: mail("<@x:" + bank + ">")}).hop("lists.example", proven)
	for _, s := range []*sealed{two, list, comma} {
		if _, got := believe(t, r, s.msg, trusting("*", "lists.example")); got != refused+" ARC_PASS" {
			t.Errorf("not one author: %s", got)
		}
	}
}

// H-H14: a provider from whose hosts anybody sends as anybody is believed about the domains
// it is named for, and about them only.
func TestH_H14TrustIsForADomain(t *testing.T) {
	r, _ := world(t, sealers)
	relay := trusting("bank.example", "lists.example", "open.example", "second.example")
	for _, c := range []struct{ sealer, from, want string }{
		{"lists.example", "bank.example", "ARC_TRUSTED"},
		{"lists.example", "mail.bank.example", "ARC_TRUSTED"},
		{"lists.example", "notbank.example", ""},
		{"lists.example", "open.example", ""},
		{"lists.example", "soft.example", ""},
		{"second.example", "bank.example", ""},
		{"second.example", "open.example", "ARC_TRUSTED"},
	} {
		s := (&sealed{msg: mail("b@" + c.from)}).hop(c.sealer, "x; dmarc=pass header.from="+c.from+"; spf=pass smtp.mailfrom="+c.from)
		found, got := believe(t, r, s.msg, relay)
		if strings.Contains(got, "ARC_TRUSTED") != (c.want != "") || !strings.Contains(got, "ARC_PASS") {
			t.Errorf("%s for %s: %s %q", c.sealer, c.from, got, detail(found, "ARC_TRUSTED"))
		}
	}
}

// Where the keys of a believed sealer cannot be looked up, nobody is refused for it; a
// stranger's keys change nothing.
func TestSealersThatCannotBeAsked(t *testing.T) {
	const proven = "x; dmarc=pass header.from=bank.example"
	lists := trusting("*", "lists.example")
	for _, c := range []struct {
		sealer, results, from, want string
		words                       string
	}{
		{"lists.example", proven, bank, "DMARC_FAIL DMARC_QUARANTINE ARC_TEMPERROR", "ARC: "},
		{"lists.example", "x; dmarc=fail header.from=bank.example", bank, refused + " ARC_TEMPERROR", ""},
		{"evil.example", proven, bank, refused + " ARC_TEMPERROR", ""},
		{"lists.example", "x; dmarc=pass header.from=free.example", "a@free.example", "DMARC_NONE ARC_TEMPERROR", ""},
	} {
		r, srv := world(t, sealers)
		srv.Fault("s._domainkey."+c.sealer, mailtest.DNSFault{Rcode: 2})
		m := message("x@free.example", (&sealed{msg: mail(c.from)}).hop(c.sealer, c.results).msg)
		m.Seen, _ = auth.SPF(r, "").Check(t.Context(), m)
		found, err := auth.Message(r, m.Time.Local, lists).Check(t.Context(), m)
		var got []string
		for _, f := range found {
			if f.Symbol != "DKIM_NONE" {
				got = append(got, f.Symbol)
			}
		}
		if strings.Join(got, " ") != c.want || (err != nil) != (c.words != "") {
			t.Errorf("%s, %s: %v %v", c.sealer, c.from, got, err)
		}
		if d := detail(found, "DMARC_QUARANTINE"); d != "" && !strings.Contains(d, "could not be asked, p=reject of bank.example") {
			t.Errorf("%q", d)
		}
		var plain filter.PlainError
		if err != nil && (!errors.As(err, &plain) || !strings.HasPrefix(plain.Plain(), c.words)) {
			t.Errorf("%v", err)
		}
	}
}
