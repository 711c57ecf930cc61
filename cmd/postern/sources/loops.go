package sources

import (
	"context"
	"errors"
	"time"

	"postern/abuse/listing"
	"postern/internal/entity"
)

// How often what is looked at. Another node's block counts here at once, by the own lists; who
// is watched is read with the counts.
const (
	FlushEvery   = 30 * time.Second
	TickEvery    = 30 * time.Second
	PublishEvery = time.Minute
	ListingEvery = listing.Apart
	turn         = 10 * time.Second // between two looks at the clock
)

// Loops run on their own clock, by name.
func (d *Desk) Loops() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{"watched sources": d.flush, "sources": d.tend}
}

// flush writes down on this node what watched sources tried, and reads who is watched.
func (d *Desk) flush(ctx context.Context) error {
	err := d.External.Observer.Load(ctx, d.External)
	failing := d.say(ctx, "watched sources", err, false)
	return every(ctx, FlushEvery, func() { failing = d.say(ctx, "watched sources", d.Flush(ctx), failing) })
}

// Flush does so once.
func (d *Desk) Flush(ctx context.Context) error {
	return d.External.Observer.Flush(ctx, d.External, d.p.Now())
}

// say logs trouble once, until it is over.
func (d *Desk) say(ctx context.Context, what string, err error, failing bool) bool {
	if err != nil && !failing && ctx.Err() == nil {
		d.p.Log.Error(what, "err", err)
	}
	return err != nil
}

func every(ctx context.Context, pause time.Duration, f func()) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f()
		}
	}
}

// tend does what time brings; of several nodes one does.
func (d *Desk) tend(ctx context.Context) error {
	failing := false
	return every(ctx, turn, func() {
		if !d.p.Right(ctx) {
			return
		}
		failing = d.say(ctx, "sources elsewhere", d.p.Alone(ctx, "sources", d.Tend), failing)
	})
}

// Tend does what is due now.
func (d *Desk) Tend(ctx context.Context) error {
	var errs []error
	for _, job := range []struct {
		name  string
		every time.Duration
		f     func(context.Context) error
	}{
		{"external", TickEvery, d.External.Tick}, {"aws", TickEvery, d.tendCalls}, {"published", PublishEvery, d.Published.Tick}, {"listings", ListingEvery, d.Listings.Tick},
	} {
		due, err := d.due(ctx, job.name, job.every)
		if err == nil && due {
			err = job.f(ctx)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// turnOf is when a job was last done, by whatever node.
type turnOf struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// due reports whether a job's time has come, and then notes that it is done: lists of others
// are asked no oftener because there are more nodes.
func (d *Desk) due(ctx context.Context, name string, pause time.Duration) (bool, error) {
	t := entity.Table[turnOf]{Store: d.p.Home, Kind: "source-turn", ID: func(v *turnOf) string { return v.Name }}
	now := d.p.Now().UTC()
	if _, err := t.Create(ctx, turnOf{name, now}); !errors.Is(err, entity.ErrExists) {
		return err == nil, err
	}
	due := false
	_, err := t.Change(ctx, name, func(v *turnOf) error {
		if due = now.Sub(v.At) >= pause || now.Before(v.At); !due { // a clock that was ahead is no reason to wait
			return entity.ErrUnchanged
		}
		v.At = now
		return nil
	})
	return due && err == nil, err
}
