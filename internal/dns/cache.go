package dns

import (
	"container/list"
	"sync"
	"time"
)

// question is what a cache entry or a flight is about. The name is in presentation form,
// lower case, with its final dot.
type question struct {
	name  string
	qtype uint16
}

// cache keeps answers up to a number of bytes; the least recently used goes first.
type cache struct {
	mu    sync.Mutex
	max   int
	bytes int
	order *list.List // of *cached, the most recently used in front
	byKey map[question]*list.Element
}

type cached struct {
	key     question
	answer  *answer
	expires time.Time
	size    int
}

// entryOverhead is about what the map, the list and the structs take for one entry.
const entryOverhead = 300

func newCache(max int) *cache {
	return &cache{max: max, order: list.New(), byKey: map[question]*list.Element{}}
}

func (c *cache) get(q question, now time.Time) (*answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[q]
	if !ok {
		return nil, false
	}
	entry := e.Value.(*cached)
	if !now.Before(entry.expires) {
		c.drop(e)
		return nil, false
	}
	c.order.MoveToFront(e)
	return entry.answer, true
}

// put keeps an answer for its time. One that would take more than a sixteenth of the cache
// is not kept, so that few large answers cannot push out the rest. Without keep it only
// replaces an older answer.
func (c *cache) put(q question, a *answer, now time.Time, keep bool) {
	size := entryOverhead + len(q.name) + a.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[q]; ok {
		c.drop(e)
	} else if !keep {
		return
	}
	if size > c.max/16 || a.ttl <= 0 {
		return
	}
	c.byKey[q] = c.order.PushFront(&cached{key: q, answer: a, expires: now.Add(a.ttl), size: size})
	c.bytes += size
	for c.bytes > c.max {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	entry := e.Value.(*cached)
	c.order.Remove(e)
	delete(c.byKey, entry.key)
	c.bytes -= entry.size
}
