package cases

import (
	"postern/abuse/cases/dossier"
	"postern/internal/entity"
)

// subject says which case the reports about one thing go to.
type subject struct {
	Name string `json:"name"`
	Case string `json:"case"`
}

func (d *Desk) subjects() entity.Table[subject] {
	return entity.Table[subject]{Store: d.Entities, Kind: "case-subject", ID: func(s *subject) string { return dossier.Hashed(s.Name) }}
}
