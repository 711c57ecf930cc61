package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/filter/auth"
	"postern/internal/dns"
	"postern/internal/mailtest"
)

// authorCase is a From field of mail from a host that may send for example.com, and what is
// found of its author.
type authorCase struct{ name, from, want string }

const (
	bad     = "DMARC_FAIL DMARC_REJECT"
	several = "FROM_MULTIPLE "
	odd     = "FROM_MALFORMED "
	unknown = "FROM_MALFORMED DMARC_PERMERROR"
)

func runAuthors(t *testing.T, cases []authorCase) {
	t.Helper()
	r, _ := world(t, nil)
	for _, c := range cases {
		found, errs := judge(t, r, message("a@example.com", mail(c.from)))
		got := strings.TrimPrefix(symbols(found), "SPF_PASS DKIM_NONE ")
		if got != c.want || errs != nil {
			t.Errorf("%s: %s, want %s (%v)", c.name, got, c.want, errs)
		}
	}
}

// H-H01: every author that some reader may show is judged, the worst counts.
func TestH_H01Authors(t *testing.T) {
	runAuthors(t, []authorCase{
		{"one", "a@example.com", "DMARC_PASS"},
		{"two fields", "a@example.com\r\nFrom: b@bank.example", several + bad},
		{"two fields, the other way", "b@bank.example\r\nFrom: a@example.com", several + bad},
		{"three fields, the bank between", "a@example.com\r\nFROM: b@bank.example\r\nfrom: a@example.com", several + bad},
		{"a blank before the colon", "a@example.com\r\nFrom : b@bank.example", several + bad},
		{"a tab before the colon", "a@example.com\r\nfrom\t: b@bank.example", several + bad},
		{"a bare LF", "a@example.com\nFrom: b@bank.example", several + bad},
		{"a bare CR", "a@example.com\rFrom: b@bank.example", several + bad},
		{"a NUL before the name", "a@example.com\r\n\x00From: b@bank.example", several + bad},
		{"a NUL in the name", "a@example.com\r\nFr\x00om: b@bank.example", several + bad},
		{"a field folded into the other", "a@example.com\r\n From: b@bank.example", several + odd + bad},
		{"list", "a@example.com, b@bank.example", several + bad},
		{"list, the other way", "b@bank.example, a@example.com", several + bad},
		{"list with holes", ",b@bank.example,,a@example.com,", several + bad},
		{"semicolon", "a@example.com; b@bank.example", several + bad},
		{"blank", "a@example.com b@bank.example", several + odd + bad},
		{"brackets without a comma", "<a@example.com> <b@bank.example>", several + bad},
		{"brackets without a comma, the other way", "<b@bank.example> <a@example.com>", several + bad},
		{"group", "Team: a@example.com, b@bank.example;", several + bad},
		{"empty group beside one", "undisclosed:;, a@example.com", "DMARC_PASS"},
		{"one domain twice", "a@example.com, c@example.com", several + "DMARC_PASS"},
		{"the same field twice", "a@example.com\r\nFrom: a@example.com", several + "DMARC_PASS"},
		{"a comma in a bare name", "Doe, Jane <a@example.com>", "DMARC_PASS"},
		{"a strict one beside a mild one", "x@none.example, b@bank.example, y@quarantine.example", several + bad},
		{"one without a policy", "a@example.com, x@free.example", several + "DMARC_NONE"},
	})
	r, _ := world(t, nil)
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("a@d%d.example.com", i)
	}
	found, _ := judge(t, r, message("a@example.com", mail(strings.Join(many, ", "))))
	if got := symbols(found); got != "SPF_PASS DKIM_NONE FROM_MULTIPLE FROM_MALFORMED FROM_TOO_MANY DMARC_PERMERROR" {
		t.Errorf("thirty authors, twenty judged: %s", got)
	}
}

