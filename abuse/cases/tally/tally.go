// Package tally counts votes: one delivered copy is one vote at most.
package tally

import (
	"context"
	"errors"
	"slices"

	"postern/abuse/cases/dossier"
	"postern/internal/entity"
)

// MaxCopies is how many delivered copies of one message can vote.
const MaxCopies = 1000

// message is what was voted about one message.
type message struct {
	Name     string           `json:"name"` // account and serial
	Accepted int              `json:"accepted"`
	Copies   map[string]votes `json:"copies"` // by a hash of the copy's key
}

// votes are those of one delivered copy: each report that raised them, and by how much.
type votes []vote

type vote struct {
	Report string `json:"r"`
	Add    int    `json:"v"`
	Weak   bool   `json:"w,omitempty"` // P2
}

func (v votes) sum() int {
	n := 0
	for _, one := range v {
		n += one.Add
	}
	return n
}

func messages(s entity.Store) entity.Table[message] {
	return entity.Table[message]{Store: s, Kind: "case-message", ID: func(m *message) string { return dossier.Hashed(m.Name) }}
}

// Cast counts a report: one delivered copy is one vote at most, whoever reports it and how
// often; a message never has more votes than accepted recipients; and what a token without
// content adds (P2) is never more than half of that.
func Cast(ctx context.Context, s entity.Store, c *dossier.Complaint) (counts int, twice bool, err error) {
	if c.Class == "DUPLICATE" {
		return 0, true, nil
	}
	if c.Grade < 2 || c.Class != "" || c.Votes <= 0 || c.Accepted <= 0 || c.Copy == "" || c.Fold != "" || c.Feedback == "not-spam" || c.Feedback == "opt-out" {
		return 0, false, nil
	}
	name := c.Account + " " + c.Serial
	for {
		_, err := messages(s).Change(ctx, dossier.Hashed(name), func(m *message) error {
			counts, twice = m.cast(c)
			if counts == 0 {
				return entity.ErrUnchanged
			}
			return nil
		})
		if errors.Is(err, entity.ErrNotFound) {
			m := message{Name: name, Copies: map[string]votes{}}
			counts, twice = m.cast(c)
			_, err = messages(s).Create(ctx, m)
		}
		switch {
		case err == nil:
			return counts, twice, nil
		case ctx.Err() != nil || !errors.Is(err, entity.ErrExists) && !errors.Is(err, entity.ErrConflict):
			return 0, false, err
		}
	}
}

// cast adds what a report is worth, and returns it; for a report that was cast already it is
// what it was worth then.
func (m *message) cast(c *dossier.Complaint) (counts int, twice bool) {
	m.Accepted = max(m.Accepted, c.Accepted)
	key := dossier.Hashed(c.Copy)[:22]
	have := m.Copies[key]
	if i := slices.IndexFunc(have, func(v vote) bool { return v.Report == c.Report }); i >= 0 {
		return have[i].Add, false
	}
	twice = len(have) > 0
	if !twice && len(m.Copies) >= MaxCopies {
		return 0, false
	}
	total, weak := 0, 0
	for _, v := range m.Copies {
		total += v.sum()
		for _, one := range v {
			if one.Weak {
				weak += one.Add
			}
		}
	}
	worth := min(c.Votes, 100)
	if c.Grade == 2 {
		worth = min(worth, 50, 50*m.Accepted-weak)
	}
	counts = max(min(worth-have.sum(), 100*m.Accepted-total), 0)
	if counts > 0 {
		m.Copies[key] = append(have, vote{c.Report, counts, c.Grade == 2})
	}
	return counts, twice
}
