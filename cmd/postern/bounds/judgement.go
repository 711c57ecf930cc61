package bounds

import (
	"postern/filter/header"
	"postern/filter/link"
	"postern/filter/page"
	"postern/internal/mime/style"
	"postern/internal/mime/view"
	"postern/rules/look"
	"postern/rules/pattern"
	"postern/rules/spamassassin"
	"postern/rules/spamassassin/cf"
	"postern/rules/spamassassin/perlre"
)

// Judgement bounds what checks and patterns compare of one message, and what is read of rules
// that come from elsewhere.
func Judgement() []Row {
	row := func(room, what string, value any, past string) Row { return Row{room, what, Shown(value), past, ""} }
	const rest = "the rest is not looked at"
	const refused, left = "refused", "the rule is left out, with the reason"
	return []Row{
		row("checks", "authors and readers of a message that are compared", header.MaxAuthors, rest),
		row("checks", "Received fields that are compared", header.MaxHops, rest),
		row("checks", "organisations of links that are compared", link.MaxOrgs, rest),
		row("checks", "elements of a page within each other", view.MaxDepth, "look like those around them"),
		row("checks", "stretches of hidden text of a message", view.MaxSpans, "count as shown"),
		row("checks", "forms of a message", view.MaxForms, rest),
		row("checks", "bytes of style sheets of a page", style.MaxSheets, rest),
		row("checks", "selectors of them", style.MaxRules, rest),
		row("checks", "bytes of pages that hidden words are looked up in", page.MaxCompared, rest),
		row("patterns", "bytes of a text that every expression is asked over, spread over head and tail of each part", pattern.MaxText, "elsewhere only where words of it stand; PATTERNS_CUT"),
		row("patterns", "bytes of a longer text that one expression is asked over around its words", pattern.MaxText, "the rest is not looked at"),
		row("patterns", "bytes of a message as received", look.RawBytes, rest),
		row("patterns", "links, file names or fields of one name", look.MaxValues, rest),
		row("patterns", "bytes of one of them", look.ValueBytes, rest),
		row("patterns", "bytes of fields that are read together", look.MaxBlock, rest),
		row("rules import", "bytes of a file", cf.MaxFile, refused),
		row("rules import", "files", cf.MaxFiles, refused),
		row("rules import", "rules", cf.MaxRules, refused),
		row("rules import", "bytes of an expression of Perl", perlre.MaxSource, left),
		row("rules import", "groups of it inside each other", perlre.MaxDepth, left),
		row("rules import", "bytes of an expression that is written", spamassassin.MaxMatch, left),
	}
}
