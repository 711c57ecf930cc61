package replay

import (
	"cmp"
	"slices"
	"time"

	"postern/filter"
	"postern/rules/fit"
)

// Bounds of a report.
const (
	MaxExamples = 5  // of one kind of flip
	maxSymbols  = 12 // of one example
	maxNotKnown = 50 // patterns that are named as not known
)

// Count is a number of messages, and which share of those known that is.
type Count struct {
	N     int        `json:"n"`
	Share float64    `json:"share"`
	CI    [2]float64 `json:"ci"` // 95 % Wilson interval of the share
}

// Flip is one kind of change, with examples.
type Flip struct {
	From string `json:"from"`
	To   string `json:"to"`
	Count
	Examples []Example `json:"examples"`
}

// Example is a message whose verdict would be another.
type Example struct {
	ID      string       `json:"id,omitempty"` // by which trace finds it
	Path    string       `json:"path,omitempty"`
	Label   string       `json:"label,omitempty"`
	At      time.Time    `json:"at,omitzero"`
	Before  filter.Score `json:"before"` // hundredths
	After   filter.Score `json:"after"`
	Changed []Changed    `json:"changed"` // symbols that weigh otherwise, those that matter most first
}

// Changed is a symbol that weighs otherwise.
type Changed struct {
	Symbol string       `json:"symbol"`
	Before filter.Score `json:"before"`
	After  filter.Score `json:"after"`
	Mark   string       `json:"mark,omitempty"` // new or gone
}

// NotKnown is a pattern that the kept features do not tell, and how many messages it leaves open.
type NotKnown struct {
	Symbol string `json:"symbol"`
	N      int    `json:"n"`
}

// Labelled is what a change does to mail of which people said what it is.
type Labelled struct {
	N      int   `json:"n"`
	Worse  Count `json:"worse"`  // judged wrongly that was judged right
	Better Count `json:"better"` // judged right that was judged wrongly
}

// Report is what a rehearsal came to. It may be added to until all is done.
type Report struct {
	Messages int        `json:"messages"` // looked at
	Known    int        `json:"known"`    // of them, those whose verdict can be told
	NotKnown int        `json:"not_known"`
	NoBody   int        `json:"no_body"` // of those not known: refused before the body came, and would be let in
	Seen     float64    `json:"seen"`    // messages that those looked at stand for: more where only a sample was kept
	Since    time.Time  `json:"since,omitzero"`
	Until    time.Time  `json:"until,omitzero"`
	Stricter Count      `json:"stricter"`
	Milder   Count      `json:"milder"`
	Flips    []Flip     `json:"flips"`
	Patterns []NotKnown `json:"patterns,omitempty"` // that are not known, the ones that leave most open first
	Unlike   int        `json:"unlike"`             // judged otherwise than then by the very rules that judged them then
	Damaged  int        `json:"damaged,omitempty"`  // blocks of kept features that could not be read
	Ham      *Labelled  `json:"ham,omitempty"`
	Spam     *Labelled  `json:"spam,omitempty"`
	Rules    [2]string  `json:"rules"` // revisions: the present rules, the proposed ones
}

// Pair is a message under the present and the proposed rules.
type Pair struct {
	ID, Path, Label string
	At              time.Time
	Stands          float64 // for how many messages; 0 = 1
	Before, After   filter.Verdict
	Asked           []string // patterns that are not known and decide
	NoBody          bool
	Unlike          bool
}

// Add counts a message.
func (r *Report) Add(p Pair) {
	r.Messages++
	r.Seen += max(p.Stands, 1)
	if !p.At.IsZero() {
		if r.Since.IsZero() || p.At.Before(r.Since) {
			r.Since = p.At
		}
		if p.At.After(r.Until) {
			r.Until = p.At
		}
	}
	if p.Unlike {
		r.Unlike++
	}
	if p.NoBody || len(p.Asked) > 0 {
		r.open(p)
		return
	}
	r.Known++
	r.label(p)
	if p.Before.Action == p.After.Action {
		return
	}
	if p.After.Action > p.Before.Action {
		r.Stricter.N++
	} else {
		r.Milder.N++
	}
	from, to := p.Before.Action.String(), p.After.Action.String()
	i := slices.IndexFunc(r.Flips, func(f Flip) bool { return f.From == from && f.To == to })
	if i < 0 {
		i = len(r.Flips)
		r.Flips = append(r.Flips, Flip{From: from, To: to, Examples: []Example{}})
	}
	f := &r.Flips[i]
	if f.N++; len(f.Examples) < MaxExamples {
		f.Examples = append(f.Examples, example(p))
	}
}

