package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"postern/internal/desk/session"
	"postern/internal/mailtest/entities"
)

type world struct {
	t   *testing.T
	now time.Time
	s   *session.Sessions
}

func newWorld(t *testing.T, secure bool) *world {
	w := &world{t: t, now: time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)}
	w.s = session.New(&entities.Memory{}, func() time.Time { return w.now }, secure)
	return w
}

// begin signs in and returns the cookie.
func (w *world) begin(user string, brought ...*http.Cookie) *http.Cookie {
	w.t.Helper()
	r, rec := w.ask(brought...), httptest.NewRecorder()
	if _, err := w.s.Begin(rec, r, session.Session{User: user, Epoch: 1, From: "192.0.2.1"}); err != nil {
		w.t.Fatal(err)
	}
	return rec.Result().Cookies()[0]
}

func (w *world) ask(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func (w *world) signedIn(c *http.Cookie) bool {
	w.t.Helper()
	_, err := w.s.Of(w.ask(c))
	if err != nil && !errors.Is(err, session.ErrNone) {
		w.t.Fatal(err)
	}
	return err == nil
}

func TestLife(t *testing.T) {
	w := newWorld(t, true)
	c := w.begin("olga")
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Name != "__Host-postern" || len(c.Value) < 40 {
		t.Errorf("%+v", c)
	}
	v, err := w.s.Of(w.ask(c))
	if err != nil || v.User != "olga" || v.Epoch != 1 || !w.s.Fresh(v) || v.ID == c.Value || !v.Carries(v.Form) || v.Carries("") || v.Carries(c.Value) {
		t.Fatalf("%+v %v", v, err)
	}
	for range 20 { // used all the time
		w.now = w.now.Add(29 * time.Minute)
		if !w.signedIn(c) {
			t.Fatal("ended while it was used")
		}
	}
	v, _ = w.s.Of(w.ask(c))
	if w.s.Fresh(v) {
		t.Error("fresh after hours")
	}
	if err := w.s.Prove(t.Context(), v.ID); err != nil {
		t.Fatal(err)
	}
	if v, _ = w.s.Of(w.ask(c)); !w.s.Fresh(v) {
		t.Error("not fresh after the password")
	}
	for range 5 {
		w.now = w.now.Add(29 * time.Minute)
		w.signedIn(c)
	}
	if w.signedIn(c) {
		t.Error("lasts longer than 12 hours")
	}
	c = w.begin("olga")
	w.now = w.now.Add(session.Idle)
	if w.signedIn(c) {
		t.Error("lasts without use")
	}
	c = w.begin("olga")
	w.now = w.now.Add(-2 * time.Hour)
	if w.signedIn(c) {
		t.Error("lasts although the clock was set back")
	}
}

func TestEnds(t *testing.T) {
	w := newWorld(t, false)
	a, b, other := w.begin("olga"), w.begin("olga"), w.begin("ivan")
	if w.begin("olga", b); w.signedIn(b) {
		t.Error("the cookie of before still counts after signing in again")
	}
	if all, err := w.s.List(t.Context(), "olga"); err != nil || len(all) != 2 {
		t.Errorf("%v %v", all, err)
	}
	v, _ := w.s.Of(w.ask(a))
	if err := w.s.EndAll(t.Context(), "olga", v.ID); err != nil {
		t.Fatal(err)
	}
	if all, _ := w.s.List(t.Context(), "olga"); len(all) != 1 || !w.signedIn(a) || !w.signedIn(other) {
		t.Errorf("%v", all)
	}
	rec := httptest.NewRecorder()
	if err := w.s.End(rec, w.ask(a)); err != nil || w.signedIn(a) || rec.Result().Cookies()[0].MaxAge >= 0 {
		t.Error(err, rec.Header())
	}
	if err := w.s.End(rec, w.ask()); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "x", string(make([]byte, 5000))} {
		if w.signedIn(&http.Cookie{Name: "postern", Value: bad}) {
			t.Errorf("%q signs in", bad)
		}
	}
}

func TestBounds(t *testing.T) {
	w := newWorld(t, false)
	first := w.begin("olga")
	for range session.MaxOf + 5 {
		w.now = w.now.Add(time.Second)
		w.begin("olga")
	}
	all, err := w.s.List(t.Context(), "olga")
	if err != nil || len(all) != session.MaxOf || w.signedIn(first) {
		t.Errorf("%d sessions, %v", len(all), err)
	}
	w.now = w.now.Add(session.Lifetime)
	fresh := w.begin("olga")
	n, err := w.s.Prune(t.Context(), 1000)
	if err != nil || n != session.MaxOf-1 || !w.signedIn(fresh) {
		t.Errorf("pruned %d, %v", n, err)
	}
}