// H-H02: an address that is no mailbox has the domains that some reader would take from it.
func TestH_H02Addresses(t *testing.T) {
	runAuthors(t, []authorCase{
		{"address in the name", `"b@bank.example" <a@example.com>`, "DMARC_PASS"}, // the name is the rules' affair
		{"address before the brackets", "b@bank.example <a@example.com>", "DMARC_PASS"},
		{"brackets in the name", `"<b@bank.example>" <a@example.com>`, "DMARC_PASS"},
		{"encoded name", "=?utf-8?q?b=40bank=2Eexample?= <a@example.com>", "DMARC_PASS"},
		{"comment", "a@example.com (b@bank.example)", "DMARC_PASS"},
		{"comment first", "(<b@bank.example>) a@example.com", "DMARC_PASS"},
		{"comment between", "a@example.com(x)@bank.example", odd + bad},
		{"comment before the domain", "Bank <b@(office)bank.example>", odd + bad},
		{"comment of words before the domain", "Bank <b@(in the office)bank.example>", odd + bad},
		{"comment behind the domain", "Bank <b@bank.example(office)>", odd + bad},
		{"comment in the domain", "Bank <b@bank(x).(y)example>", odd + bad},
		{"comment in a comment", "Bank <b@((a)b\\)c)bank.example>", odd + bad},
		{"comment before the @", "Bank <b(office)@bank.example>", odd + bad},
		{"an address in the comment", "Bank <b@(a@example.com)bank.example>", odd + bad},
		{"the bank in the comment", "<a@(b@bank.example)example.com>", odd + bad},
		{"comment that stays open", "Bank <b@bank.example(office>", odd + bad},
		{"comment before a bare domain", "b@(office)bank.example", bad},
		{"blanks around the dot", "Bank <b@bank . example>", odd + bad},
		{"a fold before the dot", "Bank <b@bank\r\n .example>", odd + bad},
		{"blanks around the dot of another", "<b@example.com .bank.example>", odd + bad},
		{"blank behind the @", "Bank <b@ bank.example>", bad},
		{"brackets first", "<b@bank.example>a@example.com", bad},
		{"brackets in brackets", "<<b@bank.example>a@example.com>", bad},
		{"brackets behind", "<a@example.com<b@bank.example>>", odd + bad},
		{"a bracket that stays open", "a@example.com <b@bank.example", bad},
		{"two in one bracket", "<b@bank.example a@example.com>", odd + bad},
		{"route", "<@example.com:b@bank.example>", odd + bad},
		{"route through the bank", "<@bank.example:a@example.com>", odd + bad},
		{"two @", "b@bank.example@example.com", odd + bad},
		{"two @, the other way", "a@example.com@bank.example", odd + bad},
		{"a backslash", `a@example.com\@bank.example`, odd + bad},
		{"encoded word as address", "=?utf-8?q?b=40bank=2Eexample?=", unknown},
		{"encoded brackets", "=?utf-8?q?x=3Cb=40bank.example=3E?=", unknown},
		{"quoted local part", `"b@bank.example"@example.com`, "DMARC_PASS"},
		{"upper case", "A@EXAMPLE.COM", "DMARC_PASS"},
		{"final dot", "a@example.com.", "DMARC_PASS"},
	})
}

// H-H03: a field that some reader takes for empty or ends early proves nobody.
func TestH_H03Nobody(t *testing.T) {
	runAuthors(t, []authorCase{
		{"empty", "", unknown},
		{"blanks", " \t ", unknown},
		{"empty brackets", "Bank <>", unknown},
		{"only a name", "Your Bank", unknown},
		{"empty group", "Team:;", unknown},
		{"an empty field before", "\r\nFrom: a@example.com", several + unknown},
		{"an empty field behind", "a@example.com\r\nFrom:", several + unknown},
		{"NUL behind", "a@example.com\x00", unknown},
		{"NUL before another", "a@example.com\x00@bank.example", odd + bad},
		{"NUL behind the bank", "b@bank.example\x00<a@example.com>", several + odd + bad},
		{"DEL", "a@example.com\x7f", unknown},
		{"escape", "\x1b[2Ja@example.com", unknown},
		{"folded", "\r\n a@example.com", "DMARC_PASS"},
		{"folded name", "Jane\r\n Doe\r\n\t<a@example.com>", "DMARC_PASS"},
	})
	r, _ := world(t, nil)
	found, _ := judge(t, r, message("a@example.com", "Subject: x\r\n\r\n"))
	if got := symbols(found); got != "SPF_PASS DKIM_NONE "+unknown {
		t.Errorf("no From: %s", got)
	}
}

