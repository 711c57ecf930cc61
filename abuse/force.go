package abuse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postern/filter"
)

// SetHome says to which domain accounts belong that name none; "" = to none.
func (a *Accounts) SetHome(domain string) { a.home.Store(&domain) }

// DomainOf is the domain an account belongs to, or "".
func (a *Accounts) DomainOf(account string) string {
	if i := strings.LastIndexByte(account, '@'); i >= 0 {
		return strings.ToLower(account[i+1:])
	}
	if home := a.home.Load(); home != nil {
		return *home
	}
	return ""
}

// Automation has f asked whether what no person asked for is switched off: then it restricts
// nothing. It is set before mail flows, and f answers from memory.
func (a *Accounts) Automation(off func() bool) { a.off = off }

// of returns what is in force against an account: its own record and that of its domain.
func (a *Accounts) of(account string) (own, domain Account) {
	b := a.seen.Load()
	own = a.byPeople(b.byName[Name(account)])
	if d := a.DomainOf(Name(account)); d != "" {
		domain = a.byPeople(b.byName[DomainName(d)])
	}
	return own, domain
}

// byPeople is the record as it counts while automation is off.
func (a *Accounts) byPeople(acc Account) Account {
	if !acc.Auto || a.off == nil || !a.off() {
		return acc
	}
	acc.Level, acc.State, acc.Auto = acc.Human, Active, false
	if acc.Level >= M3 {
		acc.State = Suspended
	}
	return acc
}

// Force is the record that restricts an account most, its own or that of its domain, from
// memory. The zero Account restricts nothing.
func (a *Accounts) Force(account string) Account {
	own, domain := a.of(account)
	if domain.Effective() > own.Effective() || own.Name == "" {
		return domain
	}
	return own
}

// Suspended reports whether the account may not send, and why.
func (a *Accounts) Suspended(account string) (reason string, yes bool) {
	acc := a.Force(account)
	if acc.Effective() < M3 {
		return "", false
	}
	return acc.Reason, true
}

// Paused reports whether mail of the account that is still on its way out stays here, and why.
func (a *Accounts) Paused(account string) (why string, yes bool) {
	acc := a.Force(account)
	if acc.Effective() < M2 {
		return "", false
	}
	return fmt.Sprintf("kept back: %s (%s) is in force against %s", acc.Effective(), acc.Effective().Word(), Name(account)), true
}

// LoginOff reports whether the account may not log in.
func (a *Accounts) LoginOff(account string) bool { return a.Force(account).Effective() >= M5 }

// Throttles are the records under which the account is throttled: its own, that of its domain,
// or both, each of which is counted by its name.
func (a *Accounts) Throttles(account string) (out []Account) {
	own, domain := a.of(account)
	for _, acc := range []Account{own, domain} {
		if acc.Effective() == M1 {
			out = append(out, acc)
		}
	}
	return out
}

// Known are all records as they are in memory, by name.
func (a *Accounts) Known() []Account {
	b := a.seen.Load()
	out := make([]Account, 0, len(b.byName))
	for _, acc := range b.byName {
		out = append(out, acc)
	}
	slices.SortFunc(out, func(x, y Account) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// Check implements filter.Check before the body: an outbound message of a suspended account is
// found.
func (a *Accounts) Check(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
	if m.Direction != filter.Outbound || m.Account == "" {
		return nil, nil
	}
	if reason, yes := a.Suspended(m.Account); yes {
		return []filter.Finding{{Symbol: SymbolSuspended, Detail: reason}}, nil
	}
	return nil, nil
}

// Content is the check of a complete message: it finds mail that is held, or watched.
func (a *Accounts) Content() filter.Check {
	return filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		if m.Direction != filter.Outbound || m.Account == "" {
			return nil, nil
		}
		own, domain := a.of(m.Account)
		switch acc := a.Force(m.Account); {
		case acc.Effective() >= M3: // since MAIL
			return []filter.Finding{{Symbol: SymbolSuspended, Detail: acc.Reason}}, nil
		case acc.Effective() == M2:
			return []filter.Finding{{Symbol: SymbolHeld, Detail: acc.why()}}, nil
		case own.Watched() || domain.Watched():
			return []filter.Finding{{Symbol: SymbolWatched, Detail: acc.why()}}, nil
		}
		return nil, nil
	})
}

// why names the case, or else the reason.
func (a Account) why() string {
	if a.Case != "" {
		return "case " + a.Case
	}
	return a.Reason
}
