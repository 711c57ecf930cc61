// Package seek says which cases somebody asks for, and which index to look for them in.
package seek

import (
	"slices"
	"strings"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/cases/terms"
	"postern/internal/entity"
)

// Search asks for a page of cases. View is one of Views; the other words narrow it, and where
// no view is given those of an account or a source find closed cases too.
type Search struct {
	View     string   `json:"view,omitempty"`
	Owner    string   `json:"owner,omitempty"` // a name, or "-" for nobody
	Kind     string   `json:"kind,omitempty"`  // local, external
	State    string   `json:"state,omitempty"`
	Priority string   `json:"priority,omitempty"`
	Category string   `json:"category,omitempty"`
	Grade    string   `json:"grade,omitempty"` // P0 to P4
	Account  string   `json:"account,omitempty"`
	Source   string   `json:"source,omitempty"`
	Domains  []string `json:"domains,omitempty"` // of the account
	Text     string   `json:"text,omitempty"`    // words that a case has in its number, names and sentence; the youngest is found first
	Order    string   `json:"order,omitempty"`   // due: the next deadline first; new: the youngest first
	After    string   `json:"after,omitempty"`
	Limit    int      `json:"limit,omitempty"`
}

// MaxSearch bounds the text of a search, and MaxDomains how many domains it names.
const (
	MaxSearch  = 200
	MaxDomains = 500
)

// Views are the names of the saved queries.
func Views() []string {
	return []string{"queue", "mine", "unowned", "today", "breach", "contained", "guarantee", "probation", "p0", "done", "all"}
}

// breachIn is how soon a deadline has to be for the view of breaches.
const breachIn = time.Hour

// check refuses what cannot be asked for.
func (s Search) check() error {
	switch {
	case s.View != "" && !slices.Contains(Views(), s.View):
		return dossier.Refuse(dossier.ErrInvalid, "case.there-is-no-view-there-are", "there is no view %.40q; there are %s", "view", s.View, "views", strings.Join(Views(), ", "))
	case s.View == "mine" && s.Owner == "":
		return dossier.Refuse(dossier.ErrNeeds, "case.the-view-mine-needs-an-owner", "the view mine needs an owner")
	case s.View == "unowned" && s.Owner != "" && s.Owner != dossier.Nobody:
		return dossier.Refuse(dossier.ErrInvalid, "case.the-view-unowned-has-no-owner", "the view unowned has no owner")
	case s.Order != "" && s.Order != "due" && s.Order != "new":
		return dossier.Refuse(dossier.ErrInvalid, "case.there-is-no-order-there-are-due", "there is no order %.40q; there are due and new", "order", s.Order)
	case len(s.Text) > MaxSearch:
		return dossier.Refuse(dossier.ErrInvalid, "case.a-text-to-search-for-has-at", "a text to search for has at most %d octets", "most", MaxSearch)
	case len(s.Domains) > MaxDomains:
		return dossier.Refuse(dossier.ErrInvalid, "case.a-search-names-at-most-domains", "a search names at most %d domains", "most", MaxDomains)
	case s.Limit < 0 || s.Limit > entity.MaxPage:
		return dossier.Refuse(dossier.ErrInvalid, "case.a-page-has-at-most-cases", "a page has at most %d cases", "most", entity.MaxPage)
	}
	return nil
}

// open reports whether only the cases are asked for of which something is still to be done.
func (s Search) open() bool {
	switch s.View {
	case "":
		return s.Account == "" && s.Source == "" && s.State != string(flow.Closed)
	case "all", "done":
		return false
	}
	return true
}

