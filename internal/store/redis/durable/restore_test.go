package durable_test

import (
	"testing"
	"time"

	"postern/internal/store/redis/durable"
	"postern/quarantine"
)

// A hold that was released elsewhere stays released, though the store was emptied before any
// node had looked.
func TestFlushAfterRelease(t *testing.T) {
	f := newFleet(t, 3)
	a, b := f.nodes[0], f.nodes[1]
	id, other := a.hold(1), a.hold(2)
	b.release(id)
	f.flush()
	f.lost("flush")
	f.want(id, quarantine.Released)
	for range 5 { // for two graces nothing is released
		_, err := b.begin(id)
		wantErr(t, "release", err, quarantine.ErrBusy)
		f.pass(5 * time.Second)
	}
	f.want(other, quarantine.Held)
	_, err := f.nodes[2].begin(other)
	wantErr(t, "release while restoring", err, durable.ErrRestoring)
	f.pass(grace)
	f.want(id, quarantine.Released)
	f.nodes[2].release(other)
	f.pass(5 * time.Second)
	if st := a.store.Status(); st.Pushed != 1 || st.Live != 0 || st.Tombstones != 2 {
		t.Errorf("%+v", st)
	}
}

// An old dump brings back what has ended since, and states that are no longer so.
func TestOldDump(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	released, deleted, kept := a.hold(1), a.hold(2), a.hold(3)
	old := f.far.dump()
	late := a.hold(4)
	b.release(released)
	h, err := b.store.Get(t.Context(), deleted)
	if err == nil {
		err = b.end(h, quarantine.Deleted)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.far.restore(old)
	f.lost("old dump")
	f.want(released, quarantine.Released)
	f.want(deleted, quarantine.Deleted)
	f.pass(3 * grace)
	f.want(kept, quarantine.Held)
	f.want(late, quarantine.Held)
}

// A failover that lost the last second: nobody says so, but the node that misses something finds
// out by itself.
func TestSilentLoss(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	early := a.hold(1)
	f.pass(time.Minute)
	before := f.far.dump()
	late := a.hold(2)
	b.release(early)
	f.far.restore(before)
	f.pass(5 * time.Second)
	if a.alarms != 1 || !a.store.Restoring() {
		t.Errorf("%d alarms, restoring %v", a.alarms, a.store.Restoring())
	}
	f.pass(3 * grace)
	f.want(late, quarantine.Held)
	f.want(early, quarantine.Released)
	if a.alarms != 1 {
		t.Errorf("%d alarms", a.alarms)
	}
}

// A release is on its way out while the store loses it: nobody else sends it, and its end counts.
func TestFlushDuringRelease(t *testing.T) {
	for name, lose := range map[string]func(f *fleet, old map[string]row){
		"flush":    func(f *fleet, _ map[string]row) { f.flush() },
		"old dump": func(f *fleet, old map[string]row) { f.far.restore(old) },
	} {
		for _, late := range []bool{false, true} {
			f := newFleet(t, 2)
			a, b := f.nodes[0], f.nodes[1]
			id := a.hold(1)
			old := f.far.dump()
			h, err := b.begin(id)
			if err != nil {
				t.Fatal(err)
			}
			lose(f, old)
			f.lost(name)
			if late { // the send takes long
				f.pass(3 * grace)
				f.want(id, quarantine.Releasing)
				if _, err := a.begin(id); err == nil {
					t.Errorf("%s: a second release", name)
				}
			}
			if err := b.end(h, quarantine.Released); err != nil {
				t.Errorf("%s, late %v: %v", name, late, err)
			}
			f.pass(3 * grace)
			f.want(id, quarantine.Released)
		}
	}
}

// The store goes away while mail is on its way out: the end is brought when it is back.
func TestReleaseAndOutage(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	id := a.hold(1)
	h, err := b.begin(id)
	if err != nil {
		t.Fatal(err)
	}
	b.link.down = true
	wantErr(t, "the end", b.end(h, quarantine.Released), errAway)
	b.restart()
	b.link.down = false
	f.pass(5 * time.Second)
	f.want(id, quarantine.Released)
	f.pass(grace)
	if a.living() != 0 {
		t.Error("the node that held it did not see its end")
	}
}

// A node that is cut off while the others go on: when it is back no end is undone, and no hold
// of it is lost.
func TestPartition(t *testing.T) {
	f := newFleet(t, 3)
	a, b, c := f.nodes[0], f.nodes[1], f.nodes[2]
	mine, theirs := a.hold(1), b.hold(2)
	f.pass(5 * time.Second)
	a.link.down = true
	b.release(mine)
	_, err := a.begin(theirs)
	wantErr(t, "release without the store", err, errAway)
	f.flush()
	f.lost("flush")
	f.pass(3 * grace)
	f.want(mine, quarantine.Released)
	f.want(theirs, quarantine.Held)
	c.release(theirs)
	a.link.down = false
	if err := a.store.Lost(t.Context(), "outage"); err != nil {
		t.Fatal(err)
	}
	f.pass(3 * grace)
	f.want(mine, quarantine.Released)
	f.want(theirs, quarantine.Released)
}

// The node that held the mail has seen the end: it stands for it when the node that made it is
// gone for good.
func TestEndIsSeenBefore(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	id := a.hold(1)
	old := f.far.dump()
	b.release(id)
	f.pass(5 * time.Second)
	b.link.down = true
	a.restart()
	f.far.restore(old)
	f.lost("old dump")
	f.pass(3 * grace)
	f.want(id, quarantine.Released)
}

// A node that dies in the middle of the restoring begins again from its journal.
func TestRestartWhileRestoring(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	held, released := a.hold(1), a.hold(2)
	b.release(released)
	f.flush()
	a.restart()
	b.restart()
	f.pass(5 * time.Second)
	f.want(released, quarantine.Released)
	f.pass(3 * grace)
	f.want(held, quarantine.Held)
	f.want(released, quarantine.Released)
}

// An end that comes late still wins over what others did to a hold that should not have been.
func TestLateEndWins(t *testing.T) {
	f := newFleet(t, 2)
	a, b := f.nodes[0], f.nodes[1]
	id := a.hold(1)
	b.release(id)
	b.link.down = true
	f.flush()
	f.lost("flush")
	f.pass(3 * grace)
	for range 5 { // its version has passed that of the end
		h, err := a.store.Get(t.Context(), id)
		if err == nil {
			h.Expires = h.Expires.Add(time.Hour)
			_, err = a.store.Change(t.Context(), h)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b.link.down = false
	f.pass(3 * grace)
	f.want(id, quarantine.Released)
	if a.living() != 0 {
		t.Error("the node that held it goes on")
	}
}

// A node that was not told yet, or has just begun, asks the store before it releases.
func TestNotTold(t *testing.T) {
	f := newFleet(t, 3)
	a, b, c := f.nodes[0], f.nodes[1], f.nodes[2]
	id := a.hold(1)
	other := a.hold(2)
	c.release(other) // it knows when the store was born
	old := f.far.dump()
	b.release(id)
	f.far.restore(old)
	f.far.born = f.now
	for range 2 {
		_, err := c.begin(id)
		wantErr(t, "release", err, durable.ErrRestoring)
		c.restart()
	}
	a.restart()
	_, err := a.begin(id)
	wantErr(t, "release by a node that has just begun", err, durable.ErrRestoring)
	f.pass(3 * grace)
	f.want(id, quarantine.Released)
	b.link.down = true
	third := a.hold(3)
	_, err = b.begin(third)
	wantErr(t, "release by a node that cannot ask", err, errAway)
	a.release(third)
}

// A hold that cannot be given back does not keep everything waiting for ever.
func TestNotGivenBack(t *testing.T) {
	f := newFleet(t, 1)
	a := f.nodes[0]
	id := a.hold(1)
	other := a.hold(2)
	f.pass(5 * time.Second)
	dump := f.far.dump()
	delete(dump, id)
	f.far.holds = dump
	f.far.stuck = id
	f.pass(10 * grace)
	if a.alarms != 1 || a.store.Status().OldestUnpushed.IsZero() {
		t.Errorf("%d alarms, %+v", a.alarms, a.store.Status())
	}
	a.release(other)
	f.far.stuck = ""
	f.pass(time.Hour + 3*grace)
	f.want(id, quarantine.Held)
}
