// Package traffic keeps traffic rows in a file of their own beside the local home, written in
// batches off the way of mail.
package traffic

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/internal/record"
	"postern/internal/store/local/search"
	"postern/internal/store/local/sqlite"
)

// Store implements record.Traffic over a file of its own. Rows are written in batches by
// one goroutine; no answer to a client waits for it.
type Store struct {
	db      *sqlite.DB
	log     *slog.Logger
	rows    chan record.Row
	flush   chan chan struct{}
	stop    chan struct{}
	done    chan struct{}
	once    sync.Once
	dropped atomic.Uint64

	// Of the goroutine that writes.
	batch   []record.Row
	sql     *statements // nil before the first batch
	failing bool        // the last batch failed; said once
}

// batch bounds the rows of one transaction.
const batch = 256

// linger is how long the first row of a batch waits for more: one transaction costs as much as
// several rows. A process that is killed loses the rows of that time.
const linger = 500 * time.Millisecond

// Options say how the file is opened.
type Options struct {
	Path       string
	Migrations []string // SQL that brings schema n to n+1, from 0 on
	Waiting    int      // rows that may wait for the disk
	Log        *slog.Logger
	Now        func() time.Time // names a damaged file that is set aside
}

// Open opens the file. A damaged one is set aside: what passed yesterday must not keep mail
// from passing today.
func Open(ctx context.Context, o Options) (*Store, error) {
	opts := sqlite.Options{Sync: "NORMAL"}
	for _, script := range o.Migrations {
		opts.Migrations = append(opts.Migrations, sqlite.Script(script))
	}
	db, err := sqlite.Open(ctx, o.Path, opts)
	var damaged *sqlite.DamageError
	if errors.As(err, &damaged) {
		aside := o.Path + ".damaged-" + o.Now().UTC().Format("20060102T150405.000")
		o.Log.Error("the traffic records are damaged: set aside, beginning anew", "file", aside, "error", err)
		if err := setAside(o.Path, aside); err != nil {
			return nil, err
		}
		db, err = sqlite.Open(ctx, o.Path, opts)
	}
	if err != nil {
		return nil, err
	}
	t := &Store{
		db: db, log: o.Log, rows: make(chan record.Row, o.Waiting),
		flush: make(chan chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go t.run()
	return t, nil
}

func setAside(path, aside string) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(path, aside)
}

// DB is the file, for what else is written off the way of mail. It is open until Close.
func (t *Store) DB() *sqlite.DB { return t.db }

// Add implements record.Traffic.
func (t *Store) Add(r record.Row) bool {
	select {
	case t.rows <- r:
		return true
	default:
		t.dropped.Add(1)
		return false
	}
}

// Dropped counts the rows that were not written since Open.
func (t *Store) Dropped() uint64 { return t.dropped.Load() }

// Size counts the rows and the bytes of the file they stand in, which is not theirs alone.
func (t *Store) Size(ctx context.Context) (rows, bytes int64, err error) {
	err = t.db.R.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM traffic), page_count * page_size FROM pragma_page_count(), pragma_page_size()").Scan(&rows, &bytes)
	return rows, bytes, err
}

func (t *Store) run() {
	defer close(t.done)
	due := time.NewTimer(linger)
	defer due.Stop()
	for {
		select {
		case r := <-t.rows:
			t.collect(r)
			if len(t.batch) == 1 {
				due.Reset(linger)
			}
		case <-due.C:
			t.write()
		case done := <-t.flush:
			t.drain()
			close(done)
		case <-t.stop:
			t.drain()
			return
		}
	}
}

// drain writes everything that waits.
func (t *Store) drain() {
	for len(t.rows) > 0 {
		t.collect(<-t.rows)
	}
	t.write()
}

func (t *Store) collect(r record.Row) {
	if t.batch = append(t.batch, r); len(t.batch) == batch {
		t.write()
	}
}

// write writes the batch.
func (t *Store) write() {
	if len(t.batch) == 0 {
		return
	}
	err := t.insert(context.Background(), t.batch) // rows outlive the sessions they are about
	if err != nil {
		t.dropped.Add(uint64(len(t.batch)))
		if !t.failing {
			t.log.Error("traffic rows cannot be written and are dropped", "error", err)
		}
	}
	t.failing = err != nil
	clear(t.batch)
	t.batch = t.batch[:0]
}

