package value

import (
	"fmt"
	"slices"

	"postern/internal/address"
	"postern/internal/strict"
)

// Learning is what is learned of what people call spam and good. Nothing is learned by itself.
type Learning struct {
	Domains []string `yaml:"domains" json:"domains,omitempty" jsonschema:"description=domains that may learn for themselves\\, beside what is learned for all"`
	KeyFile string   `yaml:"key_file" json:"key_file,omitempty" jsonschema:"description=a key in hex under which words are hashed\\, the same on all nodes; empty: one derived from the keys that are there"`
	Keep    int      `yaml:"keep" json:"keep,omitempty" jsonschema:"description=messages of each class that count; the oldest are forgotten for new ones"`
	Aside   int      `yaml:"aside" json:"aside,omitempty" jsonschema:"description=one of so many messages is judged before it is learned\\, for the figures of postern learn status"`
}

// MaxLearnDomains and MaxLearned bound what can be configured.
const (
	MaxLearnDomains = 50
	MaxLearned      = 100_000
)

// DefaultLearning is that of a configuration that says nothing.
func DefaultLearning() Learning { return Learning{Keep: 5000, Aside: 5} }

// Validate says what is wrong.
func (l Learning) Validate(d *strict.Document, at string) {
	if len(l.Domains) > MaxLearnDomains {
		d.Fail(at+".domains", "%d domains; at most %d", len(l.Domains), MaxLearnDomains)
	}
	for n, domain := range l.Domains {
		at := fmt.Sprintf("%s.domains[%d]", at, n)
		if !address.ValidDomain(domain) {
			d.Fail(at, "%q is no domain", domain)
		} else if slices.Index(l.Domains, domain) != n {
			d.Fail(at, "%s stands here twice", domain)
		}
	}
	if l.Keep < 100 || l.Keep > MaxLearned {
		d.Fail(at+".keep", "keep is between 100 and %d", MaxLearned)
	}
	if l.Aside < 2 || l.Aside > 1000 {
		d.Fail(at+".aside", "aside is between 2 and 1000")
	}
}
