package bounds

import (
	"postern/cmd/postern/campaigns"
	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
	"postern/internal/config"
	"postern/internal/config/value"
	local "postern/internal/store/local/campaign"
	redis "postern/internal/store/redis/campaign"
)

// Campaigns bounds what is remembered of letters, and what is looked at of one.
func Campaigns(c *config.Config) []Row {
	row := func(what string, value any, past string) Row {
		return Row{"campaigns", what, Shown(value), past, ""}
	}
	return []Row{
		{"campaigns", "time that a letter is remembered after its last copy", c.Campaigns.Keep.String(), "it is forgotten", "campaigns.keep"},
		row("days that can be configured", int(value.MaxCampaignKeep/value.Day), "refused"),
		row("bytes of text of a message", simhash.MaxText, "the rest is not looked at"),
		row("different words that a message has at least", simhash.Least, "with fewer it is not recognised"),
		row("fuzzy hashes kept in the embedded home", local.MaxPrints, "those seen longest ago are forgotten"),
		row("new fuzzy hashes a day on Redis, of all nodes", redis.NewPrints, "not remembered; the log says so"),
		row("copies of one hash that are kept one by one", campaign.MaxCopies, "the oldest are counted alone"),
		row("recipients of a copy", campaign.MaxTo, "counted"),
		row("sources of one hash", campaign.MaxSources, "the one seen longest ago is forgotten"),
		row("hashes near one that an answer has", campaign.MaxNear, "the nearest count"),
		row("opinions on letters", opinion.Max, "the oldest is forgotten"),
		row("days that an opinion counts", int(opinion.Keep.Hours()/24), "it is forgotten"),
		row("letters of a list", campaigns.MaxListed, "the answer says that there are more"),
	}
}
