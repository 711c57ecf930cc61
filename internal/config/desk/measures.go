package desk

import (
	"fmt"
	"strings"
	"time"

	"postern/internal/address"
	"postern/internal/config/value"
	"postern/internal/strict"
)

// Measures are the measures against local accounts, and when they are taken without a person.
type Measures struct {
	Mode       string         `yaml:"mode" json:"mode,omitempty" jsonschema:"enum=off,enum=shadow,enum=on,description=off: only people take measures; shadow: rules say what they would do; on: rules that a person enabled act"`
	Shadow     value.Duration `yaml:"shadow" json:"shadow,omitempty" jsonschema:"description=how long a new rule runs in shadow before it can be enabled"`
	KillFile   string         `yaml:"kill_file" json:"kill_file,omitempty" jsonschema:"description=while this file exists nothing is done automatically; read without the store; empty: abuse.stop in the state folder"`
	Throttle   Throttle       `yaml:"throttle" json:"throttle,omitempty"`
	TTL        TTL            `yaml:"ttl" json:"ttl,omitempty"`
	Protected  []string       `yaml:"protected" json:"protected,omitempty" jsonschema:"description=accounts\\, local parts or @domains that automation never does more to than throttle; postmaster\\, abuse\\, security\\, noc\\, billing and emergency always"`
	Breaker    Breaker        `yaml:"breaker" json:"breaker,omitempty"`
	GeoCountry string         `yaml:"geo_country" json:"geo_country,omitempty" jsonschema:"description=mmdb file that tells the country of an address; empty: countries do not count"`
	GeoASN     string         `yaml:"geo_asn" json:"geo_asn,omitempty" jsonschema:"description=mmdb file that tells the network operator of an address"`
}

// Throttle is what M1 leaves an account, an hour.
type Throttle struct {
	Messages   int `yaml:"messages" json:"messages,omitempty"`
	Recipients int `yaml:"recipients" json:"recipients,omitempty"`
}

// TTL is how long measures that no person took stand.
type TTL struct {
	Throttle value.Duration `yaml:"throttle" json:"throttle,omitempty"`
	Hold     value.Duration `yaml:"hold" json:"hold,omitempty"`
	Suspend  value.Duration `yaml:"suspend" json:"suspend,omitempty" jsonschema:"description=when a suspension is due for review; it stands until it was reviewed"`
}

// Breaker bounds how many accounts are held or suspended without a person.
type Breaker struct {
	Hourly       int `yaml:"hourly" json:"hourly,omitempty" jsonschema:"description=accounts an hour at least allowed"`
	PerThousand  int `yaml:"per_thousand" json:"per_thousand,omitempty" jsonschema:"description=of a thousand active accounts\\, an hour\\, where that is more"`
	Domain       int `yaml:"domain" json:"domain,omitempty" jsonschema:"description=accounts of a domain in ten minutes"`
	DomainPerDay int `yaml:"domain_per_day" json:"domain_per_day,omitempty" jsonschema:"description=percent of the accounts of a domain a value.Day"`
}

func defaultMeasures() Measures {
	hour := value.Duration(time.Hour)
	return Measures{
		Mode: "shadow", Shadow: 14 * value.Day,
		Throttle: Throttle{Messages: 20, Recipients: 50},
		TTL:      TTL{Throttle: value.Day, Hold: 4 * hour, Suspend: hour},
		Breaker:  Breaker{Hourly: 3, PerThousand: 5, Domain: 1, DomainPerDay: 20},
	}
}

func (a Measures) validate(d *strict.Document) {
	const at = "abuse.measures"
	value.OneOf(d, at+".mode", a.Mode, "off", "shadow", "on")
	if a.Throttle.Messages <= 0 || a.Throttle.Recipients <= 0 {
		d.Fail(at+".throttle", "messages and recipients must be larger than 0")
	}
	if a.TTL.Throttle <= 0 || a.TTL.Hold <= 0 || a.TTL.Suspend <= 0 || a.Shadow < 0 {
		d.Fail(at+".ttl", "throttle, hold and suspend must be larger than 0")
	}
	b := a.Breaker
	if b.Hourly <= 0 || b.Domain <= 0 || b.PerThousand < 0 || b.PerThousand > 1000 || b.DomainPerDay < 0 || b.DomainPerDay > 100 {
		d.Fail(at+".breaker", "hourly and domain must be larger than 0, per_thousand is from 0 to 1000, domain_per_day a percent from 0 to 100")
	}
	for i, who := range a.Protected {
		name := strings.TrimPrefix(who, "@")
		if strings.HasPrefix(who, "@") {
			if !address.ValidDomain(name) {
				d.Fail(fmt.Sprintf("%s.protected[%d]", at, i), "%q is no domain", who)
			}
			continue
		}
		if strings.TrimSpace(who) == "" || strings.ContainsAny(who, " \t\r\n") {
			d.Fail(fmt.Sprintf("%s.protected[%d]", at, i), "%q is no account, local part or @domain", who)
		}
	}
}
