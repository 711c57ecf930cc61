package calendar

import (
	"fmt"
	"time"

	"postern/internal/said"
)

// Date is a day, without a zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf is the day of t in t's own zone.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// UnmarshalText reads 2026-02-14.
func (d *Date) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return said.Errorf("calendar.is-no-day-write-it-as-2026", "%.40q is no day; write it as 2026-02-14", "text", text)
	}
	*d = DateOf(t)
	return nil
}

// MarshalText writes 2026-02-14.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Date) String() string { return d.at(0, time.UTC).Format(time.DateOnly) }

// at is a time of the day, in minutes after midnight.
func (d Date) at(minutes int, zone *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, minutes, 0, 0, zone)
}

func (d Date) plus(days int) Date {
	return DateOf(time.Date(d.Year, d.Month, d.Day+days, 0, 0, 0, 0, time.UTC))
}

func (d Date) weekday() time.Weekday { return d.at(0, time.UTC).Weekday() }

// Before reports whether d comes before o.
func (d Date) Before(o Date) bool { return d.at(0, time.UTC).Before(o.at(0, time.UTC)) }

// Hour is a time of day in minutes after midnight, 0 to 1440.
type Hour int

// UnmarshalText reads 09:00; 24:00 is the end of the day.
func (h *Hour) UnmarshalText(text []byte) error {
	var hour, minute int
	s := string(text)
	if len(s) == 5 && s[2] == ':' && digits(s[:2]) && digits(s[3:]) {
		hour, minute = int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
		if hour < 24 && minute < 60 || hour == 24 && minute == 0 {
			*h = Hour(hour*60 + minute)
			return nil
		}
	}
	return said.Errorf("calendar.is-no-time-of-day-write-it", "%.40q is no time of day; write it as 09:00", "text", text)
}

// MarshalText writes 09:00.
func (h Hour) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

func (h Hour) String() string { return fmt.Sprintf("%02d:%02d", int(h)/60, int(h)%60) }

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Zone is a time zone by its name.
type Zone struct{ *time.Location }

// UnmarshalText reads Asia/Shanghai.
func (z *Zone) UnmarshalText(text []byte) error {
	name := string(text)
	if name == "" || name == "Local" {
		return said.New("calendar.a-time-zone-has-a-name-such", `a time zone has a name such as "Asia/Shanghai"`)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return said.Errorf("calendar.there-is-no-time-zone", "there is no time zone %.60q", "name", name)
	}
	z.Location = loc
	return nil
}

// MarshalText writes the name.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

func (z Zone) String() string {
	if z.Location == nil {
		return "UTC"
	}
	return z.Location.String()
}

// Weekday is a day of the week by its first three letters.
type Weekday time.Weekday

// UnmarshalText reads mon, tue, ...
func (w *Weekday) UnmarshalText(text []byte) error {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if Weekday(d).String() == string(text) {
			*w = Weekday(d)
			return nil
		}
	}
	return said.Errorf("calendar.is-no-day-of-the-week-write", "%.40q is no day of the week; write mon, tue, wed, thu, fri, sat or sun", "text", text)
}

// MarshalText writes mon, tue, ...
func (w Weekday) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

func (w Weekday) String() string {
	return [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}[w%7]
}

// Status says how sure the days of a year are.
type Status string

// The statuses.
const (
	Final       Status = "final"
	Provisional Status = "provisional" // the days known by law, before the year's own decree
)

// UnmarshalText reads final or provisional.
func (s *Status) UnmarshalText(text []byte) error {
	if v := Status(text); v == Final || v == Provisional {
		*s = v
		return nil
	}
	return said.Errorf("calendar.the-status-of-a-year-is-final", "%.40q: the status of a year is final or provisional", "text", text)
}
