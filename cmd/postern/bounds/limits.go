package bounds

import (
	"fmt"
	"slices"

	"postern/abuse/complaint"
	"postern/abuse/complaint/claim"
	"postern/abuse/complaint/xarf"
	"postern/cmd/postern/judge"
	"postern/filter/attach"
	"postern/filter/attach/office"
	"postern/filter/attach/pdf"
	"postern/filter/attach/rtf"
	"postern/filter/clamav"
	"postern/filter/link"
	"postern/filter/link/qr"
	"postern/internal/archive"
	"postern/internal/archive/cfb"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/mime"
	"postern/internal/strict"
)

// All are all limits.
func All(c *config.Config) []Row {
	l := c.Limits
	rows := []Row{
		{"SMTP in", "sessions, all", fmt.Sprint(l.Sessions), "421", "limits.sessions"},
		{"SMTP in", "sessions of one address", fmt.Sprint(l.PerIP), "421", "limits.per_ip"},
		{"SMTP in", "sessions of one IPv6 /64", fmt.Sprint(l.Per64), "421", "limits.per_64"},
		{"SMTP in", "refused commands of a session", fmt.Sprint(l.Errors), "421", "limits.errors"},
		{"SMTP in", "commands of a session", fmt.Sprint(l.Commands), "421", "limits.commands"},
		{"SMTP in", "recipients of a message", fmt.Sprint(l.Recipients), "452", "limits.recipients"},
		{"SMTP in", "bytes of a message", l.Message.String(), "552", "limits.message"},
		{"SMTP in", "bytes of all messages being handled", l.InFlight.String(), "452", "limits.in_flight"},
		{"SMTP in", "bytes of a message kept in memory", l.Memory.String(), "a spool file", "limits.memory"},
		{"SMTP in", "time without a byte", l.Idle.String(), "421", "limits.idle"},
		{"SMTP in", "bytes a second during DATA, at least", fmt.Sprint(l.DataRate), "421", "limits.data_rate"},
		{"SMTP in", "bytes of a line of a message", l.Line.String(), "550 5.6.0", "limits.line"},
		{"SMTP in", "Received fields of a message", fmt.Sprint(l.Received), "554 5.4.6", "limits.received"},
		{"checks", "DNS questions of a message", fmt.Sprint(c.DNS.Queries), "not checked, in the ledger", "dns.queries"},
		{"checks", "time of DNS of a message", c.DNS.Budget.String(), "not checked, in the ledger", "dns.budget"},
		{"checks", "time of a virus scan", c.ClamAV.Timeout.String(), c.ClamAV.OnError, "clamav.timeout"},
		{"checks", "bytes given to the virus scanner", c.ClamAV.StreamMax.String(), clamav.Unscannable, "clamav.stream_max"},
		{"checks", "bytes of one file the scanner opens", c.ClamAV.MaxFile.String(), clamav.Unscannable, "clamav.max_file"},
		{"relay", "time until the servers behind are ready", c.Relay.BeforeDot.String(), "451", "relay.before_dot"},
		{"relay", "time until they answer the end", c.Relay.AfterDot.String(), "451, counted as ambiguous", "relay.after_dot"},
		{"relay", "time in the outbox", c.Relay.OutboxFor.String(), "a hold and an alert", "relay.outbox_for"},
		{"quarantine", "bytes on disk", c.Quarantine.Cap.String(), "451 for mail that must be held", "quarantine.cap"},
		{"files", "bytes of postern.yaml", config.Size(strict.MaxBytes).String(), "refused", ""},
		{"files", "names in people, and bytes of each", fmt.Sprintf("%d, %d", config.MaxPeople, config.MaxPerson), "refused", "people"},
		{"files", "errors shown at once", fmt.Sprint(strict.MaxErrors), "counted", ""},
		{"files", "bytes of a message file of scan and eval", fmt.Sprint(judge.MaxFile), "refused", ""},
		{"control socket", "bytes of a request or answer", fmt.Sprint(control.MaxBytes), "refused", ""},
	}
	return slices.Concat(rows, Proof(), Memory(c), parserLimits(), Records(c), complaintLimits(), Signals(), Sources(), Service(), Desk(), Browser(), Appeals(), Inbox(c), Learning(c), Campaigns(c), Judgement())
}

