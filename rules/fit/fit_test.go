package fit_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"postern/filter"
	"postern/rules/fit"
)

var aim = fit.Aim{Line: 700, Step: 50, Ham: 0.002}

// draw makes letters in which term i fires with the given probability.
func draw(n int, spam bool, group string, chance []float64, rnd *rand.Rand) (out []fit.Letter) {
	for i := range n {
		l := fit.Letter{Spam: spam, Group: group, Kin: i}
		for t, p := range chance {
			if rnd.Float64() < p {
				l.Terms = append(l.Terms, t)
			}
		}
		out = append(out, l)
	}
	return out
}

func terms(points ...float64) (out []fit.Term) {
	for _, p := range points {
		t := fit.Term{Score: filter.Score(p * 100), Max: 650}
		if p < 0 {
			t.Min, t.Max = -350, 0
		}
		out = append(out, t)
	}
	return out
}

// TestPropose gives what tells the classes apart more, what says nothing less, and holds the
// good mail below the line.
func TestPropose(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	good := []float64{0.01, 0.01, 0.30, 0.01, 0}
	bad := []float64{0.60, 0.60, 0.30, 0.50, 0}
	letters := append(draw(2000, false, "a", good, rnd), draw(2000, true, "b", bad, rnd)...)
	before := terms(1, 1, 1, 1, 2)
	scores := fit.Propose(before, letters, aim)
	t.Log(scores)
	for _, strong := range []int{0, 1, 3} {
		if scores[strong] < 200 {
			t.Errorf("term %d got %s", strong, scores[strong])
		}
	}
	if scores[2] > 50 {
		t.Errorf("what fires in both classes alike got %s", scores[2])
	}
	if scores[4] < 150 || scores[4] > 350 {
		t.Errorf("what never fired went from 2.00 to %s", scores[4])
	}
	if w := fit.Wrong(letters, scores, aim.Line); w > aim.Ham {
		t.Errorf("%.4f of the good mail is over the line", w)
	}
	old := make([]filter.Score, len(before))
	for i := range before {
		old[i] = before[i].Score
	}
	if was, is := fit.Measure(letters, old, aim.Line), fit.Measure(letters, scores, aim.Line); is.Missed >= was.Missed {
		t.Errorf("%d spam missed before, %d after", was.Missed, is.Missed)
	}
}

// TestBounds keeps every score on its side, on its step and inside its bounds.
func TestBounds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	letters := append(draw(500, false, "a", []float64{0.5, 0, 0.01, 0.9}, rnd), draw(500, true, "b", []float64{0.5, 1, 0.9, 0.01}, rnd)...)
	for _, step := range []filter.Score{10, 25, 50, 100} {
		in := terms(3, 1, -1, -1)
		out := fit.Propose(in, letters, fit.Aim{Line: 700, Step: step, Ham: 0.01})
		for i, s := range out {
			if s < in[i].Min || s > in[i].Max || s%step != 0 {
				t.Errorf("step %s: term %d got %s", step, i, s)
			}
		}
		if out[1] > 650 {
			t.Errorf("one term alone reaches the line with %s", out[1])
		}
		if out[2] != 0 {
			t.Errorf("what was to speak for good mail and speaks for spam got %s", out[2])
		}
	}
}

// TestBear lets rare terms have twice what is written and frequent ones what their counts say.
func TestBear(t *testing.T) {
	var letters []fit.Letter
	for i := range 1000 {
		spam := fit.Letter{Spam: true, Kin: i}
		if i < 300 {
			spam.Terms = []int{0}
		}
		if i < 2 {
			spam.Terms = append(spam.Terms, 1)
		}
		letters = append(letters, spam, fit.Letter{Kin: i})
	}
	out := fit.Bear(terms(1, 1), letters)
	if out[0].Max < 400 || out[0].Max > 500 {
		t.Errorf("30 %% against at most 0.4 %% bears %s", out[0].Max)
	}
	if out[1].Max != 200 {
		t.Errorf("two messages bear %s", out[1].Max)
	}
}

