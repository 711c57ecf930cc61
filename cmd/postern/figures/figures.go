// Package figures are the calls that tell how a gateway does: what it counted over time, and
// how each of its parts is now.
package figures

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"postern/blocklist"
	"postern/blocklist/zone"
	"postern/cmd/postern/home"
	"postern/filter/clamav"
	"postern/internal/alert"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/record/trend"
)

// Parts are what is looked at. Those marked so may be nil.
type Parts struct {
	Home     *home.Home
	Node     string
	Now      func() time.Time
	Log      *slog.Logger
	Lists    func() []blocklist.ListHealth
	Scanner  func() *clamav.Scanner // nil result: none is configured
	Sessions func() int
	Alerts   func() []alert.Alert
	Cap      func() int64 // of held mail, in bytes
}

// Desk counts and tells.
type Desk struct {
	Book *trend.Book

	p    Parts
	seen map[string]zone.Tally // of the lists, at the end of the minute before
}

// New makes a Desk. Nothing runs yet.
func New(p Parts) *Desk {
	d := &Desk{p: p, seen: map[string]zone.Tally{}}
	d.Book = &trend.Book{Store: p.Home.Entities, Node: p.Node, Now: p.Now, Log: p.Log, Sample: d.sample}
	return d
}

// sampleTime is how long a look at all parts may take.
const sampleTime = 5 * time.Second

// sample looks at what is counted once a minute. What cannot be told is left out.
func (d *Desk) sample(ctx context.Context) (map[string]float64, map[string]trend.List) {
	ctx, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	g := map[string]float64{"sessions": float64(d.p.Sessions())}
	if st, err := d.p.Home.Holds.Stats(ctx); err == nil {
		for s, n := range st.States {
			g["holds:"+string(s)] = float64(n)
		}
		g["stored"] = float64(st.Bytes)
	}
	if n, err := d.p.Home.Outbox.Count(ctx); err == nil {
		g["outbox"] = float64(n)
	}
	if ms, err := d.store(ctx); err == nil {
		g["store-ms"] = ms
	}
	if st := d.p.Home.Status(ctx); st.Journal != nil {
		g["owed"] = float64(st.Journal.Live)
	}
	critical := 0
	for _, a := range d.p.Alerts() {
		if a.Severity == alert.Critical {
			critical++
		}
	}
	g["alerts"], g["alerts-critical"] = float64(len(d.p.Alerts())), float64(critical)
	if s := d.p.Scanner(); s != nil {
		ready := 0
		for _, h := range s.Health() {
			if h.Ready {
				ready++
			}
		}
		g["scanners"], g["scanners-ready"] = float64(len(s.Health())), float64(ready)
		if age, ok := s.Age(); ok {
			g["signatures-hours"] = math.Round(age.Hours()*10) / 10
		}
	}
	return g, d.lists()
}

// store is how long the store takes to answer about a record that there is not.
func (d *Desk) store(ctx context.Context) (ms float64, err error) {
	begun := time.Now()
	_, err = d.p.Home.Entities.Get(ctx, "figures-hour", "none")
	if errors.Is(err, entity.ErrNotFound) {
		err = nil
	}
	return math.Round(float64(time.Since(begun).Microseconds())/10) / 100, err
}

// lists are what each list did since the minute before.
func (d *Desk) lists() map[string]trend.List {
	out := map[string]trend.List{}
	for _, h := range d.p.Lists() {
		was, now := d.seen[h.Name], h.Tally
		if now.Asked < was.Asked { // the configuration was read anew
			was = zone.Tally{}
		}
		d.seen[h.Name] = now
		out[h.Name] = trend.List{Asked: now.Asked - was.Asked, Listed: now.Listed - was.Listed, Failed: now.Failed - was.Failed, Sum: now.Millis - was.Millis, Off: !h.On}
	}
	return out
}

// Ask asks for a range: hour, day, week or month; of a node, or of all.
type Ask struct {
	Range string `json:"range"`
	Node  string `json:"node,omitempty"`
}

// Now is how the parts of this node are.
type Now struct {
	Node     string                 `json:"node"`
	At       time.Time              `json:"at"`
	Lists    []blocklist.ListHealth `json:"lists"`
	Scanners []clamav.Health        `json:"scanners"`
	AV       string                 `json:"av,omitempty"`
	AVAge    *float64               `json:"av_age_hours,omitempty"`
	Sizes    []home.Size            `json:"sizes"`
	Cap      int64                  `json:"cap"`
	Store    home.Status            `json:"store"`
	StoreMs  *float64               `json:"store_ms,omitempty"` // absent: it does not answer
	Alerts   []alert.Alert          `json:"alerts"`
}

// Handle adds the calls. status tells the sizes, which are counted seldom.
func (d *Desk) Handle(s *control.Server, sizes func(context.Context) []home.Size) {
	control.Handle(s, "figures.trend", func(ctx context.Context, a Ask) (trend.Trend, error) {
		if a.Range == "" {
			a.Range = "day"
		}
		t, err := d.Book.Look(ctx, a.Range, a.Node)
		if errors.Is(err, trend.ErrRange) {
			return t, control.Because(control.Invalid, err)
		}
		return t, err
	})
	control.Handle(s, "figures.now", func(ctx context.Context, _ struct{}) (Now, error) {
		out := Now{Node: d.p.Node, At: d.p.Now().UTC(), Lists: some(d.p.Lists()), Scanners: []clamav.Health{}, Sizes: some(sizes(ctx)), Cap: d.p.Cap(), Store: d.p.Home.Status(ctx), Alerts: some(d.p.Alerts())}
		if ms, err := d.store(ctx); err == nil {
			out.StoreMs = &ms
		}
		if s := d.p.Scanner(); s != nil {
			out.Scanners, out.AV = s.Health(), s.Version()
			if age, ok := s.Age(); ok {
				hours := age.Hours()
				out.AVAge = &hours
			}
		}
		return out, nil
	})
}

// some makes an empty list of none, so that JSON says [] and not null.
func some[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
