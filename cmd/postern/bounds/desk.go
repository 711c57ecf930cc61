package bounds

import (
	"postern/abuse/cases/dossier"
	"postern/abuse/notice/edition"
	"postern/abuse/notice/letter"
	"postern/abuse/notice/snippet"
	"postern/abuse/second"
	"postern/abuse/suppress"
	"postern/blocklist/paging"
	"postern/cmd/postern/access/looks"
	"postern/cmd/postern/holdcalls"
	"postern/internal/desk/api"
	"postern/internal/desk/held"
	"postern/internal/desk/page"
	"postern/internal/desk/session"
	"postern/internal/desk/site"
	"postern/internal/desk/views"
)

// Desk bounds what people and programs do at the desk.
func Desk() []Row {
	row := func(what string, value any, past string) Row { return Row{"desk", what, Shown(value), past, ""} }
	return []Row{
		row("recipients who opted out of one account's mail", suppress.MaxOf, "not noted, in the log"),
		row("recipients who opted out, in all", suppress.MaxAll, "not noted, in the log"),
		row("how long a proposal waits for a second person", second.For, "expired"),
		row("undoing and allowing by one person, within "+Shown(second.Per), second.Most, "each more needs another person"),
		row("bytes of a proposal's parameters", second.MaxParams, "refused"),
		row("lines of a case that are known not to be noted twice", dossier.MaxNoted, "the oldest may be noted again after a crash"),
		row("bytes of a complaint over the API", api.MaxComplaint, "413"),
		row("bytes of an Idempotency-Key", api.MaxKey, "400"),
		row("bytes of a form in the browser", page.MaxForm, "413"),
		row("length of a session in the browser", session.Lifetime, "signed out"),
		row("length of a session without use", session.Idle, "signed out"),
		row("sessions of one user", session.MaxOf, "the oldest ends"),
		row("wrong passwords of one source", site.TriesOfSource, "429, then one each "+Shown(site.PerSource)),
		row("wrong passwords for one name from one source", site.TriesOfName, "429, then one each "+Shown(site.PerName)),
		row("messages that one act in the browser hits", held.MaxBulk, "refused"),
		row("octets of a held message that are looked at", holdcalls.MaxSeen, "not shown; the raw source has all"),
		row("octets of the reason for taking an infected message", holdcalls.MaxNote, "400"),
		row("refused looks of one person at one kind of thing, within "+Shown(looks.Per), 1, "counted, one line of the audit for all of them"),
		row("people and kinds of refused looks that are counted at a time", looks.MaxOpen, "the oldest is written early"),
		row("messages that are open between two pieces", holdcalls.OpenMost, "the oldest is read from its beginning again"),
		row("entries of a page of the own lists", paging.Most, "shown as many"),
		row("held messages that are counted", holdcalls.MaxCount, "said to be more"),
		row("octets of a letter's words, with its variables", letter.MaxSource, "refused"),
		row("octets of a letter as it is sent", letter.MaxBody, "refused"),
		row("changes of a letter that are remembered", edition.Kept, "the oldest is forgotten"),
		row("octets of a snippet", snippet.MaxText, "refused"),
		row("snippets of one person, and shared ones", snippet.MaxEach, "refused"),
		row("searches that a person keeps", views.MaxViews, "refused"),
		row("characters in the name of a search that is kept", views.MaxName, "refused"),
		row("octets of a search that is kept", views.MaxQuery, "refused"),
	}
}
