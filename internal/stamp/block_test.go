package stamp_test

import (
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"
	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/internal/stamp"
)

// Somebody else's parser reads our Authentication-Results as it was meant.
func TestOthersReadOurResults(t *testing.T) {
	prop := func(typ, name, value string) filter.AuthProp {
		return filter.AuthProp{Type: typ, Name: name, Value: value}
	}
	r := filter.Report{Findings: []filter.Finding{
		{Auth: &filter.AuthResult{Method: "spf", Result: "softfail", Props: []filter.AuthProp{prop("smtp", "mailfrom", "a@sender.example"), prop("smtp", "helo", "mail.sender.example")}}},
		{Auth: &filter.AuthResult{Method: "dkim", Result: "pass", Props: []filter.AuthProp{prop("header", "d", "sender.example"), prop("header", "i", "@sender.example")}}},
		{Auth: &filter.AuthResult{Method: "dmarc", Result: "fail", Reason: "not aligned", Props: []filter.AuthProp{prop("header", "from", "bank.example")}}},
		{Auth: &filter.AuthResult{Method: "iprev", Result: "pass", Props: []filter.AuthProp{prop("policy", "iprev", "2001:db8::1"), prop("", "x", "y"), prop("smtp", "x", "")}}},
	}}
	s := stamper()
	s.Names.AuthservID = "authserv.example.com"
	h := parse(t, string(s.Block(message(""), filter.Verdict{}, r, nil))+"\r\n")
	id, results, err := authres.Parse(h.Get("Authentication-Results"))
	if err != nil || id != "authserv.example.com" {
		t.Fatalf("%q %v", id, err)
	}
	want := []authres.Result{
		&authres.SPFResult{Value: authres.ResultSoftFail, From: "a@sender.example", Helo: "mail.sender.example"},
		&authres.DKIMResult{Value: authres.ResultPass, Domain: "sender.example", Identifier: "@sender.example"},
		&authres.DMARCResult{Value: authres.ResultFail, From: "bank.example", Reason: "not aligned"},
		&authres.IPRevResult{Value: authres.ResultPass, IP: "2001:db8::1"},
	}
	got := results
	if d := cmp.Diff(want[:2], got[:2]); d != "" {
		t.Error(d)
	}
	if g, ok := got[2].(*authres.DMARCResult); len(got) != 4 || !ok || g.From != "bank.example" || g.Value != authres.ResultFail {
		t.Errorf("%+v", got)
	}
}

// Whatever strangers wrote, the block is the same seven fields, short lines, no controls, and
// what follows it begins a new field.
func FuzzBlock(f *testing.F) {
	f.Add("helo", "name.example", "reason", "value", "detail", "b@example.com", false)
	f.Add("x\r\nY: z", "a (b", `"; dkim=pass`, `\`, "\u2028", "\x00", true)
	f.Fuzz(func(t *testing.T, helo, name, reason, value, describe, to string, wide bool) {
		m := message("")
		m.Client.Helo, m.Client.Name, m.Client.TLS.Version, m.SMTPUTF8 = helo, name, value, wide
		v := filter.Verdict{Policy: value, Rules: name, Reasons: []filter.Reason{{Symbol: name, Score: 1, Describe: describe}}, Failures: []filter.Failure{{Step: helo, Reason: reason}}}
		r := filter.Report{Findings: []filter.Finding{{Auth: &filter.AuthResult{Method: "spf", Result: "pass", Reason: reason, Props: []filter.AuthProp{{Type: "smtp", Name: "mailfrom", Value: value}}}}}}
		s := stamper()
		s.AV = func() string { return describe }
		block := string(s.Block(m, v, r, []string{to}))
		checkLines(t, block, wide)
		h := parse(t, block+"Next: x\r\n\r\n")
		if len(h) != 8 || h.Get("Next") != "x" || !strings.HasPrefix(h.Get("Authentication-Results"), "mx1.example.com; spf=pass") {
			t.Fatalf("%v", h)
		}
		bare := unquoted(h.Get("Authentication-Results"))
		if value != "" && !strings.Contains(bare, "smtp.mailfrom=") || strings.Count(bare, ";") != 1 {
			t.Fatalf("%q became structure: %s", value, bare)
		}
		passes := message(block + "\r\n")
		passes.To = []filter.Recipient{{Address: to}}
		if got := s.Passes(passes); got[0] != 1 {
			t.Fatalf("%d passes", got[0])
		}
	})
}

// Names of the operator's choosing are written, and their copies removed, instead of ours.
func TestOtherNames(t *testing.T) {
	s := stamper()
	s.Names.SpamFlag, s.Names.Verdict = "X-Junk", "X-Gate-Verdict"
	m := message("X-Spam-Flag: theirs\r\nX-JUNK: forged\r\nX-Gate-Verdict: forged\r\nX-Postern-Verdict: theirs\r\n\r\n")
	h := parse(t, read(t, s, s.Block(m, filter.Verdict{Action: filter.Tag}, filter.Report{}, nil), m))
	for name, want := range map[string]string{"X-Junk": "YES", "X-Spam-Flag": "theirs", "X-Postern-Verdict": "theirs"} {
		if got := h[strings.ToUpper(name[:1])+name[1:]]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := h["X-Gate-Verdict"]; len(got) != 1 || !strings.HasPrefix(got[0], "tag; ") {
		t.Errorf("%q", got)
	}
}

func TestHowManyResultsAreTold(t *testing.T) {
	var r filter.Report
	for i := range 100 {
		r.Findings = append(r.Findings, filter.Finding{Auth: &filter.AuthResult{Method: "dkim", Result: "none", Reason: strings.Repeat("x", i)}})
	}
	h := parse(t, string(stamper().Block(message(""), filter.Verdict{}, r, nil))+"\r\n")
	if n := strings.Count(h.Get("Authentication-Results"), "dkim="); n != 32 {
		t.Errorf("%d results", n)
	}
}

// What a block tells of a method is found in it, and nothing that strangers wrote is taken
// for it.
func TestResultOfABlock(t *testing.T) {
	auth := func(method, result, reason string) filter.Finding {
		return filter.Finding{Auth: &filter.AuthResult{Method: method, Result: result, Reason: reason, Props: []filter.AuthProp{{Type: "smtp", Name: "mailfrom", Value: "arc=fail@x.example"}}}}
	}
	decoy := auth("spf", "fail", strings.Repeat("x ", 30)+"\r\n\tarc=fail; arc=fail")
	for want, r := range map[string]filter.Report{
		"pass": {Findings: []filter.Finding{decoy, auth("dkim", "fail", "arc=fail"), auth("arc", "pass", "by a.example"), auth("arc", "fail", "")}},
		"none": {Findings: []filter.Finding{auth("ARC", "None", ""), decoy}},
		"":     {Findings: []filter.Finding{decoy, auth("xarc", "pass", ""), {Symbol: "A"}}},
	} {
		v := filter.Verdict{Reasons: []filter.Reason{{Symbol: "A", Describe: strings.Repeat("arc=fail ", 40)}}}
		m := message("")
		m.Client.Helo = "arc=fail"
		block := stamper().Block(m, v, r, []string{"b@example.com"})
		if got := stamp.Result(block, "arc"); got != want {
			t.Errorf("%q, want %q, in\n%s", got, want, block)
		}
	}
	if got := stamp.Result(nil, "arc"); got != "" {
		t.Error(got)
	}
}
