package clamav

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Signatures describes what clamd says of itself.
type Signatures struct {
	Engine string    // "ClamAV 1.4.6", "" = unknown
	Number int       // version of the signatures; 0 = unknown
	Date   time.Time // when they were made; zero = unknown
}

var engine = regexp.MustCompile(`^ClamAV [0-9A-Za-z.+~-]{1,40}$`)

// ParseVersion reads clamd's reply to VERSION: "ClamAV 1.4.6/27000/Sun Nov 22 08:00:00 2026",
// or only the engine where clamd has no official signatures. The date is in clamd's local
// time, taken to be in loc. What is not of that form is unknown.
func ParseVersion(line string, loc *time.Location) Signatures {
	var v Signatures
	field := strings.SplitN(line, "/", 3)
	if engine.MatchString(field[0]) {
		v.Engine = field[0]
	}
	if len(field) < 3 {
		return v
	}
	if n, err := strconv.Atoi(field[1]); err == nil && n > 0 {
		v.Number = n
	}
	if at, err := time.ParseInLocation(time.ANSIC, strings.TrimSpace(field[2]), loc); err == nil {
		v.Date = at
	}
	return v
}

// String is the form of our headers: "ClamAV 1.4.6/27000/2026-11-22".
func (v Signatures) String() string {
	name, number, date := v.Engine, "unknown", "unknown"
	if name == "" {
		name = "ClamAV unknown"
	}
	if v.Number > 0 {
		number = strconv.Itoa(v.Number)
	}
	if !v.Date.IsZero() {
		date = v.Date.Format(time.DateOnly)
	}
	return name + "/" + number + "/" + date
}

// Age is how old the signatures are; ok is false where it is unknown, also for a date that
// lies more than a day ahead.
func (v Signatures) Age(now time.Time) (age time.Duration, ok bool) {
	if v.Date.IsZero() || v.Date.Sub(now) > 24*time.Hour {
		return 0, false
	}
	return max(0, now.Sub(v.Date)), true
}
