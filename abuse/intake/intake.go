// Package intake takes over what comes to the addresses of the abuse desk: kept byte for byte
// with its circumstances before it is answered, never judged by what it holds, proved and
// handed to the cases afterwards.
package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"postern/abuse/cases"
	"postern/abuse/complaint"
	"postern/abuse/intake/crowd"
	"postern/abuse/intake/feeds"
	"postern/abuse/intake/flood"
	"postern/abuse/intake/sheaf"
	"postern/abuse/intake/shelf"
	"postern/abuse/proof"
	"postern/filter"
	"postern/internal/entity"
	"postern/internal/said"
)

// The nouns of the rooms inside, for those around.
type (
	Report = shelf.Report
	Work   = shelf.Work
	Auth   = shelf.Auth
	Feed   = feeds.Feed
	Rates  = flood.Rates
)

// The states of the work on a report, and the ways it came in.
const (
	New    = shelf.New
	Done   = shelf.Done
	Folded = shelf.Folded
	Failed = shelf.Failed

	ByMail       = shelf.ByMail
	ByPostmaster = shelf.ByPostmaster
	ByForm       = shelf.ByForm
	ByAPI        = shelf.ByAPI
	ByPhone      = shelf.ByPhone
	ByCSV        = shelf.ByCSV
)

// ErrFull says that the cap for reports is reached.
var ErrFull = said.New("intake.there-is-no-room-for-another-report", "there is no room for another report")

// Cases take what reports prove; *cases.Desk is one.
type Cases interface {
	Attach(ctx context.Context, c cases.Complaint) (cases.Case, error)
}

// Source is where a message that a user of ours complains of came from.
type Source struct {
	Client filter.Client
	At     time.Time
	Domain string // d= of a signature that passed, aligned with the author; "" = none
}

// Desk is the intake.
type Desk struct {
	Home   entity.Home
	Ladder *proof.Ladder
	Cases  Cases
	Feeds  *feeds.Book
	Now    func() time.Time
	Log    *slog.Logger
	Rates  Rates // zero fields take the default

	// Alone runs f where no other node does the same just now; nil: there is but one node.
	Alone func(ctx context.Context, job string, f func(ctx context.Context) error) error
	// Came finds how a message that was delivered to a user of ours had come in; nil: nobody knows.
	Came func(ctx context.Context, original []byte) (Source, bool, error)
	// Reported hears of messages that a user of ours handed in and that had come in; nil: nobody does.
	Reported func(ctx context.Context, reporter, report string, original []byte)
	// Bounced is asked whether a delivery report is about a notice of ours, and then has it; nil: none is.
	Bounced func(ctx context.Context, r complaint.Report) (bool, error)
	// Replied is asked whether a report was sent to the address of a case, and then adds what it
	// says to that case; nil: no case has an address. text is what the person wrote.
	Replied func(ctx context.Context, r Report, text string) (caseID string, err error)
	// Replayed is told that a signed message of ours is in front of people it was not sent to:
	// a new selector takes the replayed signature away. n is how many say so; nil: nobody hears.
	Replayed func(ctx context.Context, serial, account string, n int)
	// Observed is told when a feed that only observes until then has sent ObservedMost reports in
	// a day, this one about account; with "" when it has a vote. nil: nobody hears.
	Observed func(feed, account string, until time.Time)
	// Copy sends a safe copy of each report to people; nil: nobody gets one.
	Copy func(ctx context.Context, message []byte) error
	// Postmaster reports whether an address is a postmaster's, and Takes whether it is the
	// desk's, for Done.
	Postmaster, Takes func(address string) bool
	// Hostname is who writes the safe copies.
	Hostname string

	limits atomic.Pointer[Rates] // what Limit set, over Rates
	rates  flood.Buckets
	wake   chan struct{}
	door   crowd.Door
}

// Limit sets other rates from now on.
func (d *Desk) Limit(r Rates) { d.limits.Store(&r) }

func (d *Desk) limit() Rates {
	if r := d.limits.Load(); r != nil {
		return r.WithDefaults()
	}
	return d.Rates.WithDefaults()
}

