package bounds

import (
	"postern/abuse/appeal"
	"postern/cmd/postern/appeals"
	"postern/cmd/postern/gateway/ports"
	"postern/internal/desk/refused"
)

// Appeals bounds what senders may do whose mail was refused.
func Appeals() []Row {
	row := func(what string, value any, past string) Row {
		return Row{"public pages", what, Shown(value), past, ""}
	}
	return []Row{
		{"listeners of pages and API", "how long the head of a request may take", Shown(ports.HeaderWait), "the connection ends", ""},
		{"listeners of pages and API", "how long a whole request may take", Shown(ports.ReadWait), "the connection ends", ""},
		{"listeners of pages and API", "how long an answer may take to be read", Shown(ports.WriteWait), "the connection ends", ""},
		{"listeners of pages and API", "how long a connection may be idle", Shown(ports.IdleWait), "the connection ends", ""},
		{"listeners of pages and API", "bytes of the head of a request", Shown(ports.MaxHeader), "431", ""},
		row("how long a refusal can be looked up by its reference", appeals.Life, "404, like what was never there"),
		row("appeals about one refusal", 1, "409"),
		row("appeals of one source", refused.Burst, "429, then one each "+Shown(refused.Every)),
		row("appeals of everybody", refused.BurstAll, "429, then one each "+Shown(refused.EveryAll)),
		row("appeals that wait", appeal.MaxOpen, "503"),
		row("characters of an appeal", refused.MaxText, "413"),
		row("bytes of its form", refused.MaxBody, "413"),
		row("how long its form is good", refused.FormLife, "403, the text stays"),
		row("bytes of an answer to an appeal", appeal.MaxText, "refused"),
		row("bytes of a note on an appeal", appeal.MaxNote, "refused"),
		row("how long an appeal waits before it is an alert", appeals.Overdue, "alert"),
		row("how long an appeal is kept after its last change", appeal.Keep, "forgotten"),
	}
}