// H-H09: what is no name of the DNS proves nobody, nor does a registry.
func TestH_H09Domains(t *testing.T) {
	runAuthors(t, []authorCase{
		{"literal", "a@[192.0.2.1]", unknown},
		{"a name as literal", "a@[bank.example]", odd + bad},
		{"a mark of direction", "b@bank.example\u200e", odd + bad},
		{"a wide sign", "b\uff20bank.example", odd + bad},
		{"wide letters, dot and brackets", "\uff1cb\uff20\uff42ank\uff0eexample\uff1e", odd + bad},
		{"a wide sign in the name", "b\uff20bank.example <a@example.com>", "DMARC_PASS"}, // the name is the rules' affair
		{"a blank of Latin-1", "b@bank.example\xa0", odd + bad},
		{"an encoded domain", "b@=?utf-8?q?bank=2Eexample?=", odd + bad},
		{"an encoded address", "<=?utf-8?q?b=40bank=2Eexample?=>", odd + bad},
		{"a sign behind the domain", "b@bank.example!a@example.com", odd + bad},
		{"an address before empty brackets", "b@bank.example <>", odd + bad},
		{"an address before a bracket", "b@bank.example <", odd + bad},
		{"an address before a name in brackets", "b@bank.example <x>", odd + bad},
		{"a blank behind the @", "b@ bank.example", odd + bad},
		{"one label", "root@localhost", unknown},
		{"a top-level domain", "a@com", unknown},
		{"an A-label that shows as ASCII", "a@xn--bank-.example", unknown},
		{"an A-label that is none", "a@xn--99999999.example", unknown},
		{"no UTF-8", "a@b\xffnk.example", unknown},
		{"an empty label", "a@example..com", unknown},
		{"a dot first", "a@.example.com", unknown},
		{"a full stop of another script", "b@bank。example", bad},
		{"a long label", "a@" + strings.Repeat("x", 64) + ".example", unknown},
	})
	z := mailtest.Zone{
		"co.uk": {"TXT v=spf1 +all"}, "shop.co.uk": {"A 192.0.2.5"}, "_dmarc.shop.co.uk": {"TXT v=DMARC1; p=reject"},
		"s._domainkey.co.uk": {keyRecord()}, "s._domainkey.com": {keyRecord()}, "_dmarc.shop.com": {"TXT v=DMARC1; p=reject"},
	}
	r, _ := world(t, z)
	for _, c := range []struct{ envelope, signer, from string }{
		{"x@co.uk", "co.uk", "a@shop.co.uk"}, {"x@free.example", "com", "a@shop.com"},
	} {
		found, _ := judge(t, r, message(c.envelope, sign(t, c.signer, mail(c.from))))
		if got := symbols(found); !strings.HasSuffix(got, bad) {
			t.Errorf("d=%s for %s: %s", c.signer, c.from, got)
		}
	}
}

// H-H10: mail of domains made to cost questions, SPF, DKIM and DMARC together.
func TestH_H10QuestionsOfAMessage(t *testing.T) {
	z := mailtest.Zone{
		"eleven.example":   {"TXT v=spf1" + strings.Repeat(" a:ok.example", 11) + " -all"},
		"void.example":     {"TXT v=spf1 a:v1.example a:v2.example a:v3.example -all"},
		"hosts.example":    {"TXT v=spf1 mx -all"},
		"loop.example":     {"TXT v=spf1 include:loop.example -all"},
		"redirect.example": {"TXT v=spf1 redirect=redirect.example"},
		"exchange.example": {"TXT v=spf1" + strings.Repeat(" mx:mx%.exchange.example", 1)},
		"ok.example":       {"A 192.0.2.99"},
		"tens.example":     {"TXT v=spf1 mx:m0.tens.example mx:m1.tens.example mx:m2.tens.example mx:m3.tens.example mx:m4.tens.example -all"},
	}
	for i := range 100 {
		z["hosts.example"] = append(z["hosts.example"], fmt.Sprintf("MX 1 h%d.hosts.example", i))
	}
	for m := range 5 {
		for h := range 10 {
			host, name := fmt.Sprintf("m%d-h%d.tens.example", m, h), fmt.Sprintf("m%d.tens.example", m)
			z[host] = []string{"A 192.0.2.77"}
			z[name] = append(z[name], "MX 1 "+host)
		}
	}
	for _, domain := range []string{"eleven", "void", "hosts", "loop", "redirect", "exchange", "tens"} {
		r, srv := world(t, z)
		found, _ := judge(t, r, message("x@"+domain+".example", sign(t, "free.example", mail("b@deep.bank.example"))))
		if got := symbols(found); got != "SPF_PERMERROR DKIM_PASS "+bad {
			t.Errorf("%s: %s", domain, got)
		}
		n := len(srv.Queries())
		t.Logf("%s: %d questions", domain, n)
		if n > 50 {
			t.Errorf("%s: %d questions", domain, n)
		}
	}
}

