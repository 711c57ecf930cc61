package header

import (
	"net/mail"
	"regexp"
	"strings"
	"time"
)

// How far a Date may be from the time a message came.
const (
	future = 24 * time.Hour
	past   = 15 * 24 * time.Hour
)

// dates looks at the Date field, against the time the message came. No year by itself says
// anything.
func (l *look) dates() {
	if !l.head.Has("Date") {
		l.add(DateMissing, "")
		return
	}
	value := strings.TrimSpace(l.head.Get("Date"))
	at, ok := date(value)
	switch {
	case !ok:
		l.add(DateInvalid, value)
	case at.After(l.m.Time.Add(future)):
		l.add(DateFuture, value)
	case at.Before(l.m.Time.Add(-past)):
		l.add(DatePast, value)
	}
}

// date reads a Date field (RFC 5322 section 3.3, obsolete forms too), and the forms of
// programs that are honest but wrong: no comma, the name of a zone behind the offset.
func date(value string) (time.Time, bool) {
	if len(value) > 200 {
		return time.Time{}, false
	}
	if at, err := mail.ParseDate(value); err == nil {
		return at, true
	}
	value = comment.ReplaceAllString(value, "")
	value = strings.Join(strings.Fields(zoneName.ReplaceAllString(value, "$1")), " ")
	for _, layout := range []string{
		"Mon, 2 Jan 2006 15:04:05 -0700", "Mon 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 06 15:04:05 -0700",
		"Mon, 2 Jan 2006 15:04:05", "Mon, 2 Jan 2006 15:04 -0700", "Mon Jan 2 15:04:05 2006", "Mon Jan 2 15:04:05 2006 -0700", "Mon Jan 2 15:04:05 MST 2006", "Mon Jan 2 15:04:05 -0700 2006", "Mon, 2 January 2006 15:04:05 -0700",
		"Mon, Jan 2 2006 15:04:05 -0700", "Mon, Jan 2, 2006 15:04:05 -0700", time.RFC3339,
	} {
		if at, err := time.Parse(layout, value); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

var (
	comment  = regexp.MustCompile(`\([^()]*\)`)
	zoneName = regexp.MustCompile(`([+-]\d{4})\s+[A-Za-z" ]+$`)
)
