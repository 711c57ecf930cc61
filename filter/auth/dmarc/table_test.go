package dmarc_test

import (
	"fmt"
	"strings"
	"testing"

	ours "postern/filter/auth/dmarc"
)

// identifiers reads "dkim:x spf:y dkim?:z", the mark saying that the DNS did not answer.
func identifiers(t *testing.T, text string) []ours.Identifier {
	var out []ours.Identifier
	for _, word := range strings.Fields(text) {
		kind, domain, ok := strings.Cut(word, ":")
		kind, maybe := strings.CutSuffix(kind, "?")
		if !ok || kind != "dkim" && kind != "spf" {
			t.Fatalf("no identifier: %q", word)
		}
		out = append(out, ours.Identifier{DKIM: kind == "dkim", Domain: domain, Unsure: maybe})
	}
	return out
}

// row is a case made from the text of a section of RFC 9989. Want is "result policy record",
// the record as the domain that published it.
type row struct{ section, name, author, ids, want string }

func run(t *testing.T, z zone, rows []row) {
	t.Helper()
	for _, c := range rows {
		w := &ours.Walker{Resolver: z}
		out := w.Evaluate(t.Context(), c.author, identifiers(t, c.ids))
		got := strings.TrimSpace(fmt.Sprintf("%s %s %s", out.Result, out.Policy, out.Record))
		if got != c.want {
			t.Errorf("section %s, %s: %q, want %q (%s)", c.section, c.name, got, c.want, out.Reason)
		}
		if out.Record != "" && out.Text != z["_dmarc."+out.Record] {
			t.Errorf("section %s, %s: the text of %s is %q", c.section, c.name, out.Record, out.Text)
		}
		if (out.Reason == "") != (out.Result == ours.Pass || out.Result == ours.None) {
			t.Errorf("section %s, %s: reason %q", c.section, c.name, out.Reason)
		}
	}
}

