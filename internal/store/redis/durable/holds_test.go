package durable_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"postern/internal/store/redis/durable"
	"postern/internal/store/redis/journal"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func (n *node) put(i int, key string) (quarantine.Hold, error) {
	h := storetest.Hold(i, body(0))
	if key != "" {
		h.Key = key
	}
	return n.store.Put(n.fleet.t.Context(), h, strings.NewReader(body(0)))
}

func (n *node) living() int { living, _ := n.jrn.IDs("hold"); return len(living) }

// What was confirmed stands in both places; what was not, in neither.
func TestPromise(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	id := a.hold(1)
	f.want(id, quarantine.Held)
	if e, err := a.jrn.Get("hold", id); err != nil || !strings.Contains(string(e.Record), `"state":"held"`) || !e.Body {
		t.Errorf("journal: %s, %v", e.Record, err)
	}
	a.link.down = true
	_, err := a.put(2, "")
	wantErr(t, "Put with the store away", err, errAway)
	wantErr(t, "Confirm with the store away", a.store.Confirm(t.Context(), []string{id}), errAway)
	a.link.down = false
	if a.living() != 1 {
		t.Errorf("%d in the journal", a.living())
	}
	h, err := a.put(3, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.store.Drop(t.Context(), []string{h.ID}); err != nil || a.living() != 1 {
		t.Errorf("Drop: %v, %d in the journal", err, a.living())
	}
	if st := a.store.Status(); st.Live != 1 || st.Bytes == 0 || !st.OldestUnpushed.IsZero() {
		t.Errorf("Status: %+v", st)
	}
}

// A body that is not what was judged is refused by both, whoever finds out first.
func TestBadBody(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	_, err := a.store.Put(t.Context(), storetest.Hold(1, "x"), strings.NewReader("y"))
	wantErr(t, "wrong digest", err, quarantine.ErrCorrupt)
	_, err = a.store.Put(t.Context(), storetest.Hold(1, "x"), io.MultiReader(strings.NewReader("x"), broken{}))
	wantErr(t, "broken reader", err, io.ErrUnexpectedEOF)
	if a.living() != 0 || len(f.far.dump()) != 0 {
		t.Errorf("%d in the journal, %d in the store", a.living(), len(f.far.dump()))
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A journal that cannot promise means no promise at all, and nothing in the shared store.
func TestJournalRefuses(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	a.jrn.Close()
	_, err := a.put(1, "")
	wantErr(t, "Put", err, quarantine.ErrReadOnly)
	if len(f.far.dump()) != 0 {
		t.Error("the store has it all the same")
	}
	j, err := journal.Open(journal.Options{Dir: a.dir, Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	a.jrn = j
	a.store = durable.NewHolds(a.link, j, durable.Options{})
	for range 2 {
		_, err = a.put(1, "")
	}
	wantErr(t, "Put into a full journal", err, quarantine.ErrFull)
}

// A retry of the same mail on another node is one hold; both nodes then stand for it.
func TestSameKeyOnTwoNodes(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	h, err := a.put(1, "key")
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.put(2, "key")
	if err != nil || again.ID != h.ID {
		t.Fatalf("%s, %v", again.ID, err)
	}
	if err := a.store.Drop(t.Context(), []string{h.ID}); err != nil || a.living() != 0 {
		t.Fatalf("%v, %d", err, a.living())
	}
	if err := b.store.Confirm(t.Context(), []string{h.ID}); err != nil {
		t.Fatal(err)
	}
	f.flush()
	f.lost("flush")
	f.pass(3 * grace)
	if got := f.far.dump()[h.ID]; got.h.State != quarantine.Held || got.body != body(0) {
		t.Errorf("%+v", got.h.State)
	}
	if got, err := a.put(3, "key"); err != nil || got.ID != h.ID || got.State != quarantine.Held || a.living() != 1 {
		t.Errorf("Put of what is held: %s %s, %v, %d in the journal", got.ID, got.State, err, a.living())
	}
	two := [2]quarantine.Hold{}
	for i := range two { // two sessions of one node
		if two[i], err = a.put(4+i, "other"); err != nil || two[i].ID != two[0].ID {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.store.Drop(t.Context(), []string{two[0].ID}), a.store.Confirm(t.Context(), []string{two[0].ID})); err != nil || a.living() != 2 {
		t.Errorf("%v, %d in the journal", err, a.living())
	}
}

// An ID that the journal has is not written over, whatever the shared store has forgotten.
func TestTaken(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	id := a.hold(1)
	f.flush()
	_, err := a.put(1, "another key")
	wantErr(t, "Put", err, quarantine.ErrTaken)
	f.lost("flush")
	f.pass(3 * grace)
	f.want(id, quarantine.Held)
	again := storetest.Hold(1, body(1))
	if got, err := a.store.Put(t.Context(), again, strings.NewReader(body(1))); err != nil || got.ID != id {
		t.Errorf("the same hold again: %v", err)
	}
}

// A Confirm whose answer was lost: the sender comes again and is answered for what is there then.
func TestConfirmAnswerLost(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	h, err := a.put(1, "key")
	if err != nil {
		t.Fatal(err)
	}
	a.link.deaf = true
	wantErr(t, "Confirm", a.store.Confirm(t.Context(), []string{h.ID}), errAway)
	a.link.deaf = false
	if _, ok, err := a.store.FindKey(t.Context(), "key", f.now); !ok || err != nil {
		t.Fatalf("FindKey: %v, %v", ok, err)
	}
	f.flush()
	a.restart()
	f.lost("flush")
	f.pass(3 * grace)
	if f.far.dump()[h.ID].h.State != quarantine.Held {
		t.Error("what FindKey answered for is lost")
	}
}

// What another process of the node left provisional goes, unless the shared store had it confirmed.
func TestRestart(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	dead, err := a.put(1, "dead")
	if err != nil {
		t.Fatal(err)
	}
	said, err := a.put(2, "said")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.far.Confirm(t.Context(), []string{said.ID}); err != nil {
		t.Fatal(err)
	}
	held := a.hold(3)
	a.restart()
	f.pass(grace)
	if _, err := a.jrn.Get("hold", dead.ID); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("the provisional one: %v", err)
	}
	f.flush()
	f.lost("flush")
	f.pass(3 * grace)
	f.want(held, quarantine.Held)
	if f.far.dump()[said.ID].h.State != quarantine.Held {
		t.Error("the confirmed one is lost")
	}
	if got, err := a.put(4, "dead"); err != nil || a.living() != 3 {
		t.Errorf("the mail that comes again: %s, %v, %d", got.ID, err, a.living())
	}
}

// After a day the shared store stands for a hold alone, but not before it was seen to have it.
func TestADayLater(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	id := a.hold(1)
	f.pass(time.Minute)
	a.link.down = true
	f.now = f.now.Add(25 * time.Hour)
	f.pass(time.Minute)
	if a.living() != 1 {
		t.Fatal("the journal let go of it unseen")
	}
	a.link.down = false
	f.pass(time.Minute)
	if a.living() != 0 || a.store.Status().Live != 0 {
		t.Error("the journal still has it")
	}
	f.want(id, quarantine.Held)
	a.release(id)
	if st := a.store.Status(); st.Tombstones != 1 {
		t.Errorf("%+v", st)
	}
	f.now = f.now.Add(quarantine.KeyKept)
	if st := a.store.Status(); st.Tombstones != 0 {
		t.Errorf("after seven days: %+v", st)
	}
}

// A message that a server behind took for others is promised without the shared store, and
// brought there without a word of loss, also by the next process.
func TestPromiseAlone(t *testing.T) {
	for _, restart := range []bool{false, true} {
		f := newFleet(t, 2)
		a := f.nodes[0]
		h, err := a.put(1, "")
		if err != nil {
			t.Fatal(err)
		}
		a.link.down = true
		wantErr(t, "Confirm", a.store.Confirm(t.Context(), []string{h.ID}), errAway)
		wantErr(t, "Promise of another's", a.store.Promise(t.Context(), []string{h.ID, "other"}), quarantine.ErrNotFound)
		if err := a.store.Promise(t.Context(), []string{h.ID}); err != nil {
			t.Fatal(err)
		}
		if err := a.store.Drop(t.Context(), []string{h.ID}); !errors.Is(err, errAway) || a.living() != 1 {
			t.Errorf("Drop: %v, %d in the journal", err, a.living())
		}
		if st := a.store.Status(); st.OldestUnpushed.IsZero() {
			t.Errorf("%+v", st)
		}
		a.link.down = false
		if restart {
			a.restart()
		}
		f.pass(2 * grace)
		f.want(h.ID, quarantine.Held)
		if st := a.store.Status(); a.alarms > 0 && !restart || !st.OldestUnpushed.IsZero() || st.Pushed != 1 {
			t.Errorf("%d alarms, %+v", a.alarms, st)
		}
		f.nodes[1].release(h.ID)
	}
}

// A master that is replaced loses the entries by which holds are found, while another one keeps
// the holds: the entries come back.
func TestEntriesLost(t *testing.T) {
	f := newFleet(t, 2)
	ids := []string{f.nodes[0].hold(1), f.nodes[0].hold(2), f.nodes[1].hold(3)}
	f.nodes[0].release(ids[1])
	f.lost("failover")
	f.pass(3 * grace)
	if got := f.far.listed; !got[ids[0]] || got[ids[1]] || !got[ids[2]] {
		t.Errorf("listed again: %v", got)
	}
}
