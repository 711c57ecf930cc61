package logins

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"postern/internal/entity"
)

// Kind is the kind of a Log's records.
const Kind entity.Kind = "login"

// Keep is how long rows are kept: what is made of them looks at one day.
const Keep = 48 * time.Hour

// Row says how logins to an account from one network ended at one node.
type Row struct {
	ID      string     `json:"id"`
	Account string     `json:"account"`
	Network string     `json:"network"`
	Client  netip.Addr `json:"client"`
	Node    string     `json:"node,omitempty"`
	At      time.Time  `json:"at"`               // the last one
	Failed  int        `json:"failed,omitempty"` // within the hour; 0: they worked
}

// Log keeps logins where every node sees them. What counts rests on other records as well: the
// log may be emptied.
type Log struct{ table entity.Table[Row] }

// NewLog makes one.
func NewLog(store entity.Store) Log {
	return Log{entity.Table[Row]{
		Store: store, Kind: Kind, ID: func(r *Row) string { return r.ID },
		Keys: func(r *Row) []entity.Key {
			return []entity.Key{{Index: "at", At: r.At.UnixMilli()}, {Index: "account", Value: r.Account, At: r.At.UnixMilli()}}
		},
	}}
}

// Put writes a row over the one of its ID.
func (l Log) Put(ctx context.Context, r Row) error {
	_, err := l.table.Create(ctx, r)
	if !errors.Is(err, entity.ErrExists) {
		return err
	}
	_, err = l.table.Change(ctx, r.ID, func(now *Row) error {
		if !r.At.After(now.At) && r.Failed <= now.Failed {
			return entity.ErrUnchanged
		}
		now.At, now.Client, now.Failed = r.At, r.Client, max(r.Failed, now.Failed)
		return nil
	})
	return err
}

// Since returns rows from a time on, oldest first, and where to go on.
func (l Log) Since(ctx context.Context, from time.Time, after string, limit int) ([]Row, string, error) {
	return l.find(ctx, entity.Query{Index: "at", From: max(from.UnixMilli(), 1), To: 1 << 62, Rising: true, After: after, Limit: limit})
}

// Of returns the newest rows of an account.
func (l Log) Of(ctx context.Context, account string, limit int) ([]Row, error) {
	out, _, err := l.find(ctx, entity.Query{Index: "account", Value: account, Limit: limit})
	return out, err
}

func (l Log) find(ctx context.Context, q entity.Query) (out []Row, next string, err error) {
	rows, next, err := l.table.Find(ctx, q)
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}

// Purge forgets up to limit rows older than a time.
func (l Log) Purge(ctx context.Context, before time.Time, limit int) (n int, err error) {
	return l.remove(ctx, entity.Query{Index: "at", From: 1, To: before.UnixMilli(), Rising: true}, limit)
}

// Forget forgets what is kept of an account.
func (l Log) Forget(ctx context.Context, account string) (n int, err error) {
	return l.remove(ctx, entity.Query{Index: "account", Value: account}, 1<<30)
}

func (l Log) remove(ctx context.Context, q entity.Query, limit int) (n int, err error) {
	for n < limit {
		q.Limit = min(limit-n, entity.MaxPage)
		rows, _, err := l.table.Find(ctx, q)
		if err != nil || len(rows) == 0 {
			return n, err
		}
		for _, r := range rows {
			if err := l.table.Remove(ctx, r); err != nil && !errors.Is(err, entity.ErrConflict) {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
