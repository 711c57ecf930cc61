// Package local is the embedded home of all state: one folder with two databases and the
// held bodies, for one node, with nothing to install.
package local

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"postern/internal/entity"
	"postern/internal/spool"
	"postern/internal/store/local/bayes"
	"postern/internal/store/local/bodies"
	"postern/internal/store/local/campaign"
	"postern/internal/store/local/desk"
	"postern/internal/store/local/entities"
	"postern/internal/store/local/greylist"
	"postern/internal/store/local/ground"
	"postern/internal/store/local/guard"
	"postern/internal/store/local/history"
	"postern/internal/store/local/holds"
	"postern/internal/store/local/outbox"
	"postern/internal/store/local/reports"
	"postern/internal/store/local/sent"
	"postern/internal/store/local/shelf"
	"postern/internal/store/local/sqlite"
	"postern/internal/store/local/traffic"
)

//go:embed schema/*.sql
var schema embed.FS

// Options say where the home is and what it stands on.
type Options struct {
	Dir     string // made with mode 0700 if missing
	Log     *slog.Logger
	Now     func() time.Time                   // nil = time.Now; dates IDs and files set aside
	Disk    bodies.Disk                        // nil = the real one
	Statfs  func(dir string) (guard.FS, error) // nil = ask the kernel
	Spool   *spool.Spool                       // where outbox bodies are unpacked; nil = in memory up to 1 MiB
	Traffic int                                // rows that may wait for the disk; 0 = 4096
	Caps    map[entity.Class]int64             // bytes that blobs of a class may take; 0 = any
	Small   int64                              // bytes of postern.db up to which it is read through before it is used; 0 = 64 MiB
	reindex bool                               // bodies without a database are what is expected
}

// Home is an open home. Its parts are ready until Close.
type Home struct {
	dir      string
	lock     *guard.Lock
	ground   *ground.Ground
	files    *bodies.Bodies
	shelf    *shelf.Shelf
	holds    *holds.Store
	outbox   *outbox.Store
	lists    *desk.Lists
	accounts *desk.Accounts
	audit    *desk.Audit
	entities *entities.Store
	traffic  *traffic.Store
	history  *history.Store
	greylist *greylist.Store
	sent     *sent.Store
	bayes    *bayes.Store
	campaign *campaign.Store
	look     look
}

// Open opens the home: takes its lock, checks and migrates the databases, and removes what a
// crash left half written. Errors name the file and what to do about it. A large database is read
// through while it is in use already: Degraded says what is found, Settle waits.
func Open(ctx context.Context, o Options) (*Home, error) {
	o = o.defaults()
	h, err := enter(o)
	if err != nil {
		return nil, err
	}
	ground.Loosen(o.Dir)
	err = h.open(ctx, o)
	if err == nil {
		err = errors.Join(h.shelf.Start(), h.entities.Start(ctx))
	}
	if err == nil {
		err = h.begin(ctx, o.Log)
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := h.ground.Room(); err != nil {
		o.Log.Warn("the disk is full: there is no reserve, and nothing new is held", "error", err)
	}
	return h, nil
}

// enter makes sure that the folder is fit to be a home and nobody else's, and locks it.
func enter(o Options) (*Home, error) {
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
	return &Home{dir: o.Dir, lock: lock}, nil
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
	if o.Small == 0 {
		o.Small = small
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
	steps, err := holdMigrations()
	if err != nil {
		return err
	}
	path := filepath.Join(h.dir, "postern.db")
	if err := complete(path, h.dir); err != nil && !o.reindex {
		return err
	}
	db, err := h.database(ctx, path, o.Small, steps)
	if err != nil {
		return err
	}
	h.ground = ground.New(db, h.dir, o.Log)
	if h.files, err = bodies.Open(filepath.Join(h.dir, "bodies"), o.Disk); err != nil {
		return err
	}
	h.shelf = shelf.New(h.ground, h.files)
	var errs [5]error
	h.holds, errs[0] = holds.Open(ctx, h.ground, h.shelf)
	h.outbox, errs[1] = outbox.Open(ctx, h.ground, h.shelf, o.Spool, o.Now)
	h.lists, errs[2] = desk.OpenLists(ctx, h.ground)
	h.accounts, errs[3] = desk.OpenAccounts(ctx, h.ground)
	h.entities, errs[4] = entities.Open(h.ground, entities.Options{Dir: filepath.Join(h.dir, "blobs"), Disk: o.Disk, Spool: o.Spool, Now: o.Now, Caps: o.Caps})
	h.audit = desk.NewAudit(h.ground)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if err := errors.Join(h.openSent(ctx), h.openBayes(ctx, o.Log), h.openCampaigns(ctx, o.Log)); err != nil {
		return err
	}
	return h.openTraffic(ctx, o)
}

func (h *Home) openSent(ctx context.Context) error {
	steps, err := migrations("sent")
	if err == nil {
		h.sent, err = sent.Open(ctx, filepath.Join(h.dir, "sent.db"), steps)
	}
	return err
}

func (h *Home) openBayes(ctx context.Context, log *slog.Logger) error {
	// It is made anew from the journal of what was learned.
	return h.openDerived("bayes", log, "the counts of learning are damaged; they are set aside and made anew", func(path string, steps []string) (err error) {
		h.bayes, err = bayes.Open(ctx, path, steps)
		return err
	})
}

func (h *Home) openCampaigns(ctx context.Context, log *slog.Logger) error {
	return h.openDerived("campaign", log, "what was remembered of campaigns is damaged; it is set aside, and begun anew", func(path string, steps []string) (err error) {
		h.campaign, err = campaign.Open(ctx, path, steps, campaign.Options{Log: log})
		return err
	})
}

// openDerived opens a file that no promise rests on. One that is damaged is set aside.
func (h *Home) openDerived(name string, log *slog.Logger, words string, open func(path string, steps []string) error) error {
	steps, err := migrations(name)
	if err != nil {
		return err
	}
	path := filepath.Join(h.dir, name+".db")
	err = open(path, steps)
	var damage *sqlite.DamageError
	if !errors.As(err, &damage) {
		return err
	}
	log.Error(words, "file", path, "error", err)
	if err := os.Rename(path, path+".damaged"); err != nil {
		return err
	}
	for _, more := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + more); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return open(path, steps)
}

func (h *Home) openTraffic(ctx context.Context, o Options) error {
	steps, err := migrations("traffic")
	if err != nil {
		return err
	}
	h.traffic, err = traffic.Open(ctx, traffic.Options{
		Path: filepath.Join(h.dir, "traffic.db"), Migrations: steps, Waiting: o.Traffic, Log: o.Log, Now: o.Now})
	if err != nil {
		return err
	}
	if h.greylist, err = greylist.Open(ctx, h.traffic.DB(), 0); err != nil {
		return err
	}
	h.history, err = history.Open(ctx, h.traffic.DB(), history.Options{Log: o.Log})
	return err
}

// MissingError says that there are bodies and no database that knows them: opened as a new
// home, they would be taken for what a crash left behind.
type MissingError struct{ Path, Bodies string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is missing and %s is not empty: restore the file from a backup, rebuild it with \"postern store reindex\", or move %s away to begin anew",
		e.Path, e.Bodies, e.Bodies)
}

