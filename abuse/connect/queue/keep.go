package queue

import (
	"context"
	"slices"
	"time"

	"postern/abuse"
)

// How often Keep looks whether an account changed, and at the queue while somebody is restricted.
const (
	keepEvery = time.Second
	lookEvery = 15 * time.Second
)

// Keep makes the queue follow the accounts until its context ends, whoever took a measure: at once
// when one changes, and again and again while there is something to hold. say is told when it does
// not, and again when it does.
func (q *Queue) Keep(ctx context.Context, now func() time.Time, say func(err error)) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	var seen []abuse.Account
	var last time.Time
	failed := false
	for {
		restricted := slices.DeleteFunc(q.Accounts.Known(), func(a abuse.Account) bool { return q.Accounts.Force(a.Name).Effective() < abuse.M2 })
		if at := now(); !slices.EqualFunc(restricted, seen, same) || at.Sub(last) >= lookEvery || at.Before(last) {
			err := q.round(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if (err != nil) != failed {
				failed = err != nil
				say(err)
			}
			seen, last = restricted, at
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func same(a, b abuse.Account) bool { return a.Name == b.Name && a.Effective() == b.Effective() }

func (q *Queue) round(ctx context.Context) error {
	idle, err := q.Idle()
	if err != nil || idle {
		return err
	}
	_, _, err = q.Sync(ctx)
	return err
}
