package site_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/provider"
	"postern/internal/desk/session"
	"postern/internal/desk/site"
	"postern/internal/desk/words"
	"postern/internal/mailtest/entities"
)

// people is a directory with one user.
type people struct {
	epoch    uint64
	gone     bool
	away     error
	password string
	factor   bool
	enrol    bool
	foreign  bool   // without a password
	code     string // the one that is good next
	link     string
}

func (p *people) person() site.Person {
	return site.Person{User: page.User{Name: "olga", Language: "en"}, Epoch: p.epoch, Factor: p.factor, Enrol: p.enrol, Secret: !p.foreign}
}

func (p *people) SignIn(_ context.Context, name, password string) (site.Person, error) {
	switch {
	case p.away != nil:
		return site.Person{}, p.away
	case name != "olga" || password != p.password || p.gone:
		return site.Person{}, site.ErrDenied
	}
	return p.person(), nil
}

func (p *people) Resume(ctx context.Context, _ string, epoch uint64) (context.Context, site.Person, error) {
	switch {
	case p.away != nil:
		return ctx, site.Person{}, p.away
	case p.gone || epoch != p.epoch:
		return ctx, site.Person{}, site.ErrDenied
	}
	return ctx, p.person(), nil
}

func (p *people) Code(_ context.Context, _, code string) error {
	if code != p.code || code == "" {
		return site.ErrDenied
	}
	p.code = ""
	return nil
}

func (p *people) Provided(_ context.Context, who provider.Identity) (site.Person, error) {
	if who.Email != "olga@example.com" {
		return site.Person{}, site.ErrDenied
	}
	return p.person(), nil
}

func (p *people) Invited(_ context.Context, token string) (string, error) {
	if token != p.link || token == "" {
		return "", site.ErrDenied
	}
	return "olga", p.away
}

func (p *people) Accept(_ context.Context, _, password string) error {
	if len(password) < 5 {
		return &page.Error{Status: 400, Words: "too short"}
	}
	p.link, p.password = "", password
	return nil
}

type none struct{ kit *page.Kit }

func (none) May(context.Context, string) bool             { return true }
func (none) Call(context.Context, string, any, any) error { return errors.New("none") }
func (n none) Routes(handle func(pattern string, h http.HandlerFunc)) {
	danger := func(w http.ResponseWriter, r *http.Request) {
		if !n.kit.Fresh(w, r) {
			return
		}
		if r.PostForm.Has(page.ConfirmPassword) || r.Form.Has(page.ConfirmPassword) {
			panic("the room sees the password")
		}
		_, _ = io.WriteString(w, "done to "+strings.Join(r.PostForm["id"], " "))
	}
	handle("GET /danger", danger)
	handle("POST /danger", danger)
	handle("GET /held", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "list of "+page.Of(r.Context()).User.Name)
	})
	handle("POST /held", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") })
}

// world is a desk, and a browser that keeps cookies.
type world struct {
	t      *testing.T
	now    time.Time
	people *people
	h      *site.Site
	kit    *page.Kit
	sess   *session.Sessions
	jar    map[string]*http.Cookie
	audit  []string
	from   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC), people: &people{epoch: 1, password: "right"}, jar: map[string]*http.Cookie{}, from: "192.0.2.1:1000"}
	now := func() time.Time { return w.now }
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: none{}, Now: now, Log: log, Menu: []page.Item{{Key: "held", Path: "/held", Call: "x"}}}, site.Pages)
	if err != nil {
		t.Fatal(err)
	}
	w.kit, w.sess = kit, session.New(&entities.Memory{}, now, false)
	w.open(site.Options{})
	return w
}

// open builds the desk, with what else o says.
func (w *world) open(o site.Options) {
	o.Kit, o.People, o.Sessions, o.Rooms = w.kit, w.people, w.sess, []site.Room{none{w.kit}}
	o.Home, o.Now, o.Log = func(context.Context) string { return "/held" }, func() time.Time { return w.now }, slog.New(slog.NewTextHandler(io.Discard, nil))
	o.Audit = func(_ context.Context, actor, action, _ string, _, _ any, _ string) error {
		w.audit = append(w.audit, actor+" "+action)
		return nil
	}
	w.h = site.New(o)
}

func (w *world) ask(method, path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://desk.example"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.RemoteAddr = w.from
	for _, c := range w.jar {
		r.AddCookie(c)
	}
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(w.jar, c.Name)
		} else {
			w.jar[c.Name] = c
		}
	}
	return rec
}

func (w *world) signIn(name, password string) *httptest.ResponseRecorder {
	return w.ask("POST", "/sign-in", url.Values{"name": {name}, "password": {password}})
}

