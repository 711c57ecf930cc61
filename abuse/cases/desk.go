package cases

import (
	"context"
	"log/slog"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/cases/ledger"
	"postern/abuse/cases/seek"
	"postern/internal/entity"
)

// The nouns of a case, for the rooms around.
type (
	Case      = dossier.Case
	Complaint = dossier.Complaint
	Event     = dossier.Event
	Link      = dossier.Link
	Kind      = dossier.Kind
	Category  = dossier.Category
	Source    = dossier.Source
	Evidence  = dossier.Evidence
	Request   = dossier.Request
	Opening   = dossier.Opening
	Search    = seek.Search
	Actor     = dossier.Actor
	Refusal   = dossier.Refusal
	Follower  = ledger.Follower
	Named     = ledger.Named
)

// The kinds of cases.
const (
	Local    = dossier.Local
	External = dossier.External
)

// Machine is the desk itself.
func Machine() Actor { return dossier.Machine() }

// Alarm says that a part of a clock's time is gone, or that a clock which was told of stopped.
type Alarm struct {
	Case     string
	Clock    flow.Name
	Percent  int
	Due      time.Time
	Owner    string
	Priority int
	Over     bool
}

// Key names what the alarm is about.
func (a Alarm) Key() string { return "case-" + a.Case + "-" + string(a.Clock) }

// Desk keeps the cases.
type Desk struct {
	Entities entity.Home
	Now      func() time.Time
	Log      *slog.Logger
	// Calendars are the calendars in force.
	Calendars func() *calendar.Set
	// Audit notes a change in the audit trail.
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
	// Alarm raises an alert, or says that it is over; the same one may come twice.
	Alarm func(ctx context.Context, a Alarm)
	// Followers are the rooms that act on what happens to a case.
	Followers []Named
}

func (d *Desk) book() *ledger.Book {
	return &ledger.Book{
		Store: d.Entities, Now: d.Now, Log: d.Log, Audit: d.Audit,
		Own:    []Named{{Name: "alarm", Follower: ledger.Func(d.alarm)}, {Name: "merged", Follower: ledger.Func(d.tellMerged)}},
		Others: d.Followers,
	}
}

func (d *Desk) change(ctx context.Context, id string, who Actor, action string, f func(c *Case, e *Event) error) (Case, error) {
	return d.book().Change(ctx, id, who, action, f)
}

func (d *Desk) cases() entity.Table[Case] { return dossier.Cases(d.Entities) }
func (d *Desk) links() entity.Table[Link] { return dossier.Links(d.Entities) }

func (d *Desk) calendar(c *Case) *calendar.Calendar { return d.Calendars().Team(c.Team) }

// Get returns a case.
func (d *Desk) Get(ctx context.Context, id string) (Case, error) { return d.book().Get(ctx, id) }
