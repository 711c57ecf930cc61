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
	Aside  int // one of so many is kept aside, to test what is learned
	Sender int // messages of one sender's domain a day that are learned by something that is no command
	Voter  int // messages a day that are learned by what one recipient does
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
	Via   string // one of the ways
	Run   string // names the act, to take it back by
	Scope string // a domain; "" = all
}

// The ways by which messages are learned.
const (
	ViaCommand   = "command"
	ViaDesk      = "desk"
	ViaRelease   = "release"   // somebody of the desk released it
	ViaDelete    = "delete"    // somebody of the desk deleted it
	ViaReport    = "report"    // one of our people handed it in
	ViaRecipient = "recipient" // its recipient released or deleted it
	ViaAuto      = "auto"      // nobody said anything: its verdict was clear
)

// weight orders the ways: what is said in one of less weight changes nothing that was said in one
// of more.
func weight(via string) int {
	switch via {
	case ViaCommand, ViaDesk:
		return 3
	case ViaRelease, ViaDelete, ViaReport:
		return 2
	case ViaRecipient:
		return 1
	}
	return 0
}

// What became of an item.
const (
	Learned   = "learned"
	Already   = "already"   // it counted as that
	Changed   = "changed"   // it counted as the other class
	Forgotten = "forgotten" // it counts no more
	Unknown   = "unknown"   // it never counted, so there is nothing to forget
	Capped    = "capped"    // too much of that sender or by that recipient today
	Kept      = "kept"      // somebody with more weight said otherwise
	Aside     = "aside"     // it tests what is learned, and does not count
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
	var written []Entry
	touched := map[bayes.Class]bool{}
	for _, item := range items {
		e, result, err := t.one(ctx, item, act)
		if err != nil {
			return out, errors.Join(err, t.settle(ctx, written))
		}
		out = append(out, result)
		if e != nil {
			written = append(written, *e)
			touched[e.Class] = true
		}
	}
	if err := t.settle(ctx, written); err != nil {
		return out, err
	}
	for class := range touched {
		for _, index := range []string{byClass, byAside} {
			if err := t.age(ctx, index, act.Scope, class); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

func change(e Entry) bayes.Change {
	return bayes.Change{ID: e.ID, Class: e.counts(), Tokens: e.tokens()}
}

// settle counts what stands in the journal by now. Another node may have changed the same message
// meanwhile and have counted it first: whoever counts last must count what stands there last.
func (t *Trainer) settle(ctx context.Context, written []Entry) error {
	for len(written) > 0 {
		changes := make([]bayes.Change, len(written))
		for i, e := range written {
			changes[i] = change(e)
		}
		if err := t.Reader.Store.Apply(ctx, changes); err != nil {
			return err
		}
		var later []Entry
		for _, e := range written {
			now, err := t.get(ctx, e.ID)
			if err != nil {
				return err
			}
			if now.version == 0 { // aged or expired
				now.Tokens = e.Tokens
			}
			if now.version != e.version || now.Class != e.Class {
				later = append(later, now)
			}
		}
		written = later
	}
	return nil
}

// one writes one message into the journal; the entry is nil where nothing changed.
func (t *Trainer) one(ctx context.Context, item Item, act Act) (*Entry, Result, error) {
	r := Result{ID: t.identity(item.Tree, act.Scope), Class: item.Class, Ref: item.Ref}
	for {
		e, err := t.get(ctx, r.ID)
		if err != nil {
			return nil, r, err
		}
		if r.State = becomes(e, item.Class, act.Via); r.State == Already || r.State == Unknown || r.State == Kept {
			return nil, r, nil
		}
		full, err := t.full(ctx, item, act)
		if err != nil || full {
			r.State = Capped
			return nil, r, err
		}
		e = t.entry(e, item, act)
		if e.Aside && r.State == Learned {
			r.State = Aside
		}
		switch err := t.write(ctx, &e); {
		case errors.Is(err, entity.ErrConflict), errors.Is(err, entity.ErrExists): // somebody else learned it just now
			continue
		case err != nil:
			return nil, r, err
		}
		return &e, r, nil
	}
}

// becomes says what becomes of a message that is in the journal.
func becomes(e Entry, class bayes.Class, via string) string {
	switch {
	case e.Class == class && class == bayes.None:
		return Unknown
	case e.Class == class:
		return Already
	case e.version > 0 && (weight(via) < weight(e.Via) || e.Undone && weight(via) < weight(ViaDesk)):
		return Kept
	case class == bayes.None:
		return Forgotten
	case e.Class != bayes.None:
		return Changed
	}
	return Learned
}

// entry is the entry after an act.
func (t *Trainer) entry(e Entry, item Item, act Act) Entry {
	e.Was, e.Class, e.At, e.By, e.Via, e.Run, e.Scope, e.Undone = e.Class, item.Class, t.Now().UTC(), act.By, act.Via, act.Run, act.Scope, false
	if item.Ref != "" {
		e.Ref = clip(item.Ref, maxRef)
	}
	e.Sender = sender(item.Tree)
	if len(e.Tokens) == 0 {
		e.Key = t.keyID()
		e.Aside = t.aside(e.ID)
		e.Tokens = packed(t.Reader.Tokens(act.Scope, t.Reader.Tokenizer.Of(item.Tree)))
	}
	return e
}

// maxRef bounds what a journal keeps of where a message is from.
const maxRef = 200

func clip(s string, n int) string {
	if len(s) > n {
		s = s[len(s)-n:]
	}
	return s
}

func (t *Trainer) write(ctx context.Context, e *Entry) error {
	r, err := e.record()
	if err != nil {
		return err
	}
	if err = t.Records.Put(ctx, r); err == nil {
		e.version = r.Version
	}
	return err
}

// full reports whether enough was learned today of a sender, or by what a recipient does: no
// sender's mail and no single reader may become what everybody's mail is judged by. Of one sender
// a recipient has one vote a day.
func (t *Trainer) full(ctx context.Context, item Item, act Act) (bool, error) {
	if weight(act.Via) == weight(ViaCommand) || item.Class == bayes.None {
		return false, nil
	}
	from, day, by := sender(item.Tree), t.Now(), voter(act.By)
	limits := t.Limits()
	type bound struct {
		index, value string
		most         int
	}
	caps := []bound{{bySend, sendKey(act.Via, day, from), limits.Sender}}
	if act.Via == ViaRecipient || act.Via == ViaReport {
		caps = append(caps, bound{byVote, sendKey(act.Via, day, by), limits.Voter}, bound{byVote, sendKey(act.Via, day, by+" "+from), 1})
	}
	for _, c := range caps {
		if c.most <= 0 {
			continue
		}
		n, err := t.Records.Count(ctx, entity.Query{Kind: Kind, Index: c.index, Value: c.value}, c.most)
		if err != nil || n >= c.most {
			return true, err
		}
	}
	return false, nil
}

// Room reports whether a class may grow without a person: both must have been begun by people, and
// neither may be larger than ratio times the other.
func (t *Trainer) Room(ctx context.Context, scope string, class bayes.Class, ratio int) (bool, error) {
	n, err := t.Reader.Learned(ctx, scope)
	if err != nil || min(n.Spam, n.Ham) < bayes.Least {
		return false, err
	}
	if class == bayes.Spam {
		return n.Spam < ratio*n.Ham, nil
	}
	return n.Ham < ratio*n.Spam, nil
}

// age forgets the oldest messages of a class beyond those that are kept.
func (t *Trainer) age(ctx context.Context, index, scope string, class bayes.Class) error {
	keep := t.Limits().Keep
	if class == bayes.None || keep <= 0 {
		return nil
	}
	q := t.query(index, scope, class)
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
		if err := t.drop(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// drop removes an entry with what it counts.
func (t *Trainer) drop(ctx context.Context, r entity.Record) error {
	e, err := entryOf(r)
	if err != nil {
		return err
	}
	err = t.Records.Remove(ctx, Kind, r.ID, r.Version)
	if errors.Is(err, entity.ErrConflict) { // changed meanwhile; whoever did that counts it
		return nil
	}
	if err != nil {
		return err
	}
	e.Class, e.version = bayes.None, 0
	return t.settle(ctx, []Entry{e})
}

// Regret is how long what counts no more can be taken back.
const Regret = 30 * 24 * time.Hour

// Expire removes what was forgotten long ago from the journal, and returns how much.
func (t *Trainer) Expire(ctx context.Context) (n int, err error) {
	q := entity.Query{Kind: Kind, Index: byGone, From: 1, To: t.Now().Add(-Regret).UnixMilli(), Rising: true, Limit: Batch}
	for {
		page, err := t.Records.Find(ctx, q)
		if err != nil {
			return n, err
		}
		for _, r := range page.Records {
			if err := t.drop(ctx, r); err != nil {
				return n, err
			}
			n++
		}
		if page.Next == "" {
			return n, nil
		}
		q.After = page.Next
	}
}