// token is what the forms of a page carry.
func token(body string) string {
	_, rest, _ := strings.Cut(body, `name="form" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	return token
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	if r := w.ask("GET", "/held?q=a+b", nil); r.Code != 303 || r.Header().Get("Location") != "/sign-in?to=%2Fheld%3Fq%3Da%2Bb" {
		t.Error(r.Code, r.Header())
	}
	if r := w.ask("GET", "/sign-in?to=/held", nil); r.Code != 200 || !strings.Contains(r.Body.String(), `name="to" value="/held"`) {
		t.Error(r.Code, r.Body)
	}
	if r := w.signIn("olga", "wrong"); r.Code != 403 || !strings.Contains(r.Body.String(), "is wrong") || len(w.jar) != 0 {
		t.Error(r.Code, w.jar)
	}
	for to, want := range map[string]string{"/held?q=1": "/held?q=1", "https://evil.example/": "/", "": "/"} {
		if r := w.ask("POST", "/sign-in", url.Values{"name": {" OLGA "}, "password": {"right"}, "to": {to}}); r.Code != 303 || r.Header().Get("Location") != want {
			t.Errorf("%q: %d %v", to, r.Code, r.Header())
		}
	}
	if r := w.ask("GET", "/", nil); r.Code != 303 || r.Header().Get("Location") != "/held" {
		t.Error(r.Code, r.Header())
	}
	if r := w.ask("GET", "/held", nil); r.Code != 200 || r.Body.String() != "list of olga" {
		t.Error(r.Code, r.Body)
	}
	if r := w.ask("GET", "/nowhere", nil); r.Code != 404 {
		t.Error(r.Code)
	}
	form := token(w.ask("GET", "/nowhere", nil).Body.String())
	if r := w.ask("POST", "/sign-out", url.Values{"form": {form}}); r.Code != 303 || w.ask("GET", "/held", nil).Code != 303 {
		t.Error(r.Code)
	}
	if want := []string{"stranger sign-in-refused", "olga sign-in", "olga sign-in", "olga sign-in"}; !slices.Equal(w.audit, want) {
		t.Error(w.audit)
	}
}

// TestForms has requests that change something: those of other sites and those without what
// forms carry do nothing.
func TestForms(t *testing.T) {
	w := newWorld(t)
	w.signIn("olga", "right")
	form := token(w.ask("GET", "/nowhere", nil).Body.String())
	for name, c := range map[string]struct {
		form   url.Values
		origin string
		status int
	}{
		"of the page":      {url.Values{"form": {form}}, "http://desk.example", 200},
		"of a program":     {url.Values{"form": {form}}, "", 200},
		"without":          {url.Values{"x": {"y"}}, "http://desk.example", 403},
		"of another":       {url.Values{"form": {form + "x"}}, "http://desk.example", 403},
		"of another site":  {url.Values{"form": {form}}, "http://evil.example", 403},
		"of a null origin": {url.Values{"form": {form}}, "null", 403},
	} {
		r := w.ask("POST", "/held", c.form, func(r *http.Request) {
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
		})
		if r.Code != c.status {
			t.Errorf("%s: %d, want %d", name, r.Code, c.status)
		}
	}
	if r := w.ask("POST", "/held", url.Values{}, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }); r.Code != 403 {
		t.Error("a body that is no form:", r.Code)
	}
	if r := w.ask("POST", "/sign-in", url.Values{"name": {"olga"}, "password": {"right"}}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); r.Code != 403 {
		t.Error("another site signs in:", r.Code)
	}
}

// TestRightsEnd has a user changed while signed in.
func TestRightsEnd(t *testing.T) {
	for name, change := range map[string]func(*people){"password": func(p *people) { p.epoch++ }, "removed": func(p *people) { p.gone = true }} {
		w := newWorld(t)
		w.signIn("olga", "right")
		change(w.people)
		if r := w.ask("GET", "/held", nil); r.Code != 303 || !strings.Contains(r.Header().Get("Location"), "why=ended") || len(w.jar) != 0 {
			t.Error(name, r.Code, r.Header(), w.jar)
		}
	}
	w := newWorld(t)
	w.signIn("olga", "right")
	w.people.away = errors.New("redis is away")
	if r := w.ask("GET", "/held", nil); r.Code != 503 || strings.Contains(r.Body.String(), "redis") || len(w.jar) != 1 {
		t.Error("the store away:", r.Code)
	}
	w.people.away = nil
	if r := w.ask("GET", "/held", nil, func(r *http.Request) { r.Header.Set("HX-Request", "true") }); r.Code != 200 {
		t.Error(r.Code)
	}
	w.now = w.now.Add(session.Idle)
	if r := w.ask("GET", "/held", nil, func(r *http.Request) { r.Header.Set("HX-Request", "true") }); r.Code != 401 || r.Header().Get("HX-Redirect") != "/sign-in" {
		t.Error("in the background:", r.Code, r.Header())
	}
}

// TestGuessing has passwords tried: names that there are and names that there are not look the
// same, and both are slowed down.
func TestGuessing(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"olga", "nobody"} {
		for i := range site.TriesOfName + 2 {
			r := w.signIn(name, "wrong")
			want := 403
			if i >= site.TriesOfName {
				want = 429
			}
			if r.Code != want {
				t.Errorf("%s, try %d: %d, want %d", name, i, r.Code, want)
			}
		}
	}
	if r := w.signIn("olga", "right"); r.Code != 429 {
		t.Error("the right password gets through while the name is slowed down:", r.Code)
	}
	w.from = "198.51.100.7:1"
	if r := w.signIn("olga", "right"); r.Code != 303 {
		t.Error("another place is slowed down as well:", r.Code)
	}
	w.from = "192.0.2.1:1"
	w.now = w.now.Add(site.PerName)
	if r := w.signIn("olga", "right"); r.Code != 303 {
		t.Error("not let in after the wait:", r.Code)
	}
	for i := range 40 {
		w.signIn(strings.Repeat("x", i+1), "wrong")
	}
	if r := w.signIn("ivan", "wrong"); r.Code != 429 {
		t.Error("a source tries names without end:", r.Code)
	}
}

// TestConfirm has a dangerous act: the form comes back with what was to be done, and the act is
// done once the password is right.
func TestConfirm(t *testing.T) {
	w := newWorld(t)
	w.signIn("olga", "right")
	form := token(w.ask("GET", "/nowhere", nil).Body.String())
	act := url.Values{"form": {form}, "id": {"one", "<two>"}, "back": {"/held"}}
	if r := w.ask("POST", "/danger", act); r.Code != 200 || r.Body.String() != "done to one <two>" {
		t.Error("just signed in:", r.Code, r.Body)
	}
	w.now = w.now.Add(session.Fresh)
	r := w.ask("POST", "/danger", act)
	for _, want := range []string{`action="/danger"`, `name="id" value="one"`, `name="id" value="&lt;two&gt;"`, `name="back" value="/held"`, `name="form" value="` + form, `href="/held"`} {
		if r.Code != 403 || !strings.Contains(r.Body.String(), want) {
			t.Errorf("%d: no %s in %s", r.Code, want, r.Body)
		}
	}
	act.Set(page.ConfirmPassword, "wrong")
	if r := w.ask("POST", "/danger", act); r.Code != 403 || !strings.Contains(r.Body.String(), `name="id" value="one"`) || !strings.Contains(r.Body.String(), "is wrong") || strings.Contains(r.Body.String(), `value="wrong"`) {
		t.Error(r.Code, r.Body)
	}
	act.Set(page.ConfirmPassword, "right")
	if r := w.ask("POST", "/danger", act, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }); r.Code != 403 {
		t.Error("another site confirms:", r.Code)
	}
	if r := w.ask("POST", "/danger", act); r.Code != 200 || r.Body.String() != "done to one <two>" {
		t.Error(r.Code, r.Body)
	}
	act.Del(page.ConfirmPassword)
	if r := w.ask("POST", "/danger", act); r.Code != 200 {
		t.Error("asked again:", r.Code)
	}
	w.now = w.now.Add(session.Fresh)
	if r := w.ask("GET", "/danger?a=b", nil); r.Code != 303 || r.Header().Get("Location") != "/confirm?to=%2Fdanger%3Fa%3Db" {
		t.Error(r.Code, r.Header())
	}
	if r := w.ask("GET", "/confirm?to=%2Fdanger%3Fa%3Db", nil); r.Code != 200 || !strings.Contains(r.Body.String(), `action="/confirm?to=%2Fdanger%3Fa%3Db"`) {
		t.Error(r.Code, r.Body)
	}
	if r := w.ask("POST", "/confirm?to=%2Fdanger%3Fa%3Db", url.Values{"form": {form}, page.ConfirmPassword: {"right"}}); r.Code != 303 || r.Header().Get("Location") != "/danger?a=b" {
		t.Error(r.Code, r.Header())
	}
	if r := w.ask("POST", "/confirm?to=//evil.example/", url.Values{"form": {form}, page.ConfirmPassword: {"right"}}); r.Code != 303 || r.Header().Get("Location") != "/" {
		t.Error(r.Code, r.Header())
	}
}

func TestTaste(t *testing.T) {
	w := newWorld(t)
	if r := w.ask("POST", "/taste", url.Values{"language": {"zh-CN"}, "back": {"/sign-in?to=/held"}}); r.Code != 303 || r.Header().Get("Location") != "/sign-in?to=/held" {
		t.Error(r.Code, r.Header())
	}
	if r := w.ask("GET", "/sign-in", nil); !strings.Contains(r.Body.String(), `<html lang="zh-CN">`) || !strings.Contains(r.Body.String(), "密码") {
		t.Error(r.Body)
	}
}
