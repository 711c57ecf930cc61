package value

import (
	"time"

	"postern/internal/address"
	"postern/internal/strict"
)

// Digests are the letters that tell recipients of their held mail. They need the address of the
// public pages.
type Digests struct {
	From     string `yaml:"from" json:"from,omitempty" jsonschema:"description=who writes them; quarantine@ of the hostname's domain by default"`
	Language string `yaml:"language" json:"language,omitempty" jsonschema:"enum=en,enum=zh-CN,enum=ru,enum=el,description=of recipients who have chosen none"`
	Zone     string `yaml:"zone" json:"zone,omitempty" jsonschema:"description=time zone of recipients who have chosen none: Asia/Shanghai"`
	Hour     int    `yaml:"hour" json:"hour,omitempty" jsonschema:"description=of the day\\, for policies with digest: daily and recipients who have chosen none"`
}

// DefaultDigests are those of a configuration that says nothing.
func DefaultDigests() Digests { return Digests{Language: "en", Zone: "UTC", Hour: 8} }

// Validate says what is wrong.
func (g Digests) Validate(d *strict.Document, at string) {
	if g.From != "" {
		if a, err := address.Parse(g.From, false); err != nil || a.Domain == "" {
			d.Fail(at+".from", "%q is no address", g.From)
		}
	}
	OneOf(d, at+".language", g.Language, "en", "zh-CN", "ru", "el")
	if _, err := time.LoadLocation(g.Zone); err != nil || g.Zone == "Local" {
		d.Fail(at+".zone", "%q is no time zone such as Europe/Athens", g.Zone)
	}
	if g.Hour < 0 || g.Hour > 23 {
		d.Fail(at+".hour", "%d is no hour of the day: 0 to 23", g.Hour)
	}
}