// Which record applies, and which of its policies.
func TestTableOfPolicies(t *testing.T) {
	run(t, zone{
		"_dmarc.example.com":           "v=DMARC1; p=reject; sp=quarantine; np=none",
		"news.example.com":             "x",
		"_dmarc.own.example.com":       "v=DMARC1; p=none; sp=reject; np=reject",
		"x.own.example.com":            "x",
		"_dmarc.only.example":          "v=DMARC1; p=quarantine",
		"_dmarc.np.example":            "v=DMARC1; p=none; np=reject",
		"here.np.example":              "x",
		"_dmarc.sp.example":            "v=DMARC1; p=reject; sp=none",
		"_dmarc.t.example":             "v=DMARC1; p=reject; sp=quarantine; np=none; t=y",
		"here.t.example":               "x",
		"_dmarc.mid.deep.example":      "v=DMARC1; p=none",
		"_dmarc.deep.example":          "v=DMARC1; p=reject",
		"unknown.example.com":          "x",
		"A unknown.example.com":        "!",
		"unknown.only.example":         "x",
		"A unknown.only.example":       "!",
		"A unknown.np.example":         "!",
		"_dmarc.same.example":          "v=DMARC1; p=none; sp=reject; np=reject",
		"A unknown.same.example":       "!",
		"_dmarc.failing.example.com":   "!",
		"_dmarc.parentdown.example":    "!",
		"_dmarc.a.parentdown.example":  "v=DMARC1; p=reject",
		"_dmarc.unrelated.example":     "v=DMARC2; p=reject",
		"_dmarc.bücher.example":        "never asked for",
		"_dmarc.xn--bcher-kva.example": "v=DMARC1; p=reject",
	}, []row{
		{"4.10.1", "the author domain's own record", "example.com", "", "fail reject example.com"},
		{"4.10.1", "its own record speaks before the organization's", "own.example.com", "", "fail none own.example.com"},
		{"4.10.1", "the organization's record for one below", "news.example.com", "", "fail quarantine example.com"},
		{"4.10.1", "a record between is not the organization's", "x.own.example.com", "", "fail quarantine example.com"},
		{"4.10.1", "the highest record is the organization's", "x.mid.deep.example", "", "fail reject deep.example"},
		{"4.10.1", "no record at all", "nothing.example", "dkim:nothing.example", "none"},
		{"4.10", "another version is no record", "unrelated.example", "spf:unrelated.example", "none"},
		{"4.7 p", "p= is for those below too", "x.only.example", "", "fail quarantine only.example"},
		{"4.7 sp", "sp= for a name that exists", "news.example.com", "dkim:other.example", "fail quarantine example.com"},
		{"4.7 sp", "sp= is not for the domain itself", "sp.example", "", "fail reject sp.example"},
		{"4.7 sp", "sp= where np= is absent", "ghost.sp.example", "", "fail none sp.example"},
		{"4.7 np", "np= for a name that does not exist", "ghost.example.com", "", "fail none example.com"},
		{"4.7 np", "np= below a name that does not exist", "a.b.ghost.np.example", "", "fail reject np.example"},
		{"4.7 np", "np= is not for the domain itself", "np.example", "", "fail none np.example"},
		{"4.7 np", "np= without sp=: p= for what exists", "here.np.example", "", "fail none np.example"},
		{"4.7 np", "sp= and np= of the author's own record are not for it", "own.example.com", "", "fail none own.example.com"},
		{"3.2", "NODATA exists: only NXDOMAIN does not", "own.example.com.", "", "fail none own.example.com"},
		{"4.7 t", "t=y: one step below p=", "t.example", "", "fail quarantine t.example"},
		{"4.7 t", "t=y: one step below sp=", "here.t.example", "", "fail none t.example"},
		{"4.7 t", "t=y changes no none", "ghost.t.example", "", "fail none t.example"},
		{"4.7 t", "t=y changes no pass", "t.example", "spf:t.example", "pass quarantine t.example"},
		{"5.3.6", "existence not known where it matters", "unknown.example.com", "", "temperror quarantine example.com"},
		{"5.3.6", "existence not known, np= the stricter", "unknown.np.example", "", "temperror none np.example"},
		{"5.3.6", "existence not known where it does not matter", "unknown.only.example", "", "fail quarantine only.example"},
		{"5.3.6", "existence not known, sp= and np= the same", "unknown.same.example", "", "fail reject same.example"},
		{"5.3.6", "existence is not asked for a pass", "unknown.example.com", "dkim:example.com", "pass quarantine example.com"},
		{"5.3.6", "the author's record could not be looked up", "failing.example.com", "", "temperror"},
		{"5.3.6", "not even where an identifier is identical", "failing.example.com", "dkim:failing.example.com", "temperror"},
		{"5.3.6", "the organization's record could not be looked up", "b.parentdown.example", "", "temperror"},
		{"4.10.1", "an own record needs none above", "a.parentdown.example", "", "fail reject a.parentdown.example"},
		{"4.10.2", "an identical identifier needs no walk", "a.parentdown.example", "spf:a.parentdown.example", "pass reject a.parentdown.example"},
		{"5.3.6", "the walk for an identifier failed", "a.parentdown.example", "spf:b.parentdown.example", "temperror reject a.parentdown.example"},
		{"5.3.1", "U-labels become A-labels", "bücher.example", "", "fail reject xn--bcher-kva.example"},
		{"5.3.1", "also in upper case and with a final dot", "BÜCHER.example.", "dkim:xn--bcher-kva.example", "pass reject xn--bcher-kva.example"},
	})
}

