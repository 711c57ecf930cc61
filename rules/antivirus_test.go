package rules_test

import (
	"slices"
	"testing"

	"postern/filter"
)

func virusIn(parts ...string) filter.Report {
	var r filter.Report
	for _, p := range parts {
		r.Findings = append(r.Findings, filter.Finding{Symbol: "VIRUS", Detail: "Eicar in " + p, Part: p, Step: "clamav"})
	}
	return r
}

func TestAntivirusPolicies(t *testing.T) {
	s := layer(t, worths)
	for _, c := range []struct {
		name, policy string
		r            filter.Report
		want         filter.Action
		keep         bool
		strip        []string
		detail       string
	}{
		{"refused", "default", virusIn("1.2"), filter.Reject, true, nil, "Eicar in 1.2"},
		{"tagged, no copy", "mild", virusIn("1.2"), filter.Tag, false, nil, "Eicar in 1.2"},
		{"part left out", "blind", virusIn("1.2"), filter.Tag, true, []string{"1.2"}, "Eicar in 1.2"},
		{"parts in order, once", "blind", virusIn("1.10", "1.2", "1.2.1", "1.10", "1.a1"), filter.Tag, true, []string{"1.2", "1.2.1", "1.10", "1.a1"}, "Eicar in 1.10; Eicar in 1.2; Eicar in 1.2.1; Eicar in 1.a1"},
		{"a part not known", "blind", virusIn("1.2", ""), filter.Quarantine, true, nil, "Eicar in 1.2; Eicar in , held whole: nobody can say for certain which part is infected"},
		{"no part known", "blind", virusIn(""), filter.Quarantine, true, nil, "Eicar in , held whole: nobody can say for certain which part is infected"},
		{"held", "postmaster", virusIn("1.2"), filter.Quarantine, true, nil, "Eicar in 1.2"},
		{"not scanned", "open", virusIn("1.2"), filter.Accept, false, nil, ""},
	} {
		v := s.Judge(after(), c.r, c.policy)
		if v.Action != c.want || v.Keep != c.keep || !slices.Equal(v.Strip, c.strip) {
			t.Errorf("%s: %s, keep %v, strip %v", c.name, v.Action, v.Keep, v.Strip)
		}
		if c.detail != "" && v.Reasons[0].Detail != c.detail {
			t.Errorf("%s: %q", c.name, v.Reasons[0].Detail)
		}
	}
	if s.Judge(after(), found("T_NO"), "default").Keep {
		t.Error("evidence is kept without a virus")
	}
}

// A message that is held or refused for another reason keeps all its parts: what is released
// later must be what came in.
func TestHeldMailIsNotStripped(t *testing.T) {
	s := layer(t, worths)
	for _, other := range []string{"T_HOLD", "T_NO", "T_SIXTEEN"} {
		r := virusIn("1.2")
		r.Join(found(other))
		if v := s.Judge(after(), r, "blind"); v.Strip != nil || !v.Keep || v.Action < filter.Quarantine {
			t.Errorf("%s: %+v", other, v)
		}
	}
}

// The allow list never speaks for a virus or for what cannot be read, whatever a rule says.
func TestNothingExcusesAVirus(t *testing.T) {
	s := layer(t, "symbols: {VIRUS: {unless: OWN_ALLOW}, UNSCANNABLE: {unless: [OWN_ALLOW]}}")
	if v := s.Judge(after(), found("VIRUS", "OWN_ALLOW"), "default"); v.Action != filter.Reject {
		t.Errorf("%s", v.Action)
	}
	if v := s.Judge(after(), found("UNSCANNABLE", "OWN_ALLOW"), "default"); v.Action != filter.Quarantine {
		t.Errorf("%s", v.Action)
	}
}
