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
		words = inEnglish(c.set.book.Symbols[greyNew].Describe, "This sender is new here") + ", please try again in a few minutes"
	case acting == v.Action:
		otherwise := "A rule of this server refuses the message"
		if v.Action == filter.Defer {
			otherwise = "A rule of this server asks to try again later"
		}
		words = inEnglish(v.Reasons[0].Describe, otherwise) // the reasons begin with the largest action
	case v.Action == filter.Defer:
		words = "The message could not be checked completely, please try again later"
	default:
		words = "The message was judged to be spam" + heaviest(v.Reasons)
	}
	code := "550 5.7.1 "
	if v.Action == filter.Defer {
		code = "451 4.7.1 "
	}
	return code + words + " (ref " + c.m.ID + ")"
}

// heaviest is the sentence of the reason that added most, behind a colon.
func heaviest(reasons []filter.Reason) string {
	var worst filter.Reason
	for _, r := range reasons {
		if r.Score > worst.Score {
			worst = r
		}
	}
	if !plain(worst.Describe) {
		return ""
	}
	return ": " + worst.Describe
}

// plain reports whether a sentence is one that every SMTP client reads: operators may write
// theirs in any language, a reply is printable ASCII.
func plain(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// inEnglish is a sentence, or another one where it cannot stand in a reply.
func inEnglish(sentence, otherwise string) string {
	if plain(sentence) {
		return sentence
	}
	return otherwise
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
