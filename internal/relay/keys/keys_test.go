package keys_test

import (
	"net/netip"
	"testing"

	"postern/filter"
	"postern/internal/relay/keys"
)

func message(change func(m *filter.Message)) *filter.Message {
	m := &filter.Message{
		Listener: "mx", From: "a@sender.example", SHA256: "abc", Client: filter.Client{IP: netip.MustParseAddr("192.0.2.7")},
		To: []filter.Recipient{{Address: "b@example.com"}, {Address: "c@example.com"}},
	}
	change(m)
	return m
}

// TestSame: what is the same for a retry, and what makes it another mail.
func TestSame(t *testing.T) {
	plain := message(func(*filter.Message) {})
	for name, c := range map[string]struct {
		change       func(m *filter.Message)
		answer, hold bool // the same key
	}{
		"a neighbour brings it":  {func(m *filter.Message) { m.Client.IP = netip.MustParseAddr("192.0.2.200") }, true, true},
		"another network":        {func(m *filter.Message) { m.Client.IP = netip.MustParseAddr("192.0.3.7") }, false, true},
		"recipients in a circle": {func(m *filter.Message) { m.To[0], m.To[1] = m.To[1], m.To[0] }, true, true},
		"another case":           {func(m *filter.Message) { m.To[0].Address = "B@example.com" }, true, true},
		"one recipient less":     {func(m *filter.Message) { m.To = m.To[:1] }, false, true},
		"another sender":         {func(m *filter.Message) { m.From = "" }, false, false},
		"another listener":       {func(m *filter.Message) { m.Listener = "mx2" }, false, false},
		"other bytes":            {func(m *filter.Message) { m.SHA256 = "abd" }, false, false},
		"another account":        {func(m *filter.Message) { m.Account = "joe" }, false, true},
		"a shifted border":       {func(m *filter.Message) { m.Listener, m.From = "mxa", "@sender.example" }, false, false},
	} {
		m := message(c.change)
		if got := keys.Answer(m) == keys.Answer(plain); got != c.answer {
			t.Errorf("%s: the same answer: %v", name, got)
		}
		if got := keys.Hold(m, "B@example.com") == keys.Hold(plain, "b@example.com"); got != c.hold {
			t.Errorf("%s: the same hold: %v", name, got)
		}
	}
	seen := map[string]bool{}
	for _, k := range []string{
		keys.Answer(plain), keys.Hold(plain, "b@example.com"), keys.Hold(plain, "c@example.com"), keys.Evidence(plain, "b@example.com"),
		keys.Entry("e1", "b@example.com"), keys.Entry("e2", "b@example.com"),
	} {
		if len(k) != 64 || seen[k] {
			t.Errorf("key %q twice or of the wrong length", k)
		}
		seen[k] = true
	}
}

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "::ffff:192.0.2.9", true},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		with := func(ip string) string {
			return keys.Answer(message(func(m *filter.Message) { m.Client.IP = netip.MustParseAddr(ip) }))
		}
		if (with(c.a) == with(c.b)) != c.same {
			t.Errorf("%s and %s", c.a, c.b)
		}
	}
	if keys.Answer(&filter.Message{}) == "" {
		t.Error("no client, no key")
	}
}
