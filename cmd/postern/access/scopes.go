// Package access says who may make which call, and serves the calls over HTTP to those who
// have a token.
package access

import (
	"slices"

	"postern/internal/people"
)

// scopes is what each call needs over HTTP. A call that does not stand here cannot be made
// there at all.
var scopes = map[string]people.Scope{
	"quarantine.list":    people.HoldsRead,
	"quarantine.show":    people.HoldsRead,
	"quarantine.raw":     people.HoldsRead,
	"quarantine.release": people.HoldsAct,
	"quarantine.delete":  people.HoldsAct,

	"outbox.list":  people.OutboxRead,
	"outbox.show":  people.OutboxRead,
	"outbox.retry": people.OutboxAct,
	"outbox.hold":  people.OutboxAct,

	"blocklist.list":   people.ListsRead,
	"blocklist.why":    people.ListsRead,
	"blocklist.test":   people.ListsRead,
	"blocklist.add":    people.ListsAct,
	"blocklist.remove": people.ListsAct,
	"greylist.list":    people.ListsRead,
	"greylist.allow":   people.ListsAct,

	"account.list":    people.AccountsRead,
	"account.show":    people.AccountsRead,
	"account.suspend": people.AccountsAct,
	"account.restore": people.AccountsAct,

	"account.throttle": people.AccountsAct,
	"account.hold":     people.AccountsAct,
	"account.undo":     people.AccountsAct,
	"account.why":      people.AccountsRead,

	"measure.list":     people.AccountsRead,
	"measure.show":     people.AccountsRead,
	"measure.apply":    people.AccountsAct,
	"measure.propose":  people.AccountsAct,
	"measure.undo":     people.AccountsAct,
	"measure.reviewed": people.AccountsAct,

	"automation.show":    people.AccountsRead,
	"automation.set":     people.AccountsAct,
	"automation.reset":   people.AccountsAct,
	"automation.enable":  people.AccountsAct,
	"automation.disable": people.AccountsAct,

	"trace":        people.TraceRead,
	"trace.token":  people.TraceRead,
	"trace.keys":   people.KeysRead,
	"trace.rotate": people.KeysAct,
	"reports.list": people.ReportsRead,
	"reports.show": people.ReportsRead,
	"reports.sent": people.ReportsRead,

	"dkim.list":   people.KeysRead,
	"dkim.dns":    people.KeysRead,
	"dkim.add":    people.KeysAct,
	"dkim.rotate": people.KeysAct,
	"dkim.retire": people.KeysAct,
	"dkim.remove": people.KeysAct,

	"complaint.list":  people.EvidenceRead,
	"complaint.show":  people.EvidenceRead,
	"complaint.raw":   people.EvidenceRead,
	"complaint.view":  people.EvidenceRead,
	"complaint.take":  people.ReportsSend,
	"complaint.judge": people.CasesAct,
	"notice.list":     people.EvidenceRead,
	"notice.show":     people.EvidenceRead,
	"notice.draft":    people.CasesAct,
	"notice.edit":     people.CasesAct,
	"notice.send":     people.CasesAct,
	"notice.discard":  people.CasesAct,
	"suppress.list":   people.CasesRead,
	"suppress.add":    people.CasesAct,
	"suppress.lift":   people.CasesAct,

	"feed.list":   people.CasesRead,
	"feed.add":    people.CasesApprove,
	"feed.remove": people.CasesApprove,

	"case.list":     people.CasesRead,
	"case.show":     people.CasesRead,
	"case.timeline": people.CasesRead,
	"case.reports":  people.EvidenceRead,
	"case.figures":  people.CasesRead,
	"case.open":     people.CasesAct,
	"case.state":    people.CasesAct,
	"case.assign":   people.CasesAct,
	"case.category": people.CasesAct,
	"case.priority": people.CasesAct,
	"case.comment":  people.CasesAct,
	"case.hold":     people.CasesAct,
	"case.result":   people.CasesAct,
	"case.answer":   people.CasesAct,
	"case.source":   people.CasesAct,
	"case.evidence": people.CasesAct,
	"case.merge":    people.CasesAct,
	"case.unmerge":  people.CasesAct,
	"case.reopen":   people.CasesAct,
	"case.end":      people.CasesApprove,

	"source.list":     people.CasesRead,
	"source.show":     people.CasesRead,
	"source.open":     people.CasesAct,
	"source.confirm":  people.CasesAct,
	"source.complain": people.CasesAct,
	"source.block":    people.CasesAct,
	"source.lift":     people.CasesAct,
	"contact.list":    people.CasesRead,
	"contact.find":    people.CasesRead,
	"contact.learn":   people.CasesAct,
	"contact.opt-out": people.CasesAct,
	"contact.forget":  people.CasesApprove,

	"published.list":   people.CasesRead,
	"published.show":   people.CasesRead,
	"published.import": people.CasesAct,
	"published.apply":  people.CasesApprove,
	"published.drop":   people.CasesApprove,

	"listing.list":    people.CasesRead,
	"listing.show":    people.CasesRead,
	"listing.check":   people.CasesAct,
	"listing.cause":   people.CasesAct,
	"listing.send":    people.CasesApprove,
	"listing.removal": people.CasesApprove,

	"approval.list":    people.CasesRead,
	"approval.show":    people.CasesRead,
	"approval.approve": people.CasesApprove,
	"approval.refuse":  people.CasesAct, // who asked for it withdraws it; of others' a lead alone

	"guarantee.list":         people.CasesRead,
	"guarantee.show":         people.CasesRead,
	"guarantee.new":          people.CasesAct,
	"guarantee.fill":         people.CasesAct,
	"guarantee.upload":       people.CasesAct,
	"guarantee.submit":       people.CasesAct,
	"guarantee.approve":      people.CasesApprove,
	"guarantee.refuse":       people.CasesApprove,
	"guarantee.override":     people.CasesApprove,
	"guarantee.purge":        people.CasesApprove,
	"guarantee.certificates": people.CasesRead,

	"service.report":     people.CasesRead,
	"service.exclusions": people.CasesRead,
	"service.exclude":    people.CasesAct,
	"service.approve":    people.CasesApprove,
	"service.refuse":     people.CasesApprove,
	"service.withdraw":   people.CasesApprove,

	"calendar.show": people.CasesRead,
	"calendar.due":  people.CasesRead,

	"audit.list":   people.AuditRead,
	"audit.verify": people.AuditRead,

	"status":         people.SystemRead,
	"reload":         people.SystemAct,
	"backup.list":    people.SystemRead,
	"backup.job":     people.SystemRead,
	"backup.run":     people.SystemAct,
	"backup.verify":  people.SystemRead,
	"backup.prove":   people.SystemAct,
	"backup.stop":    people.SystemAct,
	"store.estimate": people.SystemRead,
	"store.job":      people.SystemRead,
	"store.stop":     people.SystemAct,
	"store.move":     people.SystemAct,
	"store.reindex":  people.SystemAct,

	"user.list":    people.PeopleRead,
	"user.show":    people.PeopleRead,
	"user.add":     people.PeopleAct,
	"user.change":  people.PeopleAct,
	"user.remove":  people.PeopleAct,
	"token.list":   people.PeopleRead,
	"token.add":    people.PeopleAct,
	"token.revoke": people.PeopleAct,
}

// Needs is the scope that a call needs; false: it is not made over HTTP.
func Needs(call string) (people.Scope, bool) {
	s, ok := scopes[call]
	return s, ok
}

// Known lists the calls that have a scope.
func Known() []string {
	var names []string
	for n := range scopes {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
