// Package diff compares texts line by line.
package diff

import (
	"fmt"
	"strings"
)

// Bounds of a comparison: beyond them everything between the lines that both texts begin and
// end with counts as replaced.
const (
	MaxLines = 20_000
	MaxSteps = 2_000
)

// Op is what became of a line.
type Op string

// What becomes of a line.
const (
	Same    Op = " "
	Added   Op = "+"
	Removed Op = "-"
)

// Line is one line of a comparison. Old and New count from 1; 0: it is not in that text.
type Line struct {
	Op   Op     `json:"op"`
	Old  int    `json:"old,omitempty"`
	New  int    `json:"new,omitempty"`
	Text string `json:"text"`
}

// Hunk is a stretch of lines around a change.
type Hunk struct {
	Lines []Line `json:"lines"`
}

// Head says where the hunk stands, as patches do.
func (h Hunk) Head() string {
	var from, to, olds, news int
	for _, l := range h.Lines {
		if l.Old > 0 {
			if olds++; from == 0 {
				from = l.Old
			}
		}
		if l.New > 0 {
			if news++; to == 0 {
				to = l.New
			}
		}
	}
	return fmt.Sprintf("@@ -%d,%d +%d,%d @@", from, olds, to, news)
}

// Lines compares two texts.
func Lines(before, after string) []Line {
	a, b := split(before), split(after)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := make([]Line, 0, len(a)+len(b)-head-tail)
	for i := range head {
		out = append(out, Line{Same, i + 1, i + 1, a[i]})
	}
	out = append(out, middle(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	for i := range tail {
		x, y := len(a)-tail+i, len(b)-tail+i
		out = append(out, Line{Same, x + 1, y + 1, a[x]})
	}
	return out
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// middle finds the shortest way from a to b (Myers), or replaces all where that is long.
func middle(a, b []string, from int) []Line {
	trace, ok := steps(a, b)
	if !ok {
		return replaced(a, b, from)
	}
	var back []Line
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		v, k := trace[d], x-y
		prev := k - 1
		if k == -d || k != d && v[k-1+d+1] < v[k+1+d+1] {
			prev = k + 1
		}
		px := 0
		if d > 0 {
			px = v[prev+d+1]
		}
		py := px - prev
		if d == 0 {
			px, py = 0, 0
		}
		for x > px && y > py {
			back = append(back, Line{Same, from + x, from + y, a[x-1]})
			x, y = x-1, y-1
		}
		if d == 0 {
			break
		}
		if x == px {
			back = append(back, Line{Added, 0, from + y, b[y-1]})
			y--
		} else {
			back = append(back, Line{Removed, from + x, 0, a[x-1]})
			x--
		}
	}
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	return back
}

// steps are the furthest points reached with 0, 1, 2 ... changes; trace[d] is what was known
// before step d, shifted by d+1.
func steps(a, b []string) (trace [][]int, ok bool) {
	if len(a) > MaxLines || len(b) > MaxLines {
		return nil, false
	}
	most := min(len(a)+len(b), MaxSteps)
	v := make([]int, 2*most+3)
	at := most + 1
	for d := 0; d <= most; d++ {
		trace = append(trace, append([]int(nil), v[at-d-1:at+d+2]...))
		for k := -d; k <= d; k += 2 {
			x := v[at+k-1] + 1
			if k == -d || k != d && v[at+k-1] < v[at+k+1] {
				x = v[at+k+1]
			}
			y := x - k
			for x < len(a) && y < len(b) && a[x] == b[y] {
				x, y = x+1, y+1
			}
			if v[at+k] = x; x >= len(a) && y >= len(b) {
				return trace, true
			}
		}
	}
	return nil, false
}

func replaced(a, b []string, from int) (out []Line) {
	for i, t := range a {
		out = append(out, Line{Removed, from + i + 1, 0, t})
	}
	for i, t := range b {
		out = append(out, Line{Added, 0, from + i + 1, t})
	}
	return out
}

// Hunks keeps what changed, with some lines around it.
func Hunks(all []Line, around int) []Hunk {
	out := []Hunk{}
	last := -1 // the last line that is in a hunk
	for i, l := range all {
		if l.Op == Same {
			continue
		}
		from, to := max(i-around, 0), min(i+around, len(all)-1)
		if len(out) == 0 || from > last+1 {
			out = append(out, Hunk{})
			last = from - 1
		}
		h := &out[len(out)-1]
		h.Lines = append(h.Lines, all[last+1:max(to, last)+1]...)
		last = max(to, last)
	}
	return out
}

// Between are the hunks of two texts, with three lines around each change.
func Between(before, after string) []Hunk { return Hunks(Lines(before, after), 3) }

// Text writes hunks as patches do.
func Text(all []Hunk) string {
	var b strings.Builder
	for _, h := range all {
		b.WriteString(h.Head() + "\n")
		for _, l := range h.Lines {
			b.WriteString(string(l.Op) + l.Text + "\n")
		}
	}
	return b.String()
}
