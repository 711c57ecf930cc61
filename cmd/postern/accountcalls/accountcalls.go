// Package accountcalls are the named calls that look at local accounts: to find them, what one
// of them did, and what a measure would do to it.
package accountcalls

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/behaviour/logins"
	"postern/abuse/cases"
	"postern/abuse/engine"
	"postern/abuse/guarantee"
	"postern/abuse/history"
	"postern/abuse/measure"
	"postern/abuse/signal"
	"postern/internal/control"
	"postern/internal/entity"
)

// Parts are what the calls look at. All but Geo and Held are needed.
type Parts struct {
	Accounts *abuse.Accounts
	Desk     *measure.Desk
	Engine   *engine.Engine
	Sent     history.Log
	Signals  signal.Log
	Logins   logins.Log
	Cases    *cases.Desk
	Office   *guarantee.Office
	Geo      behaviour.Geo
	Held     measure.Held
	Full     func() (messages, recipients int) // an hour, of an account that nothing limits
	Throttle func() (messages, recipients int) // an hour, under M1
	Now      func() time.Time
}

// calls keep what a search is made in.
type calls struct {
	Parts
	mu    sync.Mutex
	index *index
}

// Handle adds the calls to s.
func (p Parts) Handle(s *control.Server) {
	c := &calls{Parts: p}
	control.Handle(s, "account.find", c.find)
	control.Handle(s, "account.activity", c.activity)
	control.Handle(s, "measure.preview", c.preview)
}

// named is the account that a call is about.
func named(name string) (string, error) {
	name = abuse.Name(name)
	if name == "" || len(name) > 320 {
		return "", control.Refuse(control.Invalid, "account.name-an-account-of-at-most-320", "name an account, of at most 320 octets")
	}
	return name, nil
}

func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// known turns what is wrong with a question into a refusal.
func known(err error) error {
	if errors.Is(err, measure.ErrInvalid) || errors.Is(err, entity.ErrInvalid) {
		return control.Because(control.Invalid, err)
	}
	return err
}

// guarantees are those of an account, and the certificates of what was purged of it.
func (c *calls) guarantees(ctx context.Context, account string) ([]guarantee.Pack, []guarantee.Certificate, error) {
	packs, _, err := c.Office.List(ctx, guarantee.Search{Account: account, Limit: 50})
	if err != nil {
		return nil, nil, fmt.Errorf("guarantees of %s: %w", account, err)
	}
	certs, _, err := c.Office.Certificates(ctx, account, "", 50)
	return packs, certs, err
}
