// Package local is the embedded home of all state: one folder with two databases and the
// held bodies, for one node, with nothing to install.
package local

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"postern/internal/spool"
	"postern/internal/store/local/bodies"
	"postern/internal/store/local/guard"
	"postern/internal/store/local/sqlite"
)

//go:embed schema/*.sql
var schema embed.FS

// Options say where the home is and what it stands on.
type Options struct {
	Dir     string // made with mode 0700 if missing
	Log     *slog.Logger
	Now     func() time.Time                   // nil = time.Now; only names files set aside
	Disk    bodies.Disk                        // nil = the real one
	Statfs  func(dir string) (guard.FS, error) // nil = ask the kernel
	Spool   *spool.Spool                       // where outbox bodies are unpacked; nil = in memory up to 1 MiB
	Traffic int                                // rows that may wait for the disk; 0 = 4096
}

// Home is an open home. Its parts are ready until Close.
type Home struct {
	dir     string
	lock    *guard.Lock
	db      *sqlite.DB
	health  *health
	log     *slog.Logger
	holds   *Holds
	outbox  *Outbox
	lists   *Lists
	account *Accounts
	audit   *Audit
	traffic *Traffic
}

// Open opens the home: takes its lock, checks and migrates the databases, and removes what a
// crash left half written. Errors name the file and what to do about it.
func Open(ctx context.Context, o Options) (*Home, error) {
	o = o.defaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	fs, err := o.Statfs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := guard.Network(o.Dir, fs); err != nil {
		return nil, err
	}
	lock, err := guard.Take(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	h := &Home{dir: o.Dir, lock: lock, health: &health{log: o.Log, ballast: newBallast(o.Dir)}, log: o.Log}
	if err := h.open(ctx, o); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (o Options) defaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Disk == nil {
		o.Disk = bodies.OS{}
	}
	if o.Statfs == nil {
		o.Statfs = guard.Statfs
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Spool == nil {
		o.Spool = &spool.Spool{Memory: 1 << 20}
	}
	if o.Traffic == 0 {
		o.Traffic = 4096
	}
	return o
}

func (h *Home) open(ctx context.Context, o Options) error {
	if err := h.folders(o.Disk); err != nil {
		return err
	}
	steps, err := migrations("postern")
	if err != nil {
		return err
	}
	h.db, err = sqlite.Open(ctx, filepath.Join(h.dir, "postern.db"), sqlite.Options{Sync: "FULL", Migrations: steps, Check: true})
	if err != nil {
		return err
	}
	files, err := bodies.Open(filepath.Join(h.dir, "bodies"), o.Disk)
	if err != nil {
		return err
	}
	shelf := &shelf{db: h.db, bodies: files, health: h.health}
	h.holds = &Holds{db: h.db, shelf: shelf, health: h.health}
	h.outbox = &Outbox{db: h.db, shelf: shelf, health: h.health, spool: o.Spool, now: o.Now}
	if err := errors.Join(shelf.start(ctx, h.log), h.holds.start(ctx), h.outbox.start(ctx)); err != nil {
		return err
	}
	if h.lists, err = openLists(ctx, h.db, h.health); err != nil {
		return err
	}
	if h.account, err = openAccounts(ctx, h.db, h.health); err != nil {
		return err
	}
	h.health.ballast.hold()
	h.audit = &Audit{db: h.db, health: h.health}
	h.traffic, err = openTraffic(ctx, filepath.Join(h.dir, "traffic.db"), o)
	return err
}

// folders makes the fixed folders and their names durable.
func (h *Home) folders(disk bodies.Disk) error {
	for _, name := range []string{"bodies", "journal"} {
		if err := disk.Mkdir(filepath.Join(h.dir, name)); err != nil {
			return err
		}
	}
	if err := disk.SyncDir(h.dir); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(h.dir))
}

// migrations are the numbered scripts of one database, in order.
func migrations(name string) ([]string, error) {
	var out []string
	for v := 1; ; v++ {
		script, err := schema.ReadFile(fmt.Sprintf("schema/%s-%d.sql", name, v))
		if errors.Is(err, os.ErrNotExist) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, string(script))
	}
}

// Close writes out what waits and gives up the lock.
func (h *Home) Close() error {
	var errs []error
	if h.traffic != nil {
		errs = append(errs, h.traffic.close())
	}
	if h.db != nil {
		errs = append(errs, h.db.Close())
	}
	return errors.Join(append(errs, h.lock.Release())...)
}

// Holds is the home of held mail; it implements quarantine.Store.
func (h *Home) Holds() *Holds { return h.holds }

// Outbox is the home of what the gateway still owes; it implements outbox.Store.
func (h *Home) Outbox() *Outbox { return h.outbox }

// Lists is the home of the operator's own lists; it implements blocklist.Store.
func (h *Home) Lists() *Lists { return h.lists }

// Accounts is the home of account states; it implements abuse.Store.
func (h *Home) Accounts() *Accounts { return h.account }

// Audit is the home of the audit; it implements record.AuditStore.
func (h *Home) Audit() *Audit { return h.audit }

// Traffic is the home of traffic rows; it implements record.Traffic.
func (h *Home) Traffic() *Traffic { return h.traffic }

// Degraded returns why the home no longer takes writes, or nil.
func (h *Home) Degraded() error { return h.health.check() }
