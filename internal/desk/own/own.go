// Package own is the page of one's own account: password, language, second factor, and where
// one is signed in.
package own

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/session"
	"postern/internal/desk/site"
)

//go:embed all:html
var Pages embed.FS

// Me is what somebody sees of the own account.
type Me struct {
	Name, Role, Email, Language string
	Covers                      []string // domains and addresses
	Password                    bool     // there is one
	Factor                      bool     // a code is asked for
	Since                       time.Time
	Left                        int  // recovery codes
	Needs                       bool // the role needs a second factor
}

// Offer is a secret to be put into an authenticator.
type Offer struct{ Secret, Picture string }

// Account is what somebody changes of the own account. What is refused is a *page.Error, or
// site.ErrDenied for a code that is not good.
type Account interface {
	Me(ctx context.Context, name string) (Me, error)
	SetPassword(ctx context.Context, name, password string) (epoch uint64, err error)
	SetLanguage(ctx context.Context, name, language string) error
	BeginFactor(ctx context.Context, name string) error
	Offer(ctx context.Context, name string) (Offer, error)
	ConfirmFactor(ctx context.Context, name, code string) (recovery []string, err error)
	DropFactor(ctx context.Context, name string) error
}

// Room is the pages.
type Room struct {
	Kit      *page.Kit
	Account  Account
	Sessions *session.Sessions
	Secure   bool
}

// Routes adds the pages.
func (o *Room) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /me", o.me)
	handle("POST /me/language", o.language)
	handle("POST /me/password", o.password)
	handle("POST /me/sessions", o.sessions)
	handle("GET "+site.Enrol, o.factor)
	handle("POST "+site.Enrol, o.change)
}

// shown is what the page shows.
type shown struct {
	Me
	Sessions  []row
	Languages []choice
	Said      string // key of what was done
	Wrong     string // key of what was wrong with the password
	Words     string // or why it is not taken
}

type row struct {
	session.Session
	Here bool
}

type choice struct {
	Name, Own string
	Here      bool
}

func name(r *http.Request) string { return page.Of(r.Context()).User.Name }

func (o *Room) me(w http.ResponseWriter, r *http.Request) {
	s := shown{}
	switch done := r.FormValue("done"); done {
	case "password", "language", "sessions", "factor", "factor-off":
		s.Said = "me.done-" + done
	}
	o.show(w, r, http.StatusOK, s)
}

func (o *Room) show(w http.ResponseWriter, r *http.Request, status int, s shown) {
	var err error
	if s.Me, err = o.Account.Me(r.Context(), name(r)); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	all, err := o.Sessions.List(r.Context(), s.Name)
	if err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	for _, v := range all {
		s.Sessions = append(s.Sessions, row{v, v.ID == page.Of(r.Context()).Session})
	}
	here := o.Kit.Language(r).Name
	for _, l := range o.Kit.Words().Languages() {
		s.Languages = append(s.Languages, choice{l, page.Own(l), l == here})
	}
	o.Kit.ShowStatus(w, r, status, "me", page.View{Title: o.Kit.Language(r).Say("me.title"), Here: "me", Body: s})
}

func (o *Room) done(w http.ResponseWriter, r *http.Request, what string) {
	http.Redirect(w, r, "/me?done="+what, http.StatusSeeOther)
}

