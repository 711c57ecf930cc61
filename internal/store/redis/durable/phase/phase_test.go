package phase_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"postern/internal/store/redis/durable/phase"
	"postern/internal/store/redis/journal"
	"postern/quarantine"
)

const grace = 10 * time.Second

func TestPhases(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	alarms, born := 0, now.Add(-time.Hour)
	ahead := time.Duration(0) // of the store's clock
	var bornErr error
	o := phase.Options{
		Grace: grace, Now: func() time.Time { return now }, Alarm: func(string) { alarms++ },
		Born: func(context.Context) (time.Time, time.Time, error) { return born, now.Add(ahead), bornErr },
	}.Filled()
	j, err := journal.Open(journal.Options{Dir: filepath.Join(t.TempDir(), "j"), Now: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	p := phase.New(o, j, "x")
	check := func(what string, wantEnds, wantLive bool, want error) {
		t.Helper()
		err := p.Sure(t.Context())
		if ends, live, _ := p.Due(); ends != wantEnds || live != wantLive || !errors.Is(err, want) {
			t.Errorf("%s: ends %v, live %v, %v", what, ends, live, err)
		}
	}
	done := func(ends, live bool) { _, _, b := p.Due(); p.Done(ends, live, b) }
	check("at the start", true, false, nil)
	now = now.Add(grace)
	check("after a grace", true, true, nil)
	now = now.Add(grace)
	done(true, true)
	check("in peace", false, false, nil)
	p.Lost(t.Context(), "flush")
	check("lost", true, false, phase.ErrRestoring)
	_, _, old := p.Due()
	now = now.Add(time.Second)
	p.Lost(t.Context(), "flush again")
	p.Done(true, true, old) // of the loss before
	now = now.Add(2 * grace)
	check("what was brought before counts no more", true, true, phase.ErrRestoring)
	done(true, true)
	check("restored", false, false, nil)
	p.Alarm(t.Context(), "something is missing")
	p.Alarm(t.Context(), "something is missing")
	check("alarm", true, false, phase.ErrRestoring)
	if alarms != 1 {
		t.Errorf("%d alarms", alarms)
	}
	p = phase.New(o, j, "x")
	check("after a restart", true, false, phase.ErrRestoring)
	now = now.Add(2 * grace)
	done(true, true)
	check("restored", false, false, nil)
	born = now
	check("born anew, as somebody else says", true, false, phase.ErrRestoring)
	now = now.Add(2 * grace)
	done(true, true)
	bornErr = errors.New("away")
	check("nobody says", false, false, bornErr)
	bornErr, born = nil, now
	p = phase.New(o, j, "another")
	check("a new node of a store born now", true, false, phase.ErrRestoring)
	for _, ahead = range []time.Duration{time.Hour, -time.Hour} {
		born = now.Add(ahead)
		p = phase.New(o, j, fmt.Sprint("off by ", ahead))
		check("a new node whose clock is off", true, false, phase.ErrRestoring)
		born = now.Add(ahead - 2*grace)
		p = phase.New(o, j, fmt.Sprint("later, off by ", ahead))
		check("a new node whose clock is off, later", true, false, nil)
	}
	ahead, born = time.Hour, now
	p = phase.New(o, j, "behind")
	check("what is new by a wrong clock alone", true, false, nil)
}

func TestBeside(t *testing.T) {
	const n = 1000
	var mu sync.Mutex
	busy, last, most := map[string]bool{}, map[string]int{}, 0
	group := func(i int) string { return fmt.Sprint(i % 50) }
	f := func(i int) error {
		mu.Lock()
		g := group(i)
		if busy[g] || last[g] > i {
			t.Errorf("%d comes beside or before another one of its group", i)
		}
		busy[g], last[g] = true, i
		now := 0
		for _, b := range busy {
			if b {
				now++
			}
		}
		most = max(most, now)
		mu.Unlock()
		runtime.Gosched()
		mu.Lock()
		defer mu.Unlock()
		busy[g] = false
		return nil
	}
	if err := phase.Beside(t.Context(), n, group, f); err != nil || len(last) != 50 || most > 8 {
		t.Errorf("%d groups, %d at once, %v", len(last), most, err)
	}
	if err := phase.Beside(t.Context(), 0, group, f); err != nil {
		t.Error(err)
	}
	want, calls := errors.New("enough"), 0
	if err := phase.Beside(t.Context(), n, group, func(int) error {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return want
	}); !errors.Is(err, want) || calls > 8 {
		t.Errorf("%d calls, %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := phase.Beside(ctx, n, group, func(int) error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestBatches(t *testing.T) {
	var ids []string
	for n := range 2*phase.Batch + 1 {
		ids = append(ids, fmt.Sprint(n))
	}
	var got []string
	if err := phase.Batches(t.Context(), ids, func(some []string) error {
		if len(some) > phase.Batch {
			t.Errorf("%d at once", len(some))
		}
		got = append(got, some...)
		return nil
	}); err != nil || !slices.Equal(got, ids) {
		t.Errorf("%d, %v", len(got), err)
	}
	want := errors.New("enough")
	if err := phase.Batches(t.Context(), ids, func([]string) error { return want }); !errors.Is(err, want) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := phase.Batches(ctx, ids, func([]string) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSorted(t *testing.T) {
	for in, want := range map[error]error{journal.ErrFull: quarantine.ErrFull, journal.ErrReadOnly: quarantine.ErrReadOnly, journal.ErrCorrupt: quarantine.ErrCorrupt, context.Canceled: context.Canceled} {
		if err := phase.Sorted(fmt.Errorf("x: %w", in)); !errors.Is(err, want) || !errors.Is(err, in) {
			t.Errorf("%v: %v", in, err)
		}
	}
	if phase.Sorted(nil) != nil {
		t.Error("no error is one")
	}
}

func TestStripes(t *testing.T) {
	var s phase.Stripes
	n := 0
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 100 {
				unlock := s.Lock("one")
				n++
				unlock()
			}
		}()
	}
	for range 8 {
		<-done
	}
	if n != 800 {
		t.Error(n)
	}
}
