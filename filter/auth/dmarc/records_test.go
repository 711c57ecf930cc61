package dmarc_test

import (
	"context"
	"strings"
	"testing"

	ours "postern/filter/auth/dmarc"
)

// How records are read: each row is what one record makes of mail that nothing proves.
func TestTableOfRecords(t *testing.T) {
	const none, ok, broken = "none", "fail %s example.com", "permerror  example.com"
	want := func(policy string) string { return strings.Replace(ok, "%s", policy, 1) }
	for _, c := range []struct{ section, record, want string }{
		{"4.7 v", "v=DMARC1; p=reject", want("reject")},
		{"4.7 v", "v=DMARC1;p=reject;", want("reject")},
		{"4.8", "v = DMARC1 ;\tp = reject ;", want("reject")},
		{"4.8", "V=DMARC1; p=reject", want("reject")},
		{"4.8", "v=dmarc1; p=reject", none},
		{"4.7 v", "v=DMARC1p=reject", none},
		{"4.7 v", "v=DMARC1 p=reject", none},
		{"4.7 v", "v=DMARC1.0; p=reject", none},
		{"4.7 v", "v=DMARC10; p=reject", none},
		{"4.7 v", "p=reject; v=DMARC1", none},
		{"4.7 v", "p=reject", none},
		{"4.7 v", "; v=DMARC1; p=reject", none},
		{"4.7 v", "", none},
		{"4.7 v", "v=spf1 -all", none},
		{"4.8", "v=DMARC1; p=REJECT", want("reject")},
		{"4.8", "v=DMARC1; P=Quarantine", want("quarantine")},
		{"4.7", "v=DMARC1; rua=mailto:a@example.com; p=reject", want("reject")}, // p= need not come second
		{"4.7", "v=DMARC1; adkim=x; aspf=; fo=9; p=reject; psd=; t=maybe", want("reject")},
		{"4.7", "v=DMARC1; p=reject; unknown=1; x; =; ;;; bimi=y", want("reject")},
		{"4.7", "v=DMARC1; p=reject; p=none", want("reject")}, // given again: the first
		{"4.7 t", "v=DMARC1; p=reject; t=y", want("quarantine")},
		{"4.7 t", "v=DMARC1; p=reject; t=Y", want("quarantine")},
		{"4.7 t", "v=DMARC1; t=y; p=quarantine", want("none")},
		{"4.7 t", "v=DMARC1; p=reject; t=n", want("reject")},
		{"A.6", "v=DMARC1; p=reject; pct=0", want("quarantine")},
		{"A.6", "v=DMARC1; p=reject; pct=50", want("reject")},
		{"A.6", "v=DMARC1; p=reject; pct=100", want("reject")},
		{"A.6", "v=DMARC1; p=reject; pct=-1", want("reject")},
		{"A.6", "v=DMARC1; p=quarantine; pct=00", want("none")},
		{"A.6", "v=DMARC1; p=reject; rf=afrf:iodef; ri=abc", want("reject")},
		{"4.10.1", "v=DMARC1", broken},
		{"4.10.1", "v=DMARC1;", broken},
		{"4.10.1", "v=DMARC1; p=", broken},
		{"4.10.1", "v=DMARC1; p=rejected", broken},
		{"4.10.1", "v=DMARC1; p=reject\x00", broken},
		{"4.10.1", "v=DMARC1; p=reject none", broken},
		{"4.10.1", "v=DMARC1; sp=reject", broken},
		{"4.10.1", "v=DMARC1; p=reject; sp=junk", broken},
		{"4.10.1", "v=DMARC1; p=reject; np=", broken},
		{"4.10.1", "v=DMARC1; rua=mailto:a@example.com", want("none")},
		{"4.10.1", "v=DMARC1; p=bogus; rua=mailto:a@example.com", want("none")},
		{"4.10.1", "v=DMARC1; p=reject; sp=junk; rua=mailto:a@example.com", want("none")},
		{"4.10.1", "v=DMARC1; p=reject; np=junk; rua=mailto:a@example.com", want("none")},
		{"4.10.1", "v=DMARC1; p=bogus; rua=https://reports.example.com/in", want("none")}, // any valid URI
		{"4.10.1", "v=DMARC1; p=bogus; rua=mailto:a@example.com!10m", want("none")},       // a size of RFC 7489
		{"4.10.1", "v=DMARC1; p=bogus; rua=a@example.com", broken},
		{"4.10.1", "v=DMARC1; p=bogus; rua=mailto:", broken},
		{"4.10.1", "v=DMARC1; p=bogus; rua=mailto:a@", broken},
		{"4.10.1", "v=DMARC1; p=bogus; ruf=mailto:a@example.com", broken}, // only rua= counts
		{"4.5", "v=DMARC1; " + strings.Repeat("x=y; ", 200) + "p=reject", want("reject")},
		{"11.5", "v=DMARC1; p=reject; x=" + strings.Repeat("y", 1<<20), broken},
	} {
		z := zone{"_dmarc.example.com": c.record}
		w := &ours.Walker{Resolver: z}
		out := w.Evaluate(t.Context(), "example.com", nil)
		got := string(out.Result)
		if out.Record != "" {
			got += " " + string(out.Policy) + " " + out.Record
		}
		if got != c.want {
			t.Errorf("section %s, %.60q: %q, want %q (%s)", c.section, c.record, got, c.want, out.Reason)
		}
		if len(out.Text) > 8<<10 {
			t.Errorf("%d octets of text are kept", len(out.Text))
		}
	}
}

