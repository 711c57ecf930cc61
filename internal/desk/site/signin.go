package site

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/proxy"
	"postern/internal/desk/session"
	"postern/internal/desk/throttle"
)

// entry is what the sign-in page shows.
type entry struct {
	Name, To string
	Said     string // key of what went wrong
	Wait     time.Duration

	Provider string // its name, where there is one
	Silent   bool   // it does not answer
}

// signIn shows the way in, and lets in.
func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	e := entry{To: page.Local(r.FormValue("to"))}
	if r.Method == http.MethodGet {
		switch why := r.FormValue("why"); why {
		case "ended", "refused", "silent", "link", "set":
			e.Said = "signin." + why
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
	s.enter(w, r, who, e.To)
}

// enter signs in whose password was right; whoever has a second factor is asked for a code.
func (s *site) enter(w http.ResponseWriter, r *http.Request, who Person, to string) {
	if _, err := s.Sessions.Begin(w, r, session.Session{User: who.Name, Epoch: who.Epoch, From: s.client(r).String(), Half: who.Factor}); err != nil {
		s.away(w, r, err)
		return
	}
	if who.Factor {
		http.Redirect(w, r, "/sign-in/code"+string(page.Query("to", to)), http.StatusSeeOther)
		return
	}
	s.note(r, who.Name, "sign-in")
	s.go303(w, r, to)
}

// go303 leads to a path of this site.
func (s *site) go303(w http.ResponseWriter, r *http.Request, to string) {
	if to == "" {
		to = "/"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *site) note(r *http.Request, name, action string) {
	if err := s.Audit(r.Context(), name, action, name, nil, nil, "from "+s.client(r).String()); err != nil {
		s.Log.Error("the audit does not take a sign-in", "error", err)
	}
}

func (s *site) entrance(w http.ResponseWriter, r *http.Request, status int, e entry) {
	if s.Provider != nil {
		e.Provider, e.Silent = s.Provider.Name(), !s.Provider.Ready()
	}
	s.Kit.ShowStatus(w, r, status, "sign-in", page.View{Title: s.Kit.Language(r).Say("signin.title"), Body: e})
}

// client is who asks, behind the proxies.
func (s *site) client(r *http.Request) netip.Addr { return proxy.Client(r, s.Proxies) }

// prove checks a password, unless there were too many wrong ones. What it says does not tell
// whether there is such a user: names that nobody has are counted like any other.
func (s *site) prove(r *http.Request, name, password string) (who Person, wait time.Duration, err error) {
	source := throttle.Source(s.client(r))
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