// complaintLimits are those of reports that strangers send, whose bytes are kept whole.
func complaintLimits() []Row {
	o := complaint.DefaultOptions()
	row := func(what string, value any, past string) Row {
		return Row{"complaints", what, fmt.Sprint(value), past, ""}
	}
	const told, cut = "told with the report", "the rest is left out"
	return []Row{
		row("bytes of a report that are read", o.Bytes, told),
		row("bytes of what a person wrote", o.Text, told),
		row("levels of parts", o.Depth, told),
		row("parts", o.Parts, told),
		row("further messages of one report", complaint.OthersMost, cut),
		row("bytes of one value that is claimed", claim.MaxValue, cut),
		row("values of one kind", claim.MaxList, cut),
		row("items of XARF evidence", xarf.EvidenceMost, told),
		row("bytes of one item", xarf.EvidenceSize, told),
	}
}

// parserLimits are those of the parsers of hostile input.
func parserLimits() []Row {
	m, a := mime.DefaultLimits(), archive.DefaultLimits()
	row := func(room, what string, value any) Row {
		return Row{room, what, fmt.Sprint(value), clamav.Unscannable, ""}
	}
	file := func(what string, value any, symbol string) Row {
		return Row{"files", what, fmt.Sprint(value), symbol, ""}
	}
	return []Row{
		row("MIME", "levels of parts", m.Depth), row("MIME", "parts", m.Parts), row("MIME", "header fields of a part", m.Fields),
		row("MIME", "bytes of a header", m.Header), row("MIME", "bytes looked at, times the size", m.Work),
		row("MIME", "readings of an ambiguous part", m.Readings), row("MIME", "bytes of text looked at by rules", m.Text),
		row("MIME", "HTML tokens", m.Tokens), row("MIME", "links", m.URLs),
		row("archives", "levels", a.Depth), row("archives", "members", a.Entries), row("archives", "bytes expanded", a.Bytes),
		row("archives", "bytes of a member", a.EntryBytes), row("archives", "expansion ratio", a.Ratio),
		row("archives", "bytes of a dictionary", a.Dictionary), row("archives", "bytes of one in another that is held in memory", a.Nested),
		{"pictures", "pictures of a message", fmt.Sprint(link.MaxPictures), "the rest is not looked at", ""},
		{"pictures", "bytes of one", fmt.Sprint(qr.MaxBytes), "not looked at", ""},
		{"pictures", "points of one", fmt.Sprint(qr.MaxPixels), "not looked at", ""},
		{"pictures", "time of one, and of all", qr.Each.String() + ", " + link.PicturesTime.String(), "not checked, in the ledger", ""},
		{"pictures", "bytes of memory of a helper", fmt.Sprint(qr.Memory), "not checked, in the ledger", ""},
		{"pictures", "helpers", fmt.Sprint(qr.Helpers), "waiting", ""},
		file("files attached", attach.ManyFiles, attach.Many), file("files looked at", attach.MaxFiles, attach.Cut),
		file("different types of files", attach.MaxTypes, attach.Cut),
		file("bytes looked through for what acts", attach.MaxWork, attach.Cut), file("bytes of a PDF", pdf.MaxBytes, attach.Cut),
		file("bytes of rich text", rtf.MaxBytes, attach.Cut), file("groups inside groups of rich text", rtf.MaxDepth, attach.Cut),
		file("objects in an office file", office.MaxPacked, attach.Cut), file("entries of a compound file", cfb.MaxEntries, attach.Cut),
	}
}
