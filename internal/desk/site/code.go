package site

import (
	"errors"
	"net/http"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/session"
)

// second asks whose password was right for a code.
func (s *site) second(w http.ResponseWriter, r *http.Request) {
	e := entry{To: page.Local(r.FormValue("to"))}
	v, err := s.Sessions.Of(r)
	switch {
	case errors.Is(err, session.ErrNone), err == nil && !v.Half:
		s.go303(w, r, "/sign-in"+string(page.Query("to", e.To)))
		return
	case err != nil:
		s.away(w, r, err)
		return
	}
	if r.Method != http.MethodPost {
		s.askCode(w, r, http.StatusOK, e)
		return
	}
	_, who, err := s.People.Resume(r.Context(), v.User, v.Epoch)
	var wait time.Duration
	if err == nil {
		wait, err = s.proveCode(r, v.User, r.PostFormValue("code"))
	}
	switch {
	case wait > 0:
		e.Wait = wait
		s.askCode(w, r, http.StatusTooManyRequests, e)
		return
	case errors.Is(err, ErrDenied):
		e.Said = "signin.wrong-code"
		s.askCode(w, r, http.StatusForbidden, e)
		return
	case err != nil:
		s.away(w, r, err)
		return
	}
	if _, err := s.Sessions.Begin(w, r, session.Session{User: who.Name, Epoch: who.Epoch, From: s.client(r).String()}); err != nil {
		s.away(w, r, err)
		return
	}
	s.note(r, who.Name, "sign-in")
	s.go303(w, r, e.To)
}

func (s *site) askCode(w http.ResponseWriter, r *http.Request, status int, e entry) {
	s.Kit.ShowStatus(w, r, status, "code", page.View{Title: s.Kit.Language(r).Say("signin.code-title"), Body: e})
}

// proveCode checks a code, unless there were too many wrong ones. Whoever gets here knows the
// password, so the wrong ones of a name count together, wherever they come from.
func (s *site) proveCode(r *http.Request, name, code string) (time.Duration, error) {
	if wait := s.code.Wait(name); wait > 0 {
		return wait, nil
	}
	err := s.People.Code(r.Context(), name, code)
	if errors.Is(err, ErrDenied) {
		s.code.Note(name)
		s.note(r, name, "code-refused")
	}
	return 0, err
}