// Which names are one organization.
func TestTableOfAlignment(t *testing.T) {
	run(t, zone{
		"_dmarc.example.com":        "v=DMARC1; p=reject",
		"_dmarc.strict.example.net": "v=DMARC1; p=reject; adkim=s; aspf=s",
		"_dmarc.example.net":        "v=DMARC1; p=quarantine; adkim=s",
		"_dmarc.example.org":        "v=DMARC1; p=quarantine; aspf=s",
		"_dmarc.dept.example.com":   "v=DMARC1; p=quarantine; psd=n",
		"_dmarc.bank":               "v=DMARC1; p=reject; sp=quarantine; psd=y",
		"_dmarc.first.bank":         "v=DMARC1; p=none",
		"second.bank":               "x",
		"third.bank":                "x",
		"_dmarc.co.nz":              "v=DMARC1; p=none; psd=y",
		"_dmarc.shop.co.nz":         "v=DMARC1; p=reject",
		"_dmarc.brand":              "v=DMARC1; p=reject; psd=n",
		"mail.brand":                "x",
		"_dmarc.oldreg":             "v=DMARC1; p=reject; sp=none",
		"a.oldreg":                  "x",
		"_dmarc.u.oldreg":           "v=DMARC1; p=reject; psd=u",
		"_dmarc.nested.bank":        "v=DMARC1; p=reject; psd=y",
		"_dmarc.two.example":        "v=DMARC1; p=reject|v=DMARC1; p=none",
		"_dmarc.x.two.example":      "v=DMARC1; p=reject",
		"_dmarc.nop.example":        "v=DMARC1; rua=mailto:a@nop.example",
		"_dmarc.x.nop.example":      "v=DMARC1; p=reject",
		"_dmarc.down.example":       "!",
		"_dmarc.x.down.example":     "v=DMARC1; p=reject",
	}, []row{
		{"4.4", "table 1: two below one organization", "news.example.com", "dkim:foo.example.com", "pass reject example.com"},
		{"4.4", "table 1: identical", "news.example.com", "dkim:news.example.com", "pass reject example.com"},
		{"4.4", "table 1: another organization", "news.example.com", "dkim:foo.example.net", "fail reject example.com"},
		{"4.4", "names are compared without case", "NEWS.Example.COM", "spf:FOO.eXample.com", "pass reject example.com"},
		{"4.4.1", "one aligned signature of several is enough", "example.com", "dkim:a.example.net dkim:b.example.org dkim:c.example.com", "pass reject example.com"},
		{"4.4.2", "SPF of another proves nothing", "example.com", "spf:bounces.example.net", "fail reject example.com"},
		{"4.4.2", "SPF aligned, DKIM not", "example.com", "dkim:esp.example spf:bounce.example.com", "pass reject example.com"},
		{"4.4.2", "the bounce domain above the author", "a.b.example.com", "spf:example.com", "pass reject example.com"},
		{"4.4", "a name that only ends alike", "example.com", "dkim:badexample.com", "fail reject example.com"},
		{"4.4", "a top-level domain proves nobody", "example.com", "dkim:com", "fail reject example.com"},
		{"4.4", "nothing proves nobody", "example.com", "spf:", "fail reject example.com"},
		{"4.7 adkim", "strict DKIM: one below is another", "example.net", "dkim:mail.example.net", "fail quarantine example.net"},
		{"4.7 adkim", "strict DKIM leaves SPF relaxed", "example.net", "spf:mail.example.net", "pass quarantine example.net"},
		{"4.7 adkim", "strict DKIM: identical", "example.net", "dkim:example.net", "pass quarantine example.net"},
		{"4.7 aspf", "strict SPF: one below is another", "example.org", "spf:mail.example.org", "fail quarantine example.org"},
		{"4.7 aspf", "strict SPF leaves DKIM relaxed", "example.org", "dkim:mail.example.org", "pass quarantine example.org"},
		{"4.7 aspf", "strict of the organization's record, below it", "x.example.org", "spf:example.org", "fail quarantine example.org"},
		{"4.10.2", "strict needs the same name, not the same organization", "strict.example.net", "dkim:example.net spf:example.net", "fail reject strict.example.net"},
		{"4.10.2", "psd=n: an organization of its own", "x.dept.example.com", "dkim:y.dept.example.com", "pass quarantine dept.example.com"},
		{"4.10.2", "psd=n: the one above is another", "x.dept.example.com", "dkim:example.com", "fail quarantine dept.example.com"},
		{"4.10.2", "psd=n: nor does it speak for the one above", "example.com", "dkim:x.dept.example.com", "fail reject example.com"},
		{"4.10.2", "psd=n at the author domain", "dept.example.com", "spf:mail.dept.example.com", "pass quarantine dept.example.com"},
		{"4.10.2", "psd=y: the organization is one label below", "a.second.bank", "dkim:b.second.bank", "pass quarantine bank"},
		{"4.10.2", "psd=y: registrants are strangers", "second.bank", "dkim:third.bank", "fail quarantine bank"},
		{"4.10.2", "psd=y: the registry is a stranger", "second.bank", "spf:bank", "fail quarantine bank"},
		{"4.10.1", "a registry's record is not for who has one", "x.first.bank", "", "fail none first.bank"},
		{"4.10.1", "a registry's record with sp=", "second.bank", "", "fail quarantine bank"},
		{"4.10.2", "psd=y where the walk began is no registry of it", "nested.bank", "dkim:nested.bank", "pass reject nested.bank"},
		{"4.10", "psd=y where the walk began ends it", "nested.bank", "dkim:x.nested.bank", "fail reject nested.bank"},
		{"4.10.2", "the lower of two registries counts", "a.nested.bank", "dkim:b.nested.bank", "fail reject nested.bank"},
		{"4.10.2", "a registry of two labels", "shop.co.nz", "dkim:mail.shop.co.nz", "pass reject shop.co.nz"},
		{"4.10.2", "a registry of two labels signs for nobody", "shop.co.nz", "dkim:co.nz", "fail reject shop.co.nz"},
		{"4.10.2", "psd=n at a top-level domain", "mail.brand", "dkim:news.brand", "pass reject brand"},
		{"4.10.2", "psd=u is the default", "u.oldreg", "dkim:x.u.oldreg", "pass reject u.oldreg"},
		{"11.8", "a top-level domain that forgot psd=y", "a.oldreg", "dkim:b.oldreg", "fail none oldreg"},
		{"4.10", "several records above count as none", "x.two.example", "dkim:y.two.example", "fail reject x.two.example"},
		{"4.10.1", "a record without p= still is an organization's", "x.nop.example", "dkim:y.nop.example", "pass reject x.nop.example"},
		{"5.3.6", "what might be aligned", "x.down.example", "dkim:y.down.example", "temperror reject x.down.example"},
		{"5.3.6", "a pass elsewhere needs no answer", "x.down.example", "dkim:y.down.example spf:x.down.example", "pass reject x.down.example"},
		{"5.3.6", "a key that was not looked up", "example.com", "dkim?:a.example.com", "temperror reject example.com"},
		{"5.3.6", "SPF that was not looked up", "example.com", "spf?:example.com dkim:example.net", "temperror reject example.com"},
		{"5.3.6", "a stranger's key that was not looked up", "example.com", "dkim?:example.net", "fail reject example.com"},
		{"5.3.6", "strict: only the very name could have proven it", "example.net", "dkim?:a.example.net", "fail quarantine example.net"},
		{"5.3.5", "a pass beside what was not looked up", "example.com", "dkim?:example.com spf:example.com", "pass reject example.com"},
	})
}

