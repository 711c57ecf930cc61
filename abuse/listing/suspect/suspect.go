// Package suspect ranks who may be behind a listing of ours, by what is written down: accounts with
// cases, complaints or signals before it, whose mail left in that time.
package suspect

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/internal/said"
)

// Bounds of a search.
const (
	Before     = 14 * 24 * time.Hour // how long before a listing its cause may lie
	Most       = 5                   // suspects that are named
	MaxFacts   = 12                  // of each
	maxPages   = 20                  // of a thousand cases, or signals
	maxLooked  = 200                 // accounts that are looked up in the send log
	maxRows    = 5                   // pages of a thousand messages of an account
	perPage    = 1000
	ofProven   = 100_000
	ofLevel    = 10_000
	perSignal  = 100
	mostOfVote = 9999
)

// Fact is one thing that speaks for it.
type Fact struct {
	Kind string     `json:"kind"` // mail, case, complaints, signal
	ID   string     `json:"id,omitempty"`
	At   time.Time  `json:"at,omitzero"`
	Text string     `json:"text"`
	Said said.Words `json:"said,omitzero"` // Text by its code
}

// Words is what it says.
func (f Fact) Words() said.Words { return said.Kept(f.Text, f.Said) }

func fact(kind, id string, at time.Time, w said.Words) Fact {
	f := Fact{Kind: kind, ID: id, At: at}
	w.Put(&f.Text, &f.Said)
	return f
}

// Suspect is an account that may be the cause. That its mail left and that something speaks
// against it is recorded; that it is the cause is not.
type Suspect struct {
	Account  string `json:"account"`
	Case     string `json:"case,omitempty"` // of the account
	Weight   int    `json:"weight"`         // for the order
	Messages int    `json:"messages"`       // that left in the time
	Copies   int    `json:"copies"`
	Facts    []Fact `json:"facts"`
}

// Cases finds cases.
type Cases interface {
	Find(ctx context.Context, s cases.Search) ([]cases.Case, string, error)
}

// Signals reads what speaks against accounts.
type Signals interface {
	Since(ctx context.Context, from time.Time, after string, limit int) ([]signal.Signal, string, error)
}

// Log is the part of the send log that is needed.
type Log interface {
	ByAccount(ctx context.Context, account string, from, to time.Time, cursor string, limit int) (rows []sent.Row, next string, err error)
}

// Finder looks for them.
type Finder struct {
	Cases   Cases
	Signals Signals
	Sent    Log
}

// Find ranks who may be behind the listing of an address or a domain at a time, at most Most. Mail
// that left with another domain in its MAIL FROM has no part in the listing of a domain.
func (f Finder) Find(ctx context.Context, subject string, at time.Time) ([]Suspect, error) {
	from := at.Add(-Before)
	by := map[string]*Suspect{}
	if err := f.cases(ctx, by, from, at); err != nil {
		return nil, err
	}
	if err := f.signals(ctx, by, from, at); err != nil {
		return nil, err
	}
	var all []*Suspect
	for _, s := range by {
		if s.Weight > 0 {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, order)
	var out []Suspect
	for _, s := range all[:min(len(all), maxLooked)] {
		if err := f.mail(ctx, s, subject, from, at); err != nil {
			return nil, err
		}
		if s.Copies > 0 {
			s.Facts = s.Facts[:min(len(s.Facts), MaxFacts)]
			out = append(out, *s)
		}
	}
	return out[:min(len(out), Most)], nil
}

func order(a, b *Suspect) int {
	return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Account, b.Account))
}

func of(by map[string]*Suspect, account string) *Suspect {
	name := abuse.Name(account)
	if by[name] == nil {
		by[name] = &Suspect{Account: name}
	}
	return by[name]
}

