// Package campaigns recognises the copies of one letter, lets people say that it is bad or good,
// and finds what was delivered of one that turns out to be bad.
package campaigns

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/internal/config"
	"postern/internal/entity"
)

// Parts are what it is built from.
type Parts struct {
	Config  *atomic.Pointer[config.Config]
	Store   campaign.Store
	Records entity.Store
	Results campaign.Results
	Audit   func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Event   func(key, text string, over bool) // raises an alert, or says that it is over
	Now     func() time.Time
	Log     *slog.Logger
}

// Campaigns is all of it.
type Campaigns struct {
	parts Parts
	book  *opinion.Book
	found chan found // what is to be looked for, off the way of mail
	gone  atomic.Uint64
}

// found is a letter that turned out to be bad.
type found struct {
	copy campaign.Copy
	why  string
}

// local is how many copies of a letter a node must have seen before it asks the others about it:
// with eight nodes each has seen two or three of the twenty that make a burst.
const local = 2

// waiting bounds the letters that wait to be looked for.
const waiting = 256

// New reads what was said of letters. With the store away that comes later.
func New(ctx context.Context, p Parts) *Campaigns {
	c := &Campaigns{parts: p, book: &opinion.Book{Records: p.Records, Now: p.Now}, found: make(chan found, waiting)}
	if err := c.book.Load(ctx); err != nil {
		p.Log.Warn("what was said of campaigns is not known yet", "error", err)
	}
	return c
}

func (c *Campaigns) on() bool { return c.parts.Config.Load().Campaigns.On }

// Check is the check of a running node.
func (c *Campaigns) Check() filter.Check {
	check := &campaign.Check{Local: local, Store: c.parts.Store, Opinions: c.book, Results: c.parts.Results, Now: c.parts.Now, Limits: func() campaign.Limits {
		b := c.parts.Config.Load().Campaigns.Burst
		return campaign.Limits{Messages: b.Messages, Sources: b.Sources, Window: time.Duration(b.Window)}
	}}
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		if !c.on() {
			return nil, nil
		}
		return check.Check(ctx, m)
	})
}

// Observer remembers what came.
func (c *Campaigns) Observer() filter.Observer {
	return observer{c, &campaign.Observer{Store: c.parts.Store, Condemned: c.condemned}}
}

type observer struct {
	c *Campaigns
	o *campaign.Observer
}

// Done implements filter.Observer.
func (o observer) Done(ctx context.Context, m *filter.Message, out filter.Outcome) error {
	if !o.c.on() {
		return nil
	}
	return o.o.Done(ctx, m, out)
}

// condemned hands on what a scanner or a list says of a copy. More than can be looked for are
// counted: others of the same letter follow, or it stays at those few.
func (c *Campaigns) condemned(copied campaign.Copy, why string) {
	select {
	case c.found <- found{copied, why}:
	default:
		c.gone.Add(1)
	}
}

// Loops are what runs on its own clock, by name.
func (c *Campaigns) Loops() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"campaigns said":  func(ctx context.Context) error { return c.book.Run(ctx, c.said()) },
		"campaigns found": c.look,
		"campaigns":       c.prune,
	}
}

// said says once that other nodes' words cannot be read, and once that they can again.
func (c *Campaigns) said() func(error) {
	failing := false
	return func(err error) {
		if (err != nil) == failing {
			return
		}
		if failing = err != nil; failing {
			c.parts.Log.Warn("what was said of campaigns cannot be read; what was known before stays", "error", err)
		} else {
			c.parts.Log.Info("what was said of campaigns can be read again")
		}
	}
}

// look looks for the copies of letters that turned out to be bad.
func (c *Campaigns) look(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-c.found:
			err := c.report(ctx, f.copy.Print, f.why, system, []string{f.copy.Author})
			if err != nil && ctx.Err() == nil {
				c.parts.Log.Warn("the copies of a bad letter could not be looked for", "message", f.copy.ID, "why", f.why, "error", err)
			}
		}
	}
}

// Times of forgetting. A clock that went by much more than the time that passed is not believed
// before it has run on for a day.
const (
	every   = time.Hour
	maxStep = 2 * time.Hour
	settle  = 24 // rounds
)

// prune forgets what is old.
func (c *Campaigns) prune(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, doubt := c.parts.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := c.parts.Now()
		step := now.Round(0).Sub(last.Round(0))
		if last = now; step.Abs() > maxStep {
			doubt = settle
		}
		if doubt > 0 {
			doubt--
			continue
		}
		keep := time.Duration(c.parts.Config.Load().Campaigns.Keep)
		if _, err := c.parts.Store.Prune(ctx, now.Add(-keep)); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			c.parts.Log.Error("dropping old campaigns", "error", err)
		}
	}
}
