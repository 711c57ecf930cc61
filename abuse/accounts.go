package abuse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"postern/filter"
)

// SymbolSuspended is emitted for a message of an account that may not send.
const SymbolSuspended = "ACCOUNT_SUSPENDED"

// Poll is how often a change made by another process is looked for.
const Poll = 500 * time.Millisecond

// Change is a state that was set, for the audit.
type Change struct {
	Actor, Action string // Action is suspend or restore
	Before, After Account
}

// Accounts answers who may send from memory, and changes it in the store.
type Accounts struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	audit func(ctx context.Context, c Change) error // nil: nobody writes it down
	seen  atomic.Pointer[book]
}

type book struct {
	revision uint64
	byName   map[string]Account
}

// NewAccounts reads all records; the error is the store's.
func NewAccounts(ctx context.Context, store Store, now func() time.Time, log *slog.Logger, audit func(context.Context, Change) error) (*Accounts, error) {
	a := &Accounts{store: store, now: now, log: log, audit: audit}
	return a, a.refresh(ctx)
}

// Name is the form under which an account is kept: lower case, no spaces around it.
func Name(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func (a *Accounts) refresh(ctx context.Context) error {
	all, rev, err := a.store.Accounts(ctx)
	if err != nil {
		return err
	}
	b := &book{revision: rev, byName: make(map[string]Account, len(all))}
	for _, acc := range all {
		b.byName[acc.Name] = acc
	}
	a.seen.Store(b)
	return nil
}

// Run looks for changes made elsewhere until ctx ends. While the store does not answer, what
// was known last counts.
func (a *Accounts) Run(ctx context.Context) error {
	tick := time.NewTicker(Poll)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		rev, err := a.store.AccountRevision(ctx)
		if err == nil && rev != a.seen.Load().revision {
			err = a.refresh(ctx)
		}
		if err != nil && !failing && ctx.Err() == nil {
			a.log.Error("accounts cannot be read; what was known last counts", "err", err)
		}
		failing = err != nil
	}
}

// Suspended reports whether the account may not send, and why.
func (a *Accounts) Suspended(account string) (reason string, yes bool) {
	acc, ok := a.seen.Load().byName[Name(account)]
	if !ok || acc.State != Suspended {
		return "", false
	}
	return acc.Reason, true
}

// Suspend stops the account from sending, at once, also in sessions that are open. Suspending
// a suspended account changes reason and author. The error is ErrConflict after a change by
// somebody else, or the store's.
func (a *Accounts) Suspend(ctx context.Context, name, reason, actor string) (Account, error) {
	return a.change(ctx, name, reason, actor, Suspended, "suspend")
}

// Restore lets the account send again; an account that was never suspended is ErrNotFound.
func (a *Accounts) Restore(ctx context.Context, name, reason, actor string) (Account, error) {
	return a.change(ctx, name, reason, actor, Active, "restore")
}

func (a *Accounts) change(ctx context.Context, name, reason, actor string, to State, action string) (Account, error) {
	name = Name(name)
	if name == "" {
		return Account{}, errors.New("abuse: an account needs a name")
	}
	old, err := a.store.Account(ctx, name)
	if err != nil && (!errors.Is(err, ErrNotFound) || to == Active) {
		return Account{}, err
	}
	acc := Account{Name: name, State: to, Reason: reason, By: actor, At: a.now().UTC(), Version: old.Version + 1}
	if err := a.store.PutAccount(ctx, acc); err != nil {
		return Account{}, err
	}
	if err := a.refresh(ctx); err != nil {
		return acc, fmt.Errorf("the change is stored and counts within a second: %w", err)
	}
	if a.audit == nil {
		return acc, nil
	}
	return acc, a.audit(ctx, Change{Actor: actor, Action: action, Before: old, After: acc})
}

// Check implements filter.Check: an outbound message of a suspended account is found.
func (a *Accounts) Check(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
	if m.Direction != filter.Outbound || m.Account == "" {
		return nil, nil
	}
	if reason, yes := a.Suspended(m.Account); yes {
		return []filter.Finding{{Symbol: SymbolSuspended, Detail: reason}}, nil
	}
	return nil, nil
}
