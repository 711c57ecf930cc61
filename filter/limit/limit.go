// Package limit counts messages by address, network, sender domain, account and recipient
// over a minute, an hour and a day, on this node.
package limit

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"postern/filter"
)

// The symbols this check emits.
const (
	RateIP        = "RATE_IP"
	RateNet       = "RATE_NET"
	RateDomain    = "RATE_DOMAIN"
	RateAccount   = "RATE_ACCOUNT"
	RateRecipient = "RATE_RECIPIENT"
)

// Rate bounds messages in three windows; 0 = no bound.
type Rate struct{ Minute, Hour, Day int }

func (r Rate) none() bool { return r == Rate{} }

// Config is what is bounded. MaxKeys bounds memory: 0 = 200,000 keys of about 200 bytes.
type Config struct {
	IP, Net, Domain, Account, Recipient Rate

	MaxKeys int
}

// forgotten is when a reservation that nobody settled is given back: its transaction was
// broken off.
const forgotten = 15 * time.Minute

// Limiter counts. A message is reserved when it is checked and counted when it was taken, so
// that mail refused for other reasons does not use up a rate.
type Limiter struct {
	now func() time.Time

	mu   sync.Mutex
	cfg  Config
	keys map[string]*counter
	held map[string]reservation // by message ID
}

type reservation struct {
	at   time.Time
	keys []string
}

// New makes a limiter.
func New(cfg Config, now func() time.Time) *Limiter {
	return &Limiter{now: now, cfg: cfg, keys: map[string]*counter{}, held: map[string]reservation{}}
}

// Reload swaps the bounds; what was counted stays.
func (l *Limiter) Reload(cfg Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cfg = cfg
}

// subject is one thing that is bounded.
type subject struct {
	symbol, kind, name string
	rate               Rate
	recipient          string // Finding.For
}

// Sender checks who sends, at OnSender.
func (l *Limiter) Sender() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		l.mu.Lock()
		c := l.cfg
		l.mu.Unlock()
		if m.Direction == filter.Outbound {
			return l.check(m.ID, subject{RateAccount, "account", m.Account, c.Account, ""}), nil
		}
		return l.check(m.ID,
			subject{RateIP, "address", ipKey(m.Client.IP), c.IP, ""},
			subject{RateNet, "network", netKey(m.Client.IP), c.Net, ""},
			subject{RateDomain, "sender domain", m.FromDomain(), c.Domain, ""},
		), nil
	})
}

// Recipient checks the recipient asked for last, at OnRecipient.
func (l *Limiter) Recipient() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		if len(m.To) == 0 {
			return nil, nil
		}
		to := m.To[len(m.To)-1].Address
		l.mu.Lock()
		rate := l.cfg.Recipient
		l.mu.Unlock()
		return l.check(m.ID, subject{RateRecipient, "recipient", to, rate, to}), nil
	})
}

func ipKey(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.Unmap().String()
}

func netKey(ip netip.Addr) string {
	ip = ip.Unmap()
	bits := 24
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// check reserves the message under every subject and reports those over their rate.
func (l *Limiter) check(id string, subjects ...subject) []filter.Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	var found []filter.Finding
	res := l.held[id]
	for _, s := range subjects {
		if s.name == "" || s.rate.none() {
			continue
		}
		key := s.symbol + "\x00" + s.name
		c := l.counter(key, now)
		c.reserved++
		res.keys = append(res.keys, key)
		if n, window, over := c.over(s.rate, now); over {
			found = append(found, filter.Finding{Symbol: s.symbol, For: s.recipient, Detail: fmt.Sprintf("%s %s: %d messages in a %s", s.kind, s.name, n, window)})
		}
	}
	if len(res.keys) > 0 {
		res.at = now
		l.held[id] = res
	}
	return found
}

// Done implements filter.Observer: the reservation of a message that was taken for anybody
// counts, others are given back.
func (l *Limiter) Done(_ context.Context, m *filter.Message, o filter.Outcome) error {
	taken := false
	for _, f := range o.Fates {
		taken = taken || f.State == filter.Delivered || f.State == filter.Held || f.State == filter.InOutbox
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(m.ID, taken, l.now())
	return nil
}

func (l *Limiter) settle(id string, taken bool, now time.Time) {
	for _, key := range l.held[id].keys {
		c := l.keys[key]
		if c == nil {
			continue
		}
		c.reserved = max(c.reserved-1, 0)
		if taken {
			c.add(now)
		}
	}
	delete(l.held, id)
}

func (l *Limiter) counter(key string, now time.Time) *counter {
	if c := l.keys[key]; c != nil {
		return c
	}
	limit := l.cfg.MaxKeys
	if limit <= 0 {
		limit = 200_000
	}
	if len(l.keys) >= limit {
		l.tidy(now, limit)
	}
	c := &counter{}
	l.keys[key] = c
	return c
}

// tidy forgets what no longer counts, and if that is not enough a tenth of the rest, whatever
// comes first: a flood of names must not make the memory grow.
func (l *Limiter) tidy(now time.Time, limit int) {
	for id, r := range l.held {
		if now.Sub(r.at) > forgotten {
			l.settle(id, false, now)
		}
	}
	for key, c := range l.keys {
		if c.idle(now) {
			delete(l.keys, key)
		}
	}
	for key := range l.keys {
		if len(l.keys) < limit-limit/10 {
			return
		}
		delete(l.keys, key)
	}
}

// Keys counts what is remembered.
func (l *Limiter) Keys() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys)
}
