package history

import (
	"encoding/binary"
	"math"
	"time"

	"postern/filter/history"
)

// entry is the width of one day in a row: number, good, bad.
const entry = 4

// maxDays bounds the days of one key; the oldest fall out.
const maxDays = 92

// days are the marks of one key by day, in rising order, as stored.
type days []byte

func dayOf(t time.Time) int64 {
	return min(max(t.Unix()/86400, 0), math.MaxUint16)
}

// whole is the part of a stored value that can be read.
func whole(b []byte) days { return days(b[:len(b)/entry*entry]) }

func (d days) day(i int) int64 { return int64(binary.BigEndian.Uint16(d[i:])) }

// add counts marks of a day and returns the new value.
func (d days) add(day int64, good, bad int) days {
	i := len(d)
	for i > 0 && d.day(i-entry) >= day {
		i -= entry
	}
	if i == len(d) || d.day(i) != day {
		grown := make(days, 0, len(d)+entry)
		grown = append(grown, d[:i]...)
		grown = binary.BigEndian.AppendUint16(grown, uint16(day))
		grown = append(grown, 0, 0)
		d = append(grown, d[i:]...)
	}
	d[i+2], d[i+3] = more(d[i+2], good), more(d[i+3], bad)
	if len(d) > maxDays*entry {
		d = d[len(d)-maxDays*entry:]
	}
	return d
}

func more(have byte, by int) byte { return byte(min(int(have)+by, math.MaxUint8)) }

// sum adds up the days from first to last.
func (d days) sum(first, last int64) (p history.Past) {
	for i := 0; i < len(d); i += entry {
		if n := d.day(i); n < first || n > last {
			continue
		}
		p.Good += int(d[i+2])
		p.Bad += int(d[i+3])
		if d[i+2] > 0 {
			p.Days++
		}
	}
	return p
}
