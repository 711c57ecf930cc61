package config

import "postern/internal/strict"

// Abuse is the abuse desk.
type Abuse struct {
	Intake     AbuseIntake     `yaml:"intake" json:"intake,omitempty"`
	Connectors AbuseConnectors `yaml:"connectors" json:"connectors,omitempty"`
	Answers    AbuseAnswers    `yaml:"answers" json:"answers,omitempty"`
	Calendar   AbuseCalendar   `yaml:"calendar" json:"calendar,omitempty"`
	Measures   AbuseMeasures   `yaml:"measures" json:"measures,omitempty"`
	Trace      AbuseTrace      `yaml:"trace" json:"trace,omitempty"`
}

func defaultAbuse() Abuse {
	return Abuse{Intake: defaultAbuseIntake(), Answers: defaultAbuseAnswers(), Measures: defaultAbuseMeasures(), Trace: defaultAbuseTrace()}
}

func (c *Config) validateAbuse(d *strict.Document) {
	c.Abuse.Intake.validate(d)
	c.Abuse.Measures.validate(d)
	c.Abuse.Trace.validate(d)
	c.Abuse.Connectors.validate(d)
	c.Abuse.Answers.validate(d)
}
