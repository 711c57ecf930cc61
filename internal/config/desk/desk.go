// Package desk is the part of the configuration that is about the abuse desk.
package desk

import "postern/internal/strict"

// Abuse is the abuse desk.
type Abuse struct {
	Intake     Intake     `yaml:"intake" json:"intake,omitempty"`
	External   External   `yaml:"external" json:"external,omitempty"`
	Listings   Listings   `yaml:"listings" json:"listings,omitempty"`
	Connectors Connectors `yaml:"connectors" json:"connectors,omitempty"`
	Answers    Answers    `yaml:"answers" json:"answers,omitempty"`
	Calendar   Calendar   `yaml:"calendar" json:"calendar,omitempty"`
	Measures   Measures   `yaml:"measures" json:"measures,omitempty"`
	Signals    Signals    `yaml:"signals" json:"signals,omitempty"`
	Trace      Trace      `yaml:"trace" json:"trace,omitempty"`
	Service    Service    `yaml:"service" json:"service,omitempty" jsonschema:"description=figures of the service guarantee"`
}

// Default is the desk of a configuration that says nothing.
func Default() Abuse {
	return Abuse{External: defaultExternal(), Intake: defaultIntake(), Answers: defaultAnswers(), Measures: defaultMeasures(), Trace: defaultTrace(), Service: defaultService()}
}

// Validate says what is wrong, each at its place.
func (a Abuse) Validate(d *strict.Document) {
	a.Intake.validate(d)
	a.External.validate(d)
	a.Listings.validate(d)
	a.Measures.validate(d)
	a.Signals.validate(d)
	a.Trace.validate(d)
	a.Service.validate(d)
	a.Connectors.validate(d)
	a.Answers.validate(d)
}
