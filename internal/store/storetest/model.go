package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/quarantine"
)

// modelHold is what the model knows of one hold.
type modelHold struct {
	hold   quarantine.Hold
	body   string
	owners int
}

// model is a quarantine.Store in the plainest words.
type model struct {
	s     quarantine.Store
	t     testing.TB
	holds map[string]*modelHold
	next  int
	looks int
}

// HoldsModel runs random operations on empty stores and on the model side by side, and returns
// how many it ran. How many say -rapid.checks (stores) and -rapid.steps (operations on each).
func HoldsModel(t *testing.T, open func(t testing.TB) quarantine.Store) (done int) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{s: open(t), t: t, holds: map[string]*modelHold{}}
		rt.Repeat(map[string]func(*rapid.T){
			"put":     m.put,
			"confirm": m.confirm,
			"drop":    m.drop,
			"change":  m.change,
			"stale":   m.stale,
			"old":     m.old,
			"":        m.compare,
		})
		done += m.looks - 1 // one before the first
	})
	return done
}

func (m *model) ids() []string { return slices.Sorted(maps.Keys(m.holds)) }

func (m *model) pick(rt *rapid.T) *modelHold {
	if len(m.holds) == 0 {
		rt.Skip("no hold yet")
	}
	return m.holds[rapid.SampledFrom(m.ids()).Draw(rt, "hold")]
}

func (m *model) put(rt *rapid.T) {
	body := rapid.SampledFrom([]string{"a", "b", strings.Repeat("c", 3000)}).Draw(rt, "body")
	m.next++
	h := Hold(m.next, body)
	h.Key = fmt.Sprintf("%d-%.1s", rapid.IntRange(0, 3).Draw(rt, "key"), body)
	got, err := m.s.Put(m.t.Context(), h, strings.NewReader(body))
	if err != nil {
		rt.Fatalf("put: %v", err)
	}
	for _, id := range m.ids() {
		old := m.holds[id]
		if old.hold.Key != h.Key {
			continue
		}
		if got.ID != id {
			rt.Fatalf("put with the key of %s gave %s", id, got.ID)
		}
		if old.hold.State == quarantine.Provisional {
			old.owners++
		}
		return
	}
	if got.ID != h.ID {
		rt.Fatalf("put gave %s, want %s", got.ID, h.ID)
	}
	m.holds[got.ID] = &modelHold{hold: got, body: body, owners: 1}
}

func (m *model) confirm(rt *rapid.T) {
	h := m.pick(rt)
	if err := m.s.Confirm(m.t.Context(), []string{h.hold.ID}); err != nil {
		rt.Fatalf("confirm: %v", err)
	}
	if h.hold.State == quarantine.Provisional {
		h.hold.State = quarantine.Held
		h.hold.Version++
	}
}

func (m *model) drop(rt *rapid.T) {
	h := m.pick(rt)
	if err := m.s.Drop(m.t.Context(), []string{h.hold.ID}); err != nil {
		rt.Fatalf("drop: %v", err)
	}
	if h.hold.State != quarantine.Provisional {
		return
	}
	if h.owners--; h.owners == 0 {
		delete(m.holds, h.hold.ID)
	}
}

// old drops provisional holds by time.
func (m *model) old(rt *rapid.T) {
	t := Start.Add(time.Duration(rapid.IntRange(0, m.next+1).Draw(rt, "second")) * time.Second)
	n, err := m.s.DropBefore(m.t.Context(), t)
	if err != nil {
		rt.Fatalf("drop before: %v", err)
	}
	for _, id := range m.ids() {
		if h := m.holds[id].hold; h.State == quarantine.Provisional && h.At.Before(t) {
			delete(m.holds, id)
			n--
		}
	}
	if n != 0 {
		rt.Fatalf("drop before: %d too many", n)
	}
}

func (m *model) change(rt *rapid.T) {
	h := m.pick(rt)
	if h.hold.State == quarantine.Provisional {
		rt.Skip("not confirmed")
	}
	want := h.hold
	want.State = rapid.SampledFrom([]quarantine.State{
		quarantine.Held, quarantine.Releasing, quarantine.Refused, quarantine.Released, quarantine.Deleted, quarantine.Expired,
	}).Draw(rt, "state")
	want.Release, want.Ended = nil, nil
	if want.State == quarantine.Releasing {
		want.Release = &quarantine.Release{By: "me", At: Start, Next: Start}
	}
	if want.State.Ended() {
		want.Ended = &quarantine.Ended{At: Start.Add(time.Hour), By: "me"}
	}
	got, err := m.s.Change(m.t.Context(), want)
	if h.hold.State.Ended() {
		if !errors.Is(err, quarantine.ErrEnded) {
			rt.Fatalf("change of an ended hold: %v", err)
		}
		return
	}
	if err != nil {
		rt.Fatalf("change: %v", err)
	}
	want.Version = got.Version
	if d := cmp.Diff(want, got); d != "" || got.Version <= h.hold.Version {
		rt.Fatalf("change: -want +got\n%s", d)
	}
	h.hold = got
}

func (m *model) stale(rt *rapid.T) {
	h := m.pick(rt).hold
	if h.State.Ended() {
		rt.Skip("ended")
	}
	h.State = quarantine.Deleted
	h.Version--
	if _, err := m.s.Change(m.t.Context(), h); !errors.Is(err, quarantine.ErrConflict) {
		rt.Fatalf("a stale change: %v", err)
	}
}

// compare checks everything that can be read.
func (m *model) compare(rt *rapid.T) {
	m.looks++
	states := map[quarantine.State]int{}
	bodies, owners := map[string]bool{}, 0
	var open []string
	for _, id := range m.ids() {
		want := m.holds[id]
		got, err := m.s.Get(m.t.Context(), id)
		if d := cmp.Diff(want.hold, got); d != "" || err != nil {
			rt.Fatalf("%s: %v\n%s", id, err, d)
		}
		states[got.State]++
		if got.State.Open() {
			open = append(open, id)
		}
		body, err := readBody(m.t, m.s, id)
		switch {
		case got.State.Ended() && !errors.Is(err, quarantine.ErrNotFound):
			rt.Fatalf("%s has ended and has a body: %v", id, err)
		case !got.State.Ended() && (err != nil || body != want.body):
			rt.Fatalf("%s: body of %d bytes, %v", id, len(body), err)
		case err == nil:
			bodies[body] = true
			owners++
		}
	}
	slices.Reverse(open)
	page, err := m.s.List(m.t.Context(), quarantine.Query{Limit: quarantine.MaxPage})
	if err != nil {
		rt.Fatal(err)
	}
	var listed []string
	for _, h := range page.Holds {
		listed = append(listed, h.ID)
	}
	if d := cmp.Diff(open, listed); d != "" {
		rt.Fatalf("list: -want +got\n%s", d)
	}
	st, err := m.s.Stats(m.t.Context())
	if err != nil || st.Bodies < len(bodies) || st.Bodies > owners || (st.Bytes > 0) != (len(bodies) > 0) {
		rt.Fatalf("stats: %+v, %v; want %d bodies, or up to %d where a home keeps one for each message", st, err, len(bodies), owners)
	}
	if d := cmp.Diff(states, st.States); d != "" {
		rt.Fatalf("states: -want +got\n%s", d)
	}
}