// wait returns when the rows added before are written.
func (t *Store) wait(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case t.flush <- done:
	case <-t.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what waits and closes the file.
func (t *Store) Close() error {
	t.once.Do(func() { close(t.stop) })
	<-t.done
	return t.db.Close() // and the statements with it
}

// Find implements record.Traffic. It waits for the rows added before, so that an answer and
// its trace never disagree.
func (t *Store) Find(ctx context.Context, q record.Trace) (record.Page, error) {
	if err := t.wait(ctx); err != nil {
		return record.Page{}, err
	}
	c, from, order, ok := traceClause(q)
	if !ok {
		return record.Page{}, nil
	}
	size := q.PageSize()
	found, err := sqlite.Records[record.Row](ctx, t.db.R,
		"SELECT h.record FROM traffic h WHERE h.n IN (SELECT h.n FROM "+from+" "+c.String()+" ORDER BY "+order+" DESC LIMIT ?) ORDER BY h.id DESC", append(c.Args, size+1)...)
	if err != nil {
		return record.Page{}, err
	}
	page := record.Page{Rows: found}
	if len(found) > size {
		page.Rows, page.Next = found[:size], found[size-1].ID
	}
	return page, nil
}

// traceClause turns a query into conditions, the tables to walk and the column that gives
// the order; ok is false when nothing can match.
func traceClause(q record.Trace) (c *search.Clause, from, order string, ok bool) {
	c, from, order = &search.Clause{}, "traffic h", "h.id"
	keys, known := wantedKeys(q)
	if !known {
		return c, from, order, false
	}
	for i, key := range keys {
		if i == 0 {
			from, order = "traffic_to t CROSS JOIN traffic h ON h.id = t.id", "t.id"
			c.And("t.addr = ?", key)
			continue
		}
		c.And("EXISTS (SELECT 1 FROM traffic_to x WHERE x.addr = ? AND x.id = h.id)", key)
	}
	if q.Direction != "" {
		c.And("json_extract(h.record, '$.direction') = ?", q.Direction)
	}
	if q.State != "" {
		c.And("EXISTS (SELECT 1 FROM json_each(h.record, '$.to') f WHERE json_extract(f.value, '$.state') = ?)", q.State)
	}
	if q.ID != "" {
		id, _, _ := strings.Cut(q.ID, "-") // a hold's ID begins with that of its message
		c.And("h.id = ?", id)
	}
	if q.After != "" {
		c.And(order+" < ?", q.After)
	}
	if !q.Since.IsZero() {
		c.And("h.at >= ?", q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		c.And("h.at < ?", q.Until.UnixMilli())
	}
	if q.MessageID != "" {
		c.And("h.header = ?", strings.Trim(q.MessageID, "<> "))
	}
	if q.IP.IsValid() {
		lo, hi := ends(q.IP)
		c.And("h.ip BETWEEN ? AND ?", lo, hi)
	}
	c.Sender("h", q.From)
	ok = c.Words("h.n IN (SELECT rowid FROM traffic_words WHERE traffic_words MATCH ?)", strings.Fields(q.Subject))
	return c, from, order, ok
}

// wantedKeys are the keys that a row must have all of; ok is false when none can have them.
func wantedKeys(q record.Trace) (keys []string, ok bool) {
	if q.Reply != "" {
		w := record.ReplyWord(q.Reply)
		if w == "" {
			return nil, false
		}
		keys = append(keys, replyKey+w)
	}
	if q.To != "" {
		keys = append(keys, strings.ToLower(q.To))
	}
	if q.Account != "" {
		keys = append(keys, accountKey+strings.ToLower(q.Account))
	}
	return keys, true
}

// ends are the first and the last address of a network, as stored.
func ends(p netip.Prefix) (lo, hi []byte) {
	first := p.Masked().Addr()
	bits := p.Bits()
	if first.Is4() {
		bits += 96
	}
	a := first.As16()
	b := a
	for i := bits; i < 128; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return a[:], b[:]
}

// Prune implements record.Traffic, in steps short enough that new rows need not wait long.
func (t *Store) Prune(ctx context.Context, before time.Time) (n int, err error) {
	for {
		res, err := t.db.W.ExecContext(ctx, "DELETE FROM traffic WHERE n IN (SELECT n FROM traffic WHERE at < ? LIMIT 1000)", before.UnixMilli())
		if err != nil {
			return n, err
		}
		rows, err := res.RowsAffected()
		n += int(rows)
		if err != nil || rows == 0 {
			return n, err
		}
	}
}
