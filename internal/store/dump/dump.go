// Package dump writes the state of a home into a run of a backup while mail flows, and brings
// it into an empty home of either kind.
package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"postern/filter/greylist"
	"postern/filter/history"
	"postern/internal/backup"
	"postern/internal/entity"
	"postern/internal/relay/outbox"
	"postern/internal/store/move"
	"postern/quarantine"
)

// The sections of a run.
const (
	sectAccounts = "accounts"
	sectLists    = "lists"
	sectHolds    = "holds"
	sectBodies   = "bodies"
	sectOutbox   = "outbox"
	sectOwed     = "outbox-bodies"
	sectRecords  = "records"
	sectBlobs    = "blobs"
	sectTimes    = "blob-times"
	sectAudit    = "audit"
	sectGreylist = "greylist"
	sectKnown    = "greylist-known"
	sectHistory  = "history"
	sectReports  = "reports"
	sectCounts   = "report-counts"
	sectNotes    = "report-notes"
	sectSent     = "sent"
	sectTraffic  = "traffic"
)

// Known is a greylist that tells who came again.
type Known interface {
	WalkKnown(ctx context.Context, f func(key string, k greylist.Known) error) error
}

// Days are the marks of one key by day since 1970.
type Days struct {
	Until time.Time     `json:"until"`
	Days  []history.Day `json:"days"`
}

// Learner is a history that waits for marks to be written.
type Learner interface {
	history.Store
	Sync(ctx context.Context) error
}

// Past is one that also tells what it remembers.
type Past interface {
	Learner
	Walk(ctx context.Context, f func(key history.Key, until time.Time, days []history.Day) error) error
}

// Parts are the stores of a home.
type Parts struct {
	move.Parts
	History history.Store
}

// Dumper writes a home.
type Dumper struct {
	From Parts
	Now  func() time.Time
	Log  *slog.Logger
}

// page is how much is read at once.
const page = 200

type out struct {
	*Dumper
	w *backup.Writer
}

