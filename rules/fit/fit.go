// Package fit proposes scores from labelled mail: whole multiples of a step, bounded for each
// symbol, as near to what is written as the mail lets them be.
package fit

import (
	"math"
	"slices"

	"postern/filter"
)

// Term is a symbol whose score is looked for.
type Term struct {
	Symbol   string
	Score    filter.Score // as it is written
	Min, Max filter.Score // what may be proposed
}

// Letter is one labelled message.
type Letter struct {
	Spam  bool
	Group string       // letters of one source; sources weigh by the root of their size
	Kin   int          // letters of one sender or campaign; so many weigh as the root of their number
	Terms []int        // indexes of the terms that count for it, each once
	Rest  filter.Score // what everything else that fired is worth
}

// Aim is what scores are to reach.
type Aim struct {
	Line filter.Score // the score at which a message is held
	Step filter.Score // scores are multiples of it
	Ham  float64      // the share of good mail over the line that can be borne
}

// Bounds of the search. All are about letters that look alike: none is about time.
const (
	sweeps   = 40      // over all terms, at most
	pull     = 1e-2    // of one point away from what is written, beside a mean loss of about 1
	slope    = 100     // hundredths of a point in which the odds change by e
	heaviest = 1 << 10 // what all good mail may weigh beside all spam
	heavier  = 2
	growth   = 15 // tenths by which all scores may grow to begin with
)

// Propose is the score for each term, in their order. Good mail weighs more and more until no
// more of it is over the line than the aim allows, or until that helps no more.
func Propose(terms []Term, letters []Letter, aim Aim) []filter.Score {
	terms = Bear(terms, letters)
	var best []filter.Score
	for weight := 1.0; weight <= heaviest; weight *= heavier {
		s := newSearch(terms, letters, aim, weight)
		s.scale()
		s.descend()
		best = s.scores
		if Wrong(letters, best, aim.Line) <= aim.Ham {
			break
		}
	}
	return best
}

// Bear narrows the bounds of terms to what the mail bears out: a point for each factor e by
// which a term is surely more frequent in one class than in the other (95 % Wilson intervals).
// Rare terms keep their place: they may get twice what is written where the mail does not
// contradict that.
func Bear(terms []Term, letters []Letter) []Term {
	var all [2]float64
	hits := make([][2]float64, len(terms))
	for i, w := range witnesses(letters) {
		class := class(letters[i].Spam)
		all[class] += w
		for _, t := range letters[i].Terms {
			hits[t][class] += w
		}
	}
	out := slices.Clone(terms)
	for i := range out {
		t := &out[i]
		ham, spam := wilson(hits[i][0], all[0]), wilson(hits[i][1], all[1])
		if t.Score > 0 {
			t.Max = min(t.Max, bear(spam, ham, 2*t.Score))
		} else {
			t.Min = max(t.Min, -bear(ham, spam, -2*t.Score))
		}
	}
	return out
}

// bear is what shares of one class and of the other bear out, in hundredths of a point: surely
// this much, and up to what is wished as long as that is not surely too much.
func bear(one, other [2]float64, wished filter.Score) filter.Score {
	return max(points(one[0], other[1]), min(wished, points(one[1], other[0])))
}

// points is what the quotient of two shares comes to, 0 where it speaks for the other class.
func points(one, other float64) filter.Score {
	switch {
	case one <= other:
		return 0
	case other <= 0:
		return math.MaxInt32
	}
	return filter.Score(100 * math.Log(one/other))
}

func class(spam bool) int {
	if spam {
		return 1
	}
	return 0
}

// Score is what a letter comes to.
func (l *Letter) Score(scores []filter.Score) filter.Score {
	sum := l.Rest
	for _, t := range l.Terms {
		sum += scores[t]
	}
	return sum
}

// Wrong is the share of good letters that reach the line; 0 when there are none.
func Wrong(letters []Letter, scores []filter.Score, line filter.Score) float64 {
	n, over := 0, 0
	for i := range letters {
		if letters[i].Spam {
			continue
		}
		n++
		if letters[i].Score(scores) >= line {
			over++
		}
	}
	if n == 0 {
		return 0
	}
	return float64(over) / float64(n)
}

// search is one descent over the scores, one term after the other.
type search struct {
	terms   []Term
	letters []Letter
	aim     Aim
	weights []float64 // of each letter
	has     [][]int   // the letters of each term
	written []float64 // what each term is pulled to, in hundredths
	scores  []filter.Score
	sums    []filter.Score // of each letter, under scores
}

