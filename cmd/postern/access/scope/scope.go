// Package scope says which scope each call needs.
package scope

import (
	"slices"

	"postern/internal/people"
)

// scopes is what each call needs over HTTP. A call that does not stand here cannot be made
// there at all.
var scopes = map[string]people.Scope{
	"quarantine.list":    people.HoldsRead,
	"quarantine.show":    people.HoldsRead,
	"quarantine.raw":     people.HoldsRead, // what a virus was found in needs cases:approve
	"quarantine.view":    people.HoldsRead,
	"quarantine.release": people.HoldsAct,
	"quarantine.count":   people.HoldsRead,
	"quarantine.copy":    people.HoldsAct,
	"view.list":          people.HoldsRead, // everybody's own
	"view.save":          people.HoldsRead,
	"view.remove":        people.HoldsRead,
	"quarantine.delete":  people.HoldsAct,

	"recipient.list": people.HoldsRead, "recipient.show": people.HoldsRead, "recipient.settings": people.HoldsRead, "recipient.set": people.HoldsAct,
	"recipient.release": people.HoldsAct, "recipient.allow": people.HoldsAct, "recipient.delete": people.HoldsAct, "recipient.disown": people.HoldsAct,
	"digest.list": people.HoldsRead, "digest.preview": people.HoldsRead, "digest.send": people.HoldsAct,

	"outbox.list":  people.OutboxRead,
	"outbox.show":  people.OutboxRead,
	"outbox.retry": people.OutboxAct,
	"outbox.hold":  people.OutboxAct,

	"blocklist.list":   people.ListsRead,
	"blocklist.why":    people.ListsRead,
	"blocklist.test":   people.ListsRead,
	"blocklist.add":    people.ListsAct,
	"blocklist.remove": people.ListsAct,
	"learn.messages":   people.SystemAct,
	"learn.holds":      people.HoldsAct,
	"learn.of":         people.HoldsRead,
	"learn.judge":      people.SystemAct, // who could ask at will would write around it
	"learn.undo":       people.SystemAct,
	"learn.status":     people.HoldsRead,
	"campaign.list":    people.HoldsRead,
	"campaign.show":    people.HoldsRead,
	"campaign.mark":    people.HoldsAct,
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
	"account.find":     people.AccountsRead,
	"account.activity": people.AccountsRead,

	"measure.list":     people.AccountsRead,
	"measure.show":     people.AccountsRead,
	"measure.preview":  people.AccountsRead,
	"measure.whatif":   people.AccountsRead,
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
	"trace.show":   people.TraceRead,
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
	"notice.out":      people.EvidenceRead,
	"notice.message":  people.EvidenceRead,
	"notice.resend":   people.CasesAct,
	"notice.draft":    people.CasesAct,
	"notice.edit":     people.CasesAct,
	"notice.send":     people.CasesAct,
	"notice.discard":  people.CasesAct,
	"refusal.show":    people.EvidenceRead,
	"appeal.list":     people.EvidenceRead,
	"appeal.show":     people.EvidenceRead,
	"appeal.count":    people.EvidenceRead,
	"appeal.take":     people.CasesAct,
	"appeal.decide":   people.CasesAct,
	"suppress.list":   people.AccountsRead,
	"suppress.add":    people.AccountsAct,
	"suppress.lift":   people.AccountsAct,

	"template.list":     people.CasesRead,
	"template.show":     people.CasesRead,
	"template.check":    people.CasesRead,
	"template.history":  people.CasesRead,
	"template.diff":     people.CasesRead,
	"template.set":      people.CasesApprove,
	"template.reset":    people.CasesApprove,
	"template.rollback": people.CasesApprove,
	"snippet.list":      people.EvidenceRead,
	"snippet.save":      people.CasesAct, // everybody's own
	"snippet.remove":    people.CasesAct,
	"snippet.share":     people.CasesApprove,
	"snippet.withdraw":  people.CasesApprove,

	"feed.list":   people.CasesRead,
	"feed.show":   people.CasesRead,
	"feed.trust":  people.CasesApprove,
	"feed.add":    people.CasesApprove,
	"feed.remove": people.CasesApprove,

	"case.list":     people.CasesRead,
	"case.show":     people.CasesRead,
	"case.timeline": people.CasesRead,
	"case.reports":  people.EvidenceRead,
	"case.figures":  people.CasesRead,
	"case.counts":   people.CasesRead,
	"case.similar":  people.CasesRead,
	"case.sent":     people.EvidenceRead,
	"case.log":      people.EvidenceRead,
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
	"source.preview":  people.EvidenceRead, // it names mail
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
	"guarantee.paper":        people.CasesAct, // who read it is noted in the pack
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

	"service.credits": people.CasesRead, "service.credit": people.CasesRead,
	"service.credit-approve": people.CasesApprove, "service.credit-refuse": people.CasesApprove,

	"calendar.show": people.CasesRead,
	"calendar.due":  people.CasesRead,

	"audit.list":   people.AuditRead,
	"audit.find":   people.AuditRead,
	"audit.part":   people.AuditRead,
	"audit.verify": people.AuditRead,

	"inbox.list":   people.InboxRead,
	"inbox.show":   people.InboxRead,
	"inbox.raw":    people.InboxRead,
	"inbox.wait":   people.InboxRead,
	"inbox.counts": people.InboxRead,
	"inbox.delete": people.InboxAct,
	"inbox.clear":  people.InboxAct,

	"changes":        people.HoldsRead,
	"figures.now":    people.SystemRead,
	"figures.trend":  people.SystemRead,
	"rules.files":    people.SystemRead,
	"rules.file":     people.SystemRead,
	"rules.check":    people.SystemRead,
	"rules.keys":     people.SystemRead,
	"config.compare": people.SystemRead,
	"rules.list":     people.SystemRead,
	"rules.try":      people.SystemAct, // it reads held mail
	"rules.replay":   people.SystemRead,
	"rules.history":  people.SystemRead,
	"rules.diff":     people.SystemRead,
	"rules.sent":     people.SystemRead,
	"rules.save":     people.SystemAct,
	"rules.rollback": people.SystemAct,
	"rules.send":     people.SystemAct,
	"rules.off":      people.SystemAct,
	"rules.on":       people.SystemAct,

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

	"user.list":         people.PeopleRead,
	"user.show":         people.PeopleRead,
	"user.add":          people.PeopleAct,
	"user.change":       people.PeopleAct,
	"user.remove":       people.PeopleAct,
	"user.invite":       people.PeopleAct,
	"user.factor":       people.PeopleRead,
	"user.factor-reset": people.PeopleAct,
	"user.sessions":     people.PeopleRead,
	"user.sign-out":     people.PeopleAct,

	"token.list":   people.PeopleRead,
	"token.add":    people.PeopleAct,
	"token.revoke": people.PeopleAct,
}

// Of is the scope that a call needs; false: it is not made over HTTP.
func Of(call string) (people.Scope, bool) {
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
