package move

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/filter/greylist"
	"postern/internal/record"
	"postern/internal/report"
)

// accounts takes over what the new home does not know better: the later decision counts.
func (r *run) accounts(ctx context.Context) error {
	all, _, err := r.From.Accounts.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		now, err := r.To.Accounts.Account(ctx, a.Name)
		switch {
		case errors.Is(err, abuse.ErrNotFound):
			a.Version = 1
		case err != nil:
			return err
		case !a.At.After(now.At):
			continue
		default:
			a.Version = now.Version + 1
		}
		if err := r.To.Accounts.PutAccount(ctx, a); err != nil {
			return err
		}
		r.out.Accounts++
	}
	return nil
}

// lists takes over entries, the later decision of two: what was removed in one home since is
// not brought back by the other.
func (r *run) lists(ctx context.Context) error {
	all, _, err := r.From.Lists.ListEntries(ctx)
	if err != nil {
		return err
	}
	there, _, err := r.To.Lists.ListEntries(ctx)
	if err != nil {
		return err
	}
	here, err := history(ctx, r.To.Audit)
	if err != nil {
		return err
	}
	known := map[string]time.Time{}
	for _, e := range there {
		known[e.Key()] = e.Created
	}
	for _, e := range all {
		if at, ok := known[e.Key()]; ok && !e.Created.After(at) || here.removed[e.Key()].After(e.Created) {
			continue
		}
		if err := r.To.Lists.PutListEntry(ctx, e); err != nil {
			return err
		}
		r.out.Lists++
	}
	return r.unlist(ctx, all, there)
}

// unlist removes what an earlier move the other way left in the new home and the old one has
// removed since.
func (r *run) unlist(ctx context.Context, kept, there []blocklist.Entry) error {
	old, err := history(ctx, r.From.Audit)
	if err != nil {
		return err
	}
	for _, e := range there {
		same := slices.Contains(old.added[e.Key()], e.Created.UnixMicro())
		still := slices.ContainsFunc(kept, func(k blocklist.Entry) bool { return k.Key() == e.Key() })
		if !same || still || !old.removed[e.Key()].After(e.Created) {
			continue
		}
		if err := r.To.Lists.RemoveListEntry(ctx, e.Key()); err != nil && !errors.Is(err, blocklist.ErrNotFound) {
			return err
		}
		r.out.Lists++
	}
	return nil
}

// listed is what an audit says of list entries, by key. Its entries need not be in order: an
// earlier move may have put older ones at its end.
type listed struct {
	added   map[string][]int64 // when the entries were made, in microseconds
	removed map[string]time.Time
}

func history(ctx context.Context, from record.AuditStore) (listed, error) {
	out := listed{map[string][]int64{}, map[string]time.Time{}}
	for seq := int64(0); ; {
		entries, err := from.Entries(ctx, seq, page)
		if err != nil || len(entries) == 0 {
			return out, err
		}
		for _, e := range entries {
			seq = e.Seq
			var added blocklist.Entry
			switch {
			case e.Action == listRemove && e.Time.After(out.removed[e.Object]):
				out.removed[e.Object] = e.Time
			case e.Action == listAdd && json.Unmarshal(e.After, &added) == nil:
				out.added[e.Object] = append(out.added[e.Object], added.Created.UnixMicro())
			}
		}
	}
}

// What an audit calls the changes of own lists.
const (
	listAdd    = "list-add"
	listRemove = "list-remove"
)

// auditAction marks in the new audit that the old one was taken over up to an entry.
const auditAction = "audit-moved"