// language is kept with the user, and on this browser.
func (o *Room) language(w http.ResponseWriter, r *http.Request) {
	l, ok := o.Kit.Words().Language(r.PostFormValue("language"))
	if !ok {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if err := o.Account.SetLanguage(r.Context(), name(r), l.Name); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	o.Kit.Taste(w, r, o.Secure)
	o.done(w, r, "language")
}

// password sets another one, which ends every session; this browser gets a new one.
func (o *Room) password(w http.ResponseWriter, r *http.Request) {
	next := r.PostFormValue("password")
	if next != r.PostFormValue("again") {
		o.show(w, r, http.StatusBadRequest, shown{Wrong: "signin.differ"})
		return
	}
	if !o.Kit.Fresh(w, r) {
		return
	}
	epoch, err := o.Account.SetPassword(r.Context(), name(r), next)
	err = o.Kit.Spoken(r, err)
	var refused *page.Error
	switch {
	case errors.As(err, &refused):
		o.show(w, r, refused.Status, shown{Words: refused.Words})
		return
	case err != nil:
		o.Kit.Fail(w, r, err)
		return
	}
	old, err := o.Sessions.Of(r)
	if err == nil {
		old, err = o.Sessions.Begin(w, r, session.Session{User: old.User, Epoch: epoch, From: old.From, By: old.By})
	}
	if err == nil {
		err = o.Sessions.EndAll(r.Context(), old.User, old.ID)
	}
	if err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	o.done(w, r, "password")
}

// sessions ends one, or all but this one.
func (o *Room) sessions(w http.ResponseWriter, r *http.Request) {
	visit := page.Of(r.Context())
	var err error
	if id := r.PostFormValue("id"); id != "" {
		err = o.Sessions.EndOne(r.Context(), visit.User.Name, id)
	} else {
		err = o.Sessions.EndAll(r.Context(), visit.User.Name, visit.Session)
	}
	if err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	o.done(w, r, "sessions")
}

// making is what the page of the second factor shows.
type making struct {
	Me
	Must    bool // nothing else is shown before there is one
	Offer   *Offer
	Picture template.URL
	Codes   []string // shown this once
	Said    string
}

func (o *Room) factor(w http.ResponseWriter, r *http.Request) {
	o.making(w, r, http.StatusOK, making{})
}

func (o *Room) making(w http.ResponseWriter, r *http.Request, status int, m making) {
	var err error
	if m.Me, err = o.Account.Me(r.Context(), name(r)); err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	m.Must = page.Of(r.Context()).Enrol && len(m.Codes) == 0
	offer, err := o.Account.Offer(r.Context(), m.Name)
	var none *page.Error
	switch {
	case len(m.Codes) > 0 || errors.As(err, &none):
	case err != nil:
		o.Kit.Fail(w, r, err)
		return
	default:
		m.Offer, m.Picture = &offer, template.URL(offer.Picture) //nolint:gosec // an image that we made
	}
	o.Kit.ShowStatus(w, r, status, "factor", page.View{Title: o.Kit.Language(r).Say("me.factor"), Here: "me", Body: m})
}

// change begins, confirms or drops a second factor.
func (o *Room) change(w http.ResponseWriter, r *http.Request) {
	visit, act := page.Of(r.Context()), r.PostFormValue("act")
	if act == "confirm" {
		o.confirm(w, r, visit)
		return
	}
	if act != "begin" && act != "drop" {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	if !o.Kit.Fresh(w, r) {
		return
	}
	me, err := o.Account.Me(r.Context(), visit.User.Name)
	switch {
	case err != nil:
	case act == "begin":
		if err = o.Account.BeginFactor(r.Context(), me.Name); err == nil {
			http.Redirect(w, r, site.Enrol, http.StatusSeeOther)
			return
		}
	case me.Needs:
		err = &page.Error{Status: http.StatusConflict, Words: o.Kit.Language(r).Say("me.factor-needed")}
	default:
		if err = o.Account.DropFactor(r.Context(), me.Name); err == nil {
			o.done(w, r, "factor-off")
			return
		}
	}
	o.Kit.Fail(w, r, err)
}

// confirm takes the first code. Other sessions of the user, which had none, end.
func (o *Room) confirm(w http.ResponseWriter, r *http.Request, visit page.Visit) {
	codes, err := o.Account.ConfirmFactor(r.Context(), visit.User.Name, r.PostFormValue("code"))
	switch {
	case errors.Is(err, site.ErrDenied):
		o.making(w, r, http.StatusForbidden, making{Said: "me.code-wrong"})
		return
	case err == nil:
		err = o.Sessions.EndAll(r.Context(), visit.User.Name, visit.Session)
	}
	if err != nil {
		o.Kit.Fail(w, r, err)
		return
	}
	o.making(w, r, http.StatusOK, making{Codes: codes})
}
