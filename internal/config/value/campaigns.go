package value

import (
	"slices"
	"time"

	"postern/internal/strict"
)

// Campaigns is how the copies of one letter are recognised and remembered.
type Campaigns struct {
	On     bool          `yaml:"on" json:"on,omitempty" jsonschema:"description=recognise the copies of one letter by a fuzzy hash of its words\\, and remember who got them"`
	Keep   Duration      `yaml:"keep" json:"keep,omitempty" jsonschema:"description=how long a letter is remembered after its last copy"`
	Delete string        `yaml:"delete" json:"delete,omitempty" jsonschema:"enum=none,enum=desk,description=whose deleting of held mail says that the letter is bad: nobody's\\, or that of the desk"`
	Burst  CampaignBurst `yaml:"burst" json:"burst,omitempty" jsonschema:"description=when a new letter is suspicious because it comes from many places"`
}

// CampaignBurst says how many copies from how many sources are suspicious.
type CampaignBurst struct {
	Messages int      `yaml:"messages" json:"messages,omitempty" jsonschema:"description=copies of a letter that is new; 0 = no number is suspicious"`
	Sources  int      `yaml:"sources" json:"sources,omitempty" jsonschema:"description=unrelated sources that they came from: proved domains of authors\\, else networks"`
	Window   Duration `yaml:"window" json:"window,omitempty" jsonschema:"description=the time within which they came from so many"`
}

// Bounds of what can be configured.
const (
	MinCampaignKeep    = Day
	MaxCampaignKeep    = 60 * Day
	MaxCampaignSources = 60
)

// DefaultCampaigns is that of a configuration that says nothing.
func DefaultCampaigns() Campaigns {
	return Campaigns{
		On: true, Keep: 7 * Day, Delete: LearnDesk,
		Burst: CampaignBurst{Messages: 20, Sources: 8, Window: Duration(time.Hour)},
	}
}

// Validate says what is wrong.
func (c Campaigns) Validate(d *strict.Document, at string) {
	if c.Keep < MinCampaignKeep || c.Keep > MaxCampaignKeep {
		d.Fail(at+".keep", "keep is between %s and %s", MinCampaignKeep, MaxCampaignKeep)
	}
	if !slices.Contains([]string{LearnNone, LearnDesk}, c.Delete) {
		d.Fail(at+".delete", "delete is none or desk")
	}
	if c.Burst.Messages < 0 || c.Burst.Messages > 100_000 {
		d.Fail(at+".burst.messages", "messages is between 0 and 100000")
	}
	if c.Burst.Sources < 2 || c.Burst.Sources > MaxCampaignSources {
		d.Fail(at+".burst.sources", "sources is between 2 and %d", MaxCampaignSources)
	}
	if c.Burst.Window < Duration(time.Minute) || c.Burst.Window > Day {
		d.Fail(at+".burst.window", "window is between 1m and 1d")
	}
}