// Open makes the parts; it is called once, before all else.
func (d *Desk) Open() {
	d.wake = make(chan struct{}, 1)
	d.door.Gather, d.door.Alias = &sheaf.Gatherer{Home: d.Home}, d.Feeds.Alias
	if d.Ladder != nil {
		d.door.Tokens = d.Ladder.Tokens
	}
}

// Arrival is a report that comes as mail.
type Arrival struct {
	Message *filter.Message
	Report  filter.Report // what the checks saw
	To      []string      // the desk's addresses among the recipients
	Key     string        // the same for a retry of the same mail
	By      string        // ByMail or ByPostmaster
	Alone   bool          // nobody but the desk gets it: what becomes of it hangs on nobody else
}

// Provisional keeps a mail byte for byte with its circumstances, synced, as a report that
// nobody works on yet. The same key gives the same report. ErrFull: there is no room.
func (d *Desk) Provisional(ctx context.Context, a Arrival) (string, error) {
	m := a.Message
	r := Report{
		ID: idOf(a.Key), At: m.Time.UTC(), By: a.By, MessageID: m.ID, Listener: m.Listener, Client: m.Client.IP, Port: m.Client.Port,
		Name: m.Client.Name, Helo: m.Client.Helo, Account: m.Account, From: m.From, To: a.To, Auth: authOf(a.Report),
		TLS: strings.TrimSpace(m.Client.TLS.Version + " " + m.Client.TLS.Cipher),
	}
	if a.Alone && a.By == ByMail {
		id, err := d.door.Take(ctx, &r, m, d.limit())
		if errors.Is(err, entity.ErrFull) {
			err = said.Errorf("detail", "%w: %w", "kind", ErrFull, "what", err)
		}
		if id != "" || err != nil {
			return id, err
		}
	}
	return r.ID, d.keep(ctx, r, m.Open())
}

// idOf is the ID of the report with a key.
func idOf(key string) string {
	sum := sha256.Sum256([]byte("report\x00" + key))
	return "r-" + hex.EncodeToString(sum[:12])
}

// keep writes the bytes and then the record: a record without bytes would be a promise.
func (d *Desk) keep(ctx context.Context, r Report, body io.Reader) error {
	sum, size, err := d.Home.PutBlob(ctx, entity.Intake, body)
	switch {
	case errors.Is(err, entity.ErrFull):
		return said.Errorf("detail", "%w: %w", "kind", ErrFull, "what", err)
	case err != nil:
		return fmt.Errorf("keeping the bytes of report %s: %w", r.ID, err)
	}
	r.SHA256, r.Size = sum, size
	if _, err := shelf.Reports(d.Home).Create(ctx, r); err != nil && !errors.Is(err, entity.ErrExists) {
		return err
	}
	return nil
}

