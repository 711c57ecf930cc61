package bounds

import (
	"postern/internal/desk/live"
	"postern/internal/desk/provider"
	"postern/internal/desk/session"
	"postern/internal/desk/site"
	"postern/internal/desk/work"
	"postern/internal/people"
	"postern/internal/people/factor"
)

// Browser bounds what open pages and long work of the desk take.
func Browser() []Row {
	row := func(what string, value any, past string) Row { return Row{"desk", what, Shown(value), past, ""} }
	return []Row{
		row("open streams of news", live.MaxStreams, "204: the page hears none"),
		row("open streams of news of one user", live.MaxOf, "204: the page hears none"),
		row("tasks that run in the background of a node", work.MaxRunning, "429"),
		row("tasks of one user that run", work.MaxOf, "429"),
		row("how long a task may take", work.MaxTime, "it ends"),
		row("how long the result of a task is kept", work.Keep, "forgotten"),
		row("results that are kept", work.MaxKept, "the oldest is forgotten"),
		row("lines of a task's result", work.MaxLines, "the others are not listed"),
		row("bytes of a task's file", work.MaxFile, "it fails"),
		row("wrong codes of second factors for one name", site.TriesOfCode, "429, then one each "+Shown(site.PerCode)),
		row("how long the code may be missing after the password", session.Half, "the password is asked for again"),
		row("recovery codes of one user", factor.Recovery, "new ones replace the old"),
		row("how long a second factor waits for its first code", factor.Pending, "set up anew"),
		row("how long a one-time link is good", people.InviteLife, "a new one is needed"),
		row("how long somebody may stay at an OpenID provider", provider.Life, "refused"),
	}
}
