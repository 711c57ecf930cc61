// Package greylist asks suspicious strangers to come again. Real mail servers do; most
// machines that send spam do not. It looks after the scan, so that only mail whose score is
// doubtful is delayed, and it knows a sender by its proven domain and not by one address.
package greylist

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

// New is the symbol of a message that has not waited yet. It has no worth of its own: rules
// ask the sender to come again only when the score is doubtful.
const New = "GREY_NEW"

// Config is how long things last.
type Config struct {
	Wait        time.Duration // a try before this is too early
	RetryWithin time.Duration // a try after this is a new message
	Remember    time.Duration // a source that came again is not asked for so long, renewed by use
}

// Results returns what authentication found about the message, waiting for it if need be.
type Results func(ctx context.Context, m *filter.Message) ([]filter.Finding, error)

// Parts is the world around a Greylist.
type Parts struct {
	Store   Store
	Results Results // nil = m.Seen alone
	Now     func() time.Time
	Elapsed func() time.Duration // time that really passed; nil = the monotonic reading of Now
}

// Greylist is the check at OnData and the observer that writes what it reads.
type Greylist struct {
	store   Store
	results Results
	clock   *steady
	said    answers

	mu     sync.Mutex
	cfg    Config
	pruned time.Time
}

// NewGreylist makes a greylist.
func NewGreylist(cfg Config, p Parts) *Greylist {
	g := &Greylist{store: p.Store, results: p.Results, clock: newSteady(p.Now, p.Elapsed), cfg: cfg}
	g.pruned = g.clock.now()
	return g
}

// Reload swaps the times; who waits keeps those it was told.
func (g *Greylist) Reload(cfg Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cfg = cfg
}

func (g *Greylist) config() Config {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cfg
}

// Check implements filter.Check: GREY_NEW when the message has not waited yet. Mail with a
// DMARC pass is never new. An error says that the store gave no answer.
func (g *Greylist) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	if m.Direction != filter.Inbound {
		return nil, nil
	}
	found := m.Seen
	if g.results != nil {
		// What could not be told is in the ledger of that step; it proves nothing here.
		more, _ := g.results(ctx, m)
		found = append(slices.Clone(found), more...)
	}
	if proven(found) {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all, source := pools(m, found)
	tries, err := tryKeys(m, all, recipients(m.To))
	if err != nil {
		return nil, &filter.CouldNot{Words: "the message could not be read", Cause: err}
	}
	now := g.clock.now()
	sources := lookFor(all, sender(m))
	have, err := g.store.Find(ctx, tries, sources, now)
	if err != nil {
		g.said.forget(m.ID)
		return nil, &filter.CouldNot{Words: "the greylist gave no answer", Cause: err}
	}
	g.said.keep(m.ID, ask(tries, sources), have)
	switch {
	case have.Known != nil && now.Before(have.Known.Until):
		return nil, nil
	case have.Waiting == nil:
		return []filter.Finding{{Symbol: New, Detail: "first seen: " + words(source, sender(m))}}, nil
	case now.Before(have.Waiting.NotBefore):
		return []filter.Finding{{Symbol: New, Detail: fmt.Sprintf("asked to come again at %s, may come from %s",
			g.clock.shown(have.Waiting.First).UTC().Format(stamp), g.clock.shown(have.Waiting.NotBefore).UTC().Format(stamp))}}, nil
	}
	return nil, nil
}

const stamp = "2006-01-02 15:04:05 UTC"

func words(source []string, from string) string {
	return strings.Join(source, ", ") + " with sender " + from
}

func proven(found []filter.Finding) bool {
	return slices.ContainsFunc(found, func(f filter.Finding) bool {
		return f.Symbol == "DMARC_PASS" || f.Auth != nil && f.Auth.Method == "dmarc" && f.Auth.Result == "pass"
	})
}

// Done implements filter.Observer. It writes that a message was asked to come again only
// when greylisting was why, and that a source came again when its message was taken.
func (g *Greylist) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	if m.Direction != filter.Inbound || m.Body == nil || len(m.To) == 0 {
		return nil
	}
	found := append(slices.Clone(m.Seen), o.Report.Findings...)
	how := ending(o)
	if how == other || how != putOff && proven(found) {
		return nil
	}
	to := m.To
	if len(o.Fates) == len(m.To) {
		to = nil
		for i, r := range m.To {
			if how == ended || o.Fates[i].State != filter.Rejected {
				to = append(to, r)
			}
		}
	}
	all, source := pools(m, found)
	keys, err := tryKeys(m, all, recipients(to))
	if err != nil {
		return fmt.Errorf("greylist: %w", err)
	}
	now := g.clock.now()
	if how == putOff {
		return g.putOff(ctx, m, to, keys, source, now)
	}
	sources := lookFor(all, sender(m))
	have, same := g.said.take(m.ID, ask(keys, sources))
	if same && have.Waiting == nil && (how == ended || !g.remembers(have, now)) {
		return nil
	}
	if have, err = g.store.Find(ctx, keys, sources, now); err != nil {
		return fmt.Errorf("greylist: %w", err)
	}
	settled := "" // the entry that waits no longer
	if have.Waiting != nil {
		settled = have.Waiting.ID
	}
	if how == taken && g.remembers(have, now) {
		fresh := Known{Source: words(source, sender(m)), Last: now, Until: now.Add(g.config().Remember)}
		return g.store.Settle(ctx, settled, sourceKeys(source, sender(m)), fresh)
	}
	if settled == "" {
		return nil
	}
	return g.store.Settle(ctx, settled, nil, Known{})
}