// Confirm gives a report into work. Doing so twice is no error.
func (d *Desk) Confirm(ctx context.Context, id string) error {
	if sheaf.Holds(id) { // it is real since it was written
		return nil
	}
	row, err := shelf.Reports(d.Home).Get(ctx, id)
	if err != nil {
		return err
	}
	r := row.Value
	w := Work{Report: id, At: r.At, State: New, Hurry: r.Proved(), SHA256: r.SHA256}
	if _, err := shelf.Works(d.Home).Create(ctx, w); err != nil && !errors.Is(err, entity.ErrExists) {
		return err
	}
	if !w.Hurry { // taken up with the others of its kind: a flood is handed over by the dozen
		return nil
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

// Drop gives a provisional report up; one that was confirmed stays. The bytes go with Sweep.
func (d *Desk) Drop(ctx context.Context, id string) error {
	if sheaf.Holds(id) {
		return nil
	}
	_, err := shelf.Works(d.Home).Get(ctx, id)
	if err == nil || !errors.Is(err, entity.ErrNotFound) {
		return err
	}
	row, err := shelf.Reports(d.Home).Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return shelf.Reports(d.Home).Remove(ctx, row)
}

// Get returns a report and what became of it. A provisional one is entity.ErrNotFound.
func (d *Desk) Get(ctx context.Context, id string) (Report, Work, error) {
	w, err := shelf.Works(d.Home).Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) && sheaf.Holds(id) {
		row, n, err := sheaf.Find(ctx, d.Home, id)
		if err != nil {
			return Report{}, Work{}, err
		}
		return row.Value.Members[n], row.Value.Work(n), nil
	}
	if err != nil {
		return Report{}, Work{}, err
	}
	r, err := shelf.Reports(d.Home).Get(ctx, id)
	return r.Value, w.Value, err
}

// Bytes opens a report as it came. What is read is verified against its SHA-256.
func (d *Desk) Bytes(ctx context.Context, r Report) (io.ReadCloser, error) {
	if sheaf.Holds(r.ID) {
		if row, n, err := sheaf.Find(ctx, d.Home, r.ID); !errors.Is(err, entity.ErrNotFound) {
			if err != nil {
				return nil, err
			}
			return row.Value.Bytes(ctx, d.Home, n)
		}
	}
	return d.Home.Blob(ctx, entity.Intake, r.SHA256)
}

// Search asks for reports; empty fields ask for all.
type Search struct {
	State, Reporter, Fold, Feed, Account, Case, Format string // the first that is given decides
	SHA256                                             string
	From, To                                           time.Time
	After                                              string
	Limit                                              int
}

// Find returns a page, newest first.
func (d *Desk) Find(ctx context.Context, s Search) (all []Work, next string, err error) {
	q := entity.Query{Index: "all", After: s.After, Limit: s.Limit}
	if !s.From.IsZero() {
		q.From = shelf.Milli(s.From)
	}
	if !s.To.IsZero() {
		q.To = shelf.Milli(s.To)
	} else if q.From != 0 {
		q.To = shelf.Milli(d.Now().Add(24 * time.Hour))
	}
	if s.SHA256 != "" {
		return d.findSum(ctx, s, q)
	}
	for _, f := range []struct{ index, value string }{
		{"state", s.State}, {"reporter", s.Reporter}, {"fold", s.Fold}, {"feed", s.Feed}, {"account", s.Account}, {"case", s.Case}, {"format", s.Format},
	} {
		if f.value != "" {
			q.Index, q.Value = f.index, shelf.Value(f.value)
			break
		}
	}
	if slices.Contains([]string{"all", "state", "fold", "case"}, q.Index) {
		return sheaf.Merged(ctx, d.Home, q)
	}
	rows, next, err := shelf.Works(d.Home).Find(ctx, q)
	for _, r := range rows {
		all = append(all, r.Value)
	}
	return all, next, err
}

func (d *Desk) findSum(ctx context.Context, s Search, q entity.Query) (all []Work, next string, err error) {
	q.Index, q.Value = "sum", strings.ToLower(s.SHA256)
	rows, next, err := shelf.Reports(d.Home).Find(ctx, q)
	for _, r := range rows {
		w, err := shelf.Works(d.Home).Get(ctx, r.Value.ID)
		if errors.Is(err, entity.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		all = append(all, w.Value)
	}
	if err == nil && q.After == "" {
		all, err = sheaf.Alike(ctx, d.Home, q, all)
	}
	return all, next, err
}

// countMost bounds the counting of a flood.
const countMost = 1_000_000

// Folded is how many reports a flood has: "1 240 more like this".
func (d *Desk) Folded(ctx context.Context, fold string) (int, error) {
	n, err := shelf.Works(d.Home).Count(ctx, entity.Query{Index: "fold", Value: shelf.Value(fold)}, countMost)
	if err != nil {
		return n, err
	}
	more, err := sheaf.Count(ctx, d.Home, entity.Query{Index: "fold", Value: shelf.Value(fold)})
	return n + more, err
}

// SetApart gives a report of a flood that was kept with others a record of its own, so that
// something can be said of it. For all other reports nothing happens.
func (d *Desk) SetApart(ctx context.Context, id string) error {
	if !sheaf.Holds(id) {
		return nil
	}
	return sheaf.SetApart(ctx, d.Home, id)
}
