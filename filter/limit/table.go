package limit

import (
	"container/list"
	"time"
)

// table keeps the counters of one kind, the one used last in front. When it is full the one
// that was not used for longest goes: a flood of names must not make the memory grow, nor
// push out the counters of another kind.
type table struct {
	byName map[string]*list.Element
	order  list.List
}

type named struct {
	name string
	counter
}

// get returns the counter of a name, or nil.
func (t *table) get(name string) *counter {
	e := t.byName[name]
	if e == nil {
		return nil
	}
	t.order.MoveToFront(e)
	return &e.Value.(*named).counter
}

// make returns the counter of a name, a new one if need be; the table holds at most size.
func (t *table) make(name string, size int, at time.Duration) *counter {
	if c := t.get(name); c != nil {
		return c
	}
	for t.order.Len() >= size {
		t.drop(t.order.Back())
	}
	if last := t.order.Back(); last != nil && last.Value.(*named).idle(at) {
		t.drop(last)
	}
	if t.byName == nil {
		t.byName = map[string]*list.Element{}
	}
	n := &named{name: name}
	t.byName[name] = t.order.PushFront(n)
	return &n.counter
}

func (t *table) drop(e *list.Element) {
	t.order.Remove(e)
	delete(t.byName, e.Value.(*named).name)
}

// reservation is a message on its way, counted where it was checked until it ends.
type reservation struct {
	id         string
	at         time.Duration
	counters   []*counter
	recipients map[string]bool // those already checked, in their normal form
	account    string
	ofAccount  []*counter // those of the account, which a header may still name
}

func (r *reservation) release() {
	for _, c := range r.counters {
		c.release()
	}
	r.releaseAccount()
}

func (r *reservation) releaseAccount() {
	for _, c := range r.ofAccount {
		c.release()
	}
	r.ofAccount = nil
}

// open are the messages on their way, the one checked last at the back.
type open struct {
	byID  map[string]*list.Element
	order list.List
}

// touch returns the reservation of a message, a new one if need be. The oldest are given back
// when there are more than size, and those that nobody settled in time.
func (o *open) touch(id string, size int, at time.Duration) *reservation {
	e := o.byID[id]
	if e != nil {
		o.order.MoveToBack(e)
	} else {
		if o.byID == nil {
			o.byID = map[string]*list.Element{}
		}
		e = o.order.PushBack(&reservation{id: id, recipients: map[string]bool{}})
		o.byID[id] = e
	}
	r := e.Value.(*reservation)
	r.at = at
	for first := o.order.Front(); first != e; first = o.order.Front() {
		if o.order.Len() <= size && at-first.Value.(*reservation).at <= forgotten {
			break
		}
		o.end(first.Value.(*reservation).id)
	}
	return r
}

// end gives back what a message reserved.
func (o *open) end(id string) {
	e := o.byID[id]
	if e == nil {
		return
	}
	e.Value.(*reservation).release()
	o.order.Remove(e)
	delete(o.byID, id)
}
