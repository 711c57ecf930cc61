package relay

import (
	"context"
	"fmt"

	"postern/filter"
	"postern/internal/relay/keys"
	"postern/internal/relay/outbox"
	"postern/internal/relay/told"
)

// messageOf is the message an outbox entry was made of.
func messageOf(e outbox.Entry, body outbox.Body) *filter.Message {
	return &filter.Message{
		ID: e.MessageID, Time: e.Received, Direction: e.Direction, Listener: e.Listener, Client: e.Client, Account: e.Account,
		From: e.From, To: e.To, SMTPUTF8: e.SMTPUTF8, Body: body, Size: body.Size(), SHA256: e.SHA256,
	}
}

// Send is one try to deliver an outbox entry; it implements outbox.Courier.
func (r *Relay) Send(ctx context.Context, e outbox.Entry, body outbox.Body) []outbox.Result {
	m := messageOf(e, body)
	g := &group{pool: e.Backend, block: e.Block, m: m}
	for _, to := range e.To {
		g.parts = append(g.parts, &part{to: to, verdict: e.Verdict})
	}
	var err error
	if g.eight, err = eightBit(m); err != nil {
		r.log().Error("outbox body unreadable", "entry", e.ID, "error", err)
		g.answer(told.Trouble(m, "4.3.0", "internal fault, try again later"))
	} else {
		r.attempt(ctx, g)
	}
	out := make([]outbox.Result, len(g.parts))
	for i, p := range g.parts {
		out[i] = outbox.Result{Reply: told.Line(p.reply), Done: p.reply.OK(), Refused: p.reply.Permanent(), Ambiguous: p.unsure}
	}
	return out
}

// attempt is one whole transaction; afterwards each part has a reply.
func (r *Relay) attempt(ctx context.Context, g *group) {
	before, cancel := context.WithTimeout(ctx, pick(r.Limits.Before, DefaultBefore))
	defer cancel()
	one := []*group{g}
	step := func(f func(g *group) error) error { return r.inTransaction(one, f)[0] }
	err := step(func(g *group) error {
		r.begin(before, g, nil)
		if g.conn == nil {
			return nil
		}
		return g.conn.Body(before, g.body)
	})
	if err != nil {
		r.log().Warn("backend failed", "message", g.m.ID, "pool", g.pool, "error", err)
		g.abort(ctx)
		for _, p := range g.parts {
			if p.reply.Code == 0 {
				p.reply = told.Error(err)
			}
		}
		return
	}
	if g.conn == nil {
		return
	}
	after, cancelEnd := context.WithTimeout(context.WithoutCancel(ctx), pick(r.Limits.After, DefaultAfter))
	defer cancelEnd()
	if err := step(func(g *group) error { return g.end(after) }); err != nil {
		r.log().Warn("connection lost after the final dot", "message", g.m.ID, "pool", g.pool, "error", err)
	}
	g.lost()
}

// Kept finds the hold an earlier, interrupted Refuse of this entry made; it implements
// outbox.Courier.
func (r *Relay) Kept(ctx context.Context, e outbox.Entry, to filter.Recipient) (id string, ok bool, err error) {
	return r.Holds.Ended(ctx, keys.Entry(e.ID, to.Address))
}

// Refuse keeps one recipient's copy of an entry that cannot be delivered as a hold, and says
// so; it implements outbox.Courier.
func (r *Relay) Refuse(ctx context.Context, e outbox.Entry, to filter.Recipient, reply string, body outbox.Body) (string, error) {
	id, err := r.Holds.Provisional(ctx, HoldRequest{
		Message: messageOf(e, body), Recipient: to, Verdict: e.Verdict, Class: ClassBackendRefused, Key: keys.Entry(e.ID, to.Address), Reply: reply,
	})
	if err != nil {
		return "", fmt.Errorf("hold for %q: %w", to.Address, err)
	}
	if err := r.Holds.Confirm(ctx, []string{id}); err != nil {
		return "", fmt.Errorf("hold for %q: %w", to.Address, err)
	}
	r.alert(ctx, "backend-refused", fmt.Sprintf("hold %s: %s could not be delivered to backend %s: %s", id, to.Address, e.Backend, told.Plain(reply)))
	return id, nil
}
