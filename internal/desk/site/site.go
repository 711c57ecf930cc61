// Package site is the desk in the browser: who may come in, and where the pages are.
package site

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"postern/internal/desk/page"
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
)

// ErrDenied is what a Directory says for every sign-in that is wrong.
var ErrDenied = errors.New("denied")

// Person is somebody who may sign in.
type Person struct {
	page.User
	Epoch uint64 // grows when what was signed in before is no longer
}

// Directory knows the people.
type Directory interface {
	// SignIn checks a password. The error is ErrDenied for whatever is wrong, after the same
	// work; any other is the store's.
	SignIn(ctx context.Context, name, password string) (Person, error)
	// Resume notes in ctx who makes calls from now on. The error is ErrDenied for somebody who
	// is not there, is disabled, or was changed since that epoch.
	Resume(ctx context.Context, name string, epoch uint64) (context.Context, Person, error)
}

// Room is a part of the desk.
type Room interface {
	Routes(handle func(pattern string, h http.HandlerFunc))
}

// Options are what a Site is made of; all of them must be set.
type Options struct {
	Kit      *page.Kit
	People   Directory
	Sessions *session.Sessions
	Rooms    []Room
	Home     func(ctx context.Context) string // where somebody begins
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Secure   bool
	Now      func() time.Time
	Log      *slog.Logger
}

type site struct {
	Options
	source *throttle.Throttle[netip.Prefix]
	name   *throttle.Throttle[attempt]
}

// attempt is a name that a source tries.
type attempt struct {
	from netip.Prefix
	name string
}

// New is the desk's listener. Whatever is not a sign-in, an asset or a taste needs a session.
func New(o Options) http.Handler {
	s := &site{
		Options: o,
		source:  &throttle.Throttle[netip.Prefix]{Burst: TriesOfSource, Every: PerSource, Sources: 50_000, Now: o.Now},
		name:    &throttle.Throttle[attempt]{Burst: TriesOfName, Every: PerName, Sources: 50_000, Now: o.Now},
	}
	inside := http.NewServeMux()
	inside.HandleFunc("GET /{$}", s.home)
	inside.HandleFunc("POST /sign-out", s.signOut)
	inside.HandleFunc("GET /confirm", s.confirm)
	inside.HandleFunc("POST /confirm", s.confirm)
	for _, room := range o.Rooms {
		room.Routes(func(pattern string, h http.HandlerFunc) { inside.HandleFunc(pattern, h) })
	}
	inside.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		o.Kit.Fail(w, r, &page.Error{Status: http.StatusNotFound})
	})
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", o.Kit.Assets())
	mux.HandleFunc("GET /sign-in", s.signIn)
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("POST /taste", s.taste)
	mux.Handle("/", s.member(inside))
	return page.Guard(o.Secure, mux)
}

// member lets in who is signed in.
func (s *site) member(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := s.Sessions.Of(r)
		var ctx context.Context
		var who Person
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
		r = r.WithContext(page.With(withSession(ctx, v), page.Visit{User: &who.User, Token: v.Form}))
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !v.Carries(r.PostFormValue("form")) {
			s.Kit.Fail(w, r, &page.Error{Status: http.StatusForbidden, Words: s.Kit.Language(r).Say("common.error-stale")})
			return
		}
		next.ServeHTTP(w, r)
	})
}

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
