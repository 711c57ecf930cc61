package value

import (
	"time"

	"postern/internal/strict"
)

// Rules is where the operator's rules lie, and what changes of them are rehearsed on.
type Rules struct {
	Dir    string `yaml:"dir" json:"dir,omitempty"`
	Replay Replay `yaml:"replay" json:"replay,omitempty" jsonschema:"description=what verdicts rested on\\, kept for rehearsals of changed rules; no text of mail"`
}

// Replay is what is kept of each judged message for rehearsals.
type Replay struct {
	Keep  Duration `yaml:"keep" json:"keep,omitempty" jsonschema:"description=for how long\\, at least a day; 0: nothing is kept"`
	Bytes Size     `yaml:"bytes" json:"bytes,omitempty" jsonschema:"description=most bytes of a node; above that a sample is kept"`
}

// Bounds of what is kept for rehearsals.
const (
	MaxReplay  = 90 * Day
	LeastBytes = 1_000_000
)

// DefaultRules are those of a configuration that says nothing.
func DefaultRules() Rules {
	return Rules{Dir: "/etc/postern/rules.d", Replay: Replay{Keep: 7 * Day, Bytes: 64e6}}
}

// Validate says what is wrong.
func (r Replay) Validate(d *strict.Document, at string) {
	if r.Keep != 0 && (r.Keep < Day || r.Keep > MaxReplay) {
		d.Fail(at+".keep", "keep is 0, or between %s and %s", time.Duration(Day), time.Duration(MaxReplay))
	}
	if r.Keep != 0 && r.Bytes < LeastBytes {
		d.Fail(at+".bytes", "%d bytes hold no sample of a day: at least %d", r.Bytes, LeastBytes)
	}
}
