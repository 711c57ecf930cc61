package blocklist_test

import (
	"testing"
	"time"

	"postern/blocklist"
	"postern/filter"
	"postern/rules"
)

// Who is covered by an entry, whatever way its scope and the recipient are written.
func TestScopesAsWritten(t *testing.T) {
	const all = "OWN_BLOCK>"
	for _, c := range []struct{ scope, to, want string }{
		{"recipient:Boss@US.example", "boss@us.example", all},
		{"recipient:boss@us.example", "BOSS@us.EXAMPLE", all},
		{"recipient:boss@us.example", "boss+lists@us.example", all},
		{"recipient:boss+lists@us.example", "boss+lists@us.example", all},
		{"recipient:boss+lists@us.example", "boss@us.example", ""},
		{"recipient:boss+lists@us.example", "boss+other@us.example", ""},
		{"recipient:boss@us.example", "boss@sub.us.example", ""},
		{"recipient:boss@us.example", "xboss@us.example", ""},
		{"domain:US.example", "a@us.example", all},
		{"domain:us.example", "a@deep.sub.us.example", all},
		{"domain:us.example", "a@notus.example", ""},
		{"domain:us.example.", "a@us.example", all},
		{"domain:münchen.example", "a@xn--mnchen-3ya.example", all},
		{"domain:xn--mnchen-3ya.example", "a@münchen.example", all},
		{"recipient:chef@münchen.example", "chef@xn--mnchen-3ya.example", all},
		{" all ", "a@us.example", all},
	} {
		o, _, _ := own(t, block("192.0.2.0/24", c.scope))
		want := c.want
		if want != "" {
			want += c.to
		}
		if got := found(t, o.Recipient(), message("192.0.2.1", "x@y.example", c.to)); got != want {
			t.Errorf("%s for %s: %q, want %q", c.scope, c.to, got, want)
		}
	}
}

// Networks of both families that overlap: every one that holds is said, with its own scope
// and its own end.
func TestOverlappingNetworks(t *testing.T) {
	o, _, c := own(t,
		block("192.0.2.0/24", "recipient:one@us.example"), block("192.0.2.128/25", "domain:us.example"), allow("192.0.2.130", "recipient:two@us.example"),
		block("2001:db8::/32", ""), allow("2001:db8:5::/48", "domain:us.example"))
	_, err := o.Add(t.Context(), blocklist.Entry{Value: "192.0.2.129", Expires: c.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	to := []string{"one@us.example", "two@us.example", "three@other.example"}
	for ip, want := range map[string]string{
		"192.0.2.1":          "OWN_BLOCK>one@us.example",
		"192.0.2.128":        "OWN_BLOCK>one@us.example OWN_BLOCK>two@us.example OWN_BLOCK>one@us.example",
		"192.0.2.130":        "OWN_BLOCK>one@us.example OWN_BLOCK>two@us.example OWN_BLOCK>one@us.example OWN_ALLOW>two@us.example",
		"::ffff:192.0.2.1":   "OWN_BLOCK>one@us.example",
		"192.0.3.1":          "",
		"2001:db8:5::1":      "OWN_BLOCK>one@us.example OWN_BLOCK>two@us.example OWN_BLOCK>three@other.example OWN_ALLOW>one@us.example OWN_ALLOW>two@us.example",
		"2001:db8:ffff::1":   "OWN_BLOCK>one@us.example OWN_BLOCK>two@us.example OWN_BLOCK>three@other.example",
		"2001:db9::1":        "",
		"fe80::192.0.2.1%e0": "",
	} {
		if got := found(t, o.Recipient(), message(ip, "x@y.example", to...)); got != want {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
	if got := found(t, o.Recipient(), message("192.0.2.129", "x@y.example", "three@other.example")); got != "OWN_BLOCK>three@other.example" {
		t.Errorf("before its end: %q", got)
	}
	c.forward(time.Hour)
	if got := found(t, o.Recipient(), message("192.0.2.129", "x@y.example", "three@other.example")); got != "" {
		t.Errorf("after its end: %q", got)
	}
}

// An allow entry takes points off; it never lets a virus or a forbidden attachment through,
// nor lifts a block.
func TestAllowNeverSkipsWhatActs(t *testing.T) {
	set, err := rules.LoadFS()
	if err != nil {
		t.Fatal(err)
	}
	allowed := filter.Finding{Symbol: blocklist.OwnAllow, Detail: "b.example"}
	m := body("x")
	for symbol, want := range map[string]filter.Action{
		"VIRUS": filter.Reject, "UNSCANNABLE": filter.Quarantine, blocklist.OwnBlock: filter.Reject, "ENCRYPTED": filter.Tag,
	} {
		alone := set.Judge(m, filter.Report{Findings: []filter.Finding{{Symbol: symbol}}}, "default")
		both := set.Judge(m, filter.Report{Findings: []filter.Finding{allowed, {Symbol: symbol}}}, "default")
		if alone.Action != want || both.Action != want {
			t.Errorf("%s: %v alone, %v with an allow entry, want %v", symbol, alone.Action, both.Action, want)
		}
		if symbol == "VIRUS" && !both.Keep {
			t.Error("no evidence of the virus is kept")
		}
	}
}
