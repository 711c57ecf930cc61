package bounds

import (
	"fmt"

	"postern/cmd/postern/learning"
	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/filter/bayes/train"
	"postern/internal/config"
	"postern/internal/config/value"
)

// Learning bounds what is learned, and what is taken from one message.
func Learning(c *config.Config) []Row {
	row := func(what string, value any, past string) Row {
		return Row{"learning", what, Shown(value), past, ""}
	}
	const rest = "the rest is not looked at"
	return []Row{
		{"learning", "messages of a class that count", fmt.Sprint(c.Learning.Keep), "the oldest is forgotten", "learning.keep"},
		{"learning", "messages a day of one sender's domain that are learned other than by command or button", fmt.Sprint(c.Learning.Sender), "not learned", "learning.sender"},
		{"learning", "messages a day that one recipient's acts teach", fmt.Sprint(c.Learning.Recipient), "not learned", "learning.recipient"},
		row("messages of a class kept aside that a test looks at", train.MaxTested, "the latest count"),
		row("days that what was forgotten can be taken back", int(train.Regret.Hours()/24), "it leaves the journal"),
		row("messages of a class that can be configured", value.MaxLearned, "refused"),
		row("domains that learn for themselves", value.MaxLearnDomains, "refused"),
		row("messages of a call", train.Batch, "refused"),
		row("bytes of a message that is learned", learning.MaxMessage, "refused"),
		row("bytes of text of a message", token.MaxText, rest),
		row("words of the text", token.MaxWords, rest),
		row("words of the subject", token.MaxSubject, rest),
		row("links", token.MaxLinks, rest),
		row("tokens of a message", token.MaxTokens, rest),
		row("counts remembered between messages", bayes.MaxCached, "all are asked anew"),
	}
}
