package calendar_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/abuse/calendar"
)

func zone(t testing.TB, name string) calendar.Zone {
	t.Helper()
	var z calendar.Zone
	if err := z.UnmarshalText([]byte(name)); err != nil {
		t.Fatal(err)
	}
	return z
}

func open(t testing.TB, teams ...calendar.Team) *calendar.Set {
	t.Helper()
	s, err := calendar.Open("", teams)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(t testing.TB, zoneName, text string) time.Time {
	t.Helper()
	out, err := time.ParseInLocation("2006-01-02 15:04", text, zone(t, zoneName).Location)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOneBusinessDay(t *testing.T) {
	for _, c := range []struct{ calendar, from, to string }{
		{"china", "2026-02-13 17:30", "2026-02-14 17:30"},         // a make-up Saturday
		{"china", "2026-02-14 12:00", "2026-02-24 12:00"},         // over the Spring Festival
		{"china", "2026-02-27 18:00", "2026-02-28 18:00"},         // the end of a day is its last moment
		{"china", "2026-09-19 10:00", "2026-09-20 18:00"},         // Saturday off, Sunday made up
		{"china", "2026-10-09 17:59", "2026-10-10 17:59"},         //
		{"china", "2025-12-31 12:00", "2026-01-04 12:00"},         // over a year's end
		{"russia", "2026-01-09 12:00", "2026-01-12 18:00"},        // moved day off
		{"russia", "2026-12-30 10:00", "2027-01-11 10:00"},        // 31 December is off
		{"russia", "2026-04-30 09:00", "2026-05-04 10:00"},        // an hour shorter
		{"greece", "2026-04-09 15:00", "2026-04-14 15:00"},        // Orthodox Easter
		{"greece", "2026-04-03 09:00", "2026-04-03 18:00"},        // the western Good Friday is a working day
		{"united-states", "2026-07-02 17:00", "2026-07-06 17:00"}, // observed on Friday
		{"united-states", "2026-03-06 13:00", "2026-03-09 13:00"}, // the clocks change on Sunday
		{"plain", "2026-06-06 13:00", "2026-06-08 18:00"},         //
	} {
		s := open(t, calendar.Team{Name: "desk", Calendar: c.calendar})
		cal := s.Team("")
		name := cal.Team().Zone.String()
		got, err := cal.Days(at(t, name, c.from), 1)
		if err != nil || !got.At.Equal(at(t, name, c.to)) {
			t.Errorf("%s: %s + 1 business day = %s %v, want %s", c.calendar, c.from, got.At, err, c.to)
		}
		if got.Calendar != cal.Version() {
			t.Errorf("%s: version %q", c.calendar, got.Calendar)
		}
	}
}

func TestAnotherZone(t *testing.T) { // the complaint is stamped in UTC, the desk sits in Shanghai
	cal := open(t, calendar.Team{Name: "desk", Calendar: "china"}).Team("")
	got, err := cal.Days(time.Date(2026, 2, 13, 9, 30, 0, 0, time.UTC), 1)
	want := time.Date(2026, 2, 14, 9, 30, 0, 0, time.UTC)
	if err != nil || !got.At.Equal(want) || got.At.Location() != time.UTC {
		t.Errorf("%s %v", got.At, err)
	}
}

func TestVersions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "own.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	team := calendar.Team{Name: "desk", Calendar: "china"}
	before := open(t, team).Team("").Version()
	if again := open(t, team).Team("").Version(); again != before {
		t.Errorf("%s, then %s", before, again)
	}
	write("calendar: china\nzone: Asia/Shanghai\nyears:\n  - {year: 2027, status: final, source: the notice, off: [{day: 2027-02-05, to: 2027-02-11}], work: [{day: 2027-02-14}]}\n")
	s, err := calendar.Open(dir, []calendar.Team{team})
	if err != nil {
		t.Fatal(err)
	}
	cal := s.Team("desk")
	if cal.Version() == before {
		t.Error("an edited calendar has the version it had")
	}
	var years []int
	for _, y := range cal.Years() {
		years = append(years, y.Year)
	}
	if !slices.Equal(years, []int{2026, 2027}) { // 2026 stays, 2027 is laid over
		t.Errorf("%v", years)
	}
	if works, _ := cal.WorkingDay(calendar.Date{Year: 2027, Month: 2, Day: 14}); !works {
		t.Error("the make-up day of the folder is not there")
	}
	team.Hours = []calendar.Window{{From: 8 * 60, To: 17 * 60}}
	if open(t, team).Team("").Version() == before {
		t.Error("other hours have the same version")
	}
}

func TestGaps(t *testing.T) {
	s := open(t, calendar.Team{Name: "cn", Calendar: "china"}, calendar.Team{Name: "all", Calendar: "plain"})
	for text, want := range map[string]int{"2026-11-30 23:59": 0, "2026-12-01 00:00": 1, "2027-03-01 12:00": 1, "2027-12-01 12:00": 2, "2028-02-01 12:00": 1} {
		gaps := s.Gaps(at(t, "Asia/Shanghai", text))
		if len(gaps) != want {
			t.Errorf("%s: %v", text, gaps)
		}
	}
	gap := s.Gaps(at(t, "Asia/Shanghai", "2026-12-02 12:00"))[0]
	if gap.Year != 2027 || gap.Status != calendar.Provisional || !strings.Contains(gap.Text(), "provisional days for 2027") {
		t.Errorf("%+v", gap)
	}
	missing := s.Gaps(at(t, "Asia/Shanghai", "2028-02-01 12:00"))[0]
	if !strings.Contains(missing.Text(), "no days for 2028") {
		t.Errorf("%s", missing.Text())
	}
}

func TestUnsure(t *testing.T) {
	cal := open(t, calendar.Team{Name: "cn", Calendar: "china"}).Team("")
	for text, want := range map[string]bool{"2026-06-01 10:00": false, "2026-12-31 17:00": true, "2028-06-01 10:00": true} {
		got, err := cal.Days(at(t, "Asia/Shanghai", text), 1)
		if err != nil || got.Unsure != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
}

// orthodoxEaster is Meeus's rule for the Julian calendar, shifted by the 13 days of this century.
func orthodoxEaster(year int) time.Time {
	a, b, c := year%4, year%7, year%19
	d := (19*c + 15) % 30
	e := (2*a + 4*b - d + 34) % 7
	month, day := (d+e+114)/31, (d+e+114)%31+1
	return time.Date(year, time.Month(month), day+13, 0, 0, 0, 0, time.UTC)
}

func TestEmbeddedDays(t *testing.T) {
	s := open(t)
	days := func(name string, year int) (off, work []string) {
		d, ok := s.Days(name)
		if !ok {
			t.Fatal(name)
		}
		cal := open(t, calendar.Team{Name: "x", Calendar: name}).Team("")
		for day := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == year; day = day.AddDate(0, 0, 1) {
			works, _ := cal.WorkingDay(calendar.DateOf(day))
			weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
			switch {
			case works && weekend:
				work = append(work, day.Format("01-02"))
			case !works && !weekend:
				off = append(off, day.Format("01-02"))
			}
		}
		_ = d
		return off, work
	}
	_, work := days("china", 2026)
	if !slices.Equal(work, []string{"01-04", "02-14", "02-28", "05-09", "09-20", "10-10"}) {
		t.Errorf("China works on %v", work)
	}
	off, _ := days("russia", 2026)
	if want := strings.Fields("01-01 01-02 01-05 01-06 01-07 01-08 01-09 02-23 03-09 05-01 05-11 06-12 11-04 12-31"); !slices.Equal(off, want) {
		t.Errorf("Russia rests on %v", off) // 247 working days, as the production calendar of 2026 says
	}
	off, _ = days("united-states", 2026)
	if len(off) != 11 {
		t.Errorf("the United States rest on %v", off)
	}
	for _, year := range []int{2026, 2027} {
		off, _ := days("greece", year)
		easter := orthodoxEaster(year)
		for _, shift := range []int{-48, -2, 1, 50} {
			if day := easter.AddDate(0, 0, shift).Format("01-02"); !slices.Contains(off, day) {
				t.Errorf("Greece %d: %s (Easter %+d) is a working day", year, day, shift)
			}
		}
	}
	for _, d := range s.Calendars() {
		for _, y := range d.Years {
			if y.Source == "" || y.Year == 2026 && y.Status != calendar.Final || y.Year == 2027 && y.Status != calendar.Provisional {
				t.Errorf("%s %d: %s %q", d.Name, y.Year, y.Status, y.Source)
			}
		}
	}
}

func TestWrongFiles(t *testing.T) {
	const head = "calendar: x\nzone: UTC\nyears:\n"
	for text, want := range map[string]string{
		"zone: UTC\n":                 "f.yaml: a calendar needs a name",
		"calendar: x\n":               "its time zone",
		"calendar: x\nzone: Mars/X\n": `f.yaml:2:7: there is no time zone "Mars/X"`,
		"calendar: x\nzone: Local\n":  "Asia/Shanghai",
		"calender: x\nzone: UTC\n":    `f.yaml:1:1: unknown key "calender"; did you mean "calendar"?`,
		head + "  - {year: 2026, status: maybe, source: s}\n":                                                      `f.yaml:4:26: "maybe": the status`,
		head + "  - {year: 2026, status: final}\n":                                                                 "needs its source",
		head + "  - {year: 2026, source: s}\n":                                                                     "needs its status",
		head + "  - {year: 26, status: final, source: s}\n":                                                        "a year is 2000 to 2200",
		head + "  - {year: 2026, status: final, source: s, off: [{day: 2026-02-30}]}\n":                            `f.yaml:4:56: "2026-02-30" is no day`,
		head + "  - {year: 2026, status: final, source: s, off: [{day: 2027-01-01}]}\n":                            "this is no day of 2026",
		head + "  - {year: 2026, status: final, source: s, off: [{day: 2026-05-02, to: 2026-05-01}]}\n":            "comes before",
		head + "  - {year: 2026, status: final, source: s, off: [{day: 2026-01-01, to: 2026-12-01}]}\n":            "at most 60 days",
		head + "  - {year: 2026, status: final, source: s, off: [{day: 2026-01-01}], work: [{day: 2026-01-01}]}\n": "named twice, first under off",
		head + "  - {year: 2026, status: final, source: s, off: [{day: 2026-01-01, minutes: 5}]}\n":                "minutes say",
		head + "  - {year: 2026, status: final, source: s, short: [{day: 2026-01-01}]}\n":                          "minutes say",
		head + "  - {year: 2026, status: final, source: s}\n  - {year: 2026, status: final, source: s}\n":          "2026 is written twice",
		"calendar: x\nzone: UTC\nyears: " + strings.Repeat("[", 200) + "\n":                                        "deep",
	} {
		_, err := calendar.Parse("f.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("calendar: x\nzone: UTC\nalways: true\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := calendar.Open(dir, nil); err == nil || !strings.Contains(err.Error(), `"x" stands in`) {
		t.Errorf("%v", err)
	}
	if _, err := calendar.Open(filepath.Join(dir, "a.yaml"), nil); err == nil || !strings.Contains(err.Error(), "no folder") {
		t.Errorf("%v", err)
	}
}

func TestWrongTeams(t *testing.T) {
	for want, team := range map[string]calendar.Team{
		"there is no calendar":     {Name: "x", Calendar: "moon"},
		"hours[0], 10:00 to 09:00": {Name: "x", Hours: []calendar.Window{{From: 600, To: 540}}},
		"hours[1], 10:00 to 11:00": {Name: "x", Hours: []calendar.Window{{From: 540, To: 660}, {From: 600, To: 660}}},
		"a team needs a name":      {Name: "Bad Name"},
	} {
		if _, err := calendar.Open("", []calendar.Team{team}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", team, err, want)
		}
	}
	if _, err := calendar.Open("", []calendar.Team{{Name: "a"}, {Name: "a"}}); err == nil || !strings.Contains(err.Error(), "named twice") {
		t.Errorf("%v", err)
	}
	cal := open(t).Team("nobody")
	if _, err := cal.Days(time.Now(), 401); !errors.Is(err, calendar.ErrRange) {
		t.Errorf("%v", err)
	}
	if _, err := cal.Add(time.Now(), -1); !errors.Is(err, calendar.ErrRange) {
		t.Errorf("%v", err)
	}
}

func TestTeamsOfTheFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "teams.yaml")
	text := "teams:\n  - {name: cn, calendar: china, hours: [{from: '08:30', to: '12:00'}, {from: '13:00', to: '17:30'}]}\n  - {name: gr, calendar: greece, week: [mon, tue], zone: Europe/Berlin}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := calendar.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Team(""); got.Team().Name != "cn" || got.BusinessDay() != 8*time.Hour || !slices.Equal(s.Teams(), []string{"cn", "gr"}) {
		t.Errorf("%+v %v", got.Team(), s.Teams())
	}
	if err := os.WriteFile(file, []byte("teams:\n  - {name: cn, hours: [{from: 9, to: '12:00'}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := calendar.Open(dir, nil); err == nil || !strings.Contains(err.Error(), "teams.yaml:2:31:") {
		t.Errorf("%v", err)
	}
}

func TestValues(t *testing.T) {
	var h calendar.Hour
	for text, want := range map[string]calendar.Hour{"00:00": 0, "09:30": 570, "24:00": 1440} {
		if err := h.UnmarshalText([]byte(text)); err != nil || h != want || h.String() != text {
			t.Errorf("%s: %v %v", text, h, err)
		}
	}
	for _, text := range []string{"", "9:00", "24:01", "12:60", "ab:cd", "-1:00"} {
		if h.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q passes", text)
		}
	}
	var w calendar.Weekday
	if w.UnmarshalText([]byte("sat")) != nil || w.String() != "sat" || w.UnmarshalText([]byte("Sat")) == nil {
		t.Error(w)
	}
}

// naive walks minute by minute.
func naive(c *calendar.Calendar, start time.Time, minutes int) time.Time {
	now := start
	for minutes > 0 {
		if working(c, now) {
			minutes--
		}
		now = now.Add(time.Minute)
	}
	return now
}

// working looks at the clock on the wall alone.
func working(c *calendar.Calendar, t time.Time) bool {
	team := c.Team()
	local := t.In(team.Zone.Location)
	day := calendar.DateOf(local)
	works, _ := c.WorkingDay(day)
	if !works {
		return false
	}
	wall := calendar.Hour(local.Hour()*60 + local.Minute())
	end := team.Hours[len(team.Hours)-1].To
	for _, y := range c.Years() {
		for _, s := range y.Short {
			if s.Day == day {
				end -= calendar.Hour(s.Minutes)
			}
		}
	}
	for _, w := range team.Hours {
		if wall >= w.From && wall < w.To && wall < end {
			return true
		}
	}
	return false
}

func drawCalendar(t *rapid.T) *calendar.Calendar {
	team := calendar.Team{
		Name:     "x",
		Calendar: rapid.SampledFrom([]string{"china", "russia", "greece", "united-states", "plain"}).Draw(t, "calendar"),
	}
	if name := rapid.SampledFrom([]string{"", "Asia/Shanghai", "America/New_York", "Europe/Athens", "Australia/Lord_Howe", "Asia/Kathmandu"}).Draw(t, "zone"); name != "" {
		if err := team.Zone.UnmarshalText([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if rapid.Bool().Draw(t, "hours") { // working time that stays clear of the hour at which clocks change
		a := rapid.IntRange(5*60, 12*60).Draw(t, "from")
		b := rapid.IntRange(a+1, 13*60).Draw(t, "to")
		team.Hours = []calendar.Window{{From: calendar.Hour(a), To: calendar.Hour(b)}, {From: 14 * 60, To: 24 * 60}}
	}
	s, err := calendar.Open("", []calendar.Team{team})
	if err != nil {
		t.Fatal(err)
	}
	return s.Team("")
}

func TestAgainstTheMinuteHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalendar(t)
		from := time.Date(2025, 12, 20, 0, 0, 0, 0, time.UTC)
		start := from.Add(time.Duration(rapid.IntRange(0, 740*24*60).Draw(t, "start")) * time.Minute)
		minutes := rapid.IntRange(1, 4000).Draw(t, "minutes")
		got, err := c.Add(start, time.Duration(minutes)*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if want := naive(c, start, minutes); !got.At.Equal(want) {
			t.Fatalf("%s + %d min = %s, want %s", start, minutes, got.At, want)
		}
		if back := c.Between(start, got.At); back != time.Duration(minutes)*time.Minute {
			t.Fatalf("between %s and %s: %s, want %d min", start, got.At, back, minutes)
		}
	})
}

func TestLaterIsNeverSooner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCalendar(t)
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		start := from.Add(time.Duration(rapid.Int64Range(0, 600*24*3600).Draw(t, "start")) * time.Second)
		later := start.Add(time.Duration(rapid.Int64Range(0, 20*24*3600).Draw(t, "later")) * time.Second)
		work := time.Duration(rapid.Int64Range(0, 30*3600).Draw(t, "work")) * time.Second
		a, err1 := c.Add(start, work)
		b, err2 := c.Add(later, work)
		more, err3 := c.Add(start, work+time.Minute)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if b.At.Before(a.At) || !more.At.After(a.At) || a.At.Before(start) {
			t.Fatalf("%s %s %s", a.At, b.At, more.At)
		}
	})
}
