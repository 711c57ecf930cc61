package bounds

import (
	"postern/abuse/external/aws"
	"postern/abuse/external/order"
	"postern/abuse/external/published"
	"postern/abuse/listing"
	"postern/cmd/postern/sources"
)

// Sources bound the work on sources elsewhere, published lists and our own listings.
func Sources() []Row {
	row := func(what string, value any, past string) Row {
		return Row{"sources elsewhere", what, Shown(value), past, ""}
	}
	return []Row{
		row("octets of a message that is evidence", sources.ReadMost, "refused"), row("prefix of a blocked network, at least", order.Widest4, "refused"),
		row("the same of IPv6", order.Widest6, "refused"), row("time a block stands without being renewed", order.MaxUntil, "refused"),
		row("octets of a published list", published.MaxFile, "refused"), row("entries of a published list", published.MaxLines, "refused"),
		row("octets of the file of AWS's ranges", aws.MaxRanges, "refused"), row("prefixes in it", aws.MaxPrefixes, "refused"),
		row("time a call to AWS may take", aws.Timeout, "tried again"), row("octets of its answer", aws.MaxAnswer, "the rest is left unread"),
		row("time a report to AWS is tried", aws.GiveUp, "it failed"), row("calls to AWS in 30 s", aws.PerTurn, "they wait"),
		row("accepted mails a list is tried on", sources.TriedMost, "the older ones are left out"), row("time between two hits on a block list", listing.Apart, "not believed"),
	}
}
