// Package train learns what people call spam and good, forgets it, and takes acts back. What was
// learned stands in a journal of records; the counts that checks read are derived from it, so
// that forgetting restores them exactly and a store that lost them is given them again.
package train

import (
	"context"
	"errors"
	"time"

	"postern/filter/bayes"
	"postern/internal/entity"
	"postern/internal/mime"
)

// Trainer writes what checks read. Its methods are safe for concurrent use.
type Trainer struct {
	Records entity.Store
	Reader  bayes.Reader // of the same counts that the check reads
	Now     func() time.Time
	Limits  func() Limits
}

// Limits bound what is learned.
type Limits struct {
	Keep   int // messages of each class and scope; the oldest are forgotten for new ones
	Aside  int // one of so many is judged before it is learned
	Sender int // messages of one sender's domain a day that are learned by something that is no command
}

// Batch is how many messages are learned at once at most.
const Batch = 64

// Item is a message and what somebody says of it.
type Item struct {
	Tree  *mime.Tree
	Class bayes.Class // None forgets it
	Ref   string      // where it is from: a file, a hold
}

// Act is who learns, how, and for whom.
type Act struct {
	By    string
	Via   string // command, desk, release or report
	Run   string // names the act, to take it back by
	Scope string // a domain; "" = all
}

// The ways by which messages are learned.
const (
	ViaCommand = "command"
	ViaDesk    = "desk"
	ViaRelease = "release"
)

// What became of an item.
const (
	Learned   = "learned"
	Already   = "already"   // it counted as that
	Changed   = "changed"   // it counted as the other class
	Forgotten = "forgotten" // it counts no more
	Unknown   = "unknown"   // it never counted, so there is nothing to forget
	Capped    = "capped"    // too much of that sender today
)

// Result is what became of an item.
type Result struct {
	ID    string      `json:"id"`
	State string      `json:"state"`
	Class bayes.Class `json:"-"`
	Ref   string      `json:"ref,omitempty"`
}

// errTooMany says that a caller gave too much at once.
var errTooMany = errors.New("too many messages at once")

// Learn learns or forgets messages, at most Batch. The same message counts once, however often
// it is learned; as the other class it counts as that. When it returns, what was learned is in
// the journal; an error may leave a part of it there, and the rest undone.
func (t *Trainer) Learn(ctx context.Context, items []Item, act Act) ([]Result, error) {
	if len(items) > Batch {
		return nil, errTooMany
	}
	var out []Result
	var changes []bayes.Change
	var aside []Trial
	touched := map[bayes.Class]bool{}
	for _, item := range items {
		e, result, err := t.one(ctx, item, act)
		if err != nil {
			return out, errors.Join(err, t.settle(ctx, changes, aside, act.Scope))
		}
		out = append(out, result)
		if e == nil {
			continue
		}
		if result.State == Learned && t.held(e.ID) {
			trial, err := t.try(ctx, *e)
			if err != nil {
				return out, errors.Join(err, t.settle(ctx, changes, aside, act.Scope))
			}
			aside = append(aside, trial)
		}
		changes = append(changes, change(*e))
		touched[e.Class] = true
	}
	if err := t.settle(ctx, changes, aside, act.Scope); err != nil {
		return out, err
	}
	for class := range touched {
		if err := t.age(ctx, act.Scope, class); err != nil {
			return out, err
		}
	}
	return out, nil
}

func change(e Entry) bayes.Change {
	return bayes.Change{ID: e.ID, Class: e.Class, Tokens: e.tokens()}
}

// settle counts what stands in the journal by now.
func (t *Trainer) settle(ctx context.Context, changes []bayes.Change, aside []Trial, scope string) error {
	return errors.Join(t.Reader.Store.Apply(ctx, changes), t.note(ctx, scope, aside))
}

// one writes one message into the journal; the entry is nil where nothing changed.
func (t *Trainer) one(ctx context.Context, item Item, act Act) (*Entry, Result, error) {
	r := Result{ID: t.identity(item.Tree, act.Scope), Class: item.Class, Ref: item.Ref}
	for {
		e, err := t.get(ctx, r.ID)
		if err != nil {
			return nil, r, err
		}
		r.State = Learned
		switch {
		case e.Class == item.Class && item.Class == bayes.None:
			r.State = Unknown
			return nil, r, nil
		case e.Class == item.Class:
			r.State = Already
			return nil, r, nil
		case item.Class == bayes.None:
			r.State = Forgotten
		case e.Class != bayes.None:
			r.State = Changed
		}
		full, err := t.full(ctx, item, act)
		if err != nil || full {
			r.State = Capped
			return nil, r, err
		}
		e = t.entry(e, item, act)
		switch err := t.write(ctx, e); {
		case errors.Is(err, entity.ErrConflict), errors.Is(err, entity.ErrExists): // somebody else learned it just now
			continue
		case err != nil:
			return nil, r, err
		}
		return &e, r, nil
	}
}

// entry is the entry after an act.
func (t *Trainer) entry(e Entry, item Item, act Act) Entry {
	e.Was, e.Class, e.At, e.By, e.Via, e.Run, e.Scope, e.Undone = e.Class, item.Class, t.Now().UTC(), act.By, act.Via, act.Run, act.Scope, false
	if item.Ref != "" {
		e.Ref = clip(item.Ref, 200)
	}
	e.Sender = sender(item.Tree)
	if len(e.Tokens) == 0 {
		e.Key = t.keyID()
		e.Tokens = packed(t.Reader.Tokens(act.Scope, t.Reader.Tokenizer.Of(item.Tree)))
	}
	return e
}

func clip(s string, n int) string {
	if len(s) > n {
		s = s[len(s)-n:]
	}
	return s
}

func (t *Trainer) write(ctx context.Context, e Entry) error {
	r, err := e.record()
	if err != nil {
		return err
	}
	return t.Records.Put(ctx, r)
}

// full reports whether enough of a sender was learned today by something that is no command:
// one sender's mail must not become what everybody's is judged by.
func (t *Trainer) full(ctx context.Context, item Item, act Act) (bool, error) {
	limit := t.Limits().Sender
	if act.Via == ViaCommand || act.Via == ViaDesk || item.Class == bayes.None || limit <= 0 {
		return false, nil
	}
	n, err := t.Records.Count(ctx, entity.Query{Kind: Kind, Index: bySend, Value: sendKey(act.Via, t.Now(), sender(item.Tree))}, limit)
	return n >= limit, err
}

// age forgets the oldest messages of a class beyond those that are kept.
func (t *Trainer) age(ctx context.Context, scope string, class bayes.Class) error {
	keep := t.Limits().Keep
	if class == bayes.None || keep <= 0 {
		return nil
	}
	q := t.query(scope, class)
	n, err := t.Records.Count(ctx, q, keep+Batch)
	if err != nil || n <= keep {
		return err
	}
	q.Rising, q.Limit = true, n-keep
	page, err := t.Records.Find(ctx, q)
	if err != nil {
		return err
	}
	for _, r := range page.Records {
		e, err := entryOf(r)
		if err != nil {
			return err
		}
		gone := change(e)
		gone.Class = bayes.None
		if err := t.Reader.Store.Apply(ctx, []bayes.Change{gone}); err != nil {
			return err
		}
		if err := t.Records.Remove(ctx, Kind, r.ID, r.Version); err != nil && !errors.Is(err, entity.ErrConflict) {
			return err
		}
	}
	return nil
}
