package home

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/internal/config"
)

// Metrics shows how a store that other machines run does.
func (h *Home) Metrics(reg prometheus.Registerer) {
	if h.Name != config.HomeRedis {
		return
	}
	read := func(f func(s Status) float64) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return f(h.Status(ctx))
		}
	}
	journal := func(f func(j Journal) float64) func() float64 {
		return read(func(s Status) float64 {
			if s.Journal == nil {
				return 0
			}
			return f(*s.Journal)
		})
	}
	for _, m := range []struct {
		name, help string
		read       func() float64
	}{
		{"postern_store_up", "1 while Redis does what it is asked.", read(func(s Status) float64 {
			if s.Away != "" {
				return 0
			}
			return 1
		})},
		{"postern_store_nodes", "Nodes seen in the last minute.", read(func(s Status) float64 { return float64(len(s.Nodes)) })},
		{"postern_store_not_strict", "Settings of Redis under which it may forget.", read(func(s Status) float64 { return float64(len(s.Lax)) })},
		{"postern_journal_entries", "Holds and outbox entries in the node's own journal.", journal(func(j Journal) float64 { return float64(j.Live) })},
		{"postern_journal_bytes", "Bytes of the node's own journal.", journal(func(j Journal) float64 { return float64(j.Bytes) })},
	} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: m.name, Help: m.help}, m.read))
	}
	for _, m := range []struct {
		name, help string
		read       func() float64
	}{
		{"postern_store_round_trips_total", "Round trips to Redis; a pipeline is one.", read(func(s Status) float64 { return float64(s.Trips) })},
		{"postern_store_commands_total", "Commands sent to Redis.", read(func(s Status) float64 { return float64(s.Commands) })},
		{"postern_store_traffic_dropped_total", "Traffic rows that found no room.", read(func(s Status) float64 { return float64(s.Dropped) })},
		{"postern_journal_pushed_total", "Entries given back to Redis after it lost them.", journal(func(j Journal) float64 { return float64(j.Pushed) })},
	} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: m.name, Help: m.help}, m.read))
	}
}
