// Package calendar knows when a team works: hours, holidays and make-up working days, each
// year with its source. A deadline is computed once, and kept with the version of the calendar
// it was computed by: editing a calendar moves no deadline.
package calendar

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // the same zones on every machine, containers without them included
)

// Window is a stretch of working time on one day.
type Window struct {
	From Hour `yaml:"from" json:"from"`
	To   Hour `yaml:"to" json:"to"`
}

// Team says when a team works. What is empty comes from the calendar, or is 09:00 to 18:00
// from Monday to Friday.
type Team struct {
	Name     string    `yaml:"name" json:"name"`
	Calendar string    `yaml:"calendar" json:"calendar"`
	Zone     Zone      `yaml:"zone" json:"zone"`
	Hours    []Window  `yaml:"hours" json:"hours"`
	Week     []Weekday `yaml:"week" json:"week"`
}

// Calendar is a team's working time. It does not change.
type Calendar struct {
	team    Team
	days    *Days
	off     map[Date]string
	work    map[Date]string
	short   map[Date]int
	week    [7]bool
	version string
}

// Bounds of a deadline.
const (
	MaxBusinessDays = 400           // days that one may ask for
	maxLook         = 20 * 366      // days that are looked at to find them
	DefaultFrom     = Hour(9 * 60)  // working hours of a team that names none
	DefaultTo       = Hour(18 * 60) // their end
	hashLen         = 8             // digits of the hash in a version
	nextYearFrom    = time.December // from when the next year's days are missed
)

// New builds a team's calendar over the days of its country.
func New(team Team, days map[string]*Days) (*Calendar, error) {
	if team.Calendar == "" {
		team.Calendar = "plain"
	}
	d := days[team.Calendar]
	if d == nil {
		return nil, fmt.Errorf("team %q: there is no calendar %q", team.Name, team.Calendar)
	}
	if team.Zone.Location == nil {
		team.Zone = d.Zone
	}
	if len(team.Hours) == 0 {
		team.Hours = []Window{{DefaultFrom, DefaultTo}}
	}
	if len(team.Week) == 0 {
		team.Week = []Weekday{1, 2, 3, 4, 5}
	}
	c := &Calendar{team: team, days: d, off: map[Date]string{}, work: map[Date]string{}, short: map[Date]int{}}
	end := Hour(0)
	for i, w := range team.Hours {
		if w.From >= w.To || w.To > 24*60 || w.From < end {
			return nil, fmt.Errorf("team %q: hours[%d], %s to %s, is empty or not in order", team.Name, i, w.From, w.To)
		}
		end = w.To
	}
	for _, w := range team.Week {
		c.week[w%7] = true
	}
	for _, y := range d.Years {
		c.mark(y)
	}
	text, err := json.Marshal(struct {
		Team Team
		Days *Days
	}{team, d})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	c.version = fmt.Sprintf("%s@%s", team.Calendar, hex.EncodeToString(sum[:])[:hashLen])
	return c, nil
}

func (c *Calendar) mark(y Year) {
	for _, s := range y.Off {
		for d := s.Day; !s.last().Before(d); d = d.plus(1) {
			c.off[d] = s.Name
		}
	}
	for _, s := range y.Work {
		for d := s.Day; !s.last().Before(d); d = d.plus(1) {
			c.work[d] = s.Name
		}
	}
	for _, s := range y.Short {
		for d := s.Day; !s.last().Before(d); d = d.plus(1) {
			c.short[d] = s.Minutes
		}
	}
}

// Version names the calendar and a hash of everything that a deadline depends on.
func (c *Calendar) Version() string { return c.version }

// Team is the team, with what it left out filled in.
func (c *Calendar) Team() Team { return c.team }

// Years are the years there is data for.
func (c *Calendar) Years() []Year { return c.days.Years }

// BusinessDay is the working time of one full day: what "one business day" means.
func (c *Calendar) BusinessDay() time.Duration {
	var sum Hour
	for _, w := range c.team.Hours {
		sum += w.To - w.From
	}
	return time.Duration(sum) * time.Minute
}

// WorkingDay reports whether a team works on a day, and what the day is called if it differs
// from the plain week.
func (c *Calendar) WorkingDay(d Date) (works bool, name string) {
	if name, ok := c.work[d]; ok {
		return true, name
	}
	if name, ok := c.off[d]; ok {
		return false, name
	}
	return c.week[d.weekday()], ""
}

