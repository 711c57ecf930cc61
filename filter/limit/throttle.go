package limit

import (
	"postern/filter"
	"postern/internal/address"
)

// The symbols of an account, or of its domain, that a measure slows down.
const (
	Throttled     = "ACCOUNT_THROTTLED"
	ThrottledRcpt = "ACCOUNT_THROTTLED_RCPT"
)

// Throttle bounds what a name, an account or a domain, may send beside all other rates.
type Throttle struct {
	Name                 string
	Messages, Recipients Rate
}

// Throttle has f asked at each outbound message under which throttles its account is. It is set
// before the limiter is used.
func (l *Limiter) Throttle(f func(account string) []Throttle) { l.throttles = f }

// idle reports that a message cannot be over any rate.
func (l *Limiter) idle(m *filter.Message) bool {
	return l.cfg.none() && (m.Direction != filter.Outbound || len(l.throttled(m)) == 0)
}

func (l *Limiter) throttled(m *filter.Message) []Throttle {
	if l.throttles == nil || m.Account == "" {
		return nil
	}
	return l.throttles(m.Account)
}

// messages are the subjects of an account's message.
func (l *Limiter) messages(m *filter.Message) []subject {
	out := []subject{l.cfg.account(m)}
	for _, t := range l.throttled(m) {
		out = append(out, subject{symbol: Throttled, kind: "account", name: address.Normalize(t.Name), rate: t.Messages})
	}
	return out
}

// copies are the subjects of one recipient of an account's message.
func (l *Limiter) copies(m *filter.Message, recipient string) []subject {
	out := []subject{l.cfg.accountRecipients(m, recipient)}
	for _, t := range l.throttled(m) {
		out = append(out, subject{symbol: ThrottledRcpt, kind: "account", name: address.Normalize(t.Name), rate: t.Recipients, recipient: recipient})
	}
	return out
}
