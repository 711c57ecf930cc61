// Package guard bounds automation: the circuit breaker, the kill switch, and whom it spares.
package guard

import (
	"context"
	"errors"
	"time"

	"postern/abuse"
	"postern/internal/entity"
	"postern/internal/said"
)

// Kind is the kind of the records.
const Kind entity.Kind = "measure-guard"

// Audit writes a change down.
type Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error

// Breaker counts the accounts that automation holds or suspends, for all nodes together. All
// fields but Population are needed.
type Breaker struct {
	Store  entity.Store
	Limits Limits
	// Population counts the active accounts of a domain, or of all with "".
	Population func(domain string) int
	Audit      Audit
	Alert      func(key, text string, over bool)
	Now        func() time.Time
}

// Limits bound how many accounts automation holds or suspends.
type Limits struct {
	Hourly       int // at least so many an hour; 0 = 3
	PerThousand  int // of a thousand active accounts an hour, where that is more; 0 = 5
	Domain       int // of a domain in ten minutes; 0 = 1
	DomainPerDay int // percent of a domain a day; 0 = 20
}

// guard is the record that all nodes count in.
type record struct {
	Name  string          `json:"name"`
	Taken []taken         `json:"taken,omitempty"` // of the last day, oldest first
	Trips map[string]Trip `json:"trips,omitempty"` // by domain; "" = for all

	// Of the switch.
	Off    bool      `json:"off,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

type taken struct {
	Account string `json:"a"`
	Domain  string `json:"d,omitempty"`
	At      int64  `json:"t"` // Unix seconds
}

// Trip says that a limit was reached: until a person resets it there are only alerts.
type Trip struct {
	At     time.Time  `json:"at"`
	Why    string     `json:"why"`
	Said   said.Words `json:"said,omitzero"` // Why by its code
	Missed int        `json:"missed"`        // triggers since that only alerted
}

const (
	breakerID = "breaker"
	mostTaken = 8000 // that many accounts a day are more than any limit allows in a record
)

func table(s entity.Store) entity.Table[record] {
	return entity.Table[record]{Store: s, Kind: Kind, ID: func(g *record) string { return g.Name }}
}

// ensure makes the record where there is none.
func ensure(ctx context.Context, t entity.Table[record], name string) error {
	if _, err := t.Get(ctx, name); !errors.Is(err, entity.ErrNotFound) {
		return err
	}
	if _, err := t.Create(ctx, record{Name: name}); err != nil && !errors.Is(err, entity.ErrExists) {
		return err
	}
	return nil
}

// Allow counts an account that is about to be held or suspended, or says why it is not.
func (b *Breaker) Allow(ctx context.Context, account, domain string) (why said.Words, err error) {
	if err := ensure(ctx, table(b.Store), breakerID); err != nil {
		return why, err
	}
	tripped := ""
	_, err = table(b.Store).Change(ctx, breakerID, func(g *record) error {
		why, tripped = b.count(g, account, domain)
		return nil
	})
	if err != nil || tripped == "" {
		return why, err
	}
	b.Alert("breaker:"+tripped, "automatic measures stopped, people decide now: "+why.English, false)
	return why, b.Audit(ctx, "postern", "breaker-trip", "breaker "+tripped, nil, why.English, "at "+account)
}

// count is the arithmetic of Allow. tripped names what tripped just now: "all" or a domain.
func (b *Breaker) count(g *record, account, domain string) (why said.Words, tripped string) {
	now := b.Now().UTC()
	for len(g.Taken) > 0 && now.Unix()-g.Taken[0].At >= 24*3600 {
		g.Taken = g.Taken[1:]
	}
	for _, name := range []string{"", domain} {
		if t, ok := g.Trips[name]; ok {
			t.Missed++
			g.Trips[name] = t
			return said.Say("why.tripped", "the breaker has tripped: %s", "why", said.Kept(t.Why, t.Said)), ""
		}
	}
	hour, ten, day := 0, 0, 0
	for _, t := range g.Taken {
		age := now.Unix() - t.At
		if t.Account == account {
			return why, "" // it is counted already: its measure grows
		}
		if age < 3600 {
			hour++
		}
		if domain != "" && t.Domain == domain {
			day++
			if age < 600 {
				ten++
			}
		}
	}
	l := b.limits(domain)
	trip := func(name string, text said.Words) (said.Words, string) {
		if g.Trips == nil {
			g.Trips = map[string]Trip{}
		}
		t := Trip{At: now, Missed: 1}
		text.Put(&t.Why, &t.Said)
		g.Trips[name] = t
		if name == "" {
			name = "all"
		}
		return text, name
	}
	switch {
	case hour >= l.Hourly || len(g.Taken) >= mostTaken:
		return trip("", said.Say("why.accounts-hour", "%d accounts in an hour", "n", hour))
	case domain != "" && ten >= l.Domain:
		return trip(domain, said.Say("why.accounts-ten-minutes", "%d accounts of %s in ten minutes", "n", ten, "domain", domain))
	case domain != "" && day >= l.DomainPerDay:
		return trip(domain, said.Say("why.accounts-day", "%d accounts of %s in a day", "n", day, "domain", domain))
	}
	g.Taken = append(g.Taken, taken{Account: account, Domain: domain, At: now.Unix()})
	return why, ""
}

// limits are the limits in accounts, for a domain.
func (b *Breaker) limits(domain string) Limits {
	c, all, own := b.Limits, 0, 0
	if b.Population != nil {
		all, own = b.Population(""), b.Population(domain)
	}
	or := func(n, other int) int {
		if n > 0 {
			return n
		}
		return other
	}
	return Limits{
		Hourly: max(or(c.Hourly, 3), all*or(c.PerThousand, 5)/1000), Domain: or(c.Domain, 1),
		DomainPerDay: max(1, own*or(c.DomainPerDay, 20)/100),
	}
}

// State says what has tripped, by domain, "" = for all, and how many accounts were taken in
// the last hour.
func (b *Breaker) State(ctx context.Context) (trips map[string]Trip, lastHour int, err error) {
	row, err := table(b.Store).Get(ctx, breakerID)
	if errors.Is(err, entity.ErrNotFound) {
		return nil, 0, nil
	}
	for _, t := range row.Value.Taken {
		if b.Now().Unix()-t.At < 3600 {
			lastHour++
		}
	}
	return row.Value.Trips, lastHour, err
}

// Reset lets automation act again. What was counted counts no longer: the person has
// looked at it.
func (b *Breaker) Reset(ctx context.Context, actor, reason string) error {
	if err := ensure(ctx, table(b.Store), breakerID); err != nil {
		return err
	}
	var before map[string]Trip
	if _, err := table(b.Store).Change(ctx, breakerID, func(g *record) error {
		before, g.Trips, g.Taken = g.Trips, nil, nil
		return nil
	}); err != nil {
		return err
	}
	for name := range before {
		if name == "" {
			name = "all"
		}
		b.Alert("breaker:"+name, "", true)
	}
	return b.Audit(ctx, actor, "breaker-reset", "breaker", before, nil, reason)
}

// Protect makes the question who is protected from names: whole accounts, local parts of any
// domain, or @domains. The roles are always among them.
func Protect(names []string) func(account string) bool {
	set := map[string]bool{"postmaster": true, "abuse": true, "security": true, "noc": true, "billing": true, "emergency": true}
	for _, n := range names {
		set[abuse.Name(n)] = true
	}
	return func(account string) bool {
		account = abuse.Name(account)
		local, domain := account, ""
		for i := len(account) - 1; i >= 0; i-- {
			if account[i] == '@' {
				local, domain = account[:i], account[i:]
				break
			}
		}
		return set[account] || set[local] || domain != "" && set[domain]
	}
}
