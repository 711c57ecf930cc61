// Package site is the desk in the browser: who may come in, and where the pages are.
package site

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/provider"
	"postern/internal/desk/session"
	"postern/internal/desk/throttle"
)

//go:embed all:html
var Pages embed.FS // sign-in, and the second question of dangerous acts

// Bounds of signing in.
const (
	TriesOfSource = 20 // wrong passwords of a source at once, then one each
	PerSource     = 30 * time.Second
	TriesOfName   = 5 // and of a name from that source, then one each
	PerName       = 2 * time.Minute
	TriesOfCode   = 10 // wrong codes for a name from anywhere, then one each
	PerCode       = 5 * time.Minute
)

// ErrDenied is what a Directory says for every sign-in that is wrong.
var ErrDenied = errors.New("denied")

// Person is somebody who may sign in.
type Person struct {
	page.User
	Epoch  uint64 // grows when what was signed in before is no longer
	Factor bool   // a code is asked for beside the password
	Enrol  bool   // there is none yet, and the role needs one
	Secret bool   // there is a password
}

// Directory knows the people.
type Directory interface {
	// SignIn checks a password. The error is ErrDenied for whatever is wrong, after the same
	// work; any other is the store's.
	SignIn(ctx context.Context, name, password string) (Person, error)
	// Resume notes in ctx who makes calls from now on. The error is ErrDenied for somebody who
	// is not there, is disabled, or was changed since that epoch.
	Resume(ctx context.Context, name string, epoch uint64) (context.Context, Person, error)
	// Code uses up a code of the second factor. The error is ErrDenied for one that is not good.
	Code(ctx context.Context, name, code string) error
	// Provided is the user whom an OpenID provider vouches for, or ErrDenied.
	Provided(ctx context.Context, who provider.Identity) (Person, error)
	// Invited is whom a one-time link is for, or ErrDenied.
	Invited(ctx context.Context, token string) (name string, err error)
	// Accept sets the password of whom a one-time link is for. The error is ErrDenied for a link
	// that is not good, a *page.Error for a password that is not taken, or the store's.
	Accept(ctx context.Context, token, password string) error
}

// Room is a part of the desk.
type Room interface {
	Routes(handle func(pattern string, h http.HandlerFunc))
}

// Provider is an OpenID provider: *provider.Provider.
type Provider interface {
	Name() string
	Ready() bool
	Begin(to string, again bool) (address, kept string, err error)
	Finish(ctx context.Context, kept string, query url.Values) (provider.Identity, provider.Trip, error)
}

// Options are what a Site is made of; all of them must be set but Provider and Proxies.
type Options struct {
	Kit      *page.Kit
	People   Directory
	Sessions *session.Sessions
	Rooms    []Room
	Home     func(ctx context.Context) string // where somebody begins
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Provider Provider       // nil: none
	Proxies  []netip.Prefix // whose X-Forwarded-For is believed
	Secure   bool
	Now      func() time.Time
	Log      *slog.Logger
}

type site struct {
	Options
	source *throttle.Throttle[netip.Prefix]
	name   *throttle.Throttle[attempt]
	code   *throttle.Throttle[string]
	routes []string
}

// Site is the desk's listener.
type Site struct {
	http.Handler
	routes []string
}

// Routes are the patterns of all that is served.
func (s *Site) Routes() []string { return slices.Clone(s.routes) }

// attempt is a name that a source tries.
type attempt struct {
	from netip.Prefix
	name string
}

