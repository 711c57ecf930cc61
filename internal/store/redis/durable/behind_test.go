package durable_test

import (
	"testing"
	"time"

	"postern/quarantine"
)

// A node dies between the Confirm of the shared store and that of its own journal. The sender comes
// again at another node, which answers for the hold, and then the store is emptied before the
// first node is back.
func TestAnswerOfAnotherNode(t *testing.T) {
	for name, again := range map[string]func(t *testing.T, b *node){
		"FindKey": func(t *testing.T, b *node) {
			if _, ok, err := b.store.FindKey(t.Context(), "key", b.fleet.now); !ok || err != nil {
				t.Fatal(ok, err)
			}
		},
		"Put": func(t *testing.T, b *node) {
			if h, err := b.put(2, "key"); err != nil || h.State != quarantine.Held {
				t.Fatal(h.State, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 2)
			a, b := f.nodes[0], f.nodes[1]
			h, err := a.put(1, "key")
			if err != nil {
				t.Fatal(err)
			}
			if err := f.far.Confirm(t.Context(), []string{h.ID}); err != nil {
				t.Fatal(err)
			}
			again(t, b)
			f.flush()
			a.restart()
			f.lost("flush")
			f.pass(3 * grace)
			if got := f.far.dump()[h.ID]; got.h.State != quarantine.Held || got.body != body(0) {
				t.Errorf("what was answered for is %q", got.h.State)
			}
		})
	}
}

// A store that shows what this node knows to be over, or under way, does not make it release twice,
// also when nobody noticed that it has gone back.
func TestReleasedIsNotReleasedAgain(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	ended, going := a.hold(1), b.hold(2)
	old := f.far.dump()
	a.release(ended)
	h, err := a.begin(going)
	if err != nil {
		t.Fatal(err)
	}
	f.far.restore(old)
	_, err = a.begin(ended)
	wantErr(t, "releasing what was released", err, quarantine.ErrEnded)
	_, err = a.begin(going)
	wantErr(t, "releasing what is on its way", err, quarantine.ErrConflict)
	f.want(ended, quarantine.Released)
	if h.State != quarantine.Releasing {
		t.Error(h.State)
	}
}

// A Confirm that never arrived does not keep its hold in the journal for ever.
func TestDoubtEnds(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	h, err := a.put(1, "key")
	if err != nil {
		t.Fatal(err)
	}
	a.link.down = true
	wantErr(t, "Confirm", a.store.Confirm(t.Context(), []string{h.ID}), errAway)
	wantErr(t, "Drop", a.store.Drop(t.Context(), []string{h.ID}), errAway)
	a.link.down = false
	f.pass(30 * time.Second)
	if a.living() != 1 {
		t.Error("given up while the Confirm may arrive")
	}
	f.pass(2 * time.Minute)
	if a.living() != 0 {
		t.Error("kept for ever")
	}
}
