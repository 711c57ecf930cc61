package entities

import (
	"slices"
	"sync"
)

// latelyOf is how many records are remembered, twice.
const latelyOf = 1000

// lately remembers what was stored of records when they were read or written last, without their
// data: a change that follows is compared with that, and reads nothing again. What somebody else
// wrote meanwhile is noticed when it is replaced.
type lately struct {
	mu       sync.Mutex
	now, old map[Name]Stored
}

// keep remembers what was found, or that nothing was.
func (l *lately) keep(n Name, f Stored) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.Born == 0 {
		delete(l.now, n)
		delete(l.old, n)
		return
	}
	f.Data, f.Keys = nil, slices.Clone(f.Keys)
	if l.now == nil || len(l.now) >= latelyOf {
		l.old, l.now = l.now, make(map[Name]Stored, latelyOf)
	}
	l.now[n] = f
}

// take returns what was stored as this version, if that is known, and forgets it.
func (l *lately) take(n Name, version uint64) (f Stored, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok = l.now[n]; !ok {
		f, ok = l.old[n]
	}
	delete(l.now, n)
	delete(l.old, n)
	return f, ok && f.Version == version
}
