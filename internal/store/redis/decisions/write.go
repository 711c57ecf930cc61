package decisions

import (
	"context"
	"errors"
	"fmt"

	"postern/abuse"
	"postern/blocklist"
	"postern/internal/store/redis/conn"
)

// errBusy says that others wrote the record faster than this node could.
var errBusy = errors.New("decisions: others are changing the same record")

// write makes a decision: next is given what is known of the record and makes the new one. It
// is agreed on with the store first, so a write that loses leaves no trace here; with the store
// away it counts here and is pushed later.
func (d *Decisions) write(ctx context.Context, kind, name string, next func(old *held) (*held, error)) error {
	field := fieldOf(kind, name)
	mine := d.stripe(field)
	mine.Lock()
	defer mine.Unlock()
	if err := d.file.Degraded(); err != nil {
		return fmt.Errorf("decisions: %w", err)
	}
	soon, cancel := context.WithTimeout(ctx, WriteTime)
	defer cancel()
	h, err := d.agree(soon, field, next)
	away := err != nil && (errors.Is(err, conn.ErrAway) || soon.Err() != nil)
	if err != nil && (!away || ctx.Err() != nil) {
		return err
	}
	if away {
		if h, err = next(d.get(field)); err != nil {
			return err
		}
	}
	err = d.keep(h)
	if away {
		d.setDirty(field)
	} else {
		d.o.Publish(kind)
	}
	return err
}

// tries bounds how often a write is tried again because somebody else was faster.
const tries = 5

// agree writes the record to the store as the one after what is there now.
func (d *Decisions) agree(ctx context.Context, field string, next func(old *held) (*held, error)) (*held, error) {
	for range tries {
		found, err := d.fetch(ctx, conn.Write, []string{field})
		if err != nil {
			return nil, err
		}
		if there := d.open(found[0]); there != nil {
			if err := d.keep(there); err != nil {
				return nil, err
			}
		}
		h, err := next(d.get(field))
		if err != nil {
			return nil, err
		}
		done, err := d.set(ctx, conn.Write, []replacement{{field: field, old: found[0].raw, text: h.text}})
		if err != nil {
			return nil, err
		}
		if done[0] {
			return h, nil
		}
	}
	return nil, errBusy
}

func (d *Decisions) setDirty(field string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dirty[field] = true
}

// after is the envelope of a record that follows old.
func (d *Decisions) after(old *held, kind, name string) record {
	r := record{Kind: kind, Name: name, Version: 1, At: d.o.Now().UTC(), By: d.o.Node}
	if old != nil {
		r.Version = old.Version + 1
	}
	return r
}

func (d *Decisions) format() byte { return '0' + byte(d.o.Format) }

// Lists implements blocklist.Store. Of two writes of one entry the last one stands.
type Lists struct{ d *Decisions }

// Lists are the own lists.
func (d *Decisions) Lists() Lists { return Lists{d} }

// ListRevision implements blocklist.Store.
func (l Lists) ListRevision(context.Context) (uint64, error) { return l.d.revision(KindList), nil }

// ListEntries implements blocklist.Store.
func (l Lists) ListEntries(context.Context) ([]blocklist.Entry, uint64, error) {
	found, rev := l.d.all(KindList)
	entries := make([]blocklist.Entry, len(found))
	for i, h := range found {
		entries[i] = h.entry
	}
	return entries, rev, nil
}

// PutListEntry implements blocklist.Store.
func (l Lists) PutListEntry(ctx context.Context, e blocklist.Entry) error {
	return l.d.write(ctx, KindList, e.Key(), func(old *held) (*held, error) {
		return encode(l.d.format(), l.d.after(old, KindList, e.Key()), e, old)
	})
}

// RemoveListEntry implements blocklist.Store. That it was removed is kept, so that a node that
// was away does not bring it back.
func (l Lists) RemoveListEntry(ctx context.Context, key string) error {
	return l.d.write(ctx, KindList, key, func(old *held) (*held, error) {
		if old == nil || old.Deleted {
			return nil, fmt.Errorf("%w: %s", blocklist.ErrNotFound, key)
		}
		r := l.d.after(old, KindList, key)
		r.Deleted = true
		return encode(l.d.format(), r, nil, old)
	})
}

// Accounts implements abuse.Store.
type Accounts struct{ d *Decisions }

// Accounts are the account states.
func (d *Decisions) Accounts() Accounts { return Accounts{d} }

// AccountRevision implements abuse.Store.
func (a Accounts) AccountRevision(context.Context) (uint64, error) {
	return a.d.revision(KindAccount), nil
}

// Accounts implements abuse.Store.
func (a Accounts) Accounts(context.Context) ([]abuse.Account, uint64, error) {
	found, rev := a.d.all(KindAccount)
	accounts := make([]abuse.Account, len(found))
	for i, h := range found {
		accounts[i] = h.account
	}
	return accounts, rev, nil
}

// Account implements abuse.Store.
func (a Accounts) Account(_ context.Context, name string) (abuse.Account, error) {
	if h := a.d.get(fieldOf(KindAccount, name)); h != nil {
		return h.account, nil
	}
	return abuse.Account{}, fmt.Errorf("%w: %s", abuse.ErrNotFound, name)
}

// PutAccount implements abuse.Store.
func (a Accounts) PutAccount(ctx context.Context, acc abuse.Account) error {
	err := a.d.write(ctx, KindAccount, acc.Name, func(old *held) (*held, error) {
		r := a.d.after(old, KindAccount, acc.Name)
		if acc.Version != r.Version {
			return nil, fmt.Errorf("%w: %s has version %d", abuse.ErrConflict, acc.Name, r.Version-1)
		}
		return encode(a.d.format(), r, acc, old)
	})
	if errors.Is(err, errBusy) {
		return fmt.Errorf("%w: %w", abuse.ErrConflict, err)
	}
	return err
}
