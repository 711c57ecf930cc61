package mine

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"postern/internal/desk/links"
	"postern/internal/desk/page"
	"postern/internal/desk/public"
)

// entry is the page on which somebody asks for a link.
type entry struct {
	Sent bool // what is said then does not tell whether there is such an address
	Over bool // the link that was used is none any more
}

func (o *Room) entrance(w http.ResponseWriter, r *http.Request, status int, e entry) {
	o.Kit.ShowStatus(w, r, status, "own-ask", page.View{Title: o.Kit.Language(r).Say("own.ask-title"), Body: e})
}

// ask has a link sent. The answer is the same whoever is asked for.
func (o *Room) ask(w http.ResponseWriter, r *http.Request) {
	source := public.Source(r)
	if wait := max(o.source.Wait(source), o.all.Wait("all")); wait > 0 {
		public.Often(o.Kit, w, r, wait)
		return
	}
	o.source.Note(source)
	o.all.Note("all")
	address := strings.ToLower(strings.TrimSpace(r.PostFormValue("address")))
	if len(address) <= maxAddress && o.address.Wait(address) == 0 {
		o.address.Note(address)
		o.Ask(address, o.Kit.Language(r).Name)
	}
	o.entrance(w, r, http.StatusOK, entry{Sent: true})
}

// cookie is the name of the session's: none of the desk's.
func (o *Room) cookie() string {
	if o.Secure {
		return "__Host-postern-mail"
	}
	return "postern-mail"
}

func (o *Room) keep(w http.ResponseWriter, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: o.cookie(), Value: value, Path: "/", MaxAge: int(age / time.Second), Secure: o.Secure, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

// enter uses a link up and begins a session, which is for its address alone.
func (o *Room) enter(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("link")
	l, err := o.Enters.Open(text)
	if err != nil || l.Act != Enter {
		o.entrance(w, r, http.StatusNotFound, entry{Over: true})
		return
	}
	fresh, err := o.Used.Claim(r.Context(), links.Mark(text), l.Expires)
	switch {
	case err != nil:
		o.fail(w, r, err)
		return
	case !fresh:
		o.entrance(w, r, http.StatusNotFound, entry{Over: true})
		return
	}
	value, err := o.Visits.Seal(links.Link{For: l.For, Act: session, Expires: o.Now().Add(SessionLife), Once: rand.Text()})
	if err != nil {
		o.fail(w, r, err)
		return
	}
	o.keep(w, value, SessionLife)
	http.Redirect(w, r, "/mail", http.StatusSeeOther)
}

type visitKey struct{}

// visit is who is signed in: the address of a session that neither ended nor was ended.
func (o *Room) visit(r *http.Request) (address, form string, err error) {
	c, err := r.Cookie(o.cookie())
	if err != nil {
		return "", "", links.ErrBad
	}
	l, err := o.Visits.Open(c.Value)
	if err != nil || l.Act != session {
		return "", "", links.ErrBad
	}
	over, err := o.Used.Was(r.Context(), links.Mark(c.Value))
	if err != nil {
		return "", "", err
	}
	if over {
		return "", "", links.ErrBad
	}
	return l.For, links.Mark("form " + c.Value), nil
}

func who(r *http.Request) string {
	address, _ := r.Context().Value(visitKey{}).(string)
	return address
}

// member lets in who has a session.
func (o *Room) member(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		address, form, err := o.visit(r)
		if err == links.ErrBad { //nolint:errorlint // visit gives it as it is
			if r.Method == http.MethodGet {
				http.Redirect(w, r, "/mail", http.StatusSeeOther)
				return
			}
			o.entrance(w, r, http.StatusForbidden, entry{Over: true})
			return
		}
		if err != nil {
			o.fail(w, r, err)
			return
		}
		ctx := context.WithValue(page.With(r.Context(), page.Visit{User: &page.User{Name: address}, Token: form}), visitKey{}, address)
		r = r.WithContext(ctx)
		if r.Method != http.MethodGet && subtle.ConstantTimeCompare([]byte(r.PostFormValue("form")), []byte(form)) != 1 {
			o.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden, Words: o.Kit.Language(r).Say("common.error-stale")})
			return
		}
		next(w, r)
	}
}

func (o *Room) leave(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(o.cookie()); err == nil {
		if _, err := o.Used.Claim(r.Context(), links.Mark(c.Value), o.Now().Add(SessionLife)); err != nil {
			o.fail(w, r, err)
			return
		}
	}
	o.keep(w, "", -time.Second)
	http.Redirect(w, r, "/mail", http.StatusSeeOther)
}
