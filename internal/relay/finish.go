package relay

import (
	"context"
	"fmt"

	"postern/filter"
	"postern/internal/relay/client"
	"postern/internal/relay/keys"
	"postern/internal/relay/outbox"
	"postern/internal/relay/told"
)

// provisional is (b): what will not be delivered is written and synced before any final dot,
// each kind in its class.
func (c *course) provisional(ctx context.Context) error {
	for _, p := range c.parts {
		class := ""
		switch {
		case p.way == wayHold:
			class = ClassQuarantine
		case p.way == wayRefuse:
			class = ClassRejectedBeside
		case p.way == wayDeliver && !p.Taken:
			class = ClassBackendRefused
		default:
			continue
		}
		if err := c.hold(ctx, p, class); err != nil {
			return err
		}
	}
	if err := c.take(ctx); err != nil {
		return err
	}
	return c.keepEvidence(ctx)
}

func (c *course) hold(ctx context.Context, p *part, class string) error {
	h := HoldRequest{Message: p.m, Recipient: p.To, Verdict: p.verdict, Class: class, Key: keys.Hold(c.m, p.To.Address)}
	if class == ClassBackendRefused {
		h.Reply = told.Line(p.Reply)
	}
	id, err := c.Holds.Provisional(ctx, h)
	if err != nil {
		return fmt.Errorf("hold for %q: %w", p.To.Address, err)
	}
	p.hold = id
	c.holds = append(c.holds, id)
	return nil
}

// keepEvidence writes one copy of the message as it came when a verdict asks for one and no
// hold keeps those bytes for that recipient anyway. Beside a delivery that lacks parts of it
// the copy is a hold like any other: without it there is no 250. A copy of anything else never
// changes the answer.
func (c *course) keepEvidence(ctx context.Context) error {
	var of *part
	for _, p := range c.parts {
		if p.way == wayTake { // the report is the copy
			continue
		}
		if p.verdict.Keep && (p.hold == "" || c.stripped(p)) && (of == nil || c.stripped(p) && !c.stripped(of)) {
			of = p
		}
	}
	if of == nil {
		return nil
	}
	id, err := c.Holds.Provisional(ctx, HoldRequest{
		Message: c.m, Recipient: of.To, Verdict: of.verdict, Class: ClassEvidence, Key: keys.Evidence(c.m, of.To.Address),
	})
	switch {
	case err != nil && c.stripped(of):
		return fmt.Errorf("original for %q: %w", of.To.Address, err)
	case err != nil:
		c.log().Error("evidence not kept", "message", c.m.ID, "error", err)
		c.alert(ctx, "evidence", "an evidence copy could not be kept: see the log for message "+c.m.ID)
	case c.stripped(of):
		c.holds = append(c.holds, id)
	default:
		c.proof = id
	}
	return nil
}

func (c *course) confirmEvidence(ctx context.Context) {
	if c.proof == "" {
		return
	}
	if err := c.Holds.Confirm(ctx, []string{c.proof}); err != nil {
		c.log().Error("evidence not kept", "message", c.m.ID, "error", err)
	}
}

// drop gives the provisional holds up. What cannot be dropped ends by itself.
func (c *course) drop(ctx context.Context) {
	ids := c.holds
	if c.proof != "" {
		ids = append(ids, c.proof)
	}
	if len(ids) > 0 {
		if err := c.Holds.Drop(ctx, ids); err != nil {
			c.log().Warn("provisional holds not dropped", "message", c.m.ID, "error", err)
		}
	}
	c.dropReport(ctx)
	c.holds, c.proof = nil, ""
	for _, p := range c.parts {
		if p.way != waySettled {
			p.hold = ""
		}
	}
}

// finish is (c) and (d): all bodies are ended at once; what is left over when one server took
// the message goes to the outbox or becomes a hold; holds are confirmed; then comes the
// answer.
func (c *course) finish(ctx context.Context) string {
	c.endBodies(ctx)
	c.times.Relayed = c.now()
	var first *part
	for _, p := range c.parts {
		if p.way == wayDeliver && p.Reply.OK() {
			p.state = filter.Delivered
			if first == nil {
				first = p
			}
		}
	}
	if first == nil {
		if reply, stop := c.nobodyTook(ctx); stop {
			return reply
		}
	}
	if err := c.leftOver(ctx); err != nil {
		c.log().Error("left over mail not stored", "message", c.m.ID, "error", err)
		return c.tookButLost(ctx)
	}
	if len(c.holds) > 0 {
		if err := c.confirm(ctx, first != nil); err != nil {
			c.log().Error("holds not confirmed", "message", c.m.ID, "error", err)
			return c.tookButLost(ctx)
		}
	}
	if err := c.confirmReport(ctx); err != nil {
		c.log().Error("report not confirmed", "message", c.m.ID, "error", err)
		return c.tookButLost(ctx)
	}
	c.confirmEvidence(ctx)
	return c.success(ctx, first)
}

