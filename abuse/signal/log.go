package signal

import (
	"context"
	"errors"
	"time"

	"postern/internal/entity"
)

// Kind is the kind of a Log's records.
const Kind entity.Kind = "signal"

// Log keeps signals where every node sees them. What counts rests on other records: the log
// may be emptied.
type Log struct{ table entity.Table[Signal] }

// NewLog makes one.
func NewLog(store entity.Store) Log {
	return Log{entity.Table[Signal]{
		Store: store, Kind: Kind, ID: func(s *Signal) string { return s.ID },
		Keys: func(s *Signal) []entity.Key {
			return []entity.Key{{Index: "at", At: s.At.UnixMilli()}, {Index: "account", Value: s.Account, At: s.At.UnixMilli()}}
		},
	}}
}

// Add writes a signal down. One that is there already is no error.
func (l Log) Add(ctx context.Context, s Signal) error {
	_, err := l.table.Create(ctx, s)
	if errors.Is(err, entity.ErrExists) {
		return nil
	}
	return err
}

// Since returns signals from a time on, oldest first, and where to go on.
func (l Log) Since(ctx context.Context, from time.Time, after string, limit int) (out []Signal, next string, err error) {
	rows, next, err := l.table.Find(ctx, entity.Query{Index: "at", From: max(from.UnixMilli(), 1), To: 1 << 62, Rising: true, After: after, Limit: limit})
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}

// Of returns the newest signals of an account.
func (l Log) Of(ctx context.Context, account string, limit int) (out []Signal, err error) {
	rows, _, err := l.table.Find(ctx, entity.Query{Index: "account", Value: account, Limit: limit})
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, err
}

// Purge forgets up to limit signals older than a time.
func (l Log) Purge(ctx context.Context, before time.Time, limit int) (int, error) {
	rows, _, err := l.table.Find(ctx, entity.Query{Index: "at", From: 1, To: before.UnixMilli(), Rising: true, Limit: limit})
	for i, r := range rows {
		if err := l.table.Remove(ctx, r); err != nil {
			return i, err
		}
	}
	return len(rows), err
}

// Forget forgets the signals of an account.
func (l Log) Forget(ctx context.Context, account string) (n int, err error) {
	for {
		rows, _, err := l.table.Find(ctx, entity.Query{Index: "account", Value: account, Limit: entity.MaxPage})
		if err != nil || len(rows) == 0 {
			return n, err
		}
		for _, r := range rows {
			if err := l.table.Remove(ctx, r); err != nil {
				return n, err
			}
			n++
		}
	}
}