func newSearch(terms []Term, letters []Letter, aim Aim, ham float64) *search {
	s := &search{terms: terms, letters: letters, aim: aim, has: make([][]int, len(terms)), written: make([]float64, len(terms)),
		scores: make([]filter.Score, len(terms)), sums: make([]filter.Score, len(letters))}
	for i := range letters {
		for _, t := range letters[i].Terms {
			s.has[t] = append(s.has[t], i)
		}
	}
	s.weights = weights(letters, ham)
	return s
}

// witnesses is what each letter counts for: kin of n letters count as the root of n. What a
// sender writes a thousand times says something of that sender.
func witnesses(letters []Letter) []float64 {
	type key struct {
		spam  bool
		group string
		kin   int
	}
	of := func(l *Letter) key { return key{l.Spam, l.Group, l.Kin} }
	size := map[key]float64{}
	for i := range letters {
		size[of(&letters[i])]++
	}
	out := make([]float64, len(letters))
	for i := range letters {
		out[i] = 1 / math.Sqrt(size[of(&letters[i])])
	}
	return out
}

// weights gives each class the sum 1, the good mail ham, and in it each group what the root of
// its size is of all.
func weights(letters []Letter, ham float64) []float64 {
	type key struct {
		spam  bool
		group string
	}
	out, size := witnesses(letters), map[key]float64{}
	for i := range letters {
		size[key{letters[i].Spam, letters[i].Group}] += out[i]
	}
	all := map[bool]float64{}
	for k, n := range size {
		all[k.spam] += math.Sqrt(n)
	}
	for i := range letters {
		k := key{letters[i].Spam, letters[i].Group}
		out[i] *= 1 / math.Sqrt(size[k]) / all[k.spam]
		if !k.spam {
			out[i] *= ham
		}
	}
	return out
}

// scale starts from what is written times the one factor that suits the mail best, so that
// terms of which the mail says nothing keep their place among the others.
func (s *search) scale() {
	best, lowest := 1.0, math.Inf(1)
	for tenth := 5; tenth <= growth; tenth++ {
		s.start(float64(tenth) / 10)
		if l := s.loss(); l < lowest {
			best, lowest = float64(tenth)/10, l
		}
	}
	s.start(best)
}

func (s *search) start(factor float64) {
	for i, t := range s.terms {
		s.written[i] = min(max(factor*float64(t.Score), float64(t.Min)), float64(t.Max))
		s.scores[i] = s.nearest(s.written[i], t)
	}
	for i := range s.letters {
		s.sums[i] = s.letters[i].Score(s.scores)
	}
}

// nearest is the multiple of the step within a term's bounds that is nearest to a score.
func (s *search) nearest(score float64, t Term) filter.Score {
	step := s.aim.Step
	n := filter.Score(math.Round(score/float64(step))) * step
	for n > t.Max {
		n -= step
	}
	for n < t.Min {
		n += step
	}
	return n
}

// loss is that of all letters.
func (s *search) loss() (sum float64) {
	for i := range s.letters {
		sum += s.weights[i] * s.odds(i, 0)
	}
	return sum
}

// odds is the loss of a letter whose score is changed by so much: small on its side of the
// line, growing with the way over it.
func (s *search) odds(i int, change filter.Score) float64 {
	over := float64(s.sums[i]+change-s.aim.Line) / slope
	if s.letters[i].Spam {
		over = -over
	}
	if over > 30 {
		return over
	}
	return math.Log1p(math.Exp(over))
}

// descend gives each term in turn the score that is best with all others as they are, until
// none changes.
func (s *search) descend() {
	order := make([]int, len(s.terms))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(s.has[b]) - len(s.has[a]) })
	for range sweeps {
		changed := false
		for _, t := range order {
			changed = s.improve(t) || changed
		}
		if !changed {
			return
		}
	}
}

// improve reports whether a term got another score.
func (s *search) improve(t int) bool {
	term, old := s.terms[t], s.scores[t]
	best, lowest := old, s.cost(t, old)
	for score := s.nearest(float64(term.Min), term); score <= term.Max; score += s.aim.Step {
		if c := s.cost(t, score); c < lowest-1e-12 {
			best, lowest = score, c
		}
	}
	if best == old {
		return false
	}
	for _, i := range s.has[t] {
		s.sums[i] += best - old
	}
	s.scores[t] = best
	return true
}

// cost is what a score of a term costs: the loss of its letters and the way from what is written.
func (s *search) cost(t int, score filter.Score) float64 {
	far := (float64(score) - s.written[t]) / 100
	sum := pull * far * far
	for _, i := range s.has[t] {
		sum += s.weights[i] * s.odds(i, score-s.scores[t])
	}
	return sum
}
