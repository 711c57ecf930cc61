package glue

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync/atomic"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/config"
	"postern/internal/mime"
	"postern/internal/relay"
	"postern/internal/relay/client"
	"postern/internal/relay/handing"
	"postern/internal/stamp"
	"postern/quarantine"
)

// Releaser hands released holds to their backends.
type Releaser struct {
	Config  *atomic.Pointer[config.Config]
	Pools   relay.Backends
	Stamper *stamp.Stamper
	Sent    SendLog // of outbound mail; nil: nothing is written down
}

// SendLog writes down what is handed over, and how that ended.
type SendLog interface {
	handing.Log
	Settled(ctx context.Context, serial string, fates []filter.Fate) error
}

// Send hands a released hold to its backend with a block that says so.
func (g *Releaser) Send(ctx context.Context, h quarantine.Hold, body io.ReaderAt) (string, error) {
	m := MessageOf(h, body)
	v := verdictOf(h)
	block := g.Stamper.Block(m, v, filter.Report{}, h.To)
	r, size, err := g.Stamper.Open(block, m)
	if err != nil {
		return "", err
	}
	e := client.Envelope{From: h.From, To: h.To, Size: size, UTF8: h.SMTPUTF8, EightBit: true, Client: m.Client, Account: h.Client.Account}
	conn, begun, release, err := g.Pools.Begin(ctx, g.backendFor(h), e)
	if err != nil {
		return "", &quarantine.SendError{Reply: "the server behind cannot be reached", Err: err}
	}
	if !begun.OK() || refusedAny(begun) {
		conn.Abort(ctx)
		release(true)
		reply := firstRefusal(begun)
		return "", &quarantine.SendError{Reply: reply.String(), Permanent: reply.Code >= 500}
	}
	if err := conn.Body(ctx, r); err != nil {
		release(false)
		return "", &quarantine.SendError{Reply: "the connection to the server behind broke", Err: err}
	}
	if err := g.begin(ctx, m, v); err != nil {
		conn.Abort(ctx)
		release(false)
		return "", &quarantine.SendError{Reply: "the send log cannot be written", Err: err}
	}
	reply, err := g.end(ctx, conn, release)
	g.settle(ctx, m, reply, err)
	return reply, err
}

// begin writes down that an outbound hold is about to be handed over.
func (g *Releaser) begin(ctx context.Context, m *filter.Message, v filter.Verdict) error {
	if g.Sent == nil || m.Direction != filter.Outbound {
		return nil
	}
	o := handing.Over{Message: m}
	for _, to := range m.To {
		o.Copies = append(o.Copies, handing.Copy{Recipient: to.Address, Verdict: v, Body: m})
	}
	return g.Sent.Begin(ctx, o)
}

// settle writes down how that ended. A row that stays unsettled says that nobody knows.
func (g *Releaser) settle(ctx context.Context, m *filter.Message, reply string, err error) {
	if g.Sent == nil || m.Direction != filter.Outbound {
		return
	}
	f := filter.Fate{State: filter.Delivered, Reply: reply}
	var e *quarantine.SendError
	if errors.As(err, &e) {
		f.State, f.Reply, f.Ambiguous = filter.Held, e.Reply, e.Ambiguous
	} else if err != nil {
		f.State = filter.Held
	}
	fates := make([]filter.Fate, len(m.To))
	for i, to := range m.To {
		fates[i] = f
		fates[i].Recipient = to.Address
	}
	_ = g.Sent.Settled(context.WithoutCancel(ctx), m.ID, fates)
}

// end ends the body and reads the answers.
func (g *Releaser) end(ctx context.Context, conn relay.Conn, release func(bool)) (string, error) {
	replies, err := conn.End(ctx)
	release(err == nil)
	if err != nil {
		return "", &quarantine.SendError{Reply: "the server behind did not answer the end of the message", Ambiguous: true, Err: err}
	}
	for _, rep := range replies {
		if rep.Code/100 != 2 {
			return "", &quarantine.SendError{Reply: rep.String(), Permanent: rep.Code >= 500}
		}
	}
	if len(replies) == 0 {
		return "", errors.New("no answer to the end of the message")
	}
	return replies[0].String(), nil
}

// backendFor is the pool a hold goes to: the route of its recipient now, else the one it was
// held for.
func (g *Releaser) backendFor(h quarantine.Hold) string {
	if h.Direction == filter.Inbound.String() && len(h.To) > 0 {
		if r, ok := RouteFor(g.Config.Load(), address.DomainOf(h.To[0])); ok {
			return r.Backend
		}
	}
	return h.Backend
}

func refusedAny(b client.Begun) bool {
	for _, r := range b.Rcpt {
		if r.Code/100 != 2 {
			return true
		}
	}
	return false
}

func firstRefusal(b client.Begun) client.Reply {
	for _, r := range append(append([]client.Reply{b.Mail}, b.Rcpt...), b.Data) {
		if r.Code >= 400 {
			return r
		}
	}
	return b.Data
}

// MessageOf is the message of a hold as far as the header block needs it.
func MessageOf(h quarantine.Hold, body io.ReaderAt) *filter.Message {
	m := &filter.Message{
		ID: h.MessageID, Time: h.At, Listener: h.Listener, From: h.From, Account: h.Client.Account, SMTPUTF8: h.SMTPUTF8,
		Body: body, Size: h.Size, SHA256: h.SHA256, Client: clientOf(h.Client),
		Parts: func() (*mime.Tree, error) { return mime.Walk(body, h.Size, mime.DefaultLimits()) },
	}
	if h.Direction == filter.Outbound.String() {
		m.Direction = filter.Outbound
	}
	for _, to := range h.To {
		m.To = append(m.To, filter.Recipient{Address: to, Policy: h.Policy, Backend: h.Backend})
	}
	return m
}

func clientOf(c quarantine.Client) filter.Client {
	ip, _ := netip.ParseAddr(c.IP) // "" for mail of our own
	return filter.Client{IP: ip, Port: c.Port, Name: c.Name, Helo: c.Helo}
}

// verdictOf is the verdict that a released message shows: accepted, for the reasons it was
// held for.
func verdictOf(h quarantine.Hold) filter.Verdict {
	v := filter.Verdict{Action: filter.Accept, Policy: h.Policy, Rules: h.RulesRev, Score: h.Score}
	for _, r := range h.Reasons {
		v.Reasons = append(v.Reasons, filter.Reason{Symbol: r.Symbol, Score: r.Score, Describe: r.Describe, Detail: r.Detail})
	}
	for _, u := range h.Unchecked {
		v.Failures = append(v.Failures, filter.Failure{Step: u.Step, Reason: u.Reason})
	}
	return v
}
