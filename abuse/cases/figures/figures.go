// Package figures counts how well the desk keeps its word: times to the first answer and to
// the result, and what became of the cases. What there is no data for is absent, never zero.
package figures

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
)

// resultWithin is the promise for the result.
const resultWithin = 72 * time.Hour

// Source hands out the cases opened in a period.
type Source interface {
	Each(ctx context.Context, from, to time.Time, f func(dossier.Case) error) error
}

// Period is what is counted: cases opened from one time up to another, all of them or those
// that one person answered first.
type Period struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Agent string    `json:"agent,omitempty"`
}

// Times sums up durations, in seconds.
type Times struct {
	Count int     `json:"count"`
	Sum   float64 `json:"sum_s"`
	Mean  float64 `json:"mean_s"` // sum / count
	P50   float64 `json:"p50_s"`
	P90   float64 `json:"p90_s"`
	P99   float64 `json:"p99_s"`
	Max   float64 `json:"max_s"`
}

// Share is a part of a whole.
type Share struct {
	Part  int     `json:"part"`
	Of    int     `json:"of"`
	Share float64 `json:"share"`
}

// Figures are those of a period. Drills are never among them, merged cases count with the one
// they are merged into, and the times leave out cases that only feeds reported.
type Figures struct {
	Period     Period         `json:"period"`
	At         time.Time      `json:"at"`
	Cases      int            `json:"cases"`
	Left       map[string]int `json:"left_out"`                   // drill, merged, feed, agent
	Ack        *Times         `json:"ack,omitempty"`              // receipt to acknowledgement
	First      *Times         `json:"first,omitempty"`            // FRT: sum of the reply times / replies
	FirstWork  *Times         `json:"first_business,omitempty"`   // the same in working time
	FirstInDay *Share         `json:"first_in_day,omitempty"`     // within 1 business day
	Result     *Times         `json:"result,omitempty"`           // receipt to the result that was sent
	ResultIn72 *Share         `json:"result_in_72h,omitempty"`    //
	Reopened   *Share         `json:"reopened,omitempty"`         // of those closed once
	Wrong      *Share         `json:"wrong_suspension,omitempty"` // released because nothing was wrong, of those limited
	WrongFor   *Times         `json:"wrong_for,omitempty"`        // how long they were limited
	Proof      map[string]int `json:"proof"`                      // P0..P4
	Category   map[string]int `json:"category"`
	State      map[string]int `json:"state"`
	Unanswered int            `json:"unanswered"` // persons' cases past the first deadline without an answer
	Late       map[string]int `json:"late"`       // clocks that ran out
}

// counting is what is collected on the way.
type counting struct {
	out                      Figures
	ack, first, work, result []time.Duration
	wrongFor                 []time.Duration
	inDay, in72              Share
	reopened, wrong          Share
}

// Count counts a period.
func Count(ctx context.Context, s Source, p Period, now time.Time, cal func(team string) *calendar.Calendar) (Figures, error) {
	if !p.From.Before(p.To) {
		return Figures{}, dossier.Refuse(dossier.ErrInvalid, "case.a-period-ends-after-it-begins-not", "a period ends after it begins, not from %s to %s", "from", p.From.Format(time.RFC3339), "to", p.To.Format(time.RFC3339))
	}
	n := counting{out: Figures{
		Period: p, At: now.UTC(), Left: map[string]int{}, Proof: map[string]int{}, Category: map[string]int{}, State: map[string]int{}, Late: map[string]int{},
	}}
	err := s.Each(ctx, p.From, p.To, func(c dossier.Case) error {
		n.add(&c, now, cal(c.Team))
		return nil
	})
	return n.done(), err
}

func (n *counting) add(c *dossier.Case, now time.Time, cal *calendar.Calendar) {
	switch {
	case c.Drill:
		n.out.Left["drill"]++
		return
	case c.MergedInto != "":
		n.out.Left["merged"]++
		return
	case n.out.Period.Agent != "" && c.DecidedBy != n.out.Period.Agent:
		n.out.Left["agent"]++
		return
	}
	n.out.Cases++
	n.out.Proof[fmt.Sprintf("P%d", c.Grade)]++
	n.out.State[string(c.State)]++
	for _, cat := range c.Categories {
		n.out.Category[string(cat)]++
	}
	for _, k := range c.Clocks {
		if k.Late(now) && k.Name != flow.Reminder {
			n.out.Late[string(k.Name)]++
		}
	}
	n.fate(c, now)
	if !c.Person {
		n.out.Left["feed"]++
		return
	}
	n.times(c, now, cal)
}

