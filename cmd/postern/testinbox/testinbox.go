// Package testinbox puts the test inbox beside the servers behind: mail of its domains is
// kept instead of relayed, and read by calls.
package testinbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"postern/filter"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/inbox"
	"postern/internal/mime"
	"postern/internal/relay"
	"postern/internal/relay/client"
)

// Parts are what the inbox is made of.
type Parts struct {
	Config   *atomic.Pointer[config.Config]
	Entities entity.Home
	Now      func() time.Time
	Random   io.Reader
	Log      *slog.Logger
}

// Inbox is the test inbox in front of the servers behind.
type Inbox struct {
	*inbox.Box
	relay.Backends // of all other mail
}

// New makes it, in front of those that mail goes to otherwise.
func (p Parts) New(behind relay.Backends) *Inbox {
	return &Inbox{Backends: behind, Box: (&inbox.Box{
		Home: p.Entities, Node: p.Config.Load().Hostname, Now: p.Now, Random: p.Random, Log: p.Log,
		Has: func(domain string) bool { return p.Config.Load().TestInbox.Has(domain) },
		Limits: func() inbox.Limits {
			c := p.Config.Load().TestInbox
			return inbox.Limits{Messages: c.Messages, Bytes: int64(c.Bytes), Keep: time.Duration(c.Keep)}
		},
	}).Open()}
}

// Begin implements relay.Backends.
func (i *Inbox) Begin(ctx context.Context, pool string, e client.Envelope) (relay.Conn, client.Begun, func(bool), error) {
	if pool != relay.InboxBackend {
		return i.Backends.Begin(ctx, pool, e)
	}
	if !i.Fits(e.Size) {
		return nil, client.Begun{Mail: client.Reply{Code: 552, Enhanced: "5.3.4", Text: "the message is larger than the test inbox"}}, func(bool) {}, nil
	}
	begun := client.Begun{Mail: fine, Data: client.Reply{Code: 354, Text: "go on"}}
	for range e.To {
		begun.Rcpt = append(begun.Rcpt, fine)
	}
	return &conn{box: i.Box, e: e}, begun, func(bool) {}, nil
}

var fine = client.Reply{Code: 250, Enhanced: "2.0.0", Text: "ok"}

// conn is one message on its way into the inbox.
type conn struct {
	box     *inbox.Box
	e       client.Envelope
	sum     string // of the bytes; "" = none are kept
	size    int64
	subject string
}

// head is how much of a message is looked at for its subject.
const head = 64 << 10

// Body keeps the bytes; nobody sees them yet.
func (c *conn) Body(ctx context.Context, r io.Reader) (err error) {
	var start front
	c.sum, c.size, err = c.box.Put(ctx, c.e.Size, io.TeeReader(r, &start))
	if err != nil {
		return fmt.Errorf("test inbox: %w", err)
	}
	if t, err := mime.Walk(bytes.NewReader(start.b), int64(len(start.b)), mime.DefaultLimits()); err == nil {
		c.subject = t.Subject()
	}
	return nil
}

// End makes a message of the bytes.
func (c *conn) End(ctx context.Context) ([]client.Reply, error) {
	m, err := c.box.Add(ctx, inbox.Message{
		Reference: c.e.ID, From: c.e.From, To: c.e.To, Subject: c.subject, Size: c.size, SHA256: c.sum,
		Client: clientOf(c.e.Client, c.e.Account),
	}, c.e.Verdict)
	if err != nil {
		return nil, fmt.Errorf("test inbox: %w", err)
	}
	return []client.Reply{{Code: 250, Enhanced: "2.0.0", Text: "kept in the test inbox, id " + m.ID}}, nil
}

func clientOf(c filter.Client, account string) inbox.Client {
	out := inbox.Client{Name: c.Name, Helo: c.Helo, TLS: c.TLS.Version, Account: account}
	if c.IP.IsValid() {
		out.IP = c.IP.String()
	}
	return out
}

// Abort forgets the bytes.
func (c *conn) Abort(ctx context.Context) {
	if c.sum == "" {
		return
	}
	if err := c.box.Forget(context.WithoutCancel(ctx), c.sum); err != nil {
		c.box.Log.Warn("test inbox", "err", err) // it is forgotten later
	}
}

// front is the start of what is written to it.
type front struct{ b []byte }

// Write implements io.Writer.
func (f *front) Write(p []byte) (int, error) {
	f.b = append(f.b, p[:min(len(p), head-len(f.b))]...)
	return len(p), nil
}
