package site

import (
	"errors"
	"net/http"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/session"
)

// confirmed checks what a reader gave to confirm, where the form has it, and takes it out. It
// answers the request itself where that is wrong.
func (s *site) confirmed(w http.ResponseWriter, r *http.Request, who Person) (fresh, ok bool) {
	v := sessionOf(r.Context())
	if r.Method == http.MethodGet || r.Method == http.MethodHead || !r.PostForm.Has(page.ConfirmPassword) {
		return s.Sessions.Fresh(v), true
	}
	wait, err := s.again(r, who, r.PostFormValue(page.ConfirmPassword), r.PostFormValue(page.ConfirmCode))
	if wait == 0 && err == nil {
		err = s.Sessions.Prove(r.Context(), v.ID)
	}
	switch {
	case wait > 0:
		s.Kit.Ask(w, r, http.StatusTooManyRequests, page.Question{Wait: wait})
	case errors.Is(err, ErrDenied):
		s.Kit.Ask(w, r, http.StatusForbidden, page.Question{Said: "signin.wrong"})
	case err != nil:
		s.away(w, r, err)
	default:
		for _, name := range []string{page.ConfirmPassword, page.ConfirmCode} {
			r.PostForm.Del(name)
			r.Form.Del(name)
		}
		return true, true
	}
	return false, false
}

// again is a whole sign-in of somebody who is signed in.
func (s *site) again(r *http.Request, who Person, password, code string) (time.Duration, error) {
	_, wait, err := s.prove(r, who.Name, password)
	if wait > 0 || err != nil || !who.Factor {
		return wait, err
	}
	return s.proveCode(r, who.Name, code)
}

// confirm leads from the question to where the reader wanted to go.
func (s *site) confirm(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && page.Of(r.Context()).Fresh {
		s.go303(w, r, page.Local(r.FormValue("to")))
		return
	}
	s.Kit.Ask(w, r, http.StatusOK, page.Question{})
}

// done is where somebody lands who confirmed elsewhere.
func (s *site) done(w http.ResponseWriter, r *http.Request) {
	s.Kit.Show(w, r, "confirmed", page.View{Title: s.Kit.Language(r).Say("signin.confirmed")})
}

// ways are how somebody may confirm.
func (s *site) ways(who Person, v session.Session) page.Ways {
	ways := page.Ways{Password: who.Secret, Code: who.Factor}
	if s.Provider != nil && (v.By == session.Provider || !who.Secret) {
		ways.Provider = s.Provider.Name()
	}
	return ways
}
