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

// answeredHold has the queue know which message is on hold by our own answer.
func (c *Connectors) answeredHold(id, login string) {
	if err := c.queue.Answered(id, login); err != nil {
		c.log.Error("a message that is put on hold by our answer is not noted: it stays on hold when the measure ends, until postsuper -H", "queue_id", id, "login", login, "error", err)
	}
}

// unasked tells that the Postfix beside this node does not ask where it would have to.
func (c *Connectors) unasked(is bool) {
	text := ""
	if is {
		text = "Postfix does not ask the policy service at the end of messages (smtpd_end_of_data_restrictions): what it puts on hold stays on hold when the measure ends, until postsuper -H"
	}
	c.event("connector-policy", text, !is)
}
