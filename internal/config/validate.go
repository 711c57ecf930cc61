package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"

	"postern/internal/address"
	"postern/internal/config/value"
	"postern/internal/strict"
)

var symbolName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)

// validate checks what a single value cannot know, and says each fault at its place.
func (c *Config) validate(d *strict.Document) {
	if c.Hostname == "" {
		d.Fail("hostname", "hostname is missing: the name we give in banner, HELO and Received")
	} else if !address.ValidDomain(c.Hostname) {
		d.Fail("hostname", "%q is no host name", c.Hostname)
	}
	if c.State == "" {
		d.Fail("state", "state is missing: the folder of holds, spool and control socket")
	}
	c.validateStore(d)
	c.validateListeners(d)
	c.validateLimits(d)
	c.validateBackends(d)
	c.validateRoutes(d)
	c.validatePeople(d)
	c.validateChecks(d)
	c.validateAuth(d)
	c.validateSenders(d)
	c.validateGreylist(d)
	c.Learning.Validate(d, "learning")
	c.Campaigns.Validate(d, "campaigns")
	c.Abuse.Validate(d)
	c.validateReports(d)
	c.validateBackup(d)
	c.validateRest(d)
}

func (c *Config) validateListeners(d *strict.Document) {
	if len(c.Listeners) == 0 {
		d.Fail("listeners", "no listeners: nothing would take mail")
	}
	names, addrs := map[string]bool{}, map[string]bool{}
	for i, l := range c.Listeners {
		at := fmt.Sprintf("listeners[%d]", i)
		if l.Name == "" {
			d.Fail(at, "a listener needs a name")
		} else if names[l.Name] {
			d.Fail(at+".name", "a second listener named %q", l.Name)
		}
		names[l.Name] = true
		value.HostPort(d, at+".addr", l.Addr, true)
		if addrs[l.Addr] && !strings.HasSuffix(l.Addr, ":0") {
			d.Fail(at+".addr", "two listeners on %s", l.Addr)
		}
		addrs[l.Addr] = true
		value.OneOf(d, at+".kind", l.Kind, KindInbound, KindSubmission, KindSmarthost)
		value.OneOf(d, at+".framing", l.Framing, "refuse", "normalize")
		c.validateListener(d, at, l)
	}
}

func (c *Config) validateListener(d *strict.Document, at string, l Listener) {
	if (l.TLS.Cert == "") != (l.TLS.Key == "") {
		d.Fail(at+".tls", "cert and key go together")
	}
	if (l.TLS.Implicit || l.TLS.ClientCA != "") && l.TLS.Cert == "" {
		d.Fail(at+".tls", "implicit and client_ca need cert and key")
	}
	switch l.Kind {
	case KindSubmission:
		if l.TLS.Cert == "" {
			d.Fail(at, "a submission listener needs tls: AUTH is offered only over TLS")
		}
		pool, ok := c.Backends[l.Backend]
		if !ok {
			d.Fail(at+".backend", "a submission listener needs a backend that exists; %q does not", l.Backend)
		}
		for _, b := range pool {
			if b.TLS != "required" {
				d.Fail(at+".backend", "backend %s (%s) must have tls: required, since passwords are replayed to it", l.Backend, b.Addr)
			}
		}
	case KindSmarthost:
		if len(l.Networks) == 0 && l.TLS.ClientCA == "" {
			d.Fail(at, "a smarthost listener needs networks or tls.client_ca, or anybody could relay through it")
		}
		for j, n := range l.Networks {
			if n.Bits() == 0 {
				d.Fail(fmt.Sprintf("%s.networks[%d]", at, j), "%s is everybody: that would be an open relay", n)
			}
		}
		if c.Egress == "" {
			d.Fail(at, "a smarthost listener needs egress: a backend that takes mail for the world")
		}
	}
	if l.Kind != KindSmarthost && (len(l.Networks) > 0 || l.AccountHeader != "" || l.MailFromIsAccount) {
		d.Fail(at, "networks, account_header and mail_from_is_account belong to a smarthost listener")
	}
	if l.Kind != KindSubmission && l.Backend != "" {
		d.Fail(at+".backend", "backend belongs to a submission listener; others follow routes or egress")
	}
}

