// Package abusedesk builds the abuse desk from the home and the configuration.
package abusedesk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/guarantee"
	"postern/abuse/second"
	"postern/cmd/postern/casecalls"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/said"
)

// Parts are what the desk is built from.
type Parts struct {
	Entities entity.Home
	Now      func() time.Time
	Log      *slog.Logger
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Event    func(key, text string, over bool) // raises an alert, or says that it is over

	CalendarDir string        // "" = the program's own calendars
	Followers   []cases.Named // rooms that act on what happens to a case
	Second      *second.Book  // what one person may not do alone; nil: nobody looks

	Held func(ctx context.Context, id string, limit int64) ([]byte, error) // the bytes of a held message
}

// Desk is the abuse desk.
type Desk struct {
	Cases   *cases.Desk
	Office  *guarantee.Office
	Purgers []guarantee.Purger // who forgets an account's data; set before Handle

	parts     Parts
	calendars atomic.Pointer[calendar.Set]
	gaps      atomic.Pointer[map[string]bool] // calendars whose alert stands
}

// New builds the desk.
func New(p Parts) (*Desk, error) {
	d := &Desk{parts: p}
	if err := d.Reload(p.CalendarDir); err != nil {
		return nil, err
	}
	d.Cases = &cases.Desk{
		Entities: p.Entities, Now: p.Now, Log: p.Log, Calendars: d.calendars.Load, Audit: p.Audit, Alarm: d.alarm,
	}
	d.Office = &guarantee.Office{Entities: p.Entities, Desk: d.Cases, Now: p.Now, Log: p.Log, Audit: p.Audit, Offer: d.offer}
	d.Cases.Followers = append([]cases.Named{{Name: "guarantee", Follower: d.Office}}, p.Followers...)
	return d, nil
}

// Reload reads the calendars anew; deadlines that were computed stay as they are. After an
// error the calendars before stay in force.
func (d *Desk) Reload(dir string) error {
	set, err := calendar.Open(dir, nil)
	if err != nil {
		return err
	}
	d.calendars.Store(set)
	return nil
}

// Calendars are those in force.
func (d *Desk) Calendars() *calendar.Set { return d.calendars.Load() }

// Handle adds the desk's calls to s.
func (d *Desk) Handle(s *control.Server) {
	casecalls.Parts{Desk: d.Cases, Office: d.Office, Calendars: d.Calendars, Purgers: d.Purgers, Second: d.parts.Second, Now: d.parts.Now, Held: d.parts.Held}.Handle(s)
}

// Tend does what is due; of several nodes one does it at a time.
func (d *Desk) Tend(ctx context.Context) error {
	d.lookAhead()
	return d.Cases.Tick(ctx)
}

// lookAhead raises an alert for each calendar that lacks days, and ends those of the others.
func (d *Desk) lookAhead() {
	stand := map[string]bool{}
	for _, g := range d.Calendars().Gaps(d.parts.Now()) {
		key := fmt.Sprintf("calendar-%s-%d", g.Calendar, g.Year)
		stand[key] = true
		d.parts.Event(key, g.Text(), false)
	}
	if before := d.gaps.Swap(&stand); before != nil {
		for key := range *before {
			if !stand[key] {
				d.parts.Event(key, "", true)
			}
		}
	}
}

// alarm says that a clock runs out.
func (d *Desk) alarm(_ context.Context, a cases.Alarm) {
	owner := a.Owner
	if owner == "" {
		owner = "nobody has it"
	}
	text := fmt.Sprintf("%s (U%d, %s): %d %% of %s is gone, due %s", a.Case, a.Priority, owner, a.Percent, a.Clock, a.Due.UTC().Format(time.RFC3339))
	if a.Percent >= 100 {
		text = fmt.Sprintf("%s (U%d, %s): %s ran out at %s", a.Case, a.Priority, owner, a.Clock, a.Due.UTC().Format(time.RFC3339))
	}
	if a.Over {
		for _, percent := range []int{50, 80, 100} {
			d.parts.Event(fmt.Sprintf("%s-%d", a.Key(), percent), "", true)
		}
		return
	}
	d.parts.Event(fmt.Sprintf("%s-%d", a.Key(), a.Percent), text, false) // each step is said by itself
}

func (d *Desk) offer(ctx context.Context, caseID, account string, strikes int) {
	d.parts.Event("guarantee-"+caseID, fmt.Sprintf("%s: %s has %d strikes: the letter permits a permanent end, which two persons decide", caseID, account, strikes), false)
	_, err := d.Cases.Note(ctx, caseID, cases.Event{Actor: cases.Machine().Name, Action: "end-permitted", Said: said.Say("note.end-permitted", "permanent end permitted by the letter: %d strikes", "n", strikes)})
	if err != nil && !errors.Is(err, context.Canceled) {
		d.parts.Log.Error("the offer of a permanent end", "case", caseID, "err", err)
	}
}