// The walk asks eight names at most (section 4.10).
func TestTableOfWalks(t *testing.T) {
	run(t, zone{
		"_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com": "v=DMARC1; p=none",
		"_dmarc.g.h.i.j.mail.example.com":             "v=DMARC1; p=quarantine; psd=n",
		"_dmarc.f.g.h.i.j.mail.example.com":           "v=DMARC1; p=reject; psd=n",
		"_dmarc.b.c.d.e.f.g.example.net":              "v=DMARC1; p=reject; psd=n",
		"_dmarc.example.net":                          "v=DMARC1; p=quarantine",
		"_dmarc.b.c.d.e.f.example.org":                "v=DMARC1; p=reject; psd=n",
	}, []row{
		{"4.10", "the author itself, however deep", "a.b.c.d.e.f.g.h.i.j.mail.example.com", "", "fail none a.b.c.d.e.f.g.h.i.j.mail.example.com"},
		{"4.10", "seven labels are reached", "x.b.c.d.e.f.g.h.i.j.mail.example.com", "", "fail quarantine g.h.i.j.mail.example.com"},
		{"4.10", "eight labels are not", "y.f.g.h.i.j.mail.example.com", "", "fail quarantine g.h.i.j.mail.example.com"},
		{"4.10", "unless they are the start", "f.g.h.i.j.mail.example.com", "", "fail reject f.g.h.i.j.mail.example.com"},
		{"5.1.8", "a cut of eight labels is never found", "mail.a.b.c.d.e.f.g.example.net", "", "fail quarantine example.net"},
		{"4.10", "eight labels: the parent is asked", "a.b.c.d.e.f.example.org", "", "fail reject b.c.d.e.f.example.org"},
		{"4.10.2", "deep names of one organization", "x.b.c.d.e.f.g.h.i.j.mail.example.com", "dkim:z.a.a.a.g.h.i.j.mail.example.com", "pass quarantine g.h.i.j.mail.example.com"},
	})
	// A stranger's name is not walked: only names below an organization are of it.
	var asked []string
	z := zone{"_dmarc.bank.example": "v=DMARC1; p=reject"}
	stranger := &ours.Walker{Resolver: listing{z, &asked}}
	stranger.Evaluate(t.Context(), "bank.example", identifiers(t, "dkim:a.b.c.evil.example spf:d.e.f.evil.example"))
	if got := strings.Join(asked, " "); got != "_dmarc.bank.example _dmarc.example" {
		t.Errorf("asked %s", got)
	}
	asked = nil
	w := &ours.Walker{Resolver: listing{zone{}, &asked}}
	w.Evaluate(t.Context(), "a.b.c.d.e.f.g.h.i.j.mail.example.com", nil)
	want := "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com h.i.j.mail.example.com i.j.mail.example.com " +
		"j.mail.example.com mail.example.com example.com com"
	if got := strings.ReplaceAll(strings.Join(asked, " "), "_dmarc.", ""); got != want {
		t.Errorf("asked %s", got)
	}
}

