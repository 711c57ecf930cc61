package desk

import (
	"fmt"
	"strings"

	"postern/internal/address"
	"postern/internal/config/value"
	"postern/internal/strict"
)

// Intake is what the abuse desk takes in. Mail to abuse@ of every routed domain is its
// own, whatever is in it.
type Intake struct {
	Off       bool           `yaml:"off" json:"off,omitempty" jsonschema:"description=leave mail to abuse@ to its mailbox"`
	Addresses []string       `yaml:"addresses" json:"addresses,omitempty" jsonschema:"description=further addresses of the desk\\, in any case and with any +tag; those of feedback loops are registered with the program"`
	CopyTo    string         `yaml:"copy_to" json:"copy_to,omitempty" jsonschema:"description=mailbox that gets of each report one text without attachments and with dead links"`
	Keep      value.Duration `yaml:"keep" json:"keep,omitempty" jsonschema:"description=how long reports are kept that no case holds"`
	Rates     IntakeRates    `yaml:"rates" json:"rates,omitempty"`
}

// IntakeRates are reports an hour that are worked on in full; those above are kept and counted
// in one line. 0 is the default, -1 no bound.
type IntakeRates struct {
	Reporter int `yaml:"reporter" json:"reporter,omitempty" jsonschema:"description=of one proved reporter; default 60"`
	Domain   int `yaml:"domain" json:"domain,omitempty" jsonschema:"description=of all proved reporters of a domain; default 300"`
	Feed     int `yaml:"feed" json:"feed,omitempty" jsonschema:"description=of one feedback loop; default 3600"`
	Network  int `yaml:"network" json:"network,omitempty" jsonschema:"description=of one network whose reports nothing proves; default 20"`
	Unproved int `yaml:"unproved" json:"unproved,omitempty" jsonschema:"description=of all that nothing proves; default 120"`
	Target   int `yaml:"target" json:"target,omitempty" jsonschema:"description=without a vote\\, about one account; default 60"`
}

func defaultIntake() Intake { return Intake{Keep: 180 * value.Day} }

func (a Intake) validate(d *strict.Document) {
	const at = "abuse.intake"
	for i, addr := range a.Addresses {
		p, err := address.Parse(addr, true)
		switch {
		case err != nil || p.Domain == "":
			d.Fail(fmt.Sprintf("%s.addresses[%d]", at, i), "%.100q is no address", addr)
		case strings.EqualFold(p.Local, "postmaster"):
			d.Fail(fmt.Sprintf("%s.addresses[%d]", at, i), "postmaster@ keeps its mailbox; complaints among its mail are copied to the desk anyway")
		}
	}
	if a.CopyTo != "" {
		if p, err := address.Parse(a.CopyTo, true); err != nil || p.Domain == "" {
			d.Fail(at+".copy_to", "%.100q is no address", a.CopyTo)
		}
	}
	if a.Keep < 180*value.Day {
		d.Fail(at+".keep", "%s is too short: evidence is kept at least 180 days", a.Keep)
	}
	r := a.Rates
	if min(r.Reporter, r.Domain, r.Feed, r.Network, r.Unproved, r.Target) < -1 {
		d.Fail(at+".rates", "a rate is a number an hour, 0 for the default or -1 for no bound")
	}
}
