package rules_test

import (
	"testing"

	"pgregory.net/rapid"

	"postern/filter"
)

func to(addresses ...string) []filter.Recipient {
	var out []filter.Recipient
	for _, a := range addresses {
		out = append(out, filter.Recipient{Address: a})
	}
	return out
}

// Nothing a message says gets it refused at postmaster@; what scanning says holds it.
func TestPostmasterIsNeverRefusedForContent(t *testing.T) {
	s := layer(t, worths)
	for symbol, want := range map[string]filter.Action{
		"T_SIXTEEN": filter.Tag, "T_NO": filter.Tag, "T_HOLD": filter.Tag, "T_WAIT": filter.Tag, "T_NO_RCPT": filter.Tag,
		"OWN_BLOCK": filter.Tag, "DMARC_REJECT": filter.Tag, "DMARC_QUARANTINE": filter.Tag, "T_ONE": filter.Accept,
		"ENCRYPTED": filter.Tag, "UNSCANNABLE": filter.Quarantine, "VIRUS": filter.Quarantine,
		"RATE_IP": filter.Defer, // no content
	} {
		if v := s.Judge(after(), found(symbol), "postmaster"); v.Action != want {
			t.Errorf("%s: %s, want %s", symbol, v.Action, want)
		}
	}
	r := found("T_SIXTEEN")
	r.Failures = []filter.Failure{fails("clamav", filter.Defer)}
	if v := s.Judge(after(), r, "postmaster"); v.Action != filter.Defer {
		t.Errorf("a scanner that is away: %s", v.Action)
	}
	strict := layer(t, "policies: {default: {antivirus: {infected: reject}, unscannable: reject}, postmaster: {antivirus: {infected: reject}}}")
	for _, symbol := range []string{"VIRUS", "UNSCANNABLE"} {
		if v := strict.Judge(after(), found(symbol), "postmaster"); v.Action != filter.Quarantine {
			t.Errorf("%s under a strict default: %s", symbol, v.Action)
		}
	}
}

// However much is found, "most" bounds what content leads to, and never lets a virus through.
func TestMost(t *testing.T) {
	s := layer(t, `policies:
  accepts: {most: accept}
  tags: {most: tag}
  holds: {most: quarantine}
  defers: {most: defer}
`)
	var names []string
	for _, sym := range s.Symbols() {
		if sym.Action != filter.Defer {
			names = append(names, sym.Name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		symbols := rapid.SliceOfN(rapid.SampledFrom(names), 0, 40).Draw(t, "symbols")
		for policy, most := range map[string]filter.Action{"accepts": filter.Accept, "tags": filter.Tag, "holds": filter.Quarantine, "defers": filter.Defer} {
			v := s.Judge(after(), found(symbols...), policy)
			if v.Action > max(most, filter.Quarantine) {
				t.Fatalf("%s under %s: %s", symbols, policy, v.Action)
			}
			if free := s.Judge(after(), found(symbols...), "default"); free.Action < v.Action {
				t.Fatalf("%s: %s under %s, %s without it", symbols, v.Action, policy, free.Action)
			}
		}
	})
}

// Before DATA the mailboxes where one asks why are refused to nobody but who sends too much;
// an operator's own policy for them changes nothing of that.
func TestMustReachBeforeData(t *testing.T) {
	s := layer(t, worths)
	for _, c := range []struct {
		symbol    string
		to        []filter.Recipient
		direction filter.Direction
		want      filter.Action
	}{
		{"T_NO_RCPT", to("ann@us.example"), filter.Inbound, filter.Reject},
		{"T_NO_RCPT", nil, filter.Inbound, filter.Reject},
		{"T_NO_RCPT", to("Postmaster@us.example"), filter.Inbound, filter.Accept},
		{"OWN_BLOCK", to("abuse+case@us.example"), filter.Inbound, filter.Accept},
		{"OWN_BLOCK", to("postmaster"), filter.Inbound, filter.Accept},
		{"OWN_BLOCK", to(`"abuse"@us.example`), filter.Inbound, filter.Accept},
		{"OWN_BLOCK", to("abuse@us.example", "ann@us.example"), filter.Inbound, filter.Reject},
		{"OWN_BLOCK", to("notabuse@us.example"), filter.Inbound, filter.Reject},
		{"RATE_IP", to("postmaster@us.example"), filter.Inbound, filter.Defer},
		{"ACCOUNT_SUSPENDED", to("postmaster@them.example"), filter.Outbound, filter.Reject},
	} {
		m := &filter.Message{ID: id, To: c.to, Direction: c.direction}
		if v := s.Judge(m, found(c.symbol), "default"); v.Action != c.want || (c.want < filter.Defer) != (v.Public == "") {
			t.Errorf("%s to %v: %s %q, want %s", c.symbol, c.to, v.Action, v.Public, c.want)
		}
	}
}
