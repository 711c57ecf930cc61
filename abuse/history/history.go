// Package history counts what one account sent, from the send log: by the hour, to whom, from
// where.
package history

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/sent"
)

// Bounds of a look at one account.
const (
	Days    = 28
	MaxRows = 50_000 // messages that are read; what is older is not counted
	maxTop  = 10
	page    = sent.MaxPage
)

// Hour is what was sent in an hour, or in a day.
type Hour struct {
	At         time.Time `json:"at"`
	Messages   int       `json:"messages"`
	Recipients int       `json:"recipients"`
	Fresh      int       `json:"fresh"` // recipients it had not written to before
	Gone       int       `json:"gone"`  // recipients that do not exist
	Bad        int       `json:"bad"`   // messages that our checks spoke against
}

func (h *Hour) add(o Hour) {
	h.Messages += o.Messages
	h.Recipients += o.Recipients
	h.Fresh += o.Fresh
	h.Gone += o.Gone
	h.Bad += o.Bad
}

// Share is one of several that recipients or messages fall to.
type Share struct {
	Name  string    `json:"name"`
	Count int       `json:"count"`
	Last  time.Time `json:"last,omitzero"`

	Country string `json:"country,omitempty"`
	ASN     uint32 `json:"asn,omitempty"`
}

// History is what an account sent.
type History struct {
	Account string    `json:"account"`
	From    time.Time `json:"from"` // what is counted begins here
	To      time.Time `json:"to"`
	Cut     bool      `json:"cut,omitempty"` // it sent more than is counted

	Hours []Hour `json:"hours"` // the last 48, the oldest first
	Days  []Hour `json:"days"`  // the oldest first
	Usual int    `json:"usual"` // 99th percentile of recipients in hours in which it sent, the last day left out

	Hour    Hour `json:"hour"`    // the last 60 minutes
	Day     Hour `json:"day"`     // the last 24 hours
	Month   Hour `json:"month"`   // all of it
	Waiting int  `json:"waiting"` // copies that are still on their way
	Held    int  `json:"held"`    // copies that are held here

	Domains  []Share `json:"domains"`  // of recipients, the most first
	Networks []Share `json:"networks"` // it sent from, the most first
}

// Log is the part of the send log that is needed.
type Log interface {
	ByAccount(ctx context.Context, account string, from, to time.Time, cursor string, limit int) (rows []sent.Row, next string, err error)
}

// Of counts what an account sent in the last Days. geo may be nil.
func Of(ctx context.Context, log Log, account string, now time.Time, geo behaviour.Geo) (History, error) {
	h := History{Account: abuse.Name(account), From: now.AddDate(0, 0, -Days), To: now}
	var rows []sent.Row
	for cursor := ""; ; {
		got, next, err := log.ByAccount(ctx, h.Account, h.From, now, cursor, page)
		if err != nil {
			return h, err
		}
		rows = append(rows, got...)
		if cursor = next; next == "" {
			break
		}
		if len(rows) >= MaxRows {
			h.Cut, h.From = true, rows[len(rows)-1].At
			break
		}
	}
	slices.Reverse(rows) // the log comes newest first
	newCount(&h, now, geo).rows(rows)
	return h, nil
}

type count struct {
	h     *History
	now   time.Time
	geo   behaviour.Geo
	seed  maphash.Seed
	known map[uint64]struct{}
	hours map[int64]*Hour // by the hour since 1970
	doms  map[string]*Share
	nets  map[string]*Share
}

func newCount(h *History, now time.Time, geo behaviour.Geo) *count {
	return &count{h: h, now: now, geo: geo, seed: maphash.MakeSeed(), known: map[uint64]struct{}{}, hours: map[int64]*Hour{}, doms: map[string]*Share{}, nets: map[string]*Share{}}
}

func (c *count) rows(rows []sent.Row) {
	for i := range rows {
		c.row(&rows[i])
	}
	first := c.now.UTC().Truncate(time.Hour).Add(-47 * time.Hour)
	for i := range 48 {
		at := first.Add(time.Duration(i) * time.Hour)
		h := Hour{At: at}
		if of := c.hours[at.Unix()/3600]; of != nil {
			h.add(*of)
		}
		c.h.Hours = append(c.h.Hours, h)
	}
	today := c.now.UTC().Truncate(24 * time.Hour)
	c.h.Days = make([]Hour, Days)
	for i := range c.h.Days {
		c.h.Days[i].At = today.AddDate(0, 0, i-Days+1)
	}
	for n, of := range c.hours {
		if i := Days - 1 - int(today.Unix()/86400-n/24); i >= 0 && i < Days {
			c.h.Days[i].add(*of)
		}
	}
	c.h.Usual = c.usual()
	c.h.Domains, c.h.Networks = top(c.doms), top(c.nets)
}

func (c *count) row(r *sent.Row) {
	n := r.At.Unix() / 3600
	h := c.hours[n]
	if h == nil {
		h = &Hour{}
		c.hours[n] = h
	}
	one := Hour{Messages: 1, Recipients: len(r.Copies)}
	if r.Action != "" && r.Action != "accept" {
		one.Bad = 1
	}
	for i := range r.Copies {
		c.copy(&r.Copies[i], &one, r.At)
	}
	h.add(one)
	c.h.Month.add(one)
	if age := c.now.Sub(r.At); age < 24*time.Hour {
		c.h.Day.add(one)
		if age < time.Hour {
			c.h.Hour.add(one)
		}
	}
	if r.Client.IsValid() {
		s := share(c.nets, behaviour.Network(r.Client.Addr()), 1, r.At)
		if c.geo != nil && s != nil && s.Country == "" {
			w := c.geo.Where(r.Client.Addr().Unmap())
			s.Country, s.ASN = w.Country, w.ASN
		}
	}
}

func (c *count) copy(to *sent.Copy, one *Hour, at time.Time) {
	rcpt := strings.ToLower(to.Recipient)
	key := maphash.String(c.seed, rcpt)
	if _, ok := c.known[key]; !ok {
		c.known[key] = struct{}{}
		one.Fresh++
	}
	if behaviour.Nonexistent(*to) {
		one.Gone++
	}
	switch to.State {
	case sent.Waiting:
		c.h.Waiting++
	case sent.Held:
		c.h.Held++
	}
	if i := strings.LastIndexByte(rcpt, '@'); i >= 0 {
		share(c.doms, rcpt[i+1:], 1, at)
	}
}

// maxShares bounds how many are told apart.
const maxShares = 20_000

func share(m map[string]*Share, name string, n int, at time.Time) *Share {
	s := m[name]
	if s == nil {
		if len(m) >= maxShares {
			return nil
		}
		s = &Share{Name: name}
		m[name] = s
	}
	s.Count += n
	if at.After(s.Last) {
		s.Last = at
	}
	return s
}

func top(m map[string]*Share) []Share {
	out := make([]Share, 0, len(m))
	for _, s := range m {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Share) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Name, b.Name)) })
	return out[:min(len(out), maxTop)]
}

// usual leaves the last day out: what began today does not make itself usual.
func (c *count) usual() int {
	var all []int
	since := c.now.Add(-24*time.Hour).Unix() / 3600
	for n, h := range c.hours {
		if n < since && h.Recipients > 0 {
			all = append(all, h.Recipients)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)*99-1)/100]
}
