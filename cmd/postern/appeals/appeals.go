// Package appeals tells senders why their mail was refused, as far as strangers may know, takes
// what they write about it, and lets the desk answer.
package appeals

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"postern/abuse/appeal"
	"postern/filter"
	"postern/internal/control"
	"postern/internal/desk/words"
	"postern/internal/entity"
	"postern/internal/record"
	"postern/internal/said"
)

// How long things last.
const (
	Life    = 30 * 24 * time.Hour // of a page about a refusal
	Overdue = 24 * time.Hour      // an appeal that waits longer is an alert
	slack   = time.Minute         // between the time in a reference and that of the row
)

// Public is who writes on the public page.
const Public = "public page"

// Parts are what a Desk works with. All are needed.
type Parts struct {
	Entities entity.Store
	Traffic  record.Traffic
	Describe func(symbol string) string // its sentence in the rules of now; "" if there is none
	Page     func(path string) string   // where everybody finds a public page; "" where nobody does
	From     func() string              // what letters come from
	// Letter puts a letter into the outbox, the same key within a minute of at once.
	Letter func(ctx context.Context, key string, at time.Time, to string, message []byte) error
	Now    func() time.Time
	Log    *slog.Logger
	Audit  func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Event  func(key, text string, over bool)
}

// Desk is the part of the desk that senders turn to.
type Desk struct {
	Parts
	Book *appeal.Book

	book *words.Book
}

// New is the desk.
func New(p Parts) (*Desk, error) {
	book, err := words.Open()
	if err != nil {
		return nil, err
	}
	return &Desk{Parts: p, book: book, Book: &appeal.Book{Store: p.Entities, Now: p.Now, Audit: p.Audit}}, nil
}

// ErrUnknown is the answer to every reference that leads nowhere: what was never given out, what
// was not refused, and what is too long ago look alike.
var ErrUnknown = said.New("appeal.nothing-is-known-of-this-reference-or", "nothing is known of this reference, or no longer")

// Look finds a refusal. The time is in the reference, so that no more than two minutes of traffic
// are searched whoever asks for what.
func (d *Desk) Look(ctx context.Context, reference string) (appeal.Refusal, record.Row, error) {
	reference = strings.ToLower(strings.TrimSpace(reference))
	raw, ok := filter.IDBytes(reference)
	if !ok {
		return appeal.Refusal{}, record.Row{}, ErrUnknown
	}
	_, at := filter.IDOf(raw)
	if now := d.Now(); at.Before(now.Add(-Life)) || at.After(now.Add(slack)) {
		return appeal.Refusal{}, record.Row{}, ErrUnknown
	}
	q := record.Trace{ID: reference, Since: at.Add(-slack), Until: at.Add(slack), Limit: 1}
	page, err := d.Traffic.Find(ctx, q)
	for err == nil && len(page.Rows) == 0 && page.Next != "" {
		q.After = page.Next
		page, err = d.Traffic.Find(ctx, q)
	}
	if err != nil {
		return appeal.Refusal{}, record.Row{}, err
	}
	if len(page.Rows) == 0 || page.Rows[0].ID != reference || page.Rows[0].Direction != filter.Inbound.String() {
		return appeal.Refusal{}, record.Row{}, ErrUnknown
	}
	row := page.Rows[0]
	reply, ok := given(row)
	if !ok {
		return appeal.Refusal{}, record.Row{}, ErrUnknown
	}
	_, text := taken(reply, row.ID)
	return appeal.Refusal{
		Reference: row.ID, At: row.Time.UTC().Truncate(time.Minute), Until: at.Add(Life).UTC().Truncate(time.Minute),
		Cause: cause(row, reply, d.Describe), Temporary: reply[0] == '4', Reply: reply[:3] + " " + text,
	}, row, nil
}

// Take keeps what a sender writes about a refusal.
func (d *Desk) Take(ctx context.Context, actor string, a appeal.Appeal) (appeal.Appeal, error) {
	r, row, err := d.Look(ctx, a.Refusal.Reference)
	if err != nil {
		return a, err
	}
	a.Refusal, a.Client, a.From = r, row.Client.IP, row.From
	return d.Book.Add(ctx, actor, a)
}

// Decide notes what became of an appeal, and writes to who asked if there is an answer and an
// address. The answer stands on the page of the refusal as well.
func (d *Desk) Decide(ctx context.Context, actor string, c appeal.Decision) (appeal.Appeal, error) {
	a, err := d.Book.Decide(ctx, actor, c)
	if err != nil || a.Email == "" || a.State == appeal.Open {
		return a, err
	}
	at := d.Now().UTC()
	message, err := d.letter(a, at)
	if err == nil {
		err = d.Letter(ctx, "appeal "+a.Refusal.Reference+" "+string(a.State), at, a.Email, message)
	}
	if err != nil {
		d.Log.Error("an answer to an appeal could not be sent; it stands on the page", "reference", a.Refusal.Reference, "err", err)
		return a, control.Refuse(control.Conflict, "appeals.the-decision-is-noted-the-letter-could", "the decision is noted, the letter could not be sent: %v", "why", err)
	}
	return a, nil
}

// Tend forgets old appeals and says when one waits too long.
func (d *Desk) Tend(ctx context.Context) error {
	if err := d.Book.Tend(ctx); err != nil {
		return err
	}
	since, err := d.Book.Oldest(ctx)
	if err != nil {
		return err
	}
	if since.IsZero() || d.Now().Sub(since) < Overdue {
		d.Event("appeals", "no appeal of a sender waits for long", true)
		return nil
	}
	n, err := d.Book.Waiting(ctx)
	if err == nil {
		d.Event("appeals", fmt.Sprintf("%d appeals of senders wait, the oldest since %s", n, since.UTC().Format("2006-01-02 15:04 UTC")), false)
	}
	return err
}
