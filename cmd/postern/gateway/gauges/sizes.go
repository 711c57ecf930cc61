package gauges

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/cmd/postern/home"
)

// sizesFor is for how long sizes are believed: to count them can take a while.
const sizesFor = time.Minute

// sizesWait is how long counting may take.
const sizesWait = 2 * time.Second

// Sizes are those of what a home keeps, counted at most once a minute.
type Sizes struct {
	Home *home.Home
	Now  func() time.Time

	mu  sync.Mutex
	at  time.Time
	all []home.Size
}

// Get returns the sizes, those of before where they cannot be counted; nil where they never
// could.
func (s *Sizes) Get(ctx context.Context) []home.Size {
	if s == nil || s.Home.Sizes == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	if age := now.Sub(s.at); !s.at.IsZero() && age >= 0 && age < sizesFor {
		return s.all
	}
	ctx, cancel := context.WithTimeout(ctx, sizesWait)
	defer cancel()
	s.at = now
	if all, err := s.Home.Sizes(ctx); err == nil {
		s.all = all
	}
	return s.all
}

// Stored tells what is stored, and how old the backups are. What is not known is left out.
type Stored struct {
	Sizes *Sizes
	Ages  func() (last, full, oldest time.Duration, ok bool, err error)
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("postern_"+name, help, labels, nil)
}

func items() *prometheus.Desc {
	return desc("state_items", "What the home keeps, by kind: records, intake, cases, papers, sent ...", "kind")
}

func bytes() *prometheus.Desc {
	return desc("state_bytes", "Bytes of it as they are stored.", "kind")
}

func capped() *prometheus.Desc {
	return desc("state_bytes_cap", "The cap on these bytes, where there is one.", "kind")
}

func ages() *prometheus.Desc {
	return desc("backup_age_seconds", "Age of the last backup, of the last full one, and of the oldest that is kept.", "run")
}

// Describe implements prometheus.Collector.
func (s *Stored) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{items(), bytes(), capped(), ages()} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Stored) Collect(ch chan<- prometheus.Metric) {
	say := func(d *prometheus.Desc, v float64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	for _, one := range s.Sizes.Get(context.Background()) {
		say(items(), float64(one.Items), one.Of)
		say(bytes(), float64(one.Bytes), one.Of)
		if one.Cap > 0 {
			say(capped(), float64(one.Cap), one.Of)
		}
	}
	last, full, oldest, ok, err := s.Ages()
	if err != nil || !ok {
		return
	}
	for label, age := range map[string]time.Duration{"last": last, "full": full, "oldest": oldest} {
		if age >= 0 {
			say(ages(), age.Seconds(), label)
		}
	}
}
