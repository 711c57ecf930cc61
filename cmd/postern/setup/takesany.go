package setup

import (
	"fmt"

	"postern/internal/alert"
)

// TakesAny says, or takes back, that a server behind accepts every recipient: unknown ones
// then cannot be refused at RCPT, and it may bounce them later.
func TakesAny(alerts *alert.Alerter) func(name, domain string, yes bool) {
	return func(name, domain string, yes bool) {
		key := "takes-any:" + name + ":" + domain
		if !yes {
			alerts.Clear(key)
			return
		}
		alerts.Raise(key, alert.Warning, fmt.Sprintf("backend %s takes every address of %s", name, domain),
			"A random address was accepted at RCPT, so unknown recipients cannot be refused here. Let the server refuse them, or set recipients: file or any.")
	}
}
