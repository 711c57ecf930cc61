// Package month counts the figures of the service guarantee over a month, each by its own
// formula. A figure without data has no value; one that missing data could turn is unknown.
package month

import (
	"context"
	"fmt"
	"slices"
	"time"

	"postern/abuse/cases/figures"
	"postern/abuse/service/book"
	"postern/abuse/service/credit"
	"postern/abuse/service/exclusion"
	"postern/internal/entity"
)

// Bounds of a report.
const (
	maxListed  = 5000
	year       = 365
	maxTenants = 20000
)

// Source is where the figures come from. Cases, Lists and Proofs may be nil: no data.
type Source struct {
	Book       *book.Book
	Exclusions *exclusion.Desk
	Hostname   string
	Now        func() time.Time
	Zone       func() *time.Location
	Cases      func(ctx context.Context, p figures.Period) (figures.Figures, error)
	Lists      func(ctx context.Context, from, to time.Time) ([]List, error)
	Proofs     func(ctx context.Context, from, to time.Time) ([]Proof, error)
}

// List is a published list and when it took effect.
type List struct {
	ID        string    `json:"id"`
	List      string    `json:"list"`
	Published time.Time `json:"published"`
	Imported  time.Time `json:"imported"`
	Applied   time.Time `json:"applied,omitzero"`
	Due       time.Time `json:"due"` // one business day after its publication
	Dropped   bool      `json:"dropped,omitempty"`
}

// Proof is a backup that was restored for a trial.
type Proof struct {
	ID      string    `json:"id"`
	Run     string    `json:"run"`
	At      time.Time `json:"at"`
	OK      bool      `json:"ok"`
	Records int       `json:"records"`
	Error   string    `json:"error,omitempty"`
}

// Tenant is the mail of one domain.
type Tenant struct {
	Domain string     `json:"domain"`
	Way    string     `json:"way"`
	Delay  book.Delay `json:"delay"`
	Mean   *float64   `json:"mean_s"` // null: nothing but held mail
	Max    *float64   `json:"max_s"`
	State  State      `json:"state"`
}

// Report is the report of a month.
type Report struct {
	Month      string                `json:"month"`
	Hostname   string                `json:"hostname"`
	Zone       string                `json:"zone"`
	From       time.Time             `json:"from"`
	To         time.Time             `json:"to"`
	At         time.Time             `json:"at"`
	Whole      bool                  `json:"whole"` // the month is over
	Figures    []Figure              `json:"figures"`
	Groups     map[string]Reach      `json:"groups"`
	Outages    []Outage              `json:"outages"`
	Faults     []book.Fault          `json:"faults"`
	Exclusions []exclusion.Exclusion `json:"exclusions"`
	Tenants    []Tenant              `json:"tenants"`
	Lists      []List                `json:"lists"`
	Proofs     []Proof               `json:"restore_proofs"`
	Credits    []credit.Credit       `json:"credits"` // what the ledger has of this month
	Cases      *figures.Figures      `json:"cases,omitempty"`
	Cut        []string              `json:"cut,omitempty"` // lists that are longer than what is shown
}

// counting is a report on its way.
type counting struct {
	Source
	zone       *time.Location
	in         span // the month, as far as it is over
	days       map[string][]book.Day
	groups     map[string]*Reach
	outages    []Outage
	down       []span // unreached minutes that count
	faults     []book.Fault
	exclusions []exclusion.Exclusion
	tenants    map[string]map[string]book.Delay
	quiet      bool // outages are not listed
	out        Report
}

func (m *counting) date(at time.Time) string { return at.In(m.zone).Format(time.DateOnly) }