// TestSameTwice proposes the same from the same.
func TestSameTwice(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	letters := append(draw(300, false, "a", []float64{0.1, 0.2, 0.3}, rnd), draw(300, true, "b", []float64{0.3, 0.5, 0.7}, rnd)...)
	one := fit.Propose(terms(1, 2, 3), letters, aim)
	if two := fit.Propose(terms(1, 2, 3), letters, aim); !slices.Equal(one, two) {
		t.Errorf("%v, then %v", one, two)
	}
}

func TestNothing(t *testing.T) {
	if got := fit.Propose(nil, nil, aim); len(got) != 0 {
		t.Errorf("%v", got)
	}
	if got := fit.Propose(terms(1), nil, aim); len(got) != 1 || got[0] < 0 {
		t.Errorf("%v", got)
	}
}

func BenchmarkPropose(b *testing.B) {
	rnd := rand.New(rand.NewPCG(7, 8))
	var good, bad []float64
	var in []fit.Term
	for range 200 {
		good, bad = append(good, 0.02*rnd.Float64()), append(bad, 0.08*rnd.Float64())
		in = append(in, terms(1)...)
	}
	letters := append(draw(5000, false, "a", good, rnd), draw(2000, true, "b", bad, rnd)...)
	b.ReportAllocs()
	for b.Loop() {
		fit.Propose(in, letters, aim)
	}
}

// TestKin lets many letters of one sender bear less than as many of many senders.
func TestKin(t *testing.T) {
	bears := func(kin func(i int) int) filter.Score {
		var letters []fit.Letter
		for i := range 400 {
			spam := fit.Letter{Spam: true, Kin: 1000 + i}
			if i < 100 {
				spam.Terms, spam.Kin = []int{0}, kin(i)
			}
			letters = append(letters, spam, fit.Letter{Kin: i})
		}
		return fit.Bear(terms(1), letters)[0].Max
	}
	one, many := bears(func(int) int { return -1 }), bears(func(i int) int { return -1 - i })
	if one >= many || many < 200 {
		t.Errorf("a hundred of one sender bear %s, of a hundred senders %s", one, many)
	}
}

// TestNear keeps a score near to what is written where little speaks for going away, however
// well that would suit the few letters there are.
func TestNear(t *testing.T) {
	var letters []fit.Letter
	for i := range 400 {
		spam := fit.Letter{Spam: true, Kin: 1000 + i, Terms: []int{1}}
		if i < 3 {
			spam.Terms = append(spam.Terms, 0)
		}
		letters = append(letters, spam, fit.Letter{Kin: i})
	}
	few := fit.Propose(terms(1, 3), letters, aim)[0]
	for i := range letters {
		if letters[i].Spam {
			letters[i].Terms = []int{0, 1}
		}
	}
	many := fit.Propose(terms(1, 3), letters, aim)[0]
	if few > 200 || many <= few {
		t.Errorf("three letters move 1.00 to %s, four hundred to %s", few, many)
	}
}

// TestWeights has a source of many letters weigh more than one of few, but not as many times
// more as it has letters: what is good for both wins over what is good for the large one alone.
func TestWeights(t *testing.T) {
	var letters []fit.Letter
	add := func(n int, spam bool, group string, terms ...int) {
		for range n {
			letters = append(letters, fit.Letter{Spam: spam, Group: group, Kin: len(letters), Terms: terms})
		}
	}
	add(900, true, "large", 0)
	add(60, true, "small", 1)
	add(900, false, "large")
	add(60, false, "small")
	scores := fit.Propose(terms(2, 2), letters, aim)
	if scores[0] < 300 || scores[1] < 300 || scores[1] > scores[0] {
		t.Errorf("of 900 letters %s, of 60 %s", scores[0], scores[1])
	}
}