// windows are the stretches of working time of a day. Around a change of the clocks they are
// as long as they really are.
func (c *Calendar) windows(d Date) [][2]time.Time {
	if works, _ := c.WorkingDay(d); !works {
		return nil
	}
	end := c.team.Hours[len(c.team.Hours)-1].To - Hour(c.short[d])
	var out [][2]time.Time
	for _, w := range c.team.Hours {
		from, to := d.at(int(w.From), c.team.Zone.Location), d.at(int(min(w.To, end)), c.team.Zone.Location)
		if from.Before(to) {
			out = append(out, [2]time.Time{from, to})
		}
	}
	return out
}

// Deadline is a time by which something is due.
type Deadline struct {
	At       time.Time `json:"at"`
	Calendar string    `json:"calendar,omitempty"` // version; "" = around the clock
	Unsure   bool      `json:"unsure,omitempty"`   // it rests on a year whose days are missing or provisional
}

// ErrRange means that a deadline lies too far away to be computed.
var ErrRange = errors.New("calendar: no such deadline")

// Add finds the time at which the given working time has gone by since start.
func (c *Calendar) Add(start time.Time, work time.Duration) (Deadline, error) {
	if work < 0 || work > MaxBusinessDays*24*time.Hour {
		return Deadline{}, fmt.Errorf("%w: %s of working time", ErrRange, work)
	}
	out := Deadline{Calendar: c.version, At: start}
	if work == 0 {
		return out, nil
	}
	day := DateOf(start.In(c.team.Zone.Location))
	for range maxLook {
		for _, w := range c.windows(day) {
			from := w[0]
			if from.Before(start) {
				from = start
			}
			have := w[1].Sub(from)
			if have <= 0 {
				continue
			}
			if work <= have {
				out.At = from.Add(work).In(start.Location())
				out.Unsure = c.unsure(DateOf(start.In(c.team.Zone.Location)), day)
				return out, nil
			}
			work -= have
		}
		day = day.plus(1)
	}
	return Deadline{}, fmt.Errorf("%w: %s after %s", ErrRange, work, start)
}

// unsure reports whether a year from one day to another has no final data.
func (c *Calendar) unsure(from, to Date) bool {
	for n := from.Year; n <= to.Year && !c.days.Always; n++ {
		if y := c.days.year(n); y == nil || y.Status != Final {
			return true
		}
	}
	return false
}

// Days is Add for a number of business days.
func (c *Calendar) Days(start time.Time, n int) (Deadline, error) {
	if n < 0 || n > MaxBusinessDays {
		return Deadline{}, fmt.Errorf("%w: %d business days", ErrRange, n)
	}
	return c.Add(start, time.Duration(n)*c.BusinessDay())
}

// Between is the working time from one time to another; 0 if to is not after from.
func (c *Calendar) Between(from, to time.Time) time.Duration {
	var sum time.Duration
	last := DateOf(to.In(c.team.Zone.Location))
	day := DateOf(from.In(c.team.Zone.Location))
	for range maxLook {
		if last.Before(day) {
			break
		}
		for _, w := range c.windows(day) {
			a, b := w[0], w[1]
			if a.Before(from) {
				a = from
			}
			if b.After(to) {
				b = to
			}
			if a.Before(b) {
				sum += b.Sub(a)
			}
		}
		day = day.plus(1)
	}
	return sum
}

// Gap is a year whose days are missing, or provisional, when they are needed.
type Gap struct {
	Team     string `json:"team"`
	Calendar string `json:"calendar"`
	Year     int    `json:"year"`
	Status   Status `json:"status"` // provisional, or "" = missing
}

// Text says it in a sentence.
func (g Gap) Text() string {
	if g.Status == Provisional {
		return fmt.Sprintf("the calendar %s has only provisional days for %d (team %s): deadlines may miss holidays and make-up working days", g.Calendar, g.Year, g.Team)
	}
	return fmt.Sprintf("the calendar %s has no days for %d (team %s): deadlines count every weekday as a working day", g.Calendar, g.Year, g.Team)
}

// Gaps tells which years lack final data: this year at any time, the next one from the first
// of December.
func (c *Calendar) Gaps(now time.Time) []Gap {
	if c.days.Always {
		return nil
	}
	now = now.In(c.team.Zone.Location)
	years := []int{now.Year()}
	if now.Month() >= nextYearFrom {
		years = append(years, now.Year()+1)
	}
	var out []Gap
	for _, n := range years {
		switch y := c.days.year(n); {
		case y == nil:
			out = append(out, Gap{c.team.Name, c.days.Name, n, ""})
		case y.Status != Final:
			out = append(out, Gap{c.team.Name, c.days.Name, n, y.Status})
		}
	}
	return out
}
