// Package edition keeps what people of the desk write over the words of its letters, in each
// language, for all nodes, with what every text said before. What a letter says without it is
// always there to go back to.
package edition

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"postern/abuse/notice/letter"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kept is how many changes of a letter are remembered.
const Kept = 100

// MaxNote bounds why something was changed, in octets.
const MaxNote = 500

// Errors of a Desk, besides letter.ErrLetter.
var (
	ErrChanged  = said.New("letter.the-letter-was-changed-in-the-meantime", "the letter was changed in the meantime")
	ErrSame     = said.New("letter.the-letter-says-this-already", "the letter says this already")
	ErrNotFound = said.New("letter.there-is-no-such-letter", "there is no such letter")
)

// How a letter came to be changed.
const (
	Saved   = "saved"
	Rolled  = "rolled-back"
	Dropped = "reset" // it says again what it says without the desk
)

// Change is one change of a letter, with what it says after it.
type Change struct {
	Letter   string      `json:"letter"` // en.ack
	Language string      `json:"language"`
	Kind     letter.Kind `json:"kind"`
	N        int         `json:"n"` // counts the changes of this letter from 1
	At       time.Time   `json:"at"`
	By       string      `json:"by"`
	How      string      `json:"how"`
	Note     string      `json:"note,omitempty"`
	Back     int         `json:"back,omitempty"` // the change that was gone back to
	letter.Source
}

// Own reports whether the desk's words are in force after it.
func (c Change) Own() bool { return c.N > 0 && c.How != Dropped && c.Body != "" }

// Desk keeps the words.
type Desk struct {
	Store entity.Store
	Book  *letter.Book // what is said without the desk
	Now   func() time.Time
	Log   *slog.Logger
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// heads are the last changes, one of each letter: they are what counts.
func (d *Desk) heads() entity.Table[Change] {
	return entity.Table[Change]{Store: d.Store, Kind: "letter-text", ID: func(c *Change) string { return c.Letter }, Keys: func(c *Change) []entity.Key {
		return []entity.Key{{Index: "all", At: c.At.UnixMilli()}}
	}}
}

// past are the changes before the last.
func (d *Desk) past() entity.Table[Change] {
	return entity.Table[Change]{Store: d.Store, Kind: "letter-past", ID: func(c *Change) string { return numbered(c.Letter, c.N) }, Keys: func(c *Change) []entity.Key {
		return []entity.Key{{Index: "letter", Value: c.Letter, At: int64(c.N)}}
	}}
}

func numbered(name string, n int) string { return name + "." + strconv.Itoa(n) }

// name is the ID of a letter. The error is ErrNotFound for one that the desk does not write.
func name(language string, kind letter.Kind) (string, error) {
	if !slices.Contains(letter.Languages(), language) || !slices.Contains(letter.Sent(), kind) {
		return "", said.Errorf("letter.in-there-are-in", "%w: %.20q in %.20q; there are %v in %v", "kind", ErrNotFound, "letter", string(kind), "language", language, "sent", letter.Sent(), "languages", letter.Languages())
	}
	return language + "." + string(kind), nil
}

// last is the last change of a letter; one that nobody changed has the number 0.
func (d *Desk) last(ctx context.Context, id string) (Change, error) {
	row, err := d.heads().Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) {
		return Change{}, nil
	}
	return row.Value, err
}

// Write implements notice.Letters: what the desk wrote goes before what the book has.
func (d *Desk) Write(ctx context.Context, language string, kind letter.Kind, v letter.Vars) (letter.Text, error) {
	if !slices.Contains(letter.Languages(), language) {
		language = letter.Languages()[0]
	}
	own, err := d.last(ctx, language+"."+string(kind))
	if err != nil {
		return letter.Text{}, err
	}
	if own.Own() {
		f, problems := letter.Compile(kind, own.Source)
		if len(problems) == 0 {
			t, err := f.Write(v)
			if err == nil {
				return t, nil
			}
			problems = []letter.Problem{letter.Unwritten(err)}
		}
		d.Log.Warn("a letter is written as the book has it: the desk's own words cannot be used", "letter", own.Letter, "change", own.N, "why", problems[0].Message)
	}
	return d.Book.Write(language, kind, v)
}

// Text is a letter as it is written now.
type Text struct {
	Last  Change        // the last change of the desk; N 0 = there was none
	Now   letter.Source // what it says
	Given letter.Source // what it says without the desk
	File  string        // of the operator, in which Given stands; "" = it comes with the program
}

// Get is a letter in a language.
func (d *Desk) Get(ctx context.Context, language string, kind letter.Kind) (t Text, err error) {
	id, err := name(language, kind)
	if err != nil {
		return t, err
	}
	if t.Given, t.File, err = d.Book.Source(language, kind); err != nil {
		return t, err
	}
	if t.Last, err = d.last(ctx, id); err != nil {
		return t, err
	}
	if t.Now = t.Given; t.Last.Own() {
		t.Now = t.Last.Source
	}
	return t, nil
}

// Save makes a letter say something else. base is the number of the change that was seen before.
func (d *Desk) Save(ctx context.Context, who, language string, kind letter.Kind, s letter.Source, base int, note string) (Change, error) {
	if _, problems := letter.Compile(kind, s); len(problems) > 0 {
		return Change{}, said.Errorf("detail", "%w: %s", "kind", letter.ErrLetter, "what", problems[0])
	}
	return d.change(ctx, language, kind, base, Change{By: who, How: Saved, Note: note, Source: letter.Tidy(s)})
}

