package casefile

import (
	"context"
	"time"

	"postern/abuse/cases"
	"postern/cmd/postern/casecalls"
	"postern/internal/record"
)

// LogOf asks what the audit trail has of a case, from an entry on.
type LogOf struct {
	ID    string `json:"id"`
	After int64  `json:"after,omitempty"`
}

// Log is a part of it, the oldest first.
type Log struct {
	Entries []record.Entry `json:"entries"`
	Next    int64          `json:"next,omitempty"` // where to look on; 0 = that was all
}

// Bounds of one look into the audit trail.
const (
	maxEntries = 200
	maxRead    = 20_000
)

// log finds the entries about a case, its reports and its account since the case was opened.
func (p Parts) log(ctx context.Context, q LogOf) (Log, error) {
	out := Log{Entries: []record.Entry{}}
	c, err := p.Desk.Get(ctx, q.ID)
	if err != nil {
		return out, casecalls.Known(err)
	}
	about, err := p.objects(ctx, c)
	if err != nil {
		return out, err
	}
	after, since := q.After, c.Opened.Add(-time.Minute) // clocks of nodes differ
	if after == 0 {
		if after, err = p.before(ctx, since); err != nil {
			return out, err
		}
	}
	for read := 0; read < maxRead; {
		page, err := p.Entries(ctx, after, record.MaxPage)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, e := range page {
			after = e.Seq
			if !about[e.Object] || e.Time.Before(since) {
				continue
			}
			if out.Entries = append(out.Entries, e); len(out.Entries) == maxEntries {
				out.Next = after
				return out, nil
			}
		}
		read += len(page)
	}
	out.Next = after
	return out, nil
}

// objects are the names under which the audit trail has what concerns a case.
func (p Parts) objects(ctx context.Context, c cases.Case) (map[string]bool, error) {
	about := map[string]bool{c.ID: true}
	if c.Account != "" {
		about[c.Account] = true
		measures, _, err := p.Measures.List(ctx, c.Account, false, "", 100)
		if err != nil {
			return nil, err
		}
		for _, m := range measures {
			about[m.Target+" "+m.ID] = true
		}
	}
	links, _, err := p.Desk.Reports(ctx, c.ID, "", maxReports)
	for _, l := range links {
		about[l.Report] = true
	}
	return about, casecalls.Known(err)
}

// before is the number of an entry that is older than a time, by halving: entries are numbered
// in the order of time.
func (p Parts) before(ctx context.Context, t time.Time) (int64, error) {
	older := func(seq int64) (bool, error) { // whether the entry behind seq is there, and older
		page, err := p.Entries(ctx, seq, 1)
		return len(page) == 1 && page[0].Time.Before(t), err
	}
	lo, hi := int64(0), int64(1)
	for ; hi < 1<<60; lo, hi = hi, hi*2 {
		if is, err := older(hi); err != nil || !is {
			if err != nil {
				return 0, err
			}
			break
		}
	}
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		is, err := older(mid)
		switch {
		case err != nil:
			return 0, err
		case is:
			lo = mid
		default:
			hi = mid
		}
	}
	return lo, nil
}
