package signal_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/abuse/signal"
	"postern/internal/mailtest/entities"
)

func TestLower(t *testing.T) {
	for _, c := range []struct {
		hits, n int
		want    float64
	}{{0, 0, 0}, {0, 10, 0}, {5, 5, 0.5655}, {15, 100, 0.0931}, {50, 100, 0.4038}, {7, 5, 0.5655}} {
		if got := signal.Lower(c.hits, c.n); math.Abs(got-c.want) > 0.0005 {
			t.Errorf("%d of %d: %.4f, want %.4f", c.hits, c.n, got, c.want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 1e6).Draw(rt, "n")
		hits := rapid.IntRange(0, n).Draw(rt, "hits")
		if l := signal.Lower(hits, n); l < 0 || l > float64(hits)/float64(n)+1e-12 {
			rt.Fatalf("%f of %d/%d", l, hits, n)
		}
	})
}

func TestComplaintRate(t *testing.T) {
	if _, ok := signal.ComplaintRate(10_000, 199); ok {
		t.Error("199 deliveries are too few")
	}
	if rate, ok := signal.ComplaintRate(500, 1000); !ok || rate > 0.005 || rate < 0.002 {
		t.Error(rate, ok)
	}
}

// Rule 8.
func TestWeigh(t *testing.T) {
	for feedback, want := range map[string]bool{"abuse": true, "fraud": true, "virus": true, "": true, "not-spam": false, "opt-out": false, "auth-failure": false, "opt-out-list": false} {
		if weight, counts := signal.Weigh(feedback, 100); counts != want || feedback == "not-spam" && weight >= 0 {
			t.Errorf("%s: %d %v", feedback, weight, counts)
		}
	}
	if _, counts := signal.Weigh("abuse", 0); counts {
		t.Error("no vote")
	}
}

func TestFamilies(t *testing.T) {
	all := []signal.Signal{{Family: "C", Weight: 1}, {Family: "A", Weight: 1}, {Family: "A", Weight: 5}, {Family: "B", Weight: -5}}
	if got := fmt.Sprint(signal.Kinds(all)); got != "[A C]" {
		t.Error(got)
	}
	if signal.Family("F").Valid() || !signal.Listings.Valid() || signal.Listings.Own() {
		t.Error("families")
	}
}

func TestLog(t *testing.T) {
	l := signal.NewLog(&entities.Memory{})
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 5 {
		for range 2 { // the same again is no second one
			if err := l.Add(t.Context(), signal.Signal{ID: fmt.Sprint("s", i), Account: fmt.Sprint("a", i%2), At: at.Add(time.Duration(i) * time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	all, next, err := l.Since(t.Context(), at.Add(time.Hour), "", 3)
	if err != nil || len(all) != 3 || all[0].ID != "s1" || next == "" {
		t.Fatal(all, next, err)
	}
	if all, next, err = l.Since(t.Context(), at.Add(time.Hour), next, 3); err != nil || len(all) != 1 || next != "" {
		t.Error(all, next, err)
	}
	if of, err := l.Of(t.Context(), "a1", 10); err != nil || len(of) != 2 {
		t.Error(of, err)
	}
	if n, err := l.Forget(t.Context(), "a1"); err != nil || n != 2 {
		t.Error(n, err)
	}
	if n, err := l.Purge(t.Context(), at.Add(2*time.Hour), 10); err != nil || n != 2 {
		t.Error(n, err)
	}
}
