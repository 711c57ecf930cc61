package move_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"postern/blocklist"
	"postern/internal/record"
	"postern/internal/store/move"
	"postern/quarantine"
)

// bodiless is a store whose holds end, by another node, before their bodies are read.
type bodiless struct{ quarantine.Store }

func (s bodiless) Body(ctx context.Context, id string) (io.ReadCloser, error) {
	h, err := s.Get(ctx, id)
	if err == nil {
		h.State, h.Ended = quarantine.Released, &quarantine.Ended{At: now, By: "me"}
		_, err = s.Change(ctx, h)
	}
	return nil, errors.Join(err, quarantine.ErrNotFound)
}

func TestEndedMeanwhile(t *testing.T) {
	from, to := home(t), home(t)
	held(t, from.Holds, 1, quarantine.Held)
	from.Holds = bodiless{from.Holds}
	if out := must(mover(from, to).Run(t.Context()))(t); out.Holds+len(out.Busy)+len(out.Damaged) != 0 {
		t.Errorf("%+v", out)
	}
	if there := must(to.Holds.List(t.Context(), quarantine.Query{}))(t).Holds; len(there) != 0 {
		t.Errorf("%+v", there)
	}
}

// TestRemovedEntries moves there and back: what was removed meanwhile stays removed, on both
// sides, and what was only named the same stays.
func TestRemovedEntries(t *testing.T) {
	one, two := home(t), home(t)
	add := func(p move.Parts, value string, at time.Time) {
		e := blocklist.Entry{Value: value, Scope: "all", Created: at}
		ok(t, p.Lists.PutListEntry(t.Context(), e))
		after := must(json.Marshal(e))(t)
		must(p.Audit.Append(t.Context(), record.Entry{Time: at, Actor: "me", Action: "list-add", Object: e.Key(), After: after}))(t)
	}
	remove := func(p move.Parts, value string, at time.Time) {
		key := blocklist.Entry{Value: value, Scope: "all"}.Key()
		ok(t, p.Lists.RemoveListEntry(t.Context(), key))
		must(p.Audit.Append(t.Context(), record.Entry{Time: at, Actor: "me", Action: "list-remove", Object: key}))(t)
	}
	has := func(p move.Parts, want ...string) {
		t.Helper()
		all, _, err := p.Lists.ListEntries(t.Context())
		ok(t, err)
		var got []string
		for _, e := range all {
			got = append(got, e.Value)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for n, value := range []string{"a.example", "b.example", "c.example", "d.example"} {
		add(one, value, now.Add(time.Duration(n)*time.Second))
	}
	add(two, "d.example", now.Add(-time.Hour)) // another one
	remove(one, "d.example", now.Add(time.Minute))
	must(mover(one, two).Run(t.Context()))(t)
	has(two, "a.example", "b.example", "c.example", "d.example")
	remove(two, "a.example", now.Add(time.Hour))
	remove(two, "b.example", now.Add(time.Hour))
	add(two, "b.example", now.Add(2*time.Hour))
	for range 2 {
		must(mover(one, two).Run(t.Context()))(t)
		has(two, "b.example", "c.example", "d.example")
	}
	must(mover(two, one).Run(t.Context()))(t)
	has(one, "b.example", "c.example")
}
