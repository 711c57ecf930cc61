package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"postern/internal/address"
	"postern/internal/config/value"
	"postern/internal/strict"
)

// rateNames are what rates can bound.
var rateNames = []string{"ip", "net", "domain", "account", "account_recipients", "recipient", "bad_recipient", "errors"}

// listCode is an answer of a DNS list: an address, a prefix, * for any octet, or &N for an
// octet that has the bits of N.
var listCode = regexp.MustCompile(`^127(\.(\d{1,3}|\*|&[1-9]\d{0,2})){3}$|^127(\.\d{1,3}){3}/\d{1,2}$`)

// validateCode keeps out answers that are errors by RFC 5782 and the lists' own terms.
func validateCode(d *strict.Document, at, code, symbol string) {
	plain := strings.NewReplacer("*", "0", "&", "").Replace(code)
	if !strings.Contains(plain, "/") {
		plain += "/32"
	}
	p, err := netip.ParsePrefix(plain)
	switch {
	case !listCode.MatchString(code) || err != nil || p.Bits() < 8:
		d.Fail(at, "%q is no answer of a list (127.0.0.2, 127.0.0.0/28, 127.0.*.2, 127.0.0.&4)", code)
	case strings.HasPrefix(code, "127.255.255.") || code == "127.0.0.1":
		d.Fail(at, "%s is an error answer, never a listing", code)
	}
	if !symbolName.MatchString(symbol) {
		d.Fail(at, "%q is no symbol (UPPER_SNAKE)", symbol)
	}
}

func (c *Config) validateAuth(d *strict.Document) {
	for _, author := range sorted(c.Auth.TrustedSealers) {
		at := "auth.trusted_sealers[" + author + "]"
		if author != "*" && !address.ValidDomain(author) {
			d.Fail(at, "%q is no domain (or *)", author)
		}
		for i, sealer := range c.Auth.TrustedSealers[author] {
			if !address.ValidDomain(sealer) {
				d.Fail(fmt.Sprintf("%s[%d]", at, i), "%q is no domain", sealer)
			}
		}
	}
	if c.Auth.ArcDomain != "" && !address.ValidDomain(c.Auth.ArcDomain) {
		d.Fail("auth.arc_domain", "%q is no domain", c.Auth.ArcDomain)
	}
	names := map[string]bool{}
	for i, f := range c.Auth.Forwarders {
		at := fmt.Sprintf("auth.forwarders[%d]", i)
		if f.Name == "" || names[f.Name] {
			d.Fail(at, "a forwarder needs a name of its own")
		}
		names[f.Name] = true
		if len(f.Networks) == 0 && len(f.Hosts) == 0 {
			d.Fail(at, "a forwarder needs networks or hosts")
		}
		for j, n := range f.Networks {
			if n.Bits() == 0 {
				d.Fail(fmt.Sprintf("%s.networks[%d]", at, j), "%s is everybody", n)
			}
		}
		for j, h := range f.Hosts {
			if bare := strings.TrimPrefix(h, "*."); !address.ValidDomain(bare) || !strings.Contains(bare, ".") {
				d.Fail(fmt.Sprintf("%s.hosts[%d]", at, j), "%q is no host (or *.domain)", h)
			}
		}
		for j, to := range f.For {
			if !isAddressOrDomain(to) {
				d.Fail(fmt.Sprintf("%s.for[%d]", at, j), "%q is neither an address nor a domain", to)
			}
		}
	}
}

func isAddressOrDomain(s string) bool {
	if strings.Contains(s, "@") {
		_, err := address.Parse(s, true)
		return err == nil
	}
	return address.ValidDomain(s)
}

func (c *Config) validateSenders(d *strict.Document) {
	for i, l := range c.Listeners {
		at := fmt.Sprintf("listeners[%d].senders", i)
		if l.Kind == KindInbound && l.Senders != "" {
			d.Fail(at, "senders belongs to submission and smarthost listeners")
		} else if l.Senders != "" {
			value.OneOf(d, at, l.Senders, SendersOwn, SendersHosted, SendersAny)
		}
	}
	for _, as := range sorted(c.Senders.Allow) {
		at := "senders.allow[" + as + "]"
		if !strings.Contains(as, "@") || !isAddressOrDomain(strings.TrimPrefix(as, "@")) {
			d.Fail(at, "%q is neither an address nor @domain", as)
		}
		if len(c.Senders.Allow[as]) == 0 {
			d.Fail(at, "nobody may write as %q: name accounts or leave it out", as)
		}
		if slices.Contains(c.Senders.Allow[as], "") {
			d.Fail(at, "an account has no name")
		}
	}
}

func (c *Config) validateGreylist(d *strict.Document) {
	g := c.Greylist
	if g.Wait <= 0 || g.RetryWithin <= g.Wait || g.Remember <= 0 {
		d.Fail("greylist", "wait must be larger than 0, retry_within larger than wait, remember larger than 0")
	}
}

func (c *Config) validateReports(d *strict.Document) {
	r := c.Reports
	if r.Size <= 0 || r.Day <= 0 || r.Keep <= 0 {
		d.Fail("reports", "size, day and keep must be larger than 0")
	}
	if r.From != "" {
		if _, err := address.Parse(r.From, false); err != nil {
			d.Fail("reports.from", "%q is no address", r.From)
		}
	} else if r.Send {
		d.Fail("reports.from", "reports that are sent need a From")
	}
	for i, a := range r.Receive {
		if _, err := address.Parse(a, false); err != nil {
			d.Fail(fmt.Sprintf("reports.receive[%d]", i), "%q is no address", a)
		}
	}
	if r.Send && c.Egress == "" {
		d.Fail("reports.send", "reports go out through egress, and there is none")
	}
}

// MaxPeople names of people are compared, each of at most MaxPerson bytes.
const (
	MaxPeople = 10_000
	MaxPerson = 200
)

func (c *Config) validatePeople(d *strict.Document) {
	if len(c.People) > MaxPeople {
		d.Fail("people", "%d names; at most %d are compared", len(c.People), MaxPeople)
	}
	for i, p := range c.People {
		at := fmt.Sprintf("people[%d]", i)
		switch {
		case len(strings.Fields(p)) < 2:
			d.Fail(at, "%q is no full name: one word is shared by too many", p)
		case len(p) > MaxPerson:
			d.Fail(at, "a name of %d bytes; at most %d are compared", len(p), MaxPerson)
		case strings.Contains(p, "@"):
			d.Fail(at, "%q is an address; write the name that is shown", p)
		}
	}
}
