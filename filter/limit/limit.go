// Package limit counts messages by address, network, sender domain, account and recipient,
// an account's recipients and a client's refusals, over a minute, an hour and a day, on this
// node and, where nodes share what they count, on all of them.
package limit

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postern/filter"
	"postern/internal/address"
)

// The symbols this check emits.
const (
	RateIP          = "RATE_IP"
	RateNet         = "RATE_NET"
	RateDomain      = "RATE_DOMAIN"
	RateAccount     = "RATE_ACCOUNT"
	RateAccountRcpt = "RATE_ACCOUNT_RCPT" // an account that writes to too many recipients
	RateRecipient   = "RATE_RECIPIENT"
	RateBadRcpt     = "RATE_BAD_RCPT" // an address that asked for too many recipients that do not exist
	RateErrors      = "RATE_ERRORS"   // an address that was refused too often, whatever for
)

// forgotten is when a reservation that nobody settled is given back: its transaction was
// broken off.
const forgotten = 15 * time.Minute

// Limiter counts. A message is reserved when it is checked and counted when it was taken, so
// that mail refused for other reasons does not use up a rate.
type Limiter struct {
	now       func() time.Time
	throttles func(account string) []Throttle // nil: nobody is throttled

	mu      sync.Mutex
	cfg     Config
	last    time.Time     // the clock when it was last looked at
	elapsed time.Duration // since New
	tables  map[string]*table
	open    open
	sharing sharing
}

// New makes a limiter.
func New(cfg Config, now func() time.Time) *Limiter {
	return &Limiter{now: now, last: now(), cfg: cfg, tables: map[string]*table{}}
}

// Reload swaps the bounds; what was counted stays.
func (l *Limiter) Reload(cfg Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cfg = cfg
}

// tick is the time since New. A clock that is set back neither frees nor prolongs a window;
// the system's own clock is read in its monotonic form and does not notice being set at all.
func (l *Limiter) tick() time.Duration {
	now := l.now()
	if step := now.Sub(l.last); step > 0 {
		l.elapsed += step
	}
	l.last = now
	return l.elapsed
}

func (l *Limiter) table(symbol string) *table {
	t := l.tables[symbol]
	if t == nil {
		t = &table{}
		l.tables[symbol] = t
	}
	return t
}

func (l *Limiter) counter(s subject, at time.Duration) *counter {
	return l.table(s.symbol).make(s.name, max(l.cfg.keys()/kinds, 1), at)
}

// Sender checks who sends, at OnSender.
func (l *Limiter) Sender() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.idle(m) {
			return nil, nil
		}
		at := l.tick()
		r := l.open.touch(m.ID, l.cfg.keys(), at)
		if m.Direction == filter.Outbound {
			return l.asAccount(r, m, at), nil
		}
		var found []filter.Finding
		for _, s := range l.cfg.sender(m) {
			if l.reserve(&r.counters, s, at) {
				found = l.judge(found, s, "messages", at)
			}
		}
		bad, all := l.cfg.refusals(m.Client.IP)
		if l.table(bad.symbol).get(bad.name) != nil {
			found = l.judge(found, bad, "refused recipients", at)
		}
		if l.table(all.symbol).get(all.name) != nil {
			found = l.judge(found, all, "refusals", at)
		}
		return found, nil
	})
}

// Recipient checks every recipient that was not checked before, at OnRecipient.
func (l *Limiter) Recipient() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.idle(m) {
			return nil, nil
		}
		at := l.tick()
		r := l.open.touch(m.ID, l.cfg.keys(), at)
		var found []filter.Finding
		for _, to := range m.To {
			key := address.Normalize(to.Address)
			if r.recipients[key] {
				continue
			}
			r.recipients[key] = true
			if s := l.cfg.recipient(to.Address); l.reserve(&r.counters, s, at) {
				found = l.judge(found, s, "messages", at)
			}
			if m.Direction != filter.Outbound {
				continue
			}
			found = l.copy(found, r, m, to.Address, at)
		}
		return found, nil
	})
}

// Account checks an account that only a header named, at OnData: what was reserved in the
// name of the network before is given back.
func (l *Limiter) Account() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		if m.Direction != filter.Outbound {
			return nil, nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.idle(m) {
			return nil, nil
		}
		at := l.tick()
		r := l.open.touch(m.ID, l.cfg.keys(), at)
		if r.account == m.Account {
			return nil, nil
		}
		r.releaseAccount()
		found := l.asAccount(r, m, at)
		for _, to := range m.To {
			found = l.copy(found, r, m, to.Address, at)
		}
		return found, nil
	})
}

