package bounds

import (
	"postern/abuse/service/book"
	"postern/abuse/service/credit"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/probe"
)

// Service bounds what the figures of the service guarantee are made of.
func Service() []Row {
	row := func(what string, value any, past string) Row { return Row{"service", what, Shown(value), past, ""} }
	return []Row{
		row("doors looked at", "200, of them 50 in abuse.service.also", "the others are not looked at; more in the file are refused"),
		row("time of a look at a door", probe.Timeout, "the minute failed"),
		row("time of a look at a page over a narrow line", probe.NarrowTimeout, "the minute failed"),
		row("reasons of failed minutes kept a day and node", "300 a group", "the minute is kept without one"),
		row("late messages named a day and node", 500, "the others are counted only"),
		row("domains told apart a day and node", 48000, "counted as (others)"),
		row("faults that stand at once", 1000, "the others are not noted"),
		row("how long the book is kept", book.Keep, "forgotten"),
		row("length of an exclusion", exclusion.Longest, "refused"),
		row("how far back and ahead an exclusion lies", exclusion.Window, "refused"),
		row("how long after its end a month is counted again for credits", credit.Open, "its credits stay as they are"),
		row("reason of a decision about a credit", credit.MaxReason, "refused"),
		row("rows of each list in a report", 5000, "cut, and the report says which"),
	}
}