func (c *Config) validateLimits(d *strict.Document) {
	l := c.Limits
	for name, v := range map[string]int64{
		"sessions": int64(l.Sessions), "per_ip": int64(l.PerIP), "per_64": int64(l.Per64), "errors": int64(l.Errors),
		"commands": int64(l.Commands), "recipients": int64(l.Recipients), "message": int64(l.Message), "in_flight": int64(l.InFlight),
		"idle": int64(l.Idle), "data_rate": int64(l.DataRate), "line": int64(l.Line), "received": int64(l.Received),
	} {
		if v <= 0 {
			d.Fail("limits."+name, "%s must be larger than 0", name)
		}
	}
	if l.Recipients > 0 && l.Recipients < 100 {
		d.Fail("limits.recipients", "RFC 5321 asks for at least 100 recipients")
	}
	if l.Line > 0 && l.Line < 1000 {
		d.Fail("limits.line", "RFC 5321 asks for lines of at least 1000 bytes")
	}
	if l.InFlight < l.Message {
		d.Fail("limits.in_flight", "in_flight (%s) is smaller than one message (%s)", l.InFlight, l.Message)
	}
	for name, r := range c.Rates {
		at := "rates[" + name + "]"
		if !slices.Contains(rateNames, name) {
			d.Fail(at, "rates are by %s, not %q", strings.Join(rateNames, ", "), name)
		}
		if r.Minute < 0 || r.Hour < 0 || r.Day < 0 {
			d.Fail(at, "a rate is 0 (none) or larger")
		}
	}
}

func (c *Config) validateBackends(d *strict.Document) {
	for _, name := range sorted(c.Backends) {
		pool := c.Backends[name]
		at := "backends[" + name + "]"
		if len(pool) == 0 {
			d.Fail(at, "backend %q has no servers", name)
		}
		for i, b := range pool {
			at := fmt.Sprintf("%s[%d]", at, i)
			value.HostPort(d, at+".addr", b.Addr, false)
			value.OneOf(d, at+".protocol", b.Protocol, "smtp", "lmtp")
			value.OneOf(d, at+".tls", b.TLS, "none", "opportunistic", "required")
			if b.Protocol != pool[0].Protocol {
				d.Fail(at+".protocol", "the servers of one backend speak one protocol")
			}
			if b.Auth.User != "" && b.TLS != "required" {
				d.Fail(at+".auth", "a password goes only over tls: required")
			}
			if (b.Auth.User == "") != (b.Auth.PasswordFile == "") {
				d.Fail(at+".auth", "user and password_file go together")
			}
			if b.CA != "" && b.TLS != "required" {
				d.Fail(at+".ca", "ca has a meaning only with tls: required")
			}
			if b.MaxConns < 0 {
				d.Fail(at+".max_conns", "max_conns must be larger than 0")
			}
		}
	}
}

func (c *Config) validateRoutes(d *strict.Document) {
	inbound := slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Kind == KindInbound })
	c.Rules.Replay.Validate(d, "rules.replay")
	c.TestInbox.Validate(d, "test_inbox", func(domain string) bool { _, ok := c.Routes[domain]; return ok })
	if inbound && len(c.Routes) == 0 && len(c.TestInbox.Domains) == 0 {
		d.Fail("routes", "an inbound listener without routes takes no mail")
	}
	for _, domain := range sorted(c.Routes) {
		r, at := c.Routes[domain], "routes["+domain+"]"
		if bare := strings.TrimPrefix(domain, "*."); !address.ValidDomain(bare) {
			d.Fail(at, "%q is no domain (or *.domain)", domain)
		}
		if domain != strings.ToLower(domain) {
			d.Fail(at, "write domains in lower case: %q", strings.ToLower(domain))
		}
		if _, ok := c.Backends[r.Backend]; !ok {
			d.Fail(at+".backend", "there is no backend %q", r.Backend)
		}
		value.OneOf(d, at+".recipients", r.Recipients, "verify", "file", "any")
		if (r.Recipients == "file") != (r.File != "") {
			d.Fail(at, "recipients: file and file: PATH go together")
		}
	}
	if c.Egress != "" {
		if _, ok := c.Backends[c.Egress]; !ok {
			d.Fail("egress", "there is no backend %q", c.Egress)
		}
	}
}

