package dump

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/sent"
	"postern/blocklist"
	"postern/filter/greylist"
	"postern/filter/history"
	"postern/internal/backup"
	"postern/internal/entity"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/internal/report"
	"postern/quarantine"
)

// Restored counts what was brought back, by section.
type Restored map[string]int

// Loader brings a backup into a home.
type Loader struct {
	To   Parts
	Now  func() time.Time
	Step func(section string, records int) // may be nil
}

// ErrNotEmpty says that the home has state of its own.
var ErrNotEmpty = errors.New("the home is not empty")

type in struct {
	*Loader
	c   *backup.Chain
	out Restored
	put *[]string // holds that are not confirmed yet
}

// Empty returns ErrNotEmpty, with what there is, unless the home has nothing.
func (l *Loader) Empty(ctx context.Context) error {
	has := func(what string, n int, err error) error {
		if err == nil && n > 0 {
			err = fmt.Errorf("%w: it has %s", ErrNotEmpty, what)
		}
		return err
	}
	st, err := l.To.Holds.Stats(ctx)
	holds := 0
	for _, n := range st.States {
		holds += n
	}
	owed, oerr := l.To.Outbox.List(ctx, "", 1)
	accounts, _, aerr := l.To.Accounts.Accounts(ctx)
	lists, _, lerr := l.To.Lists.ListEntries(ctx)
	audit, uerr := l.To.Audit.Entries(ctx, 0, 1)
	rows, _, serr := l.To.Sent.Size(ctx)
	traffic, terr := l.To.Traffic.Find(ctx, record.Trace{Limit: 1})
	records := 0
	werr := l.To.Entities.Walk(ctx, func(all []entity.Record) error { records += len(all); return nil })
	return errors.Join(has("holds", holds, err), has("mail in its outbox", len(owed), oerr), has("accounts", len(accounts), aerr),
		has("list entries", len(lists), lerr), has("an audit trail", len(audit), uerr), has("a send log", int(rows), serr),
		has("traffic rows", len(traffic.Rows), terr), has("records", records, werr))
}

// Load verifies the whole backup, and then brings it into the home, which must be empty. An
// error names the section and the record.
func (l *Loader) Load(ctx context.Context, c *backup.Chain) (Restored, error) {
	if err := l.Empty(ctx); err != nil {
		return nil, err
	}
	if _, err := c.Verify(ctx); err != nil {
		return nil, err
	}
	i := in{l, c, Restored{}, new([]string)}
	for _, s := range []struct {
		name string
		load func(ctx context.Context, key string, r io.Reader) error
	}{
		{sectAccounts, decoded(i.account)}, // who must not send comes first
		{sectLists, decoded(i.list)},
		{sectAudit, decoded(i.audit)},
		{sectBlobs, i.blob}, // before the records that name them
		{sectRecords, decoded(i.record)},
		{sectHolds, decoded(i.hold)},
		{sectOutbox, decoded(i.owed)},
		{sectGreylist, decoded(i.waiting)},
		{sectKnown, i.known},
		{sectHistory, i.history},
		{sectReports, decoded(i.report)},
		{sectNotes, decoded(func(ctx context.Context, n report.Sent) error { return l.To.Reports.Done(ctx, n) })},
		{sectCounts, decoded(func(ctx context.Context, r report.Row) error { return l.To.Reports.Count(ctx, r) })},
		{sectSent, decoded(func(ctx context.Context, r sent.Row) error { return l.To.Sent.Begin(ctx, r) })},
		{sectTraffic, i.traffic},
	} {
		err := c.Each(ctx, s.name, func(key string, r io.Reader) error {
			if err := s.load(ctx, key, r); err != nil {
				return fmt.Errorf("%s %q: %w", s.name, strings.TrimPrefix(key, again), err)
			}
			i.out[s.name]++
			if l.Step != nil && i.out[s.name]%100 == 0 {
				l.Step(s.name, i.out[s.name])
			}
			return nil
		})
		if err == nil {
			err = i.confirm(ctx)
		}
		if err != nil {
			return i.out, err
		}
	}
	return i.out, nil
}

// decoded reads a record as JSON.
func decoded[T any](f func(ctx context.Context, v T) error) func(context.Context, string, io.Reader) error {
	return func(ctx context.Context, _ string, r io.Reader) error {
		v, err := decode[T](r)
		if err != nil {
			return err
		}
		return f(ctx, v)
	}
}

func decode[T any](r io.Reader) (v T, err error) {
	b, err := io.ReadAll(r)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	return v, err
}

func (i in) account(ctx context.Context, a abuse.Account) error {
	a.Version = 1
	return i.To.Accounts.PutAccount(ctx, a)
}

func (i in) list(ctx context.Context, e blocklist.Entry) error {
	return i.To.Lists.PutListEntry(ctx, e)
}

// audit appends an entry, which must get the number and the hash that it had.
func (i in) audit(ctx context.Context, e record.Entry) error {
	got, err := i.To.Audit.Append(ctx, e)
	if err == nil && (got.Seq != e.Seq || got.Hash != e.Hash) {
		err = &record.BrokenError{Seq: e.Seq, Why: "does not chain to the one before it as it did"}
	}
	return err
}

