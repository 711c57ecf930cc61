package record

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Gauges are asked at each scrape. A nil func is left out.
type Gauges struct {
	Holds    func() map[string]int // by state
	Bytes    func() int64          // stored, on disk
	Cap      func() int64
	Outbox   func() int
	Appeals  func() int
	Sessions func() map[string]int // by listener, which the configuration bounds
}

// Metrics are the counters of the gateway. Every label takes its values from a list fixed at
// the start; what is not on it is "other".
type Metrics struct {
	steps    map[string]bool
	messages *prometheus.CounterVec
	in       *prometheus.CounterVec
	fates    *prometheus.CounterVec
	failures *prometheus.CounterVec
	grey     *prometheus.CounterVec
	stripped *prometheus.CounterVec
	softened *prometheus.CounterVec
	dnsCut   *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	dropped  prometheus.Counter
}

// NewMetrics registers the metrics. steps are the names of the pipeline's steps.
func NewMetrics(reg prometheus.Registerer, steps []string, g Gauges) (*Metrics, error) {
	m := &Metrics{
		steps:    map[string]bool{},
		messages: counters("messages_total", "Transactions that were answered, by direction and the largest action of their verdicts.", "direction", "action"),
		in:       counters("recipients_total", "Recipients asked for at RCPT, those refused there included. Equals the sum of postern_fates_total.", "direction"),
		fates:    counters("fates_total", "What became of each accepted recipient's copy.", "direction", "fate"),
		failures: counters("step_failures_total", "Checks that could not tell, by step.", "step"),
		grey:     counters("greylist_total", "Recipients' copies of first contacts: asked to bring it later, or decided about now.", "answer"),
		stripped: counters("stripped_total", "Recipients' copies that were handed on without their infected parts.", "direction"),
		softened: counters("dmarc_softened_total", "Recipients' copies for which evidence lowered the wish of DMARC.", "direction"),
		dnsCut:   counters("dns_budget_total", "Messages whose lookups were left out because their DNS budget was spent.", "direction"),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "postern", Name: "traffic_dropped_total", Help: "Traffic rows dropped because the disk did not keep up."}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "postern", Name: "duration_seconds", Help: "Time of a message by phase: receive, check, relay, total.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}}, []string{"phase"}),
	}
	for _, s := range steps {
		m.steps[s] = true
	}
	for _, c := range []prometheus.Collector{m.messages, m.in, m.fates, m.failures, m.grey, m.stripped, m.softened, m.dnsCut, m.dropped, m.seconds, &gauges{g}} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "postern", Name: name, Help: help}, labels)
}

// count counts one transaction.
func (m *Metrics) count(r Row) {
	m.messages.WithLabelValues(r.Direction, r.Action).Inc()
	m.in.WithLabelValues(r.Direction).Add(float64(len(r.To)))
	first := slices.Contains(r.Symbols, "GREY_NEW")
	for _, f := range r.To {
		m.fates.WithLabelValues(r.Direction, f.State).Inc()
		m.countCopy(r.Direction, f, first)
	}
	if r.DNSCut {
		m.dnsCut.WithLabelValues(r.Direction).Inc()
	}
	for _, u := range r.Unchecked {
		step := u.Step
		if !m.steps[step] {
			step = "other"
		}
		m.failures.WithLabelValues(step).Inc()
	}
	phases := [...]struct {
		name string
		ms   int64
	}{{"receive", r.Delay.Receive}, {"check", r.Delay.Check}, {"relay", r.Delay.Relay}, {"total", r.Delay.Total}}
	for _, p := range phases {
		if p.ms >= 0 {
			m.seconds.WithLabelValues(p.name).Observe((time.Duration(p.ms) * time.Millisecond).Seconds())
		}
	}
}

// countCopy counts what the rules made of one recipient's copy, of a first contact or not.
func (m *Metrics) countCopy(direction string, f Fate, first bool) {
	switch {
	case f.Greylisted:
		m.grey.WithLabelValues("later").Inc()
	case first:
		m.grey.WithLabelValues("now").Inc()
	}
	if len(f.Stripped) > 0 {
		m.stripped.WithLabelValues(direction).Inc()
	}
	if len(f.Softened) > 0 {
		m.softened.WithLabelValues(direction).Inc()
	}
}

// gauges reads state at each scrape.
type gauges struct{ g Gauges }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("postern_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c *gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- desc("holds", "Holds by state.", "state")
	ch <- desc("stored_bytes", "Bytes of stored bodies on disk.")
	ch <- desc("stored_bytes_cap", "The cap on stored bytes, 0 for none.")
	ch <- desc("outbox", "Messages that wait in the outbox.")
	ch <- desc("appeals_waiting", "Appeals of senders that wait for an answer.")
	ch <- desc("sessions", "Open SMTP sessions by listener.", "listener")
}

// Collect implements prometheus.Collector.
func (c *gauges) Collect(ch chan<- prometheus.Metric) {
	many := func(f func() map[string]int, d *prometheus.Desc) {
		if f == nil {
			return
		}
		for label, n := range f() {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), label)
		}
	}
	one := func(ok bool, f func() float64, d *prometheus.Desc) {
		if ok {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, f())
		}
	}
	many(c.g.Holds, desc("holds", "Holds by state.", "state"))
	many(c.g.Sessions, desc("sessions", "Open SMTP sessions by listener.", "listener"))
	one(c.g.Bytes != nil, func() float64 { return float64(c.g.Bytes()) }, desc("stored_bytes", "Bytes of stored bodies on disk."))
	one(c.g.Cap != nil, func() float64 { return float64(c.g.Cap()) }, desc("stored_bytes_cap", "The cap on stored bytes, 0 for none."))
	one(c.g.Outbox != nil, func() float64 { return float64(c.g.Outbox()) }, desc("outbox", "Messages that wait in the outbox."))
	one(c.g.Appeals != nil, func() float64 { return float64(c.g.Appeals()) }, desc("appeals_waiting", "Appeals of senders that wait for an answer."))
}
