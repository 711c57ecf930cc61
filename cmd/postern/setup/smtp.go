package setup

import (
	"crypto/tls"
	"slices"
	"time"

	"postern/internal/config"
	"postern/internal/smtpd"
)

// Extras are what listeners have besides their configuration.
type Extras struct {
	TLS        func(listener string) func() *tls.Config // nil result: no TLS
	Extensions func(l config.Listener) smtpd.Extensions // asked at each EHLO
}

// SMTP is the part of the configuration that sessions see.
func SMTP(c *config.Config, x Extras) smtpd.Config {
	lim := smtpd.DefaultLimits()
	l := c.Limits
	lim.Sessions, lim.PerIP, lim.Per64, lim.Errors, lim.Commands, lim.Recipients = l.Sessions, l.PerIP, l.Per64, l.Errors, l.Commands, l.Recipients
	lim.Message, lim.InFlight, lim.Idle, lim.DataRate, lim.Line, lim.Received = int64(l.Message), int64(l.InFlight), time.Duration(l.Idle), l.DataRate, int(l.Line), l.Received
	out := smtpd.Config{Hostname: c.Hostname, Limits: lim, Trusted: config.Prefixes(c.TrustedRelays), Refusals: c.Public.At("/r/")}
	for _, l := range c.Listeners {
		out.Listeners = append(out.Listeners, listener(l, x))
	}
	return out
}

func listener(l config.Listener, x Extras) *smtpd.Listener {
	out := &smtpd.Listener{
		Name: l.Name, Addr: l.Addr, ImplicitTLS: l.TLS.Implicit, GreetPause: time.Duration(l.GreetPause),
		ProxyFrom: config.Prefixes(l.ProxyFrom), XclientFrom: config.Prefixes(l.XclientFrom), Networks: config.Prefixes(l.Networks),
		AccountHeader: l.AccountHeader, MailFromIsAccount: l.MailFromIsAccount, TLS: x.TLS(l.Name),
		Extensions: func() smtpd.Extensions { return x.Extensions(l) },
	}
	switch l.Kind {
	case config.KindSubmission:
		out.Kind = smtpd.KindSubmission
	case config.KindSmarthost:
		out.Kind = smtpd.KindSmarthost
	}
	if l.Framing == "normalize" {
		out.Framing = smtpd.Normalize
	}
	return out
}

// ListenerBackends are the pools that mail of a listener can go to.
func ListenerBackends(c *config.Config, l config.Listener) []string {
	switch l.Kind {
	case config.KindSubmission:
		return []string{l.Backend}
	case config.KindSmarthost:
		return []string{c.Egress}
	}
	var names []string
	for _, r := range c.Routes {
		if !slices.Contains(names, r.Backend) {
			names = append(names, r.Backend)
		}
	}
	return names
}
