package site_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/provider"
	"postern/internal/desk/session"
	"postern/internal/desk/site"
)

// TestSecondStep has somebody with a second factor.
func TestSecondStep(t *testing.T) {
	w := newWorld(t)
	w.people.factor, w.people.code = true, "123456"
	r := w.ask("POST", "/sign-in", url.Values{"name": {"olga"}, "password": {"right"}, "to": {"/held?q=1"}})
	if r.Code != 303 || r.Header().Get("Location") != "/sign-in/code?to=%2Fheld%3Fq%3D1" {
		t.Fatal(r.Code, r.Header())
	}
	half := w.jar["postern"].Value
	for _, path := range []string{"/held", "/", "/confirm", "/nowhere"} {
		if r := w.ask("GET", path, nil); r.Code != 303 || !strings.HasPrefix(r.Header().Get("Location"), "/sign-in") {
			t.Errorf("%s is open after the password alone: %d", path, r.Code)
		}
	}
	if r := w.ask("GET", "/sign-in/code?to=/held", nil); r.Code != 200 || !strings.Contains(r.Body.String(), `autocomplete="one-time-code"`) {
		t.Error(r.Code, r.Body)
	}
	if r := w.ask("POST", "/sign-in/code", url.Values{"code": {"000000"}}); r.Code != 403 || !strings.Contains(r.Body.String(), "used already") {
		t.Error(r.Code, r.Body)
	}
	if r := w.ask("POST", "/sign-in/code", url.Values{"code": {"123456"}}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); r.Code != 403 {
		t.Error("another site gives the code:", r.Code)
	}
	if r := w.ask("POST", "/sign-in/code", url.Values{"code": {"123456"}, "to": {"/held?q=1"}}); r.Code != 303 || r.Header().Get("Location") != "/held?q=1" || w.jar["postern"].Value == half {
		t.Error(r.Code, r.Header())
	}
	if r := w.ask("GET", "/held", nil); r.Code != 200 {
		t.Error(r.Code)
	}
	if want := []string{"olga code-refused", "olga sign-in"}; !slices.Equal(w.audit, want) {
		t.Error(w.audit)
	}
	// The question of dangerous acts wants both.
	form := token(w.ask("GET", "/nowhere", nil).Body.String())
	w.now, w.people.code = w.now.Add(session.Fresh), "654321"
	if r := w.ask("POST", "/danger", url.Values{"form": {form}}); r.Code != 403 || !strings.Contains(r.Body.String(), `name="confirm-code"`) {
		t.Error(r.Code, r.Body)
	}
	if r := w.ask("POST", "/danger", url.Values{"form": {form}, page.ConfirmPassword: {"right"}}); r.Code != 403 {
		t.Error("without the code:", r.Code)
	}
	if r := w.ask("POST", "/danger", url.Values{"form": {form}, page.ConfirmPassword: {"right"}, page.ConfirmCode: {"654321"}}); r.Code != 200 {
		t.Error(r.Code, r.Body)
	}
}

// TestCodesAreSlow has codes guessed from everywhere, by somebody with the password.
func TestCodesAreSlow(t *testing.T) {
	w := newWorld(t)
	w.people.factor, w.people.code = true, "123456"
	for i := range site.TriesOfCode {
		w.from = fmt.Sprintf("192.0.2.%d:1", i+1)
		w.signIn("olga", "right")
		if r := w.ask("POST", "/sign-in/code", url.Values{"code": {"000000"}}); r.Code != 403 {
			t.Error(i, r.Code)
		}
	}
	if r := w.ask("POST", "/sign-in/code", url.Values{"code": {"123456"}}); r.Code != 429 {
		t.Error("the code gets through while the name is slowed down:", r.Code)
	}
	w.now = w.now.Add(site.PerCode)
	w.signIn("olga", "right")
	if r := w.ask("POST", "/sign-in/code", url.Values{"code": {"123456"}}); r.Code != 303 {
		t.Error(r.Code)
	}
	w.people.code = "777777"
	w.signIn("olga", "right")
	w.now = w.now.Add(session.Half)
	if r := w.ask("POST", "/sign-in/code", url.Values{"code": {"777777"}}); r.Code != 303 || r.Header().Get("Location") != "/sign-in" || w.ask("GET", "/held", nil).Code != 303 {
		t.Error("the code counts long after the password:", r.Code, r.Header())
	}
}

// TestMustEnrol has somebody whose role needs a second factor.
func TestMustEnrol(t *testing.T) {
	w := newWorld(t)
	w.people.enrol = true
	w.signIn("olga", "right")
	for _, path := range []string{"/held", "/", "/confirm"} {
		if r := w.ask("GET", path, nil); r.Code != 303 || r.Header().Get("Location") != site.Enrol {
			t.Errorf("%s: %d %v", path, r.Code, r.Header())
		}
	}
	if r := w.ask("GET", site.Enrol, nil); r.Code != 404 || strings.Contains(r.Body.String(), "<nav") {
		t.Error(r.Code, r.Body) // there is no such room in this test
	}
	w.people.enrol = false
	if r := w.ask("GET", "/held", nil); r.Code != 200 {
		t.Error(r.Code)
	}
}

