package config

import "postern/internal/strict"

// Abuse is the abuse desk.
type Abuse struct {
	Measures AbuseMeasures `yaml:"measures" json:"measures,omitempty"`
	Trace    AbuseTrace    `yaml:"trace" json:"trace,omitempty"`
}

func defaultAbuse() Abuse { return Abuse{Measures: defaultAbuseMeasures(), Trace: defaultAbuseTrace()} }

func (c *Config) validateAbuse(d *strict.Document) {
	c.Abuse.Measures.validate(d)
	c.Abuse.Trace.validate(d)
}
