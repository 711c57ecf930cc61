// Package appeal keeps what senders write whose mail was refused and who ask a person to look
// again: one appeal for each reference, from its arrival to what was decided.
package appeal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kind is the kind of the records.
const Kind entity.Kind = "appeal"

// Bounds of what is kept.
const (
	MaxText   = 4000                 // octets of what a sender writes, and of what is answered
	MaxNote   = 1000                 // octets of a note
	MaxEmail  = 254                  // octets of the address to answer to
	MaxOpen   = 2000                 // appeals that wait
	MaxPage   = 200                  // of a list
	Keep      = 180 * 24 * time.Hour // since the last change, then it is forgotten
	maxShort  = 400                  // octets of each other field
	perPage   = 50
	languages = "en zh-CN ru el"
)

// Errors of a Book. They are wrapped: use errors.Is.
var (
	ErrInvalid = said.New("appeal.this-appeal-cannot-be-kept", "this appeal cannot be kept")
	ErrTwice   = said.New("appeal.there-is-an-appeal-about-this-message", "there is an appeal about this message already")
	ErrFull    = said.New("appeal.too-many-appeals-wait", "too many appeals wait")
	ErrState   = said.New("appeal.this-cannot-be-decided-like-that", "this cannot be decided like that")
)

// State is how far an appeal has come.
type State string

// The states.
const (
	Open     State = "open"
	Answered State = "answered" // neither granted nor refused: a question, or an explanation
	Granted  State = "granted"
	Refused  State = "refused"
)

// States are all states.
func States() []State { return []State{Open, Answered, Granted, Refused} }

// Refusal is what a stranger may know of a message that was refused.
type Refusal struct {
	Reference string    `json:"reference"`
	At        time.Time `json:"at"`    // to the minute
	Until     time.Time `json:"until"` // as long as anything is said of it
	Cause     string    `json:"cause"`
	Temporary bool      `json:"temporary,omitempty"` // the sender's server was asked to try again
	Reply     string    `json:"reply"`               // as the sender's server was told
}

// Appeal is one.
type Appeal struct {
	Refusal  Refusal   `json:"refusal"`
	Client   string    `json:"client,omitempty"` // host that brought the mail
	From     string    `json:"from,omitempty"`   // its envelope sender
	At       time.Time `json:"at"`
	Changed  time.Time `json:"changed"`
	Network  string    `json:"network,omitempty"` // where it was written
	Language string    `json:"language"`
	Email    string    `json:"email,omitempty"` // nobody has shown that it is theirs
	Text     string    `json:"text"`
	State    State     `json:"state"`
	By       string    `json:"by,omitempty"`     // who decided
	Note     string    `json:"note,omitempty"`   // of the desk, for the desk
	Answer   string    `json:"answer,omitempty"` // for the sender
	Decided  time.Time `json:"decided,omitzero"`
}

// Book keeps them.
type Book struct {
	Store entity.Store
	Now   func() time.Time
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

func (b *Book) table() entity.Table[Appeal] {
	return entity.Table[Appeal]{Store: b.Store, Kind: Kind, ID: func(a *Appeal) string { return a.Refusal.Reference }, Keys: func(a *Appeal) []entity.Key {
		at := a.At.UnixMilli()
		return []entity.Key{{Index: "all", At: at}, {Index: "state", Value: string(a.State), At: at}, {Index: "changed", At: a.Changed.UnixMilli()}}
	}}
}

// clean is text without what no keyboard writes.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
}

// check makes an appeal of what was written, or says why it is none.
func (a *Appeal) check() error {
	a.Text, a.Email = clean(a.Text), strings.TrimSpace(a.Email)
	switch {
	case !filter.ValidID(a.Refusal.Reference):
		return said.Errorf("appeal.is-no-reference", "%w: %q is no reference", "kind", ErrInvalid, "reference", a.Refusal.Reference)
	case a.Text == "":
		return said.Errorf("appeal.it-says-nothing", "%w: it says nothing", "kind", ErrInvalid)
	case len(a.Text) > MaxText:
		return said.Errorf("appeal.it-has-more-than-octets", "%w: it has more than %d octets", "kind", ErrInvalid, "most", MaxText)
	case len(a.Email) > MaxEmail:
		return said.Errorf("appeal.the-address-has-more-than-octets", "%w: the address has more than %d octets", "kind", ErrInvalid, "most", MaxEmail)
	case !slices.Contains(strings.Fields(languages), a.Language):
		return said.Errorf("appeal.the-language-is-one-of", "%w: the language is one of %s", "kind", ErrInvalid, "languages", languages)
	}
	if a.Email != "" {
		if at, err := address.Parse(a.Email, true); err != nil || at.Domain == "" {
			return said.Errorf("appeal.is-no-mail-address", "%w: %q is no mail address", "kind", ErrInvalid, "email", a.Email)
		}
	}
	for _, s := range []*string{&a.Client, &a.From, &a.Network} {
		*s = (*s)[:min(len(*s), maxShort)]
	}
	return nil
}

