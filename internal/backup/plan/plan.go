// Package plan says when which run of a backup is due, and when one is late.
package plan

import (
	"time"

	"postern/internal/backup"
)

// Plan is how often runs are made and how long they are kept.
type Plan struct {
	Full, Incremental, Keep time.Duration
}

// Age is when the last runs were.
type Age struct {
	Last time.Time // of any kind
	Full time.Time
}

// AgeOf looks at runs.
func AgeOf(runs []backup.Manifest) (a Age) {
	for _, m := range runs {
		if m.Started.After(a.Last) {
			a.Last = m.Started
		}
		if m.Kind == backup.Full && m.Started.After(a.Full) {
			a.Full = m.Started
		}
	}
	return a
}

// early is by how much a run is made before its time, so that none is late for as long as it
// takes.
const early = 24

// Due says which run is to be made now; "" none.
func (p Plan) Due(a Age, now time.Time) backup.Kind {
	due := func(last time.Time, every time.Duration) bool { return now.Sub(last) >= every-every/early }
	switch {
	case a.Full.IsZero() || due(a.Full, p.Full):
		return backup.Full
	case due(a.Last, p.Incremental):
		return backup.Incremental
	}
	return ""
}

// Late says in words what is older than it should be; "" nothing. since is when this program
// began to look: before that nobody could have made a run.
func (p Plan) Late(a Age, since, now time.Time) string {
	const grace = time.Hour
	last, full := orElse(a.Last, since), orElse(a.Full, since)
	switch {
	case a.Last.IsZero() && now.Sub(since) > grace:
		return "there is no backup"
	case now.Sub(last) > p.Incremental+grace:
		return "the last backup is of " + a.Last.UTC().Format(time.RFC3339)
	case now.Sub(full) > p.Full+grace:
		return "the last full backup is of " + a.Full.UTC().Format(time.RFC3339)
	}
	return ""
}

func orElse(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}