// audit appends the old audit to the new one, numbered anew, and says up to where. The times
// and the words stay.
func (r *run) audit(ctx context.Context) error {
	last, err := record.Verify(ctx, r.From.Audit)
	if err != nil {
		return err
	}
	from, err := r.movedUntil(ctx)
	if err != nil || last.Seq <= from {
		return err
	}
	for from < last.Seq {
		entries, err := r.From.Audit.Entries(ctx, from, page)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			from = e.Seq
			if _, err := r.To.Audit.Append(ctx, e); err != nil {
				return err
			}
			r.out.Audit++
		}
		_, err = r.To.Audit.Append(ctx, record.Entry{
			Time: r.Now(), Actor: "postern", Action: auditAction, Object: entries[len(entries)-1].Hash,
			After: mark(from), Note: "the entries before this one came from another home, in which they had other numbers",
		})
		if err != nil {
			return err
		}
		r.step()
	}
	return nil
}

// movedUntil is the number up to which an earlier move took the old audit over, by the marks
// whose hash the old audit still has.
func (r *run) movedUntil(ctx context.Context) (int64, error) {
	var until int64
	for seq := int64(0); ; {
		entries, err := r.To.Audit.Entries(ctx, seq, page)
		if err != nil || len(entries) == 0 {
			return until, err
		}
		for _, e := range entries {
			seq = e.Seq
			if e.Action != auditAction {
				continue
			}
			n := number(e.After)
			old, err := r.From.Audit.Entries(ctx, n-1, 1)
			if err != nil {
				return 0, err
			}
			if len(old) == 1 && old[0].Hash == e.Object {
				until = max(until, n)
			}
		}
	}
}

func (r *run) greylist(ctx context.Context) error {
	for after := ""; ; {
		found, err := r.From.Greylist.ListWaiting(ctx, after, page, r.Now())
		if err != nil {
			return err
		}
		for _, w := range found {
			after = w.ID
			if _, err := r.To.Greylist.GetWaiting(ctx, w.ID); !errors.Is(err, greylist.ErrNotFound) {
				if err != nil {
					return err
				}
				continue
			}
			if _, err := r.To.Greylist.PutOff(ctx, w, r.Now()); err != nil {
				return err
			}
			r.out.Greylist++
		}
		if len(found) < page {
			return nil
		}
	}
}

func (r *run) reports(ctx context.Context) error {
	q := report.Query{Limit: page}
	for {
		found, err := r.From.Reports.Received(ctx, q)
		if err != nil {
			return err
		}
		for _, short := range found {
			q.After = short.Key
			whole, ok, err := r.From.Reports.Report(ctx, short.Key)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			added, err := r.To.Reports.Add(ctx, whole)
			if err != nil {
				return err
			}
			if added {
				r.out.Reports++
			}
		}
		if len(found) < page {
			return r.counts(ctx)
		}
	}
}

// rowsMost bounds the rows of one domain and day, and the domains and days.
const rowsMost = 10_000

// counts takes over the counts of reports that are still to be sent; where the new home counts
// that domain and day already they are left out, so that nothing counts twice.
func (r *run) counts(ctx context.Context) error {
	days, err := r.From.Reports.Domains(ctx, report.DayOf(r.Now().Add(24*time.Hour)), rowsMost)
	if err != nil {
		return err
	}
	for _, d := range days {
		there, err := r.To.Reports.Rows(ctx, d.Day, d.Domain, 1)
		if err != nil {
			return err
		}
		if len(there) > 0 {
			continue
		}
		rows, err := r.From.Reports.Rows(ctx, d.Day, d.Domain, rowsMost)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(rows, page) {
			if err := r.To.Reports.Count(ctx, some...); err != nil {
				return err
			}
		}
	}
	return nil
}

// patience is how long a full buffer of traffic rows is waited for, each time.
const patience = 100 * time.Millisecond

func (r *run) traffic(ctx context.Context) error {
	q := record.Trace{Limit: record.MaxPage}
	for {
		found, err := r.From.Traffic.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, row := range found.Rows {
			for !r.To.Traffic.Add(row) {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(patience):
				}
			}
			r.out.Traffic++
		}
		r.step()
		if q.After = found.Next; q.After == "" {
			return nil
		}
	}
}
