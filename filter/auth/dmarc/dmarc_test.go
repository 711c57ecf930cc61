package dmarc_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dmarc"
	"github.com/google/go-cmp/cmp"

	ours "postern/filter/auth/dmarc"
	"postern/internal/dns"
)

// zone answers TXT questions from "domain" -> record; "!" is a failing server, "|" parts
// several records. Names that stand nowhere do not exist; "A name" -> "!" fails for its
// addresses only.
type zone map[string]string

func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	txt, ok := z[name]
	switch {
	case txt == "!":
		return nil, &net.DNSError{Name: name, IsTemporary: true}
	case !ok:
		return nil, &net.DNSError{Name: name, IsNotFound: true, UnwrapErr: dns.ErrNoName}
	}
	return strings.Split(txt, "|"), nil
}

func (z zone) A(_ context.Context, name string) ([]netip.Addr, error) {
	if z["A "+name] == "!" {
		return nil, &net.DNSError{Name: name, IsTemporary: true}
	}
	for n := range z {
		if n == name || strings.HasSuffix(n, "."+name) {
			return nil, &net.DNSError{Name: name, IsNotFound: true}
		}
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true, UnwrapErr: dns.ErrNoName}
}

func spf(d string) ours.Identifier    { return ours.Identifier{Domain: d} }
func dkim(d string) ours.Identifier   { return ours.Identifier{Domain: d, DKIM: true} }
func unsure(d string) ours.Identifier { return ours.Identifier{Domain: d, DKIM: true, Unsure: true} }

