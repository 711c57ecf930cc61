// Package transaction takes one message to one server behind, for the recipients that share a
// header block and a body, and notes what that server said to each.
package transaction

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"postern/filter"
	"postern/internal/relay/client"
	"postern/internal/relay/told"
)

// Conn is a transaction that a server behind has brought to 354; *client.Conn is one.
type Conn interface {
	// Body sends the message without the final dot.
	Body(ctx context.Context, r io.Reader) error
	// End sends the final dot. One reply, or one per recipient taken (LMTP); an error means
	// that it is unknown whether the server has the message.
	End(ctx context.Context) ([]client.Reply, error)
	// Abort ends the transaction so that nothing is delivered.
	Abort(ctx context.Context)
}

// Backends begins transactions on the servers behind.
type Backends interface {
	// Begin takes a transaction to 354 or to its refusal. When err is nil the caller calls
	// release once; reuse says that the transaction ended as it should. An error that is a
	// *client.Error carries the public reply.
	Begin(ctx context.Context, pool string, e client.Envelope) (c Conn, b client.Begun, release func(reuse bool), err error)
}

// Login is the connection an authenticated client's message is relayed on; *client.Conn is
// one.
type Login interface {
	Conn
	Begin(ctx context.Context, e client.Envelope) (client.Begun, error)
}

// Stamper writes what goes out.
type Stamper interface {
	// Open is what goes out: the block and the body without forged copies of our fields.
	Open(block []byte, m *filter.Message) (r io.Reader, size int64, err error)
}

// Copy is one recipient's copy in a transaction.
type Copy struct {
	To     filter.Recipient
	Reply  client.Reply // the answer that decides it, Code 0 while there is none
	Taken  bool         // the server behind took the recipient before the body
	Unsure bool         // the connection was lost after the final dot
}

// Group is one transaction: recipients with the same backend, header block and body.
type Group struct {
	Pool    string
	Block   []byte
	Message *filter.Message
	Eight   bool // Message holds bytes above 127
	Verdict filter.Verdict
	Copies  []*Copy

	body    io.Reader
	conn    Conn // nil unless at 354
	release func(reuse bool)
}

// Parts are what transactions work with.
type Parts struct {
	Backends Backends
	Stamper  Stamper
	Log      *slog.Logger
}

// Waits reports whether the server waits for the body or the final dot.
func (g *Group) Waits() bool { return g.conn != nil }

// Body sends the message without the final dot.
func (g *Group) Body(ctx context.Context) error { return g.conn.Body(ctx, g.body) }

// Begin takes a group to 354 or to its refusal: afterwards each copy is taken or has a reply.
func (r Parts) Begin(ctx context.Context, g *Group, login Login) {
	m := g.Message
	body, size, err := r.Stamper.Open(g.Block, m)
	if err != nil {
		r.Log.Error("message unreadable", "message", m.ID, "error", err)
		g.Answer(told.Trouble(m, "4.3.0", "internal fault, try again later"))
		return
	}
	g.body = body
	e := client.Envelope{From: m.From, Size: size, UTF8: m.SMTPUTF8, EightBit: g.Eight, Client: m.Client, Account: m.Account, ID: m.ID, Verdict: g.Verdict}
	for _, p := range g.Copies {
		e.To = append(e.To, p.To.Address)
	}
	conn, begun, release, err := r.open(ctx, g.Pool, login, e)
	if err != nil {
		r.Log.Warn("backend failed", "message", m.ID, "pool", g.Pool, "error", err)
		g.Answer(told.Error(err))
		return
	}
	if !g.read(begun) {
		if begun.OK() {
			conn.Abort(ctx)
		}
		release(!begun.OK())
		return
	}
	g.conn, g.release = conn, release
}

func (r Parts) open(ctx context.Context, pool string, login Login, e client.Envelope) (Conn, client.Begun, func(bool), error) {
	if login == nil {
		return r.Backends.Begin(ctx, pool, e)
	}
	begun, err := login.Begin(ctx, e)
	return login, begun, func(bool) {}, err // the session owns the connection
}

// read notes what the server said to each recipient and reports whether it waits for a body.
func (g *Group) read(b client.Begun) bool {
	if !b.Mail.OK() || len(b.Rcpt) != len(g.Copies) {
		refusal := b.Mail
		if refusal.OK() { // an answer for every recipient is the least of a protocol
			refusal = client.Reply{}
		}
		g.Answer(told.Answer(refusal))
		return false
	}
	any := false
	for i, p := range g.Copies {
		p.Taken = b.Rcpt[i].OK()
		any = any || p.Taken
		if !p.Taken {
			p.Reply = told.Answer(b.Rcpt[i])
		}
	}
	if any && b.OK() {
		return true
	}
	for _, p := range g.Copies {
		if p.Taken {
			p.Taken, p.Reply = false, refused(b.Data)
		}
	}
	return false
}

// refused is a reply that must be a refusal: one that is not is a fault of the server.
func refused(r client.Reply) client.Reply {
	if r.OK() {
		r = client.Reply{}
	}
	return told.Answer(r)
}

// Answer gives all copies the same reply.
func (g *Group) Answer(reply client.Reply) {
	for _, p := range g.Copies {
		p.Taken, p.Reply = false, reply
	}
}

// Abort gives an open transaction up; nothing is delivered.
func (g *Group) Abort(ctx context.Context) {
	if g.conn != nil {
		g.conn.Abort(ctx)
		g.release(false)
		g.conn = nil
	}
}

// End sends the final dot and notes the answers. Past the dot an answer that cannot be read
// leaves it open whether the server has the message.
func (g *Group) End(ctx context.Context) error {
	replies, err := g.conn.End(ctx)
	g.release(err == nil)
	g.conn = nil
	i := 0
	one := err == nil && len(replies) == 1
	for _, p := range g.Copies {
		if !p.Taken {
			continue
		}
		var got client.Reply
		switch {
		case one:
			got = replies[0]
		case i < len(replies):
			got = replies[i]
		}
		i++
		p.settle(got)
	}
	return err
}

// settle takes the answer to the final dot.
func (p *Copy) settle(got client.Reply) {
	if c := got.Code / 100; c == 2 || c == 4 || c == 5 {
		p.Reply = told.Answer(got)
		return
	}
	p.Unsure = true
	p.Reply = client.Reply{Code: 451, Enhanced: "4.4.2", Text: "the server behind did not answer in time, try again later"}
}

// Lost marks the copies whose final dot got no answer at all.
func (g *Group) Lost() {
	for _, p := range g.Copies {
		if p.Taken && p.Reply.Code == 0 {
			p.settle(client.Reply{})
		}
	}
}

// EightBit reports whether the message holds bytes above 127.
func EightBit(m *filter.Message) (bool, error) {
	buf := make([]byte, 8<<10)
	for r := m.Open(); ; {
		n, err := r.Read(buf)
		for _, c := range buf[:n] {
			if c >= 0x80 {
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("body: %w", err)
		}
	}
}
