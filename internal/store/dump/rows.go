package dump

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"postern/filter/greylist"
	"postern/filter/history"
	"postern/internal/record"
	"postern/internal/report"
)

func (o out) accounts(ctx context.Context) error {
	all, _, err := o.From.Accounts.Accounts(ctx)
	s := o.w.Section(sectAccounts)
	for _, a := range all {
		err = errors.Join(err, s.Keep(a.Name, a))
	}
	return err
}

func (o out) lists(ctx context.Context) error {
	all, _, err := o.From.Lists.ListEntries(ctx)
	s := o.w.Section(sectLists)
	for _, e := range all {
		err = errors.Join(err, s.Keep(e.Key(), e))
	}
	return err
}

func (o out) greylist(ctx context.Context) error {
	waiting, known := o.w.Section(sectGreylist), o.w.Section(sectKnown)
	for after := ""; ; {
		found, err := o.From.Greylist.ListWaiting(ctx, after, page, o.Now())
		if err != nil {
			return err
		}
		for _, w := range found {
			after = w.ID
			if err := waiting.Keep(w.ID, w); err != nil {
				return err
			}
		}
		if len(found) < page {
			break
		}
	}
	if k, ok := o.From.Greylist.(Known); ok {
		return k.WalkKnown(ctx, func(key string, k greylist.Known) error { return known.Keep(key, k) })
	}
	return nil
}

func (o out) history(ctx context.Context) error {
	past, ok := o.From.History.(Past)
	if !ok {
		return nil
	}
	s := o.w.Section(sectHistory)
	if err := past.Sync(ctx); err != nil {
		return err
	}
	return past.Walk(ctx, func(key history.Key, until time.Time, days []history.Day) error {
		return s.Keep(fmt.Sprintf("%x", key[:]), Days{until, days})
	})
}

// most bounds the rows of one domain and day, and the domains and days.
const most = 10_000

func (o out) reports(ctx context.Context) error {
	s, counts, notes := o.w.Section(sectReports), o.w.Section(sectCounts), o.w.Section(sectNotes)
	sent, err := o.From.Reports.Sent(ctx, "", most)
	if err != nil {
		return err
	}
	for _, n := range sent {
		err = errors.Join(err, notes.Keep(n.Day+" "+n.Domain, n))
	}
	days, derr := o.From.Reports.Domains(ctx, report.DayOf(o.Now().Add(24*time.Hour)), most)
	if err := errors.Join(err, derr); err != nil {
		return err
	}
	for _, d := range days {
		rows, err := o.From.Reports.Rows(ctx, d.Day, d.Domain, most)
		for _, r := range rows {
			err = errors.Join(err, counts.Keep(r.Key(), r))
		}
		if err != nil {
			return err
		}
	}
	for q := (report.Query{Limit: page}); ; {
		found, err := o.From.Reports.Received(ctx, q)
		for _, short := range found {
			q.After = short.Key
			if s.Has(short.Key, "") {
				continue
			}
			whole, ok, gerr := o.From.Reports.Report(ctx, short.Key)
			if gerr == nil && ok {
				gerr = s.Put(short.Key, "", whole)
			}
			err = errors.Join(err, gerr)
		}
		if err != nil || len(found) < page {
			return err
		}
	}
}

// sent writes the tail of the send log. A cursor that the home no longer knows, as after a
// restore, starts it anew: rows that are there twice are joined.
func (o out) sent(ctx context.Context) error {
	s, cursor, again := o.w.Log(sectSent), o.w.Mark(sectSent), false
	for {
		rows, next, err := o.From.Sent.Since(ctx, cursor, page)
		if err != nil && cursor != "" && !again {
			cursor, again = "", true
			continue
		}
		for _, r := range rows {
			err = errors.Join(err, s.Put(r.Serial, "", r))
		}
		if err != nil {
			return err
		}
		cursor = next
		o.w.Note(sectSent, cursor)
		if len(rows) == 0 {
			return nil
		}
	}
}

// Rows of traffic are written a little after the mail; those of this time before the last run
// are written again, marked.
const (
	overlap = 10 * time.Minute
	again   = "~"
)

func (o out) traffic(ctx context.Context) error {
	s := o.w.Log(sectTraffic)
	q := record.Trace{Limit: record.MaxPage}
	since := o.w.Since()
	if !since.IsZero() {
		q.Since = since.Add(-overlap)
	}
	for {
		found, err := o.From.Traffic.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, row := range found.Rows {
			key := row.ID
			if !since.IsZero() && row.Time.Before(since.Add(overlap)) {
				key = again + key
			}
			if err := s.Put(key, "", row); err != nil {
				return err
			}
		}
		if q.After = found.Next; q.After == "" {
			return nil
		}
	}
}

// audit writes what was appended since the last run.
func (o out) audit(ctx context.Context) error {
	s := o.w.Log(sectAudit)
	after, err := strconv.ParseInt(o.w.Mark(sectAudit), 10, 64)
	if err != nil {
		after = 0
	}
	for {
		found, err := o.From.Audit.Entries(ctx, after, page)
		if err != nil {
			return err
		}
		for _, e := range found {
			if err := s.Put(strconv.FormatInt(e.Seq, 10), "", e); err != nil {
				return err
			}
			after = e.Seq
		}
		if len(found) == 0 {
			o.w.Note(sectAudit, strconv.FormatInt(after, 10))
			return nil
		}
	}
}
