package proxy_test

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"postern/internal/desk/proxy"
)

func TestClient(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	for name, c := range map[string]struct {
		peer    string
		headers []string
		want    string
	}{
		"no proxy":                    {"192.0.2.1:5", nil, "192.0.2.1"},
		"a stranger who claims":       {"192.0.2.1:5", []string{"198.51.100.1"}, "192.0.2.1"},
		"behind one":                  {"10.0.0.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"claims behind one":           {"10.0.0.1:5", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		"claims a proxy behind one":   {"10.0.0.1:5", []string{"203.0.113.9, 10.0.0.9, 198.51.100.1"}, "198.51.100.1"},
		"behind two":                  {"10.0.0.1:5", []string{"203.0.113.9, 198.51.100.1, 10.2.3.4"}, "198.51.100.1"},
		"two headers":                 {"10.0.0.1:5", []string{"203.0.113.9", "198.51.100.1", "10.2.3.4"}, "198.51.100.1"},
		"IPv6 with a port":            {"[2001:db8:1::1]:5", []string{"[2001:db8:2::7]:443"}, "2001:db8:2::7"},
		"IPv6 in brackets":            {"[2001:db8:1::1]:5", []string{"[2001:db8:2::7]"}, "2001:db8:2::7"},
		"mapped":                      {"[::ffff:10.0.0.1]:5", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"a port":                      {"10.0.0.1:5", []string{"198.51.100.1:1234"}, "198.51.100.1"},
		"a zone":                      {"10.0.0.1:5", []string{"fe80::1%eth0"}, "fe80::1"},
		"nothing from the proxy":      {"10.0.0.1:5", nil, "10.0.0.1"},
		"nonsense":                    {"10.0.0.1:5", []string{"unknown"}, "10.0.0.1"},
		"nonsense left of the truth":  {"10.0.0.1:5", []string{"<script>, 198.51.100.1"}, "198.51.100.1"},
		"nonsense between":            {"10.0.0.1:5", []string{"198.51.100.1, _hidden, 10.0.0.3"}, "10.0.0.3"},
		"everybody is one":            {"10.0.0.1:5", []string{"10.0.0.2, 10.0.0.3"}, "10.0.0.2"},
		"more hops than anybody has":  {"10.0.0.1:5", []string{"198.51.100.1" + strings.Repeat(", 10.0.0.2", 5000)}, "10.0.0.2"},
		"a peer that is no address":   {"@", []string{"198.51.100.1"}, "invalid IP"},
		"an empty one at the right":   {"10.0.0.1:5", []string{"198.51.100.1,"}, "10.0.0.1"},
		"a header that is not of use": {"10.0.0.1:5", []string{""}, "10.0.0.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for _, h := range c.headers {
			r.Header.Add("X-Forwarded-For", h)
		}
		if got := proxy.Client(r, trusted).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
