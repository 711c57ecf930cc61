package session_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"postern/internal/desk/session"
)

// TestByItself has what a page asks by itself, and looks whether a session stands, keep no
// session from ending by disuse.
func TestByItself(t *testing.T) {
	w := newWorld(t, true)
	for name, header := range map[string][2]string{"a part of a page": {session.Background, "1"}, "a stream": {"Accept", "text/event-stream"}} {
		c := w.begin("olga")
		r := w.ask(c)
		r.Header.Set(header[0], header[1])
		for range 5 {
			w.now = w.now.Add(5 * time.Minute)
			if _, err := w.s.Of(r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if v, err := w.s.Peek(w.ask(c)); err != nil || v.User != "olga" {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.now = w.now.Add(5 * time.Minute)
		if _, err := w.s.Peek(w.ask(c)); !errors.Is(err, session.ErrNone) {
			t.Errorf("%s: the session stands: %v", name, err)
		}
		if _, err := w.s.Of(r); !errors.Is(err, session.ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.s.Peek(w.ask(&http.Cookie{Name: "__Host-postern", Value: "none"})); !errors.Is(err, session.ErrNone) {
		t.Error(err)
	}
	if _, err := w.s.Peek(w.ask()); !errors.Is(err, session.ErrNone) {
		t.Error(err)
	}
}
