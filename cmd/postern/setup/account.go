package setup

import "postern/internal/config"

// unlimited is what an account may send where the configuration sets no rate, in times of the
// throttle of M1: the first step of a ramp is no more than that throttle.
const unlimited = 5

// AccountRates are the normal limits of an account, an hour.
func AccountRates(c *config.Config) (messages, recipients int) {
	t := c.Abuse.Measures.Throttle
	if messages = c.Rates["account"].Hour; messages <= 0 {
		messages = unlimited * t.Messages
	}
	if recipients = c.Rates["account_recipients"].Hour; recipients <= 0 {
		recipients = unlimited * t.Recipients
	}
	return messages, recipients
}