// Reset makes a letter say again what it says without the desk.
func (d *Desk) Reset(ctx context.Context, who, language string, kind letter.Kind, base int, note string) (Change, error) {
	return d.change(ctx, language, kind, base, Change{By: who, How: Dropped, Note: note})
}

// Rollback makes a letter say what it said after a change; 0 is before the first.
func (d *Desk) Rollback(ctx context.Context, who, language string, kind letter.Kind, n int, note string) (Change, error) {
	t, err := d.Get(ctx, language, kind)
	if err != nil {
		return Change{}, err
	}
	to := Change{}
	if n != 0 {
		if to, err = d.numbered(ctx, t.Last, n); err != nil {
			return Change{}, err
		}
	}
	if !to.Own() {
		return d.change(ctx, language, kind, t.Last.N, Change{By: who, How: Dropped, Note: note, Back: n})
	}
	if _, problems := letter.Compile(kind, to.Source); len(problems) > 0 {
		return Change{}, said.Errorf("detail", "%w: %s", "kind", letter.ErrLetter, "what", problems[0])
	}
	return d.change(ctx, language, kind, t.Last.N, Change{By: who, How: Rolled, Note: note, Back: n, Source: to.Source})
}

// change puts a change behind the last. The one before is kept first: nothing is ever lost
// between the two.
func (d *Desk) change(ctx context.Context, language string, kind letter.Kind, base int, c Change) (Change, error) {
	if len(c.Note) > MaxNote {
		return c, said.Errorf("letter.the-note-has-octets-at-most-are", "%w: the note has %d octets; at most %d are kept", "kind", letter.ErrLetter, "n", len(c.Note), "most", MaxNote)
	}
	t, err := d.Get(ctx, language, kind)
	if err != nil {
		return c, err
	}
	now := t.Given
	if c.How != Dropped {
		now = c.Source
	}
	switch {
	case t.Last.N != base:
		return c, said.Errorf("letter.by", "%w: by %s", "kind", ErrChanged, "by", t.Last.By)
	case c.How != Dropped && now == t.Now, c.How == Dropped && !t.Last.Own():
		return c, ErrSame
	}
	c.Letter, c.Language, c.Kind, c.N, c.At = language+"."+string(kind), language, kind, base+1, d.Now().UTC().Truncate(time.Millisecond)
	if base == 0 {
		_, err = d.heads().Create(ctx, c)
	} else if err = d.shelve(ctx, t.Last); err == nil {
		_, err = d.heads().Change(ctx, c.Letter, func(old *Change) error {
			if old.N != base {
				return said.Errorf("letter.by", "%w: by %s", "kind", ErrChanged, "by", old.By)
			}
			*old = c
			return nil
		})
	}
	if errors.Is(err, entity.ErrExists) {
		err = ErrChanged
	}
	if err != nil {
		return c, err
	}
	type state struct {
		Change int `json:"change"`
		letter.Source
	}
	return c, d.Audit(ctx, c.By, "letter-"+c.How, c.Letter, state{base, t.Now}, state{c.N, now}, c.Note)
}

// shelve keeps a change that another one follows, and forgets the oldest.
func (d *Desk) shelve(ctx context.Context, c Change) error {
	_, err := d.past().Create(ctx, c)
	if err != nil && !errors.Is(err, entity.ErrExists) {
		return err
	}
	row, err := d.past().Get(ctx, numbered(c.Letter, c.N-Kept+1))
	if errors.Is(err, entity.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = d.past().Remove(ctx, row)
	}
	return err
}

func (d *Desk) numbered(ctx context.Context, last Change, n int) (Change, error) {
	if n == last.N && n > 0 {
		return last, nil
	}
	if n > 0 && n < last.N {
		row, err := d.past().Get(ctx, numbered(last.Letter, n))
		if !errors.Is(err, entity.ErrNotFound) {
			return row.Value, err
		}
	}
	return Change{}, said.Errorf("letter.its-change-is-not-kept", "%w: its change %d is not kept", "kind", ErrNotFound, "n", n)
}

// History is a page of the changes of a letter, the last first.
func (d *Desk) History(ctx context.Context, language string, kind letter.Kind, after string, limit int) ([]Change, string, error) {
	t, err := d.Get(ctx, language, kind)
	out := []Change{}
	if err != nil || t.Last.N == 0 {
		return out, "", err
	}
	if after == "" {
		out = append(out, t.Last)
	}
	rows, next, err := d.past().Find(ctx, entity.Query{Index: "letter", Value: t.Last.Letter, After: after, Limit: limit})
	for _, r := range rows {
		if r.Value.N < t.Last.N { // one that was shelved and then not followed
			out = append(out, r.Value)
		}
	}
	return out, next, err
}

// Compare is a change and what the letter said before it and after it. known is false where the
// one before is not kept any more.
func (d *Desk) Compare(ctx context.Context, language string, kind letter.Kind, n int) (c Change, before, after letter.Source, known bool, err error) {
	t, err := d.Get(ctx, language, kind)
	if err != nil {
		return c, before, after, false, err
	}
	if c, err = d.numbered(ctx, t.Last, n); err != nil {
		return c, before, after, false, err
	}
	if after = t.Given; c.Own() {
		after = c.Source
	}
	if n == 1 {
		return c, t.Given, after, true, nil
	}
	prev, err := d.numbered(ctx, t.Last, n-1)
	if errors.Is(err, ErrNotFound) {
		return c, before, after, false, nil
	}
	if before = t.Given; prev.Own() {
		before = prev.Source
	}
	return c, before, after, err == nil, err
}