// Count counts a month such as 2026-06.
func (s Source) Count(ctx context.Context, text string) (Report, error) {
	zone := s.Zone()
	p, err := figures.Month(text, zone)
	if err != nil {
		return Report{}, err
	}
	now := s.Now()
	m := &counting{Source: s, zone: zone, groups: map[string]*Reach{}, in: span{p.From, p.To}}
	if now.Before(m.in.to) {
		m.in.to = later(now.Truncate(time.Minute), p.From)
	}
	m.out = Report{
		Month: p.From.Format("2006-01"), Hostname: s.Hostname, Zone: zone.String(), From: p.From.UTC(), To: p.To.UTC(), At: now.UTC(), Whole: !now.Before(p.To),
		Groups: map[string]Reach{},
	}
	if err := m.gather(ctx, p); err != nil {
		return Report{}, err
	}
	m.out.Figures = slices.Concat(m.reach(), m.delays(), m.faultFigures(), m.ages(), m.caseFigures(), m.listFigures(), m.backups())
	m.lists()
	return m.out, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// gather reads what is counted.
func (m *counting) gather(ctx context.Context, p figures.Period) (err error) {
	back := p.To.AddDate(0, 0, -year-1)
	m.days = map[string][]book.Day{}
	q := entity.Query{Index: "day", From: back.UnixMilli(), To: p.To.UnixMilli() - 1, Rising: true, Limit: 100}
	err = m.Book.Days().Each(ctx, q, func(r entity.Row[book.Day]) error {
		m.days[r.Value.Date] = append(m.days[r.Value.Date], r.Value)
		return nil
	})
	if err != nil {
		return fmt.Errorf("the days: %w", err)
	}
	if err := m.gatherTenants(ctx, p); err != nil {
		return err
	}
	if m.faults, err = m.Book.Between(ctx, back, p.To); err != nil {
		return fmt.Errorf("the faults: %w", err)
	}
	if m.exclusions, err = m.Exclusions.Between(ctx, back, p.To); err != nil {
		return fmt.Errorf("the exclusions: %w", err)
	}
	if m.Cases != nil {
		c, err := m.Cases(ctx, p)
		if err != nil {
			return fmt.Errorf("the cases: %w", err)
		}
		m.out.Cases = &c
	}
	if m.Lists != nil {
		if m.out.Lists, err = m.Lists(ctx, p.From, p.To); err != nil {
			return fmt.Errorf("the published lists: %w", err)
		}
	}
	if m.Proofs != nil {
		m.out.Proofs, err = m.Proofs(ctx, p.From, p.To)
	}
	return err
}

func (m *counting) gatherTenants(ctx context.Context, p figures.Period) error {
	m.tenants = map[string]map[string]book.Delay{}
	q := entity.Query{Index: "day", From: p.From.UnixMilli(), To: p.To.UnixMilli() - 1, Limit: 100}
	err := m.Book.Domains().Each(ctx, q, func(r entity.Row[book.Tenants]) error {
		for domain, ways := range r.Value.Delays {
			if m.tenants[domain] == nil {
				if len(m.tenants) >= maxTenants {
					domain = book.Others
				}
				if m.tenants[domain] == nil {
					m.tenants[domain] = map[string]book.Delay{}
				}
			}
			for way, d := range ways {
				m.tenants[domain][way] = m.tenants[domain][way].Plus(d)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the mail of domains: %w", err)
	}
	return nil
}

// lists puts what is behind the figures into the report.
func (m *counting) lists() {
	for g, r := range m.groups {
		m.out.Groups[g] = *r
	}
	m.out.Outages = listed(m, "outages", m.outages)
	var faults []book.Fault
	for _, f := range m.faults {
		if f.Until().After(m.in.from) && f.Begin.Before(m.out.To) {
			faults = append(faults, f)
		}
	}
	m.out.Faults = listed(m, "faults", faults)
	var exclusions []exclusion.Exclusion
	for _, e := range m.exclusions {
		if e.To.After(m.in.from) {
			exclusions = append(exclusions, e)
		}
	}
	m.out.Exclusions = listed(m, "exclusions", exclusions)
	m.out.Tenants = listed(m, "tenants", m.out.Tenants)
	m.out.Lists = listed(m, "lists", m.out.Lists)
	m.out.Proofs = listed(m, "restore_proofs", m.out.Proofs)
}

func listed[T any](m *counting, name string, all []T) []T {
	if all == nil {
		return []T{}
	}
	if len(all) > maxListed || name == "outages" && len(all) == maxListed {
		m.out.Cut = append(m.out.Cut, name)
		return all[:min(len(all), maxListed)]
	}
	return all
}
