package value

import (
	"fmt"
	"slices"
	"strings"

	"postern/internal/address"
	"postern/internal/strict"
)

// TestInbox keeps the mail of some domains for tests of other programs.
type TestInbox struct {
	Domains  []string `yaml:"domains" json:"domains,omitempty" jsonschema:"description=their mail is judged as any other\\, kept here and relayed nowhere"`
	Messages int      `yaml:"messages" json:"messages,omitempty" jsonschema:"description=most messages kept; the oldest goes first"`
	Bytes    Size     `yaml:"bytes" json:"bytes,omitempty" jsonschema:"description=most bytes kept; the oldest goes first"`
	Keep     Duration `yaml:"keep" json:"keep,omitempty" jsonschema:"description=how long a message is kept"`
}

// MaxTestDomains and MaxTestMessages bound what can be configured.
const (
	MaxTestDomains  = 50
	MaxTestMessages = 10_000
)

// DefaultTestInbox is that of a configuration that says nothing.
func DefaultTestInbox() TestInbox { return TestInbox{Messages: 1000, Bytes: 100e6, Keep: 3 * Day} }

// Has reports whether mail of a domain is kept for tests.
func (i TestInbox) Has(domain string) bool {
	if len(i.Domains) == 0 || domain == "" {
		return false
	}
	domain = strings.ToLower(domain)
	if ascii, err := address.ToASCII(domain); err == nil {
		domain = ascii
	}
	return slices.ContainsFunc(i.Domains, func(d string) bool {
		if ascii, err := address.ToASCII(d); err == nil {
			d = ascii
		}
		return d == domain
	})
}

// Validate says what is wrong; routed reports whether a domain has a route.
func (i TestInbox) Validate(d *strict.Document, at string, routed func(domain string) bool) {
	if len(i.Domains) > MaxTestDomains {
		d.Fail(at+".domains", "%d domains; at most %d", len(i.Domains), MaxTestDomains)
	}
	for n, domain := range i.Domains {
		at := fmt.Sprintf("%s.domains[%d]", at, n)
		switch {
		case !address.ValidDomain(domain):
			d.Fail(at, "%q is no domain", domain)
		case domain != strings.ToLower(domain):
			d.Fail(at, "write domains in lower case: %q", strings.ToLower(domain))
		case routed(domain):
			d.Fail(at, "%s has a route as well: its mail is either kept for tests or relayed", domain)
		case slices.Index(i.Domains, domain) != n:
			d.Fail(at, "%s stands here twice", domain)
		}
	}
	if i.Messages < 1 || i.Messages > MaxTestMessages {
		d.Fail(at+".messages", "messages is between 1 and %d", MaxTestMessages)
	}
	if i.Bytes <= 0 {
		d.Fail(at+".bytes", "bytes must be larger than 0")
	}
	if i.Keep <= 0 {
		d.Fail(at+".keep", "keep must be larger than 0")
	}
}