// New is the desk's listener. Whatever is not a way in, an asset or a taste needs a session.
func New(o Options) *Site {
	s := &site{
		Options: o,
		source:  &throttle.Throttle[netip.Prefix]{Burst: TriesOfSource, Every: PerSource, Sources: 50_000, Now: o.Now},
		name:    &throttle.Throttle[attempt]{Burst: TriesOfName, Every: PerName, Sources: 50_000, Now: o.Now},
		code:    &throttle.Throttle[string]{Burst: TriesOfCode, Every: PerCode, Sources: 10_000, Now: o.Now},
	}
	inside, outside := http.NewServeMux(), http.NewServeMux()
	in, out := s.into(inside), s.into(outside)
	in("GET /{$}", s.home)
	in("POST /sign-out", s.signOut)
	in("GET /confirm", s.confirm)
	in("POST /confirm", s.confirm)
	in("GET /confirm/done", s.done)
	for _, room := range o.Rooms {
		room.Routes(in)
	}
	inside.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
	})
	out("GET /assets/", o.Kit.Assets().ServeHTTP)
	out("GET /sign-in", s.signIn)
	out("POST /sign-in", s.signIn)
	out("GET /sign-in/code", s.second)
	out("POST /sign-in/code", s.second)
	out("GET /sign-in/provider", s.leave)
	out("GET /sign-in/provider/back", s.back)
	out("GET /welcome/{token}", s.welcome)
	out("POST /welcome/{token}", s.welcome)
	out("POST /taste", s.taste)
	outside.Handle("/", s.member(inside))
	return &Site{Handler: page.Guard(o.Secure, outside), routes: s.routes}
}

// into adds routes to a mux and remembers them.
func (s *site) into(mux *http.ServeMux) func(pattern string, h http.HandlerFunc) {
	return func(pattern string, h http.HandlerFunc) {
		s.routes = append(s.routes, pattern)
		mux.HandleFunc(pattern, h)
	}
}

// member lets in who is signed in.
func (s *site) member(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := s.Sessions.Of(r)
		var ctx context.Context
		var who Person
		if err == nil && v.Half {
			err = session.ErrNone
		}
		if err == nil {
			ctx, who, err = s.People.Resume(r.Context(), v.User, v.Epoch)
		}
		switch {
		case errors.Is(err, session.ErrNone):
			s.ask(w, r, "")
			return
		case errors.Is(err, ErrDenied):
			if err := s.Sessions.End(w, r); err != nil {
				s.Log.Error("a session could not be ended", "error", err)
			}
			s.ask(w, r, "ended")
			return
		case err != nil:
			s.away(w, r, err)
			return
		}
		visit := page.Visit{User: &who.User, Token: v.Form, Session: v.ID, Enrol: who.Enrol && v.By != session.Provider, Ways: s.ways(who, v)}
		r = r.WithContext(page.With(withSession(ctx, v), visit))
		visit.Language = s.Kit.Language(r).Name
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !v.Carries(r.PostFormValue("form")) {
			s.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden, Words: s.Kit.Language(r).Say("common.error-stale")})
			return
		}
		var ok bool
		if visit.Fresh, ok = s.confirmed(w, r, who); ok {
			if visit.Enrol && !strings.HasPrefix(r.URL.Path, Enrol) && r.URL.Path != "/sign-out" {
				http.Redirect(w, r, Enrol, http.StatusSeeOther)
				return
			}
			next.ServeHTTP(w, r.WithContext(page.With(r.Context(), visit)))
		}
	})
}

// Enrol is where a second factor is made, and all that somebody sees whose role needs one and
// who has none.
const Enrol = "/me/factor"

// ask shows strangers the way in. A part of a page that is asked for in the background gets
// the whole way in as well.
func (s *site) ask(w http.ResponseWriter, r *http.Request, why string) {
	to := "/sign-in"
	if r.Method == http.MethodGet && r.URL.Path != "/" && r.Header.Get("HX-Request") == "" {
		to += string(page.Query("to", r.URL.RequestURI(), "why", why))
	} else if why != "" {
		to += string(page.Query("why", why))
	}
	if r.Header.Get("HX-Request") != "" {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (s *site) away(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.Error("a session could not be looked up", "error", err)
	w.Header().Set("Retry-After", "5")
	s.Kit.Fail(w, r, &page.Error{Status: http.StatusServiceUnavailable})
}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, s.Home(r.Context()), http.StatusSeeOther)
}

func (s *site) signOut(w http.ResponseWriter, r *http.Request) {
	if err := s.Sessions.End(w, r); err != nil {
		s.away(w, r, err)
		return
	}
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// taste keeps language and colours, on this browser alone.
func (s *site) taste(w http.ResponseWriter, r *http.Request) {
	s.Kit.Taste(w, r, s.Secure)
	s.Kit.Back(w, r, "/")
}

type sessionKey struct{}

func withSession(ctx context.Context, v session.Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, v)
}

func sessionOf(ctx context.Context) session.Session {
	v, _ := ctx.Value(sessionKey{}).(session.Session)
	return v
}