// open counts a message whose verdict cannot be told.
func (r *Report) open(p Pair) {
	r.NotKnown++
	if p.NoBody {
		r.NoBody++
	}
	for _, s := range p.Asked {
		i := slices.IndexFunc(r.Patterns, func(n NotKnown) bool { return n.Symbol == s })
		if i < 0 {
			if len(r.Patterns) == maxNotKnown {
				continue
			}
			i = len(r.Patterns)
			r.Patterns = append(r.Patterns, NotKnown{Symbol: s})
		}
		r.Patterns[i].N++
	}
}

// label counts a message of which people said what it is.
func (r *Report) label(p Pair) {
	into := map[string]**Labelled{"ham": &r.Ham, "spam": &r.Spam}[p.Label]
	if into == nil {
		return
	}
	if *into == nil {
		*into = &Labelled{}
	}
	l := *into
	l.N++
	switch was, is := wrong(p.Label, p.Before.Action), wrong(p.Label, p.After.Action); {
	case !was && is:
		l.Worse.N++
	case was && !is:
		l.Better.N++
	}
}

// wrong is what eval counts as wrong: good mail that is held or refused, spam that is neither.
func wrong(label string, a filter.Action) bool {
	if label == "ham" {
		return a == filter.Quarantine || a == filter.Reject
	}
	return a == filter.Accept || a == filter.Tag
}

func example(p Pair) Example {
	e := Example{ID: p.ID, Path: p.Path, Label: p.Label, At: p.At, Before: p.Before.Score, After: p.After.Score, Changed: []Changed{}}
	was := map[string]filter.Score{}
	for _, x := range p.Before.Reasons {
		was[x.Symbol] = x.Score
	}
	for _, x := range p.After.Reasons {
		before, there := was[x.Symbol]
		delete(was, x.Symbol)
		switch {
		case !there:
			e.Changed = append(e.Changed, Changed{x.Symbol, 0, x.Score, "new"})
		case before != x.Score:
			e.Changed = append(e.Changed, Changed{x.Symbol, before, x.Score, ""})
		}
	}
	for s, before := range was {
		e.Changed = append(e.Changed, Changed{s, before, 0, "gone"})
	}
	slices.SortFunc(e.Changed, func(a, b Changed) int {
		return cmp.Or(cmp.Compare(size(b), size(a)), cmp.Compare(a.Symbol, b.Symbol))
	})
	e.Changed = e.Changed[:min(len(e.Changed), maxSymbols)]
	return e
}

func size(c Changed) filter.Score { return max(c.After-c.Before, c.Before-c.After) }

// Finish works out shares and intervals, and puts what matters most first.
func (r *Report) Finish() {
	of := func(c *Count, n int) {
		c.CI = fit.Wilson(c.N, n)
		if n > 0 {
			c.Share = float64(c.N) / float64(n)
		}
	}
	of(&r.Stricter, r.Known)
	of(&r.Milder, r.Known)
	for i := range r.Flips {
		of(&r.Flips[i].Count, r.Known)
	}
	for _, l := range []*Labelled{r.Ham, r.Spam} {
		if l != nil {
			of(&l.Worse, l.N)
			of(&l.Better, l.N)
		}
	}
	if r.Flips == nil {
		r.Flips = []Flip{}
	}
	slices.SortFunc(r.Flips, func(a, b Flip) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	slices.SortFunc(r.Patterns, func(a, b NotKnown) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Symbol, b.Symbol)) })
}

// Flipped is how many verdicts would be others.
func (r *Report) Flipped() int { return r.Stricter.N + r.Milder.N }

// Share is what a limit is held against: the share of verdicts that flip; of labelled mail, of
// those that become wrong.
func (r *Report) Share() float64 {
	n, of := r.Flipped(), r.Known
	if r.Ham != nil || r.Spam != nil {
		n, of = 0, 0
		for _, l := range []*Labelled{r.Ham, r.Spam} {
			if l != nil {
				n, of = n+l.Worse.N, of+l.N
			}
		}
	}
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