// confirm makes the holds real. Where a server took the message for others, one who stands for
// them for now is as good: were the message to come again, it would arrive there twice.
func (c *course) confirm(ctx context.Context, took bool) error {
	err := c.Holds.Confirm(ctx, c.holds)
	if err == nil || !took {
		return err
	}
	if p, ok := c.Holds.(Promiser); ok && p.Promise(ctx, c.holds) == nil {
		c.log().Warn("holds are promised and not confirmed yet", "message", c.m.ID, "error", err)
		return nil
	}
	return err
}

func (c *course) endBodies(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pick(c.Limits.After, DefaultAfter))
	defer cancel()
	groups := c.open()
	errs := c.inTransaction(groups, func(g *group) error { return g.End(ctx) })
	for i, g := range groups {
		g.Lost()
		if errs[i] != nil {
			c.log().Warn("connection lost after the final dot", "message", c.m.ID, "pool", g.Pool, "error", errs[i])
		}
	}
}

// nobodyTook ends a message that no server took: a 4xx of any goes to the sender, else the
// 5xx. Beside a copy that is held since an earlier try, or that the abuse desk has, a 5xx
// would be a lie: those become holds too.
func (c *course) nobodyTook(ctx context.Context) (reply string, stop bool) {
	deliver := c.some(func(p *part) bool { return p.way == wayDeliver })
	if len(deliver) == 0 {
		return "", false
	}
	for _, p := range deliver {
		if p.Reply.Temporary() {
			c.drop(ctx)
			return c.deferAll(p.Reply), true
		}
	}
	if c.kept() {
		return "", false
	}
	c.drop(ctx)
	return c.rejectAll(deliver[0].Reply), true
}

// leftOver puts what got a 4xx after the dot into the outbox, one entry a group, and makes
// holds of what got a 5xx.
func (c *course) leftOver(ctx context.Context) error {
	for _, p := range c.parts {
		if p.way == wayDeliver && p.hold == "" && p.Reply.Permanent() {
			if err := c.hold(ctx, p, ClassBackendRefused); err != nil {
				return err
			}
		}
	}
	for _, g := range c.groups {
		e := c.entry(g)
		if len(e.To) == 0 {
			continue
		}
		id, err := c.Outbox.Add(ctx, e, g.Message.Open())
		if err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
		for _, p := range g.parts {
			if p.Reply.Temporary() {
				p.state, p.hold = filter.InOutbox, id
			}
		}
		if c.Wake != nil {
			c.Wake()
		}
	}
	return nil
}

// entry is what a group leaves over.
func (c *course) entry(g *group) outbox.Entry {
	now := c.now()
	e := outbox.Entry{
		MessageID: c.m.ID, Direction: c.m.Direction, Listener: c.m.Listener, Backend: g.Pool, From: c.m.From,
		SMTPUTF8: c.m.SMTPUTF8, Client: c.m.Client, Account: c.m.Account, Verdict: g.parts[0].verdict, Block: g.Block,
		Size: g.Message.Size, SHA256: g.Message.SHA256, Received: c.m.Time, Added: now, Next: now.Add(outbox.Backoff(1)),
		Expires: now.Add(pick(c.Limits.Keep, DefaultKeep)), Attempts: 1, Origin: outbox.OriginRelay,
	}
	for _, p := range g.parts {
		if p.Reply.Temporary() {
			e.To = append(e.To, p.To)
			e.LastReply = told.Line(p.Reply)
			e.Ambiguous = e.Ambiguous || p.Unsure
		}
	}
	return e
}

// tookButLost is the answer when a server took the message for some and the rest cannot be
// kept: the sender comes again, a duplicate rather than a loss.
func (c *course) tookButLost(ctx context.Context) string {
	c.drop(ctx)
	reply := told.Trouble(c.m, "4.3.0", "the message cannot be stored now, try again later")
	for _, p := range c.parts {
		if p.state != filter.Delivered && p.state != filter.InOutbox && p.way != waySettled {
			p.state, p.Reply = filter.Deferred, reply
		}
	}
	return told.Line(reply)
}

// success tells what happened: a server's own words where one took the message, else where it
// is held.
func (c *course) success(ctx context.Context, first *part) string {
	id := ""
	for _, p := range c.parts {
		switch {
		case p.way == waySettled:
		case p.way == wayTake:
			p.state, p.Reply = filter.Delivered, takenReply(c.report)
		case p.state == "":
			p.state = filter.Held
			if p.way == wayDeliver {
				c.alert(ctx, "backend-refused", fmt.Sprintf("hold %s: %s was refused by backend %s after another took it: %s", p.hold, p.To.Address, p.To.Backend, told.Line(p.Reply)))
			}
		}
		if id == "" && p.state == filter.Held {
			id = p.hold
		}
		if p.state == filter.Held && p.Reply.Code == 0 {
			p.Reply = heldReply(p.hold)
		}
	}
	if first != nil {
		return told.Line(first.Reply)
	}
	if id == "" && c.report != "" {
		return told.Line(takenReply(c.report))
	}
	return told.Line(heldReply(id))
}

func heldReply(id string) client.Reply {
	return client.Reply{Code: 250, Enhanced: "2.0.0", Text: "held for review, id " + id}
}
