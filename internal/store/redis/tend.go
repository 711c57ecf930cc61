package redis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/store/redis/nodes"
)

// Times of what a node does for its own sake.
const (
	refreshEvery = 3 * time.Second
	beginEvery   = 3 * time.Second
	driftEvery   = 10 * time.Second
	checkEvery   = 5 * time.Second
	publishTime  = 200 * time.Millisecond
	alarmTime    = 5 * time.Second
)

// The kinds of hints that other nodes give.
const (
	hintHold = "hold"
	hintAcct = "acct"
	hintList = "list"
)

// Loops are what runs on its own clock, by name.
func (h *Home) Loops() map[string]func(context.Context) error {
	loops := map[string]func(context.Context) error{
		"store watch": h.watch,
		"store begin": h.begin,
		"store bus": func(ctx context.Context) error {
			h.bus.Listen(ctx, func(kind string) { h.hint(ctx, kind) })
			return nil
		},
		"store nodes": func(ctx context.Context) error { h.nodes.Run(ctx); return nil },
		"store drift": h.drift,
		"store key": func(ctx context.Context) error {
			return every(ctx, checkEvery, func() { _ = h.conn.Check(ctx) }) // a fault is the connection's to tell
		},
	}
	maps.Copy(loops, h.Decisions.Loops())
	maps.Copy(loops, h.trail.Loops())
	if h.journal != nil {
		loops["journal"] = func(ctx context.Context) error { h.journal.Run(ctx); return nil }
		loops["journal of holds"] = func(ctx context.Context) error { h.held.Run(ctx); return nil }
		loops["journal of the outbox"] = func(ctx context.Context) error { h.owed.Run(ctx); return nil }
		loops["journal of the send log"] = func(ctx context.Context) error { h.noted.Run(ctx); return nil }
		loops["journal of records"] = func(ctx context.Context) error { h.kept.Run(ctx); return nil }
		loops["journal refresh"] = h.refresh
	}
	return loops
}

// watch sees when the store has lost something, and whether it may.
func (h *Home) watch(ctx context.Context) error {
	h.beat.Run(ctx)
	return nil
}

// begin gives up the claims of this node's last life and puts back what that left out of the
// indexes: as soon as the store is there, and it is certain that no other process of this name is
// at work on those claims.
func (h *Home) begin(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(beginEvery):
		}
		if !h.nodes.Alone() {
			continue
		}
		_, err := h.owes.Void(ctx, h.o.Node)
		if err == nil {
			_, err = h.owes.Reindex(ctx)
		}
		if err == nil {
			<-ctx.Done()
			return nil
		}
		if ctx.Err() == nil {
			h.o.Log.Warn("claims of this node's last life stay for now", "error", err)
		}
	}
}

// lost gives back what the store may lack, beside the watch, once at a time: with a store that
// goes back all the time it begins anew when it is through. Each part goes on by itself where
// this fails.
func (h *Home) lost(ctx context.Context, why string) {
	h.loss.Lock()
	defer h.loss.Unlock()
	if h.giving {
		h.more = true
		return
	}
	h.giving = true
	h.work.Go(func() {
		for more := true; more; {
			h.give(ctx, why)
			h.loss.Lock()
			more = h.more && ctx.Err() == nil
			h.giving, h.more = more, false
			h.loss.Unlock()
		}
	})
}

func (h *Home) give(ctx context.Context, why string) {
	var errs []error
	if h.journal != nil { // releases wait from now on
		errs = append(errs, h.held.Lost(ctx, why), h.owed.Lost(ctx, why), h.kept.Lost(ctx, why), h.noted.Lost(ctx, why))
	}
	errs = append(errs, h.Decisions.Sync(ctx), h.trail.Lost(ctx))
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		h.o.Log.Warn("not all was given back yet; it is tried again", "error", err)
	}
}

// alarm tells every node that this one found the store without what it must have: before
// anything could happen twice, each asks when the store was born.
func (h *Home) alarm(string) {
	h.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), alarmTime)
		defer cancel()
		h.beat.Reborn(ctx)
		_ = h.bus.Publish(ctx, hintHold) // who misses it finds out before the next release
	})
}

// settings notes what speaks against the store keeping what it acknowledges.
func (h *Home) settings(findings []string) {
	h.lax.set(findings)
	text := "the store may forget what it acknowledged: " + strings.Join(findings, "; ")
	if h.o.Strict {
		text += ". Holds stand in the journals of the nodes as well for a day, and only in the store after that"
	}
	h.o.Event("store-settings", text, len(findings) == 0)
}

// hint looks at once at what another node says has changed.
func (h *Home) hint(ctx context.Context, kind string) {
	switch kind {
	case hintAcct, hintList:
		h.Decisions.Changed()
	case hintHold:
		if h.held != nil {
			_ = errors.Join(h.held.Refresh(ctx), h.owed.Refresh(ctx)) // the next round looks again
		}
	}
}

func (h *Home) publish(kind string) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTime)
	defer cancel()
	_ = h.bus.Publish(ctx, kind) // a hint; who misses it finds out by polling
}

// refresh looks at what other nodes did to what this one keeps, so that it is known here should
// the store forget it.
func (h *Home) refresh(ctx context.Context) error {
	return every(ctx, refreshEvery, func() { _ = errors.Join(h.held.Refresh(ctx), h.owed.Refresh(ctx), h.kept.Refresh(ctx)) })
}

// drift says where the nodes differ in what they run.
func (h *Home) drift(ctx context.Context) error {
	return every(ctx, driftEvery, func() {
		all, err := h.nodes.List(ctx)
		if err != nil {
			return
		}
		drift := nodes.Drift(all)
		h.o.Event("drift", "the nodes differ in what they run: "+strings.Join(drift, "; "), len(drift) == 0)
	})
}

// every calls f now and then until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// lax is what speaks against the settings of the store.
type lax struct {
	mu       sync.Mutex
	findings []string
}

func (l *lax) set(findings []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.findings = slices.Clone(findings)
}

func (l *lax) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.findings)
}
