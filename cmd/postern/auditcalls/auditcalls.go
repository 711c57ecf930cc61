// Package auditcalls search the audit.
package auditcalls

import (
	"context"
	"strings"
	"time"

	"postern/internal/control"
	"postern/internal/record"
)

// Bounds of one look.
const (
	MaxLimit = 500
	maxLook  = 10_000 // entries that one call reads
	perRead  = 500
)

// Query asks for entries, the newest first. What is empty matches all.
type Query struct {
	Actor  string    `json:"actor,omitempty"`  // a part of it, in any case
	Action string    `json:"action,omitempty"` // in full, or its beginning before a *
	Object string    `json:"object,omitempty"` // a part of it, in any case
	Text   string    `json:"text,omitempty"`   // somewhere in the entry
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Before int64     `json:"before,omitempty"` // only entries with a smaller number
	Limit  int       `json:"limit,omitempty"`
}

// Found is a page.
type Found struct {
	Entries []record.Entry `json:"entries"`
	Next    int64          `json:"next,omitempty"` // Before of the next page; the search went this far
	Last    int64          `json:"last"`           // number of the newest entry of all
}

// Handle adds the calls.
func Handle(s *control.Server, store record.AuditStore) {
	control.Handle(s, "audit.find", func(ctx context.Context, q Query) (Found, error) {
		if q.Limit < 0 || q.Limit > MaxLimit {
			return Found{}, control.Refuse(control.Invalid, "audit.limit-1-to", "limit: 1 to %d", "most", MaxLimit)
		}
		if q.Limit == 0 {
			q.Limit = 50
		}
		return find(ctx, store, q)
	})
	control.Handle(s, "audit.part", func(ctx context.Context, p Part) (Part, error) { return part(ctx, store, p) })
}

func find(ctx context.Context, store record.AuditStore, q Query) (Found, error) {
	out := Found{Entries: []record.Entry{}}
	last, err := newest(ctx, store)
	if err != nil {
		return out, err
	}
	out.Last = last
	end := last + 1 // entries below are still to be read
	if q.Before > 0 {
		end = min(end, q.Before)
	}
	for looked := 0; end > 1 && looked < maxLook; {
		from := max(end-1-perRead, 0)
		page, err := store.Entries(ctx, from, int(end-1-from))
		if err != nil {
			return out, err
		}
		for i := len(page) - 1; i >= 0; i-- {
			e := page[i]
			if e.Seq >= end {
				continue
			}
			looked++
			if !q.Since.IsZero() && e.Time.Before(q.Since) {
				return out, nil // they are in order of time
			}
			if q.matches(e) {
				if out.Entries = append(out.Entries, e); len(out.Entries) == q.Limit {
					if e.Seq > 1 {
						out.Next = e.Seq
					}
					return out, nil
				}
			}
		}
		end = from + 1
	}
	if end > 1 {
		out.Next = end
	}
	return out, nil
}

// newest finds the number of the last entry: the numbers have no gaps.
func newest(ctx context.Context, store record.AuditStore) (int64, error) {
	there := func(seq int64) (bool, error) {
		page, err := store.Entries(ctx, seq-1, 1)
		return len(page) > 0, err
	}
	low, high := int64(0), int64(1)
	for {
		ok, err := there(high)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		low, high = high, high*2
	}
	for low+1 < high {
		mid := low + (high-low)/2
		ok, err := there(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

func (q Query) matches(e record.Entry) bool {
	has := func(in, part string) bool { return strings.Contains(strings.ToLower(in), strings.ToLower(part)) }
	action := q.Action == "" || e.Action == q.Action
	if head, ok := strings.CutSuffix(q.Action, "*"); ok {
		action = strings.HasPrefix(e.Action, head)
	}
	return action && has(e.Actor, q.Actor) && has(e.Object, q.Object) && (q.Until.IsZero() || e.Time.Before(q.Until)) &&
		(q.Text == "" || has(e.Actor+"\n"+e.Action+"\n"+e.Object+"\n"+e.Note+"\n"+string(e.Before)+"\n"+string(e.After), q.Text))
}

// Part is how far a check of the chain of hashes has come. The zero one begins.
type Part struct {
	Seq    int64  `json:"seq"`
	Hash   string `json:"hash"`
	Last   int64  `json:"last,omitempty"`   // number of the newest entry; asked for once
	Broken string `json:"broken,omitempty"` // what is wrong behind Seq
	Over   bool   `json:"over,omitempty"`   // there is nothing behind Seq
}

// part checks some entries more.
func part(ctx context.Context, store record.AuditStore, p Part) (Part, error) {
	if p.Seq < 0 {
		return p, control.Refuse(control.Invalid, "audit.seq-0-or-more", "seq: 0 or more")
	}
	if p.Last == 0 {
		last, err := newest(ctx, store)
		if err != nil {
			return p, err
		}
		p.Last = last
	}
	at := record.Entry{Seq: p.Seq, Hash: p.Hash}
	for range 4 {
		page, err := store.Entries(ctx, at.Seq, perRead)
		if err != nil {
			return p, err
		}
		if len(page) == 0 {
			p.Over = true
			return p, nil
		}
		for _, e := range page {
			if p.Broken, p.Over = fault(at, e); p.Over {
				return p, nil
			}
			at = e
			p.Seq, p.Hash = e.Seq, e.Hash
		}
	}
	return p, nil
}

// fault says what is wrong with an entry after another, and whether something is.
func fault(before, e record.Entry) (string, bool) {
	if err := record.Follows(before, e); err != nil {
		return err.Error(), true
	}
	return "", false
}
