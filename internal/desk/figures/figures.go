// Package figures is the desk's pages of how the gateway does: plots over time, the state of
// its parts, and the report of a month.
package figures

import (
	"embed"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/work"
)

//go:embed all:html
var Pages embed.FS

// Room is the pages.
type Room struct {
	Kit   *page.Kit
	Calls page.Caller
	Long  *work.Room
}

// Routes adds the pages.
func (h *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /figures", h.show)
	handle("GET /figures/report", h.report)
	handle("POST /figures/report/rows", h.rows)
	handle("POST /figures/report/credit", h.decide)
}

type hist struct {
	N   int64   `json:"n"`
	Sum int64   `json:"sum"`
	Max int64   `json:"max"`
	B   []int64 `json:"b"`
}

// bounds are the upper ends of the recorded buckets, in milliseconds.
func bounds() []int64 {
	return []int64{1, 3, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000, 300000}
}

// within is the bound that a share of all did not pass; nil: there were none.
func (h hist) within(share float64) *float64 {
	if h.N == 0 {
		return nil
	}
	seen, out := int64(0), float64(h.Max)
	for i, n := range h.B {
		if seen += n; float64(seen) >= share*float64(h.N) && i < len(bounds()) {
			out = min(out, float64(bounds()[i]))
			break
		}
	}
	return &out
}

type list struct {
	Asked  int64 `json:"n"`
	Listed int64 `json:"hit"`
	Failed int64 `json:"bad"`
	Sum    int64 `json:"sum"`
}

type span struct {
	Fates   map[string]int64   `json:"f"`
	Actions map[string]int64   `json:"a"`
	Delays  map[string]hist    `json:"d"`
	Gauges  map[string]float64 `json:"g"`
	Lists   map[string]list    `json:"l"`
}

type trend struct {
	Range  string        `json:"range"`
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	Step   time.Duration `json:"step"`
	Node   string        `json:"node"`
	Points []struct {
		At   time.Time `json:"at"`
		Span *span     `json:"span"`
	} `json:"points"`
	Nodes []struct {
		Name string    `json:"name"`
		Last time.Time `json:"last"`
		Span span      `json:"span"`
	} `json:"nodes"`
	Total span `json:"total"`
}

type now struct {
	Node  string `json:"node"`
	Lists []struct {
		Name  string `json:"name"`
		Zone  string `json:"zone"`
		On    bool   `json:"on"`
		Fault string `json:"fault"`
		Tally struct {
			Asked, Listed, Failed, Ms, Slow int64
		} `json:"tally"`
	} `json:"lists"`
	Scanners []struct {
		Endpoint, Fault, Version string
		Ready                    bool
	} `json:"scanners"`
	AV    string   `json:"av"`
	AVAge *float64 `json:"av_age_hours"`
	Sizes []struct {
		Of    string `json:"of"`
		Items int64  `json:"items"`
		Bytes int64  `json:"bytes"`
		Cap   int64  `json:"cap"`
	} `json:"sizes"`
	Store struct {
		Home    string `json:"home"`
		Away    string `json:"away"`
		Journal *struct {
			Live  int64 `json:"live"`
			Bytes int64 `json:"bytes"`
		} `json:"journal"`
	} `json:"store"`
	StoreMs *float64 `json:"store_ms"`
	Alerts  []struct {
		Key      string    `json:"key"`
		Severity string    `json:"severity"`
		Summary  string    `json:"summary"`
		Detail   string    `json:"detail"`
		Since    time.Time `json:"since"`
	} `json:"alerts"`
}

// Plot is some lines over time, as the script draws it and as a table says it.
type Plot struct {
	ID    string      `json:"id"`
	Title string      `json:"title"`
	Unit  string      `json:"unit"`
	Time  string      `json:"time"`
	Log   bool        `json:"log,omitempty"`
	At    []int64     `json:"at"` // Unix seconds
	Lines []Line      `json:"lines"`
	Times []time.Time `json:"-"`
}

// Line is one of them. nil: nothing was counted then.
type Line struct {
	Name   string     `json:"name"`
	Values []*float64 `json:"values"`
}

// Any reports whether there is anything to draw.
func (p Plot) Any() bool {
	return slices.ContainsFunc(p.Lines, func(l Line) bool {
		return slices.ContainsFunc(l.Values, func(v *float64) bool { return v != nil })
	})
}

// maxTable bounds the rows of a plot's table.
const maxTable = 48

// Rows are the last moments of a plot at which anything was counted, the newest first.
func (p Plot) Rows() (out []Row) {
	for i := len(p.Times) - 1; i >= 0 && len(out) < maxTable; i-- {
		r := Row{At: p.Times[i]}
		any := false
		for _, l := range p.Lines {
			r.Values = append(r.Values, l.Values[i])
			any = any || l.Values[i] != nil
		}
		if any {
			out = append(out, r)
		}
	}
	return out
}

// Row is one moment of a plot.
type Row struct {
	At     time.Time
	Values []*float64
}

