package cases

import (
	"context"
	"errors"

	"postern/abuse/cases/dossier"
	"postern/internal/entity"
)

// filing says how far cases of before were filed under their words.
type filing struct {
	Name  string `json:"name"`
	After string `json:"after,omitempty"` // the next page
	Done  bool   `json:"done,omitempty"`
}

// filed is the name of the work that stands in the store.
const filed = "words-1"

func (d *Desk) filings() entity.Table[filing] {
	return entity.Table[filing]{Store: d.Entities, Kind: "case-filing", ID: func(f *filing) string { return f.Name }}
}

// tickWords files cases that were written before there were words, a page at a time.
func (d *Desk) tickWords(ctx context.Context) error {
	row, err := d.filings().Get(ctx, filed)
	if errors.Is(err, entity.ErrNotFound) {
		row, err = d.filings().Create(ctx, filing{Name: filed})
	}
	if err != nil || row.Value.Done {
		return err
	}
	rows, next, err := d.cases().Find(ctx, entity.Query{Index: dossier.IndexOpened, Rising: true, After: row.Value.After, Limit: tickPage})
	for _, r := range rows {
		_, again := d.cases().Change(ctx, r.Value.ID, func(*Case) error { return nil }) // writes its keys anew
		err = errors.Join(err, again)
	}
	if err != nil {
		return err
	}
	_, err = d.filings().Change(ctx, filed, func(f *filing) error { f.After, f.Done = next, next == ""; return nil })
	return err
}
