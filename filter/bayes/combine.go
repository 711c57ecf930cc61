package bayes

import (
	"cmp"
	"math"
	"slices"

	"postern/filter/bayes/token"
)

// How counts become a probability.
const (
	strength = 1.0  // how many messages the assumption weighs that a token says nothing
	least    = 0.10 // how far from even a token must be to speak
)

// A voice speaks by its most telling tokens. news is how much of a token is news: neighbours in a
// text are seldom independent, and the test of Fisher believes that all are.
func telling(v token.Voice) (most int, news float64) {
	if v == token.Mark {
		return 100, 0.20
	}
	return 400, 0.04
}

// Judgement is what the counts say of a message.
type Judgement struct {
	P    float64 // the probability that it is spam
	Lean float64 // orders messages whose P is all but 0 or 1: the larger, the more like spam
	Used int     // how many tokens spoke
}

// Combine says how likely a message is spam, by its tokens, their counts and that of all
// messages, after Robinson: Fisher's test over the most telling tokens of each voice, for either
// class. Classes weigh alike however many messages each has.
func Combine(tokens []uint64, counts []Count, all Count) Judgement {
	if all.Spam <= 0 || all.Ham <= 0 {
		return Judgement{P: 0.5}
	}
	var said [2][]float64
	for i, c := range counts {
		if d := lean(c, all); math.Abs(d) >= least {
			v := token.VoiceOf(tokens[i])
			said[v] = append(said[v], d)
		}
	}
	var spam, ham, n float64
	used := 0
	for v, all := range said {
		most, news := telling(token.Voice(v))
		slices.SortFunc(all, further)
		all = all[:min(len(all), most)]
		for _, d := range all {
			spam -= news * math.Log(0.5-d)
			ham -= news * math.Log(0.5+d)
		}
		n += news * float64(len(all))
		used += len(all)
	}
	if used == 0 {
		return Judgement{P: 0.5}
	}
	s, h := tail(spam, n), tail(ham, n)
	return Judgement{P: (1 + h - s) / 2, Lean: (spam - ham) / n, Used: used}
}

// further orders by how far from even, and the same however the tokens stood.
func further(a, b float64) int {
	return cmp.Or(cmp.Compare(math.Abs(b), math.Abs(a)), cmp.Compare(a, b))
}

// lean is how far the probability that a message with the token is spam lies from one half. With
// the classes changed for each other it is the same with the other sign, to the last bit.
func lean(c Count, all Count) float64 {
	n := float64(c.Spam + c.Ham)
	if n <= 0 {
		return 0
	}
	spam, ham := float64(c.Spam)/float64(all.Spam), float64(c.Ham)/float64(all.Ham)
	d := (spam - ham) / (2 * (spam + ham))
	return n / (strength + n) * max(-0.5, min(d, 0.5))
}

// tail is the probability that n tokens that say nothing say as much together as x, the sum of
// their logarithms: the upper tail of a chi-square of 2n degrees of freedom at 2x, continued to
// any n as the regularized gamma function Q(n, x).
func tail(x, n float64) float64 {
	if x <= 0 {
		return 1
	}
	lg, _ := math.Lgamma(n)
	front := math.Exp(n*math.Log(x) - x - lg)
	if x < n+1 { // the series of the lower tail
		sum, term := 1/n, 1/n
		for i := 1.0; i < 1000 && term > sum*1e-14; i++ {
			term *= x / (n + i)
			sum += term
		}
		return max(0, 1-front*sum)
	}
	const tiny = 1e-300 // the continued fraction of the upper tail, after Lentz
	b := x + 1 - n
	c, d := 1/tiny, 1/b
	h := d
	for i := 1.0; i < 1000; i++ {
		a := -i * (i - n)
		b += 2
		d = 1 / nonzero(a*d+b, tiny)
		c = nonzero(b+a/c, tiny)
		step := d * c
		h *= step
		if math.Abs(step-1) < 1e-14 {
			break
		}
	}
	return min(1, front*h)
}

func nonzero(v, tiny float64) float64 {
	if math.Abs(v) < tiny {
		return tiny
	}
	return v
}
