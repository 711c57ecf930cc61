package audits

import (
	"testing"
	"time"
)

// numbers are the days of a month as they stand on the sheet.
func numbers(m month) [][7]int {
	var out [][7]int
	for _, week := range m.Weeks {
		var row [7]int
		for i, d := range week {
			row[i] = d.Number
		}
		out = append(out, row)
	}
	return out
}

func TestSheets(t *testing.T) {
	for _, c := range []struct {
		year  int
		month time.Month
		want  [][7]int
	}{
		{
			year:  2026,
			month: time.February, // begins on a Sunday
			want: [][7]int{
				{0, 0, 0, 0, 0, 0, 1},
				{2, 3, 4, 5, 6, 7, 8},
				{9, 10, 11, 12, 13, 14, 15},
				{16, 17, 18, 19, 20, 21, 22},
				{23, 24, 25, 26, 27, 28, 0},
			},
		},
		{
			year:  2027,
			month: time.February, // four weeks, from Monday to Sunday
			want: [][7]int{
				{1, 2, 3, 4, 5, 6, 7},
				{8, 9, 10, 11, 12, 13, 14},
				{15, 16, 17, 18, 19, 20, 21},
				{22, 23, 24, 25, 26, 27, 28},
			},
		},
		{
			year:  2028,
			month: time.February, // a leap year
			want: [][7]int{
				{0, 1, 2, 3, 4, 5, 6},
				{7, 8, 9, 10, 11, 12, 13},
				{14, 15, 16, 17, 18, 19, 20},
				{21, 22, 23, 24, 25, 26, 27},
				{28, 29, 0, 0, 0, 0, 0},
			},
		},
		{
			year:  2026,
			month: time.August, // six weeks
			want: [][7]int{
				{0, 0, 0, 0, 0, 1, 2},
				{3, 4, 5, 6, 7, 8, 9},
				{10, 11, 12, 13, 14, 15, 16},
				{17, 18, 19, 20, 21, 22, 23},
				{24, 25, 26, 27, 28, 29, 30},
				{31, 0, 0, 0, 0, 0, 0},
			},
		},
	} {
		got := numbers(sheet(c.year, c.month, nil, ""))
		if len(got) != len(c.want) {
			t.Errorf("%s %d has %d weeks: %v", c.month, c.year, len(got), got)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s %d, week %d: %v", c.month, c.year, i, got[i])
			}
		}
	}
}

func TestKindsOfDays(t *testing.T) {
	kinds := map[string]day{
		"2026-02-14": {Kind: "work", Name: "made up"},
		"2026-02-16": {Kind: "off", Name: "Spring Festival"},
	}
	m := sheet(2026, time.February, kinds, "2026-02-17")
	for _, c := range []struct {
		week, weekday int
		number        int
		kind          string
		today         bool
	}{
		{week: 2, weekday: 4, number: 13},
		{week: 2, weekday: 5, number: 14, kind: "work"},
		{week: 2, weekday: 6, number: 15, kind: "rest"},
		{week: 3, weekday: 0, number: 16, kind: "off"},
		{week: 3, weekday: 1, number: 17, today: true},
		{week: 0, weekday: 0, number: 0},
	} {
		d := m.Weeks[c.week][c.weekday]
		if d.Number != c.number || d.Kind != c.kind || d.Today != c.today {
			t.Errorf("%+v, want %+v", d, c)
		}
	}
}

func TestPrettyStates(t *testing.T) {
	for raw, want := range map[string]string{
		``:                 "",
		`null`:             "",
		`{"a":1}`:          "{\n  \"a\": 1\n}",
		`{"d":"one\ntwo"}`: "{\n  \"d\": \"one\n    two\"\n}",
		`[1]`:              "[\n  1\n]",
		`not json`:         "not json",
	} {
		if got := pretty([]byte(raw)); got != want {
			t.Errorf("%s: %q", raw, got)
		}
	}
	e := entry{Before: []byte(`{"state":"on"}`), After: []byte(`{"state":"off"}`)}
	if h := e.Hunks(); len(h) != 1 || len(h[0].Lines) != 4 {
		t.Errorf("%+v", h)
	}
}
