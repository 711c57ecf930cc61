// Package daily sends the DMARC aggregate reports of the days that are over (RFC 9990), to
// whom the domains ask for it.
package daily

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"postern/internal/report"
	"postern/internal/report/aggregate"
)

// Bounds of one report.
const (
	rowsMost  = 10000 // the rest is counted in one line of the log
	urisMost  = 5     // destinations of one domain
	triedMost = 20    // addresses of one record that are looked at: each asks the DNS of others
	patience  = 3     // days after which a domain that cannot be asked is given up
	domainsAt = 500   // domains of one round
)

// settle is how long after midnight (UTC) a day counts as over: mail that came in before is
// counted when it has been answered.
const settle = time.Hour

// Resolver asks the DNS. Errors are *net.DNSError.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
}

// Sender sends reports.
type Sender struct {
	Store    report.Store
	Resolver Resolver
	SameOrg  func(ctx context.Context, a, b string) bool
	// Submit queues one message under the null sender.
	Submit func(ctx context.Context, to string, message []byte) error
	Own    func(address string) bool // addresses at which we ourselves receive reports

	From, Org, Contact string
	Generator          string
	Size               int64 // bytes of one message at most
	PerDay             int   // messages a day at most
	Now                func() time.Time
	Log                *slog.Logger
}

// Due sends the reports of all days that are over and returns how many messages went out. A
// domain whose wishes cannot be looked up is tried again in the next round.
func (s *Sender) Due(ctx context.Context) (int, error) {
	left, err := s.left(ctx, report.DayOf(s.Now()))
	if err != nil {
		return 0, err
	}
	due, err := s.Store.Domains(ctx, report.DayOf(s.Now().Add(-settle)), domainsAt)
	if err != nil {
		return 0, err
	}
	total, failed := 0, 0
	var errs []error
	for _, d := range due {
		if ctx.Err() != nil {
			return total, errors.Join(append(errs, ctx.Err())...)
		}
		if total >= left {
			s.Log.Warn("no more DMARC reports today", "limit", s.PerDay, "waiting", len(due))
			break
		}
		n, err := s.send(ctx, d, left-total)
		total += n
		switch {
		case err == nil, errors.Is(err, errLater):
			failed = 0
			continue
		case errors.Is(err, errNoted):
			return total, errors.Join(append(errs, err)...)
		}
		errs = append(errs, err)
		if failed++; failed == failedMost {
			break
		}
	}
	return total, errors.Join(errs...)
}

// failedMost is how many reports in a row may fail before the rest waits for the next round:
// one domain must not keep the others from theirs.
const failedMost = 3

// closing is the time that is left to a report of which a part is queued, when the round ends
// meanwhile.
const closing = 20 * time.Second

// errNoted says that a report went out and could not be noted: the next one would fare alike.
var errNoted = errors.New("a report is not noted as sent")

// send sends the report about one domain and day, unless that was done since the round began,
// and notes it. Rounds may end at any time, as when another node takes over: from the first
// message queued to the note nothing waits for ctx, so that only a crash repeats a report.
func (s *Sender) send(ctx context.Context, d report.Sent, most int) (sent int, err error) {
	known, err := s.Store.Sent(ctx, d.Domain, recent)
	if err != nil {
		return 0, err
	}
	for _, k := range known {
		if k.Day == d.Day && k.Domain == d.Domain {
			return 0, nil
		}
	}
	done, err := s.one(ctx, d, most)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err := s.Store.Done(ctx, done); err != nil {
		return len(done.To), fmt.Errorf("%w: %w", errNoted, err)
	}
	return len(done.To), nil
}

// recent is how many of the newest notes of a domain are looked at: one written since the
// round began is among them.
const recent = 10

// left is how many messages may still go out today.
func (s *Sender) left(ctx context.Context, today string) (int, error) {
	sent, err := s.Store.Sent(ctx, "", s.PerDay)
	if err != nil {
		return 0, err
	}
	left := s.PerDay
	for _, x := range sent {
		if report.DayOf(x.At) == today {
			left -= len(x.To)
		}
	}
	return left, nil
}

// errLater says that the DNS did not answer.
var errLater = errors.New("later")

