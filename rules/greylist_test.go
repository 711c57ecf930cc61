package rules_test

import (
	"strings"
	"testing"

	"postern/filter"
)

func TestGreylist(t *testing.T) {
	s := layer(t, worths)
	for _, c := range []struct {
		name, policy, symbols string
		want                  filter.Action
	}{
		{"clean", "default", "GREY_NEW", filter.Accept},
		{"just below", "default", "GREY_NEW T_ONE", filter.Accept},
		{"suspicious", "default", "GREY_NEW T_FIVE", filter.Defer},
		{"suspicious, seen before", "default", "T_FIVE", filter.Tag},
		{"held anyway", "default", "GREY_NEW T_FIVE T_ONE T_TAG", filter.Quarantine},
		{"held by itself", "default", "GREY_NEW T_FIVE T_HOLD", filter.Quarantine},
		{"refused anyway", "default", "GREY_NEW T_SIXTEEN", filter.Reject},
		{"tagged by itself", "default", "GREY_NEW T_FIVE T_TAG T_MINUS T_ONE T_BOTH", filter.Tag},
		{"proven author", "default", "GREY_NEW T_FIVE DMARC_PASS T_ONE", filter.Tag},
		{"known correspondent", "default", "GREY_NEW T_FIVE T_ONE KNOWN_CORRESPONDENT T_TWO", filter.Tag},
		{"allowed", "default", "GREY_NEW T_SIXTEEN OWN_ALLOW T_MINUS T_LESS", filter.Tag},
		{"off", "patient", "GREY_NEW T_FIVE", filter.Tag},
		{"nothing is refused there", "gentle", "GREY_NEW T_FIVE", filter.Tag},
		{"postmaster", "postmaster", "GREY_NEW T_FIVE", filter.Tag},
	} {
		v := s.Judge(after(), found(strings.Fields(c.symbols)...), c.policy)
		if v.Action != c.want || v.Greylisted != (c.want == filter.Defer) {
			t.Errorf("%s: %s %s, want %s", c.name, v.Action, v.Score, c.want)
		}
	}
}

func TestGreylistSaysSo(t *testing.T) {
	s := layer(t, worths)
	r := found("T_FIVE")
	r.Findings = append(r.Findings, filter.Finding{Symbol: "GREY_NEW", Detail: "192.0.2.0/24 evil"})
	v := s.Judge(after(), r, "default")
	if want := "451 4.7.1 This is a first contact, please try again in a few minutes (ref " + id + ")"; v.Public != want {
		t.Errorf("%q", v.Public)
	}
	out := after()
	out.Direction = filter.Outbound
	if v := s.Judge(out, r, "default"); v.Greylisted || v.Action != filter.Tag {
		t.Errorf("our own people are greylisted: %+v", v)
	}
	if v := s.Judge(&filter.Message{ID: id}, r, "default"); v.Greylisted || v.Action != filter.Accept {
		t.Errorf("greylisted before anything was seen: %+v", v)
	}
	// A deferral for another reason is no greylisting.
	r.Failures = []filter.Failure{fails("clamav", filter.Defer)}
	if v := s.Judge(after(), r, "default"); v.Greylisted || v.Action != filter.Defer {
		t.Errorf("%+v", v)
	}
}

// Greylisting concerns the recipient whose first contact it is.
func TestGreylistPerRecipient(t *testing.T) {
	m := after()
	m.To = []filter.Recipient{{Address: "a@us.example", Policy: "default"}, {Address: "b@us.example", Policy: "default"}}
	r := found("T_FIVE", "GREY_NEW")
	r.Findings = append(r.Findings, filter.Finding{Symbol: "KNOWN_CORRESPONDENT", For: "b@us.example"})
	v := filter.Verdicts(layer(t, worths), m, r)
	if !v[0].Greylisted || v[1].Greylisted {
		t.Errorf("%+v", v)
	}
}
