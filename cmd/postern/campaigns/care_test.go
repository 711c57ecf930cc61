package campaigns_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postern/cmd/postern/campaigns"
	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/store/storetest/campaigntest"
)

// node is a node whose loops run on a clock of their own.
type node struct {
	*campaigns.Campaigns
	store   *campaigntest.Memory
	records *flaky
	ahead   atomic.Int64 // how far the clock was set
	broken  atomic.Bool  // the store
	log     lines
	stop    func()
}

// lines is a log that several may write.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), what)
}

// flaky are records that can be away.
type flaky struct {
	*entities.Memory
	away atomic.Bool
}

func (f *flaky) Revision(ctx context.Context, k entity.Kind) (uint64, error) {
	if f.away.Load() {
		return 0, errors.New("away")
	}
	return f.Memory.Revision(ctx, k)
}

func (f *flaky) Find(ctx context.Context, q entity.Query) (entity.Page, error) {
	if f.away.Load() {
		return entity.Page{}, errors.New("away")
	}
	return f.Memory.Find(ctx, q)
}

func start(t *testing.T, away bool) *node {
	t.Helper()
	n := &node{store: &campaigntest.Memory{}, records: &flaky{Memory: &entities.Memory{}}}
	n.records.away.Store(away)
	n.store.Fail = func() error {
		if n.broken.Load() {
			return errors.New("disk gone")
		}
		return nil
	}
	var cfg atomic.Pointer[config.Config]
	cfg.Store(config.Default())
	n.Campaigns = campaigns.New(t.Context(), campaigns.Parts{
		Config: &cfg, Store: n.store, Records: n.records, Log: slog.New(slog.NewTextHandler(&n.log, nil)),
		Now:   func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) },
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
		Event: func(string, string, bool) {},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, loop := range n.Loops() {
		all.Go(func() {
			if err := loop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	n.stop = func() { cancel(); all.Wait() }
	return n
}

func (n *node) letters(t *testing.T) int64 {
	t.Helper()
	out, _, err := n.store.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestForgetting forgets letters a week after their last copy, and not since a clock was set.
func TestForgetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, false)
		defer n.stop()
		add := func(p simhash.Print) {
			c := campaigntest.Copy(p, 1)
			c.At = time.Now()
			if err := n.store.Add(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		add(1)
		time.Sleep(6 * 24 * time.Hour)
		add(2)
		n.ahead.Store(int64(30 * 24 * time.Hour))
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		if got := n.letters(t); got != 2 {
			t.Errorf("a clock that was set forgot: %d letters are left", got)
		}
		n.ahead.Store(0)
		time.Sleep(22 * time.Hour)
		synctest.Wait()
		if got := n.letters(t); got != 2 {
			t.Errorf("%d letters are left within the week", got)
		}
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if got := n.letters(t); got != 1 {
			t.Errorf("%d letters are left after a week", got)
		}
		n.broken.Store(true)
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		if n.log.count("disk gone") == 0 {
			t.Error("nobody hears that nothing is forgotten")
		}
	})
}

// TestRecordsAway begins without the records, and hears of them later: said once each time.
func TestRecordsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, true)
		defer n.stop()
		o := opinion.Opinion{Print: printOf(text), Word: opinion.Bad, By: "ann", Why: "phishing"}
		other := &opinion.Book{Records: n.records.Memory, Now: time.Now}
		if _, err := other.Say(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		finds := func() string {
			found, err := n.Check().Check(t.Context(), letterOf(text))
			if err != nil || len(found) == 0 {
				return ""
			}
			return found[0].Symbol
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := finds(); got != "" {
			t.Errorf("found %q without records", got)
		}
		n.records.away.Store(false)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := finds(); got != campaign.Bad {
			t.Errorf("found %q", got)
		}
		n.records.away.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := finds(); got != campaign.Bad {
			t.Errorf("found %q with the records away again", got)
		}
		if away, back := n.log.count("cannot be read; what was known before stays"), n.log.count("can be read again"); away != 2 || back != 1 {
			t.Errorf("said %d times that the records are away, %d times that they are back", away, back)
		}
	})
}
