package limit

import "time"

var windows = [3]struct {
	length time.Duration
	name   string
}{{time.Minute, "minute"}, {time.Hour, "hour"}, {24 * time.Hour, "day"}}

// counter counts in three sliding windows. Each keeps the count of the current and of the
// last fixed window; the last one counts in proportion to how much of it still reaches into
// the sliding window.
type counter struct {
	reserved int
	start    [3]time.Time
	now, old [3]int
}

func (c *counter) turn(now time.Time) {
	for i, w := range windows {
		begin := now.Truncate(w.length)
		switch {
		case c.start[i].Equal(begin):
		case c.start[i].Add(w.length).Equal(begin):
			c.old[i], c.now[i], c.start[i] = c.now[i], 0, begin
		default: // long ago, or the clock was set
			c.old[i], c.now[i], c.start[i] = 0, 0, begin
		}
	}
}

func (c *counter) add(now time.Time) {
	c.turn(now)
	for i := range c.now {
		c.now[i]++
	}
}

// over reports the first window in which the count, reservations included, passes the rate.
func (c *counter) over(r Rate, now time.Time) (n int, window string, over bool) {
	c.turn(now)
	for i, bound := range [3]int{r.Minute, r.Hour, r.Day} {
		w := windows[i]
		left := 1 - float64(now.Sub(c.start[i]))/float64(w.length)
		n = c.now[i] + int(float64(c.old[i])*left) + c.reserved
		if bound > 0 && n > bound {
			return n, w.name, true
		}
	}
	return 0, "", false
}

// idle reports that nothing of it would count any more.
func (c *counter) idle(now time.Time) bool {
	c.turn(now)
	for i := range c.now {
		if c.now[i]+c.old[i] > 0 {
			return false
		}
	}
	return c.reserved == 0
}