// Add keeps a new appeal.
func (b *Book) Add(ctx context.Context, actor string, a Appeal) (Appeal, error) {
	if err := a.check(); err != nil {
		return a, err
	}
	n, err := b.Waiting(ctx)
	if err != nil {
		return a, err
	}
	if n >= MaxOpen {
		return a, ErrFull
	}
	a.At = b.Now().UTC()
	a.Changed, a.State, a.By, a.Note, a.Answer, a.Decided = a.At, Open, "", "", "", time.Time{}
	row, err := b.table().Create(ctx, a)
	if errors.Is(err, entity.ErrExists) {
		return a, ErrTwice
	}
	if err != nil {
		return a, err
	}
	return row.Value, b.Audit(ctx, actor, "appeal", a.Refusal.Reference, nil, row.Value, "")
}

// Get returns one, or entity.ErrNotFound.
func (b *Book) Get(ctx context.Context, reference string) (Appeal, error) {
	row, err := b.table().Get(ctx, reference)
	return row.Value, err
}

// Query asks for appeals; what is empty does not bound.
type Query struct {
	State State  `json:"state,omitempty"`
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Page is a part of the list.
type Page struct {
	Appeals []Appeal `json:"appeals"`
	Next    string   `json:"next,omitempty"`
}

// List returns a page: those that wait from the oldest, all else from the newest.
func (b *Book) List(ctx context.Context, q Query) (Page, error) {
	out := Page{Appeals: []Appeal{}}
	if q.State != "" && !slices.Contains(States(), q.State) {
		return out, said.Errorf("appeal.state-one-of", "%w: state %q: one of %v", "kind", ErrInvalid, "state", q.State, "states", States())
	}
	find := entity.Query{Index: "all", After: q.After, Limit: q.Limit}
	if q.State != "" {
		find.Index, find.Value, find.Rising = "state", string(q.State), q.State == Open
	}
	if find.Limit <= 0 || find.Limit > MaxPage {
		find.Limit = perPage
	}
	rows, next, err := b.table().Find(ctx, find)
	for _, r := range rows {
		out.Appeals = append(out.Appeals, r.Value)
	}
	out.Next = next
	return out, err
}

// Waiting is how many wait.
func (b *Book) Waiting(ctx context.Context) (int, error) {
	return b.table().Count(ctx, entity.Query{Index: "state", Value: string(Open)}, MaxOpen)
}

// Oldest is since when the oldest waits; zero: none does.
func (b *Book) Oldest(ctx context.Context) (time.Time, error) {
	p, err := b.List(ctx, Query{State: Open, Limit: 1})
	if err != nil || len(p.Appeals) == 0 {
		return time.Time{}, err
	}
	return p.Appeals[0].At, nil
}

// Decision is what becomes of an appeal.
type Decision struct {
	Reference string `json:"reference"`
	State     State  `json:"state"`
	Answer    string `json:"answer,omitempty"` // the sender reads it
	Note      string `json:"note,omitempty"`   // the desk reads it
}

// Decide notes what became of one. What was decided may be decided otherwise, and opened again.
func (b *Book) Decide(ctx context.Context, actor string, d Decision) (after Appeal, err error) {
	d.Answer, d.Note = clean(d.Answer), clean(d.Note)
	switch {
	case !slices.Contains(States(), d.State):
		return after, said.Errorf("appeal.state-one-of", "%w: state %q: one of %v", "kind", ErrInvalid, "state", d.State, "states", States())
	case len(d.Answer) > MaxText || len(d.Note) > MaxNote:
		return after, said.Errorf("appeal.an-answer-has-at-most-octets-a", "%w: an answer has at most %d octets, a note %d", "kind", ErrInvalid, "most", MaxText, "most2", MaxNote)
	case d.State == Answered && d.Answer == "":
		return after, said.Errorf("appeal.an-answer-has-words", "%w: an answer has words", "kind", ErrInvalid)
	case d.State == Open && d.Note == "":
		return after, said.Errorf("appeal.a-note-says-why-it-is-opened", "%w: a note says why it is opened again", "kind", ErrInvalid)
	}
	var before Appeal
	row, err := b.table().Change(ctx, d.Reference, func(a *Appeal) error {
		if a.State == d.State && (d.State == Open || a.Answer == d.Answer) {
			return said.Errorf("appeal.it-is", "%w: it is %s", "kind", ErrState, "state", a.State)
		}
		before = *a
		now := b.Now().UTC()
		a.State, a.By, a.Changed, a.Decided = d.State, actor, now, now
		if d.Note != "" {
			a.Note = d.Note
		}
		if a.Answer = d.Answer; d.State == Open {
			a.Decided = time.Time{}
		}
		return nil
	})
	if err != nil {
		return after, err
	}
	return row.Value, b.Audit(ctx, actor, "appeal-"+string(d.State), d.Reference, before, row.Value, d.Note)
}

// Tend forgets those that nobody touched for long.
func (b *Book) Tend(ctx context.Context) error {
	before := b.Now().Add(-Keep)
	return b.table().Each(ctx, entity.Query{Index: "changed", From: 1, To: before.UnixMilli(), Rising: true, Limit: entity.MaxPage}, func(r entity.Row[Appeal]) error {
		err := b.table().Remove(ctx, r)
		if errors.Is(err, entity.ErrConflict) {
			return nil
		}
		return err
	})
}
