package fit

import (
	"math"
	"slices"

	"postern/filter"
)

// Figures are the two errors of scores on labelled mail.
type Figures struct {
	Ham    int        `json:"ham"`
	Wrong  int        `json:"wrong"` // good mail that reaches the line
	Spam   int        `json:"spam"`
	Missed int        `json:"missed"` // spam that does not
	Ends   [2]float64 `json:"wrong_ci"`
	Misses [2]float64 `json:"missed_ci"`
	Area   float64    `json:"auc"`       // share of pairs of a spam and a good mail that are in order, ties half
	At     []Point    `json:"missed_at"` // beside a line drawn through the good mail instead of the policy's
}

// Point is how much spam is missed where the line lets so large a share of good mail be held.
type Point struct {
	Ham    float64 `json:"ham"`
	Missed float64 `json:"missed"`
}

// shares are those of good mail that filters are compared at.
var shares = [...]float64{0.001, 0.005, 0.01}

// Measure counts the errors of scores on letters.
func Measure(letters []Letter, scores []filter.Score, line filter.Score) Figures {
	var f Figures
	var ham, spam []filter.Score
	for i := range letters {
		s := letters[i].Score(scores)
		if letters[i].Spam {
			spam = append(spam, s)
		} else {
			ham = append(ham, s)
		}
	}
	slices.Sort(ham)
	slices.Sort(spam)
	f.Ham, f.Spam = len(ham), len(spam)
	f.Wrong, f.Missed = f.Ham-below(ham, line), below(spam, line)
	f.Ends, f.Misses = Wilson(f.Wrong, f.Ham), Wilson(f.Missed, f.Spam)
	if f.Ham == 0 || f.Spam == 0 {
		return f
	}
	for _, s := range spam {
		f.Area += float64(below(ham, s)+below(ham, s+1)) / 2
	}
	f.Area /= float64(f.Ham) * float64(f.Spam)
	for _, share := range shares {
		at := ham[f.Ham-1-int(share*float64(f.Ham))]
		f.At = append(f.At, Point{share, float64(below(spam, at+1)) / float64(f.Spam)})
	}
	return f
}

// below is how many of sorted scores are under one.
func below(sorted []filter.Score, s filter.Score) int {
	n, _ := slices.BinarySearch(sorted, s)
	return n
}

// Wilson is the 95 % Wilson score interval of k in n, as shares.
func Wilson(k, n int) [2]float64 { return wilson(float64(k), float64(n)) }

// wilson is the same for counts of witnesses.
func wilson(k, m float64) [2]float64 {
	if m == 0 {
		return [2]float64{0, 1}
	}
	const z = 1.959964
	p := k / m
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return [2]float64{math.Max(0, mid-half), math.Min(1, mid+half)}
}
