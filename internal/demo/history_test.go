package demo_test

import (
	"log/slog"
	"testing"
	"time"

	"postern/internal/demo"
	"postern/internal/mailtest/entities"
	"postern/internal/record/trend"
)

// TestHistory is a whole day, the same each time, with a quiet night, a wave of spam, and a time
// in which the server behind is slow.
func TestHistory(t *testing.T) {
	for _, now := range []time.Time{time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC), time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 7, 1, 6, 30, 0, 0, time.FixedZone("", 2*3600))} {
		b := &trend.Book{Store: &entities.Memory{}, Node: demo.Synthetic, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
		if err := b.Past(t.Context(), demo.History(now)); err != nil {
			t.Fatal(err)
		}
		got, err := b.Look(t.Context(), "day", "")
		if err != nil {
			t.Fatal(err)
		}
		gaps := 0
		for _, p := range got.Points {
			if p.Span == nil {
				gaps++
			}
		}
		if gaps > 1 { // the step that goes on
			t.Errorf("%s: %d gaps of %d", now, gaps, len(got.Points))
		}
		for _, name := range []string{"in:delivered", "in:held", "in:rejected", "in:deferred", "out:delivered"} {
			if got.Total.Fates[name] == 0 {
				t.Errorf("%s: none is %s", now, name)
			}
		}
		at := func(hours float64) trend.Span {
			return *got.Points[len(got.Points)-1-int(hours*12)].Span
		}
		wave, after := at((7.0 + 5.5) / 2).Fates["in:rejected"], at(4).Fates["in:rejected"]
		if wave < 3*after {
			t.Errorf("%s: %d rejected in the wave, %d after it", now, wave, after)
		}
		slow, quick := at(10.5).Delays["relay"], at(9).Delays["relay"]
		slowly, _ := slow.Mean()
		quickly, _ := quick.Mean()
		if slowly < 10*quickly {
			t.Errorf("%s: %.0f ms when it is slow, %.0f before", now, slowly, quickly)
		}
		night, morning := int64(0), int64(0)
		for _, p := range got.Points {
			switch h := p.At.Hour(); {
			case p.Span == nil:
			case h == 3:
				night += p.Span.Fates["out:delivered"]
			case h == 10:
				morning += p.Span.Fates["out:delivered"]
			}
		}
		if morning < 4*night {
			t.Errorf("%s: %d were sent at night, %d in the morning", now, night, morning)
		}
	}
}

// TestHistoryIsTheSame each time, so that nobody reads a change into it.
func TestHistoryIsTheSame(t *testing.T) {
	now := time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC)
	first := func() (n int64) {
		for at, s := range demo.History(now) {
			if at.After(now.Add(-12 * time.Hour)) {
				return n
			}
			n += s.Fates["in:delivered"]
		}
		return n
	}
	if a, b := first(), first(); a != b || a == 0 {
		t.Errorf("%d, then %d", a, b)
	}
}