// elsewhere is a provider that says who it is told.
type elsewhere struct {
	silent bool
	err    error
	again  bool
	email  string
}

func (e *elsewhere) Name() string { return "Company" }
func (e *elsewhere) Ready() bool  { return !e.silent }
func (e *elsewhere) Begin(to string, again bool) (string, string, error) {
	if e.silent {
		return "", "", provider.ErrSilent
	}
	e.again = again
	return "https://id.example/?x=y", "kept " + to, nil
}

func (e *elsewhere) Finish(_ context.Context, kept string, _ url.Values) (provider.Identity, provider.Trip, error) {
	to, ok := strings.CutPrefix(kept, "kept ")
	if !ok {
		return provider.Identity{}, provider.Trip{}, provider.ErrRefused
	}
	return provider.Identity{Subject: "s", Email: e.email}, provider.Trip{To: to, Again: e.again}, e.err
}

func TestProvider(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/sign-in/provider", "/sign-in/provider/back"} {
		if r := w.ask("GET", path, nil); r.Code != 404 {
			t.Error("there is no provider:", r.Code)
		}
	}
	e := &elsewhere{silent: true, email: "olga@example.com"}
	w.open(site.Options{Provider: e})
	if r := w.ask("GET", "/sign-in", nil); !strings.Contains(r.Body.String(), "Company does not answer") {
		t.Error(r.Body)
	}
	if r := w.ask("GET", "/sign-in/provider", nil); r.Code != 303 || r.Header().Get("Location") != "/sign-in?why=silent" {
		t.Error(r.Code, r.Header())
	}
	if r := w.signIn("olga", "right"); r.Code != 303 {
		t.Error("a silent provider keeps people with a password out:", r.Code)
	}
	clear(w.jar)
	e.silent = false
	if r := w.ask("GET", "/sign-in?to=/held", nil); !strings.Contains(r.Body.String(), `href="/sign-in/provider?to=%2Fheld"`) {
		t.Error(r.Body)
	}
	trip := func(query string) string {
		t.Helper()
		if r := w.ask("GET", "/sign-in/provider"+query, nil); r.Code != 303 || r.Header().Get("Location") != "https://id.example/?x=y" || w.jar["postern-trip"] == nil {
			t.Fatal(r.Code, r.Header())
		}
		r := w.ask("GET", "/sign-in/provider/back?code=c&state=s", nil)
		if r.Code != 303 || w.jar["postern-trip"] != nil {
			t.Error(r.Code, w.jar)
		}
		return r.Header().Get("Location")
	}
	for to, want := range map[string]string{"?to=/held?q=1": "/held?q=1", "": "/", "?to=//evil.example/": "/", "?to=https://evil.example/": "/"} {
		if got := trip(to); got != want {
			t.Errorf("%s: %s", to, got)
		}
	}
	if r := w.ask("GET", "/held", nil); r.Code != 200 {
		t.Error(r.Code)
	}
	clear(w.jar)
	if r := w.ask("GET", "/sign-in/provider/back?code=c", nil); r.Header().Get("Location") != "/sign-in?why=refused" {
		t.Error("without a trip:", r.Header())
	}
	e.email = "other@example.com"
	if got := trip(""); got != "/sign-in?why=refused" || w.jar["postern"] != nil {
		t.Error("a stranger:", got)
	}
	e.email, e.err = "olga@example.com", provider.ErrSilent
	if got := trip(""); got != "/sign-in?why=silent" || w.jar["postern"] != nil {
		t.Error(got)
	}
}

// TestConfirmElsewhere has somebody without a password do something dangerous.
func TestConfirmElsewhere(t *testing.T) {
	w := newWorld(t)
	w.people.foreign = true
	w.open(site.Options{Provider: &elsewhere{email: "olga@example.com"}})
	w.ask("GET", "/sign-in/provider", nil)
	w.ask("GET", "/sign-in/provider/back", nil)
	form := token(w.ask("GET", "/nowhere", nil).Body.String())
	w.now = w.now.Add(session.Fresh)
	act := url.Values{"form": {form}, "id": {"one"}}
	r := w.ask("POST", "/danger", act)
	if r.Code != 403 || strings.Contains(r.Body.String(), `type="password"`) || !strings.Contains(r.Body.String(), `href="/sign-in/provider?again=1&amp;to=%2Fconfirm%2Fdone"`) || !strings.Contains(r.Body.String(), `name="id" value="one"`) {
		t.Error(r.Code, r.Body)
	}
	w.ask("GET", "/sign-in/provider?again=1&to=%2Fconfirm%2Fdone", nil)
	if r := w.ask("GET", "/sign-in/provider/back", nil); r.Header().Get("Location") != "/confirm/done" {
		t.Error(r.Header())
	}
	if r := w.ask("GET", "/confirm/done", nil); r.Code != 200 {
		t.Error(r.Code)
	}
	if r := w.ask("POST", "/danger", act); r.Code != 200 || r.Body.String() != "done to one" {
		t.Error("the form of before:", r.Code, r.Body)
	}
}