// complete returns a *MissingError when bodies or blobs are there and the database is not.
func complete(db, dir string) error {
	if info, err := os.Stat(db); err == nil && info.Size() > 0 {
		return nil
	}
	for _, files := range append([]string{filepath.Join(dir, "bodies")}, entities.Folders(filepath.Join(dir, "blobs"))...) {
		if found, err := filepath.Glob(filepath.Join(files, "??", "*.zst")); err != nil || len(found) > 0 {
			return errors.Join(err, &MissingError{Path: db, Bodies: files})
		}
	}
	return nil
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

// holdMigrations are those of postern.db. The second gives every hold its place in the list.
func holdMigrations() ([]sqlite.Migration, error) {
	scripts, err := migrations("postern")
	if err != nil {
		return nil, err
	}
	var out []sqlite.Migration
	for _, text := range scripts {
		out = append(out, sqlite.Script(text))
	}
	end, err := schema.ReadFile("schema/postern-2-end.sql")
	out[1] = func(ctx context.Context, tx *sql.Tx) error {
		for _, step := range []sqlite.Migration{sqlite.Script(scripts[1]), holds.Renumber, sqlite.Script(string(end))} {
			if err := step(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	}
	return out, err
}

// Close writes out what waits and gives up the lock.
func (h *Home) Close() error {
	h.look.end()
	var errs []error
	if h.history != nil {
		errs = append(errs, h.history.Close())
	}
	if h.traffic != nil {
		errs = append(errs, h.traffic.Close())
	}
	if h.sent != nil {
		errs = append(errs, h.sent.Close())
	}
	if h.bayes != nil {
		errs = append(errs, h.bayes.Close())
	}
	if h.campaign != nil {
		errs = append(errs, h.campaign.Close())
	}
	if h.ground != nil {
		errs = append(errs, h.ground.Close())
	}
	return errors.Join(append(errs, h.lock.Release())...)
}

// Holds is the home of held mail; it implements quarantine.Store.
func (h *Home) Holds() *holds.Store { return h.holds }

// Outbox is the home of what the gateway still owes; it implements outbox.Store.
func (h *Home) Outbox() *outbox.Store { return h.outbox }

// Lists is the home of the operator's own lists; it implements blocklist.Store.
func (h *Home) Lists() *desk.Lists { return h.lists }

// Accounts is the home of account states; it implements abuse.Store.
func (h *Home) Accounts() *desk.Accounts { return h.accounts }

// Audit is the home of the audit; it implements record.AuditStore.
func (h *Home) Audit() *desk.Audit { return h.audit }

// Entities is the home of the records of the rooms and of what they rest on; it implements
// entity.Home.
func (h *Home) Entities() *entities.Store { return h.entities }

// Traffic is the home of traffic rows; it implements record.Traffic.
func (h *Home) Traffic() *traffic.Store { return h.traffic }

// History is the home of what speaks for mail; it implements the store of filter/history.
func (h *Home) History() *history.Store { return h.history }

// Greylist is the home of who was asked to come again; it implements greylist.Store.
func (h *Home) Greylist() *greylist.Store { return h.greylist }

// Sent is the home of the send log; it implements sent.Store.
func (h *Home) Sent() *sent.Store { return h.sent }

// Bayes is the home of the counts of what was learned; it implements the store of filter/bayes.
func (h *Home) Bayes() *bayes.Store { return h.bayes }

// Campaigns is the home of what came with each fuzzy hash.
func (h *Home) Campaigns() *campaign.Store { return h.campaign }

// Reports is the home of DMARC and TLS reports; it implements report.Store.
func (h *Home) Reports() *reports.Store { return reports.New(h.traffic.DB()) }

// Degraded returns why the home no longer takes writes, or nil.
func (h *Home) Degraded() error { return h.ground.Check() }
