// Package setup turns the configuration into that of the parts.
package setup

import (
	"log/slog"
	"time"

	"postern/blocklist"
	"postern/filter/account"
	"postern/filter/clamav"
	"postern/filter/greylist"
	"postern/filter/history"
	"postern/filter/limit"
	"postern/filter/link"
	"postern/filter/link/qr"
	"postern/internal/archive"
	"postern/internal/config"
	"postern/internal/dns"
	"postern/internal/stamp"
)

// DNSConfig turns the configured DNS servers into those of the resolver.
func DNSConfig(c *config.Config) dns.Config {
	return dns.Config{Servers: c.DNS.Servers, Timeout: time.Duration(c.DNS.Timeout)}
}

// ScannerConfig turns the configured scanner into that of the check.
func ScannerConfig(c config.ClamAV) clamav.Config {
	return clamav.Config{
		Endpoints: c.Addrs, Timeout: time.Duration(c.Timeout), StreamMax: int64(c.StreamMax), MaxFile: int64(c.MaxFile),
		MaxScan: int64(c.MaxScan), Connections: c.Connections, Canary: time.Duration(c.Canary),
		WarnAge: time.Duration(c.WarnAge), MaxAge: time.Duration(c.MaxAge),
	}
}

// ListConfigs turns the configured DNS lists into those of the check.
func ListConfigs(c *config.Config) []blocklist.ListConfig {
	var out []blocklist.ListConfig
	for _, l := range c.Lists {
		out = append(out, blocklist.ListConfig{Name: l.Name, Zone: l.Zone, Of: blocklist.Kind(l.Of), Codes: l.Codes, KeyFile: l.KeyFile})
	}
	return out
}

// ArchiveLimits are those of our own walk, never above what the scanner opens: what it would
// skip in silence must be unscannable here.
func ArchiveLimits(c config.ClamAV) archive.Limits {
	l := archive.DefaultLimits()
	if len(c.Addrs) > 0 {
		l.EntryBytes, l.Bytes = min(l.EntryBytes, int64(c.MaxFile)), min(l.Bytes, int64(c.MaxScan))
	}
	return l
}

// Pictures is what reads the QR codes of pictures, started as this program; nil where nothing does.
func Pictures(c *config.Config, self string, log *slog.Logger) link.Pictures {
	if !c.QRCodes || self == "" {
		return nil
	}
	return qr.New([]string{self, qr.Hidden}, log)
}

// Rates turns the configured rates into the limits of the check.
func Rates(c *config.Config) limit.Config {
	of := func(name string) limit.Rate {
		r := c.Rates[name]
		return limit.Rate{Minute: r.Minute, Hour: r.Hour, Day: r.Day}
	}
	return limit.Config{
		IP: of("ip"), Net: of("net"), Domain: of("domain"), Account: of("account"), AccountRecipients: of("account_recipients"),
		Recipient: of("recipient"), BadRecipient: of("bad_recipient"), Errors: of("errors"),
	}
}

// HeaderNames are the names of the fields we write.
func HeaderNames(c *config.Config) stamp.Names {
	return stamp.Names{
		Verdict: c.Headers.Verdict, Reasons: c.Headers.Reasons, Unchecked: c.Headers.Unchecked,
		SpamFlag: c.Headers.SpamFlag, SpamScore: c.Headers.SpamScore, Stripped: c.Headers.Stripped, Trace: c.Headers.Trace, AuthservID: c.Auth.AuthservID, Hostname: c.Hostname,
	}
}

// Forwarders are the hosts that forward to us.
func Forwarders(c *config.Config) []history.Forwarder {
	var out []history.Forwarder
	for _, f := range c.Auth.Forwarders {
		out = append(out, history.Forwarder{Name: f.Name, Networks: config.Prefixes(f.Networks), Hosts: f.Hosts, For: f.For})
	}
	return out
}

// Senders is who may write as whom. Hosted reports the domains we take mail for; home is the
// domain of logins that are written without one.
func Senders(c *config.Config, hosted func(domain string) bool, home string) account.Config {
	out := account.Config{Listeners: map[string]account.Listener{}, Home: home, Hosted: hosted, Allow: c.Senders.Allow, File: c.Senders.File}
	for _, l := range c.Listeners {
		if l.Kind != config.KindInbound {
			out.Listeners[l.Name] = account.Listener{Mode: account.Mode(l.Senders), Late: l.Kind == config.KindSmarthost && l.AccountHeader != ""}
		}
	}
	return out
}

// Greylist are the times of first contacts.
func Greylist(c *config.Config) greylist.Config {
	return greylist.Config{
		Wait: time.Duration(c.Greylist.Wait), RetryWithin: time.Duration(c.Greylist.RetryWithin), Remember: time.Duration(c.Greylist.Remember),
	}
}
