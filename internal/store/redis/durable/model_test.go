package durable_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/quarantine"
)

// world is a fleet under random misfortune, and what was promised in it.
type world struct {
	*fleet
	next     int
	promised map[string]bool   // holds that were answered for
	ended    map[string]bool   // ends that were answered
	sent     map[string]bool   // released, and the release was answered
	flights  map[string]flight // releases under way
	dumps    []map[string]row
}

type flight struct {
	n *node
	h quarantine.Hold
}

func (w *world) node(rt *rapid.T) *node {
	return w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(rt, "node")]
}

func (w *world) put(rt *rapid.T) {
	n := w.node(rt)
	w.next++
	n.link.deaf = rapid.IntRange(0, 9).Draw(rt, "deaf") == 0
	h, err := n.put(w.next, fmt.Sprint("key", w.next))
	if err == nil {
		err = n.store.Confirm(w.t.Context(), []string{h.ID})
	}
	n.link.deaf = false
	if err == nil {
		w.promised[h.ID] = true
	}
}

func (w *world) pick(rt *rapid.T) string {
	if len(w.promised) == 0 {
		rt.Skip("no hold yet")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(w.promised))).Draw(rt, "hold")
}

// send begins a release: the mail goes out here.
func (w *world) send(rt *rapid.T) {
	n, id := w.node(rt), w.pick(rt)
	h, err := n.begin(id)
	if err != nil {
		return
	}
	if w.sent[id] || w.ended[id] {
		rt.Fatalf("%s is released by %s though it has ended", id, n.name)
	}
	if other, ok := w.flights[id]; ok && !other.n.link.down {
		rt.Fatalf("%s is released by %s while %s is sending it", id, n.name, other.n.name)
	}
	w.flights[id] = flight{n, h}
}

// finish ends a release.
func (w *world) finish(rt *rapid.T) {
	if len(w.flights) == 0 {
		rt.Skip("nothing under way")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(w.flights))).Draw(rt, "flight")
	fl := w.flights[id]
	delete(w.flights, id)
	if fl.n.end(fl.h, quarantine.Released) == nil {
		w.sent[id] = true
	}
}

func (w *world) remove(rt *rapid.T) {
	n, id := w.node(rt), w.pick(rt)
	if h, err := n.store.Get(w.t.Context(), id); err == nil && h.State == quarantine.Held && n.end(h, quarantine.Deleted) == nil {
		w.ended[id] = true
	}
}

func (w *world) save(*rapid.T) {
	w.dumps = append(w.dumps, w.far.dump())
}

// lose turns the memory of the store back. Every node that reaches it is told,
// soon. An old dump brings
// back what a node that is cut off alone may know to have ended: that is not mended.
func (w *world) lose(rt *rapid.T) {
	whole := !slices.ContainsFunc(w.nodes, func(n *node) bool { return n.link.down })
	if len(w.dumps) == 0 || !whole || rapid.Bool().Draw(rt, "flush") {
		w.flush()
	} else {
		w.far.restore(w.dumps[rapid.IntRange(0, len(w.dumps)-1).Draw(rt, "dump")])
	}
	w.far.born = w.now // the first beat sees it
	for _, n := range w.nodes {
		w.untold[n] = w.now.Add(time.Duration(rapid.IntRange(0, 2).Draw(rt, "beats")) * 5 * time.Second)
		if w.untold[n].Equal(w.now) {
			delete(w.untold, n)
			w.tell(n, "a loss")
		}
	}
}

// cut takes a node off the net, or gives it back. What the node ended before was seen by those who
// have copies: they look every few seconds. One that was not told yet of a loss stays: it may be
// the only one that knows of an end.
func (w *world) cut(rt *rapid.T) {
	n := w.node(rt)
	if n.link.down {
		n.link.down = false
		delete(w.untold, n)
		if err := n.store.Lost(w.t.Context(), "outage"); err != nil {
			rt.Fatal(err)
		}
		return
	}
	if _, waits := w.untold[n]; waits {
		return
	}
	for _, other := range w.nodes {
		if err := other.store.Refresh(w.t.Context()); err != nil && !errors.Is(err, errAway) {
			rt.Fatal(err)
		}
		if other.link.down {
			return // one at a time, or nobody is left who knows
		}
	}
	n.link.down = true
}

func (w *world) restart(rt *rapid.T) {
	n := w.node(rt)
	for id, fl := range w.flights {
		if fl.n == n {
			delete(w.flights, id) // it died while sending: nobody knows
		}
	}
	n.restart()
}

func (w *world) wait(rt *rapid.T) {
	w.pass(time.Duration(rapid.IntRange(1, 12).Draw(rt, "seconds")) * 5 * time.Second)
}

// settle lets everything come back, and checks that all that was promised is there.
func (w *world) settle(rt *rapid.T) {
	for _, n := range w.nodes {
		n.link.down = false
	}
	w.lost("the end of the test")
	w.pass(4 * grace)
	found := w.far.dump()
	for id := range w.promised {
		r := found[id]
		switch {
		case r.h.ID == "":
			rt.Fatalf("%s is lost", id)
		case (w.sent[id] || w.ended[id]) && !r.h.State.Ended():
			rt.Fatalf("%s has ended and is %s again", id, r.h.State)
		case w.sent[id] && !w.ended[id] && r.h.State != quarantine.Released:
			rt.Fatalf("%s was released and is %s", id, r.h.State)
		case r.h.State == quarantine.Provisional:
			rt.Fatalf("%s is provisional again", id)
		case r.h.State.Open() && r.body != body(0):
			rt.Fatalf("%s has a body of %d bytes", id, len(r.body))
		}
	}
}

// TestModel: whatever the store forgets, and whoever is cut off or dies, no hold that was
// answered for is lost, and none is released twice or after its end.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{fleet: newFleet(t, 3), promised: map[string]bool{}, ended: map[string]bool{}, sent: map[string]bool{}, flights: map[string]flight{}}
		defer func() {
			for _, n := range w.nodes {
				n.jrn.Close()
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"put": w.put, "put more": w.put, "send": w.send, "send more": w.send, "finish": w.finish, "remove": w.remove,
			"save": w.save, "lose": w.lose, "cut": w.cut, "restart": w.restart, "wait": w.wait,
		})
		w.settle(rt)
	})
}
