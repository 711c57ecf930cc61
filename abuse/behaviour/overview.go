package behaviour

import (
	"slices"
	"strings"
	"time"

	"postern/abuse"
)

// Overview is how an account sends now, against its own history.
type Overview struct {
	Account    string    `json:"account"`
	Messages   int       `json:"messages"`   // of the last hour
	Recipients int       `json:"recipients"` // the same
	Fresh      int       `json:"fresh"`      // of them never written to before
	Usual      int       `json:"usual"`      // 99th percentile of recipients an hour
	Tried      int       `json:"tried"`      // recipients of a day
	Gone       int       `json:"gone"`       // of them nonexistent
	First      time.Time `json:"first,omitzero"`
	Last       time.Time `json:"last,omitzero"`
}

// Overview is that of one account; false: it sent nothing that is known.
func (p *Profiles) Overview(account string, now time.Time) (Overview, bool) {
	account = abuse.Name(account)
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.all[account]
	if !ok {
		return Overview{Account: account}, false
	}
	return a.overview(account, now), true
}

func (a *profile) overview(name string, now time.Time) Overview {
	h := a.lastHour(now)
	o := Overview{
		Account: name, Messages: int(h.messages), Recipients: int(h.recipients), Fresh: int(h.fresh), Usual: a.usual(now),
		First: time.Unix(a.first, 0).UTC(), Last: time.Unix(a.last, 0).UTC(),
	}
	o.Tried, o.Gone = a.lastDay(now)
	return o
}

// All are the overviews of the accounts of a domain, or of all with "", by name.
func (p *Profiles) All(domain string, now time.Time) []Overview {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Overview
	for name, a := range p.all {
		if domain == "" || strings.HasSuffix(name, "@"+domain) {
			out = append(out, a.overview(name, now))
		}
	}
	slices.SortFunc(out, func(x, y Overview) int { return strings.Compare(x.Account, y.Account) })
	return out
}

// Since names the accounts that sent after a time.
func (p *Profiles) Since(t time.Time) (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, a := range p.all {
		if a.last > t.Unix() {
			names = append(names, name)
		}
	}
	return names
}
