package features_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/rules/replay"
)

// TestMailGoesOnWhileBlocksAreWritten: many sessions tell the book at once, blocks are written
// and read meanwhile, and none is lost or twice there.
func TestMailGoesOnWhileBlocksAreWritten(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	const sessions, each = 4, 25
	ids := make(chan string, sessions*each)
	var all sync.WaitGroup
	for range sessions {
		all.Go(func() {
			for range each {
				ids <- w.passes(w.book)
			}
		})
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := w.book.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				w.pass(time.Millisecond)
			}
		}
	})
	all.Wait()
	close(stop)
	writer.Wait()
	w.must(w.book.Flush(t.Context()))
	close(ids)
	want := map[string]bool{}
	for id := range ids {
		want[id] = true
	}
	got, stands, _ := w.all(w.book, time.Unix(1, 0))
	for _, id := range got {
		if !want[id] {
			t.Errorf("%s is there twice, or was never told", id)
		}
		delete(want, id)
	}
	total, err := w.book.Total(t.Context(), w.Now())
	if err != nil || len(want) != 0 || stands != sessions*each || total.Kept+w.book.Dropped()+total.Dropped != sessions*each {
		t.Errorf("%d are lost of %d; %+v %v", len(want), sessions*each, total, err)
	}
}

// TestEachNodeHasItsBound: a node that is over its own drops its own oldest blocks, and those of
// no other.
func TestEachNodeHasItsBound(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	two := w.other("mx2")
	first := w.passes(w.book)
	w.must(w.book.Flush(t.Context()))
	theirs := w.passes(two)
	w.must(two.Flush(t.Context()))
	w.pass(time.Minute)
	var last string
	for range 5 {
		last = w.passes(w.book)
		w.must(w.book.Flush(t.Context()))
		w.pass(time.Minute)
	}
	total, err := w.book.Total(t.Context(), w.Now())
	w.must(err)
	w.keep.Bytes = total.Bytes / 2
	w.must(w.book.Prune(t.Context()))
	left := map[string]bool{}
	ids, _, _ := w.all(two, time.Unix(1, 0))
	for _, id := range ids {
		left[id] = true
	}
	if left[first] || !left[last] || !left[theirs] || len(ids) > 5 || len(ids) < 3 {
		t.Errorf("%d are left; the first %v, the last %v, the other node's %v", len(ids), left[first], left[last], left[theirs])
	}
	after, err := w.book.Total(t.Context(), w.Now())
	if err != nil || after.Kept != len(ids) || after.Bytes >= total.Bytes {
		t.Errorf("%+v %v", after, err)
	}
}

// TestPrintsOutliveTheProcess: another process reads what the patterns were; where that is gone,
// none of them is known.
func TestPrintsOutliveTheProcess(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	w.passes(w.book, "OWN_PRIZE")
	w.must(w.book.Flush(t.Context()))
	old := w.set.Revision()
	w.set = load(t, "5")
	next := w.other("mx1")
	_, _, err := next.Page(t.Context(), time.Unix(1, 0), "", func(r replay.Record, p replay.Prints, _ float64) {
		if mark, ok := p["OWN_PRIZE"]; !ok || mark != replay.PrintsOf(w.set)["OWN_PRIZE"] || r.Rules != old {
			t.Errorf("%+v: %v %v", r, mark, ok)
		}
	})
	w.must(err)
	page, err := w.store.Find(t.Context(), entity.Query{Kind: "features-rules", Index: "at"})
	w.must(err)
	for _, r := range page.Records {
		w.must(w.store.Remove(t.Context(), r.Kind, r.ID, r.Version))
	}
	_, _, err = w.other("mx3").Page(t.Context(), time.Unix(1, 0), "", func(_ replay.Record, p replay.Prints, _ float64) {
		if p != nil {
			t.Errorf("patterns of a revision that nobody kept: %v", p)
		}
	})
	w.must(err)
}

// TestManyRevisions: rules that change all day long cost no memory without bound, and the mail of
// each is known.
func TestManyRevisions(t *testing.T) {
	w := newWorld(t, &entities.Memory{})
	for i := range 12 {
		w.set = load(t, fmt.Sprint(1+i%6))
		w.passes(w.book, "OWN_PRIZE")
	}
	w.must(w.book.Flush(t.Context()))
	if ids, _, known := w.all(w.other("mx2"), time.Unix(1, 0)); len(ids) != 12 || known != 12 {
		t.Errorf("%d messages, %d of known patterns", len(ids), known)
	}
}
