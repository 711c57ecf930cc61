package desk

import (
	"net/url"
	"time"

	"postern/internal/address"
	"postern/internal/strict"
)

// Answers are the letters of the desk.
type Answers struct {
	Off     bool   `yaml:"off" json:"off,omitempty" jsonschema:"description=write no letters"`
	From    string `yaml:"from" json:"from,omitempty" jsonschema:"description=address of the desk; abuse@ of the hostname's domain by default"`
	Aliases string `yaml:"aliases" json:"aliases,omitempty" jsonschema:"description=domain under which each case has an address to answer to; that of from by default; its mail must come here"`
	Name    string `yaml:"name" json:"name,omitempty" jsonschema:"description=who signs"`
	Hours   string `yaml:"hours" json:"hours,omitempty" jsonschema:"description=when people are there\\, as letters say it"`
	Zone    string `yaml:"zone" json:"zone,omitempty" jsonschema:"description=time zone of the letters: Asia/Shanghai"`
	Dir     string `yaml:"dir" json:"dir,omitempty" jsonschema:"description=folder with own wording: en.txt\\, zh.txt\\, ru.txt\\, el.txt"`
	Link    string `yaml:"link" json:"link,omitempty" jsonschema:"description=web address of the state of a case\\, {case} stands for it"`
}

func defaultAnswers() Answers {
	return Answers{Name: "Abuse desk", Hours: "Monday to Friday, 09:00-18:00", Zone: "UTC"}
}

func (a Answers) validate(d *strict.Document) {
	const at = "abuse.answers."
	if a.From != "" {
		if p, err := address.Parse(a.From, false); err != nil || p.Domain == "" {
			d.Fail(at+"from", "%q is no address", a.From)
		}
	}
	if a.Aliases != "" && !address.ValidDomain(a.Aliases) {
		d.Fail(at+"aliases", "%q is no domain", a.Aliases)
	}
	if _, err := time.LoadLocation(a.Zone); err != nil || a.Zone == "Local" {
		d.Fail(at+"zone", "%q is no time zone such as Europe/Athens", a.Zone)
	}
	if a.Name == "" || len(a.Name) > 200 || len(a.Hours) > 200 {
		d.Fail(at+"name", "a name is needed; name and hours have at most 200 octets")
	}
	if a.Link != "" {
		if u, err := url.Parse(a.Link); err != nil || u.Scheme != "https" || u.Host == "" {
			d.Fail(at+"link", "%q is no https address", a.Link)
		}
	}
}
