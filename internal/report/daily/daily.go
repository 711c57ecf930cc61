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
	total := 0
	for _, d := range due {
		if ctx.Err() != nil {
			return total, ctx.Err()
		}
		if total >= left {
			s.Log.Warn("no more DMARC reports today", "limit", s.PerDay, "waiting", len(due))
			break
		}
		done, err := s.one(ctx, d, left-total)
		if errors.Is(err, errLater) {
			continue
		}
		if err != nil {
			return total, err
		}
		total += len(done.To)
		if err := s.Store.Done(ctx, done); err != nil {
			return total, err
		}
	}
	return total, nil
}

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
			return d, fmt.Errorf("report for %s: %w", d.Domain, err)
		}
		d.To = append(d.To, t.address)
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
