package aggregate_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"postern/internal/mailtest"
	"postern/internal/report/aggregate"
)

// Every bare report of the public samples is read, or refused for a reason.
func TestSamples(t *testing.T) {
	refused := map[string]string{
		"empty.xml": "it is empty",
	}
	read := 0
	root := filepath.Join(mailtest.Suites(t, "dmarc"), "parsedmarc", "samples")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".xml" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := aggregate.Read(src)
		if why, bad := refused[d.Name()]; bad {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v, want %q", d.Name(), err, why)
			}
			return nil
		}
		if err != nil {
			t.Errorf("%s: %v", d.Name(), err)
			return nil
		}
		read++
		if all, _ := f.Messages(); all <= 0 || f.Meta.ID == "" || f.Meta.Range.Begin <= 0 || f.Policy.P == "" {
			t.Errorf("%s: %d messages, %+v", d.Name(), all, f.Meta)
		}
		again(t, d.Name(), f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 15 {
		t.Errorf("only %d reports were read", read)
	}
}

// again writes a report and reads it back.
func again(t *testing.T, name string, f *aggregate.Feedback) {
	t.Helper()
	out, err := f.Write()
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	g, err := aggregate.Read(out)
	if err != nil {
		t.Errorf("%s: what was written cannot be read: %v", name, err)
		return
	}
	if d := cmp.Diff(f, g, cmpopts.IgnoreFields(aggregate.Feedback{}, "Version", "XMLName"), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}

const minimal = `<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0" xmlns:x="urn:x"><report_metadata><org_name>o</org_name><email>e@o.example</email>
<report_id>1</report_id><date_range><begin>1</begin><end>2</end></date_range></report_metadata>
<policy_published><domain>Example.COM</domain><p>Reject</p></policy_published><extension><x:y><z/></x:y></extension>
<record><row><source_ip>::ffff:192.0.2.1</source_ip><count> 3 </count><policy_evaluated><disposition>None</disposition><dkim>PASS</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>example.com</header_from><envelope_from></envelope_from></identifiers><auth_results/><x:more>1</x:more></record></feedback>`

func TestKindReading(t *testing.T) {
	for name, edit := range map[string]func(string) string{
		"as it is":     func(s string) string { return s },
		"no namespace": func(s string) string { return strings.Replace(s, ` xmlns="urn:ietf:params:xml:ns:dmarc-2.0"`, "", 1) },
		"byte order":   func(s string) string { return "\xef\xbb\xbf" + s },
		"latin 1": func(s string) string {
			return `<?xml version="1.0" encoding="ISO-8859-1"?>` + strings.Replace(s, ">o<", ">\xf6<", 1)
		},
		"wrong bytes":    func(s string) string { return strings.Replace(s, ">o<", ">\xff<", 1) },
		"brackets":       func(s string) string { return strings.Replace(s, "e@o.example", "<e@o.example>", 1) },
		"lone bracket":   func(s string) string { return strings.Replace(s, "e@o.example", "a<b", 1) },
		"nested":         func(s string) string { return strings.Replace(s, "<z/>", strings.Repeat("<z>", 20), 1) },
		"schema first":   func(s string) string { return "<schema><element/></schema>" + s },
		"upper case":     func(s string) string { return strings.ReplaceAll(s, "feedback", "FEEDBACK") },
		"entity unknown": func(s string) string { return strings.Replace(s, ">o<", ">a&nbsp;b<", 1) },
	} {
		f, err := aggregate.Read([]byte(edit(minimal)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := f.Records[0]
		if f.Policy.Domain != "example.com" || f.Policy.P != "reject" || r.Row.Source != "192.0.2.1" || r.Row.Count != 3 ||
			r.Row.Evaluated.DKIM != "pass" || r.IDs.EnvelopeFrom == nil || *r.IDs.EnvelopeFrom != "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestRefused(t *testing.T) {
	many := strings.Replace(minimal, "</feedback>", strings.Repeat("<record/>", aggregate.MaxRecords)+"</feedback>", 1)
	for name, c := range map[string]struct {
		src  string
		want error
		says string
	}{
		"nothing":    {"", aggregate.ErrNoReport, "empty"},
		"html":       {"<html><body>hello</body></html>", aggregate.ErrNoReport, "begins with <html>"},
		"text":       {"hello", aggregate.ErrNoReport, "empty"},
		"no domain":  {strings.Replace(minimal, "Example.COM", "", 1), aggregate.ErrNoReport, "no policy domain"},
		"no record":  {minimal[:strings.Index(minimal, "<record>")] + "</feedback>", aggregate.ErrNoReport, "no record"},
		"below zero": {strings.Replace(minimal, " 3 ", "-3", 1), nil, "record 1: a count of -3"},
		"backwards":  {strings.Replace(minimal, "<end>2", "<end>0", 1), nil, "the period from 1 to 0 is none"},
		"far off":    {strings.Replace(minimal, "<end>2", "<end>999999999999", 1), nil, "is none"},
		"no number":  {strings.Replace(minimal, " 3 ", "three", 1), nil, `"three"`},
		"records":    {many, aggregate.ErrTooLarge, "more than 50000 records"},
		"large":      {minimal + strings.Repeat(" ", aggregate.MaxBytes), aggregate.ErrTooLarge, "the limit is"},
		"deep":       {strings.Replace(minimal, "<z/>", strings.Repeat("<z>", 200000), 1), aggregate.ErrTooLarge, "inside each other"},
		"signatures": {strings.Replace(minimal, "</record>", strings.Repeat("<dkim/>", 5000)+"</record>", 1), aggregate.ErrTooLarge, "elements in one part"},
		"elements": {strings.Replace(minimal, "</feedback>", strings.Repeat("<a>"+strings.Repeat("<b/>", 900)+"</a>", 2300)+"</feedback>", 1),
			aggregate.ErrTooLarge, "more than 2000000 elements"},
		"cut": {strings.Replace(minimal, "</feedback>", "", 1), nil, "unexpected EOF"},
		"a bomb": {`<!DOCTYPE f [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>` + strings.Replace(minimal, ">o<", ">&b;&b;<", 1),
			nil, ""}, // entities of a document are not expanded: they stay text
	} {
		f, err := aggregate.Read([]byte(c.src))
		switch {
		case c.says == "":
			if err != nil || strings.Contains(f.Meta.Org, "aaaa") {
				t.Errorf("%s: %+v %v", name, f, err)
			}
		case err == nil || !strings.Contains(err.Error(), c.says) || c.want != nil && !errors.Is(err, c.want):
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestWrittenInOrder(t *testing.T) {
	empty := ""
	f := &aggregate.Feedback{
		Meta:   aggregate.Metadata{Org: "Mail <Org> & Co", Email: "d@x.example", ID: "1", Range: aggregate.Range{Begin: 1, End: 2}, Generator: "postern"},
		Policy: aggregate.Policy{Domain: "example.com", Discovery: "treewalk", P: "reject", SP: "none", NP: "reject", ADKIM: "r", ASPF: "s", Testing: "n"},
		Records: []aggregate.Record{{
			Row: aggregate.Row{Source: "192.0.2.1", Count: 2, Evaluated: aggregate.Evaluated{
				Disposition: "quarantine", DKIM: "fail", SPF: "fail", Reasons: []aggregate.Reason{{Type: "mailing_list", Comment: "list]]>&"}},
			}},
			IDs: aggregate.Identifiers{HeaderFrom: "example.com", EnvelopeFrom: &empty},
			Auth: aggregate.AuthResults{
				DKIM: []aggregate.DKIM{{Domain: "example.com", Selector: "s", Result: "fail", Human: "changed"}},
				SPF:  []aggregate.SPF{{Domain: "example.com", Scope: "mfrom", Result: "none"}},
			},
		}},
	}
	out, err := f.Write()
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{
		`<?xml version="1.0" encoding="UTF-8"?>`, `<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">`, "<version>1.0", "<report_metadata>", "<org_name>Mail &lt;Org&gt; &amp; Co<",
		"<email>", "<report_id>", "<date_range>", "<generator>", "<policy_published>", "<domain>", "<discovery_method>treewalk", "<p>reject", "<sp>none", "<np>reject", "<adkim>r", "<aspf>s", "<testing>n",
		"<record>", "<row>", "<source_ip>", "<count>2", "<policy_evaluated>", "<disposition>quarantine", "<dkim>fail", "<spf>fail", "<reason>", "<type>mailing_list", "<comment>",
		"<identifiers>", "<header_from>", "<envelope_from></envelope_from>", "<auth_results>", "<dkim>", "<selector>s", "<result>fail", "<spf>", "<scope>mfrom", "<result>none",
	} {
		i := bytes.Index(out[at:], []byte(want))
		if i < 0 {
			t.Fatalf("%q is not there, or not in its place:\n%s", want, out)
		}
		at += i
	}
	again(t, "own", f)
}

// What is made to be large when read is cut, or read no further.
func TestHostileReports(t *testing.T) {
	full := strings.Replace(minimal, "<auth_results/>", "<auth_results>"+strings.Repeat("<spf><domain>a</domain></spf>", 100)+"</auth_results>", 1)
	f, err := aggregate.Read([]byte(full))
	if err != nil || len(f.Records) == 0 || len(f.Records[0].Auth.SPF) != 20 {
		t.Errorf("%+v %v", f, err)
	}
	began := mailtest.CPU(t)
	if _, err := aggregate.Read([]byte(minimal[:strings.Index(minimal, "</feedback>")] + strings.Repeat("<a", 8<<20))); err == nil {
		t.Error("brackets without end were read")
	}
	if took := mailtest.CPU(t) - began; took > 5*time.Second {
		t.Errorf("brackets without end took %s", took)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("<feedback><record><row><count>1</count></row></record>"))
	f.Add([]byte(strings.Replace(minimal, "e@o.example", "<e@o.example>", 1)))
	f.Fuzz(func(t *testing.T, src []byte) {
		g, err := aggregate.Read(src)
		if err != nil {
			return
		}
		if _, unproven := g.Messages(); unproven < 0 {
			t.Fatal("a count below 0")
		}
		if out, err := g.Write(); err != nil || len(out) == 0 {
			t.Fatal(fmt.Errorf("what was read cannot be written: %w", err))
		}
	})
}