func TestEvaluate(t *testing.T) {
	z := zone{
		"_dmarc.example.com":            "v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:a@example.com",
		"_dmarc.strict.example.com":     "v=DMARC1; p=reject; adkim=s; aspf=s",
		"www.sub.example.com":           "x",
		"_dmarc.test.example":           "v=DMARC1; p=reject; t=y",
		"_dmarc.testq.example":          "v=DMARC1; p=quarantine; t=y",
		"_dmarc.pct0.example":           "v=DMARC1; p=reject; pct=0",
		"_dmarc.none.example":           "v=DMARC1; p=none",
		"_dmarc.two.example":            "v=DMARC1; p=none|v=DMARC1; p=reject",
		"_dmarc.nop.example":            "v=DMARC1; sp=reject",
		"_dmarc.reports.example":        "v=DMARC1; p=bogus; rua=mailto:x@reports.example",
		"_dmarc.down.example":           "!",
		"_dmarc.mixed.example":          "some text|v=DMARC1;p=quarantine",
		"_dmarc.bank":                   "v=DMARC1; p=reject; np=reject; psd=y",
		"_dmarc.org.bank":               "v=DMARC1; p=none",
		"norecord.bank":                 "x",
		"_dmarc.psdn.example.com":       "v=DMARC1; p=quarantine; psd=n",
		"_dmarc.gov":                    "v=DMARC1; p=reject; sp=none", // a registry of RFC 9091 without psd=
		"a.gov":                         "x",
		"_dmarc.d7.e.f.g.h.deep.test":   "v=DMARC1; p=quarantine",
		"_dmarc.c.d7.e.f.g.h.deep.test": "v=DMARC1; p=reject",
		"_dmarc.xn--bcher-kva.example":  "v=DMARC1; p=reject",
		"_dmarc.halfdown.example":       "v=DMARC1; p=reject",
		"_dmarc.mid.halfdown.example":   "!",
	}
	for _, c := range []struct {
		name   string
		author string
		ids    []ours.Identifier
		want   string // result, policy, domain of the record
	}{
		{"nothing proven", "example.com", nil, "fail reject example.com"},
		{"dkim exact", "example.com", []ours.Identifier{dkim("example.com")}, "pass reject example.com"},
		{"spf exact", "example.com", []ours.Identifier{spf("EXAMPLE.com.")}, "pass reject example.com"},
		{"dkim relaxed below", "example.com", []ours.Identifier{dkim("mail.example.com")}, "pass reject example.com"},
		{"spf relaxed above", "sub.example.com", []ours.Identifier{spf("example.com")}, "pass quarantine example.com"},
		{"dkim of a stranger", "example.com", []ours.Identifier{dkim("example.org")}, "fail reject example.com"},
		{"spf of a stranger in the same TLD", "example.com", []ours.Identifier{spf("other.com")}, "fail reject example.com"},
		{"the second identifier counts", "example.com", []ours.Identifier{spf("x.org"), dkim("example.com")}, "pass reject example.com"},
		{"strict: a subdomain is another", "strict.example.com", []ours.Identifier{dkim("x.strict.example.com"), spf("example.com")}, "fail reject strict.example.com"},
		{"strict: exact", "strict.example.com", []ours.Identifier{spf("strict.example.com")}, "pass reject strict.example.com"},
		{"sp for one that exists", "sub.example.com", nil, "fail quarantine example.com"},
		{"np for one that does not", "ghost.example.com", nil, "fail reject example.com"},
		{"t=y is one step milder", "test.example", nil, "fail quarantine test.example"},
		{"t=y on quarantine", "testq.example", nil, "fail none testq.example"},
		{"pct=0 is t=y", "pct0.example", nil, "fail quarantine pct0.example"},
		{"p=none", "none.example", nil, "fail none none.example"},
		{"sp absent: p", "x.none.example", nil, "fail none none.example"},
		{"no record", "nothing.example", []ours.Identifier{dkim("nothing.example")}, "none  "},
		{"H-H12 two records", "two.example", nil, "permerror  "},
		{"no policy", "nop.example", nil, "permerror  nop.example"},
		{"no policy but reports: none", "reports.example", nil, "fail none reports.example"},
		{"other text beside the record", "mixed.example", nil, "fail quarantine mixed.example"},
		{"temperror", "down.example", []ours.Identifier{dkim("down.example")}, "temperror  "},
		{"temperror above", "x.down.example", nil, "temperror  "},
		{"the DNS failed for what may prove it", "example.com", []ours.Identifier{unsure("example.com")}, "temperror reject example.com"},
		{"the DNS failed for a stranger", "example.com", []ours.Identifier{unsure("example.org")}, "fail reject example.com"},
		{"a pass beside a failure", "example.com", []ours.Identifier{unsure("example.com"), spf("example.com")}, "pass reject example.com"},
		{"the walk of an identifier failed", "halfdown.example", []ours.Identifier{dkim("x.mid.halfdown.example")}, "temperror reject halfdown.example"},
		{"psd=y speaks for its registrants", "norecord.bank", nil, "fail reject bank"},
		{"a registrant's own record", "org.bank", nil, "fail none org.bank"},
		{"np of a registry", "ghost.bank", nil, "fail reject bank"},
		{"registrants are strangers", "org.bank", []ours.Identifier{dkim("norecord.bank")}, "fail none org.bank"},
		{"the registry is a stranger", "org.bank", []ours.Identifier{dkim("bank")}, "fail none org.bank"},
		{"one registrant's names", "a.org.bank", []ours.Identifier{dkim("b.org.bank")}, "pass none org.bank"},
		{"psd=n ends the organization", "x.psdn.example.com", []ours.Identifier{dkim("example.com")}, "fail quarantine psdn.example.com"},
		{"psd=n inside", "x.psdn.example.com", []ours.Identifier{dkim("y.psdn.example.com")}, "pass quarantine psdn.example.com"},
		{"a TLD is no organization", "a.gov", []ours.Identifier{dkim("b.gov")}, "fail none gov"},
		{"eight labels: cut to seven", "b.c.d7.e.f.g.h.deep.test", nil, "fail quarantine d7.e.f.g.h.deep.test"},
		{"U-labels", "bücher.example", []ours.Identifier{dkim("xn--bcher-kva.example")}, "pass reject xn--bcher-kva.example"},
	} {
		w := &ours.Walker{Resolver: z}
		out := w.Evaluate(t.Context(), c.author, c.ids)
		if got := fmt.Sprintf("%s %s %s", out.Result, out.Policy, out.Record); got != c.want {
			t.Errorf("%s: %q, want %q (%s)", c.name, got, c.want, out.Reason)
		}
		if (out.Reason == "") != (out.Result == ours.Pass || out.Result == ours.None) {
			t.Errorf("%s: reason %q", c.name, out.Reason)
		}
	}
}

func TestTestFlagShowsWhatIsPublished(t *testing.T) {
	w := &ours.Walker{Resolver: zone{"_dmarc.example.com": "v=DMARC1; p=reject; t=y"}}
	if out := w.Evaluate(t.Context(), "example.com", nil); !out.Test || out.Published != ours.PolicyReject || out.Policy != ours.PolicyQuarantine {
		t.Errorf("%+v", out)
	}
}

// counting counts questions.
type counting struct {
	zone
	n *int
}

func (c counting) TXT(ctx context.Context, name string) ([]string, error) {
	*c.n++
	return c.zone.TXT(ctx, name)
}

// listing lists the names that TXT was asked for.
type listing struct {
	zone
	names *[]string
}

func (l listing) TXT(ctx context.Context, name string) ([]string, error) {
	*l.names = append(*l.names, name)
	return l.zone.TXT(ctx, name)
}

