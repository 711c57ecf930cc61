package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/filter"
)

// TestDMARC goes through what a policy makes of the owner's wish, with and without other
// evidence.
func TestDMARC(t *testing.T) {
	s := layer(t, worths)
	for _, c := range []struct {
		policy, symbols string
		want            filter.Action
	}{
		{"default", "DMARC_REJECT", filter.Reject},
		{"default", "DMARC_REJECT FROM_MULTIPLE", filter.Reject},
		{"default", "DMARC_REJECT ARC_TRUSTED", filter.Quarantine},
		{"default", "DMARC_REJECT FORWARDER_KNOWN", filter.Quarantine},
		{"default", "DMARC_REJECT LIST_KNOWN", filter.Quarantine},
		{"default", "DMARC_REJECT SOURCE_KNOWN", filter.Quarantine},
		{"default", "DMARC_REJECT OWN_ALLOW", filter.Quarantine},
		{"default", "DMARC_REJECT ARC_PASS DKIM_PASS SPF_PASS", filter.Reject},
		{"default", "DMARC_QUARANTINE", filter.Quarantine},
		{"mild", "DMARC_REJECT", filter.Quarantine},
		{"mild", "DMARC_REJECT ARC_TRUSTED", filter.Tag},
		{"mild", "DMARC_REJECT LIST_KNOWN", filter.Tag},
		{"mild", "DMARC_QUARANTINE", filter.Tag},
		{"blind", "DMARC_REJECT", filter.Accept},
		{"blind", "DMARC_REJECT ARC_TRUSTED", filter.Accept},
		{"blind", "DMARC_QUARANTINE", filter.Accept},
		{"lists", "DMARC_QUARANTINE", filter.Quarantine},
		{"lists", "DMARC_QUARANTINE SOURCE_KNOWN", filter.Tag},
		{"postmaster", "DMARC_REJECT", filter.Tag},
	} {
		v := s.Judge(after(), found(strings.Fields(c.symbols)...), c.policy)
		if v.Action != c.want {
			t.Errorf("%s, %s: %s, want %s", c.policy, c.symbols, v.Action, c.want)
		}
	}
}

// Evidence that concerns one recipient helps that one alone.
func TestEvidencePerRecipient(t *testing.T) {
	m := after()
	m.To = []filter.Recipient{{Address: "a@us.example", Policy: "default"}, {Address: "b@us.example", Policy: "default"}}
	r := found("DMARC_FAIL", "DMARC_REJECT")
	r.Findings = append(r.Findings, filter.Finding{Symbol: "FORWARDER_KNOWN", For: "b@us.example", Detail: "forwarder uni"})
	v := filter.Verdicts(load(t), m, r)
	if v[0].Action != filter.Reject || v[1].Action != filter.Quarantine {
		t.Errorf("%s and %s", v[0].Action, v[1].Action)
	}
}

// What softened the wish stands in the reason, and what the evidence explains scores nothing.
func TestSofteningIsSaid(t *testing.T) {
	s := load(t)
	r := found("DMARC_FAIL")
	r.Findings = append(r.Findings,
		filter.Finding{Symbol: "DMARC_REJECT", Detail: "ann@bank.example, p=reject of bank.example"},
		filter.Finding{Symbol: "LIST_KNOWN", Detail: "users.lists.example, 40 messages"},
		filter.Finding{Symbol: "ARC_TRUSTED"})
	v := s.Judge(after(), r, "default")
	if v.Action != filter.Quarantine || v.Score != -100 {
		t.Errorf("%s %s", v.Action, v.Score)
	}
	if got, want := v.Reasons[0], "ann@bank.example, p=reject of bank.example, softened by ARC_TRUSTED; LIST_KNOWN: users.lists.example, 40 messages"; got.Symbol != "DMARC_REJECT" || got.Score != 0 || got.Detail != want {
		t.Errorf("%+v", got)
	}
	for _, reason := range v.Reasons {
		if reason.Symbol == "DMARC_FAIL" && (reason.Score != 0 || reason.Detail != "does not count beside ARC_TRUSTED") {
			t.Errorf("%+v", reason)
		}
	}
	v = s.Judge(after(), found("DMARC_REJECT"), "default")
	if v.Score != 200 || v.Reasons[0].Detail != "" {
		t.Errorf("without evidence: %+v", v.Reasons[0])
	}
	// A policy that holds anyway is not softened by anything.
	v = layer(t, worths).Judge(after(), found("DMARC_REJECT", "LIST_KNOWN"), "blind")
	for _, reason := range v.Reasons {
		if reason.Symbol == "DMARC_REJECT" && reason.Detail != "scores nothing beside LIST_KNOWN" {
			t.Errorf("%+v", reason)
		}
	}
}

