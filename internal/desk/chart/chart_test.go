package chart_test

import (
	"strconv"
	"strings"
	"testing"

	"postern/internal/desk/chart"
)

func number(n int64) string { return strconv.FormatInt(n, 10) }

func TestBars(t *testing.T) {
	b := chart.Bars{Limit: 40, Values: []chart.Bar{{Value: 0}, {Value: 50, Part: 80}, {Value: 100, Part: 10}}}.Draw(number)
	var labels []string
	for i, g := range b.Grid {
		labels = append(labels, g.Label)
		if i > 0 && g.Y >= b.Grid[i-1].Y {
			t.Error("the grid does not rise")
		}
	}
	if got := strings.Join(labels, " "); got != "0 20 40 60 80 100" {
		t.Error(got)
	}
	if c := b.Columns; len(c) != 3 || c[0].H != 0 || c[1].H*2 < c[2].H-1 || c[1].H*2 > c[2].H+1 || c[1].PartH != c[1].H || c[2].PartH >= c[2].H {
		t.Errorf("%+v", c)
	}
	if b.LimitAt != b.Grid[2].Y {
		t.Error(b.LimitAt, b.Grid)
	}
	for _, c := range b.Columns {
		if c.X < 0 || c.X+c.W > chart.Width || c.Y < 0 || c.Y+c.H > chart.Height || c.W <= 0 {
			t.Errorf("outside: %+v", c)
		}
	}
}

// TestAnyValues has drawings of nothing, of one thing, and of very much.
func TestAnyValues(t *testing.T) {
	for _, values := range [][]int{nil, {0}, {1}, {7}, {1_000_000_000, 3}} {
		b := chart.Bars{}
		for _, v := range values {
			b.Values = append(b.Values, chart.Bar{Value: v})
		}
		b = b.Draw(number)
		if n := len(b.Grid); n < 2 || n > 6 || len(b.Columns) != len(values) {
			t.Errorf("%v: %d lines, %d columns", values, n, len(b.Columns))
		}
	}
}

func TestSteps(t *testing.T) {
	s := chart.Steps{Now: 0.5, Points: []chart.Point{{At: 0, Level: 20}, {At: 0.1, Level: 40}, {At: 2, Level: 100}}}.Draw()
	if strings.Count(s.Path, "H") != 3 || strings.Count(s.Path, "V") != 2 || !strings.HasPrefix(s.Path, "M46 ") || !strings.HasSuffix(s.Path, "H632") {
		t.Error(s.Path)
	}
	if len(s.Marks) != 3 || s.Marks[0].Level != "20 %" || s.NowX != 339 {
		t.Errorf("%+v %v", s.Marks, s.NowX)
	}
	if s := (chart.Steps{}).Draw(); s.Path != "" {
		t.Error(s.Path)
	}
}

// TestGrids has lines at round values, at most six with the one at nothing, the highest of them
// not below the highest value.
func TestGrids(t *testing.T) {
	for most, want := range map[int]string{
		0: "0 1", 1: "0 1", 2: "0 1 2", 5: "0 1 2 3 4 5", 6: "0 2 4 6", 10: "0 2 4 6 8 10", 11: "0 5 10 15", 25: "0 5 10 15 20 25", 26: "0 10 20 30",
		51: "0 20 40 60", 101: "0 50 100 150", 1_000_001: "0 500000 1000000 1500000",
	} {
		for name, b := range map[string]chart.Bars{"a value": {Values: []chart.Bar{{Value: most}, {}}}, "the limit": {Limit: most}} {
			var got []string
			for _, g := range b.Draw(number).Grid {
				got = append(got, g.Label)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("up to %d by %s: %q", most, name, got)
			}
		}
	}
}

// TestColumnsStandApart however many there are, in their order and on the ground.
func TestColumnsStandApart(t *testing.T) {
	for _, n := range []int{1, 2, 28, 48, 200} {
		values := make([]chart.Bar, n)
		for i := range values {
			values[i] = chart.Bar{Value: i + 1, Part: i}
		}
		b := chart.Bars{Values: values}.Draw(number)
		ground := b.Grid[0].Y
		for i, c := range b.Columns {
			if d := c.Y + c.H - ground; d > 0.11 || d < -0.11 || c.PartY < c.Y || c.Mid <= c.X || c.Mid >= c.X+c.W {
				t.Fatalf("%d columns, number %d: %+v above %v", n, i, c, ground)
			}
			if i > 0 && (c.X <= b.Columns[i-1].X+b.Columns[i-1].W || c.Y > b.Columns[i-1].Y) {
				t.Fatalf("%d columns, number %d: %+v after %+v", n, i, c, b.Columns[i-1])
			}
		}
	}
}

// TestStepsStayInside: a time before the beginning stands at it, and one after the end at the end.
func TestStepsStayInside(t *testing.T) {
	for at, want := range map[float64]float64{-3: 46, 0: 46, 0.25: 192.5, 1: 632, 7: 632} {
		s := chart.Steps{Now: at, Points: []chart.Point{{At: at, Level: 50}}}.Draw()
		if s.NowX != want || s.Marks[0].X != want || s.Marks[0].Y != (s.Grid[0].Y+s.Grid[4].Y)/2 {
			t.Errorf("%v stands at %v, its mark at %+v", at, s.NowX, s.Marks[0])
		}
	}
}
