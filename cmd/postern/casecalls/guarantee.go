package casecalls

import (
	"bytes"
	"cmp"
	"context"
	"strings"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/guarantee"
	"postern/internal/control"
)

// Packs is a page of guarantees.
type Packs struct {
	Packs []guarantee.Pack `json:"packs"`
	Next  string           `json:"next,omitempty"`
}

// Pack names a guarantee, or the case of a new one, and what is done with it.
type Pack struct {
	ID     string         `json:"id,omitempty"`
	Case   string         `json:"case,omitempty"`
	Form   guarantee.Form `json:"form"`
	Part   guarantee.Part `json:"part,omitempty"`
	Name   string         `json:"name,omitempty"`
	Bytes  []byte         `json:"bytes,omitempty"`
	Reason string         `json:"reason,omitempty"`

	BreakGlass string `json:"break_glass,omitempty"` // of approve: why nobody else can
}

// Paper is one of a pack, as it was handed in.
type Paper struct {
	Name  string `json:"name"`
	Sum   string `json:"sha256"`
	Bytes []byte `json:"bytes"`
}

// Certificates is a page of purge certificates.
type Certificates struct {
	Certificates []guarantee.Certificate `json:"certificates"`
	Next         string                  `json:"next,omitempty"`
}

// Account asks for the certificates of an account.
type Account struct {
	Account string `json:"account,omitempty"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

func (p Parts) guaranteeCalls(s *control.Server) {
	o := p.Office
	control.Handle(s, "guarantee.list", func(ctx context.Context, q guarantee.Search) (Packs, error) {
		all, next, err := o.List(ctx, q)
		return Packs{some(all), next}, known(err)
	})
	control.Handle(s, "guarantee.show", func(ctx context.Context, q Pack) (guarantee.Pack, error) {
		pack, err := o.Get(ctx, q.ID)
		return pack, known(err)
	})
	act(s, "guarantee.new", func(ctx context.Context, who cases.Actor, q Pack) (guarantee.Pack, error) {
		return o.New(ctx, who, q.Case, q.Form)
	})
	act(s, "guarantee.fill", func(ctx context.Context, who cases.Actor, q Pack) (guarantee.Pack, error) {
		return o.Fill(ctx, who, q.ID, q.Form)
	})
	act(s, "guarantee.upload", func(ctx context.Context, who cases.Actor, q Pack) (guarantee.Pack, error) {
		return o.Upload(ctx, who, q.ID, q.Part, q.Name, bytes.NewReader(q.Bytes))
	})
	act(s, "guarantee.paper", func(ctx context.Context, who cases.Actor, q Pack) (Paper, error) {
		file, body, err := o.Paper(ctx, who, q.ID, q.Part)
		return Paper{Name: file.Name, Sum: file.Sum, Bytes: body}, err
	})
	act(s, "guarantee.submit", func(ctx context.Context, who cases.Actor, q Pack) (guarantee.Pack, error) {
		return o.Submit(ctx, who, q.ID)
	})
	act(s, "guarantee.approve", func(ctx context.Context, who cases.Actor, q Pack) (guarantee.Pack, error) {
		who, err := p.approver(ctx, who, q)
		if err != nil {
			return guarantee.Pack{}, err
		}
		return o.Approve(ctx, who, q.ID, q.Reason)
	})
	act(s, "guarantee.refuse", func(ctx context.Context, who cases.Actor, q Pack) (guarantee.Pack, error) {
		return o.Refuse(ctx, who, q.ID, q.Reason)
	})
	act(s, "guarantee.override", func(ctx context.Context, who cases.Actor, q Pack) (cases.Case, error) {
		return o.Override(ctx, who, q.Case, q.Reason)
	})
	act(s, "guarantee.purge", func(ctx context.Context, who cases.Actor, q Pack) (guarantee.Certificate, error) {
		return o.Purge(ctx, who, q.Case, q.Reason, p.Purgers...)
	})
	control.Handle(s, "guarantee.certificates", func(ctx context.Context, q Account) (Certificates, error) {
		all, next, err := o.Certificates(ctx, q.Account, q.After, q.Limit)
		return Certificates{some(all), next}, known(err)
	})
}

// Due asks when a number of business days has gone by.
type Due struct {
	Team string    `json:"team,omitempty"`
	From time.Time `json:"from"`
	Days int       `json:"days"`
}

// DueAt is the answer.
type DueAt struct {
	calendar.Deadline
	Team string `json:"team"`
	Zone string `json:"zone"`
}

// Calendars is what is in force.
type Calendars struct {
	Teams []Team           `json:"teams"`
	Days  []*calendar.Days `json:"days"`
	Gaps  []calendar.Gap   `json:"gaps"`
}

// Team is a team's working time.
type Team struct {
	calendar.Team
	Version string `json:"version"`
	Minutes int    `json:"minutes"` // of one business day
}

func (p Parts) calendarCalls(s *control.Server) {
	control.Handle(s, "calendar.show", func(_ context.Context, _ struct{}) (Calendars, error) {
		set := p.Calendars()
		out := Calendars{Days: set.Calendars(), Gaps: some(set.Gaps(p.Now())), Teams: []Team{}}
		for _, name := range set.Teams() {
			c := set.Team(name)
			out.Teams = append(out.Teams, Team{c.Team(), c.Version(), int(c.BusinessDay().Minutes())})
		}
		return out, nil
	})
	control.Handle(s, "calendar.due", func(_ context.Context, q Due) (DueAt, error) {
		set := p.Calendars()
		c, ok := set.Known(q.Team)
		if !ok {
			return DueAt{}, known(dossier.Refuse(dossier.ErrNotFound, "case.there-is-no-team-there-are", "there is no team %.40q; there are %s", "team", q.Team, "teams", strings.Join(set.Teams(), ", ")))
		}
		from := q.From
		if from.IsZero() {
			from = p.Now()
		}
		due, err := c.Days(from, cmp.Or(q.Days, 1))
		if err != nil {
			return DueAt{}, control.Because(control.Invalid, err)
		}
		due.At = due.At.In(c.Team().Zone.Location)
		return DueAt{due, c.Team().Name, c.Team().Zone.String()}, nil
	})
}
