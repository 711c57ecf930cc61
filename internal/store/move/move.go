// Package move takes the state of one home over into the other while mail flows: the gateway
// already works on the new home, and what the old one still keeps follows. Nothing is visible
// in both, nothing is lost where it is broken off, and running it again goes on.
package move

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"postern/abuse"
	"postern/abuse/sent"
	"postern/blocklist"
	"postern/filter/greylist"
	"postern/internal/entity"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/internal/report"
	"postern/quarantine"
)

// Parts are the stores of one home.
type Parts struct {
	Holds    quarantine.Store
	Outbox   outbox.Store
	Lists    blocklist.Store
	Accounts abuse.Store
	Audit    record.AuditStore
	Traffic  record.Traffic
	Reports  report.Store
	Greylist greylist.Store
	Sent     sent.Store
	Entities Entities
}

// Entities are the records of the rooms and what they rest on, as both homes keep them.
type Entities interface {
	entity.Home
	// Walk gives all records of all kinds to f, many at a time.
	Walk(ctx context.Context, f func(records []entity.Record) error) error
	// BlobTime is since when a class has a blob, or ErrNotFound.
	BlobTime(ctx context.Context, class entity.Class, sum string) (time.Time, error)
	// PutBlobAt is PutBlob of what another home has kept since a time.
	PutBlobAt(ctx context.Context, class entity.Class, r io.Reader, at time.Time) (sum string, size int64, err error)
}

// Moved counts what was taken over.
type Moved struct {
	Holds    int `json:"holds"`
	Outbox   int `json:"outbox"`
	Lists    int `json:"lists"`
	Accounts int `json:"accounts"`
	Audit    int `json:"audit"`
	Traffic  int `json:"traffic"`
	Reports  int `json:"reports"`
	Greylist int `json:"greylist"`
	Sent     int `json:"sent"`
	Records  int `json:"records"`
	Blobs    int `json:"blobs"`

	// Busy are holds that are being released, outbox entries that are being sent, and records
	// that are being changed, just now: run it again for them.
	Busy []string `json:"busy,omitempty"`
	// Damaged are holds, outbox entries and blobs whose bytes cannot be read; they stay.
	Damaged []string `json:"damaged,omitempty"`
	// Taken are records whose name is that of another one in the new home; they stay.
	Taken []string `json:"taken,omitempty"`
}

// Mover moves. All fields but Step and Merge are needed.
type Mover struct {
	From, To Parts
	Name     string // of the new home, for the records that end in the old one
	Now      func() time.Time
	Log      *slog.Logger
	Step     func(Moved) // told how far it is, about every page
	// Merge is for kinds of which a node writes its own records in whatever home it works on: one
	// may be there before the old one is brought. It may be nil.
	Merge map[entity.Kind]Merge
}

// Merge makes one record's data of that in the old home and that in the new one. What it has
// merged once it may be given again.
type Merge func(old, there []byte) ([]byte, error)

// By is in front of the name of the new home where a hold of the old one says who ended it.
const By = "store move to "

// page is how much is read at once.
const page = 200

// run is one move under way.
type run struct {
	*Mover
	out Moved
}

// Run moves everything that can be moved now. The error is of the store that failed, with what
// was moved until then.
func (m *Mover) Run(ctx context.Context) (Moved, error) {
	r := &run{Mover: m}
	for _, part := range []struct {
		name string
		move func(context.Context) error
	}{
		{"accounts", r.accounts}, // who must not send comes first
		{"own lists", r.lists},
		{"holds", r.holds},
		{"outbox", r.outbox},
		{"blobs", r.blobs}, // before the records that name them
		{"records", r.records},
		{"audit", r.audit},
		{"greylist", r.greylist},
		{"reports", r.reports},
		{"send log", r.sent},
		{"traffic", r.traffic},
	} {
		if err := part.move(ctx); err != nil {
			return r.out, fmt.Errorf("moving %s: %w", part.name, err)
		}
		r.step()
	}
	return r.out, nil
}

func (r *run) step() {
	if r.Step != nil {
		r.Step(r.out)
	}
}
