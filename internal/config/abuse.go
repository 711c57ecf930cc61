package config

import "postern/internal/strict"

// Abuse is the abuse desk.
type Abuse struct {
	Measures AbuseMeasures `yaml:"measures" json:"measures,omitempty"`
}

func defaultAbuse() Abuse { return Abuse{Measures: defaultAbuseMeasures()} }

func (c *Config) validateAbuse(d *strict.Document) { c.Abuse.Measures.validate(d) }