// A record that says nothing valid speaks for its own domain all the same: what stands above
// is not put in its place.
func TestBrokenRecordIsNotReplaced(t *testing.T) {
	run(t, zone{
		"_dmarc.example.com":     "v=DMARC1; p=reject",
		"_dmarc.odd.example.com": "v=DMARC1; p=maybe",
		"_dmarc.two.example.com": "v=DMARC1; p=none|v=DMARC1; p=none",
		"_dmarc.org.example":     "v=DMARC1; p=reject; sp=maybe",
	}, []row{
		{"4.10.1", "no DMARC for it", "odd.example.com", "dkim:odd.example.com", "permerror  odd.example.com"},
		{"4.10", "several count as none", "two.example.com", "", "fail reject example.com"},
		{"4.10.1", "of the organization", "x.org.example", "", "permerror  org.example"},
	})
}

// H-H12: two records are none, what is too long is read by nobody, and whoever stands in
// rua= is only a name.
func TestH_H12Records(t *testing.T) {
	z := zone{
		"_dmarc.two.example":  "v=DMARC1; p=none|v=DMARC1; p=reject",
		"_dmarc.long.example": "v=DMARC1; p=reject; " + strings.Repeat("rua=mailto:a@victim.example; ", 40_000),
		"_dmarc.rua.example":  "v=DMARC1; p=reject; rua=" + strings.Repeat("mailto:a@victim.example,", 200),
	}
	asked := []string{}
	for author, want := range map[string]ours.Result{
		"two.example": ours.PermError, "long.example": ours.PermError, "rua.example": ours.Fail,
	} {
		w := &ours.Walker{Resolver: listing{z, &asked}}
		if out := w.Evaluate(t.Context(), author, nil); out.Result != want || out.Reason == "" {
			t.Errorf("%s: %+v", author, out)
		}
	}
	for _, name := range asked {
		if strings.Contains(name, "victim") {
			t.Errorf("%s was asked for", name)
		}
	}
	if rec, err := ours.Parse(z["_dmarc.rua.example"]); err != nil || rec.Policy != ours.PolicyReject {
		t.Errorf("%+v, %v", rec, err)
	}
}

// H-H09: what is no name of the DNS has no policy, and an A-label whose U-label is ASCII is
// none either.
func TestH_H09Names(t *testing.T) {
	z := zone{
		"_dmarc.bank.example":         "v=DMARC1; p=reject",
		"_dmarc.xn--bank-.example":    "v=DMARC1; p=none",
		"_dmarc.co.uk":                "v=DMARC1; p=reject; psd=y",
		"_dmarc.shop.co.uk":           "v=DMARC1; p=reject",
		"_dmarc.com":                  "v=DMARC1; p=reject",
		"_dmarc.shop.com":             "v=DMARC1; p=reject",
		"_dmarc.xn--bank-.shop.com":   "x",
		"_dmarc.xn--bcher-kva.co.uk.": "x",
	}
	run(t, z, []row{
		{"4.4", "d=com", "shop.com", "dkim:com", "fail reject shop.com"},
		{"4.4", "d=co.uk", "shop.co.uk", "dkim:co.uk", "fail reject shop.co.uk"},
		{"5.3.1", "an author whose A-label shows as ASCII", "xn--bank-.example", "dkim:xn--bank-.example", "permerror"},
		{"5.3.1", "the same of a signature", "shop.com", "dkim:xn--bank-.shop.com", "fail reject shop.com"},
		{"5.3.1", "an A-label that is none", "xn--99999999.example", "", "permerror"},
		{"5.3.1", "an empty A-label", "xn--.example", "", "permerror"},
		{"5.3.1", "an empty label", "a..example", "", "permerror"},
		{"5.3.1", "a label too long", strings.Repeat("a", 64) + ".example", "", "permerror"},
		{"5.3.1", "a name too long", strings.Repeat("a.", 130) + "example", "", "permerror"},
		{"5.3.1", "no UTF-8", "b\xffcher.example", "", "permerror"},
		{"5.3.1", "a full stop of another script", "shop。com", "", "fail reject shop.com"},
		{"5.3.1", "a quote", `sh"op.com`, "", "permerror"},
	})
}

// everywhere answers every question with the same records.
type everywhere struct {
	zone
	records []string
	n       *int
}

func (e everywhere) TXT(context.Context, string) ([]string, error) {
	*e.n++
	return e.records, nil
}

// FuzzEvaluate: whatever stands in the DNS and in a message, the walk is short, and who has
// no label in common proves nobody.
func FuzzEvaluate(f *testing.F) {
	f.Add("a.b.example.com", "example.com", "v=DMARC1; p=reject; psd=y")
	f.Add("bücher.example", "xn--bcher-kva.example", "v=DMARC1; np=none; rua=mailto:a@b.c")
	f.Add("a.b.c.d.e.f.g.h.i", "i", "v=DMARC1;p=quarantine;t=y;psd=n")
	f.Fuzz(func(t *testing.T, author, id, record string) {
		n := 0
		w := &ours.Walker{Resolver: everywhere{zone{}, []string{record}, &n}}
		out := w.Evaluate(t.Context(), author, []ours.Identifier{{DKIM: true, Domain: id}})
		if n > 16 {
			t.Errorf("%d questions", n)
		}
		name, valid := ours.Name(author)
		other, _ := ours.Name(id)
		top := func(s string) string { return s[strings.LastIndexByte(s, '.')+1:] }
		if out.Result == ours.Pass && (!valid || top(name) != top(other)) {
			t.Errorf("%q proves %q", id, author)
		}
		if !valid && out.Result != ours.PermError || !ours.IsRecord(record) && valid && out.Result != ours.None {
			t.Errorf("%q, %q: %+v", author, record, out)
		}
	})
}