func (i in) blob(ctx context.Context, key string, r io.Reader) error {
	class, sum, _ := strings.Cut(key, "/")
	// All of it is read before another record is, since the place is moved by that.
	b, err := io.ReadAll(io.LimitReader(r, entity.MaxBlob+1))
	if err != nil {
		return err
	}
	tr, err := i.c.Get(sectTimes, key)
	if err != nil {
		return err
	}
	at, err := decode[int64](tr)
	if err != nil {
		return err
	}
	got, _, err := i.To.Entities.PutBlobAt(ctx, entity.Class(class), strings.NewReader(string(b)), time.UnixMilli(at))
	if err == nil && got != sum {
		err = errors.New("its bytes have another digest")
	}
	return err
}

func (i in) record(ctx context.Context, k kept) error {
	return i.To.Entities.Put(ctx, entity.Record{Kind: k.Kind, ID: k.ID, Version: 1, Data: k.Data, Keys: k.Keys})
}

func (i in) hold(ctx context.Context, h quarantine.Hold) error {
	body, err := i.c.Get(sectBodies, h.SHA256)
	if err != nil {
		return err
	}
	fresh := h
	fresh.State, fresh.Release, fresh.Ended = quarantine.Provisional, nil, nil
	put, err := i.To.Holds.Put(ctx, fresh, body)
	if err == nil && put.ID != h.ID {
		err = fmt.Errorf("hold %s is of the same mail", put.ID)
	}
	*i.put = append(*i.put, h.ID)
	if err == nil && (h.Release != nil || len(*i.put) == page) {
		err = i.confirm(ctx)
	}
	if err != nil || h.Release == nil {
		return err
	}
	now, err := i.To.Holds.Get(ctx, h.ID)
	if err != nil {
		return err
	}
	now.State, now.Release = h.State, h.Release
	_, err = i.To.Holds.Change(ctx, now)
	return err
}

// confirm makes the holds real that were written: many at once, each costs a sync.
func (i in) confirm(ctx context.Context) error {
	if len(*i.put) == 0 {
		return nil
	}
	err := i.To.Holds.Confirm(ctx, *i.put)
	*i.put = nil
	return err
}

// owed brings back an outbox entry. It may have been sent since the backup: it says so.
func (i in) owed(ctx context.Context, e outbox.Entry) error {
	body, err := i.c.Get(sectOwed, e.SHA256)
	if err != nil {
		return err
	}
	e.Version, e.Ambiguous = 0, true
	_, err = i.To.Outbox.Add(ctx, e, body)
	return err
}

func (i in) waiting(ctx context.Context, w greylist.Waiting) error {
	if !w.Expires.After(i.Now()) {
		return nil
	}
	_, err := i.To.Greylist.PutOff(ctx, w, i.Now())
	return err
}

func (i in) known(ctx context.Context, key string, r io.Reader) error {
	k, err := decode[greylist.Known](r)
	if err != nil || !k.Until.After(i.Now()) {
		return err
	}
	return i.To.Greylist.Settle(ctx, "", []string{key}, k)
}

func (i in) history(ctx context.Context, key string, r io.Reader) error {
	d, err := decode[Days](r)
	if err != nil {
		return err
	}
	b, err := hex.DecodeString(key)
	if err != nil || len(b) != len(history.Key{}) {
		return fmt.Errorf("%q is no key: %w", key, err)
	}
	past, ok := i.To.History.(Learner)
	if !ok {
		return nil
	}
	var marks []history.Mark
	for _, day := range d.Days {
		at := time.Unix(day.Day*86400, 0).UTC()
		for n := range day.Good + day.Bad {
			marks = append(marks, history.Mark{Key: history.Key(b), Bad: n >= day.Good, At: at, Keep: d.Until.Sub(at)})
		}
	}
	// Marks that wait are few and lost beyond that: they are waited for.
	return errors.Join(past.Mark(ctx, marks), i.every(ctx, past))
}

// every waits for the marks of some keys at once.
func (i in) every(ctx context.Context, past Learner) error {
	if i.out[sectHistory]%100 != 99 && i.out[sectHistory]+1 < i.c.Len(sectHistory) {
		return nil
	}
	return past.Sync(ctx)
}

func (i in) report(ctx context.Context, r report.Received) error {
	_, err := i.To.Reports.Add(ctx, r)
	return err
}

// patience is how long a full buffer of traffic rows is waited for, each time.
const patience = 50 * time.Millisecond

func (i in) traffic(ctx context.Context, key string, r io.Reader) error {
	row, err := decode[record.Row](r)
	if err != nil {
		return err
	}
	if strings.HasPrefix(key, again) {
		there, err := i.To.Traffic.Find(ctx, record.Trace{ID: row.ID, Limit: 1})
		if err != nil || len(there.Rows) > 0 {
			return err
		}
	}
	for !i.To.Traffic.Add(row) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(patience):
		}
	}
	return nil
}