// times counts what persons were owed.
func (n *counting) times(c *dossier.Case, now time.Time, cal *calendar.Calendar) {
	if !c.Acked.IsZero() {
		n.ack = append(n.ack, c.Acked.Sub(c.Opened))
	}
	first := c.Clock(flow.First)
	switch {
	case !c.Decided.IsZero() && c.DecidedBy != dossier.Machine().Name:
		n.first = append(n.first, c.Decided.Sub(c.Opened))
		n.work = append(n.work, cal.Between(c.Opened, c.Decided))
		n.inDay.count(first == nil || !c.Decided.After(due(c, flow.First)))
	case c.Decided.IsZero() && first != nil && first.Late(now):
		n.out.Unanswered++
		n.inDay.count(false)
	}
	switch {
	case !c.ResultAt.IsZero() && !c.Barred:
		n.result = append(n.result, c.ResultAt.Sub(c.Opened))
		n.in72.count(!c.ResultAt.After(later(c.Opened.Add(resultWithin), due(c, flow.Result))))
	case c.ResultAt.IsZero() && now.After(later(c.Opened.Add(resultWithin), due(c, flow.Result))):
		n.in72.count(false)
	}
}

// due is the deadline of the first clock of a name: the one that the first report started.
func due(c *dossier.Case, name flow.Name) time.Time {
	i := slices.IndexFunc(c.Clocks, func(k flow.Clock) bool { return k.Name == name })
	if i < 0 {
		return time.Time{}
	}
	return c.Clocks[i].Due()
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// fate counts what became of a case.
func (n *counting) fate(c *dossier.Case, now time.Time) {
	if !c.Closed.IsZero() || c.Reopened > 0 {
		n.reopened.count(c.Reopened > 0)
	}
	since := c.Contained
	for _, k := range c.Clocks {
		if k.Name == flow.Data && (since.IsZero() || k.Start.Before(since)) {
			since = k.Start
		}
	}
	if since.IsZero() {
		return
	}
	n.wrong.count(c.NoAbuse)
	if c.NoAbuse {
		until := now
		for _, k := range c.Clocks {
			if (k.Name == flow.Review || k.Name == flow.Data) && !k.Running() && k.Stopped.Before(until) {
				until = k.Stopped
			}
		}
		n.wrongFor = append(n.wrongFor, max(until.Sub(since), 0))
	}
}

func (s *Share) count(in bool) {
	s.Of++
	if in {
		s.Part++
	}
	s.Share = float64(s.Part) / float64(s.Of)
}

func (n *counting) done() Figures {
	out := n.out
	for _, t := range []struct {
		to   **Times
		from []time.Duration
	}{{&out.Ack, n.ack}, {&out.First, n.first}, {&out.FirstWork, n.work}, {&out.Result, n.result}, {&out.WrongFor, n.wrongFor}} {
		*t.to = Sum(t.from)
	}
	for _, s := range []struct {
		to   **Share
		from Share
	}{{&out.FirstInDay, n.inDay}, {&out.ResultIn72, n.in72}, {&out.Reopened, n.reopened}, {&out.Wrong, n.wrong}} {
		if s.from.Of > 0 {
			*s.to = &s.from
		}
	}
	return out
}

// Sum sums up durations; nil when there are none.
func Sum(all []time.Duration) *Times {
	if len(all) == 0 {
		return nil
	}
	all = slices.Sorted(slices.Values(all))
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	at := func(percent int) float64 { // the nearest rank
		rank := (percent*len(all) + 99) / 100
		return all[max(rank, 1)-1].Seconds()
	}
	return &Times{
		Count: len(all), Sum: sum.Seconds(), Mean: sum.Seconds() / float64(len(all)),
		P50: at(50), P90: at(90), P99: at(99), Max: all[len(all)-1].Seconds(),
	}
}

// Month is the period of a month such as 2026-06, in a time zone.
func Month(text string, zone *time.Location) (Period, error) {
	from, err := time.ParseInLocation("2006-01", strings.TrimSpace(text), zone)
	if err != nil {
		return Period{}, dossier.Refuse(dossier.ErrInvalid, "case.is-no-month-write-it-as-2026", "%.40q is no month; write it as 2026-06", "text", text)
	}
	return Period{From: from, To: from.AddDate(0, 1, 0)}, nil
}
