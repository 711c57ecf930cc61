package logins

import (
	"context"
	"time"

	"postern/abuse/signal"
)

// Bounds of a Follower.
const (
	overlap  = 2 * time.Minute // rows of other nodes may come a little late
	backTo   = 24 * time.Hour  // how far the first look goes
	page     = 1000
	maxPages = 100
	maxSeen  = 200_000
)

// Follower reads what all nodes saw, on the one that judges.
type Follower struct {
	Log Log

	from time.Time
	seen map[string]Row            // rows as they were read, of the last hours
	fail map[string]map[string]Row // failures of an account by row
}

// News is what a Follower found.
type News struct {
	Worked  []Row           // logins that worked
	Guessed []signal.Signal // after failures at any node
}

// Next returns what was not read before.
func (f *Follower) Next(ctx context.Context, now time.Time) (n News, err error) {
	if f.seen == nil {
		f.seen, f.fail = map[string]Row{}, map[string]map[string]Row{}
		f.from = now.Add(-backTo)
	}
	after, newest := "", f.from
	for range maxPages {
		rows, next, err := f.Log.Since(ctx, f.from.Add(-overlap), after, page)
		if err != nil {
			return n, err
		}
		for _, r := range rows {
			if before, known := f.seen[r.ID]; known && before.At.Equal(r.At) && before.Failed == r.Failed {
				continue
			}
			f.seen[r.ID] = r
			if r.At.After(newest) {
				newest = r.At
			}
			if r.Failed > 0 {
				f.failed(r)
				continue
			}
			n.Worked = append(n.Worked, r)
		}
		if after = next; next == "" {
			break
		}
	}
	for _, r := range n.Worked {
		if s, yes := f.after(r); yes {
			n.Guessed = append(n.Guessed, s)
		}
	}
	if newest.After(now) { // a clock that is ahead hides nothing
		newest = now
	}
	f.from = newest
	f.shrink(now)
	return n, nil
}

func (f *Follower) failed(r Row) {
	of := f.fail[r.Account]
	if of == nil {
		of = map[string]Row{}
		f.fail[r.Account] = of
	}
	of[r.ID] = r
}

// after judges a login that worked by the failures of the hour before it, at whichever nodes.
// Where all of them came from one network and this login did not, it is the owner's.
func (f *Follower) after(r Row) (signal.Signal, bool) {
	count, elsewhere, here := 0, map[string]bool{}, false
	for _, one := range f.fail[r.Account] {
		if one.At.After(r.At) || r.At.Sub(one.At) > Window {
			continue
		}
		count += one.Failed
		if one.Network == r.Network {
			here = true
		} else {
			elsewhere[one.Network] = true
		}
	}
	if count < Guesses || !here && len(elsewhere) < 2 {
		return signal.Signal{}, false
	}
	return guessed(r.Account, r.Client, count, r.At), true
}

// shrink forgets what is too old to matter, and everything where that does not suffice: what is
// read a second time does no harm.
func (f *Follower) shrink(now time.Time) {
	for id, r := range f.seen {
		if now.Sub(r.At) > 2*Window && r.At.Before(f.from.Add(-2*overlap)) {
			delete(f.seen, id)
		}
	}
	for account, rows := range f.fail {
		for id, r := range rows {
			if now.Sub(r.At) > 2*Window {
				delete(rows, id)
			}
		}
		if len(rows) == 0 {
			delete(f.fail, account)
		}
	}
	if len(f.seen) > maxSeen {
		clear(f.seen)
	}
	if len(f.fail) > maxSeen {
		clear(f.fail)
	}
}
