// Package lettercalls are the named calls about what the letters of the abuse desk say, and about
// the short texts that people put into theirs.
package lettercalls

import (
	"context"
	"errors"
	"time"

	"postern/abuse/notice/edition"
	"postern/abuse/notice/letter"
	"postern/abuse/notice/snippet"
	"postern/internal/config/desk"
	"postern/internal/control"
	"postern/internal/diff"
	"postern/internal/entity"
	"postern/internal/people"
)

// Parts are what the calls work with.
type Parts struct {
	Letters  *edition.Desk // nil: no letters are written here
	Snippets *snippet.Book
	Answers  desk.Answers // who signs, and the hours, as a preview shows them
}

// Which names a letter.
type Which struct {
	Language string      `json:"language"`
	Kind     letter.Kind `json:"kind"`
}

// Row is one letter of the list.
type Row struct {
	Which
	From    string    `json:"from"` // program, file or desk: whose words are in force
	Changes int       `json:"changes"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Broken  string    `json:"broken,omitempty"` // why the desk's words are not used
}

// List is all letters in all languages.
type List struct {
	Templates []Row         `json:"templates"`
	Languages []string      `json:"languages"`
	Kinds     []letter.Kind `json:"kinds"`
}

// Shown is a letter as it is written.
type Shown struct {
	Row
	letter.Source
	Given    letter.Source    `json:"given"` // what it says without the desk
	File     string           `json:"file,omitempty"`
	Names    []string         `json:"names"` // variables that it may say
	Problems []letter.Problem `json:"problems"`
	Preview  letter.Source    `json:"preview"`
}

// Words are a letter as it would be.
type Words struct {
	Which
	letter.Source
}

// Checked is what is wrong with it, and how it looks filled in.
type Checked struct {
	OK       bool             `json:"ok"`
	Problems []letter.Problem `json:"problems"`
	Preview  letter.Source    `json:"preview"`          // with values of nobody
	Unsaid   []string         `json:"unsaid,omitempty"` // what it would no longer say, and says without the desk
	Diff     []diff.Hunk      `json:"diff"`             // against what it says now
}

// Set changes a letter. Base is the number of changes that were seen before.
type Set struct {
	Words
	Base int    `json:"base"`
	Note string `json:"note,omitempty"`
}

// Past asks for changes of a letter.
type Past struct {
	Which
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Changes is a page of them.
type Changes struct {
	Changes []edition.Change `json:"changes"`
	Next    string           `json:"next,omitempty"`
}

// Numbered names a change of a letter, or what it said before all.
type Numbered struct {
	Which
	N    int    `json:"n"`
	Note string `json:"note,omitempty"`
}

// Difference is a change in full.
type Difference struct {
	Change edition.Change `json:"change"`
	Known  bool           `json:"known"` // what it said before is kept
	Diff   []diff.Hunk    `json:"diff"`
	Last   int            `json:"last"` // number of the last change
}

// maxPast bounds a page.
const maxPast = edition.Kept

// Handle adds the calls to s.
func (p Parts) Handle(s *control.Server) {
	handle(s, p, "template.list", func(ctx context.Context, _ struct{}) (List, error) { return p.list(ctx) })
	handle(s, p, "template.show", p.show)
	handle(s, p, "template.check", p.check)
	handle(s, p, "template.set", func(ctx context.Context, w Set) (edition.Change, error) {
		return p.Letters.Save(ctx, control.Actor(ctx), w.Language, w.Kind, w.Source, w.Base, w.Note)
	})
	handle(s, p, "template.reset", func(ctx context.Context, n Numbered) (edition.Change, error) {
		return p.Letters.Reset(ctx, control.Actor(ctx), n.Language, n.Kind, n.N, n.Note)
	})
	handle(s, p, "template.rollback", func(ctx context.Context, n Numbered) (edition.Change, error) {
		return p.Letters.Rollback(ctx, control.Actor(ctx), n.Language, n.Kind, n.N, n.Note)
	})
	handle(s, p, "template.history", func(ctx context.Context, q Past) (Changes, error) {
		if q.Limit < 0 || q.Limit > maxPast {
			return Changes{}, control.Refuse(control.Invalid, "letter.limit-1-to", "limit: 1 to %d", "most", maxPast)
		}
		all, next, err := p.Letters.History(ctx, q.Language, q.Kind, q.After, q.Limit)
		return Changes{all, next}, err
	})
	handle(s, p, "template.diff", p.diff)
	p.snippets(s)
}

func handle[P, R any](s *control.Server, p Parts, name string, f func(ctx context.Context, in P) (R, error)) {
	control.Handle(s, name, func(ctx context.Context, in P) (out R, err error) {
		if p.Letters == nil {
			return out, control.Refuse(control.Conflict, "letter.no-letters-are-written-here-abuse-answers", "no letters are written here: abuse.answers.off")
		}
		out, err = f(ctx, in)
		return out, known(err)
	})
}

func known(err error) error {
	for of, kind := range map[error]control.Kind{
		letter.ErrLetter: control.Invalid, edition.ErrSame: control.Invalid, edition.ErrNotFound: control.NotFound, edition.ErrChanged: control.Conflict,
		snippet.ErrInvalid: control.Invalid, snippet.ErrNotFound: control.NotFound, snippet.ErrFull: control.Conflict, snippet.ErrChanged: control.Conflict,
		entity.ErrInvalid: control.Invalid,
	} {
		if errors.Is(err, of) {
			return control.Because(kind, err)
		}
	}
	return err
}

func (p Parts) list(ctx context.Context) (List, error) {
	out := List{Templates: []Row{}, Languages: letter.Languages(), Kinds: letter.Sent()}
	for _, kind := range out.Kinds {
		for _, l := range out.Languages {
			t, err := p.Letters.Get(ctx, l, kind)
			if err != nil {
				return out, err
			}
			out.Templates = append(out.Templates, row(Which{l, kind}, t))
		}
	}
	return out, nil
}

func row(w Which, t edition.Text) Row {
	r := Row{Which: w, From: "program", Changes: t.Last.N, By: t.Last.By, At: t.Last.At}
	if t.File != "" {
		r.From = "file"
	}
	if t.Last.Own() {
		r.From = "desk"
		if _, problems := letter.Compile(w.Kind, t.Now); len(problems) > 0 {
			r.Broken = problems[0].String()
		}
	}
	return r
}

func (p Parts) show(ctx context.Context, w Which) (Shown, error) {
	t, err := p.Letters.Get(ctx, w.Language, w.Kind)
	if err != nil {
		return Shown{}, err
	}
	out := Shown{Row: row(w, t), Source: t.Now, Given: t.Given, File: t.File, Names: letter.Names(w.Kind)}
	_, out.Problems, out.Preview = p.filled(w, t.Now)
	return out, nil
}

// filled is a letter with values of nobody in it, or what is wrong with it.
func (p Parts) filled(w Which, s letter.Source) (letter.Form, []letter.Problem, letter.Source) {
	f, problems := letter.Compile(w.Kind, s)
	if len(problems) == 0 {
		t, err := f.Write(letter.Sample(w.Language, w.Kind, p.Answers.Name, p.Answers.Hours))
		if err == nil {
			return f, []letter.Problem{}, letter.Source(t)
		}
		problems = []letter.Problem{letter.Unwritten(err)}
	}
	return f, problems, letter.Source{}
}

func (p Parts) check(ctx context.Context, w Words) (Checked, error) {
	t, err := p.Letters.Get(ctx, w.Language, w.Kind)
	if err != nil {
		return Checked{}, err
	}
	f, problems, preview := p.filled(w.Which, w.Source)
	out := Checked{OK: len(problems) == 0, Problems: problems, Preview: preview, Diff: between(t.Now, letter.Tidy(w.Source))}
	if given, bad := letter.Compile(w.Kind, t.Given); out.OK && len(bad) == 0 {
		out.Unsaid = given.Without(f)
	}
	return out, nil
}

// between is the difference of two letters as people read them.
func between(before, after letter.Source) []diff.Hunk {
	out := diff.Between(whole(before), whole(after))
	if out == nil {
		out = []diff.Hunk{}
	}
	return out
}

func whole(s letter.Source) string { return "Subject: " + s.Subject + "\n\n" + s.Body }

func (p Parts) diff(ctx context.Context, n Numbered) (Difference, error) {
	c, before, after, whole, err := p.Letters.Compare(ctx, n.Language, n.Kind, n.N)
	if err != nil {
		return Difference{}, err
	}
	t, err := p.Letters.Get(ctx, n.Language, n.Kind)
	out := Difference{Change: c, Known: whole, Diff: []diff.Hunk{}, Last: t.Last.N}
	if whole {
		out.Diff = between(before, after)
	}
	return out, err
}

// SnippetQuery asks for the short texts in a language; "" = all.
type SnippetQuery struct {
	Language string `json:"language,omitempty"`
}

// Snippets are short texts, by title.
type Snippets struct {
	Snippets []snippet.Snippet `json:"snippets"`
}

// SnippetText is a short text to keep: a new one without an ID.
type SnippetText struct {
	ID       string `json:"id,omitempty"`
	Language string `json:"language"`
	Title    string `json:"title"`
	Short    string `json:"short,omitempty"`
	Text     string `json:"text"`
	Changes  int    `json:"changes,omitempty"` // that were seen before
}

// SnippetID names a short text.
type SnippetID struct {
	ID string `json:"id"`
}

func (p Parts) snippets(s *control.Server) {
	control.Handle(s, "snippet.list", func(ctx context.Context, q SnippetQuery) (Snippets, error) {
		all, err := p.Snippets.List(ctx, owner(ctx), q.Language)
		return Snippets{all}, known(err)
	})
	for name, shared := range map[string]bool{"snippet.save": false, "snippet.share": true} {
		control.Handle(s, name, func(ctx context.Context, t SnippetText) (snippet.Snippet, error) {
			out, err := p.Snippets.Save(ctx, owner(ctx), snippet.Snippet{ID: t.ID, Language: t.Language, Title: t.Title, Short: t.Short, Text: t.Text, Changes: t.Changes}, shared)
			return out, known(err)
		})
	}
	for name, shared := range map[string]bool{"snippet.remove": false, "snippet.withdraw": true} {
		control.Handle(s, name, func(ctx context.Context, id SnippetID) (snippet.Snippet, error) {
			out, err := p.Snippets.Remove(ctx, owner(ctx), id.ID, shared)
			return out, known(err)
		})
	}
}

// owner is who keeps texts: a person, by whatever way they come.
func owner(ctx context.Context) string {
	if who, ok := people.From(ctx); ok {
		return who.Name
	}
	return control.Actor(ctx)
}
