package sent

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"postern/abuse/sent"
)

// statements are what writes a row, compiled once.
type statements struct{ read, insert, update, queue, seq *sql.Stmt }

func (s *Store) prepare(ctx context.Context) (*statements, error) {
	if s.sql != nil {
		return s.sql, nil
	}
	out := &statements{}
	for _, one := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&out.read, "SELECT n, record FROM sent WHERE serial = ?"},
		{&out.insert, "INSERT INTO sent (serial, seq, at, account, header, ip, port, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		{&out.update, "UPDATE sent SET seq = ?, record = ? WHERE n = ?"},
		{&out.queue, "INSERT OR IGNORE INTO sent_queue VALUES (?, ?)"},
		{&out.seq, "UPDATE sent_state SET seq = seq + ? RETURNING seq"},
	} {
		var err error
		if *one.stmt, err = s.db.W.PrepareContext(ctx, one.text); err != nil { //nolint:sqlclosecheck // closed with the database
			return nil, err
		}
	}
	s.sql = out
	return out, nil
}

// in returns the statements for use in a transaction, which closes them.
func (s *statements) in(ctx context.Context, tx *sql.Tx) *statements {
	of := func(stmt *sql.Stmt) *sql.Stmt { return tx.StmtContext(ctx, stmt) }
	return &statements{of(s.read), of(s.insert), of(s.update), of(s.queue), of(s.seq)}
}

// commit writes a batch in one transaction and answers each. A change that is refused does not
// hold up the others.
func (s *Store) commit(batch []job) {
	ctx := context.Background() // several sessions wait for it, not one
	errs := make([]error, len(batch))
	stmts, err := s.prepare(ctx)
	if err == nil {
		err = s.db.Tx(ctx, func(tx *sql.Tx) error {
			w := &writer{ctx: ctx, s: stmts.in(ctx, tx)}
			if err := w.s.seq.QueryRowContext(ctx, len(batch)).Scan(&w.seq); err != nil {
				return err
			}
			w.seq -= int64(len(batch))
			for i, j := range batch {
				w.seq++
				errs[i] = w.change(j)
				if errs[i] != nil && !errors.Is(errs[i], sent.ErrExists) && !errors.Is(errs[i], sent.ErrNotFound) {
					return errs[i]
				}
			}
			return nil
		})
	}
	for i, j := range batch {
		if err != nil {
			errs[i] = err
		}
		j.answer <- errs[i]
	}
}

// writer is one transaction.
type writer struct {
	ctx context.Context //nolint:containedctx // lives as long as the transaction
	s   *statements
	seq int64
}

func (w *writer) change(j job) error {
	n, was, err := w.row(j.serial)
	switch {
	case errors.Is(err, sent.ErrNotFound) && j.begin != nil:
		return w.add(*j.begin)
	case err != nil:
		return err
	}
	now, changed := was.Settled(j.copies)
	if j.begin != nil {
		changed = true
		if now, err = was.Joined(*j.begin); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if _, err := w.s.update.ExecContext(w.ctx, w.seq, string(text), n); err != nil {
		return err
	}
	return w.queues(n, now)
}

func (w *writer) row(serial string) (n int64, r sent.Row, err error) {
	var text string
	err = w.s.read.QueryRowContext(w.ctx, serial).Scan(&n, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, r, sent.ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &r)
	}
	return n, r, err
}

func (w *writer) add(r sent.Row) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	res, err := w.s.insert.ExecContext(w.ctx, r.Serial, w.seq, r.At.UnixMilli(), r.Account, r.MessageID, bytesOf(r.Client.Addr()), int64(r.Client.Port()), string(text))
	if err != nil {
		return err
	}
	n, err := res.LastInsertId()
	if err != nil {
		return err
	}
	return w.queues(n, r)
}

func (w *writer) queues(n int64, r sent.Row) error {
	for _, id := range r.QueueIDs() {
		if _, err := w.s.queue.ExecContext(w.ctx, id, n); err != nil {
			return err
		}
	}
	return nil
}

func bytesOf(ip netip.Addr) []byte {
	if !ip.IsValid() {
		return []byte{}
	}
	b := ip.As16()
	return b[:]
}

// purgeStep bounds the rows that one transaction forgets: new rows wait for it.
const purgeStep = 500

// Purge implements sent.Store.
func (s *Store) Purge(ctx context.Context, before time.Time) (n int, err error) {
	for {
		res, err := s.db.W.ExecContext(ctx, "DELETE FROM sent WHERE n IN (SELECT n FROM sent WHERE at < ? ORDER BY at LIMIT ?)", before.UnixMilli(), purgeStep)
		if err != nil {
			return n, err
		}
		gone, err := res.RowsAffected()
		n += int(gone)
		if err != nil || gone < purgeStep {
			return n, err
		}
	}
}

// Forget implements sent.Store.
func (s *Store) Forget(ctx context.Context, serials []string) error {
	for _, serial := range serials {
		if _, err := s.db.W.ExecContext(ctx, "DELETE FROM sent WHERE serial = ?", serial); err != nil {
			return err
		}
	}
	return nil
}
