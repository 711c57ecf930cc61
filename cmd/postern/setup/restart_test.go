package setup_test

import (
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
