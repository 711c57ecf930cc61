// Package home opens the home of all state that the configuration names, and hands out its
// parts as the interfaces that the rooms declare.
package home

import (
	"context"
	"log/slog"
	"time"

	"postern/abuse"
	"postern/abuse/sent"
	"postern/blocklist"
	"postern/filter/bayes"
	"postern/filter/campaign"
	"postern/filter/greylist"
	"postern/filter/history"
	"postern/filter/limit"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/internal/report"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/internal/store/redis/lease"
	"postern/quarantine"
)

// Outbox is the store of what the gateway owes, with its size.
type Outbox interface {
	outbox.Store
	Count(ctx context.Context) (int, error)
}

// Home is an open home.
type Home struct {
	Name     string // local or redis
	Holds    quarantine.Store
	Outbox   Outbox
	Lists    blocklist.Store
	Accounts abuse.Store
	Audit    record.AuditStore
	Traffic  record.Traffic
	History  history.Store
	Greylist greylist.Store
	Bayes    bayes.Store    // counts of what was learned; derived from records
	Letters  campaign.Store // what came of each letter
	Reports  report.Store
	Sent     sent.Store
	Entities entity.Home  // records of the rooms, and what they rest on
	Limits   limit.Shared // where nodes tell each other what they counted; nil: there is but one
	Jobs     lease.Runner // of several nodes lets one do what needs doing once

	Degraded func() error                               // why it no longer does all its work, or nil
	Loops    map[string]func(ctx context.Context) error // what runs on its own clock, by name
	Close    func() error

	Status func(ctx context.Context) Status
	Sizes  func(ctx context.Context) ([]Size, error)
	// Move takes over what the other home still keeps; nil where there is none.
	Move func(ctx context.Context, step func(Moved)) (Moved, error)
	// Reindex makes everything derived anew while mail flows; nil where no server may run.
	Reindex func(ctx context.Context, step func(Reindexed)) (Reindexed, error)
}

// Options are what a home is opened with.
type Options struct {
	Config *config.Config
	Spool  *spool.Spool
	Now    func() time.Time
	Log    *slog.Logger
	Event  func(key, text string, over bool) // raises an alert, or says that it is over

	Version string        // of the program, for other nodes to see
	Rules   func() string // the revision in effect, the same
	Passive bool          // for a command line beside no server
}

// Open opens the home.
func Open(ctx context.Context, o Options) (*Home, error) {
	first, other := openEmbedded, openShared
	if o.Config.Store.Home == config.HomeRedis {
		first, other = other, first
		left, records, err := local.Left(ctx, o.Config.State)
		switch {
		case err != nil: // what is in use is the other one
			o.Log.Error("the embedded home cannot be read: whether it still keeps mail is unknown", "error", err)
		case left > 0 || records > 0:
			o.Log.Warn("the embedded home still keeps mail or records that this gateway does not look at: run postern store move", "left", left, "records", records)
		}
	}
	h, err := first(ctx, o)
	if err == nil && len(o.Config.Store.Addrs) > 0 {
		h.Move = mover(h, o, func(ctx context.Context) (*Home, error) { return other(ctx, o) })
	}
	return h, err
}
