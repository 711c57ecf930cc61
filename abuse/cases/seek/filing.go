package seek

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

func filings(s entity.Store) entity.Table[filing] {
	return entity.Table[filing]{Store: s, Kind: "case-filing", ID: func(f *filing) string { return f.Name }}
}

// filePage is how many cases are filed at a time.
const filePage = 200

// File files cases that were written before there were words, a page at a time.
func File(ctx context.Context, s entity.Store) error {
	row, err := filings(s).Get(ctx, filed)
	if errors.Is(err, entity.ErrNotFound) {
		row, err = filings(s).Create(ctx, filing{Name: filed})
	}
	if err != nil || row.Value.Done {
		return err
	}
	rows, next, err := dossier.Cases(s).Find(ctx, entity.Query{Index: dossier.IndexOpened, Rising: true, After: row.Value.After, Limit: filePage})
	for _, r := range rows {
		_, again := dossier.Cases(s).Change(ctx, r.Value.ID, func(*dossier.Case) error { return nil }) // writes its keys anew
		err = errors.Join(err, again)
	}
	if err != nil {
		return err
	}
	_, err = filings(s).Change(ctx, filed, func(f *filing) error { f.After, f.Done = next, next == ""; return nil })
	return err
}
