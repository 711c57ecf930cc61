package fit_test

import (
	"math"
	"testing"

	"postern/filter"
	"postern/rules/fit"
)

func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n   int
		lo, hi float64
	}{
		{0, 0, 0, 1}, {0, 5444, 0, 0.0007}, {10, 100, 0.0552, 0.1744}, {100, 100, 0.963, 1},
	} {
		got := fit.Wilson(c.k, c.n)
		if math.Abs(got[0]-c.lo) > 0.0005 || math.Abs(got[1]-c.hi) > 0.0005 {
			t.Errorf("%d of %d: %v", c.k, c.n, got)
		}
	}
}

func TestMeasure(t *testing.T) {
	score := func(spam bool, points ...filter.Score) (out []fit.Letter) {
		for _, p := range points {
			out = append(out, fit.Letter{Spam: spam, Rest: p * 100})
		}
		return out
	}
	letters := append(score(false, 0, 1, 2, 7), score(true, 1, 7, 9, 12)...)
	f := fit.Measure(letters, nil, 700)
	if f.Ham != 4 || f.Wrong != 1 || f.Spam != 4 || f.Missed != 1 {
		t.Errorf("%+v", f)
	}
	// 1 beats 0 and ties with 1, 7 beats three and ties, 9 and 12 beat all.
	if want := (1.5 + 3.5 + 4 + 4) / 16; math.Abs(f.Area-want) > 1e-9 {
		t.Errorf("area %v, wanted %v", f.Area, want)
	}
	if len(f.At) != 3 || f.At[0].Missed != 0.5 {
		t.Errorf("beside the worst good mail: %+v", f.At)
	}
	if f := fit.Measure(letters[:4], nil, 700); f.Spam != 0 || f.Area != 0 || f.At != nil || f.Misses != [2]float64{0, 1} {
		t.Errorf("without spam: %+v", f)
	}
}

// TestMissedAt draws the line through the good mail.
func TestMissedAt(t *testing.T) {
	var letters []fit.Letter
	for i := range 1000 {
		letters = append(letters, fit.Letter{Rest: filter.Score(i)}, fit.Letter{Spam: true, Rest: filter.Score(i)})
	}
	for _, p := range fit.Measure(letters, nil, 700).At {
		if want := 1 - p.Ham; math.Abs(p.Missed-want) > 0.0011 {
			t.Errorf("at %v: %v missed, wanted %v", p.Ham, p.Missed, want)
		}
	}
}