func TestWelcome(t *testing.T) {
	w := newWorld(t)
	w.people.link = "abc"
	if r := w.ask("GET", "/welcome/abc", nil); r.Code != 200 || !strings.Contains(r.Body.String(), "Welcome, olga") || r.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Error(r.Code, r.Body)
	}
	if r := w.ask("POST", "/welcome/abc", url.Values{"password": {"one"}, "again": {"two"}}); r.Code != 400 || !strings.Contains(r.Body.String(), "not the same") {
		t.Error(r.Code, r.Body)
	}
	if r := w.ask("POST", "/welcome/abc", url.Values{"password": {"one"}, "again": {"one"}}); r.Code != 400 || !strings.Contains(r.Body.String(), "too short") {
		t.Error(r.Code, r.Body)
	}
	if r := w.ask("POST", "/welcome/abc", url.Values{"password": {"long enough"}, "again": {"long enough"}}); r.Code != 303 || r.Header().Get("Location") != "/sign-in?why=set" {
		t.Error(r.Code, r.Header())
	}
	if r := w.ask("GET", "/welcome/abc", nil); r.Code != 303 || r.Header().Get("Location") != "/sign-in?why=link" {
		t.Error("again:", r.Code, r.Header())
	}
	if r := w.signIn("olga", "long enough"); r.Code != 303 {
		t.Error(r.Code)
	}
	for range site.TriesOfSource {
		w.ask("GET", "/welcome/guess", nil)
	}
	if r := w.ask("GET", "/welcome/guess", nil); r.Code != 429 {
		t.Error("links are guessed without end:", r.Code)
	}
}

// TestBehindProxies has readers behind a proxy: each is counted as itself, and claims count for
// nothing.
func TestBehindProxies(t *testing.T) {
	w := newWorld(t)
	w.open(site.Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	w.from = "10.0.0.1:5"
	by := func(forwarded, password string) int {
		return w.ask("POST", "/sign-in", url.Values{"name": {"olga"}, "password": {password}}, func(r *http.Request) { r.Header.Set("X-Forwarded-For", forwarded) }).Code
	}
	for i := range site.TriesOfName {
		if got := by(fmt.Sprintf("203.0.113.%d, 198.51.100.7", i), "wrong"); got != 403 {
			t.Error(i, got)
		}
	}
	if got := by("203.0.113.200, 198.51.100.7", "right"); got != 429 {
		t.Error("whoever claims another address each time is not slowed down:", got)
	}
	if got := by("198.51.100.8", "right"); got != 303 {
		t.Error("one reader slows another one behind the same proxy down:", got)
	}
	all, err := w.sess.List(t.Context(), "olga")
	if err != nil || len(all) != 1 || all[0].From != "198.51.100.8" {
		t.Error(all, err)
	}
	w.from = "192.0.2.1:5"
	for i := range site.TriesOfName + 1 {
		if got := by(fmt.Sprintf("203.0.113.%d", i), "wrong"); got != 403 && i < site.TriesOfName || got != 429 && i == site.TriesOfName {
			t.Error("a stranger's claim counts:", i, got)
		}
	}
}

// TestNoEnumeration compares what is said of a name that there is with what is said of one that
// there is not: status, headers and body are the same but for the name itself.
func TestNoEnumeration(t *testing.T) {
	w := newWorld(t)
	said := func(name string) (all []string) {
		w.from = map[string]string{"olga": "192.0.2.1:1", "igor": "192.0.2.2:1"}[name]
		for range site.TriesOfName + 1 {
			r := w.signIn(name, "wrong")
			all = append(all, fmt.Sprint(r.Code, r.Header(), strings.ReplaceAll(r.Body.String(), name, "NAME")))
		}
		return all
	}
	if known, unknown := said("olga"), said("igor"); !slices.Equal(known, unknown) {
		t.Errorf("told apart:\n%s\n%s", known, unknown)
	}
	w.people.gone = true
	w.from = "192.0.2.3:1"
	w.now = w.now.Add(time.Hour)
	if r := w.signIn("olga", "right"); r.Code != 403 || !strings.Contains(r.Body.String(), "is wrong") {
		t.Error("a disabled user is told apart:", r.Code)
	}
}
