package value

import (
	"fmt"
	"slices"

	"postern/internal/address"
	"postern/internal/strict"
)

// Learning is what is learned of what people call spam and good. Nothing is learned by itself
// unless Auto says so.
type Learning struct {
	Domains   []string  `yaml:"domains" json:"domains,omitempty" jsonschema:"description=domains that may learn for themselves\\, beside what is learned for all"`
	KeyFile   string    `yaml:"key_file" json:"key_file,omitempty" jsonschema:"description=a key in hex under which words are hashed\\, the same on all nodes; empty: one derived from the keys that are there"`
	Keep      int       `yaml:"keep" json:"keep,omitempty" jsonschema:"description=messages of each class that count; the oldest are forgotten for new ones"`
	Aside     int       `yaml:"aside" json:"aside,omitempty" jsonschema:"description=one of so many messages is kept aside\\, to test what is learned; 0 = none"`
	Release   string    `yaml:"release" json:"release,omitempty" jsonschema:"enum=none,enum=desk,enum=all,description=whose release of held mail teaches that it is good: nobody's\\, that of the desk\\, or that of recipients too"`
	Delete    string    `yaml:"delete" json:"delete,omitempty" jsonschema:"enum=none,enum=desk,enum=all,description=whose deleting of held mail teaches that it is spam"`
	Report    bool      `yaml:"report" json:"report,omitempty" jsonschema:"description=mail that a user hands in at the desk teaches that it is spam\\, where it is proved that it came in here"`
	Sender    int       `yaml:"sender" json:"sender,omitempty" jsonschema:"description=messages a day of one sender's domain that are learned other than by command or button"`
	Recipient int       `yaml:"recipient" json:"recipient,omitempty" jsonschema:"description=messages a day that are learned by what one recipient does; of one sender it is one"`
	Auto      LearnAuto `yaml:"auto" json:"auto,omitempty" jsonschema:"description=learning without anybody who says so\\, of mail with a clear verdict"`
}

// LearnAuto is learning without a person.
type LearnAuto struct {
	On    bool `yaml:"on" json:"on,omitempty" jsonschema:"description=learn of clear verdicts"`
	Ham   int  `yaml:"ham" json:"ham,omitempty" jsonschema:"description=mail of known and proved senders with at most so many points is good; those of BAYES_ symbols do not count"`
	Spam  int  `yaml:"spam" json:"spam,omitempty" jsonschema:"description=mail with at least so many points is spam; those of BAYES_ symbols do not count"`
	Ratio int  `yaml:"ratio" json:"ratio,omitempty" jsonschema:"description=neither class grows by itself beyond so many times the other"`
}

// Who teaches by what they do with held mail.
const (
	LearnNone = "none"
	LearnDesk = "desk"
	LearnAll  = "all"
)

// MaxLearnDomains and MaxLearned bound what can be configured.
const (
	MaxLearnDomains = 50
	MaxLearned      = 100_000
)

// DefaultLearning is that of a configuration that says nothing.
func DefaultLearning() Learning {
	return Learning{
		Keep: 5000, Aside: 10, Release: LearnDesk, Delete: LearnNone, Sender: 3, Recipient: 5,
		Auto: LearnAuto{Ham: -1, Spam: 12, Ratio: 3},
	}
}

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
	if l.Aside != 0 && (l.Aside < 2 || l.Aside > 1000) {
		d.Fail(at+".aside", "aside is 0, or between 2 and 1000")
	}
	for name, who := range map[string]string{"release": l.Release, "delete": l.Delete} {
		if !slices.Contains([]string{LearnNone, LearnDesk, LearnAll}, who) {
			d.Fail(at+"."+name, "%s is none, desk or all", name)
		}
	}
	for name, n := range map[string]int{"sender": l.Sender, "recipient": l.Recipient} {
		if n < 1 || n > 1000 {
			d.Fail(at+"."+name, "%s is between 1 and 1000", name)
		}
	}
	l.Auto.validate(d, at+".auto")
}

func (a LearnAuto) validate(d *strict.Document, at string) {
	if a.Ham < -50 || a.Ham > 0 {
		d.Fail(at+".ham", "ham is between -50 and 0 points")
	}
	if a.Spam < 5 || a.Spam > 100 {
		d.Fail(at+".spam", "spam is between 5 and 100 points")
	}
	if a.Ratio < 1 || a.Ratio > 20 {
		d.Fail(at+".ratio", "ratio is between 1 and 20")
	}
}
