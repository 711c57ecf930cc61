package site

import (
	"errors"
	"net/http"

	"postern/internal/desk/page"
	"postern/internal/desk/provider"
	"postern/internal/desk/session"
)

func (s *site) trip(value string, age int) *http.Cookie {
	name := "postern-trip"
	if s.Secure {
		name = "__Host-" + name
	}
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, Secure: s.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// leave sends a reader to the provider.
func (s *site) leave(w http.ResponseWriter, r *http.Request) {
	if s.Provider == nil {
		s.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
		return
	}
	to := page.Local(r.FormValue("to"))
	at, kept, err := s.Provider.Begin(to, r.FormValue("again") != "")
	if err != nil {
		s.elsewhere(w, r, err)
		return
	}
	http.SetCookie(w, s.trip(kept, int(provider.Life.Seconds())))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, at, http.StatusSeeOther)
}

// elsewhere says that the provider let nobody in; why stands in the log.
func (s *site) elsewhere(w http.ResponseWriter, r *http.Request, err error) {
	why := "refused"
	switch {
	case errors.Is(err, provider.ErrSilent):
		why = "silent"
	case !errors.Is(err, provider.ErrRefused) && !errors.Is(err, ErrDenied):
		s.away(w, r, err)
		return
	}
	s.Log.Warn("a sign-in at the OpenID provider failed", "error", err, "from", s.client(r))
	s.go303(w, r, "/sign-in"+string(page.Query("why", why)))
}

// back takes in whom the provider sent back.
func (s *site) back(w http.ResponseWriter, r *http.Request) {
	if s.Provider == nil {
		s.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
		return
	}
	kept := ""
	if c, err := r.Cookie(s.trip("", 0).Name); err == nil {
		kept = c.Value
	}
	http.SetCookie(w, s.trip("", -1))
	w.Header().Set("Cache-Control", "no-store")
	id, trip, err := s.Provider.Finish(r.Context(), kept, r.URL.Query())
	var who Person
	if err == nil {
		who, err = s.People.Provided(r.Context(), id)
	}
	if errors.Is(err, ErrDenied) {
		s.note(r, "stranger", "sign-in-refused")
	}
	if err != nil {
		s.elsewhere(w, r, err)
		return
	}
	to := page.Local(trip.To)
	v, err := s.Sessions.Of(r)
	switch {
	case err == nil && !v.Half && v.User == who.Name && v.Epoch == who.Epoch && trip.Again: // it is them, as before
		err = s.Sessions.Prove(r.Context(), v.ID)
	case err == nil || errors.Is(err, session.ErrNone):
		_, err = s.Sessions.Begin(w, r, session.Session{User: who.Name, Epoch: who.Epoch, From: s.client(r).String(), By: session.Provider})
		s.note(r, who.Name, "sign-in")
	}
	if err != nil {
		s.away(w, r, err)
		return
	}
	s.go303(w, r, to)
}
