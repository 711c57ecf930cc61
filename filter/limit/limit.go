// Package limit counts messages by address, network, sender domain, account and recipient
// over a minute, an hour and a day, on this node.
package limit

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	RateBadRcpt   = "RATE_BAD_RCPT" // an address that asked for too many recipients that do not exist
)

// Rate bounds messages in three windows; 0 = no bound.
type Rate struct{ Minute, Hour, Day int }

func (r Rate) none() bool { return r == Rate{} }

// Config is what is bounded. MaxKeys bounds memory: 0 = 200,000 keys of about 200 bytes.
type Config struct {
	IP, Net, Domain, Account, Recipient Rate

	BadRecipient Rate // refused recipients by address

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
	last time.Time              // when forgotten reservations were last looked for
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
	count              count
}

// count is how a subject counts.
type count uint8

const (
	messages count = iota // reserved at the check, settled by Done
	refusals              // only looked at; Done counts them
)

// Sender checks who sends, at OnSender.
func (l *Limiter) Sender() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		l.mu.Lock()
		c := l.cfg
		l.mu.Unlock()
		if m.Direction == filter.Outbound {
			return l.check(m.ID, subject{symbol: RateAccount, kind: "account", name: m.Account, rate: c.Account}), nil
		}
		return l.check(m.ID,
			subject{symbol: RateIP, kind: "address", name: ipKey(m.Client.IP), rate: c.IP},
			subject{symbol: RateNet, kind: "network", name: netKey(m.Client.IP), rate: c.Net},
			subject{symbol: RateDomain, kind: "sender domain", name: m.FromDomain(), rate: c.Domain},
			subject{symbol: RateBadRcpt, kind: "address", name: ipKey(m.Client.IP), rate: c.BadRecipient, count: refusals},
		), nil
	})
}

// Recipient checks every recipient that was not checked before, at OnRecipient.
func (l *Limiter) Recipient() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		l.mu.Lock()
		rate, before := l.cfg.Recipient, l.held[m.ID].keys
		l.mu.Unlock()
		var fresh []subject
		for _, to := range m.To {
			s := subject{symbol: RateRecipient, kind: "recipient", name: to.Address, rate: rate, recipient: to.Address}
			if !slices.Contains(before, s.key()) {
				fresh = append(fresh, s)
			}
		}
		return l.check(m.ID, fresh...), nil
	})
}

func (s subject) key() string { return s.symbol + "\x00" + s.name }

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
	if age := now.Sub(l.last); age > time.Minute || age < 0 {
		l.forget(now)
	}
	var found []filter.Finding
	res := l.held[id]
	for _, s := range subjects {
		if s.name == "" || s.rate.none() {
			continue
		}
		key, what := s.key(), "messages"
		if s.count == refusals {
			what = "refused recipients"
			if l.keys[key] == nil {
				continue
			}
		}
		c := l.counter(key, now)
		if s.count == messages {
			c.reserved++
			res.keys = append(res.keys, key)
		}
		if n, window, over := c.over(s.rate, now); over {
			found = append(found, filter.Finding{Symbol: s.symbol, For: s.recipient, Detail: fmt.Sprintf("%s %s: %d %s in a %s", s.kind, s.name, n, what, window)})
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
	now := l.now()
	l.settle(m.ID, taken, now)
	if m.Direction == filter.Inbound && !l.cfg.BadRecipient.none() && m.Client.IP.IsValid() {
		key := subject{symbol: RateBadRcpt, name: ipKey(m.Client.IP)}.key()
		for _, f := range o.Fates {
			if f.State == filter.Rejected && strings.Contains(f.Reply, " 5.1.1 ") {
				l.counter(key, now).add(now)
			}
		}
	}
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
	l.forget(now)
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

// forget gives back the reservations of transactions that were broken off.
func (l *Limiter) forget(now time.Time) {
	l.last = now
	for id, r := range l.held {
		if age := now.Sub(r.at); age > forgotten || age < -forgotten {
			l.settle(id, false, now)
		}
	}
}

// Keys counts what is remembered.
func (l *Limiter) Keys() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys)
}
