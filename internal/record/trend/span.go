// Package trend keeps what a gateway counted, by the minute for two days and by the hour for
// more than a year, so that people can look back. What was not counted is not there: a time in
// which no node ran is a gap and never a zero.
package trend

import (
	"maps"
	"slices"

	"postern/internal/record"
)

// Buckets are the upper bounds of delays that are told apart, in milliseconds; what took
// longer than the last is counted behind it. They are those of the metrics.
func Buckets() []int64 {
	return []int64{1, 3, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000, 300000}
}

// Hist is how long something took.
type Hist struct {
	N       int64   `json:"n"`
	Sum     int64   `json:"sum"` // milliseconds
	Max     int64   `json:"max"`
	Buckets []int64 `json:"b,omitempty"` // how many in each; what is missing at the end is 0
}

// add counts one.
func (h *Hist) add(ms int64) {
	i, _ := slices.BinarySearch(Buckets(), ms)
	for len(h.Buckets) <= i {
		h.Buckets = append(h.Buckets, 0)
	}
	h.Buckets[i]++
	h.N, h.Sum, h.Max = h.N+1, h.Sum+ms, max(h.Max, ms)
}

// Plus is both together.
func (h Hist) Plus(o Hist) Hist {
	out := Hist{N: h.N + o.N, Sum: h.Sum + o.Sum, Max: max(h.Max, o.Max), Buckets: slices.Clone(h.Buckets)}
	for i, n := range o.Buckets {
		if i >= len(out.Buckets) {
			out.Buckets = append(out.Buckets, 0)
		}
		out.Buckets[i] += n
	}
	return out
}

// Mean is the mean in milliseconds; ok is false when nothing was counted.
func (h Hist) Mean() (ms float64, ok bool) {
	if h.N == 0 {
		return 0, false
	}
	return float64(h.Sum) / float64(h.N), true
}

// Within is the bound of the bucket in which a share of all lies, or the largest of all where
// that is smaller: so many took no longer. ok is false when nothing was counted.
func (h Hist) Within(share float64) (ms int64, ok bool) {
	if h.N == 0 {
		return 0, false
	}
	bounds, seen := Buckets(), int64(0)
	for i, n := range h.Buckets {
		if seen += n; float64(seen) >= share*float64(h.N) && i < len(bounds) {
			return min(bounds[i], h.Max), true
		}
	}
	return h.Max, true
}

// List is what a blocklist did.
type List struct {
	Asked  int64 `json:"n"`
	Listed int64 `json:"hit,omitempty"`
	Failed int64 `json:"bad,omitempty"`
	Sum    int64 `json:"sum,omitempty"` // milliseconds
	Off    bool  `json:"off,omitempty"` // its answers did not count at the end
}

func (l List) plus(o List) List {
	return List{l.Asked + o.Asked, l.Listed + o.Listed, l.Failed + o.Failed, l.Sum + o.Sum, l.Off || o.Off}
}

// Span is what was counted in some time.
type Span struct {
	Fates   map[string]int64   `json:"f,omitempty"` // copies: "in:delivered"
	Actions map[string]int64   `json:"a,omitempty"` // messages: "in:reject"
	Delays  map[string]Hist    `json:"d,omitempty"` // receive, check, relay, total
	Gauges  map[string]float64 `json:"g,omitempty"` // the largest that was seen
	Lists   map[string]List    `json:"l,omitempty"`
}

// maxNames bounds what a span tells apart; all of it comes from the configuration.
const maxNames = 200

// Plus is both together.
func (s Span) Plus(o Span) Span {
	return Span{
		Fates: join(s.Fates, o.Fates, sum[int64]), Actions: join(s.Actions, o.Actions, sum[int64]), Delays: join(s.Delays, o.Delays, Hist.Plus),
		Gauges: join(s.Gauges, o.Gauges, func(a, b float64) float64 { return max(a, b) }), Lists: join(s.Lists, o.Lists, List.plus),
	}
}

func sum[T int64 | float64](a, b T) T { return a + b }

func join[T any](a, b map[string]T, both func(a, b T) T) map[string]T {
	if len(b) == 0 {
		return a
	}
	out := maps.Clone(a)
	if out == nil {
		out = map[string]T{}
	}
	for name, v := range b {
		if old, ok := out[name]; ok {
			out[name] = both(old, v)
		} else if len(out) < maxNames {
			out[name] = v
		}
	}
	return out
}

// count counts a message.
func (s *Span) count(r record.Row) {
	if s.Fates == nil {
		s.Fates, s.Actions, s.Delays = map[string]int64{}, map[string]int64{}, map[string]Hist{}
	}
	way := "in:"
	if r.Direction == "outbound" {
		way = "out:"
	}
	s.Actions[way+r.Action]++
	for _, f := range r.To {
		s.Fates[way+f.State]++
	}
	for name, ms := range map[string]int64{"receive": r.Delay.Receive, "check": r.Delay.Check, "relay": r.Delay.Relay, "total": r.Delay.Total} {
		if ms >= 0 {
			h := s.Delays[name]
			h.add(ms)
			s.Delays[name] = h
		}
	}
}
