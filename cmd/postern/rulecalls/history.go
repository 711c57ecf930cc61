package rulecalls

import (
	"context"

	"postern/internal/control"
	"postern/internal/diff"
	"postern/internal/opfiles"
)

// Past asks for a page of changes.
type Past struct {
	File  string `json:"file,omitempty"` // "" = of all files
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Changes is a page of them.
type Changes struct {
	Changes []opfiles.Change `json:"changes"`
	Next    string           `json:"next,omitempty"`
}

// ChangeID names a change.
type ChangeID struct {
	ID   string `json:"id"`
	Note string `json:"note,omitempty"`
}

// Difference is a change in full.
type Difference struct {
	Change  opfiles.Change `json:"change"`
	Known   bool           `json:"known"` // the texts before and after are kept
	Diff    []diff.Hunk    `json:"diff"`
	Current string         `json:"current,omitempty"` // hash of the file as it is now
	Back    bool           `json:"back"`              // it can be rolled back to
}

// maxPast bounds a page.
const maxPast = 200

func (d *Desk) historyCalls(s *control.Server) {
	control.Handle(s, "rules.history", func(ctx context.Context, p Past) (Changes, error) {
		if p.Limit < 0 || p.Limit > maxPast {
			return Changes{}, control.Refuse(control.Invalid, "rule.limit-1-to", "limit: 1 to %d", "most", maxPast)
		}
		all, next, err := d.History.Find(ctx, p.File, p.After, p.Limit)
		return Changes{all, next}, known(err)
	})
	control.Handle(s, "rules.diff", func(ctx context.Context, p ChangeID) (Difference, error) { return d.difference(ctx, p.ID) })
	control.Handle(s, "rules.rollback", d.rollback)
}

func (d *Desk) difference(ctx context.Context, id string) (Difference, error) {
	c, before, whole, err := d.History.Get(ctx, id)
	if err != nil {
		return Difference{}, known(err)
	}
	out := Difference{Change: c, Known: whole && !c.NoText, Diff: []diff.Hunk{}}
	if out.Known {
		out.Diff = diff.Between(before, c.Text)
	}
	now, err := d.Shelf.Read(c.File)
	out.Current = now.Hash
	out.Back = !c.NoText && out.Current != c.After && (err == nil && now.ReadOnly == "" || now.Hash == "")
	return out, nil
}

// rollback makes a file what it was after a change.
func (d *Desk) rollback(ctx context.Context, p ChangeID) (Saved, error) {
	c, _, _, err := d.History.Get(ctx, p.ID)
	switch {
	case err != nil:
		return Saved{}, known(err)
	case c.NoText:
		return Saved{}, control.Refuse(control.Conflict, "rule.the-text-of-this-change-is-not", "the text of this change is not kept")
	}
	now, err := d.Shelf.Read(c.File)
	if err != nil && now.Hash != "" {
		return Saved{}, known(err)
	}
	return d.save(ctx, Save{File: c.File, Text: c.Text, Gone: c.After == "", Base: now.Hash, Note: p.Note},
		opfiles.Change{How: opfiles.Rolled, Actor: control.Actor(ctx), Note: p.Note, Back: c.ID})
}
