package site

import (
	"errors"
	"net/http"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/throttle"
)

// guest is what the page of a one-time link shows.
type guest struct {
	Name  string
	Said  string
	Words string // why the password is not taken
	Wait  time.Duration
}

// welcome is the page of a one-time link: it sets a password.
func (s *site) welcome(w http.ResponseWriter, r *http.Request) {
	token, source := r.PathValue("token"), throttle.Source(s.client(r))
	if wait := s.source.Wait(source); wait > 0 {
		w.Header().Set("Retry-After", "60")
		s.Kit.Fail(w, r, &page.Error{Status: http.StatusTooManyRequests, Again: wait})
		return
	}
	name, err := s.People.Invited(r.Context(), token)
	password := r.PostFormValue("password")
	g, status := guest{Name: name}, http.StatusOK
	if err == nil && r.Method == http.MethodPost {
		if password != r.PostFormValue("again") {
			g.Said, status = "signin.differ", http.StatusBadRequest
		} else if err = s.People.Accept(r.Context(), token, password); err == nil {
			s.go303(w, r, "/sign-in"+string(page.Query("why", "set")))
			return
		}
	}
	err = s.Kit.Spoken(r, err)
	var refused *page.Error
	switch {
	case errors.Is(err, ErrDenied):
		s.source.Note(source)
		s.go303(w, r, "/sign-in"+string(page.Query("why", "link")))
		return
	case errors.As(err, &refused):
		g.Words, status = refused.Words, refused.Status
	case err != nil:
		s.away(w, r, err)
		return
	}
	s.Kit.ShowStatus(w, r, status, "welcome", page.View{Title: s.Kit.Language(r).Say("signin.welcome", "name", g.Name), Body: g})
}
