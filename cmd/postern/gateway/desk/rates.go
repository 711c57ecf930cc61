package desk

import (
	"postern/abuse/intake"
	"postern/internal/config"
)

// rates are how many reports of a kind are worked on in full.
func rates(c *config.Config) intake.Rates {
	r := c.Abuse.Intake.Rates
	return intake.Rates{Reporter: r.Reporter, Domain: r.Domain, Feed: r.Feed, Network: r.Network, Unproved: r.Unproved, Target: r.Target}
}