// remembers reports whether the source of a message that was taken is to be remembered: one
// that came again is, and one that is known is renewed now and then, but for one that a person
// let in for a time.
func (g *Greylist) remembers(have Found, now time.Time) bool {
	if have.Waiting != nil && !now.Before(have.Waiting.NotBefore) {
		return true
	}
	keep := g.config().Remember
	known := have.Known != nil && now.Before(have.Known.Until)
	return known && have.Known.By == "" && now.Add(keep).Sub(have.Known.Until).Abs() > keep/35
}

func (g *Greylist) putOff(ctx context.Context, m *filter.Message, to []filter.Recipient, keys, source []string, now time.Time) error {
	c := g.config()
	w := Waiting{
		ID: m.ID, From: m.From, Recipients: len(to), Client: m.Client.IP.String(), Name: m.Client.Name,
		Source: words(source, sender(m)), First: now, Last: now, NotBefore: now.Add(c.Wait), Expires: now.Add(c.RetryWithin), Tries: 1,
		Keys: keys, Sources: sourceKeys(source, sender(m)),
	}
	for _, r := range to[:min(len(to), 3)] {
		w.To = append(w.To, r.Address)
	}
	if _, err := g.store.PutOff(ctx, w, now); err != nil {
		return fmt.Errorf("greylist: %w", err)
	}
	return g.prune(ctx, now, c)
}

// prune removes, once an hour, a little of what has been expired as long as it was kept: a
// clock that was wrong when the process began must not cost everything.
func (g *Greylist) prune(ctx context.Context, now time.Time, c Config) error {
	g.mu.Lock()
	due := now.Sub(g.pruned) >= time.Hour
	if due {
		g.pruned = now
	}
	g.mu.Unlock()
	if !due {
		return nil
	}
	return g.store.Prune(ctx, now.Add(-c.Remember), 100)
}

type end uint8

const (
	other  end = iota // nothing to write
	putOff            // asked to come again, by greylisting alone
	taken             // delivered, held or owed to anybody
	ended             // refused for good
)

// ending sorts an outcome. A message is put off by greylisting when a verdict says so, nobody
// took it and no failed step had put it off anyway.
func ending(o filter.Outcome) end {
	grey, refused := false, len(o.Fates) > 0
	for i, f := range o.Fates {
		switch f.State {
		case filter.Delivered, filter.Held, filter.InOutbox:
			return taken
		}
		refused = refused && f.State == filter.Rejected
		if i >= len(o.Verdicts) {
			continue
		}
		v := o.Verdicts[i]
		grey = grey || v.Greylisted && v.Action == filter.Defer && f.State == filter.Deferred
		if v.Action == filter.Defer && !v.Greylisted && slices.ContainsFunc(v.Failures, func(f filter.Failure) bool { return f.OnError == filter.Defer }) {
			return other
		}
	}
	switch {
	case grey:
		return putOff
	case refused:
		return ended
	}
	return other
}

// List returns who waits, the oldest first, with the times of the wall clock and without keys.
func (g *Greylist) List(ctx context.Context, after string, limit int) ([]Waiting, error) {
	if limit <= 0 || limit > 1000 {
		limit = 100
	}
	all, err := g.store.ListWaiting(ctx, after, limit, g.clock.now())
	for i := range all {
		all[i] = g.bare(all[i])
	}
	return all, err
}

func (g *Greylist) bare(w Waiting) Waiting {
	for _, t := range []*time.Time{&w.First, &w.Last, &w.NotBefore, &w.Expires} {
		*t = g.clock.shown(*t)
	}
	w.Keys, w.Sources = nil, nil
	return w
}

// SourceError says that words name neither a waiting message nor a source.
type SourceError struct{ Of string }

func (e *SourceError) Error() string {
	return fmt.Sprintf("%q is no ID of a waiting message, no address, /24 or /64 network and no domain", e.Of)
}

// Allow lets in the source of a waiting message by its ID, with that sender alone, or a
// domain, an address or a network with any sender; it is remembered as one that came again.
// It returns the source as remembered; the error is ErrNotFound or a *SourceError.
func (g *Greylist) Allow(ctx context.Context, of, by string) (Known, error) {
	now := g.clock.now()
	k := Known{By: by, Last: now, Until: now.Add(g.config().Remember)}
	var keys []string
	id := ""
	if filter.ValidID(of) {
		w, err := g.store.GetWaiting(ctx, of)
		if err != nil {
			return k, err
		}
		id, keys, k.Source = w.ID, w.Sources, w.Source
	} else {
		all := named(of)
		if len(all) == 0 {
			return k, &SourceError{of}
		}
		keys, k.Source = anySender(all), words(all, "*")
	}
	if err := g.store.Settle(ctx, id, keys, k); err != nil {
		return k, err
	}
	k.Last, k.Until = g.clock.shown(k.Last), g.clock.shown(k.Until)
	return k, nil
}

// named are the pools that a person's words mean.
func named(of string) []string {
	if ip, err := netip.ParseAddr(of); err == nil {
		return []string{"network " + network(ip)}
	}
	if p, err := netip.ParsePrefix(of); err == nil {
		if n := network(p.Addr()); n == p.Masked().String() {
			return []string{"network " + n}
		}
		return nil
	}
	if d := organization(of); strings.Contains(d, ".") {
		return []string{"domain " + d, "hosts of " + d}
	}
	return nil
}
