package blocklist

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"postern/blocklist/zone"
)

// The nouns of DNS lists, under the names others use.
type (
	ListConfig = zone.Config
	ListHealth = zone.Health
	Kind       = zone.Kind
	Resolver   = zone.Resolver
)

// What a list is asked about.
const (
	OfIP     = zone.OfIP
	OfHelo   = zone.OfHelo
	OfDomain = zone.OfDomain
	OfLink   = zone.OfLink
)

// Event is something the operator should hear of. Over says that the trouble with this Key
// has ended.
type Event struct {
	Key, Text string
	Over      bool
}

// ListParts is the world around Lists.
type ListParts struct {
	Resolver Resolver
	Now      func() time.Time
	Log      *slog.Logger
	Alert    func(Event)   // may be nil
	Every    time.Duration // between self-tests; 0 = 5 min
	Seed     string        // picks which links of a mail with too many are asked about; "" = a new one each start
}

// Lists are the DNS lists in use.
type Lists struct {
	all   []*zone.Zone
	now   func() time.Time
	log   *slog.Logger
	alert func(Event)
	every time.Duration
	seed  string
	wake  chan struct{}
}

// NewLists reads the lists. The error names the first that cannot work.
func NewLists(cfg []ListConfig, parts ListParts) (*Lists, error) {
	l := &Lists{now: parts.Now, log: parts.Log, alert: parts.Alert, every: parts.Every, seed: parts.Seed, wake: make(chan struct{}, 1)}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.every <= 0 {
		l.every = 5 * time.Minute
	}
	if l.seed == "" {
		l.seed = rand.Text()
	}
	for _, c := range cfg {
		one, err := zone.New(c, parts.Resolver)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(l.all, func(o *zone.Zone) bool { return o.Name() == one.Name() }) {
			return nil, fmt.Errorf("list %s is written twice", one.Name())
		}
		l.all = append(l.all, one)
	}
	return l, nil
}

// restLeast is the least time between a self-test and one that messages ask for.
const restLeast = 5 * time.Second

// Run tests every list at once and then on a timer, sooner when messages find one at fault,
// until ctx ends. A list is asked only while its last test passed.
func (l *Lists) Run(ctx context.Context) error {
	rest := min(restLeast, l.every)
	for {
		l.Test(ctx)
		if !pause(ctx, rest, nil) || !pause(ctx, l.every-rest, l.wake) {
			return ctx.Err()
		}
	}
}

// pause waits for d or until wake; false: ctx has ended.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wake:
	}
	return true
}

// Test runs the self-test of every list now and returns their states in their order.
func (l *Lists) Test(ctx context.Context) []ListHealth {
	var wg sync.WaitGroup
	for _, one := range l.all {
		wg.Go(func() {
			err := one.Test(ctx)
			if ctx.Err() == nil {
				l.turn(one, err)
			}
		})
	}
	wg.Wait()
	return l.Health()
}

// Health returns the state of every list in their order.
func (l *Lists) Health() []ListHealth {
	all := make([]ListHealth, 0, len(l.all))
	for _, one := range l.all {
		all = append(all, one.Health())
	}
	return all
}

// turn switches a list on or off and says so when that is new.
func (l *Lists) turn(one *zone.Zone, err error) {
	_, fault := one.On()
	if !one.Turn(err, l.now()) {
		return
	}
	ev := Event{Key: "list/" + one.Name(), Text: "list " + one.Name() + " works again", Over: true}
	if err != nil {
		ev = Event{Key: ev.Key, Text: "list " + one.Name() + " (" + one.Apex() + ") is switched off: it " + err.Error()}
	}
	l.log.Info("DNS list", "list", one.Name(), "on", err == nil, "before", fault, "text", ev.Text)
	if l.alert != nil {
		l.alert(ev)
	}
}
