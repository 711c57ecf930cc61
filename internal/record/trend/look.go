package trend

import (
	"context"
	"slices"
	"strings"
	"time"

	"postern/internal/entity"
	"postern/internal/said"
)

// ErrRange says that there is no such range. It is wrapped.
var ErrRange = said.New("trend.there-is-no-such-range", "there is no such range")

// span of time that is looked at, and how fine.
type scale struct {
	long, step time.Duration
	kind       entity.Kind
	part       time.Duration // of a record
}

func scales() map[string]scale {
	return map[string]scale{
		"hour":  {time.Hour, time.Minute, kindHour, time.Minute},
		"day":   {24 * time.Hour, 5 * time.Minute, kindHour, time.Minute},
		"week":  {7 * 24 * time.Hour, time.Hour, kindDay, time.Hour},
		"month": {31 * 24 * time.Hour, 2 * time.Hour, kindDay, time.Hour},
	}
}

// Ranges are how far people look back.
func Ranges() []string { return []string{"hour", "day", "week", "month"} }

// Point is what was counted in a step; no Span where no node was there to count.
type Point struct {
	At   time.Time `json:"at"`
	Span *Span     `json:"span,omitempty"`
}

// Node is one node and what it last wrote.
type Node struct {
	Name string    `json:"name"`
	Last time.Time `json:"last"`
	Span Span      `json:"span"`
}

// Trend is a range.
type Trend struct {
	Range  string        `json:"range"`
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	Step   time.Duration `json:"step"`
	Node   string        `json:"node,omitempty"` // "": all together
	Points []Point       `json:"points"`
	Nodes  []Node        `json:"nodes"`
	Total  Span          `json:"total"`
}

// maxNodes bounds the nodes that are told apart.
const maxNodes = 64

// Look reads a range, of one node or of all.
func (b *Book) Look(ctx context.Context, name, node string) (Trend, error) {
	sc, ok := scales()[name]
	if !ok {
		return Trend{}, said.Errorf("trend.is-none-of", "%w: %.20q is none of %s", "kind", ErrRange, "name", name, "ranges", strings.Join(Ranges(), ", "))
	}
	to := b.Now().UTC().Truncate(sc.step).Add(sc.step)
	out := Trend{Range: name, From: to.Add(-sc.long), To: to, Step: sc.step, Node: node, Points: []Point{}, Nodes: []Node{}}
	for at := out.From; at.Before(to); at = at.Add(sc.step) {
		out.Points = append(out.Points, Point{At: at})
	}
	nodes := map[string]Node{}
	whole := 24 * time.Hour
	if sc.kind == kindHour {
		whole = time.Hour
	}
	q := entity.Query{Index: byTime, From: out.From.Add(-whole).UnixMilli(), To: to.UnixMilli(), Rising: true, Limit: 100}
	err := b.table(sc.kind).Each(ctx, q, func(r entity.Row[Period]) error {
		p := r.Value
		for i, s := range p.Parts {
			at := p.From.Add(time.Duration(i) * sc.part)
			if _, known := nodes[p.Node]; (known || len(nodes) < maxNodes) && !at.Before(nodes[p.Node].Last) {
				nodes[p.Node] = Node{p.Node, at, s}
			}
			if at.Before(out.From) || !at.Before(to) || node != "" && node != p.Node {
				continue
			}
			out.Points[at.Sub(out.From)/sc.step].add(s)
			out.Total = out.Total.Plus(s)
		}
		return nil
	})
	for _, n := range nodes {
		out.Nodes = append(out.Nodes, n)
	}
	slices.SortFunc(out.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

func (p *Point) add(s Span) {
	if p.Span == nil {
		p.Span = &Span{}
	}
	both := p.Span.Plus(s)
	p.Span = &both
}
