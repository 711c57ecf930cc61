package notice_test

import (
	"errors"
	"testing"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/notice"
)

// A letter that came back goes out again as it was, three times at most, an hour apart.
func TestResend(t *testing.T) {
	w := newWorld(t)
	ctx, anna := t.Context(), cases.Actor{Name: "anna", Role: flow.Agent}
	w.event("report", "r1", "")
	if len(w.posts) != 1 {
		t.Fatal(w.posts)
	}
	id := w.posts[0].id
	if _, err := w.d.Resend(ctx, anna, id, "x"); !errors.Is(err, notice.ErrAgain) {
		t.Error("what did not come back goes again", err)
	}
	fails := func() {
		t.Helper()
		if ok, err := w.d.Bounced(ctx, w.posts[0].msg.Header.Get("Message-ID"), "550 no"); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	fails()
	if _, err := w.d.Resend(ctx, anna, id, "x"); !errors.Is(err, notice.ErrAgain) {
		t.Error("it goes again at once", err)
	}
	for i := range notice.AgainMost {
		w.now = w.now.Add(notice.AgainEvery)
		n, err := w.d.Resend(ctx, anna, id, "they say it works")
		if err != nil || n.State != notice.Sent || n.Again != i+1 || n.AgainBy != "anna" || n.Why != "" {
			t.Fatalf("%+v %v", n, err)
		}
		last := w.posts[len(w.posts)-1]
		if len(w.posts) != i+2 || last.id == id || last.body != w.posts[0].body || last.to != w.posts[0].to {
			t.Errorf("%+v", last)
		}
		fails()
	}
	w.now = w.now.Add(notice.AgainEvery)
	if _, err := w.d.Resend(ctx, anna, id, "x"); !errors.Is(err, notice.ErrAgain) {
		t.Error("a fourth time", err)
	}
}
