package trend_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/record"
	"postern/internal/record/trend"
)

var noon = time.Date(2026, 6, 8, 12, 0, 30, 0, time.UTC)

// world is two nodes over one store.
type world struct {
	now   time.Time
	store *flaky
	books map[string]*trend.Book
	age   float64
}

// flaky is a store that can be away.
type flaky struct {
	*entities.Memory
	away bool
}

func (f *flaky) Put(ctx context.Context, r entity.Record) error {
	if f.away {
		return errors.New("away")
	}
	return f.Memory.Put(ctx, r)
}

func newWorld() *world {
	w := &world{now: noon, store: &flaky{Memory: &entities.Memory{}}, books: map[string]*trend.Book{}}
	for _, node := range []string{"mx1", "mx2"} {
		w.books[node] = &trend.Book{Store: w.store, Node: node, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler), Sample: func(context.Context) (map[string]float64, map[string]trend.List) {
			return map[string]float64{"holds:held": w.age}, map[string]trend.List{"zen": {Asked: 2, Sum: 30}}
		}}
	}
	return w
}

func message(direction, action string, ms int64, states ...string) record.Row {
	r := record.Row{Direction: direction, Action: action, Delay: record.Delay{Receive: -1, Check: -1, Relay: -1, Total: ms}}
	for _, s := range states {
		r.To = append(r.To, record.Fate{State: s})
	}
	return r
}