func TestWalkIsBounded(t *testing.T) {
	n := 0
	w := &ours.Walker{Resolver: counting{zone{}, &n}}
	long := strings.Repeat("a.", 100) + "example.com"
	w.Evaluate(t.Context(), long, []ours.Identifier{dkim("b." + long)})
	if n != 8 {
		t.Errorf("%d questions, want 8", n)
	}
	w.Evaluate(t.Context(), long, nil)
	if n != 8 {
		t.Errorf("%d questions: answers were not remembered", n)
	}
}

func TestWorst(t *testing.T) {
	fail := func(p ours.Policy) ours.Outcome { return ours.Outcome{Result: ours.Fail, Policy: p} }
	order := []ours.Outcome{
		{Result: ours.Pass}, {Result: ours.None}, {Result: ours.TempError}, {Result: ours.PermError},
		fail(ours.PolicyNone), fail(ours.PolicyQuarantine), fail(ours.PolicyReject),
	}
	for i := range order {
		for j := range order[:i+1] {
			for _, pair := range [][]ours.Outcome{{order[i], order[j]}, {order[j], order[i]}} {
				if got := ours.Worst(pair); got.Result != order[i].Result || got.Policy != order[i].Policy {
					t.Errorf("worst of %v: %v", pair, got)
				}
			}
		}
	}
	if ours.Worst(nil).Result != ours.None {
		t.Error("of none")
	}
}

func TestParse(t *testing.T) {
	q, r := ours.PolicyQuarantine, ours.PolicyReject
	for txt, want := range map[string]ours.Record{
		"v=DMARC1; p=reject":                                     {Policy: r, PSD: 'u'},
		"v=DMARC1;p=Reject;":                                     {Policy: r, PSD: 'u'},
		" v = DMARC1 ; P = quarantine ;":                         {Policy: q, PSD: 'u'},
		"v=DMARC1; p=reject; sp=none; np=QUARANTINE; psd=n; t=n": {Policy: r, Subdomain: ours.PolicyNone, NonExistent: q, PSD: 'n'},
		"v=DMARC1; p=reject; pct=abc; rf=iodef; adkim=strict; aspf=S; fo=2; tail": {Policy: r, PSD: 'u', StrictSPF: true},
		"v=DMARC1; p=reject; p=none; adkim=r; aspf=s; psd=maybe; t=y; x=y=":       {Policy: r, PSD: 'u', StrictSPF: true, Test: true},
		"v=DMARC1; rua=mailto:a@b.example, https://c.example,mailto:":             {Policy: ours.PolicyNone, PSD: 'u'},
	} {
		if !ours.IsRecord(txt) {
			t.Errorf("%q is a record", txt)
		}
		got, err := ours.Parse(txt)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%q: %s %v", txt, d, err)
		}
	}
	for _, txt := range []string{"v=DMARC1", "v=DMARC1; p=", "v=DMARC1; p=rejected", "v=DMARC1; sp=reject; rua=ftp:"} {
		if _, err := ours.Parse(txt); err == nil {
			t.Errorf("%q has no policy", txt)
		}
	}
	for _, txt := range []string{"", "v=DMARC2; p=none", "p=none; v=DMARC1", "v=DMARC1x; p=none", "v=dmarc1; p=none", "v=spf1 -all"} {
		if ours.IsRecord(txt) {
			t.Errorf("%q is no record", txt)
		}
	}
}

// FuzzParse: what the strict reader takes we read the same.
func FuzzParse(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; adkim=s; aspf=r; pct=50; rua=mailto:a@b.c")
	f.Add("v=DMARC1;;;p=none;=;t=y")
	f.Fuzz(func(t *testing.T, txt string) {
		if !ours.IsRecord(txt) {
			return
		}
		rec, err := ours.Parse(txt)
		if err == nil && rec.Policy == "" {
			t.Errorf("%q: %+v", txt, rec)
		}
		theirs, terr := dmarc.Parse(txt)
		plain := strings.Replace(txt, "DMARC1", "", 1) // we take tags in any case
		if terr != nil || plain != strings.ToLower(plain) || strings.Count(plain, "adkim") > 1 || strings.Count(strings.ReplaceAll(txt, " ", ""), "p=") != 1 {
			return
		}
		if err != nil || string(rec.Policy) != string(theirs.Policy) || rec.StrictDKIM != (theirs.DKIMAlignment == dmarc.AlignmentStrict) {
			t.Errorf("%q: ours %+v %v, theirs %+v", txt, rec, err, theirs)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	z := zone{"_dmarc.example.com": "v=DMARC1; p=reject; sp=quarantine"}
	b.ReportAllocs()
	for b.Loop() {
		w := &ours.Walker{Resolver: z}
		if out := w.Evaluate(b.Context(), "news.example.com", []ours.Identifier{dkim("mail.example.com")}); out.Result != ours.Pass {
			b.Fatal(out)
		}
	}
}