func (l *Limiter) asAccount(r *reservation, m *filter.Message, at time.Duration) (found []filter.Finding) {
	r.account = m.Account
	for _, s := range l.messages(m) {
		if l.reserve(&r.ofAccount, s, at) {
			found = l.judge(found, s, "messages", at)
		}
	}
	return found
}

// copy reserves and judges one recipient of an account's message.
func (l *Limiter) copy(found []filter.Finding, r *reservation, m *filter.Message, recipient string, at time.Duration) []filter.Finding {
	for _, s := range l.copies(m, recipient) {
		if l.reserve(&r.ofAccount, s, at) {
			found = l.judge(found, s, "recipients", at)
		}
	}
	return found
}

// reserve counts a message on its way; false when the subject is not bounded.
func (l *Limiter) reserve(into *[]*counter, s subject, at time.Duration) bool {
	if s.name == "" || s.rate.none() {
		return false
	}
	c := l.counter(s, at)
	c.reserved++
	*into = append(*into, c)
	return true
}

// judge adds a finding when the subject is over its rate.
func (l *Limiter) judge(found []filter.Finding, s subject, what string, at time.Duration) []filter.Finding {
	if s.rate.none() {
		return found
	}
	c := l.counter(s, at)
	l.share(s, c, 0, at)
	n, window, over := c.over(s.rate, at, l.sharing.ahead+at)
	if !over {
		return found
	}
	return append(found, filter.Finding{Symbol: s.symbol, For: s.recipient, Detail: fmt.Sprintf("%s %s: %d %s in %s", s.kind, s.name, n, what, window)})
}

// Done implements filter.Observer: what the message reserved is given back, and what was
// taken of it counts.
func (l *Limiter) Done(_ context.Context, m *filter.Message, o filter.Outcome) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.tick()
	l.open.end(m.ID)
	taken := false
	for _, f := range o.Fates {
		if f.State != filter.Delivered && f.State != filter.Held && f.State != filter.InOutbox {
			continue
		}
		taken = true
		if f.Recipient != "" {
			l.count(l.cfg.recipient(f.Recipient), at)
		}
		if m.Direction == filter.Outbound {
			l.countAll(l.copies(m, f.Recipient), at)
		}
	}
	switch {
	case taken && m.Direction == filter.Outbound:
		l.countAll(l.messages(m), at)
	case taken:
		l.countAll(l.cfg.sender(m), at)
	}
	if m.Direction == filter.Inbound {
		l.refused(m, o, at)
	}
	return nil
}

// refused counts the 5xx answers of a transaction: one for each recipient refused at RCPT,
// one for all that the answer to DATA refused.
func (l *Limiter) refused(m *filter.Message, o filter.Outcome, at time.Duration) {
	bad, all := l.cfg.refusals(m.Client.IP)
	data := m.SHA256 != ""
	whole := false
	for _, f := range o.Fates {
		if f.State != filter.Rejected || !strings.HasPrefix(f.Reply, "5") {
			continue
		}
		if strings.Contains(f.Reply, " 5.1.1 ") {
			l.count(bad, at)
		}
		if toData := data && f.Reply == o.Reply; !toData || !whole {
			l.count(all, at)
			whole = whole || toData
		}
	}
}

// Refused counts a 5xx answer to a client that belongs to no transaction: an unknown command,
// a failed login.
func (l *Limiter) Refused(ip netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.tick()
	_, all := l.cfg.refusals(ip)
	l.count(all, at)
}

// Abandoned gives back what a transaction reserved that ended with nothing said of it.
func (l *Limiter) Abandoned(m *filter.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open.end(m.ID)
}

func (l *Limiter) count(s subject, at time.Duration) {
	if s.name != "" && !s.rate.none() {
		c := l.counter(s, at)
		c.add(at)
		l.share(s, c, 1, at)
	}
}

func (l *Limiter) countAll(all []subject, at time.Duration) {
	for _, s := range all {
		l.count(s, at)
	}
}

// Keys counts what is remembered.
func (l *Limiter) Keys() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, t := range l.tables {
		n += t.order.Len()
	}
	return n
}

// Open counts the messages on their way.
func (l *Limiter) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open.order.Len()
}
