package relay

import (
	"postern/filter"
	"postern/internal/relay/transaction"
)

// bodies finds what each recipient is sent. A verdict that wants parts left out and comes
// without the message that lacks them is held: what is infected never goes out. The one
// transaction of a login has one body; where its recipients would be sent different ones,
// those that would not get the message as it came are held.
func (c *course) bodies() {
	for i, p := range c.parts {
		if p.way != wayDeliver {
			continue
		}
		if i < len(c.job.Bodies) && c.job.Bodies[i] != nil {
			p.m = c.job.Bodies[i]
		}
		if len(p.verdict.Strip) > 0 && !c.stripped(p) {
			c.log().Error("no message without the parts to be stripped", "message", c.m.ID, "recipient", p.To.Address)
			c.keepBack(i)
		}
	}
	if c.job.Login == nil {
		return
	}
	own := func(p *part) bool { return p.way == wayDeliver && p.To.Backend != InboxBackend }
	deliver := c.some(own)
	for _, p := range deliver {
		if p.m == deliver[0].m {
			continue
		}
		c.log().Error("one submission, several bodies", "message", c.m.ID)
		for i, p := range c.parts {
			if own(p) && c.stripped(p) {
				c.keepBack(i)
			}
		}
		return
	}
}

// keepBack makes a hold of the message as it came out of a delivery.
func (c *course) keepBack(i int) {
	p, v := c.parts[i], &c.job.Verdicts[i]
	v.Action, v.Strip = filter.Quarantine, nil
	p.way, p.m, p.verdict = wayHold, c.m, *v
}

// stripped reports whether p is sent something other than the message as it came.
func (c *course) stripped(p *part) bool { return p.m != c.m }

// groupKey is what the recipients of one transaction share.
type groupKey struct {
	pool, block string
	m           *filter.Message
}

// newGroups sorts what is to be delivered by backend, header block and body. An authenticated
// client's message goes over its own connection, as one.
func (c *course) newGroups() {
	found := map[groupKey]*group{}
	for _, p := range c.parts {
		if p.way != wayDeliver {
			continue
		}
		key := groupKey{m: p.m}
		if c.job.Login == nil || p.To.Backend == InboxBackend {
			key.pool, key.block = p.To.Backend, string(c.Stamper.Block(p.m, p.verdict, c.job.Report, nil))
		}
		g := found[key]
		if g == nil {
			g = &group{Group: transaction.Group{Pool: p.To.Backend, Message: p.m}}
			found[key] = g
			c.groups = append(c.groups, g)
		}
		g.add(p)
	}
	for _, g := range c.groups {
		to := make([]string, len(g.parts))
		for i, p := range g.parts {
			to[i] = p.To.Address
		}
		g.Verdict = g.parts[0].verdict
		g.Block = c.Stamper.Block(g.Message, g.parts[0].verdict, c.job.Report, to)
	}
}

// eightBit looks once at the bytes of each body.
func (c *course) eightBit() error {
	known := map[*filter.Message]bool{}
	for _, g := range c.groups {
		eight, ok := known[g.Message]
		if !ok {
			var err error
			if eight, err = transaction.EightBit(g.Message); err != nil {
				return err
			}
			known[g.Message] = eight
		}
		g.Eight = eight
	}
	return nil
}