// view is the page.
type view struct {
	Range, Node string
	Ranges      []string
	Trend       trend
	Now         now
	Plots       []Plot
	Tiles       []figure
	Month       string
}

func (h *Room) show(w http.ResponseWriter, r *http.Request) {
	v := view{Range: r.FormValue("range"), Node: r.FormValue("node"), Ranges: []string{"hour", "day", "week", "month"}}
	if !slices.Contains(v.Ranges, v.Range) {
		v.Range = "day"
	}
	err := h.Calls.Call(r.Context(), "figures.trend", map[string]string{"range": v.Range, "node": v.Node}, &v.Trend)
	if err == nil {
		err = h.Calls.Call(r.Context(), "figures.now", struct{}{}, &v.Now)
	}
	if err == nil && h.Calls.May(r.Context(), "service.report") {
		var m report
		v.Month = h.Kit.Now().UTC().Format("2006-01")
		err = h.Calls.Call(r.Context(), "service.report", map[string]string{"month": v.Month}, &m)
		v.Tiles = h.said(r, m.Figures)
	}
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	v.Plots = plots(v.Trend, func(key string) string { return h.Kit.Language(r).Say("figures." + key) })
	h.Kit.Show(w, r, "figures", page.View{Title: h.Kit.Language(r).Say("figures.title"), Here: "figures", Wide: true, Body: v})
}

// plots are those of a range, with their texts said.
func plots(t trend, say func(key string) string) []Plot {
	fates := []string{"delivered", "held", "rejected", "deferred", "outbox", "aborted"}
	count := func(of func(*span) map[string]int64, name string) func(*span) *float64 {
		return func(s *span) *float64 { n := float64(of(s)[name]); return &n }
	}
	gauge := func(name string) func(*span) *float64 {
		return func(s *span) *float64 {
			if v, ok := s.Gauges[name]; ok {
				return &v
			}
			return nil
		}
	}
	var out []Plot
	add := func(id, unit string, names []string, of func(name string) func(*span) *float64, label func(string) string) {
		out = append(out, plotOf(t, Plot{ID: id, Title: say("plot-" + id), Unit: unit, Time: say("time"), Log: id == "delay"}, names, of, label))
	}
	said := func(prefix string) func(string) string { return func(n string) string { return say(prefix + n) } }
	byFate := func(way string) func(string) func(*span) *float64 {
		return func(n string) func(*span) *float64 {
			return count(func(s *span) map[string]int64 { return s.Fates }, way+n)
		}
	}
	add("in", say("unit-copies"), fates, byFate("in:"), said("fate-"))
	add("out", say("unit-copies"), fates, byFate("out:"), said("fate-"))
	actions := []string{"accept", "tag", "quarantine", "defer", "reject"}
	add("verdict", say("unit-messages"), actions, func(n string) func(*span) *float64 {
		return func(s *span) *float64 { v := float64(s.Actions["in:"+n] + s.Actions["out:"+n]); return &v }
	}, said("action-"))
	add("delay", say("unit-ms"), []string{"mean", "p50", "p95", "max"}, func(n string) func(*span) *float64 {
		return func(s *span) *float64 { return delay(s.Delays["total"], n) }
	}, said("delay-"))
	var lists []string
	for name := range t.Total.Lists {
		lists = append(lists, name)
	}
	slices.Sort(lists)
	add("lists", say("unit-ms"), lists[:min(len(lists), 8)], func(n string) func(*span) *float64 {
		return func(s *span) *float64 {
			l := s.Lists[n]
			if l.Asked == 0 {
				return nil
			}
			v := math.Round(float64(l.Sum)/float64(l.Asked)*10) / 10
			return &v
		}
	}, strings.ToLower)
	add("waiting", say("unit-messages"), []string{"holds:held", "outbox", "owed"}, gauge, func(n string) string { return say("gauge-" + strings.ReplaceAll(n, ":", "-")) })
	add("store", say("unit-ms"), []string{"store-ms"}, gauge, said("gauge-"))
	add("signatures", say("unit-hours"), []string{"signatures-hours"}, gauge, said("gauge-"))
	return out
}

// plotOf fills a plot with a line for each name.
func plotOf(t trend, p Plot, names []string, of func(name string) func(*span) *float64, label func(string) string) Plot {
	for _, n := range names {
		p.Lines = append(p.Lines, Line{Name: label(n)})
	}
	for _, point := range t.Points {
		p.At, p.Times = append(p.At, point.At.Unix()), append(p.Times, point.At)
		for i, n := range names {
			var v *float64
			if point.Span != nil {
				v = of(n)(point.Span)
			}
			p.Lines[i].Values = append(p.Lines[i].Values, v)
		}
	}
	return p
}

// delay is a figure of delays; nil: there were none.
func delay(h hist, of string) *float64 {
	switch {
	case h.N == 0:
		return nil
	case of == "mean":
		v := math.Round(float64(h.Sum) / float64(h.N))
		return &v
	case of == "p50":
		return h.within(.5)
	case of == "p95":
		return h.within(.95)
	}
	v := float64(h.Max)
	return &v
}
