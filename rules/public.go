package rules

import (
	"slices"
	"strings"

	"postern/filter"
	"postern/rules/book"
	"postern/rules/who"
)

// public is the sentence a stranger may read; only refusals have one. It names the one reason
// that mattered as its rule puts it, never what was seen: that may be the stranger's own text.
func (c *judgement) public(v filter.Verdict, acting filter.Action) string {
	var words string
	switch {
	case v.Action < filter.Defer:
		return ""
	case v.Greylisted:
		words = c.set.book.Symbols[greyNew].Describe + ", please try again in a few minutes"
	case acting == v.Action:
		words = v.Reasons[0].Describe // the reasons begin with the largest action
	case v.Action == filter.Defer:
		words = "The message could not be checked completely, please try again later"
	default:
		words = "The message was judged to be spam" + heaviest(v.Reasons)
	}
	code := "550 5.7.1 "
	if v.Action == filter.Defer {
		code = "451 4.7.1 "
	}
	return code + printable(words) + " (ref " + c.m.ID + ")"
}

// heaviest is the sentence of the reason that added most, behind a colon.
func heaviest(reasons []filter.Reason) string {
	var worst filter.Reason
	for _, r := range reasons {
		if r.Score > worst.Score {
			worst = r
		}
	}
	if worst.Describe == "" {
		return ""
	}
	return ": " + worst.Describe
}

// printable keeps a reply inside what every SMTP client reads.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// mustReach reports that all of the recipients are mailboxes that take mail from everybody
// until the body is judged, so that who is refused can ask why (RFC 5321 section 4.5.1,
// RFC 2142).
func mustReach(to []filter.Recipient) bool {
	return len(to) > 0 && !slices.ContainsFunc(to, func(r filter.Recipient) bool {
		local := who.Local(who.Base(book.MapKey(r.Address)))
		return local != "postmaster" && local != "abuse"
	})
}
