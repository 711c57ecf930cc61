// Package chart computes drawings of figures over time that need no script: bars with axes, and
// steps. Templates of any room draw them with {{template "bars" .}} and {{template "steps" .}}.
package chart

import (
	"embed"
	"math"
	"strconv"
	"strings"
)

//go:embed all:html
var Parts embed.FS

// Size of a drawing, in its own units, and of its margins.
const (
	Width, Height = 640, 180
	left, right   = 46, 8
	top, bottom   = 10, 26
)

// Bar is one column.
type Bar struct {
	Label string // under it; "" = none
	Says  string // all of it in words, shown on hover
	Value int
	Part  int // of the value, drawn over it in another colour
}

// Bars is a drawing.
type Bars struct {
	ID      string // unique on its page
	Caption string
	Unit    string // of the values
	Part    string // what the part is; "" = there is none
	Limit   int    // a line at that value; 0 = none
	Says    string // of the limit
	Values  []Bar
	Head    [3]string // of the table: time, value, part
	Table   string    // what opens the table

	Columns []Column
	Grid    []Line
	LimitAt float64
	Mid     float64 // where the text of the limit stands
}

// Column is a bar as it is drawn.
type Column struct {
	Bar
	X, Y, W, H   float64
	PartY, PartH float64
	Mid          float64
}

// Line is one of the grid.
type Line struct {
	Y     float64
	Label string
}

// Draw computes where everything stands.
func (b Bars) Draw(number func(int64) string) Bars {
	most := b.Limit
	for _, v := range b.Values {
		most = max(most, v.Value)
	}
	step := nice(most)
	ceiling := max(step*int(math.Ceil(float64(most)/float64(step))), step)
	height := float64(Height - top - bottom)
	y := func(v int) float64 { return round(top + height - height*float64(v)/float64(ceiling)) }
	for v := 0; v <= ceiling; v += step {
		b.Grid = append(b.Grid, Line{y(v), number(int64(v))})
	}
	if n := len(b.Values); n > 0 {
		each := float64(Width-left-right) / float64(n)
		gap := min(each*0.2, 4)
		for i, v := range b.Values {
			c := Column{Bar: v, X: round(left + each*float64(i) + gap/2), W: round(each - gap), Y: y(v.Value)}
			c.H = round(top + height - c.Y)
			part := min(v.Part, v.Value)
			c.PartY = y(part)
			c.PartH = round(top + height - c.PartY)
			c.Mid = round(c.X + c.W/2)
			b.Columns = append(b.Columns, c)
		}
	}
	if b.Limit > 0 {
		b.LimitAt = y(b.Limit)
	}
	return b
}

// nice is the distance of grid lines for values up to most: 1, 2 or 5 times a power of ten, at
// most five lines.
func nice(most int) int {
	for power := 1; ; power *= 10 {
		for _, f := range []int{1, 2, 5} {
			if f*power*5 >= most {
				return f * power
			}
		}
	}
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

// Point is where a line of steps goes on at another level.
type Point struct {
	At    float64 // 0 to 1 of the time shown
	Level int     // per cent
	Label string
	Says  string
}

// Steps is a drawing of what grows by steps, up to 100 per cent.
type Steps struct {
	ID, Caption string
	Points      []Point
	Now         float64 // 0 to 1; less = not shown
	NowSays     string
	Head        [2]string // of the table
	Table       string    // what opens the table

	Path   string
	Marks  []Mark
	Grid   []Line
	NowX   float64
	Bottom float64
}

// Mark is a text at a step.
type Mark struct {
	X, Y  float64
	Label string
	Level string
}

// Draw computes where everything stands.
func (s Steps) Draw() Steps {
	height, width := float64(Height-top-bottom), float64(Width-left-right)
	x := func(at float64) float64 { return round(left + width*min(max(at, 0), 1)) }
	y := func(level int) float64 { return round(top + height - height*float64(level)/100) }
	for _, level := range []int{0, 20, 40, 80, 100} {
		s.Grid = append(s.Grid, Line{y(level), strconv.Itoa(level) + " %"})
	}
	var path strings.Builder
	for i, p := range s.Points {
		if i == 0 {
			path.WriteString("M" + text(x(p.At)) + " " + text(y(p.Level)))
		} else {
			path.WriteString("H" + text(x(p.At)) + "V" + text(y(p.Level)))
		}
		s.Marks = append(s.Marks, Mark{x(p.At), y(p.Level), p.Label, strconv.Itoa(p.Level) + " %"})
	}
	if path.Len() > 0 {
		path.WriteString("H" + text(x(1)))
	}
	s.Path, s.NowX, s.Bottom = path.String(), x(s.Now), top+height
	return s
}

func text(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
