package dossier

import (
	"strings"
	"time"

	"postern/abuse/cases/flow"
	"postern/internal/entity"
)

// Search asks for a page of cases. View is one of: queue, mine, unowned, breach, contained,
// guarantee, probation, p0, all; the others narrow it and stand alone.
type Search struct {
	View     string `json:"view,omitempty"`
	Owner    string `json:"owner,omitempty"` // of the view mine
	State    string `json:"state,omitempty"`
	Priority string `json:"priority,omitempty"`
	Category string `json:"category,omitempty"`
	Account  string `json:"account,omitempty"`
	Source   string `json:"source,omitempty"`
	After    string `json:"after,omitempty"`
	Limit    int    `json:"limit,omitempty"`
}

// Views are the names of the saved queries.
func Views() []string {
	return []string{"queue", "mine", "unowned", "breach", "contained", "guarantee", "probation", "p0", "all"}
}

// breachIn is how soon a deadline has to be for the view of breaches.
const breachIn = time.Hour

// Query turns a search into one over an index.
func (s Search) Query(now time.Time) (entity.Query, error) {
	q := entity.Query{Index: indexQueue, Rising: true, After: s.After, Limit: s.Limit}
	given := 0
	for _, f := range []struct{ index, value string }{
		{indexState, strings.ToUpper(s.State)}, {indexPriority, strings.ToUpper(s.Priority)}, {indexCategory, strings.ToUpper(s.Category)},
		{indexAccount, s.Account}, {indexSource, strings.ToLower(s.Source)},
	} {
		if f.value != "" {
			given++
			q.Index, q.Value = f.index, bounded(f.value)
		}
	}
	q.Rising = q.Index != indexAccount && q.Index != indexSource
	if given > 1 || given == 1 && s.View != "" {
		return q, Refuse(ErrInvalid, "one of view, state, priority, category, account and source at a time")
	}
	if given == 1 {
		return q, nil
	}
	switch s.View {
	case "", "queue":
	case "mine":
		if s.Owner == "" {
			return q, Refuse(ErrNeeds, "the view mine needs an owner")
		}
		q.Index, q.Value = indexOwner, bounded(s.Owner)
	case "unowned":
		q.Index, q.Value = indexOwner, Nobody
	case "breach":
		q.From, q.To = 1, now.Add(breachIn).UnixMilli()
	case "contained":
		q.Index, q.Value = indexState, string(flow.Contained)
	case "guarantee":
		q.Index, q.Value = indexView, "guarantee"
	case "probation":
		q.Index, q.Value = indexState, string(flow.Probation)
	case "p0":
		q.Index, q.Value = indexGrade, "P0"
	case "all":
		q.Index, q.Rising = IndexOpened, false
	default:
		return q, Refuse(ErrInvalid, "there is no view %.40q; there are %s", s.View, strings.Join(Views(), ", "))
	}
	return q, nil
}