func TestSameOrganization(t *testing.T) {
	w := &ours.Walker{Resolver: zone{
		"_dmarc.example.com": "v=DMARC1; p=reject; adkim=s", "_dmarc.dept.example.com": "v=DMARC1; p=reject; psd=n",
		"_dmarc.bank": "v=DMARC1; p=reject; psd=y", "_dmarc.down.example": "!",
	}}
	for pair, want := range map[string]bool{
		"example.com example.com": true, "a.example.com B.example.com.": true, "a.dept.example.com example.com": false,
		"a.b.bank c.b.bank": true, "a.bank b.bank": false, "example.com com": false, "example.com example.net": false,
		"a.none.example b.none.example": false, "x..y x..y": false,
	} {
		a, b, _ := strings.Cut(pair, " ")
		if got, err := w.SameOrganization(t.Context(), a, b); got != want || err != nil {
			t.Errorf("%s: %v %v", pair, got, err)
		}
	}
	if _, err := w.SameOrganization(t.Context(), "a.down.example", "b.down.example"); err == nil {
		t.Error("no error where the DNS did not answer")
	}
}

// Aligned goes by the modes of the record, or relaxed where there is none.
func TestAligned(t *testing.T) {
	w := &ours.Walker{Resolver: zone{"_dmarc.example.com": "v=DMARC1; p=reject", "_dmarc.strict.example": "v=DMARC1; p=none; aspf=s", "_dmarc.down.example": "!"}}
	for _, c := range []struct{ author, ids, want string }{
		{"example.com", "dkim:other.example spf:mail.example.com dkim:example.com", "example.com"},
		{"example.com", "dkim:other.example spf:mail.example.com", "mail.example.com"},
		{"example.com", "dkim?:example.com", ""},
		{"strict.example", "spf:mail.strict.example", ""},
		{"strict.example", "dkim:mail.strict.example", "mail.strict.example"},
		{"none.example", "dkim:none.example", "none.example"},
		{"none.example", "dkim:mail.none.example", ""},
		{"down.example", "dkim:down.example", ""},
		{"x..y", "dkim:x..y", ""},
	} {
		id, ok := w.Aligned(t.Context(), c.author, identifiers(t, c.ids))
		if id.Domain != c.want || ok != (c.want != "") {
			t.Errorf("%s by %s: %+v %v", c.author, c.ids, id, ok)
		}
	}
}
