package changes_test

import (
	"context"
	"errors"
	"testing"

	"postern/cmd/postern/changes"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/quarantine"
)

// holds counts what a test says.
type holds struct {
	quarantine.Store
	states map[quarantine.State]int
	newest string
	fail   error
}

func (h *holds) Stats(context.Context) (quarantine.Stats, error) {
	return quarantine.Stats{States: h.states}, h.fail
}

func (h *holds) List(_ context.Context, q quarantine.Query) (p quarantine.Page, err error) {
	if h.newest != "" && q.Limit == 1 {
		p.Holds = []quarantine.Hold{{ID: h.newest}}
	}
	return p, nil
}

// TestMarks has the mark of a topic be another one after whatever changes in it, and the same
// while nothing does.
func TestMarks(t *testing.T) {
	h := &holds{states: map[quarantine.State]int{quarantine.Held: 3}, newest: "a"}
	store := &entities.Memory{}
	s := control.NewServer()
	changes.Parts{Holds: h, Entities: store}.Handle(s)
	look := func() map[string]string {
		t.Helper()
		var m changes.Marks
		if err := s.Call(t.Context(), "changes", struct{}{}, &m); err != nil {
			t.Fatal(err)
		}
		return m.Marks
	}
	before := look()
	for topic, mark := range look() {
		if mark != before[topic] {
			t.Errorf("%s changes by itself: %s", topic, mark)
		}
	}
	only := func(what, topic string) {
		t.Helper()
		now := look()
		for name := range now {
			if changed := now[name] != before[name]; changed != (name == topic) {
				t.Errorf("%s: %s changed is %v", what, name, changed)
			}
		}
		before = now
	}
	h.newest = "b"
	only("a hold that came as another went", "held")
	h.states[quarantine.Held], h.states[quarantine.Released] = 2, 1
	only("a release", "held")
	h.states[quarantine.Provisional] = 5
	only("a hold that is being written", "")
	for topic, kind := range map[string]entity.Kind{"cases": "case", "figures": "figures-hour"} {
		if err := store.Put(t.Context(), entity.Record{Kind: kind, ID: "x", Version: 1, Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		only("a record", topic)
	}
	h.fail = errors.New("away")
	if err := s.Call(t.Context(), "changes", struct{}{}, nil); err == nil {
		t.Error("a store that is away is not said")
	}
}
