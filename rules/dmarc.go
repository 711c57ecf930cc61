package rules

import (
	"slices"
	"strings"

	"postern/filter"
)

// evidence are the symbols that speak for a mail whose DMARC fails: a hop we trust vouches
// for it, a forwarder or list we know handed it on, its source proved the author before, or
// the operator does.
var evidence = [...]string{"ARC_TRUSTED", "FORWARDER_KNOWN", "LIST_KNOWN", "SOURCE_KNOWN", "OWN_ALLOW"}

// provingSteps are the steps that find DMARC's result or evidence. While one of them could
// not tell, a domain owner's wish holds the mail and never refuses it.
var provingSteps = [...]string{"spf", "dkim+dmarc", "arc", "history", "own-lists"}

// asked maps what the policy makes of the domain owner's wish.
func (c *judgement) asked(symbol string) filter.Action {
	if symbol == "DMARC_REJECT" {
		return wish(c.policy.DMARC.Reject)
	}
	return wish(c.policy.DMARC.Quarantine)
}

func wish(word string) filter.Action {
	switch word {
	case "honour":
		return filter.Reject
	case "hold":
		return filter.Quarantine
	case "tag":
		return filter.Tag
	default:
		return filter.Accept
	}
}

// heeded lowers the wish when other evidence speaks for the mail, and below a refusal while
// authentication could not tell everything.
func (c *judgement) heeded(a filter.Action) filter.Action {
	if c.firstFired(evidence[:]) != "" {
		a = min(a, wish(c.policy.DMARC.OnList))
	}
	if c.doubtful() {
		a = min(a, filter.Quarantine)
	}
	return a
}

// doubtful reports that a later try may well find what is missing now.
func (c *judgement) doubtful() bool {
	return c.unsure || c.fired["DMARC_TEMPERROR"] || c.fired["ARC_TEMPERROR"]
}

// softened are the symbols that lowered a wish of the domain owner.
func (c *judgement) softened() []string {
	var by []string
	for _, wished := range [...]string{"DMARC_REJECT", "DMARC_QUARANTINE"} {
		if !c.before && c.fired[wished] && wish(c.policy.DMARC.OnList) < c.asked(wished) {
			for _, s := range evidence {
				if c.fired[s] {
					by = append(by, s)
				}
			}
			return by
		}
	}
	return nil
}

// dmarcNote says which evidence softened the owner's wish, with what was seen of it.
func (c *judgement) dmarcNote(symbol string) string {
	a := c.asked(symbol)
	if c.heeded(a) == a {
		return ""
	}
	var by []string
	for _, s := range evidence {
		if c.fired[s] {
			by = append(by, strings.TrimSuffix(s+": "+joined(c.detail[s]), ": "))
		}
	}
	if len(by) == 0 {
		return "not refused: authentication could not tell everything"
	}
	return "softened by " + strings.Join(by, "; ")
}

// SpeakFor are the symbols that the judge looks at itself, beside what rules say of them: they
// speak for a mail, or raise doubt.
func SpeakFor() []string {
	return slices.Concat(evidence[:], proven[:], []string{greyNew, "DMARC_REJECT", "DMARC_QUARANTINE", "DMARC_TEMPERROR", "ARC_TEMPERROR", virus})
}