// A mail that uses all of it at once stays below the budget of 100, and the bank among its
// authors is still judged.
func TestH_H10Budget(t *testing.T) {
	z := mailtest.Zone{"evil.example": {"TXT v=spf1" + strings.Repeat(" mx:mx%.evil.example", 10) + " -all"}}
	r, srv := world(t, z)
	var from []string
	for i := range 18 {
		from = append(from, fmt.Sprintf("a@a.b.c.d.e.f%d.evil.example", i))
	}
	body := mail(strings.Join(append(from, "b@bank.example"), ", "))
	for i := range 12 {
		body = strings.Replace(sign(t, "free.example", body), "d=free.example", fmt.Sprintf("d=x.y.z.w.v%d.evil.example", i), 1)
	}
	ctx := dns.WithBudget(t.Context(), dns.NewBudget(100, 8*time.Second))
	m := message("x@evil.example", body)
	m.Seen, _ = auth.SPF(r, "").Check(ctx, m)
	found, _ := auth.Message(r, time.Now, nil).Check(ctx, m)
	if got := symbols(found); !strings.HasSuffix(got, bad) {
		t.Errorf("%s", got)
	}
	if n := len(srv.Queries()); n > 100 {
		t.Errorf("%d questions", n)
	}
}

// H-H12: two records, long ones, and an address for reports that is a stranger's.
func TestH_H12RecordsOfAMessage(t *testing.T) {
	victims := strings.Repeat("mailto:a@victim.example,", 50)
	r, srv := world(t, mailtest.Zone{
		"two.example":         {"TXT v=spf1 -all", "TXT v=spf1 +all"},
		"_dmarc.two.example":  {"TXT v=DMARC1; p=reject", "TXT v=DMARC1; p=none"},
		"_dmarc.long.example": {"TXT v=DMARC1; p=none; x=" + strings.Repeat("y", 60_000)},
		"_dmarc.rua.example":  {"TXT v=DMARC1; rua=" + victims + "; p=quarantine"}, // p= behind five strings of TXT
	})
	for domain, want := range map[string]string{
		"two.example":  "SPF_PERMERROR DKIM_NONE DMARC_PERMERROR",
		"long.example": "SPF_NONE DKIM_NONE DMARC_PERMERROR",
		"rua.example":  "SPF_NONE DKIM_NONE DMARC_FAIL DMARC_QUARANTINE",
	} {
		found, _ := judge(t, r, message("x@"+domain, mail("a@"+domain)))
		if got := symbols(found); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
		if result := found[len(found)-1].Auth; domain == "rua.example" && (result.At != domain || !strings.HasSuffix(result.Record, "; p=quarantine")) {
			t.Errorf("%+v", result)
		}
	}
	for _, q := range srv.Queries() {
		if strings.Contains(q.Name, "victim") {
			t.Errorf("%v was asked", q)
		}
	}
}

// A field made to be slow costs no more than any other of its size, and hides no author.
func TestHostileFromIsLinear(t *testing.T) {
	folded := func(unit string) string {
		return strings.Repeat(strings.Repeat(unit, 900/len(unit))+"\r\n ", 270)
	}
	var many strings.Builder
	for i := range 36_000 {
		if fmt.Fprintf(&many, "%x@b,", i); i%100 == 0 {
			many.WriteString("\r\n ")
		}
		if i%900 == 899 {
			many.WriteString("b@bank.example\r\nFrom: ")
		}
	}
	r, _ := world(t, nil)
	for name, from := range map[string]string{
		"comments without an end":        "a@example.com, b@bank.example " + folded("("),
		"comments in an address":         "<b@bank.example" + folded("(") + ">",
		"quotes without an end":          "b@bank.example, \"" + folded(`\"`),
		"an author behind open comments": "a@example.com " + strings.Repeat("(", 100) + " b@bank.example",
		"very many mailboxes":            many.String() + "a@example.com",
	} {
		began := mailtest.CPU(t)
		found, errs := judge(t, r, message("a@example.com", mail(from)))
		if got := symbols(found); !strings.Contains(got, bad) || errs != nil {
			t.Errorf("%s: %s (%v)", name, got, errs)
		}
		if took := mailtest.CPU(t) - began; took > 5*time.Second {
			t.Errorf("%s: %s", name, took)
		}
	}
}