// Queries are what a search asks an index for: every case that it finds is filed under one of
// them, in the same order. Others may be too; Match tells. now is in the zone whose day counts.
func (s Search) Queries(now time.Time) ([]entity.Query, error) {
	s = s.folded()
	if err := s.check(); err != nil {
		return nil, err
	}
	q := entity.Query{After: s.After, Limit: s.Limit}
	youngest := []struct{ index, value string }{{dossier.IndexAccount, s.Account}, {dossier.IndexSource, s.Source}}
	for _, f := range youngest {
		if f.value != "" && s.Order != "due" {
			q.Index, q.Value = f.index, dossier.Bounded(f.value)
			return []entity.Query{q}, nil
		}
	}
	if len(s.Domains) > 0 && s.Order != "due" {
		var all []entity.Query
		for _, d := range s.Domains {
			q.Index, q.Value = dossier.IndexDomain, dossier.Bounded(d)
			all = append(all, q)
		}
		return all, nil
	}
	if w := terms.Rarest(s.Text); w != "" && s.View != "breach" && s.View != "today" {
		q.Index, q.Value = dossier.IndexWord, w
		return []entity.Query{q}, nil
	}
	if !s.open() || s.Order == "new" {
		q.Index = dossier.IndexOpened
		return []entity.Query{q}, nil
	}
	q.Rising = true
	q.Index, q.Value = s.narrowest()
	switch s.View {
	case "breach":
		q.From, q.To = 1, now.Add(breachIn).UnixMilli()
	case "today":
		y, m, d := now.Date()
		q.From, q.To = 1, time.Date(y, m, d+1, 0, 0, 0, 0, now.Location()).UnixMilli()-1
	}
	return []entity.Query{q}, nil
}

// narrowest is the index of open cases that leaves the fewest to look at.
func (s Search) narrowest() (index, value string) {
	for _, f := range []struct{ index, value string }{{dossier.IndexState, s.state()}, {dossier.IndexOwner, s.owner()}, {dossier.IndexCategory, s.Category}, {dossier.IndexGrade, s.grade()}, {dossier.IndexPriority, s.Priority}} {
		if f.value != "" {
			return f.index, dossier.Bounded(f.value)
		}
	}
	if s.View == "guarantee" {
		return dossier.IndexView, "guarantee"
	}
	return dossier.IndexQueue, ""
}

func (s Search) state() string {
	switch s.View {
	case "contained":
		return string(flow.Contained)
	case "probation":
		return string(flow.Probation)
	}
	return s.State
}

func (s Search) owner() string {
	if s.View == "unowned" {
		return dossier.Nobody
	}
	return s.Owner
}

func (s Search) grade() string {
	if s.View == "p0" {
		return "P0"
	}
	return s.Grade
}

func (s Search) folded() Search {
	s.State, s.Priority, s.Category, s.Grade = strings.ToUpper(s.State), strings.ToUpper(s.Priority), strings.ToUpper(s.Category), strings.ToUpper(s.Grade)
	s.Source, s.Kind, s.Text = strings.ToLower(s.Source), strings.ToLower(s.Kind), strings.ToLower(strings.TrimSpace(s.Text))
	return s
}

// Match reports whether a search finds a case.
func (s Search) Match(c *dossier.Case) bool {
	s = s.folded()
	if s.open() && (!c.Open() || c.MergedInto != "") || s.View == "done" && c.Open() {
		return false
	}
	if s.View == "guarantee" && c.State != flow.Suspended && c.State != flow.GuaranteeIn {
		return false
	}
	owner := c.Owner
	if owner == "" {
		owner = dossier.Nobody
	}
	for _, f := range []struct{ asked, is string }{
		{s.state(), string(c.State)}, {s.owner(), owner}, {s.grade(), "P" + string(rune('0'+c.Grade))}, {s.Priority, "U" + string(rune('0'+c.Priority))},
		{s.Kind, string(c.Kind)}, {s.Account, c.Account},
	} {
		if f.asked != "" && f.asked != f.is {
			return false
		}
	}
	switch {
	case s.Category != "" && !slices.Contains(c.Categories, dossier.Category(s.Category)):
		return false
	case s.Source != "" && !slices.Contains(c.Sources(), s.Source):
		return false
	case len(s.Domains) > 0 && !slices.Contains(s.Domains, c.Domain()):
		return false
	}
	return s.words(c)
}

// words reports whether each word of the text stands somewhere in the case.
func (s Search) words(c *dossier.Case) bool {
	if s.Text == "" {
		return true
	}
	all := c.Searched()
	for w := range strings.FieldsSeq(s.Text) {
		if !strings.Contains(all, w) {
			return false
		}
	}
	return true
}
