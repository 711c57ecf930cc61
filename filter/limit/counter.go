package limit

import "time"

var windows = [3]struct {
	length time.Duration
	name   string
}{{time.Minute, "a minute"}, {time.Hour, "an hour"}, {24 * time.Hour, "a day"}}

// counter counts in three sliding windows. Each keeps the count of the current and of the
// last fixed window; the last one counts in proportion to how much of it still reaches into
// the sliding window. Times are those of Limiter.tick, which never goes back.
type counter struct {
	reserved int32
	now, old [3]int32
	window   [3]int64 // number of the fixed window that now counts in
	ledger   *ledger  // nil unless nodes share
}

func (c *counter) turn(at time.Duration) {
	for i, w := range windows {
		number := int64(at / w.length)
		switch c.window[i] {
		case number:
		case number - 1:
			c.old[i], c.now[i], c.window[i] = c.now[i], 0, number
		default:
			c.old[i], c.now[i], c.window[i] = 0, 0, number
		}
	}
}

func (c *counter) add(at time.Duration) {
	c.turn(at)
	for i := range c.now {
		c.now[i]++
	}
}

func (c *counter) release() { c.reserved = max(c.reserved-1, 0) }

// over reports the first window in which the count, reservations and other nodes included,
// passes the rate. shared is the clock of all nodes.
func (c *counter) over(r Rate, at, shared time.Duration) (n int, window string, over bool) {
	c.turn(at)
	for i, bound := range [3]int{r.Minute, r.Hour, r.Day} {
		w := windows[i]
		_, left := of(at, w.length)
		n = int(c.now[i]) + int(float64(c.old[i])*left) + int(c.reserved)
		if c.ledger != nil {
			number, left := of(shared, w.length)
			n += c.ledger.others[i].at(number, left)
		}
		if bound > 0 && n > bound {
			return n, w.name, true
		}
	}
	return 0, "", false
}

// idle reports that nothing of it would count any more.
func (c *counter) idle(at time.Duration) bool {
	c.turn(at)
	return c.reserved == 0 && c.now == [3]int32{} && c.old == [3]int32{}
}