// cases adds those of accounts of ours: proved ones and measures weigh most, then votes.
func (f Finder) cases(ctx context.Context, by map[string]*Suspect, from, to time.Time) error {
	after := ""
	for range maxPages {
		all, next, err := f.Cases.Find(ctx, cases.Search{View: "all", After: after, Limit: perPage})
		if err != nil {
			return err
		}
		for _, c := range all {
			if c.Kind != cases.Local || c.Account == "" || c.Drill || c.MergedInto != "" || c.Opened.Before(from) || c.Opened.After(to) {
				continue
			}
			n := weight(c)
			if n == 0 {
				continue
			}
			s := of(by, c.Account)
			if s.Case == "" || n > s.Weight {
				s.Case = c.ID
			}
			s.Weight += n
			s.Facts = append(s.Facts, fact("case", c.ID, c.Opened, said.Say("fact.case", "%s, %s", "id", c.ID, "state", c.State)))
			if c.Reports > 0 {
				s.Facts = append(s.Facts, fact("complaints", c.ID, c.Opened, said.Say("fact.complaints", "%d complaints, %s votes", "n", c.Reports, "votes", fmt.Sprintf("%d.%02d", c.Votes/100, c.Votes%100))))
			}
		}
		if after = next; next == "" {
			break
		}
	}
	return nil
}

// weight is how much a case speaks against its account; 0: people have said that it does not.
func weight(c cases.Case) int {
	if c.State == flow.NotOurs || c.State == flow.Rejected || c.NoAbuse {
		return 0
	}
	n := 1 + min(c.Votes, mostOfVote) + ofLevel*c.Level
	if def, _ := flow.Of(c.State); def.Proven {
		n += ofProven
	}
	return n
}

// signals adds what was seen, each rule once with its strongest. That an account's case is named
// as the cause of a listing is a signal too, and says nothing here.
func (f Finder) signals(ctx context.Context, by map[string]*Suspect, from, to time.Time) error {
	strongest := map[[2]string]signal.Signal{}
	after := ""
	for range maxPages {
		all, next, err := f.Signals.Since(ctx, from, after, perPage)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.Account == "" || s.Weight <= 0 || s.Family == signal.Listings || s.Family == signal.Complaints || s.At.After(to) {
				continue // complaints are counted by their cases
			}
			key := [2]string{abuse.Name(s.Account), s.Rule}
			if s.Weight > strongest[key].Weight {
				strongest[key] = s
			}
		}
		if after = next; next == "" {
			break
		}
	}
	for _, s := range strongest {
		x := of(by, s.Account)
		x.Weight += perSignal * s.Weight
		x.Facts = append(x.Facts, fact("signal", s.Rule, s.At, s.Words()))
	}
	for _, x := range by {
		slices.SortStableFunc(x.Facts, func(a, b Fact) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind+a.ID, b.Kind+b.ID)) })
	}
	return nil
}

// mail counts what left of the account in the time.
func (f Finder) mail(ctx context.Context, s *Suspect, subject string, from, to time.Time) error {
	_, err := netip.ParseAddr(subject)
	domain := err != nil
	var first, last time.Time
	cursor := ""
	for range maxRows {
		rows, next, err := f.Sent.ByAccount(ctx, s.Account, from, to, cursor, perPage)
		if err != nil {
			return err
		}
		for _, r := range rows { // the newest first
			if n := r.Accepted(); n > 0 && (!domain || domainOf(cmp.Or(r.From, r.Account)) == strings.ToLower(subject)) {
				s.Messages++
				s.Copies += n
				first = r.At
				if last.IsZero() {
					last = r.At
				}
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if s.Copies == 0 {
		return nil
	}
	way := said.Say("fact.our-servers", "through our servers")
	if domain {
		way = said.Say("fact.as", "as %s", "domain", strings.ToLower(subject))
	}
	s.Facts = slices.Insert(s.Facts, 0, fact("mail", "", first, said.Say("fact.mail", "%d messages, %d copies left %s between %s and %s",
		"messages", s.Messages, "copies", s.Copies, "way", way, "from", first.UTC().Format(time.RFC3339), "until", last.UTC().Format(time.RFC3339))))
	return nil
}

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}
