// Package intakecalls lets people see over the control socket what came in at the abuse desk,
// and register feedback loops.
package intakecalls

import (
	"context"
	"errors"
	"strings"
	"time"

	"postern/abuse/intake"
	"postern/abuse/intake/bundle"
	"postern/abuse/intake/sheaf"
	"postern/abuse/intake/verdict"
	"postern/internal/control"
	"postern/internal/entity"
)

// rawMost bounds a report that is handed out, in octets.
const rawMost = 32 << 20

// Complaint is a report and what became of it.
type Complaint struct {
	Report intake.Report `json:"report"`
	Work   intake.Work   `json:"work"`
	Like   int           `json:"like,omitempty"` // how many more are in its flood
	// Bundle is what an ID like b-… names: reports of a flood that one record stands for. Then
	// there is no Report.
	Bundle *bundle.Bundle `json:"bundle,omitempty"`
}

// Query asks for reports; the first word that is given decides.
type Query struct {
	State    string    `json:"state,omitempty"`
	Reporter string    `json:"reporter,omitempty"`
	Account  string    `json:"account,omitempty"`
	Case     string    `json:"case,omitempty"`
	Fold     string    `json:"fold,omitempty"`
	Feed     string    `json:"feed,omitempty"`
	SHA256   string    `json:"sha256,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	After    string    `json:"after,omitempty"`
	Limit    int       `json:"limit,omitempty"`
}

// Page is a part of the reports.
type Page struct {
	Complaints []Complaint `json:"complaints"`
	Next       string      `json:"next,omitempty"`
}

// ID names a report or a feed.
type ID struct {
	ID string `json:"id"`
}

// Raw is a report as it came.
type Raw struct {
	Bytes []byte `json:"bytes"`
}

// Judgement says what somebody found of a report.
type Judgement struct {
	ID      string          `json:"id"`
	Verdict verdict.Verdict `json:"verdict"` // right, wrong, abusive; "" takes it back
	Reason  string          `json:"reason,omitempty"`
}

// Parts are what the calls work with.
type Parts struct {
	Desk     *intake.Desk
	Verdicts verdict.Book
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// Handle adds the calls to s.
func (p Parts) Handle(s *control.Server) {
	control.Handle(s, "complaint.list", p.list)
	control.Handle(s, "complaint.show", func(ctx context.Context, q ID) (Complaint, error) { return p.one(ctx, q.ID) })
	control.Handle(s, "complaint.raw", p.raw)
	control.Handle(s, "complaint.take", p.take)
	control.Handle(s, "complaint.view", p.view)
	control.Handle(s, "complaint.judge", func(ctx context.Context, j Judgement) (Complaint, error) {
		if err := p.Desk.SetApart(ctx, j.ID); err != nil {
			return Complaint{}, refused(err)
		}
		if _, err := p.Verdicts.Judge(ctx, control.Actor(ctx), j.ID, j.Verdict, j.Reason); err != nil {
			return Complaint{}, refused(err)
		}
		return p.one(ctx, j.ID)
	})
	p.feedCalls(s)
}

func refused(err error) error {
	switch {
	case errors.Is(err, entity.ErrInvalid):
		return control.Because(control.Invalid, err)
	case errors.Is(err, entity.ErrExists):
		return control.Because(control.Conflict, err)
	case errors.Is(err, entity.ErrNotFound):
		return control.Because(control.NotFound, err)
	}
	return err
}

func (p Parts) list(ctx context.Context, q Query) (Page, error) {
	all, next, err := p.Desk.Find(ctx, intake.Search{
		State: q.State, Reporter: q.Reporter, Account: q.Account, Case: q.Case, Fold: q.Fold, Feed: q.Feed, SHA256: q.SHA256, From: q.Since, After: q.After, Limit: q.Limit,
	})
	out := Page{Complaints: []Complaint{}, Next: next}
	if err != nil {
		return out, refused(err)
	}
	reports, err := sheaf.Reports(ctx, p.Desk.Home, all)
	for _, w := range all {
		if r, ok := reports[w.Report]; ok {
			out.Complaints = append(out.Complaints, Complaint{Report: r, Work: w})
		}
	}
	return out, err
}

func (p Parts) one(ctx context.Context, id string) (Complaint, error) {
	if strings.HasPrefix(id, "b-") {
		row, err := bundle.Shelf(p.Desk.Home).Get(ctx, id)
		b := row.Value
		return Complaint{Bundle: &b, Like: len(b.Reports)}, refused(err)
	}
	r, w, err := p.Desk.Get(ctx, id)
	if err != nil {
		return Complaint{}, refused(err)
	}
	c := Complaint{Report: r, Work: w}
	if w.Fold != "" {
		c.Like, err = p.Desk.Folded(ctx, w.Fold)
	}
	return c, err
}
