package demo

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"postern/internal/record"
	"postern/internal/record/trend"
)

// Synthetic is the node that the history is of: nobody takes it for one that was there.
const Synthetic = "synthetic-history"

// HistoryLong is how far back it goes.
const HistoryLong = 24 * time.Hour

// Hours before now at which something happens in the history.
const (
	waveFrom, waveTo = 7.0, 5.5  // a wave of spam
	slowFrom, slowTo = 11.0, 10. // the server behind is slow
)

// History is a day of traffic before now that never was, minute by minute: a quiet night, a busy
// morning, a wave of spam and an hour in which the server behind is slow.
func History(now time.Time) iter.Seq2[time.Time, trend.Span] {
	return func(yield func(time.Time, trend.Span) bool) {
		rnd := rand.New(rand.NewPCG(2026, 1122)) //nolint:gosec // the same day each time
		end := now.UTC().Truncate(time.Minute)
		for at := end.Add(-HistoryLong).Add(time.Minute); at.Before(end); at = at.Add(time.Minute) {
			if !yield(at, past(rnd, at, end.Sub(at).Hours())) {
				return
			}
		}
	}
}

// past is one minute; ago is in hours.
func past(rnd *rand.Rand, at time.Time, ago float64) trend.Span {
	busy := hump(at)
	slow := ago < slowFrom && ago > slowTo
	m := maker{rnd: rnd, slow: slow}
	m.some(12*busy, m.in)
	m.some(4*busy, m.out)
	m.some(5+3*busy, m.spam)
	if ago < waveFrom && ago > waveTo {
		edge := math.Sin(math.Pi * (waveFrom - ago) / (waveFrom - waveTo))
		m.some(45*edge, m.spam)
	}
	s := trend.Counted(m.rows...)
	waits := 0.0
	if slow {
		waits = math.Round(18 * math.Sin(math.Pi*(slowFrom-ago)/(slowFrom-slowTo)))
	}
	s.Gauges = map[string]float64{
		"holds:held": math.Round(140 - 4*ago + 6*rnd.Float64()), "outbox": waits, "owed": 0, "sessions": math.Round(2 + 9*busy),
		"store-ms": math.Round((0.2+0.4*rnd.Float64()+0.3*busy)*100) / 100, "signatures-hours": math.Round((1+math.Mod(30-ago, 6))*10) / 10, "scanners": 1, "scanners-ready": 1,
	}
	asked := int64(len(m.rows))
	s.Lists = map[string]trend.List{"demo-list": {Asked: asked, Listed: int64(m.listed), Sum: asked * int64(9+rnd.IntN(8))}}
	return s
}

// hump is how busy people are at a time of day: 0.1 at night, 1 in the morning.
func hump(at time.Time) float64 {
	h := float64(at.Hour()) + float64(at.Minute())/60
	bell := func(middle, wide float64) float64 { return math.Exp(-(h - middle) * (h - middle) / (2 * wide * wide)) }
	return 0.1 + 0.9*bell(10, 1.9) + 0.7*bell(14.8, 1.7) + 0.2*bell(20, 1.5)
}

// maker makes the messages of a minute.
type maker struct {
	rnd    *rand.Rand
	slow   bool
	rows   []record.Row
	listed int
}

// some makes about so many.
func (m *maker) some(about float64, one func()) {
	for range int(about + m.rnd.NormFloat64()*math.Sqrt(about)/2 + m.rnd.Float64()) {
		one()
	}
}

// took is about so many milliseconds: most a little less, a few far more.
func (m *maker) took(ms float64) int64 {
	return int64(max(1, ms*math.Exp(m.rnd.NormFloat64()*0.6)))
}

func (m *maker) add(direction, action, state string) {
	d := record.Delay{Receive: m.took(30), Check: m.took(110), Relay: -1}
	d.Total = d.Receive + d.Check
	if state == "delivered" || state == "deferred" && m.slow {
		d.Relay = m.took(45)
		if m.slow {
			d.Relay = m.took(2600)
		}
		d.Total += d.Relay
	}
	m.rows = append(m.rows, record.Row{Direction: direction, Action: action, To: []record.Fate{{State: state}}, Delay: d})
}

// in is mail that people wait for.
func (m *maker) in() {
	switch p := m.rnd.Float64(); {
	case m.slow && p < 0.12:
		m.add("inbound", "accept", "deferred")
	case p < 0.05:
		m.add("inbound", "tag", "delivered")
	default:
		m.add("inbound", "accept", "delivered")
	}
}

// out is mail that local accounts send.
func (m *maker) out() {
	if m.rnd.Float64() < 0.01 {
		m.add("outbound", "quarantine", "held")
		return
	}
	m.add("outbound", "accept", "delivered")
}

// spam is mail that nobody waits for.
func (m *maker) spam() {
	switch p := m.rnd.Float64(); {
	case p < 0.62:
		m.listed++
		m.add("inbound", "reject", "rejected")
	case p < 0.80:
		m.add("inbound", "defer", "deferred")
	case p < 0.88:
		m.add("inbound", "quarantine", "held")
	default:
		m.add("inbound", "tag", "delivered")
	}
}
