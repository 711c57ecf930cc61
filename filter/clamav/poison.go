package clamav

import (
	"container/list"
	"sync"
	"time"
)

// poison remembers bodies that clamd ended on: by their SHA-256, for a day, bounded.
type poison struct {
	now func() time.Time

	mu    sync.Mutex
	order *list.List // of *offence, the latest in front
	known map[string]*list.Element
}

type offence struct {
	hash  string
	count int
	last  time.Time
}

const (
	poisoned   = 3 // so often clamd may end on a body before it is left alone
	poisonKeep = 24 * time.Hour
	poisonMost = 4096
)

func newPoison(now func() time.Time) *poison {
	return &poison{now: now, order: list.New(), known: map[string]*list.Element{}}
}

// add counts one scan of the body that ended badly.
func (p *poison) add(hash string) {
	if hash == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	e, ok := p.known[hash]
	if !ok {
		e = p.order.PushFront(&offence{hash: hash})
		p.known[hash] = e
	}
	o := e.Value.(*offence)
	if now.Sub(o.last) > poisonKeep {
		o.count = 0
	}
	o.count, o.last = o.count+1, now
	p.order.MoveToFront(e)
	if p.order.Len() > poisonMost {
		last := p.order.Back()
		delete(p.known, last.Value.(*offence).hash)
		p.order.Remove(last)
	}
}

// bad reports whether the body has ended too many scans.
func (p *poison) bad(hash string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.known[hash]
	if !ok {
		return false
	}
	o := e.Value.(*offence)
	return o.count >= poisoned && p.now().Sub(o.last) <= poisonKeep
}

// clear forgets a body that was scanned to the end.
func (p *poison) clear(hash string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.known[hash]; ok {
		delete(p.known, hash)
		p.order.Remove(e)
	}
}