// While authentication could not tell everything, nothing is refused for it.
func TestTemporaryErrorsNeverRefuse(t *testing.T) {
	s := load(t)
	for _, step := range []string{"spf", "dkim+dmarc", "arc", "history", "own-lists"} {
		r := found("DMARC_FAIL", "DMARC_REJECT", "FROM_MULTIPLE")
		r.Failures = []filter.Failure{fails(step, filter.Accept)}
		if v := s.Judge(after(), r, "default"); v.Action != filter.Quarantine || v.Public != "" {
			t.Errorf("%s failed: %s %q", step, v.Action, v.Public)
		} else if v.Reasons[0].Detail != "not refused: authentication could not tell everything" {
			t.Errorf("%+v", v.Reasons[0])
		}
	}
	standing := found("DMARC_REJECT")
	standing.Failures = []filter.Failure{{Step: "history", Reason: "is off", Standing: true}}
	if v := s.Judge(after(), standing, "default"); v.Action != filter.Reject {
		t.Errorf("what no later try would tell: %s", v.Action)
	}
	for _, symbol := range []string{"DMARC_TEMPERROR", "ARC_TEMPERROR"} {
		if v := s.Judge(after(), found("DMARC_REJECT", symbol), "default"); v.Action != filter.Quarantine {
			t.Errorf("%s: %s", symbol, v.Action)
		}
	}
	if v := s.Judge(after(), found("DMARC_TEMPERROR", "SPF_TEMPERROR", "DKIM_TEMPERROR"), "default"); v.Action != filter.Accept {
		t.Errorf("temperrors alone: %s", v.Action)
	}
	r := found("DMARC_REJECT")
	r.Failures = []filter.Failure{fails("lists", filter.Accept)}
	if v := s.Judge(after(), r, "default"); v.Action != filter.Reject {
		t.Errorf("a DMARC reject beside another step's failure: %s", v.Action)
	}
}

// No set of results of SPF alone holds or refuses a mail under any of our policies.
func TestSPFAloneNeverRejects(t *testing.T) {
	s := load(t)
	var spf []string
	for _, sym := range s.Symbols() {
		if strings.HasPrefix(sym.Name, "SPF_") {
			spf = append(spf, sym.Name)
		}
	}
	if len(spf) != 7 {
		t.Fatalf("%v", spf)
	}
	for set := range 1 << len(spf) {
		var symbols []string
		for i, name := range spf {
			if set>>i&1 == 1 {
				symbols = append(symbols, name)
			}
		}
		for _, policy := range s.Policies() {
			for _, m := range []*filter.Message{after(), {ID: id}} {
				if v := s.Judge(m, found(symbols...), policy); v.Action >= filter.Quarantine {
					t.Errorf("%s under %s: %s, %s", symbols, policy, v.Action, v.Score)
				}
			}
		}
	}
}

// Whatever else is found, one piece of evidence keeps a DMARC policy from being the refusal.
func TestEvidenceAlwaysSoftens(t *testing.T) {
	s := load(t)
	var harmless []string
	for _, sym := range s.Symbols() {
		if sym.Action == filter.Accept && sym.Score <= 0 && sym.Name != "VIRUS" && sym.Name != "UNSCANNABLE" {
			harmless = append(harmless, sym.Name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		symbols := rapid.SliceOf(rapid.SampledFrom(harmless)).Draw(t, "symbols")
		symbols = append(symbols, "DMARC_FAIL", "DMARC_REJECT",
			rapid.SampledFrom([]string{"ARC_TRUSTED", "FORWARDER_KNOWN", "LIST_KNOWN", "SOURCE_KNOWN", "OWN_ALLOW"}).Draw(t, "evidence"))
		if v := s.Judge(after(), found(symbols...), "default"); v.Action != filter.Quarantine {
			t.Fatal(fmt.Sprint(symbols), v.Action)
		}
	})
}

// The verdict names what softened the owner's wish, and nothing where it stood.
func TestSoftened(t *testing.T) {
	s := layer(t, worths)
	for symbols, want := range map[string]string{
		"DMARC_REJECT LIST_KNOWN SOURCE_KNOWN":          "LIST_KNOWN SOURCE_KNOWN",
		"DMARC_QUARANTINE ARC_TRUSTED":                  "ARC_TRUSTED",
		"DMARC_REJECT DMARC_QUARANTINE FORWARDER_KNOWN": "FORWARDER_KNOWN",
		"DMARC_REJECT": "",
		"LIST_KNOWN":   "",
	} {
		v := s.Judge(after(), found(strings.Fields(symbols)...), "lists")
		if got := strings.Join(v.Softened, " "); got != want {
			t.Errorf("%s: %q, want %q", symbols, got, want)
		}
	}
	// The default holds what asks for quarantine, and so does on_list: hold.
	if v := s.Judge(after(), found("DMARC_QUARANTINE", "LIST_KNOWN"), "default"); v.Softened != nil {
		t.Errorf("%v", v.Softened)
	}
	if v := s.Judge(&filter.Message{ID: id}, found("DMARC_REJECT", "LIST_KNOWN"), "lists"); v.Softened != nil {
		t.Errorf("before the body: %v", v.Softened)
	}
}
