package index

import (
	"slices"
	"strings"

	"postern/internal/store/redis/conn"
	"postern/quarantine"
	"postern/quarantine/search"
)

// Open are the states of holds that own a body people may see: what a query asks for that
// names no state.
func Open() []quarantine.State {
	return []quarantine.State{quarantine.Held, quarantine.Releasing, quarantine.Refused}
}

// Plan is how a query can be answered: each way is a set of indexes that together hold every
// hold that matches. Any one of them will do.
type Plan struct {
	Ways     [][]string // sets of keys
	Prefixes []string   // beginnings of words; the words that begin so are one more way each
	Min, Max string     // bounds of members, as ranges by bytes write them
	Rising   bool       // the oldest first
	query    quarantine.Query
	wanted   []search.Term
	states   []quarantine.State
	named    []quarantine.State // those that lists may show, each once
}

// NewPlan reads a query; ok is false when nothing can match. After is a place in the list.
func NewPlan(q quarantine.Query, after string) (p Plan, ok bool) {
	p = Plan{query: q, wanted: search.Wanted(q.Words), Min: "-", Max: "+", Rising: q.Order.Rising()}
	p.query.From, p.query.To = strings.ToLower(q.From), strings.ToLower(q.To)
	if len(q.Words) > 0 && len(p.wanted) == 0 {
		return p, false
	}
	p.states = q.States
	if len(p.states) == 0 {
		p.states = Open()
	}
	var states []string
	for _, s := range p.states {
		if s != quarantine.Provisional && s.Valid() && !slices.Contains(p.named, s) {
			states, p.named = append(states, StateKey(s)), append(p.named, s)
		}
	}
	if len(states) == 0 {
		return p, false
	}
	p.Ways = append(p.Ways, states)
	p.fields()
	if !q.Since.IsZero() {
		p.Min = "[" + packTime(q.Since)
	}
	if !q.Until.IsZero() {
		p.Max = "(" + packTime(q.Until)
	}
	p.Behind(after)
	return p, true
}

// Behind leaves what is behind a member in the order of the plan.
func (p *Plan) Behind(member string) {
	switch {
	case member == "":
	case p.Rising && (p.Min == "-" || member >= p.Min[1:]):
		p.Min = "(" + member
	case !p.Rising && (p.Max == "+" || member < p.Max[1:]):
		p.Max = "(" + member
	}
}

// Whole reports whether the first way holds what matches and nothing else.
func (p *Plan) Whole() bool {
	q := p.query
	return len(p.Ways) == 1 && len(p.Prefixes) == 0 && q.Class == "" && q.Policy == "" && q.Direction == "" && q.AtLeast == nil && q.AtMost == nil
}

// fields adds a way for each field.
func (p *Plan) fields() {
	way := func(key string) { p.Ways = append(p.Ways, []string{key}) }
	switch from := p.query.From; {
	case from == "":
	case from == "<>":
		way("from:" + conn.Hash(""))
	case strings.HasPrefix(from, "@"):
		way("dom:" + conn.Hash(from[1:]))
	default:
		way("from:" + conn.Hash(from))
	}
	if p.query.To != "" {
		way("to:" + conn.Hash(p.query.To))
	}
	if p.query.Symbol != "" {
		way("sym:" + conn.Hash(p.query.Symbol))
	}
	for _, t := range p.wanted {
		if t.Prefix {
			p.Prefixes = append(p.Prefixes, t.Text)
		} else {
			way(WordKey(t.Text))
		}
	}
}

// Match reports whether a hold is what the query asks for.
func (p *Plan) Match(h quarantine.Hold) bool {
	q := p.query
	at := h.At.UnixMilli()
	switch {
	case h.State == quarantine.Provisional, !slices.Contains(p.states, h.State),
		!q.Since.IsZero() && at < q.Since.UnixMilli(), !q.Until.IsZero() && at >= q.Until.UnixMilli(),
		q.Class != "" && h.Class != q.Class, q.Policy != "" && h.Policy != q.Policy,
		q.Direction != "" && h.Direction != q.Direction, !q.Scored(h.Score),
		q.To != "" && !slices.Contains(addressKeys(h.To), q.To),
		q.Symbol != "" && !slices.Contains(h.Symbols(), q.Symbol):
		return false
	}
	return fromMatches(q.From, strings.ToLower(h.From)) && wordsMatch(p.wanted, h.Subject)
}

func fromMatches(want, from string) bool {
	switch {
	case want == "":
		return true
	case want == "<>":
		return from == ""
	case strings.HasPrefix(want, "@"):
		return domain(from) == want[1:]
	}
	return from == want
}

func wordsMatch(wanted []search.Term, subject string) bool {
	if len(wanted) == 0 {
		return true
	}
	words := search.Terms(subject)
	for _, w := range wanted {
		if !slices.ContainsFunc(words, func(word string) bool {
			return word == w.Text || w.Prefix && strings.HasPrefix(word, w.Text)
		}) {
			return false
		}
	}
	return true
}

// Merge joins what was read of the indexes of one way, n members of each at most, in the order of
// the plan, and returns those that nothing unread can stand between, each once. more is true when
// there may be others behind them.
func (p *Plan) Merge(read [][]string, n int) (members []string, more bool) {
	order := func(a, b string) int { return strings.Compare(b, a) }
	if p.Rising {
		order = strings.Compare
	}
	edge := ""
	for _, r := range read {
		if len(r) >= n {
			if last := r[len(r)-1]; !more || order(last, edge) < 0 {
				edge = last
			}
			more = true
		}
	}
	for _, r := range read {
		for _, m := range r {
			if !more || order(m, edge) <= 0 {
				members = append(members, m)
			}
		}
	}
	slices.SortFunc(members, order)
	return slices.Compact(members), more
}
