// Package redis is the home of all state on Redis, for several nodes: a single server, one
// behind Sentinel, or a Cluster. What a promise rests on stands in each node's own folder as
// well, so that a store that is away, was emptied or has gone back in time costs nothing that
// was answered for.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"postern/abuse/sent"
	"postern/internal/entity"
	"postern/internal/record"
	relayoutbox "postern/internal/relay/outbox"
	"postern/internal/report"
	"postern/internal/spool"
	"postern/internal/store/redis/audit"
	"postern/internal/store/redis/bayes"
	"postern/internal/store/redis/campaign"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/decisions"
	"postern/internal/store/redis/durable"
	"postern/internal/store/redis/durable/owed"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/entities/kept"
	"postern/internal/store/redis/greylist"
	"postern/internal/store/redis/history"
	"postern/internal/store/redis/holds"
	"postern/internal/store/redis/journal"
	"postern/internal/store/redis/journal/segment"
	"postern/internal/store/redis/lease"
	"postern/internal/store/redis/limits"
	"postern/internal/store/redis/nodes"
	"postern/internal/store/redis/outbox"
	"postern/internal/store/redis/sealed"
	sentlog "postern/internal/store/redis/sent"
	"postern/internal/store/redis/sent/noted"
	"postern/internal/store/redis/traffic"
	"postern/internal/store/redis/watch"
	"postern/quarantine"
)

// Caps bound what each kind takes in the store, in bytes; 0 = nothing does.
type Caps struct {
	Holds, Evidence, Outbox, Traffic, Sent int64
	Blobs                                  map[entity.Class]int64
}

// Options say where the store is, and who this node is. All but Event are needed.
type Options struct {
	Conn    conn.Options
	Ring    *sealed.Ring
	Dir     string // of this node alone: the journal and its copies of decisions and audit
	Node    string // no two running nodes have the same
	Version string
	Rules   func() string // the revision in effect, shown to other nodes
	Passive bool          // a command line beside no server: not a node that others see
	Strict  bool          // promises stand in the node's own journal as well
	Journal int64         // bytes of the journal at most
	Caps    Caps
	Keep    time.Duration // of traffic rows
	Letters time.Duration // how long a campaign is remembered after its last copy; 0 = a week
	Spool   *spool.Spool
	Now     func() time.Time
	Log     *slog.Logger
	Event   func(key, text string, over bool) // raises an alert, or says that it is over
}

// Outbox is the store of what the gateway owes, with its size.
type Outbox interface {
	relayoutbox.Store
	Count(ctx context.Context) (int, error)
}

// Home is an open home. Its parts are ready until Close, whether the store can be reached or
// not.
type Home struct {
	Holds     quarantine.Store
	Outbox    Outbox
	Decisions *decisions.Decisions
	Audit     record.AuditStore
	Traffic   record.Traffic
	History   *history.Store
	Greylist  *greylist.Store
	Reports   report.Store
	Sent      sent.Store
	Entities  entity.Home
	Limits    *limits.Store
	Bayes     *bayes.Store
	Campaigns *campaign.Store
	Jobs      lease.Runner

	o       Options
	conn    *conn.Conn
	far     *holds.Store
	owes    *outbox.Store
	trail   *audit.Audit
	rows    *traffic.Store
	things  *entities.Store
	log     *sentlog.Store
	journal *journal.Journal   // nil unless strict
	held    *durable.HoldStore // the same
	owed    *owed.Store        // the same
	noted   *noted.Store       // the same
	kept    *kept.Store        // the same
	nodes   *nodes.Registry
	bus     *watch.Bus
	beat    *watch.Watch
	lax     lax
	work    sync.WaitGroup
	loss    sync.Mutex
	giving  bool // what the store lost is being given back
	more    bool // it lost something more meanwhile
	closers []func() error
}

// Open opens the home. The store need not be there; errors are about the options and this
// node's own folder.
func Open(ctx context.Context, o Options) (*Home, error) {
	if o.Event == nil {
		o.Event = func(string, string, bool) {}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := segment.Lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("the folder of this node: %w", err)
	}
	if err := sameKey(o.Dir, o.Ring); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	o.Conn.Now = o.Now
	a := &admission{ring: o.Ring, now: o.Now, dir: o.Dir}
	o.Conn.Admit = a.admit
	if o.Conn.Log == nil {
		o.Conn.Log = o.Log
	}
	c, err := conn.Open(o.Conn)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	a.key = c.Key("{nodes}", "key")
	h := &Home{o: o, conn: c, bus: watch.NewBus(c)}
	h.closers = append(h.closers, lock.Close, c.Close)
	h.beat = watch.New(watch.Options{Conn: c, Node: o.Node, Now: o.Now, Log: o.Log, Lost: h.lost, Strict: h.settings})
	for _, open := range []func(context.Context) error{h.openNodes, h.openShared, h.openJournal, h.openDecisions, h.openAudit} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	return h, nil
}

// closeAll closes the newest first.
func closeAll(all []func() error) error {
	var errs []error
	for _, end := range slices.Backward(all) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}
