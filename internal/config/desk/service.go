package desk

import (
	"fmt"
	"time"

	"postern/internal/config/value"
	"postern/internal/strict"
)

// Service is what the figures of the service guarantee are made of.
type Service struct {
	Off   bool           `yaml:"off" json:"off,omitempty" jsonschema:"description=do not look at our own doors: no reachability"`
	Probe value.Duration `yaml:"probe" json:"probe,omitempty" jsonschema:"description=how often each door is looked at; a minute counts as failed when a look in it did"`
	Also  []Door         `yaml:"also" json:"also,omitempty" jsonschema:"description=more doors to look at: those of another node\\, of an address translation"`
}

// Door is one more thing to look at.
type Door struct {
	Group string `yaml:"group" json:"group" jsonschema:"description=what it counts for: smtp-in\\, submission\\, web\\, or a name of its own"`
	Addr  string `yaml:"addr" json:"addr" jsonschema:"description=host:port"`
	TLS   bool   `yaml:"tls" json:"tls,omitempty" jsonschema:"description=TLS from the first octet on"`
	Web   bool   `yaml:"web" json:"web,omitempty" jsonschema:"description=HTTP\\, else SMTP"`
	Band  string `yaml:"band" json:"band,omitempty" jsonschema:"enum=narrow,enum=broad,description=of a web door: over what line it is looked at; empty: it counts for no page time"`
}

// maxDoors bounds Service.Also.
const maxDoors = 50

func defaultService() Service { return Service{Probe: value.Duration(time.Minute)} }

func (s Service) validate(d *strict.Document) {
	const at = "abuse.service."
	if p := time.Duration(s.Probe); p < time.Second || p > time.Minute {
		d.Fail(at+"probe", "%s is not between 1s and 1m", p)
	}
	if len(s.Also) > maxDoors {
		d.Fail(at+"also", "at most %d", maxDoors)
	}
	for i, door := range s.Also {
		place := fmt.Sprintf("%salso[%d]", at, i)
		value.HostPort(d, place+".addr", door.Addr, true)
		if door.Group == "" || len(door.Group) > 40 {
			d.Fail(place+".group", "a name of at most 40 octets is needed")
		}
		if b := door.Band; b != "" && (!door.Web || b != "narrow" && b != "broad") {
			d.Fail(place+".band", "%q: narrow or broad, of a door with web: true", b)
		}
	}
}
