// Package alert says loudly what a postmaster must know: once when it begins, again after a
// day if it goes on, and once when it is over.
package alert

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Severity orders alerts.
type Severity string

// The severities.
const (
	Notice   Severity = "notice" // nothing is wrong
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Alert is one message to the postmaster.
type Alert struct {
	Key      string    `json:"key"` // what it is about; the same key is the same trouble
	Severity Severity  `json:"severity"`
	Summary  string    `json:"summary"`
	Detail   string    `json:"detail,omitempty"`
	Node     string    `json:"node"`
	At       time.Time `json:"at"`
	Since    time.Time `json:"since"`
	Over     bool      `json:"over"` // the all-clear
}

// Sender carries alerts out of the process.
type Sender interface {
	Send(ctx context.Context, a Alert) error
}

// Bounds of the alerter.
const (
	Repeat    = 24 * time.Hour // an alert that stands is said again after this
	maxActive = 1000           // keys kept; beyond that alerts only reach the log
	queueLen  = 256            // alerts waiting for the senders
	attempts  = 5              // tries per alert and sender
)

// Alerter keeps which alerts stand and hands new ones to its senders. Close it.
type Alerter struct {
	node    string
	now     func() time.Time
	log     *slog.Logger
	senders []Sender
	backoff time.Duration

	mu      sync.Mutex
	active  map[string]Alert
	said    map[string]time.Time
	queue   chan Alert
	stopped bool
	done    chan struct{}
	cancel  context.CancelFunc
}

// New starts an alerter; backoff is the first pause between tries of a sender.
func New(node string, now func() time.Time, log *slog.Logger, backoff time.Duration, senders ...Sender) *Alerter {
	ctx, cancel := context.WithCancel(context.Background())
	a := &Alerter{
		node: node, now: now, log: log, senders: senders, backoff: backoff,
		active: map[string]Alert{}, said: map[string]time.Time{},
		queue: make(chan Alert, queueLen), done: make(chan struct{}), cancel: cancel,
	}
	go a.run(ctx)
	return a
}

// Raise says that the trouble named by key stands. The same key again is silent until Repeat
// has gone by.
func (a *Alerter) Raise(key string, s Severity, summary, detail string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	al := Alert{Key: key, Severity: s, Summary: summary, Detail: detail, Node: a.node, At: now, Since: now}
	if old, ok := a.active[key]; ok {
		al.Since = old.Since
		if now.Sub(a.said[key]) < Repeat {
			a.active[key] = al
			return
		}
	} else if len(a.active) >= maxActive {
		a.log.Error("alert", "key", key, "summary", summary, "detail", detail)
		return
	}
	a.active[key], a.said[key] = al, now
	a.log.Error("alert", "key", key, "severity", string(s), "summary", summary, "detail", detail)
	a.enqueue(al)
}

// Clear says that the trouble is over; silent when it did not stand.
func (a *Alerter) Clear(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	al, ok := a.active[key]
	if !ok {
		return
	}
	delete(a.active, key)
	delete(a.said, key)
	al.Over, al.At = true, a.now()
	a.log.Info("all clear", "key", key, "summary", al.Summary)
	a.enqueue(al)
}

// Active lists what stands, oldest first.
func (a *Alerter) Active() []Alert {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Alert
	for _, al := range a.active {
		all = append(all, al)
	}
	slices.SortFunc(all, func(x, y Alert) int {
		if c := x.Since.Compare(y.Since); c != 0 {
			return c
		}
		return strings.Compare(x.Key, y.Key)
	})
	return all
}

func (a *Alerter) enqueue(al Alert) {
	if a.stopped {
		return
	}
	select {
	case a.queue <- al:
	default:
		a.log.Error("an alert was not sent: too many wait", "key", al.Key)
	}
}

func (a *Alerter) run(ctx context.Context) {
	defer close(a.done)
	for al := range a.queue {
		for _, s := range a.senders {
			if err := a.send(ctx, s, al); err != nil {
				a.log.Error("an alert could not be sent", "key", al.Key, "err", err)
			}
		}
	}
}

func (a *Alerter) send(ctx context.Context, s Sender, al Alert) error {
	var errs []error
	for try := range attempts {
		err := s.Send(ctx, al)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		select {
		case <-ctx.Done():
			return errors.Join(errs...)
		case <-time.After(a.backoff << try):
		}
	}
	return errors.Join(errs...)
}

// Close sends what waits, at most until ctx ends, and stops.
func (a *Alerter) Close(ctx context.Context) {
	a.mu.Lock()
	if !a.stopped {
		a.stopped = true
		close(a.queue)
	}
	a.mu.Unlock()
	select {
	case <-a.done:
	case <-ctx.Done():
		a.cancel()
		<-a.done
	}
	a.cancel()
}
