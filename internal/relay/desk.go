package relay

import (
	"context"
	"errors"
	"fmt"

	"postern/internal/relay/client"
	"postern/internal/relay/keys"
	"postern/internal/relay/told"
)

// take writes what is for the abuse desk, once for all of its addresses: like a hold it is
// synced before any final dot, and made real when the answer is known to be 250.
func (c *course) take(ctx context.Context) error {
	var to []string
	for _, p := range c.parts {
		if p.way == wayTake {
			to = append(to, p.To.Address)
		}
	}
	if len(to) == 0 {
		return nil
	}
	if c.Desk == nil {
		return errors.New("there is no abuse desk")
	}
	id, err := c.Desk.Provisional(ctx, DeskRequest{Message: c.m, Report: c.job.Report, To: to, Key: keys.Report(c.m, to), Alone: len(to) == len(c.parts)})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	c.report = id
	return nil
}

func (c *course) confirmReport(ctx context.Context) error {
	if c.report == "" {
		return nil
	}
	return c.Desk.Confirm(ctx, c.report)
}

func (c *course) dropReport(ctx context.Context) {
	if c.report == "" {
		return
	}
	if err := c.Desk.Drop(ctx, c.report); err != nil {
		c.log().Warn("provisional report not dropped", "message", c.m.ID, "error", err)
	}
	c.report = ""
}

// noRoom is the answer where something cannot be kept.
func (c *course) noRoom(err error) client.Reply {
	if errors.Is(err, ErrDeskFull) {
		return client.Reply{Code: 452, Enhanced: "4.3.1", Text: "the abuse desk has no room for another report now, try again later" + told.Ref(c.m)}
	}
	return told.Trouble(c.m, "4.3.0", "the message cannot be stored now, try again later")
}

func takenReply(id string) client.Reply {
	return client.Reply{Code: 250, Enhanced: "2.0.0", Text: "taken by the abuse desk, report " + id}
}
