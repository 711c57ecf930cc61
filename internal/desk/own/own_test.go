package own_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/own"
	"postern/internal/desk/page"
	"postern/internal/desk/provider"
	"postern/internal/desk/session"
	"postern/internal/desk/site"
	"postern/internal/desk/words"
	"postern/internal/mailtest/entities"
)

// account is olga's.
type account struct {
	is    own.Me
	epoch uint64
	offer bool
	away  error
}

func (a *account) person() site.Person {
	return site.Person{User: page.User{Name: "olga", Language: a.is.Language}, Epoch: a.epoch, Secret: true}
}

func (a *account) SignIn(_ context.Context, _, password string) (site.Person, error) {
	if password != "right" {
		return site.Person{}, site.ErrDenied
	}
	return a.person(), nil
}

func (a *account) Resume(ctx context.Context, _ string, epoch uint64) (context.Context, site.Person, error) {
	if epoch != a.epoch {
		return ctx, site.Person{}, site.ErrDenied
	}
	return ctx, a.person(), nil
}

func (*account) Code(context.Context, string, string) error { return site.ErrDenied }

func (*account) Provided(context.Context, provider.Identity) (site.Person, error) {
	return site.Person{}, site.ErrDenied
}

func (*account) Invited(context.Context, string) (string, error) { return "", site.ErrDenied }
func (*account) Accept(context.Context, string, string) error    { return site.ErrDenied }

func (a *account) Me(context.Context, string) (own.Me, error) { return a.is, a.away }

func (a *account) SetPassword(_ context.Context, _, password string) (uint64, error) {
	if len(password) < 12 {
		return 0, &page.Error{Status: 400, Words: "too <short>"}
	}
	a.epoch++
	return a.epoch, nil
}

func (a *account) SetLanguage(_ context.Context, _, language string) error {
	a.is.Language = language
	return nil
}

func (a *account) BeginFactor(context.Context, string) error {
	a.offer = true
	return nil
}

func (a *account) Offer(context.Context, string) (own.Offer, error) {
	if !a.offer {
		return own.Offer{}, &page.Error{Status: 409}
	}
	return own.Offer{Secret: "ABCD EFGH", Picture: "data:image/png;base64,AAAA"}, nil
}

func (a *account) ConfirmFactor(_ context.Context, _, code string) ([]string, error) {
	if code != "123456" {
		return nil, site.ErrDenied
	}
	a.offer, a.is.Factor, a.is.Left = false, true, 10
	return []string{"aaaa-bbbb", "cccc-dddd"}, nil
}

func (a *account) DropFactor(context.Context, string) error {
	a.is.Factor = false
	return nil
}

type none struct{}

func (none) May(context.Context, string) bool             { return true }
func (none) Call(context.Context, string, any, any) error { return errors.New("none") }

// world is a desk with that room alone, and browsers that keep cookies.
type world struct {
	t    *testing.T
	now  time.Time
	is   *account
	h    http.Handler
	jars map[string]map[string]*http.Cookie
	who  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC), is: &account{epoch: 1}, jars: map[string]map[string]*http.Cookie{}, who: "here"}
	w.is.is = own.Me{Name: "olga", Role: "abuse-lead", Email: "olga@example.com", Password: true}
	now, log := func() time.Time { return w.now }, slog.New(slog.NewTextHandler(io.Discard, nil))
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: none{}, Now: now, Log: log}, site.Pages, own.Pages)
	if err != nil {
		t.Fatal(err)
	}
	sessions := session.New(&entities.Memory{}, now, false)
	w.h = site.New(site.Options{
		Kit: kit, People: w.is, Sessions: sessions, Rooms: []site.Room{&own.Room{Kit: kit, Account: w.is, Sessions: sessions}}, Proxies: []netip.Prefix{},
		Home: func(context.Context) string { return "/me" }, Now: now, Log: log, Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
	})
	w.signIn("here")
	return w
}

func (w *world) signIn(browser string) {
	w.t.Helper()
	w.who = browser
	if r := w.ask("POST", "/sign-in", url.Values{"name": {"olga"}, "password": {"right"}}); r.Code != 303 {
		w.t.Fatal(r.Code)
	}
}

func (w *world) ask(method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://desk.example"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("User-Agent", "Browser <b>"+w.who)
	jar := w.jars[w.who]
	if jar == nil {
		jar = map[string]*http.Cookie{}
		w.jars[w.who] = jar
	}
	for _, c := range jar {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		jar[c.Name] = c
		if c.MaxAge < 0 {
			delete(jar, c.Name)
		}
	}
	return rec
}

