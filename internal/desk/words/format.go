package words

import (
	"strconv"
	"strings"
	"time"
)

// separators are what stands between thousands and before decimals.
func (l *Language) separators() (thousands, decimal string) {
	switch l.Name {
	case "ru":
		return " ", ","
	case "el":
		return ".", ","
	}
	return ",", "."
}

// Number writes n with groups of three digits from 10,000 on.
func (l *Language) Number(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, text = "−", text[1:]
	}
	if len(text) <= 4 {
		return sign + text
	}
	thousands, _ := l.separators()
	var groups []string
	for len(text) > 3 {
		groups = append([]string{text[len(text)-3:]}, groups...)
		text = text[:len(text)-3]
	}
	return sign + strings.Join(append([]string{text}, groups...), thousands)
}

// Decimal writes a number of hundredths with at least one decimal: scores are such.
func (l *Language) Decimal(hundredths int64) string {
	_, decimal := l.separators()
	sign := ""
	if hundredths < 0 {
		sign, hundredths = "−", -hundredths
	}
	rest := hundredths % 100
	part := strconv.FormatInt(rest/10, 10)
	if rest%10 != 0 {
		part = strconv.FormatInt(rest+100, 10)[1:]
	}
	return sign + l.Number(hundredths/100) + decimal + part
}

// Size writes octets as people read them.
func (l *Language) Size(octets int64) string {
	value, unit := octets*100, "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000*100 {
			break
		}
		value, unit = value/1000, next
	}
	if unit == "B" {
		return l.Number(octets) + " " + unit
	}
	return l.Decimal(value/10*10) + " " + unit
}

// layout is how a language writes a day.
func (l *Language) layout() string {
	switch l.Name {
	case "zh-CN":
		return "2006年1月2日"
	case "ru":
		return "02.01.2006"
	case "el":
		return "02/01/2006"
	}
	return "2 Jan 2006"
}

// Time writes a moment with the name of its zone.
func (l *Language) Time(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.Format(l.layout() + " 15:04 MST")
}

// Day writes the day of a moment.
func (l *Language) Day(t time.Time) string { return t.Format(l.layout()) }

// Span writes how long something takes, in its largest units.
func (l *Language) Span(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	switch {
	case d < time.Minute:
		return l.Say("common.seconds", "n", int64(d/time.Second))
	case d < 2*time.Hour:
		return l.Say("common.minutes", "n", int64(d/time.Minute))
	case d < 48*time.Hour:
		return l.Say("common.hours", "n", int64(d/time.Hour))
	}
	return l.Say("common.days", "n", int64(d/(24*time.Hour)))
}

// Ago writes how long ago, or in how long, a moment is.
func (l *Language) Ago(t, now time.Time) string {
	if t.After(now) {
		return l.Say("common.in", "span", l.Span(t.Sub(now)))
	}
	return l.Say("common.ago", "span", l.Span(now.Sub(t)))
}