func (w *world) turn(t *testing.T, nodes ...string) {
	t.Helper()
	w.now = w.now.Truncate(time.Minute).Add(time.Minute)
	for _, n := range nodes {
		if err := w.books[n].Turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) look(t *testing.T, name, node string) trend.Trend {
	t.Helper()
	out, err := w.books["mx1"].Look(t.Context(), name, node)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRanges has what two nodes counted seen over every range, together and alone; minutes in
// which no node was there are gaps.
func TestRanges(t *testing.T) {
	w := newWorld()
	w.age = 7
	w.books["mx1"].Count(message("inbound", "accept", 40, "delivered", "held"))
	w.books["mx1"].Count(message("outbound", "reject", 9000, "rejected"))
	w.books["mx2"].Count(message("inbound", "accept", 60, "delivered"))
	w.turn(t, "mx1", "mx2")
	w.age = 3
	w.turn(t, "mx1")
	for _, name := range trend.Ranges() {
		all := w.look(t, name, "")
		if all.Total.Fates["in:delivered"] != 2 || all.Total.Fates["in:held"] != 1 || all.Total.Fates["out:rejected"] != 1 || all.Total.Actions["out:reject"] != 1 {
			t.Errorf("%s: %+v", name, all.Total)
		}
		if h := all.Total.Delays["total"]; h.N != 3 || h.Max != 9000 || all.Total.Gauges["holds:held"] != 7 || all.Total.Lists["zen"].Asked != 6 {
			t.Errorf("%s: %+v", name, all.Total)
		}
		gaps := 0
		for i, p := range all.Points {
			if p.Span == nil {
				gaps++
			}
			if want := all.From.Add(time.Duration(i) * all.Step); !p.At.Equal(want) {
				t.Fatalf("%s: point %d is at %s", name, i, p.At)
			}
		}
		if seen := len(all.Points) - gaps; seen < 1 || seen > 2 || !all.Points[len(all.Points)-1].At.Before(all.To) {
			t.Errorf("%s: %d points of %d", name, seen, len(all.Points))
		}
		if len(all.Nodes) != 2 || all.Nodes[1].Name != "mx2" {
			t.Errorf("%s: nodes %+v", name, all.Nodes)
		}
		if one := w.look(t, name, "mx2"); one.Total.Fates["in:delivered"] != 1 || len(one.Nodes) != 2 {
			t.Errorf("%s of one node: %+v", name, one.Total)
		}
	}
	if _, err := w.books["mx1"].Look(t.Context(), "decade", ""); !errors.Is(err, trend.ErrRange) {
		t.Error(err)
	}
}

// TestAway has minutes that could not be written come later, in their places and once.
func TestAway(t *testing.T) {
	w := newWorld()
	w.store.away = true
	for range 3 {
		w.now = w.now.Truncate(time.Minute).Add(time.Minute)
		w.books["mx1"].Count(message("inbound", "accept", 1, "delivered"))
		if err := w.books["mx1"].Turn(t.Context()); err == nil {
			t.Fatal("it was written")
		}
	}
	w.store.away = false
	w.turn(t, "mx1")
	got := w.look(t, "hour", "")
	n := 0
	for _, p := range got.Points {
		if p.Span != nil && p.Span.Fates["in:delivered"] == 1 {
			n++
		}
	}
	if n != 3 || got.Total.Fates["in:delivered"] != 3 {
		t.Errorf("%d minutes, %+v", n, got.Total)
	}
}

// TestPurge has minutes forgotten after two days and hours after more than a year.
func TestPurge(t *testing.T) {
	w := newWorld()
	w.books["mx1"].Count(message("inbound", "accept", 1, "delivered"))
	w.turn(t, "mx1")
	count := func(kind entity.Kind) int {
		n, err := w.store.Count(t.Context(), entity.Query{Kind: kind, Index: "at"}, 100)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.now = noon.Add(trend.KeepMinutes + 2*time.Hour)
	w.turn(t, "mx1")
	if h, d := count("figures-hour"), count("figures-day"); h != 1 || d != 2 {
		t.Errorf("%d hours, %d days", h, d)
	}
	w.now = noon.Add(trend.KeepHours + 24*time.Hour)
	w.turn(t, "mx1")
	if h, d := count("figures-hour"), count("figures-day"); h != 1 || d != 2 {
		t.Errorf("after a year: %d hours, %d days", h, d)
	}
}

// TestDelays has means and shares told from the buckets, never beyond what was seen.
func TestDelays(t *testing.T) {
	w := newWorld()
	for ms, n := range map[int64]int{4: 50, 90: 44, 700: 5, 400_000: 1} {
		for range n {
			w.books["mx1"].Count(message("inbound", "accept", ms, "delivered"))
		}
	}
	w.turn(t, "mx1")
	h := w.look(t, "hour", "").Total.Delays["total"]
	if mean, ok := h.Mean(); !ok || mean != float64(50*4+44*90+5*700+400_000)/100 {
		t.Error(mean, ok)
	}
	for share, want := range map[float64]int64{.5: 5, .94: 100, .95: 1000, .99: 1000, 1: 400_000} {
		if got, ok := h.Within(share); !ok || got != want {
			t.Errorf("%v of all within %d, not %d", share, got, want)
		}
	}
	if got, _ := (trend.Hist{N: 1, Sum: 2, Max: 2, Buckets: []int64{0, 1}}).Within(.5); got != 2 {
		t.Errorf("within %d, where the largest took 2", got)
	}
	if _, ok := (trend.Hist{}).Within(.5); ok {
		t.Error("a share of nothing")
	}
}

// TestBounds has names beyond all bounds left out, and a full record fit into the store.
func TestBounds(t *testing.T) {
	var s trend.Span
	for i := range 500 {
		s = s.Plus(trend.Span{Gauges: map[string]float64{fmt.Sprint(i): 1}})
	}
	if len(s.Gauges) != 200 {
		t.Errorf("%d names", len(s.Gauges))
	}
	w := newWorld()
	for range 60 {
		for _, way := range []string{"inbound", "outbound"} {
			for _, ms := range trend.Buckets() {
				w.books["mx1"].Count(message(way, "quarantine", ms, "delivered", "held", "rejected", "deferred", "outbox", "aborted"))
			}
		}
		w.turn(t, "mx1")
	}
	page, err := w.store.Find(t.Context(), entity.Query{Kind: "figures-hour", Index: "at"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range page.Records {
		var p trend.Period
		if err := json.Unmarshal(r.Data, &p); err != nil || len(r.Data) > entity.MaxData/4 {
			t.Errorf("%d bytes, %v", len(r.Data), err)
		}
		t.Logf("%d minutes: %d bytes", len(p.Parts), len(r.Data))
	}
}
