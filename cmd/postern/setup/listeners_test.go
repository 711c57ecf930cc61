package setup

import (
	"strings"
	"testing"

	"postern/internal/config"
)

// TestBeneath: what the desk's address is to that of the MX, and what is warned of.
func TestBeneath(t *testing.T) {
	for name, x := range map[string]struct {
		mx, desk, public, api, admin string
		want                         []string
	}{
		"as it should be":           {mx: "0.0.0.0:25", desk: "127.0.0.1:8080", public: "192.0.2.1:443", api: "[::1]:8443", admin: "localhost:9090"},
		"apart":                     {mx: "192.0.2.1:25", desk: "10.0.0.1:443"},
		"the desk beside the MX":    {mx: "192.0.2.1:25", desk: "192.0.2.1:443", want: []string{"desk.addr (192.0.2.1:443) is on the address of listener mx"}},
		"on all addresses":          {mx: "192.0.2.1:25", desk: "0.0.0.0:443", want: []string{"desk.addr"}},
		"the MX on all addresses":   {mx: ":25", desk: "192.0.2.1:443", api: "192.0.2.1:8443", want: []string{"desk.addr", "api.addr"}},
		"the same, mapped":          {mx: "192.0.2.1:25", desk: "[::ffff:192.0.2.1]:443", want: []string{"desk.addr"}},
		"the same port":             {mx: "127.0.0.1:2525", desk: "127.0.0.1:2525", want: []string{"only one of them"}},
		"the same port, everywhere": {mx: "[::]:25", public: "192.0.2.1:25", want: []string{"public.addr (192.0.2.1:25) is the address of listener mx ([::]:25)"}},
		"ports that are chosen":     {mx: "127.0.0.1:0", desk: "127.0.0.1:0", public: "127.0.0.1:0"},
		"metrics beside the MX":     {mx: "0.0.0.0:25", admin: "192.0.2.1:9090", want: []string{"admin.addr"}},
	} {
		c := config.Default()
		c.Listeners = []config.Listener{{Name: "mx", Kind: config.KindInbound, Addr: x.mx}}
		c.Desk.Addr, c.Public.Addr, c.API.Addr, c.Admin.Addr = x.desk, x.public, x.api, x.admin
		got := Beneath(c)
		if len(got) != len(x.want) {
			t.Errorf("%s: %q", name, got)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], x.want[i]) {
				t.Errorf("%s: %q, not %q", name, got[i], x.want[i])
			}
		}
	}
	c := config.Default()
	c.Listeners = []config.Listener{{Name: "out", Kind: config.KindSubmission, Addr: "192.0.2.1:587"}}
	c.Desk.Addr = "192.0.2.1:443"
	if got := Beneath(c); len(got) != 0 {
		t.Errorf("beside submission alone: %q", got)
	}
}
