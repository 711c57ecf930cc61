// Package suppress keeps who does not want mail of an account any more: recipients whose report
// of a message of that account said so, and those that a person noted. Every node has the list
// in memory, since it is asked at each recipient of outbound mail.
package suppress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"postern/abuse/cases/dossier"
	"postern/internal/address"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kind is the kind of the records.
const Kind entity.Kind = "suppressed"

// Bounds of the list.
const (
	MaxOf     = 20_000          // entries of one account
	MaxAll    = 500_000         // entries in all
	MaxReason = 1000            // octets
	Every     = 2 * time.Second // how often a node looks for what others changed
	gone      = 30 * 24 * time.Hour
	overlap   = 15 * time.Minute // clocks of nodes differ
)

// Feedback types that ask for it (RFC 5965 section 7.3, and as feedback loops write them).
const (
	OptOut     = "opt-out"
	OptOutList = "opt-out-list"
)

// Errors of a Book. They are wrapped: use errors.Is.
var (
	ErrInvalid = said.New("suppress.this-cannot-be-suppressed", "this cannot be suppressed")
	ErrFull    = said.New("suppress.the-list-of-suppressed-recipients-is-full", "the list of suppressed recipients is full")
)

// Entry is one recipient who does not want mail of one account.
type Entry struct {
	ID        string     `json:"id"`
	Account   string     `json:"account"`
	Recipient string     `json:"recipient"`
	By        string     `json:"by"`               // who noted it
	Report    string     `json:"report,omitempty"` // that asked for it
	Reason    string     `json:"reason,omitempty"`
	Said      said.Words `json:"said,omitzero"` // Reason by its code, where no person gave it
	At        time.Time  `json:"at"`
	Changed   time.Time  `json:"changed"`
	Lifted    *Lift      `json:"lifted,omitempty"` // mail is let through again
}

// Lift is how an entry ended.
type Lift struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Book keeps the entries. The zero values of the last fields are ready for use.
type Book struct {
	Store entity.Store
	Now   func() time.Time
	Log   *slog.Logger
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
	// Link reads what a case has of a report.
	Link func(ctx context.Context, report string) (dossier.Link, error)

	mu    sync.RWMutex
	names map[pair]struct{}
	seen  time.Time // the youngest change that names holds
	rev   uint64
}

// pair is an account and a recipient, hashed: names are long.
type pair [16]byte

func pairOf(account, recipient string) pair {
	sum := sha256.Sum256([]byte(account + "\x00" + recipient))
	return pair(sum[:16])
}

// folded is an address as it is compared.
func folded(a string) string {
	a = strings.ToLower(strings.TrimSpace(a))
	if at := strings.LastIndexByte(a, '@'); at >= 0 {
		if domain, err := address.ToASCII(a[at+1:]); err == nil {
			a = a[:at+1] + domain
		}
	}
	return a
}

func (b *Book) table() entity.Table[Entry] {
	return entity.Table[Entry]{Store: b.Store, Kind: Kind, ID: func(e *Entry) string { return e.ID }, Keys: func(e *Entry) []entity.Key {
		at := e.At.UnixMilli()
		keys := []entity.Key{{Index: "changed", At: e.Changed.UnixMilli()}}
		if e.Lifted == nil {
			keys = append(keys, entity.Key{Index: "all", At: at}, entity.Key{Index: "account", Value: e.Account, At: at}, entity.Key{Index: "recipient", Value: e.Recipient, At: at})
		}
		return keys
	}}
}

// Add notes that a recipient wants no mail of an account. What is there already stays as it is.
func (b *Book) Add(ctx context.Context, e Entry) (Entry, error) {
	e.Account, e.Recipient = folded(e.Account), folded(e.Recipient)
	if _, err := address.Parse(e.Recipient, true); err != nil || e.Account == "" || len(e.Account) > 320 || len(e.Reason) > MaxReason || e.By == "" {
		return e, said.Errorf("suppress.an-account-an-address-and-a-reason", "%w: an account, an address and a reason of at most %d octets are needed", "kind", ErrInvalid, "most", MaxReason)
	}
	p := pairOf(e.Account, e.Recipient)
	e.ID, e.At, e.Lifted = hex.EncodeToString(p[:]), b.Now().UTC(), nil
	e.Changed = e.At
	if err := b.room(ctx, e.Account); err != nil {
		return e, err
	}
	row, err := b.table().Create(ctx, e)
	if errors.Is(err, entity.ErrExists) {
		fresh := e
		row, err = b.table().Change(ctx, e.ID, func(e *Entry) error {
			if e.Lifted == nil {
				return entity.ErrUnchanged
			}
			*e = fresh
			return nil
		})
	}
	if err != nil {
		return e, err
	}
	b.note(row.Value)
	return row.Value, b.Audit(ctx, e.By, "suppress-add", e.Account, nil, row.Value, e.Reason)
}

// room says whether one more entry may be kept.
func (b *Book) room(ctx context.Context, account string) error {
	n, err := b.table().Count(ctx, entity.Query{Index: "account", Value: account}, MaxOf)
	switch {
	case err != nil:
		return err
	case n >= MaxOf:
		return said.Errorf("suppress.has-entries", "%w: %s has %d entries", "kind", ErrFull, "account", account, "n", n)
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.names) >= MaxAll {
		return said.Errorf("suppress.it-has-entries", "%w: it has %d entries", "kind", ErrFull, "n", len(b.names))
	}
	return nil
}

