package external_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases/flow"
	"postern/abuse/external"
	"postern/abuse/external/order"
	"postern/abuse/external/told"
	"postern/internal/said"
)

// told is a source whose provider was told, and that notice.
func (w *world) told() (string, external.Notice) {
	w.t.Helper()
	c, _ := w.sight(external.Trap)
	if _, err := w.Confirm(w.t.Context(), anna, c.ID, "", said.Typed("a trap")); err != nil {
		w.t.Fatal(err)
	}
	n, err := w.Complain(w.t.Context(), anna, c.ID)
	if err != nil || n.State != external.Sent {
		w.t.Fatal(n, err)
	}
	return c.ID, n
}

// A notice that came back goes out again three times at most, an hour apart, and not to who
// wants none.
func TestResend(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, n := w.told()
	if _, err := w.Resend(ctx, anna, n.ID, "try"); !errors.Is(err, told.ErrAgain) {
		t.Error("a notice that did not come back goes again", err)
	}
	fails := func() {
		t.Helper()
		if ok, err := w.Bounced(ctx, n.MessageID, "550 no such user"); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	fails()
	if _, err := w.Resend(ctx, anna, n.ID, "try"); !errors.Is(err, told.ErrAgain) {
		t.Error("it goes again at once", err)
	}
	for i := range told.AgainMost {
		w.now = w.now.Add(told.AgainEvery)
		got, err := w.Resend(ctx, anna, n.ID, "they say it works now")
		if err != nil || got.State != external.Sent || got.Again != i+1 || got.Why != "" || got.AgainBy != "anna" {
			t.Fatalf("%+v %v", got, err)
		}
		key, at := got.Entry()
		if l, ok := w.sent[key]; !ok || key == n.ID || !at.Equal(w.now) || l.text != w.sent[n.ID].text {
			t.Errorf("%s is not in the outbox as it was", key)
		}
		fails()
	}
	w.now = w.now.Add(told.AgainEvery)
	if _, err := w.Resend(ctx, anna, n.ID, "x"); !errors.Is(err, told.ErrAgain) || !strings.Contains(err.Error(), "3 times") {
		t.Error(err)
	}
	if _, err := w.Resend(ctx, anna, "x-none", "x"); err == nil {
		t.Error("what there is not was sent")
	}
	other := newWorld(t)
	_, n = other.told()
	if ok, err := other.Bounced(ctx, n.MessageID, "550"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	other.now = other.now.Add(told.AgainEvery)
	if _, err := other.Contacts.OptOut(ctx, "anna", n.To, "STOP"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Resend(ctx, anna, n.ID, "x"); !errors.Is(err, told.ErrAgain) || len(other.sent) != 1 {
		t.Error(err, len(other.sent))
	}
}

// Sources are found by state, by what is in force, and by what they are.
func TestFind(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, _ := w.told()
	ask := func(q external.Query) int {
		t.Helper()
		all, _, err := w.List(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if _, err := w.Desk.Block(ctx, anna, id, order.Block{Scope: order.ByNet, Value: "198.51.100.0/25", Rule: order.WhenQuiet, Why: "spam", Until: w.now.Add(24 * time.Hour)}, ""); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		q    external.Query
		want int
	}{
		{external.Query{}, 1}, {external.Query{State: flow.Blocked}, 1}, {external.Query{State: flow.Detected}, 0}, {external.Query{Held: true}, 1}, {external.Query{Held: true, State: flow.Lifted}, 0},
		{external.Query{About: "198.51.100.7"}, 1}, {external.Query{About: "198.51.100.0/24"}, 1}, {external.Query{About: "198.51.100.8"}, 0}, {external.Query{About: "192.0.2.0/24"}, 0},
		{external.Query{About: "NEWS.example"}, 1}, {external.Query{About: "bounce@"}, 1}, {external.Query{About: strings.ToLower(id)}, 1}, {external.Query{About: "198.51.100.0/25"}, 1}, {external.Query{About: "other"}, 0},
	} {
		if got := ask(c.q); got != c.want {
			t.Errorf("%d: %+v: %d", i, c.q, got)
		}
	}
}
