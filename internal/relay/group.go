package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"postern/filter"
	"postern/internal/relay/client"
	"postern/internal/relay/told"
)

// part is one recipient's copy on its way.
type part struct {
	to      filter.Recipient
	verdict filter.Verdict
	m       *filter.Message // what it is sent: the message as it came, or without some parts
	way     way
	reply   client.Reply // the answer that decides it, Code 0 while there is none
	taken   bool         // the server behind took the recipient before the body
	unsure  bool         // the connection was lost after the final dot
	hold    string       // hold or outbox ID
	state   filter.FateState
}

// way is what is to be done with a part.
type way uint8

const (
	wayDeliver way = iota
	wayHold
	wayRefuse
	waySettled // held by an earlier try of the same mail
	wayTake    // for the abuse desk
)

// group is one transaction: recipients with the same backend, header block and body.
type group struct {
	pool    string
	block   []byte
	m       *filter.Message
	eight   bool // m holds bytes above 127
	parts   []*part
	body    io.Reader
	conn    Conn // nil unless at 354
	release func(reuse bool)
}

// inTransaction runs f for every group side by side. A panic in one is a lost connection.
func (r *Relay) inTransaction(groups []*group, f func(g *group) error) []error {
	errs := make([]error, len(groups))
	var wg sync.WaitGroup
	for i, g := range groups {
		wg.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					r.log().Error("relay panicked", "pool", g.pool, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
					errs[i] = fmt.Errorf("panic: %v", v)
				}
			}()
			errs[i] = f(g)
		})
	}
	wg.Wait()
	return errs
}

// begin takes a group to 354 or to its refusal: afterwards each part is taken or has a reply.
func (r *Relay) begin(ctx context.Context, g *group, login Login) {
	m := g.m
	body, size, err := r.Stamper.Open(g.block, m)
	if err != nil {
		r.log().Error("message unreadable", "message", m.ID, "error", err)
		g.answer(told.Trouble(m, "4.3.0", "internal fault, try again later"))
		return
	}
	g.body = body
	e := client.Envelope{From: m.From, Size: size, UTF8: m.SMTPUTF8, EightBit: g.eight, Client: m.Client, Account: m.Account, ID: m.ID}
	for _, p := range g.parts {
		e.To = append(e.To, p.to.Address)
	}
	conn, begun, release, err := r.open(ctx, g.pool, login, e)
	if err != nil {
		r.log().Warn("backend failed", "message", m.ID, "pool", g.pool, "error", err)
		g.answer(told.Error(err))
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

func (r *Relay) open(ctx context.Context, pool string, login Login, e client.Envelope) (Conn, client.Begun, func(bool), error) {
	if login == nil {
		return r.Backends.Begin(ctx, pool, e)
	}
	begun, err := login.Begin(ctx, e)
	return login, begun, func(bool) {}, err // the session owns the connection
}

// read notes what the server said to each recipient and reports whether it waits for a body.
func (g *group) read(b client.Begun) bool {
	if !b.Mail.OK() || len(b.Rcpt) != len(g.parts) {
		refusal := b.Mail
		if refusal.OK() { // an answer for every recipient is the least of a protocol
			refusal = client.Reply{}
		}
		g.answer(told.Answer(refusal))
		return false
	}
	any := false
	for i, p := range g.parts {
		p.taken = b.Rcpt[i].OK()
		any = any || p.taken
		if !p.taken {
			p.reply = told.Answer(b.Rcpt[i])
		}
	}
	if any && b.OK() {
		return true
	}
	for _, p := range g.parts {
		if p.taken {
			p.taken, p.reply = false, refused(b.Data)
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

// answer gives all parts the same reply.
func (g *group) answer(reply client.Reply) {
	for _, p := range g.parts {
		p.taken, p.reply = false, reply
	}
}

// abort gives an open transaction up; nothing is delivered.
func (g *group) abort(ctx context.Context) {
	if g.conn != nil {
		g.conn.Abort(ctx)
		g.release(false)
		g.conn = nil
	}
}

// end sends the final dot and notes the answers. Past the dot an answer that cannot be read
// leaves it open whether the server has the message.
func (g *group) end(ctx context.Context) error {
	replies, err := g.conn.End(ctx)
	g.release(err == nil)
	g.conn = nil
	i := 0
	one := err == nil && len(replies) == 1
	for _, p := range g.parts {
		if !p.taken {
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
func (p *part) settle(got client.Reply) {
	if c := got.Code / 100; c == 2 || c == 4 || c == 5 {
		p.reply = told.Answer(got)
		return
	}
	p.unsure = true
	p.reply = client.Reply{Code: 451, Enhanced: "4.4.2", Text: "the server behind did not answer in time, try again later"}
}

// lost marks the parts whose final dot got no answer at all.
func (g *group) lost() {
	for _, p := range g.parts {
		if p.taken && p.reply.Code == 0 {
			p.settle(client.Reply{})
		}
	}
}

// eightBit reports whether the message holds bytes above 127.
func eightBit(m *filter.Message) (bool, error) {
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
