package flow

import (
	"fmt"
	"time"

	"postern/abuse/calendar"
)

// Name is a clock of a case.
type Name string

// The clocks. The first four run over states, the others while a case is in one.
const (
	Ack    Name = "T_ack"    // the reporter hears that it arrived
	First  Name = "T_first"  // the first decision or human answer; never pauses
	Urgent Name = "T_urgent" // the first decision where the priority asks for a sooner one
	Result Name = "T_result" // the reporter hears what came of it; stands still while one waits for the reporter

	Match    Name = "T_match"
	Reply    Name = "T_reply"    // the reporter's answer
	Review   Name = "T_review"   // of what was contained
	Measure  Name = "T_measure"  // after verifying
	Customer Name = "T_customer" // the customer's answer to a warning
	Reminder Name = "T_reminder" // comes again each week
	Data     Name = "T_data"     // what is kept after a suspension
	Approve  Name = "T_approve"  // of a guarantee
	Trial    Name = "T_trial"    // probation
	Purge    Name = "T_purge"
	Settle   Name = "T_settle" // the delivery of the result
	Notice   Name = "T_notice" // to the source's provider
	Block    Name = "T_block"
	Watch    Name = "T_watch"
	Half     Name = "T_half_open"
	Idle     Name = "T_idle" // where no other clock runs
)

// Life reports whether a clock runs over states.
func (n Name) Life() bool { return n == Ack || n == First || n == Urgent || n == Result }

// Length is how long a clock runs: around the clock, or in working time.
type Length struct {
	Wall time.Duration
	Days int           // business days
	Work time.Duration // working time
}

const day = 24 * time.Hour

// UrgentFor is the time to the first decision of a priority, 0 where T_first alone counts.
func UrgentFor(priority int) time.Duration {
	switch priority {
	case 1:
		return time.Hour
	case 2:
		return 4 * time.Hour
	}
	return 0
}

// LengthOf is how long a clock runs.
func LengthOf(n Name) Length {
	switch n {
	case Ack:
		return Length{Wall: 5 * time.Minute}
	case First, Approve, Notice, Block, Idle:
		return Length{Days: 1}
	case Result:
		return Length{Wall: 72 * time.Hour}
	case Match:
		return Length{Wall: 2 * time.Minute}
	case Reply, Reminder, Watch:
		return Length{Wall: 7 * day}
	case Review:
		return Length{Work: time.Hour}
	case Measure:
		return Length{Wall: 4 * time.Hour}
	case Customer:
		return Length{Wall: day}
	case Data, Purge:
		return Length{Wall: 90 * day}
	case Trial:
		return Length{Wall: 30 * day}
	case Settle:
		return Length{Wall: 5 * day}
	case Half:
		return Length{Wall: 2 * day}
	}
	return Length{Wall: time.Hour}
}

// Marks are the parts of a clock's time at which somebody is told, in percent.
func Marks() [3]int { return [3]int{50, 80, 100} }

// Clock is one that runs or ran. Its times were computed once and are kept.
type Clock struct {
	Name     Name         `json:"name"`
	Start    time.Time    `json:"start"`
	Marks    [3]time.Time `json:"marks"`              // 50, 80 and 100 %
	Calendar string       `json:"calendar,omitempty"` // version; "" = around the clock
	Unsure   bool         `json:"unsure,omitempty"`   // rests on days that are not final
	Said     int          `json:"said,omitempty"`     // marks that were told
	Paused   time.Time    `json:"paused,omitzero"`
	Stopped  time.Time    `json:"stopped,omitzero"`
}

// Start sets a clock going.
func Start(n Name, at time.Time, cal *calendar.Calendar) (Clock, error) {
	return StartFor(n, at, LengthOf(n), cal)
}

// StartFor sets a clock going for a time of its own.
func StartFor(n Name, at time.Time, l Length, cal *calendar.Calendar) (Clock, error) {
	at = at.UTC()
	c := Clock{Name: n, Start: at}
	work := l.Work + time.Duration(l.Days)*cal.BusinessDay()
	for i, percent := range Marks() {
		if l.Wall > 0 {
			c.Marks[i] = at.Add(l.Wall * time.Duration(percent) / 100)
			continue
		}
		due, err := cal.Add(at, work*time.Duration(percent)/100)
		if err != nil {
			return Clock{}, fmt.Errorf("%s: %w", n, err)
		}
		c.Marks[i], c.Calendar, c.Unsure = due.At, due.Calendar, due.Unsure
	}
	return c, nil
}

// Due is when it is too late.
func (c Clock) Due() time.Time { return c.Marks[2] }

// Running reports whether it goes, or waits to go on.
func (c Clock) Running() bool { return c.Stopped.IsZero() }

// Ticking reports whether it goes.
func (c Clock) Ticking() bool { return c.Running() && c.Paused.IsZero() }

// Next is when somebody is told next; ok is false if nobody is.
func (c Clock) Next() (at time.Time, ok bool) {
	if !c.Ticking() || c.Said >= len(c.Marks) {
		return time.Time{}, false
	}
	return c.Marks[c.Said], true
}

// Late reports whether it ran out, or has by now.
func (c Clock) Late(now time.Time) bool {
	if !c.Running() {
		now = c.Stopped
	} else if !c.Paused.IsZero() {
		now = c.Paused
	}
	return now.After(c.Due())
}

// Pause makes it stand still.
func (c *Clock) Pause(now time.Time) {
	if c.Ticking() {
		c.Paused = now
	}
}

// Resume lets it go on: all that lies ahead moves by the time it stood still.
func (c *Clock) Resume(now time.Time) {
	if !c.Running() || c.Paused.IsZero() {
		return
	}
	stood := max(now.Sub(c.Paused), 0)
	for i := range c.Marks {
		if i >= c.Said {
			c.Marks[i] = c.Marks[i].Add(stood)
		}
	}
	c.Paused = time.Time{}
}

// Expiry is the state a case goes to by itself when a clock runs out; ok is false where
// somebody has to act.
func Expiry(n Name) (to State, ok bool) {
	switch n {
	case Reply, Settle:
		return Closed, true
	case Trial:
		return Resolved, true
	case Half:
		return Lifted, true
	}
	return "", false
}
