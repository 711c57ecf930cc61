package glue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/relay/outbox"
	"postern/internal/spool"
)

// OriginNotice is the Origin of entries that the abuse desk wrote.
const OriginNotice = "notice"

// OriginDigest is the Origin of letters to recipients about their held mail.
const OriginDigest = "digest"

// Submitter puts what the gateway itself writes into the outbox.
type Submitter struct {
	Config *atomic.Pointer[config.Config]
	Store  outbox.Store
	Spool  *spool.Spool
	Now    func() time.Time
	Random io.Reader
	Wake   func()
}

// Submit puts an alert into the outbox: it is kept until it is delivered.
func (g *Submitter) Submit(ctx context.Context, to string, message []byte) error {
	return g.submit(ctx, "alert", "", "", to, message)
}

// Report puts a report into the outbox.
func (g *Submitter) Report(ctx context.Context, to string, message []byte) error {
	return g.submit(ctx, "report", "", "", to, message)
}

// Letter puts a letter of the abuse desk into the outbox. The same key and time are the same
// letter.
func (g *Submitter) Letter(ctx context.Context, key string, at time.Time, to string, message []byte) error {
	return g.Notice(ctx, key, at, "", to, message)
}

// Notice is Letter with an envelope sender, who hears when it cannot be delivered.
func (g *Submitter) Notice(ctx context.Context, key string, at time.Time, from, to string, message []byte) error {
	id, err := EntryID("letter", key, at)
	if err != nil {
		return err
	}
	return g.once(ctx, OriginNotice, id, from, to, message)
}

// Digest puts a letter to a recipient into the outbox as the entry of that ID, once.
func (g *Submitter) Digest(ctx context.Context, entry, to string, message []byte) error {
	return g.once(ctx, OriginDigest, entry, "", to, message)
}

// Enter puts a letter with a link that signs in into the outbox.
func (g *Submitter) Enter(ctx context.Context, to string, message []byte) error {
	return g.submit(ctx, OriginDigest, "", "", to, message)
}

// EntryID is the ID of an entry that a key and a time name.
func EntryID(sort, key string, at time.Time) (string, error) {
	sum := sha256.Sum256([]byte(sort + "\x00" + key))
	return filter.NewID(at, bytes.NewReader(sum[:]))
}

// once adds the entry unless it waits there already.
func (g *Submitter) once(ctx context.Context, origin, id, from, to string, message []byte) error {
	_, err := g.Store.Get(ctx, id)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, outbox.ErrNotFound):
		return err
	}
	return g.submit(ctx, origin, id, from, to, message)
}

// submit queues a message of our own.
func (g *Submitter) submit(ctx context.Context, origin, entry, from, to string, message []byte) error {
	c := g.Config.Load()
	pool := ""
	if origin == "alert" {
		pool = c.Alerts.Backend
	}
	if pool == "" {
		pool = c.Egress
		if r, ok := RouteFor(c, address.DomainOf(to)); ok {
			pool = r.Backend
		} else if c.TestInbox.Has(address.DomainOf(to)) {
			pool = relay.InboxBackend
		}
	}
	if pool == "" {
		return fmt.Errorf("no route leads to %s", to)
	}
	id, err := filter.NewID(g.Now(), g.Random)
	if err != nil {
		return err
	}
	w := g.Spool.New()
	if _, err := w.Write(message); err != nil {
		return err
	}
	body, err := w.Finish()
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	now := g.Now().UTC()
	_, err = g.Store.Add(ctx, outbox.Entry{
		ID: entry, MessageID: id, Direction: filter.Outbound, Listener: "postern", Backend: pool,
		From: from, To: []filter.Recipient{{Address: to, Backend: pool}}, Size: body.Size(), SHA256: body.SHA256(),
		Received: now, Added: now, Next: now, Expires: now.Add(time.Duration(c.Relay.OutboxFor)), Origin: origin,
	}, bytes.NewReader(message))
	if err == nil {
		g.Wake()
	}
	return err
}
