package setup_test

import (
	"reflect"
	"strings"
	"testing"

	"postern/cmd/postern/setup"
	"postern/internal/config"
)

func TestWhatAReloadCannotChangeIsNamed(t *testing.T) {
	with := func(edit func(*config.Config)) *config.Config {
		c := config.Default()
		c.Listeners = []config.Listener{{Name: "mx", Kind: config.KindInbound, Addr: ":25"}}
		edit(c)
		return c
	}
	same := func(*config.Config) {}
	for want, edit := range map[string]func(*config.Config){
		"": func(c *config.Config) {
			c.Limits.Errors, c.Listeners[0].GreetPause, c.Rates = 3, 5, map[string]config.Rate{"ip": {Hour: 1}}
			c.Routes = map[string]config.Route{"example.com": {}}
			c.Abuse.Intake.Rates.Reporter, c.Abuse.Intake.Keep, c.Abuse.Intake.Addresses, c.Abuse.Calendar.Dir = 7, 9, []string{"x@example.com"}, "/x"
			c.Auth.TrustedSealers, c.Reports.Send = map[string][]string{"*": {"a.example"}}, true
		},
		"hostname":                     func(c *config.Config) { c.Hostname = "other" },
		"listeners":                    func(c *config.Config) { c.Listeners[0].TLS.Cert = "new.pem" },
		"auth":                         func(c *config.Config) { c.Auth.ArcSeal = true },
		"headers":                      func(c *config.Config) { c.Headers.Verdict = "X-Other" },
		"listeners, admin":             func(c *config.Config) { c.Listeners[0].Addr, c.Admin.Addr = ":26", "" },
		"api, abuse.answers":           func(c *config.Config) { c.API.Addr, c.Abuse.Answers.Off = "127.0.0.1:1", true },
		"abuse.intake, abuse.measures": func(c *config.Config) { c.Abuse.Intake.CopyTo, c.Abuse.Measures.Mode = "a@b.example", "off" },
		"desk":                         func(c *config.Config) { c.Desk.Addr = "127.0.0.1:1" },
		"clamav, alerts":               func(c *config.Config) { c.ClamAV.Addrs, c.Alerts.Mail = []string{"unix:/x"}, []string{"a@b.example"} },
	} {
		if got := setup.NeedsRestart(with(same), with(edit)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Every key that differs is named once, with when it takes effect: within one section, list or map
// some do at once.
func TestDiffer(t *testing.T) {
	base := func() *config.Config {
		c := config.Default()
		c.Listeners = []config.Listener{{Name: "mx", Kind: config.KindInbound, Addr: ":25"}, {Kind: config.KindInbound, Addr: ":26"}}
		c.Routes = map[string]config.Route{"example.com": {Backend: "mail"}, "old.example": {Backend: "mail"}}
		c.Backends = map[string][]config.Backend{"mail": {{Addr: "192.0.2.1:25"}}}
		return c
	}
	for name, c := range map[string]struct {
		edit            func(*config.Config)
		reload, restart string
	}{
		"nothing":         {func(*config.Config) {}, "", ""},
		"an empty list":   {func(c *config.Config) { c.People = []string{} }, "", ""},
		"one list, two":   {func(c *config.Config) { c.Listeners[0].GreetPause, c.Listeners[1].Addr = 5, ":27" }, "listeners[mx].greet_pause", "listeners[1].addr"},
		"a listener more": {func(c *config.Config) { c.Listeners = append(c.Listeners, config.Listener{Name: "x"}) }, "", "listeners"},
		"a section, two": {func(c *config.Config) {
			c.Auth.ArcSeal, c.Auth.TrustedSealers = true, map[string][]string{"*": {"a.example"}}
		}, "auth.trusted_sealers.*", "auth.arc_seal"},
		"the abuse desk": {func(c *config.Config) {
			c.Abuse.Intake.Keep, c.Abuse.Intake.CopyTo, c.Abuse.Answers.Off = 9, "a@b.example", true
		}, "abuse.intake.keep", "abuse.answers.off,abuse.intake.copy_to"},
		"another mailbox": {func(c *config.Config) { c.Limits.Errors = 3 }, "limits.errors", ""},
		"a map": {func(c *config.Config) {
			delete(c.Routes, "old.example")
			c.Routes["new"] = config.Route{}
			c.Routes["example.com"] = config.Route{Backend: "b"}
		}, `routes."example.com".backend,routes."old.example",routes.new`, ""},
		"a map of lists":   {func(c *config.Config) { c.Backends["mail"] = []config.Backend{{Addr: "192.0.2.2:25"}} }, "backends.mail[0].addr", ""},
		"several sections": {func(c *config.Config) { c.Hostname, c.DNS.Servers, c.Egress = "b", []string{"192.0.2.53"}, "out" }, "egress", "dns.servers,hostname"},
	} {
		old, now := base(), base()
		c.edit(now)
		d := setup.Differ(old, old, now)
		if strings.Join(d.Reload, ",") != c.reload || strings.Join(d.Restart, ",") != c.restart {
			t.Errorf("%s: at a reload %v, after a restart %v", name, d.Reload, d.Restart)
		}
		if !reflect.DeepEqual(old, base()) {
			t.Errorf("%s: the old one was changed", name)
		}
		if (setup.NeedsRestart(old, now) != "") != (c.restart != "") {
			t.Errorf("%s: %q", name, setup.NeedsRestart(old, now))
		}
	}
	started, inForce, next := base(), base(), base()
	inForce.Hostname, inForce.Limits.Errors, next.Hostname, next.Limits.Errors = "b", 7, "b", 7 // reloaded, and not restarted
	if d := setup.Differ(started, inForce, next); len(d.Reload) != 0 || len(d.Restart) != 1 || d.Restart[0] != "hostname" {
		t.Errorf("%+v", d)
	}
	if d := setup.Differ(started, inForce, started); len(d.Restart) != 0 || len(d.Reload) != 1 {
		t.Errorf("back again: %+v", d)
	}
}