// Dump writes all sections. What the home itself cannot read is left out, and noted.
func (d *Dumper) Dump(ctx context.Context, w *backup.Writer) error {
	o := out{d, w}
	for _, part := range []struct {
		name string
		dump func(context.Context) error
	}{
		{"accounts", o.accounts},
		{"own lists", o.lists},
		{"outbox", o.outbox},
		{"holds", o.holds},
		{"records", o.records}, // before the blobs that they name, which are put before them
		{"blobs", o.blobs},
		{"greylist", o.greylist},
		{"history", o.history},
		{"reports", o.reports},
		{"send log", o.sent},
		{"traffic", o.traffic},
		{"audit", o.audit},
	} {
		if err := part.dump(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// add writes bytes of the home. false: the home cannot read them; it answers for the rest, and
// says by over whether they went while they were read.
func (o out) add(s *backup.Section, name, key string, r io.ReadCloser, over func() (bool, error)) (bool, error) {
	err := s.Add(key, "", r)
	cerr := r.Close()
	var bad *backup.SourceError
	if !errors.As(err, &bad) {
		return err == nil, errors.Join(err, cerr)
	}
	gone, aerr := over()
	if aerr != nil {
		return false, errors.Join(aerr, err)
	}
	if !gone {
		o.damaged(name, bad)
	}
	return false, nil
}

func (o out) damaged(name string, err error) {
	o.w.Damaged(name)
	o.Log.Error("this cannot be backed up: it is damaged", "what", name, "error", err)
}

func (o out) holds(ctx context.Context) error {
	holds, bodies := o.w.Section(sectHolds), o.w.Section(sectBodies)
	q := quarantine.Query{Limit: page}
	for {
		found, err := o.From.Holds.List(ctx, q)
		if err != nil {
			return err
		}
		for _, h := range found.Holds {
			whole, err := o.holdBody(ctx, bodies, h)
			if err != nil {
				return fmt.Errorf("%s: %w", h.ID, err)
			}
			tag := strconv.FormatInt(h.Version, 10)
			if !whole || holds.Has(h.ID, tag) {
				continue
			}
			if err := holds.Put(h.ID, tag, h); err != nil {
				return err
			}
		}
		if q.After = found.Next; q.After == "" {
			return nil
		}
	}
}

// holdBody writes the body of a hold unless the backup has it; false: the hold is over by now,
// or damaged.
func (o out) holdBody(ctx context.Context, bodies *backup.Section, h quarantine.Hold) (bool, error) {
	if bodies.Has(h.SHA256, "") {
		return true, nil
	}
	over := func() (bool, error) {
		now, err := o.From.Holds.Get(ctx, h.ID)
		if errors.Is(err, quarantine.ErrNotFound) {
			return true, nil
		}
		return err == nil && now.State.Ended(), err
	}
	r, err := o.From.Holds.Body(ctx, h.ID)
	if err != nil {
		switch gone, gerr := over(); {
		case gerr != nil:
			return false, errors.Join(gerr, err)
		case !gone:
			o.damaged("hold "+h.ID, err)
		}
		return false, nil
	}
	return o.add(bodies, "hold "+h.ID, h.SHA256, r, over)
}

func (o out) outbox(ctx context.Context) error {
	entries, bodies := o.w.Section(sectOutbox), o.w.Section(sectOwed)
	for after := ""; ; {
		found, err := o.From.Outbox.List(ctx, after, page)
		if err != nil {
			return err
		}
		for _, e := range found {
			after = e.ID
			if !bodies.Has(e.SHA256, "") {
				over := func() (bool, error) {
					_, err := o.From.Outbox.Get(ctx, e.ID)
					if errors.Is(err, outbox.ErrNotFound) {
						return true, nil
					}
					return false, err
				}
				b, err := o.From.Outbox.Body(ctx, e.ID)
				if err != nil {
					switch gone, gerr := over(); {
					case gerr != nil:
						return errors.Join(gerr, err)
					case !gone:
						o.damaged("outbox entry "+e.ID, err)
					}
					continue
				}
				whole, err := o.add(bodies, "outbox entry "+e.ID, e.SHA256, struct {
					io.Reader
					io.Closer
				}{io.NewSectionReader(b, 0, b.Size()), b}, over)
				if err != nil {
					return err
				}
				if !whole {
					continue
				}
			}
			if err := entries.Keep(e.ID, e); err != nil {
				return err
			}
		}
		if len(found) < page {
			return nil
		}
	}
}

// kept is how a record of the rooms stands in a backup.
type kept struct {
	Kind entity.Kind  `json:"kind"`
	ID   string       `json:"id"`
	Data []byte       `json:"data"`
	Keys []entity.Key `json:"keys,omitempty"`
}

func (o out) records(ctx context.Context) error {
	s := o.w.Section(sectRecords)
	return o.From.Entities.Walk(ctx, func(all []entity.Record) error {
		for _, r := range all {
			if r.Kind == move.NoteKind { // of a move that is under way
				continue
			}
			if err := s.Keep(string(r.Kind)+"/"+r.ID, kept{r.Kind, r.ID, r.Data, r.Keys}); err != nil {
				return err
			}
		}
		return nil
	})
}

// all is more blobs than there are.
const all = 1 << 30

func (o out) blobs(ctx context.Context) error {
	blobs, times := o.w.Section(sectBlobs), o.w.Section(sectTimes)
	for _, class := range entity.Classes() {
		sums, err := o.From.Entities.BlobsBefore(ctx, class, o.Now().AddDate(10, 0, 0), all)
		if err != nil {
			return err
		}
		for _, sum := range sums {
			key := string(class) + "/" + sum
			at, err := o.From.Entities.BlobTime(ctx, class, sum)
			if errors.Is(err, entity.ErrNotFound) {
				continue
			}
			if err == nil {
				err = o.blob(ctx, blobs, class, sum, key)
			}
			if err == nil && blobs.Has(key, "") {
				err = times.Keep(key, at.UnixMilli())
			}
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return nil
}

func (o out) blob(ctx context.Context, s *backup.Section, class entity.Class, sum, key string) error {
	if s.Has(key, "") {
		return nil
	}
	answers := func() (bool, error) { _, _, err := o.From.Entities.BlobBytes(ctx, class); return false, err }
	r, err := o.From.Entities.Blob(ctx, class, sum)
	if errors.Is(err, entity.ErrNotFound) {
		return nil
	}
	if err != nil {
		if _, aerr := answers(); aerr != nil {
			return aerr
		}
		o.damaged("blob "+key, err)
		return nil
	}
	_, err = o.add(s, "blob "+key, key, r, answers)
	return err
}
