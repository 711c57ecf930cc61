// Package casefile are the calls by which a person sees around a case: how many wait, what is
// like it, what the send log and the audit trail say of it, and what a measure would do.
package casefile

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"postern/abuse/cases"
	"postern/abuse/measure"
	"postern/abuse/sent"
	"postern/cmd/postern/casecalls"
	"postern/internal/control"
	"postern/internal/record"
)

// Parts are what the calls work with.
type Parts struct {
	Desk     *cases.Desk
	Sent     sent.Store
	Measures *measure.Desk
	Entries  func(ctx context.Context, after int64, limit int) ([]record.Entry, error) // of the audit trail
	Now      func() time.Time
}

// Handle adds the calls to s.
func (p Parts) Handle(s *control.Server) {
	control.Handle(s, "case.counts", p.counts)
	control.Handle(s, "case.similar", p.similar)
	control.Handle(s, "case.sent", p.sent)
	control.Handle(s, "case.log", p.log)
	control.Handle(s, "measure.whatif", p.preview)
}

// ID names a case.
type ID struct {
	ID string `json:"id"`
}

// Who asks whose cases are counted as mine; "" is whoever calls.
type Who struct {
	Owner string `json:"owner,omitempty"`
}

// Counts is how many cases a view has, MaxCount at most.
type Counts struct {
	Views map[string]int `json:"views"`
	Most  int            `json:"most"` // a view with as many may have more
}

// MaxCount bounds how far a view is counted.
const MaxCount = 1000

func (p Parts) counts(ctx context.Context, q Who) (Counts, error) {
	if q.Owner == "" {
		if who, err := casecalls.Caller(ctx); err == nil {
			q.Owner = who.Name
		}
	}
	out := Counts{Views: map[string]int{}, Most: MaxCount}
	for _, view := range []string{"queue", "mine", "unowned", "today", "breach", "contained", "guarantee", "probation", "p0"} {
		s := cases.Search{View: view}
		if view == "mine" {
			if s.Owner = q.Owner; s.Owner == "" {
				continue
			}
		}
		n, err := p.Desk.Count(ctx, s, MaxCount)
		if err != nil {
			return out, casecalls.Known(err)
		}
		out.Views[view] = n
	}
	return out, nil
}

// Like is another case, and what it has in common with the one asked about.
type Like struct {
	Case cases.Case `json:"case"`
	By   string     `json:"by"` // account, source, domain
}

// Similar are other cases that may be of the same cause.
type Similar struct {
	Cases []Like `json:"cases"`
}

// maxLike is how many cases of one kind of likeness are shown.
const maxLike = 20

func (p Parts) similar(ctx context.Context, q ID) (Similar, error) {
	out := Similar{Cases: []Like{}}
	c, err := p.Desk.Get(ctx, q.ID)
	if err != nil {
		return out, casecalls.Known(err)
	}
	searches := []struct {
		by string
		s  cases.Search
	}{{"account", cases.Search{Account: c.Account}}, {"source", cases.Search{Source: sourceOf(c)}}, {"source", cases.Search{Source: c.Source.Domain}}, {"domain", cases.Search{Domains: some(c.Domain())}}}
	seen := map[string]bool{c.ID: true}
	for _, f := range searches {
		if f.s.Account == "" && f.s.Source == "" && len(f.s.Domains) == 0 {
			continue
		}
		f.s.View, f.s.Limit = "all", maxLike
		all, _, err := p.Desk.Find(ctx, f.s)
		if err != nil {
			return out, casecalls.Known(err)
		}
		for _, x := range all {
			if !seen[x.ID] {
				out.Cases = append(out.Cases, Like{x, f.by})
			}
			seen[x.ID] = true
		}
	}
	return out, nil
}

func sourceOf(c cases.Case) string {
	if c.Kind == cases.External && c.Source.IP.IsValid() {
		return c.Source.IP.String()
	}
	return ""
}

func some(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// Sent is what the send log has of one message that a case is about.
type Sent struct {
	Serial   string         `json:"serial"`
	Known    bool           `json:"known"` // the send log still has it
	Row      *sent.Row      `json:"row,omitempty"`
	Copies   int            `json:"copies"`   // in all; Row has maxCopies of them
	Accepted int            `json:"accepted"` // that the next server took
	States   map[string]int `json:"states,omitempty"`
}

// SentOf is what it has of all.
type SentOf struct {
	Messages []Sent `json:"messages"`
	More     bool   `json:"more,omitempty"` // the case has more messages than are shown
}

// Bounds of what is shown of the send log.
const (
	maxMessages = 20
	maxCopies   = 20
	maxReports  = 200
)

func (p Parts) sent(ctx context.Context, q ID) (SentOf, error) {
	out := SentOf{Messages: []Sent{}}
	c, err := p.Desk.Get(ctx, q.ID)
	if err != nil {
		return out, casecalls.Known(err)
	}
	links, next, err := p.Desk.Reports(ctx, c.ID, "", maxReports)
	if err != nil {
		return out, casecalls.Known(err)
	}
	serials := some(c.Source.Serial)
	for _, l := range links {
		if l.Serial != "" && !slices.Contains(serials, l.Serial) {
			serials = append(serials, l.Serial)
		}
	}
	out.More = next != "" || len(serials) > maxMessages
	for _, s := range serials[:min(len(serials), maxMessages)] {
		m := Sent{Serial: s, States: map[string]int{}}
		row, err := p.Sent.BySerial(ctx, s)
		switch {
		case errors.Is(err, sent.ErrNotFound):
		case err != nil:
			return out, err
		default:
			m.Known, m.Copies, m.Accepted = true, len(row.Copies), row.Accepted()
			for _, k := range row.Copies {
				m.States[cmp.Or(k.State, "unknown")]++
			}
			row.Copies = row.Copies[:min(len(row.Copies), maxCopies)]
			m.Row = &row
		}
		out.Messages = append(out.Messages, m)
	}
	return out, nil
}
