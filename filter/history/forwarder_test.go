package history_test

import (
	"net/netip"
	"slices"
	"testing"

	"postern/filter/history"
)

func TestForwarderKnown(t *testing.T) {
	uni := history.Forwarder{Name: "uni", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28"), netip.MustParsePrefix("2001:db8::/48")},
		Hosts: []string{"fwd.Old.example", "*.uni.example"}}
	club := history.Forwarder{Name: "club", Hosts: []string{"*.uni.example"}, For: []string{"Bob+club@ours.example", "other.example"}}
	for name, c := range map[string]struct {
		ip, host string
		of       history.Forwarder
		want     []string
	}{
		"network":             {"192.0.2.15", "", uni, []string{history.ForwarderKnown}},
		"mapped address":      {"::ffff:192.0.2.15", "", uni, []string{history.ForwarderKnown}},
		"network 6":           {"2001:db8::1%eth0", "", uni, []string{history.ForwarderKnown}},
		"outside":             {"192.0.2.16", "", uni, nil},
		"no address":          {"", "", uni, nil},
		"host":                {"203.0.113.1", "FWD.old.example", uni, []string{history.ForwarderKnown}},
		"below a host":        {"203.0.113.1", "x.fwd.old.example", uni, nil},
		"below a domain":      {"203.0.113.1", "a.b.uni.example", uni, []string{history.ForwarderKnown}},
		"the domain itself":   {"203.0.113.1", "uni.example", uni, nil},
		"ends alike":          {"203.0.113.1", "evil-uni.example", uni, nil},
		"only its recipients": {"203.0.113.1", "mx.uni.example", club, []string{history.ForwarderKnown + " for bob+x@ours.example", history.ForwarderKnown + " for x@other.example"}},
		"a host without name": {"203.0.113.1", "", history.Forwarder{Name: "odd", Hosts: []string{"", "*."}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.of)
			l := mail{ip: c.ip, name: c.host, author: "x@y.example", from: "x@y.example", to: []string{"bob+x@ours.example", "ann@ours.example", "x@other.example"}}
			if got := w.check(l); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestReload(t *testing.T) {
	w := newWorld(t)
	l := mail{ip: "192.0.2.1", author: "x@y.example", to: []string{"bob@ours.example"}}
	for range 2 {
		w.h.Reload([]history.Forwarder{{Name: "uni", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}})
		found, err := w.run(l)
		if err != nil || len(found) != 1 || found[0].Detail != "uni" {
			t.Errorf("%v, %v", found, err)
		}
		w.h.Reload(nil)
		if got := w.check(l); got != nil {
			t.Errorf("after the forwarder is gone: %v", got)
		}
	}
}