func (c *Config) validateChecks(d *strict.Document) {
	for i, s := range c.DNS.Servers {
		if _, err := netip.ParseAddr(s); err == nil {
			continue
		}
		if _, err := netip.ParseAddrPort(s); err != nil {
			d.Fail(fmt.Sprintf("dns.servers[%d]", i), "%q is no address (10.0.0.1 or 10.0.0.1:53)", s)
		}
	}
	if c.DNS.Queries <= 0 || c.DNS.Timeout <= 0 || c.DNS.Budget <= 0 {
		d.Fail("dns", "timeout, budget and queries must be larger than 0")
	}
	for i, a := range c.ClamAV.Addrs {
		at := fmt.Sprintf("clamav.addrs[%d]", i)
		if path, ok := strings.CutPrefix(a, "unix:"); ok {
			if !strings.HasPrefix(path, "/") {
				d.Fail(at, "a Unix socket is written unix:/path")
			}
			continue
		}
		value.HostPort(d, at, a, false)
	}
	value.OneOf(d, "clamav.on_error", c.ClamAV.OnError, "accept", "tag", "quarantine", "defer")
	if c.ClamAV.Connections <= 0 {
		d.Fail("clamav.connections", "connections must be larger than 0")
	}
	names := map[string]bool{}
	for i, l := range c.Lists {
		at := fmt.Sprintf("lists[%d]", i)
		if l.Name == "" || names[l.Name] {
			d.Fail(at, "a list needs a name of its own")
		}
		names[l.Name] = true
		if zone, keyed := strings.CutPrefix(l.Zone, "{key}."); !address.ValidDomain(zone) {
			d.Fail(at+".zone", "%q is no zone", l.Zone)
		} else if keyed && l.KeyFile == "" {
			d.Fail(at+".zone", "{key} in the zone needs a key_file")
		}
		value.OneOf(d, at+".of", l.Of, "ip", "helo", "domain", "link")
		if len(l.Codes) == 0 {
			d.Fail(at, "a list needs codes: which answers count, and as which symbol")
		}
		for _, code := range sorted(l.Codes) {
			validateCode(d, at+".codes["+code+"]", code, l.Codes[code])
		}
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

func (c *Config) validateRest(d *strict.Document) {
	names := map[string]string{}
	for path, h := range map[string]string{
		"headers.verdict": c.Headers.Verdict, "headers.reasons": c.Headers.Reasons, "headers.unchecked": c.Headers.Unchecked,
		"headers.spam_flag": c.Headers.SpamFlag, "headers.spam_score": c.Headers.SpamScore, "headers.stripped": c.Headers.Stripped, "headers.trace": c.Headers.Trace,
	} {
		if !headerName.MatchString(h) || !strings.HasPrefix(strings.ToLower(h), "x-") {
			d.Fail(path, "%q: our header names begin with X-", h)
		}
		if other := names[strings.ToLower(h)]; other != "" {
			d.Fail(path, "%q is used twice", h)
		}
		names[strings.ToLower(h)] = path
	}
	if c.Quarantine.Cap <= 0 {
		d.Fail("quarantine.cap", "cap must be larger than 0")
	}
	if c.Admin.Addr != "" {
		value.HostPort(d, "admin.addr", c.Admin.Addr, true)
	}
	c.API.Validate(d, "api", "tokens travel over it")
	c.Desk.Validate(d, "desk")
	c.Public.Validate(d, "public")
	c.Digests.Validate(d, "digests")
	for i, a := range c.Alerts.Mail {
		if _, err := address.Parse(a, false); err != nil {
			d.Fail(fmt.Sprintf("alerts.mail[%d]", i), "%q is no address", a)
		}
	}
	if u := c.Alerts.Webhook.URL; u != "" {
		p, err := url.Parse(u)
		if err != nil || p.Scheme != "https" && p.Scheme != "http" || p.Host == "" {
			d.Fail("alerts.webhook.url", "%q is no http or https address", u)
		}
		if c.Alerts.Webhook.SecretFile == "" {
			d.Fail("alerts.webhook", "a webhook needs secret_file: alerts are signed")
		}
	}
	if b := c.Alerts.Backend; b != "" {
		if _, ok := c.Backends[b]; !ok {
			d.Fail("alerts.backend", "there is no backend %q", b)
		}
	}
	value.OneOf(d, "log.level", c.Log.Level, "debug", "info", "warn", "error")
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