// one sends the report about one domain and day. The note is written after the messages are
// queued: a crash between repeats them under the same names, which tells receivers so.
func (s *Sender) one(ctx context.Context, d report.Sent, most int) (report.Sent, error) {
	d.At = s.Now().UTC()
	rows, err := s.Store.Rows(ctx, d.Day, d.Domain, rowsMost)
	if err != nil {
		return d, err
	}
	if len(rows) == 0 {
		d.Note = "nothing was counted"
		return d, nil
	}
	record := rows[0].DMARC
	to, notes, err := s.destinations(ctx, d.Domain, record)
	if err != nil {
		if s.tooOld(d.Day) {
			d.Note = "the DNS did not answer for days"
			return d, nil
		}
		return d, errLater
	}
	if len(to) == 0 {
		d.Note = strings.Join(append(notes, "nobody asks for reports"), "; ")
		return d, nil
	}
	f, err := s.feedback(d, record, rows)
	if err != nil {
		return d, err
	}
	d.ID = f.Meta.ID
	d.Messages, _ = f.Messages()
	return s.queue(ctx, d, f, to, notes, most)
}

// queue queues the messages of one report, all of them once the first one is begun. One that is
// queued in part is not queued again: the note says what is missing.
func (s *Sender) queue(ctx context.Context, d report.Sent, f *aggregate.Feedback, to []destination, notes []string, most int) (report.Sent, error) {
	if ctx.Err() != nil {
		return d, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	var failed error
	for _, t := range to {
		if len(d.To) >= most {
			notes = append(notes, "the limit of the day is reached")
			break
		}
		msg, err := s.message(f, t.address)
		if err != nil {
			return d, err
		}
		if limit := t.limit(s.Size); int64(len(msg)) > limit {
			notes = append(notes, fmt.Sprintf("%s takes %d bytes, the report has %d", t.address, limit, len(msg)))
			continue
		}
		if err := s.Submit(ctx, t.address, msg); err != nil {
			failed = fmt.Errorf("report for %s: %w", d.Domain, err)
			notes = append(notes, "it could not be queued for "+t.address)
			continue
		}
		d.To = append(d.To, t.address)
	}
	if failed != nil {
		if len(d.To) == 0 && !s.tooOld(d.Day) {
			return d, failed
		}
		s.Log.Error("a DMARC report is incomplete", "domain", d.Domain, "day", d.Day, "err", failed)
	}
	d.Note = strings.Join(notes, "; ")
	return d, nil
}

func (s *Sender) tooOld(day string) bool {
	t, err := time.Parse(time.DateOnly, day)
	return err != nil || s.Now().Sub(t) > patience*24*time.Hour
}

// feedback makes the report of a day's rows; its ID is the same however often it is made.
func (s *Sender) feedback(d report.Sent, record string, rows []report.Row) (*aggregate.Feedback, error) {
	begin, err := time.Parse(time.DateOnly, d.Day)
	if err != nil {
		return nil, fmt.Errorf("report for %s: %w", d.Domain, err)
	}
	tags := report.Tags(record)
	or := func(name, otherwise string) string {
		if v := tags[name]; v != "" {
			return v
		}
		return otherwise
	}
	f := &aggregate.Feedback{
		Meta: aggregate.Metadata{
			Org: s.Org, Email: s.From, Contact: s.Contact, Generator: s.Generator,
			ID:    fmt.Sprintf("%d.%s@%s", begin.Unix(), d.Domain, s.domain()),
			Range: aggregate.Range{Begin: begin.Unix(), End: begin.Unix() + 24*3600 - 1},
		},
		Policy: aggregate.Policy{
			Domain: d.Domain, Discovery: "treewalk", P: or("p", "none"), SP: or("sp", or("p", "none")), NP: or("np", or("sp", or("p", "none"))),
			ADKIM: or("adkim", "r"), ASPF: or("aspf", "r"), Testing: or("t", "n"), FO: or("fo", "0"),
		},
	}
	for _, r := range rows {
		f.Records = append(f.Records, r.Record)
	}
	if len(rows) == rowsMost {
		s.Log.Warn("a DMARC report is cut", "domain", d.Domain, "day", d.Day, "rows", rowsMost)
	}
	return f, nil
}

// domain is who reports: the domain of our From.
func (s *Sender) domain() string { return domainOf(s.From) }

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// notFound reports an answer that says no.
func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}
