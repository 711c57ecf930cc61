package order_test

import (
	"net/netip"
	"testing"
	"time"

	"postern/abuse/external/order"
)

func TestOneForm(t *testing.T) {
	now := time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)
	for _, c := range [][3]string{
		{order.ByIP, "::ffff:198.51.100.7", "198.51.100.7"},
		{order.ByNet, "198.51.100.7/24", "198.51.100.0/24"},
		{order.ByNet, "198.51.100.7/32", "198.51.100.7"},
		{order.ByIP, "2001:db8::1", "2001:db8::1"},
		{order.ByDomain, "Spam.Example.", "spam.example"},
		{order.ByFrom, "A@Spam.Example", "a@spam.example"},
	} {
		b := order.Block{Scope: c[0], Value: c[1], Rule: order.WhenQuiet, Why: "x", Until: now.Add(time.Hour)}
		if err := b.Check(order.Protected{Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, now); err != nil || b.Value != c[2] {
			t.Errorf("%v: %q %v", c, b.Value, err)
		}
	}
	p := order.Protected{Domains: []string{"Mail.ours.example"}}
	for name, ok := range map[string]bool{"ours.example": false, "x.mail.ours.example": false, "mail.ours.example": false, "yours.example": true} {
		if err := p.Domain(name); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