// Lift lets mail through again; the error is entity.ErrNotFound where nothing is suppressed.
func (b *Book) Lift(ctx context.Context, actor, id, reason string) (Entry, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > MaxReason {
		return Entry{}, said.Errorf("suppress.a-reason-of-at-most-octets-is", "%w: a reason of at most %d octets is needed", "kind", ErrInvalid, "most", MaxReason)
	}
	var before Entry
	row, err := b.table().Change(ctx, id, func(e *Entry) error {
		if e.Lifted != nil {
			return entity.ErrNotFound
		}
		before = *e
		now := b.Now().UTC()
		e.Lifted, e.Changed = &Lift{By: actor, Reason: reason, At: now}, now
		return nil
	})
	if err != nil {
		return Entry{}, err
	}
	b.note(row.Value)
	return row.Value, b.Audit(ctx, actor, "suppress-lift", row.Value.Account, before, row.Value, reason)
}

// Query asks for entries; what is empty does not bound.
type Query struct {
	Account   string `json:"account,omitempty"`
	Recipient string `json:"recipient,omitempty"`
	After     string `json:"after,omitempty"`
	Limit     int    `json:"limit,omitempty"`
}

// Page is a part of the list, the youngest first.
type Page struct {
	Entries []Entry `json:"entries"`
	Next    string  `json:"next,omitempty"`
}

// List returns a page of what is in force.
func (b *Book) List(ctx context.Context, q Query) (Page, error) {
	find := entity.Query{Index: "all", After: q.After, Limit: q.Limit}
	account, recipient := folded(q.Account), folded(q.Recipient)
	switch {
	case recipient != "":
		find.Index, find.Value = "recipient", recipient
	case account != "":
		find.Index, find.Value = "account", account
	}
	rows, next, err := b.table().Find(ctx, find)
	out := Page{Entries: []Entry{}, Next: next}
	for _, r := range rows {
		if account == "" || r.Value.Account == account {
			out.Entries = append(out.Entries, r.Value)
		}
	}
	return out, err
}

// Wants reports whether a recipient takes mail of an account, from memory.
func (b *Book) Wants(account, recipient string) bool {
	p := pairOf(folded(account), folded(recipient))
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, no := b.names[p]
	return !no
}

// note takes an entry into memory.
func (b *Book) note(e Entry) {
	p := pairOf(e.Account, e.Recipient)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.names == nil {
		b.names = map[pair]struct{}{}
	}
	if e.Lifted != nil {
		delete(b.names, p)
	} else {
		b.names[p] = struct{}{}
	}
}

// Follow implements cases.Follower: a report that asks for it, about a copy that is proved to be
// the account's and to have gone to that recipient, is granted.
func (b *Book) Follow(ctx context.Context, c dossier.Case, e dossier.Event) error {
	if e.Report == "" || c.Drill || e.Action != "opened" && e.Action != "report" {
		return nil
	}
	l, err := b.Link(ctx, e.Report)
	if err != nil {
		return err
	}
	if l.Feedback != OptOut && l.Feedback != OptOutList || l.Grade < 3 || l.Class != "" || l.To == "" || l.Account == "" {
		return nil
	}
	entry := Entry{Account: l.Account, Recipient: l.To, By: "abuse-desk", Report: l.Report}
	said.Say("suppress.report-says", "the recipient's report says %s", "feedback", l.Feedback).Put(&entry.Reason, &entry.Said)
	_, err = b.Add(ctx, entry)
	if errors.Is(err, ErrInvalid) || errors.Is(err, ErrFull) {
		b.Log.Warn("a recipient who wants no more mail cannot be noted", "account", l.Account, "err", err)
		return nil
	}
	return err
}

// Load reads what changed since the last time, all of it the first time.
func (b *Book) Load(ctx context.Context) error {
	rev, err := b.Store.Revision(ctx, Kind)
	b.mu.RLock()
	same, from := rev == b.rev && !b.seen.IsZero(), b.seen
	b.mu.RUnlock()
	if err != nil || same {
		return err
	}
	q := entity.Query{Index: "changed", Rising: true, Limit: entity.MaxPage}
	if !from.IsZero() {
		q.From, q.To = from.Add(-overlap).UnixMilli(), 1<<62
	}
	youngest := from
	err = b.table().Each(ctx, q, func(r entity.Row[Entry]) error {
		b.note(r.Value)
		if r.Value.Changed.After(youngest) {
			youngest = r.Value.Changed
		}
		return nil
	})
	if err != nil {
		return err
	}
	if youngest.IsZero() {
		youngest = time.UnixMilli(1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rev, b.seen = rev, youngest
	return nil
}

// Run keeps the list of this node like that of the store until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	warned := false
	for {
		err := b.Load(ctx)
		if err != nil && ctx.Err() == nil && !warned {
			b.Log.Error("suppressed recipients cannot be read", "err", err)
		}
		warned = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Tend forgets entries that were lifted long ago; every node has heard of them.
func (b *Book) Tend(ctx context.Context) error {
	before := b.Now().Add(-gone)
	return b.table().Each(ctx, entity.Query{Index: "changed", From: 1, To: before.UnixMilli(), Rising: true, Limit: entity.MaxPage}, func(r entity.Row[Entry]) error {
		if r.Value.Lifted == nil {
			return nil
		}
		err := b.table().Remove(ctx, r)
		if errors.Is(err, entity.ErrConflict) {
			return nil
		}
		return err
	})
}
