package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/internal/address"
	"postern/internal/alert"
	"postern/internal/mime"
	"postern/internal/relay/client"
	"postern/internal/relay/outbox"
	"postern/quarantine"
)

func (g *Gateway) buildQuarantine(context.Context) error {
	c := g.cfg.Load()
	g.quarantine = quarantine.New(quarantine.Config{
		Store: g.home.Holds(), Spool: g.spool, Node: c.Hostname, Cap: int64(c.Quarantine.Cap),
		Keep: func(policy string) time.Duration {
			p, _ := g.rules.Load().Policy(policy)
			return time.Duration(p.KeepDays) * 24 * time.Hour
		},
		Beside: time.Duration(c.Quarantine.RejectedBeside), Evidence: time.Duration(c.Quarantine.Evidence),
		Now: g.now, Subject: subject, AV: g.avVersion, Rescan: g.rescan, Send: g.sendHold, Log: g.log,
		Audit: func(ctx context.Context, e quarantine.Event) error {
			return g.audit.Write(ctx, e.Actor, e.Action, e.Object, e.Before, e.After, e.Note)
		},
		Warn: g.quarantineLevel,
		Jumped: func(expected, now time.Time) {
			g.alerts.Raise("clock", alert.Critical, "the clock jumped: nothing expires until it is right",
				fmt.Sprintf("expected about %s, it says %s", expected.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
		},
	})
	return nil
}

func (g *Gateway) quarantineLevel(u quarantine.Usage) {
	switch u.Level {
	case quarantine.Roomy:
		g.alerts.Clear("quarantine")
	case quarantine.Full:
		g.alerts.Raise("quarantine-full", alert.Critical, "the quarantine is full: mail that must be held gets 451", usage(u))
	default:
		g.alerts.Clear("quarantine-full")
		g.alerts.Raise("quarantine", alert.Warning, "the quarantine is over 80 % full", usage(u))
	}
}

func usage(u quarantine.Usage) string { return fmt.Sprintf("%d of %d bytes", u.Bytes, u.Cap) }

// subject is the decoded Subject of a message, "" where it cannot be read.
func subject(m *filter.Message) string {
	if m.Parts == nil {
		return ""
	}
	t, err := m.Parts()
	if err != nil {
		return ""
	}
	return t.Subject()
}

func (g *Gateway) avVersion() string {
	if g.scanner == nil {
		return ""
	}
	return g.scanner.Version()
}

// rescan looks for viruses again before a release; without a scanner there is none to ask.
func (g *Gateway) rescan(ctx context.Context, h quarantine.Hold, body io.ReaderAt) (quarantine.ScanResult, error) {
	if g.scanner == nil {
		return quarantine.ScanResult{}, nil
	}
	if g.opt.Passive {
		if err := g.scanner.Probe(ctx); err != nil {
			return quarantine.ScanResult{}, err
		}
	}
	r, err := g.scanner.Scan(ctx, body, h.Size)
	if err != nil || r.Signature == "" {
		return quarantine.ScanResult{}, err
	}
	return quarantine.ScanResult{Infected: true, Name: r.Signature}, nil
}

// sendHold hands a released hold to its backend with a block that says so.
func (g *Gateway) sendHold(ctx context.Context, h quarantine.Hold, body io.ReaderAt) (string, error) {
	m := messageOf(h, body)
	v := verdictOf(h)
	block := g.stamper.Block(m, v, filter.Report{}, h.To)
	r, size, err := g.stamper.Open(block, m)
	if err != nil {
		return "", err
	}
	e := client.Envelope{From: h.From, To: h.To, Size: size, UTF8: h.SMTPUTF8, EightBit: true, Client: m.Client, Account: h.Client.Account}
	conn, begun, release, err := g.pools.Begin(ctx, g.backendFor(h), e)
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
	replies, err := conn.End(ctx)
	release(err == nil)
	if err != nil {
		return "", &quarantine.SendError{Reply: "the server behind did not answer the end of the message", Err: err}
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
func (g *Gateway) backendFor(h quarantine.Hold) string {
	if h.Direction == filter.Inbound.String() && len(h.To) > 0 {
		if r, ok := glue.RouteFor(g.cfg.Load(), domainOf(h.To[0])); ok {
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

// submit puts a message of our own into the outbox: it is kept until it is delivered.
func (g *Gateway) submit(ctx context.Context, to string, message []byte) error {
	c := g.cfg.Load()
	pool := c.Alerts.Backend
	if pool == "" {
		pool = c.Egress
		if r, ok := glue.RouteFor(c, domainOf(to)); ok {
			pool = r.Backend
		}
	}
	if pool == "" {
		return fmt.Errorf("no route leads to %s", to)
	}
	id, err := filter.NewID(g.now(), g.opt.Random)
	if err != nil {
		return err
	}
	w := g.spool.New()
	if _, err := w.Write(message); err != nil {
		return err
	}
	body, err := w.Finish()
	if err != nil {
		return err
	}
	defer body.Close()
	now := g.now().UTC()
	_, err = g.home.Outbox().Add(ctx, outbox.Entry{
		MessageID: id, Direction: filter.Outbound, Listener: "postern", Backend: pool,
		To: []filter.Recipient{{Address: to, Backend: pool}}, Size: body.Size(), SHA256: body.SHA256(),
		Received: now, Added: now, Next: now, Expires: now.Add(time.Duration(c.Relay.OutboxFor)), Origin: "alert",
	}, bytes.NewReader(message))
	if err == nil && g.outbox != nil {
		g.outbox.Wake()
	}
	return err
}

// messageOf is the message of a hold as far as the header block needs it.
func messageOf(h quarantine.Hold, body io.ReaderAt) *filter.Message {
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

func domainOf(addr string) string { return address.DomainOf(addr) }
