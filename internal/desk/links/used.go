package links

import (
	"context"
	"errors"
	"time"

	"postern/internal/entity"
)

// Used remembers which links were used, until their time is over.
type Used struct{ table entity.Table[used] }

type used struct {
	Mark  string    `json:"mark"`
	Until time.Time `json:"until"`
}

// NewUsed keeps it in a store.
func NewUsed(store entity.Store) *Used {
	return &Used{entity.Table[used]{
		Store: store, Kind: "link-used", ID: func(u *used) string { return u.Mark },
		Keys: func(u *used) []entity.Key { return []entity.Key{{Index: "until", At: u.Until.UnixMilli()}} },
	}}
}

// Claim uses a link; false: it was used before.
func (u *Used) Claim(ctx context.Context, mark string, until time.Time) (bool, error) {
	_, err := u.table.Create(ctx, used{Mark: mark, Until: until.UTC()})
	if errors.Is(err, entity.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Was reports whether a link was used.
func (u *Used) Was(ctx context.Context, mark string) (bool, error) {
	_, err := u.table.Get(ctx, mark)
	if errors.Is(err, entity.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Free takes a Claim back: what the link does could not be done.
func (u *Used) Free(ctx context.Context, mark string) error {
	row, err := u.table.Get(ctx, mark)
	if errors.Is(err, entity.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return u.table.Remove(ctx, row)
}

// Prune forgets links whose time was over at t, and returns how many.
func (u *Used) Prune(ctx context.Context, t time.Time) (n int, err error) {
	rows, _, err := u.table.Find(ctx, entity.Query{Index: "until", From: 1, To: t.UnixMilli(), Rising: true, Limit: entity.MaxPage})
	for _, row := range rows {
		if err := u.table.Remove(ctx, row); err != nil && !errors.Is(err, entity.ErrConflict) {
			return n, err
		}
		n++
	}
	return n, err
}
