package looks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/cmd/postern/access/looks"
)

type trail struct {
	mu    sync.Mutex
	lines []string
	now   time.Time
	broke error
	log   bytes.Buffer
}

func newTrail() (*trail, *looks.Book) {
	w := &trail{now: time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)}
	return w, &looks.Book{
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Audit: func(_ context.Context, actor, action, object string, _, _ any, note string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.lines = append(w.lines, strings.Join([]string{actor, action, object, note}, " | "))
			return w.broke
		},
	}
}

func (w *trail) pass(d time.Duration) { w.mu.Lock(); w.now = w.now.Add(d); w.mu.Unlock() }

func look(actor, kind string, n int) looks.Look {
	return looks.Look{Actor: actor, Kind: kind, Object: kind, Note: fmt.Sprintf("id %d", n)}
}

// TestFolded: the first look is seen at once, what follows is one line with its number.
func TestFolded(t *testing.T) {
	w, b := newTrail()
	for n := range 1000 {
		b.Note(t.Context(), look("eve", "quarantine.show", n))
	}
	b.Note(t.Context(), look("eve", "case.show", 7))
	b.Note(t.Context(), look("bob", "quarantine.show", 8))
	want := []string{"eve | refused | quarantine.show | id 0", "eve | refused | case.show | id 7", "bob | refused | quarantine.show | id 8"}
	if !slices.Equal(w.lines, want) {
		t.Fatalf("%q", w.lines)
	}
	w.pass(looks.Per - time.Second)
	if b.Flush(t.Context(), false); len(w.lines) != 3 {
		t.Errorf("too early: %q", w.lines)
	}
	w.pass(time.Second)
	b.Flush(t.Context(), false)
	want = append(want, "eve | refused | quarantine.show | 999 more within 10m0s: id 1, id 2, id 3, id 4, id 5 ...")
	if !slices.Equal(w.lines, want) {
		t.Errorf("%q", w.lines)
	}
	b.Flush(t.Context(), true)
	b.Note(t.Context(), look("eve", "quarantine.show", 1))
	if len(w.lines) != 5 {
		t.Errorf("the next time: %q", w.lines)
	}
}

// TestNothingWaits for somebody to flush: the next look after the time writes what was counted.
func TestNothingWaits(t *testing.T) {
	w, b := newTrail()
	b.Note(t.Context(), look("eve", "x", 0))
	b.Note(t.Context(), look("eve", "x", 1))
	w.pass(looks.Per)
	b.Note(t.Context(), look("eve", "x", 2))
	want := []string{"eve | refused | x | id 0", "eve | refused | x | 1 more within 10m0s: id 1", "eve | refused | x | id 2"}
	if !slices.Equal(w.lines, want) {
		t.Errorf("%q", w.lines)
	}
}

// TestBounded: more people than are counted at a time lose no look.
func TestBounded(t *testing.T) {
	w, b := newTrail()
	const n = looks.MaxOpen + 200
	for i := range n {
		w.pass(time.Millisecond)
		b.Note(t.Context(), look(fmt.Sprint("p", i), "x", 0))
		b.Note(t.Context(), look(fmt.Sprint("p", i), "x", 1))
	}
	if len(w.lines) != n+200 {
		t.Errorf("%d lines", len(w.lines))
	}
	b.Flush(t.Context(), true)
	if len(w.lines) != 2*n {
		t.Errorf("%d lines of %d looks", len(w.lines), 2*n)
	}
	b.Note(t.Context(), looks.Look{Actor: "a", Kind: "k", Note: strings.Repeat("é", 1000)})
	if last := w.lines[len(w.lines)-1]; len(last) > 250 || strings.Contains(last, "\uFFFD") {
		t.Errorf("%q", last)
	}
}

// TestTheEnd of the program writes what was counted, and what the audit does not take is in the log.
func TestTheEnd(t *testing.T) {
	w, b := newTrail()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() { b.Note(t.Context(), look("eve", "x", i)) })
	}
	all.Wait()
	w.mu.Lock()
	w.broke = errors.New("disk")
	w.mu.Unlock()
	stop()
	if err := <-done; err != nil || len(w.lines) != 2 || !strings.Contains(w.lines[1], "39 more") {
		t.Errorf("%v, %q", err, w.lines)
	}
	if text := w.log.String(); !strings.Contains(text, "disk") || !strings.Contains(text, "39 more") {
		t.Errorf("the log: %s", text)
	}
}
