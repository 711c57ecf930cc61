// Package once makes a request with a key happen one time, however often it is sent.
package once

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/internal/entity"
)

// Bounds.
const (
	Kept      = 24 * time.Hour // a key and the answer to it
	MaxAnswer = 64 << 10       // octets of an answer that is kept
	MaxOf     = 10_000         // keys of one caller
	finish    = 10 * time.Second
)

// What is wrong with a key.
var (
	ErrRunning = errors.New("the first request with this key is not over")
	ErrOther   = errors.New("this key was used for another request")
	ErrFull    = errors.New("too many keys in a day")
)

// Answer is what a request was answered.
type Answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body,omitempty"` // none where it was not kept
}

// request is a key that was used.
type request struct {
	ID     string    `json:"id"`
	Caller string    `json:"caller"`
	Sum    string    `json:"sum"` // of what was asked
	At     time.Time `json:"at"`
	Done   bool      `json:"done,omitempty"`
	Answer Answer    `json:"answer"`
}

// Keys are the keys of a home.
type Keys struct {
	table entity.Table[request]
	now   func() time.Time
}

// New returns the keys in a store.
func New(store entity.Store, now func() time.Time) *Keys {
	return &Keys{now: now, table: entity.Table[request]{
		Store: store, Kind: "request-key", ID: func(r *request) string { return r.ID },
		Keys: func(r *request) []entity.Key {
			at := r.At.UnixMilli()
			return []entity.Key{{Index: "caller", Value: r.Caller, At: at}, {Index: "all", At: at}}
		},
	}}
}

func sum(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		_, _ = h.Write(p) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Use is one use of a key.
type Use struct {
	Caller, Key string
	Request     []byte // what is asked: the same key for another is ErrOther
	Secret      bool   // the body of the answer is not kept
}

// Do runs do unless that caller's key was used within Kept, and returns what was answered then;
// again tells which. An answer of 500 and above is nobody's last word: the key is free again.
// The errors are the three above, or the store's, and then nothing was done.
func (k *Keys) Do(ctx context.Context, u Use, do func() Answer) (a Answer, again bool, err error) {
	r := request{ID: sum([]byte(u.Caller), []byte(u.Key)), Caller: sum([]byte(u.Caller)), Sum: sum(u.Request), At: k.now()}
	row, err := k.begin(ctx, r)
	if err != nil || row.Value.Done {
		return row.Value.Answer, err == nil, err
	}
	a = do()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finish) // a caller who went away comes back with the key
	defer cancel()
	if a.Status >= 500 {
		return a, false, k.forget(ctx, row)
	}
	// It is done; where that cannot be noted, the key stays as running and does it no second time.
	_, _ = k.table.Change(ctx, r.ID, func(v *request) error {
		v.Done, v.Answer = true, Answer{Status: a.Status}
		if !u.Secret && len(a.Body) <= MaxAnswer {
			v.Answer.Body = a.Body
		}
		return nil
	})
	return a, false, nil
}

// begin notes the key, or finds what was answered to it.
func (k *Keys) begin(ctx context.Context, r request) (entity.Row[request], error) {
	for {
		n, err := k.table.Count(ctx, entity.Query{Index: "caller", Value: r.Caller}, MaxOf)
		if err != nil {
			return entity.Row[request]{}, err
		}
		if n >= MaxOf {
			return entity.Row[request]{}, ErrFull
		}
		row, err := k.table.Create(ctx, r)
		if !errors.Is(err, entity.ErrExists) {
			return row, err
		}
		row, err = k.table.Get(ctx, r.ID)
		switch {
		case errors.Is(err, entity.ErrNotFound):
			continue
		case err != nil:
			return row, err
		case k.now().Sub(row.Value.At) >= Kept:
			if err := k.forget(ctx, row); err != nil {
				return row, err
			}
			continue
		case row.Value.Sum != r.Sum:
			return row, ErrOther
		case !row.Value.Done:
			return row, ErrRunning
		}
		return row, nil
	}
}

func (k *Keys) forget(ctx context.Context, row entity.Row[request]) error {
	if err := k.table.Remove(ctx, row); err != nil && !errors.Is(err, entity.ErrConflict) {
		return err
	}
	return nil
}

// Prune forgets keys whose time is over, up to limit of them, and returns how many.
func (k *Keys) Prune(ctx context.Context, limit int) (int, error) {
	n := 0
	q := entity.Query{Index: "all", To: k.now().Add(-Kept).UnixMilli(), From: 1, Rising: true, Limit: min(limit, entity.MaxPage)}
	rows, _, err := k.table.Find(ctx, q)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if err := k.forget(ctx, row); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
