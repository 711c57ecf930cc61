package meta

import (
	"errors"
	"fmt"
)

// unit is 1 in the numbers of a condition: they are kept in thousandths.
const unit = 1000

// maxParts bounds what a sum may spread into.
const maxParts = 200

// number is a sum: a constant and conditions that count with a weight.
type number struct {
	base  int
	terms []weighted
}

var errParts = fmt.Errorf("it counts up to more than %d", maxParts)

type weighted struct {
	weight int
	node   node
}

func counted(n node) number {
	if n.op == constant {
		if n.yes {
			return number{base: unit}
		}
		return number{}
	}
	return number{terms: []weighted{{unit, n}}}
}

func (v number) times(k int) number {
	out := number{base: scaled(v.base, k)}
	for _, t := range v.terms {
		if weight := scaled(t.weight, k); weight != 0 {
			out.terms = append(out.terms, weighted{weight, t.node})
		}
	}
	return out
}

func (v number) plus(o number) number {
	return number{v.base + o.base, append(v.terms[:len(v.terms):len(v.terms)], o.terms...)}
}

// truth is what Perl takes a number for: it is not 0.
func (v number) truth() node {
	if len(v.terms) == 0 {
		return truth(v.base != 0)
	}
	positive := v.base >= 0
	var subs []node
	for _, t := range v.terms {
		positive = positive && t.weight > 0
		subs = append(subs, once(t.node))
	}
	switch {
	case positive && v.base > 0:
		return truth(true)
	case positive:
		return some(unique(subs))
	}
	above, err := v.atLeast(1)
	below, err2 := v.times(-unit).atLeast(1)
	if err != nil || err2 != nil {
		return truth(false)
	}
	return some([]node{above, below})
}

// product multiplies: by a constant, or two conditions with each other.
func (v number) product(o number) (number, error) {
	switch {
	case len(o.terms) == 0:
		return v.times(o.base), nil
	case len(v.terms) == 0:
		return o.times(v.base), nil
	case v.base == 0 && o.base == 0 && len(v.terms) == 1 && len(o.terms) == 1:
		product := counted(all([]node{v.terms[0].node, o.terms[0].node}))
		return product.times(v.terms[0].weight).times(o.terms[0].weight), nil
	}
	return v, errors.New("it multiplies sums")
}

// atLeast holds when the number reaches least, in thousandths.
func (v number) atLeast(least int) (node, error) {
	least -= v.base
	divisor := 0
	for _, t := range v.terms {
		divisor = gcd(divisor, abs(t.weight))
	}
	if divisor == 0 {
		return truth(least <= 0), nil
	}
	var parts []node
	for _, t := range v.terms {
		n, weight := t.node, t.weight
		if weight < 0 { // -w of a condition is w of its opposite, less w
			if n.max > 1 {
				return node{}, fmt.Errorf("it takes away how often %s matched", n.use.Rule)
			}
			n, weight = negate(n), -weight
			least += weight
		}
		if weight/divisor > maxParts {
			return node{}, errParts
		}
		for range weight / divisor {
			parts = append(parts, once(n))
		}
		if more := min(n.max, (least+weight-1)/weight, maxParts); more > 1 {
			for i := 2; i <= more; i++ {
				again := once(n)
				again.use.Times = i
				for range weight / divisor {
					parts = append(parts, again)
				}
			}
		}
		if len(parts) > maxParts {
			return node{}, errParts
		}
	}
	return atLeast(ceil(least, divisor), parts), nil
}

// largest bounds numbers, so that none runs over; what comes near is counted up to nowhere.
const largest = 1 << 50

// scaled multiplies two numbers in thousandths.
func scaled(a, b int) int {
	switch f := float64(a) * float64(b) / unit; {
	case f > largest:
		return largest
	case f < -largest:
		return -largest
	}
	high, low := a/unit, a%unit
	return high*b + low*b/unit
}

// once is a condition that holds or not, however often its rule counts.
func once(n node) node {
	n.max = 1
	return n
}

func ceil(a, b int) int {
	if a <= 0 {
		return 0
	}
	return (a + b - 1) / b
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func abs(a int) int { return max(a, -a) }
