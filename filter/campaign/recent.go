package campaign

import (
	"sync"
	"time"

	"postern/filter/campaign/simhash"
)

// Bounds of what a node remembers of letters to spare the store questions.
const (
	maxRecent = 4096
	askEvery  = 5 * time.Second // about copies of one letter
)

// recent are the letters that this node saw last, in a ring. The zero value has seen none.
type recent struct {
	mu   sync.Mutex
	ring []letter
	next int
}

// letter is one that was seen, and for the first of its copies what the store knew.
type letter struct {
	print simhash.Print
	at    time.Time
	asked time.Time
	near  []Group
}

// see remembers a letter and says how many copies of it this node saw before, since a time, and
// what the store knew of them less than askEvery ago.
func (r *recent) see(p simhash.Print, now, since time.Time) (copies int, near []Group, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.ring {
		l := &r.ring[i]
		if simhash.Apart(l.print, p) > simhash.Near || l.at.Before(since) {
			continue
		}
		copies++
		if !l.asked.IsZero() && now.Sub(l.asked).Abs() < askEvery {
			near, known = l.near, true
		}
	}
	fresh := letter{print: p, at: now}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, fresh)
	} else {
		r.ring[r.next] = fresh
		r.next = (r.next + 1) % maxRecent
	}
	return copies, near, known
}

// told keeps what the store knew of a letter that was seen.
func (r *recent) told(p simhash.Print, now time.Time, near []Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.ring {
		if l := &r.ring[i]; l.print == p {
			l.asked, l.near = now, near
			return
		}
	}
}
