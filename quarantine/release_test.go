package quarantine_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/spool"
	"postern/quarantine"
)

func (w *world) release(id string) quarantine.Hold {
	w.t.Helper()
	h, err := w.Release(w.t.Context(), id, "me")
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *world) retry() int {
	w.t.Helper()
	n, err := w.RetryDue(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestRelease(t *testing.T) {
	w := newWorld(t)
	id := w.keep("the body", quarantine.ByVerdict)
	h := w.release(id)
	if h.State != quarantine.Released || h.Ended == nil || h.Ended.By != "me" || h.Ended.Reply != "250 2.0.0 taken" {
		t.Errorf("released: %+v %+v", h, h.Ended)
	}
	again := w.release(id)
	if d := cmp.Diff(h, again); d != "" {
		t.Errorf("released again: %s", d)
	}
	if d := cmp.Diff([]string{"user@example.com: the body"}, w.sent); d != "" {
		t.Errorf("sent: %s", d)
	}
	if d := cmp.Diff([]string{"me release " + id, "me released " + id}, w.audit); d != "" {
		t.Errorf("audit: %s", d)
	}
	if _, err := w.Raw(t.Context(), id); !errors.Is(err, quarantine.ErrNotFound) {
		t.Errorf("the body after the end: %v", err)
	}
}

// TestReleaseAtOnce: of many who release at once one sends.
func TestReleaseAtOnce(t *testing.T) {
	w := newWorld(t)
	id := w.keep("x", quarantine.ByVerdict)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := w.Release(t.Context(), id, "me")
			if err != nil && !errors.Is(err, quarantine.ErrBusy) && !errors.Is(err, quarantine.ErrConflict) && !errors.Is(err, quarantine.ErrEnded) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(w.sent) != 1 || w.state(id) != quarantine.Released {
		t.Errorf("sent %d times, %s", len(w.sent), w.state(id))
	}
}

func TestReleaseFails(t *testing.T) {
	busy := errors.New("connection refused by 10.0.0.5")
	for _, c := range []struct {
		name  string
		scan  func() (quarantine.ScanResult, error)
		send  func(context.Context) (string, error)
		state quarantine.State
		words string
		sends int
	}{
		{"virus", func() (quarantine.ScanResult, error) {
			return quarantine.ScanResult{Infected: true, Name: "Eicar"}, nil
		}, nil, quarantine.Refused, "the virus scan before the release found Eicar", 0},
		{"scanner away", func() (quarantine.ScanResult, error) { return quarantine.ScanResult{}, busy }, nil,
			quarantine.Releasing, "the virus scan before the release could not be done: could not be done now", 0},
		{"no for good", nil, func(context.Context) (string, error) {
			return "", &quarantine.SendError{Reply: "550 no such user", Permanent: true, Err: busy}
		}, quarantine.Refused, "550 no such user", 1},
		{"later", nil, func(context.Context) (string, error) {
			return "", &quarantine.SendError{Reply: "451 later", Err: busy}
		}, quarantine.Releasing, "451 later", 1},
		{"unknown error", nil, func(context.Context) (string, error) { return "", busy }, quarantine.Releasing, "could not be done now", 1},
		{"timeout", nil, func(context.Context) (string, error) { return "", context.DeadlineExceeded }, quarantine.Releasing, "timed out", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.keep("x", quarantine.ByVerdict)
			w.scan, w.send = c.scan, c.send
			h := w.release(id)
			if h.State != c.state || h.Release.Failure != c.words || h.Ended != nil || len(w.sent) != c.sends {
				t.Errorf("%s, failure %q, sent %d", h.State, h.Release.Failure, len(w.sent))
			}
			page, err := w.List(t.Context(), quarantine.Query{})
			if err != nil || len(page.Holds) != 1 || page.Holds[0].Release.Failure != c.words {
				t.Errorf("the failure is not shown: %+v, %v", page, err)
			}
			w.scan, w.send = nil, nil
			if h := w.release(id); h.State != quarantine.Released {
				t.Errorf("released again by hand: %s", h.State)
			}
		})
	}
}

// TestRetryRelease: while the server behind is away the release is tried again from the hold,
// later each time, and after five days the hold is held again.
func TestRetryRelease(t *testing.T) {
	w := newWorld(t)
	id := w.keep("x", quarantine.ByVerdict)
	w.send = func(context.Context) (string, error) { return "", &quarantine.SendError{Reply: "451 later"} }
	w.release(id)
	if w.retry() != 0 || len(w.sent) != 1 {
		t.Errorf("tried again at once: %d", len(w.sent))
	}
	w.pass(time.Minute)
	w.retry()
	if len(w.sent) != 2 {
		t.Errorf("after a minute: %d attempts", len(w.sent))
	}
	w.pass(time.Minute)
	w.retry()
	if len(w.sent) != 2 {
		t.Errorf("the second wait is not longer than the first")
	}
	for w.state(id) == quarantine.Releasing {
		w.pass(time.Hour)
		w.retry()
		w.expire()
		if len(w.sent) > 200 {
			t.Fatal("it never gives up")
		}
	}
	h, err := w.Show(t.Context(), id)
	if err != nil || h.State != quarantine.Held || h.Release.Failure != "451 later" || w.clock().Sub(start) < 5*24*time.Hour {
		t.Errorf("given up: %s %+v after %v, %v", h.State, h.Release, w.clock().Sub(start), err)
	}
	w.send = nil
	if w.retry() != 0 {
		t.Error("tried again after giving up")
	}
	w.release(id)
	if w.state(id) != quarantine.Released {
		t.Errorf("by hand: %s", w.state(id))
	}
}

func TestRetrySucceeds(t *testing.T) {
	w := newWorld(t)
	id := w.keep("x", quarantine.ByVerdict)
	w.send = func(context.Context) (string, error) { return "", &quarantine.SendError{Reply: "451 later"} }
	w.release(id)
	w.send = nil
	w.pass(time.Minute)
	if w.retry() != 1 || w.state(id) != quarantine.Released {
		t.Errorf("retried: %s", w.state(id))
	}
	if got := w.audit[len(w.audit)-1]; got != "me released "+id {
		t.Errorf("audit: %s", got)
	}
}

// TestReleaseDies: the process dies while it sends. The claim runs out, and the hold is sent
// again: a second copy rather than none.
func TestReleaseDies(t *testing.T) {
	w := newWorld(t)
	id := w.keep("x", quarantine.ByVerdict)
	h, err := w.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	h.State = quarantine.Releasing
	h.Release = &quarantine.Release{By: "me", At: w.clock(), Attempts: 1, Trying: true, Next: w.clock().Add(15 * time.Minute)}
	if _, err := w.store.Change(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	_, err = w.Release(t.Context(), id, "other")
	wantErr(t, "Release while another runs", err, quarantine.ErrBusy)
	_, err = w.Delete(t.Context(), id, "other", "")
	wantErr(t, "Delete while a release runs", err, quarantine.ErrBusy)
	w.pass(14 * time.Minute)
	w.retry()
	if len(w.sent) != 0 {
		t.Error("sent under a living claim")
	}
	w.pass(time.Minute)
	if w.retry() != 1 || w.state(id) != quarantine.Released {
		t.Errorf("after the claim ran out: %s", w.state(id))
	}
}

// TestReleaseUnanswered: the server behind says nothing after the last dot. It is sent again,
// and the hold says that there may be two.
func TestReleaseUnanswered(t *testing.T) {
	var log strings.Builder
	w := newWorld(t, func(c *quarantine.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	id := w.keep("x", quarantine.ByVerdict)
	w.send = func(context.Context) (string, error) {
		return "", &quarantine.SendError{Reply: "no answer", Ambiguous: true}
	}
	if h := w.release(id); h.State != quarantine.Releasing || !h.Release.Ambiguous {
		t.Errorf("%s %+v", h.State, h.Release)
	}
	w.send = nil
	w.pass(time.Minute)
	if w.retry() != 1 || w.state(id) != quarantine.Released {
		t.Errorf("retried: %s", w.state(id))
	}
	if h, err := w.Show(t.Context(), id); err != nil || !h.Release.Ambiguous {
		t.Errorf("in the end: %+v, %v", h.Release, err)
	}
	if n := strings.Count(log.String(), `"ambiguous":true`); n != 1 {
		t.Errorf("said %d times: %s", n, &log)
	}
}

// TestReleaseInterrupted: a process that begins takes up what the last one of its node was
// about to send, and leaves alone what others do.
func TestReleaseInterrupted(t *testing.T) {
	w := newWorld(t)
	next := func(node string) *quarantine.Quarantine {
		return quarantine.New(quarantine.Config{
			Store: w.store, Spool: &spool.Spool{Memory: 1 << 20}, Node: node, Now: w.clock, Rescan: w.onScan, Send: w.onSend,
		})
	}
	id := w.keep("x", quarantine.ByVerdict)
	w.send = func(ctx context.Context) (string, error) { // meanwhile others look
		w.send = nil
		for name, q := range map[string]*quarantine.Quarantine{"another node": next("mx2"), "this process": w.Quarantine} {
			if n, err := q.Resume(ctx); n != 0 || err != nil {
				t.Errorf("%s took it: %d, %v", name, n, err)
			}
		}
		if n, err := next("mx1").Resume(ctx); n != 1 || err != nil {
			t.Errorf("the next process of the node: %d, %v", n, err)
		}
		return "250 ok", nil
	}
	if _, err := w.Release(t.Context(), id, "me"); !errors.Is(err, quarantine.ErrEnded) {
		t.Errorf("the process that is no more: %v", err)
	}
	if h, err := w.Show(t.Context(), id); err != nil || h.State != quarantine.Released || !h.Release.Ambiguous || h.Release.Attempts != 2 {
		t.Errorf("%s %+v, %v", h.State, h.Release, err)
	}
}

// unclear is a store that does what it is asked and gives no answer.
type unclear struct {
	quarantine.Store
	lose int // of the next changes
}

var errUnclear = errors.New("no answer")

func (s *unclear) Change(ctx context.Context, h quarantine.Hold) (quarantine.Hold, error) {
	h, err := s.Store.Change(ctx, h)
	if s.lose--; err == nil && s.lose == 0 {
		return quarantine.Hold{}, errUnclear
	}
	return h, err
}

// TestReleaseWithoutAnswer: the store keeps to itself that a release was begun, or that it
// failed. Nothing was sent, so the next round takes it up, and nothing is in doubt.
func TestReleaseWithoutAnswer(t *testing.T) {
	for lose := 1; lose <= 2; lose++ {
		var store *unclear
		w := newWorld(t, func(c *quarantine.Config) {
			store = &unclear{Store: c.Store}
			c.Store = store
		})
		id := w.keep("x", quarantine.ByVerdict)
		store.lose = lose
		w.send = func(context.Context) (string, error) { return "", &quarantine.SendError{Reply: "421 later"} }
		if _, err := w.Release(t.Context(), id, "me"); !errors.Is(err, errUnclear) {
			t.Fatalf("change %d: %v", lose, err)
		}
		w.send = nil
		want := 2 - lose // where only the end was lost the next try is a minute away
		if n, err := w.Resume(t.Context()); n != want || err != nil {
			t.Errorf("change %d: %d were taken up, %v", lose, n, err)
		}
		w.pass(2 * time.Minute)
		if _, err := w.RetryDue(t.Context()); err != nil {
			t.Error(err)
		}
		if h, err := w.Show(t.Context(), id); err != nil || h.State != quarantine.Released || h.Release.Ambiguous {
			t.Errorf("change %d: %s %+v, %v", lose, h.State, h.Release, err)
		}
	}
}

// TestCallerLeaves: the caller hangs up while the server behind takes the mail. What it took
// is written down.
func TestCallerLeaves(t *testing.T) {
	w := newWorld(t)
	id := w.keep("x", quarantine.ByVerdict)
	ctx, cancel := context.WithCancel(t.Context())
	w.send = func(context.Context) (string, error) { cancel(); return "250 ok", nil }
	if h, err := w.Release(ctx, id, "me"); err != nil || h.State != quarantine.Released || w.state(id) != quarantine.Released {
		t.Errorf("%s, %v", h.State, err)
	}
}

// TestDamagedBody: no byte of a damaged body is sent.
func TestDamagedBody(t *testing.T) {
	for _, memory := range []int64{0, 1 << 20} {
		w := newWorld(t, func(c *quarantine.Config) { c.Spool = &spool.Spool{Dir: t.TempDir(), Memory: memory} })
		id := w.keep(strings.Repeat("the body\r\n", 1000), quarantine.ByVerdict)
		found, err := filepath.Glob(filepath.Join(w.dir, "bodies", "??", "*.zst"))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if err := os.Truncate(found[0], 30); err != nil {
			t.Fatal(err)
		}
		h := w.release(id)
		if h.State != quarantine.Refused || len(w.sent) != 0 || h.Release.Failure != "the stored body is damaged" {
			t.Errorf("%s, %q, sent %d", h.State, h.Release.Failure, len(w.sent))
		}
	}
}

// TestNoAuditNoRelease: what cannot be audited is not done.
func TestNoAuditNoRelease(t *testing.T) {
	w := newWorld(t)
	id := w.keep("x", quarantine.ByVerdict)
	w.auditErr = errors.New("no audit")
	_, err := w.Release(t.Context(), id, "me")
	wantErr(t, "Release", err, w.auditErr)
	_, err = w.Delete(t.Context(), id, "me", "")
	wantErr(t, "Delete", err, w.auditErr)
	if len(w.sent) != 0 || w.state(id) != quarantine.Held {
		t.Errorf("sent %d, %s", len(w.sent), w.state(id))
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	id := w.keep("x", quarantine.ByVerdict)
	for range 2 {
		if h, err := w.Delete(t.Context(), id, "me", "spam"); err != nil || h.State != quarantine.Deleted {
			t.Fatalf("%s, %v", h.State, err)
		}
	}
	if d := cmp.Diff([]string{"me delete " + id}, w.audit); d != "" {
		t.Errorf("audit: %s", d)
	}
	_, err := w.Release(t.Context(), id, "me")
	wantErr(t, "Release of a deleted hold", err, quarantine.ErrEnded)
	sent := w.keep("y", quarantine.ByVerdict)
	w.release(sent)
	_, err = w.Delete(t.Context(), sent, "me", "")
	wantErr(t, "Delete of a released hold", err, quarantine.ErrEnded)
	_, err = w.Delete(t.Context(), "none", "me", "")
	wantErr(t, "Delete of nothing", err, quarantine.ErrNotFound)
}

func TestWithoutSendNothingLeaves(t *testing.T) {
	for _, edit := range []func(*quarantine.Config){
		func(c *quarantine.Config) { c.Send = nil },
		func(c *quarantine.Config) { c.Rescan = nil },
	} {
		w := newWorld(t, edit)
		id := w.keep("x", quarantine.ByVerdict)
		_, err := w.Release(t.Context(), id, "me")
		wantErr(t, "Release", err, quarantine.ErrNotReleasable)
	}
}