// send sends a form of the page.
func (w *world) send(path string, nameValues ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	_, rest, _ := strings.Cut(w.ask("GET", "/me", nil).Body.String(), `name="form" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	form := url.Values{"form": {token}}
	for i := 0; i+1 < len(nameValues); i += 2 {
		form.Set(nameValues[i], nameValues[i+1])
	}
	return w.ask("POST", path, form)
}

// expect fails unless the answer has that status and says, or leads to, all of that.
func (w *world) expect(r *httptest.ResponseRecorder, status int, says ...string) {
	w.t.Helper()
	text := r.Header().Get("Location") + "\n" + r.Body.String()
	if r.Code != status {
		w.t.Errorf("%d, want %d: %s", r.Code, status, text)
	}
	for _, s := range says {
		if !strings.Contains(text, s) {
			w.t.Errorf("%q is not in %s", s, text)
		}
	}
}

func TestMe(t *testing.T) {
	w := newWorld(t)
	w.expect(w.ask("GET", "/me", nil), 200, "olga@example.com", "abuse lead", "not in use", "Browser &lt;b&gt;here", "this one", "192.0.2.1")
	w.expect(w.send("/me/language", "language", "el"), 303, "/me?done=language")
	w.expect(w.ask("GET", "/me?done=language", nil), 200, "Ο λογαριασμός σας", `<html lang="el">`)
	w.expect(w.send("/me/language", "language", "tlh"), 400)
	w.is.away = errors.New("redis is away")
	if r := w.ask("GET", "/me", nil); r.Code != 500 || strings.Contains(r.Body.String(), "redis") {
		t.Error(r.Code, r.Body)
	}
	w.expect(w.ask("GET", site.Enrol, nil), 500)
}

// TestPassword has a password changed: this browser stays signed in, all others do not.
func TestPassword(t *testing.T) {
	w := newWorld(t)
	w.signIn("elsewhere")
	w.who = "here"
	w.expect(w.send("/me/password", "password", "one", "again", "two"), 400, "not the same")
	w.expect(w.send("/me/password", "password", "short", "again", "short"), 400, "too &lt;short&gt;")
	before := w.jars["here"]["postern"].Value
	w.now = w.now.Add(session.Fresh)
	w.expect(w.send("/me/password", "password", "a long enough one", "again", "a long enough one"), 403, "confirm-password", `name="again"`)
	w.expect(w.send("/me/password", "password", "a long enough one", "again", "a long enough one", page.ConfirmPassword, "right"), 303, "/me?done=password")
	if w.jars["here"]["postern"].Value == before {
		t.Error("the cookie is the old one")
	}
	w.expect(w.ask("GET", "/me?done=password", nil), 200, "Your password is changed")
	w.who = "elsewhere"
	w.expect(w.ask("GET", "/me", nil), 303, "/sign-in?")
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	w.signIn("phone")
	w.signIn("tablet")
	w.who = "here"
	_, rest, _ := strings.Cut(w.ask("GET", "/me", nil).Body.String(), `name="id" value="`)
	id, _, _ := strings.Cut(rest, `"`)
	w.expect(w.send("/me/sessions", "id", id), 303, "done=sessions")
	in := func() (n int) {
		for _, who := range []string{"phone", "tablet"} {
			w.who = who
			if w.ask("GET", "/me", nil).Code == 200 {
				n++
			}
		}
		w.who = "here"
		return n
	}
	if n := in(); n != 1 {
		t.Errorf("%d of two are signed in after one was ended", n)
	}
	w.expect(w.send("/me/sessions"), 303)
	if n := in(); n != 0 {
		t.Errorf("%d are signed in", n)
	}
	w.expect(w.ask("GET", "/me", nil), 200)
}

func TestFactor(t *testing.T) {
	w := newWorld(t)
	w.signIn("elsewhere")
	w.who = "here"
	w.expect(w.ask("GET", site.Enrol, nil), 200, `value="begin"`)
	w.expect(w.send(site.Enrol, "act", "sing"), 400)
	w.expect(w.send(site.Enrol, "act", "begin"), 303, site.Enrol)
	w.expect(w.ask("GET", site.Enrol, nil), 200, `src="data:image/png;base64,AAAA"`, "ABCD EFGH")
	w.expect(w.send(site.Enrol, "act", "confirm", "code", "000000"), 403, "That was not the code", "ABCD EFGH")
	w.expect(w.send(site.Enrol, "act", "confirm", "code", "123456"), 200, "aaaa-bbbb", "cccc-dddd")
	w.who = "elsewhere"
	w.expect(w.ask("GET", "/me", nil), 303)
	w.who = "here"
	w.expect(w.ask("GET", "/me", nil), 200, "in force", "10 recovery codes")
	w.is.is.Needs = true
	if r := w.ask("GET", "/me", nil); strings.Contains(r.Body.String(), `value="drop"`) {
		t.Error("what the role needs can be dropped")
	}
	w.expect(w.send(site.Enrol, "act", "drop"), 409, "Your role needs it")
	w.is.is.Needs = false
	w.now = w.now.Add(session.Fresh)
	w.expect(w.send(site.Enrol, "act", "drop"), 403, "confirm-password")
	w.expect(w.send(site.Enrol, "act", "drop", page.ConfirmPassword, "right"), 303, "factor-off")
	if w.is.is.Factor {
		t.Error("it is still there")
	}
}
