package blocklist_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postern/blocklist"
)

func TestNormalize(t *testing.T) {
	for _, c := range []struct{ value, scope, want string }{
		{"192.0.2.1", "", "block 192.0.2.1 all"},
		{"::ffff:192.0.2.1", "all", "block 192.0.2.1 all"},
		{"192.0.2.77/24", "all", "block 192.0.2.0/24 all"},
		{"192.0.2.77/32", "all", "block 192.0.2.77 all"},
		{"::ffff:192.0.2.0/120", "all", "block 192.0.2.0/24 all"},
		{"2001:DB8::1", "all", "block 2001:db8::1 all"},
		{"2001:db8:1::1/48", "all", "block 2001:db8:1::/48 all"},
		{"Example.COM", "all", "block example.com all"},
		{"*.example.com", "all", "block example.com all"},
		{".example.com.", "all", "block example.com all"},
		{"münchen.example", "all", "block xn--mnchen-3ya.example all"},
		{"User@Example.COM", "all", "block user@example.com all"},
		{"user@münchen.example", "all", "block user@xn--mnchen-3ya.example all"},
		{"user+tag@example.com", "all", "block user+tag@example.com all"},
		{"example.com", "domain:Sales.Example.ORG", "block example.com domain:sales.example.org"},
		{"example.com", "recipient:Boss@Example.ORG", "block example.com recipient:boss@example.org"},
	} {
		e, err := blocklist.Entry{Value: c.value, Scope: c.scope}.Normalize()
		if err != nil || e.Key() != c.want {
			t.Errorf("%s %s: %q, %v", c.value, c.scope, e.Key(), err)
		}
	}
	if e := (blocklist.Entry{Allow: true, Value: "a.example", Scope: "all"}); e.Key() != "allow a.example all" {
		t.Error(e.Key())
	}
}

func TestNormalizeRefuses(t *testing.T) {
	for _, v := range []string{"", " ", "com", "0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3", "0.0.0.0", "::", "fe80::1%eth0", "::ffff:0:0/90",
		"a b.example", "@example.com", "a@", "a@b@c.example", "exa mple.com", "a.example\r\nX: 1", "*", "*.com*", "a..example", "user@[192.0.2.1", "192.0.2.1/33"} {
		if e, err := (blocklist.Entry{Value: v}).Normalize(); !errors.Is(err, blocklist.ErrEntry) {
			t.Errorf("%q is taken as %q (%v)", v, e.Key(), err)
		}
	}
	for _, s := range []string{"everybody", "domain:", "domain:com", "recipient:", "recipient:example.com", "domain:a@example.com", "all:x"} {
		if e, err := (blocklist.Entry{Value: "a.example", Scope: s}).Normalize(); !errors.Is(err, blocklist.ErrEntry) {
			t.Errorf("scope %q is taken as %q (%v)", s, e.Key(), err)
		}
	}
	for _, r := range []string{"line\nbreak", "esc\x1b[0m", strings.Repeat("x", 501)} {
		if _, err := (blocklist.Entry{Value: "a.example", Reason: r}).Normalize(); !errors.Is(err, blocklist.ErrEntry) {
			t.Errorf("reason %.20q is taken", r)
		}
	}
}

func TestExpired(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		expires time.Time
		want    bool
	}{{time.Time{}, false}, {now.Add(time.Second), false}, {now, true}, {now.Add(-time.Second), true}} {
		if got := (blocklist.Entry{Expires: c.expires}).Expired(now); got != c.want {
			t.Errorf("%v: %v", c.expires, got)
		}
	}
}

// What is stored is in its one form, fit for a key, and names what it says.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.0/24", "example.com", "a@example.com", "*.x.example", "\"a b\"@example.com", "::ffff:1.2.3.4/97", "a@[192.0.2.1]"} {
		f.Add(s, "recipient:"+s, "why")
	}
	f.Fuzz(func(t *testing.T, value, scope, reason string) {
		e, err := blocklist.Entry{Value: value, Scope: scope, Reason: reason}.Normalize()
		if err != nil {
			return
		}
		again, err := e.Normalize()
		if err != nil || again != e {
			t.Fatalf("%+v becomes %+v, %v", e, again, err)
		}
		if strings.ContainsAny(e.Key(), "\r\n\x00") {
			t.Fatalf("control characters in %q", e.Key())
		}
	})
}
