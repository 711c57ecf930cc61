package policy

import (
	"sync"
	"time"
)

// Bounds of a Counter.
const (
	slots       = 60
	maxCounted  = 10_000 // accounts remembered; throttled ones are few
	maxInstance = 1000   // messages of an account within the hour that are told apart
)

// Counter counts what throttled accounts send within an hour, to a minute.
type Counter struct {
	// Rates are how many messages and recipients an hour an account may have; 0 = no bound.
	Rates func(account string) (messages, recipients int)
	Now   func() time.Time

	mu  sync.Mutex
	all map[string]*counted
}

type counted struct {
	recipients, messages [slots]int
	minute               int64
	seen                 map[string]int64 // instances, by minute
}

// Beyond counts a recipient of a message and reports whether the account is over its rates with
// it; one that is over is not counted.
func (c *Counter) Beyond(account, instance string) bool {
	messages, recipients := c.Rates(account)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Now().Unix() / 60
	a := c.of(account, now)
	a.roll(now)
	_, known := a.seen[instance]
	if recipients > 0 && total(a.recipients) >= recipients || !known && messages > 0 && total(a.messages) >= messages {
		return true
	}
	a.recipients[now%slots]++
	if !known {
		a.messages[now%slots]++
		if len(a.seen) < maxInstance {
			a.seen[instance] = now
		}
	}
	return false
}

func (c *Counter) of(account string, now int64) *counted {
	if c.all == nil {
		c.all = map[string]*counted{}
	}
	a := c.all[account]
	if a != nil {
		return a
	}
	if len(c.all) >= maxCounted {
		for name, old := range c.all {
			if now-old.minute >= slots {
				delete(c.all, name)
			}
		}
	}
	a = &counted{minute: now, seen: map[string]int64{}}
	if len(c.all) < maxCounted {
		c.all[account] = a
	}
	return a
}

// roll empties the minutes that have gone by.
func (a *counted) roll(now int64) {
	for m := a.minute + 1; m <= min(now, a.minute+slots); m++ {
		a.recipients[m%slots], a.messages[m%slots] = 0, 0
	}
	a.minute = max(a.minute, now)
	for id, m := range a.seen {
		if now-m >= slots {
			delete(a.seen, id)
		}
	}
}

func total(all [slots]int) (n int) {
	for _, x := range all {
		n += x
	}
	return n
}
