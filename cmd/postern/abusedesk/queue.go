package abusedesk

import "context"

// keepQueue makes the queue of the Postfix beside this node follow the accounts.
func (c *Connectors) keepQueue(ctx context.Context) error {
	return c.queue.Keep(ctx, c.now, func(err error) {
		text := ""
		if err != nil {
			text = "the queue of Postfix beside this node does not follow the accounts: " + err.Error()
		}
		c.event("connector-queue", text, err == nil)
	})
}
