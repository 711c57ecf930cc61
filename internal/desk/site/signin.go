package site

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/throttle"
)

// entry is what the sign-in page shows.
type entry struct {
	Name, To string
	Said     string // key of what went wrong
	Wait     time.Duration
}

// signIn shows the way in, and lets in.
func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	e := entry{To: page.Local(r.FormValue("to"))}
	if r.Method == http.MethodGet {
		if r.FormValue("why") == "ended" {
			e.Said = "signin.ended"
		}
		s.entrance(w, r, http.StatusOK, e)
		return
	}
	e.Name = strings.ToLower(strings.TrimSpace(r.PostFormValue("name")))
	who, wait, err := s.prove(r, e.Name, r.PostFormValue("password"))
	switch {
	case wait > 0:
		e.Wait = wait
		s.entrance(w, r, http.StatusTooManyRequests, e)
		return
	case errors.Is(err, ErrDenied):
		e.Said = "signin.wrong"
		s.entrance(w, r, http.StatusForbidden, e)
		return
	case err != nil:
		s.away(w, r, err)
		return
	}
	if _, err := s.Sessions.Begin(w, r, who.Name, who.Epoch); err != nil {
		s.away(w, r, err)
		return
	}
	s.note(r, who.Name, "sign-in")
	if e.To == "" {
		e.To = "/"
	}
	http.Redirect(w, r, e.To, http.StatusSeeOther)
}

func (s *site) note(r *http.Request, name, what string) {
	if err := s.Audit(r.Context(), name, what, name, nil, nil, "from "+from(r).Addr().String()); err != nil {
		s.Log.Error("the audit does not take a sign-in", "error", err)
	}
}

func (s *site) entrance(w http.ResponseWriter, r *http.Request, status int, e entry) {
	s.Kit.ShowStatus(w, r, status, "sign-in", page.View{Title: s.Kit.Language(r).Say("signin.title"), Body: e})
}

func from(r *http.Request) netip.Prefix {
	a, _ := netip.ParseAddrPort(r.RemoteAddr) // a listener of ours gives no other
	return throttle.Source(a.Addr())
}

// prove checks a password, unless there were too many wrong ones. What it says does not tell
// whether there is such a user: names that nobody has are counted like any other.
func (s *site) prove(r *http.Request, name, password string) (who Person, wait time.Duration, err error) {
	source := from(r)
	try := attempt{source, name[:min(len(name), 128)]}
	if wait := max(s.source.Wait(source), s.name.Wait(try)); wait > 0 {
		return who, wait, nil
	}
	who, err = s.People.SignIn(r.Context(), name, password)
	if errors.Is(err, ErrDenied) {
		s.source.Note(source)
		s.name.Note(try)
		s.note(r, "stranger", "sign-in-refused")
	}
	return who, 0, err
}

// confirm asks for the password again.
func (s *site) confirm(w http.ResponseWriter, r *http.Request) {
	v := sessionOf(r.Context())
	e := entry{Name: v.User, To: page.Local(r.FormValue("to"))}
	status := http.StatusOK
	if r.Method == http.MethodPost {
		_, wait, err := s.prove(r, v.User, r.PostFormValue("password"))
		if wait == 0 && err == nil {
			err = s.Sessions.Prove(r.Context(), v.ID)
		}
		switch {
		case wait > 0:
			status, e.Wait = http.StatusTooManyRequests, wait
		case errors.Is(err, ErrDenied):
			status, e.Said = http.StatusForbidden, "signin.wrong"
		case err != nil:
			s.away(w, r, err)
			return
		default:
			if e.To == "" {
				e.To = "/"
			}
			http.Redirect(w, r, e.To, http.StatusSeeOther)
			return
		}
	}
	s.Kit.ShowStatus(w, r, status, "confirm", page.View{Title: s.Kit.Language(r).Say("signin.fresh-title"), Body: e})
}
