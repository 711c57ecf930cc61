package relay

import (
	"context"
	"fmt"

	"postern/filter"
	"postern/internal/relay/keys"
	"postern/internal/relay/outbox"
	"postern/internal/relay/told"
	"postern/internal/relay/transaction"
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
	g := &group{Group: transaction.Group{Pool: e.Backend, Block: e.Block, Message: m, Verdict: e.Verdict}}
	for _, to := range e.To {
		g.add(&part{Copy: transaction.Copy{To: to}, verdict: e.Verdict})
	}
	var err error
	if g.Eight, err = transaction.EightBit(m); err != nil {
		r.log().Error("outbox body unreadable", "entry", e.ID, "error", err)
		g.Answer(told.Trouble(m, "4.3.0", "internal fault, try again later"))
	} else {
		r.attempt(ctx, g)
	}
	out := make([]outbox.Result, len(g.parts))
	for i, p := range g.parts {
		out[i] = outbox.Result{Reply: told.Line(p.Reply), Done: p.Reply.OK(), Refused: p.Reply.Permanent(), Ambiguous: p.Unsure}
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
		r.transactions().Begin(before, &g.Group, nil)
		if !g.Waits() {
			return nil
		}
		return g.Body(before)
	})
	if err != nil {
		r.log().Warn("backend failed", "message", g.Message.ID, "pool", g.Pool, "error", err)
		g.Abort(ctx)
		for _, p := range g.parts {
			if p.Reply.Code == 0 {
				p.Reply = told.Error(err)
			}
		}
		return
	}
	if !g.Waits() {
		return
	}
	after, cancelEnd := context.WithTimeout(context.WithoutCancel(ctx), pick(r.Limits.After, DefaultAfter))
	defer cancelEnd()
	if err := step(func(g *group) error { return g.End(after) }); err != nil {
		r.log().Warn("connection lost after the final dot", "message", g.Message.ID, "pool", g.Pool, "error", err)
	}
	g.Lost()
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
