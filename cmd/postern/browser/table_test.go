package browser_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/access"
	"postern/cmd/postern/app"
	"postern/cmd/postern/browser"
	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
)

// row is what one route answers. Whoever is not among the roles gets 403; nobody signed in is
// led to the sign-in; a POST without the form token, or from another site, is 403 for all.
type row struct {
	roles  string // first letters of user, domain admin, Agent, lead, postmaster, auditor: "udAlpa"
	status int    // for them
	form   string // what a POST carries beside the token
	query  string
	others int  // for the other roles, where it is not 403
	open   bool // nobody needs to be signed in
}

const everybody = "udAlpa"

var letters = map[people.Role]string{people.Recipient: "u", people.DomainAdmin: "d", people.Agent: "A", people.Lead: "l", people.Postmaster: "p", people.Auditor: "a"}

// desk is all rooms over the calls of a gateway with empty stores.
type desk struct {
	*browser.Browser
	door  *access.Access
	calls *control.Server
	store *entities.Memory
	jars  map[people.Role][]*http.Cookie
	forms map[people.Role]string
}

const password = "correct horse battery"

// newDesk has somebody of each role signed in, all by default.
func newDesk(t *testing.T, roles ...people.Role) *desk {
	t.Helper()
	cfg := config.Default()
	cfg.Hostname, cfg.State = "mx.example.com", t.TempDir()+"/state"
	set, err := app.LoadRules("")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	g, err := gateway.Build(t.Context(), gateway.Options{Config: cfg, Rules: set, Log: log, Now: time.Now, Passive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.WithoutCancel(t.Context())) })
	audit := func(context.Context, string, string, string, any, any, string) error { return nil }
	d := &desk{calls: g.Calls(), store: &entities.Memory{}, jars: map[people.Role][]*http.Cookie{}, forms: map[people.Role]string{}}
	if d.door, err = browser.NewDoor(browser.Door{Config: cfg, Entities: d.store, Now: time.Now, Log: log, Audit: audit}); err != nil {
		t.Fatal(err)
	}
	if d.Browser, err = browser.New(browser.Parts{Calls: d.calls, Door: d.door, Config: cfg, Now: time.Now, Log: log, Audit: audit}); err != nil {
		t.Fatal(err)
	}
	if len(roles) == 0 {
		roles = people.Roles()
	}
	for _, role := range roles {
		d.signIn(t, role)
	}
	return d
}

func (d *desk) signIn(t *testing.T, role people.Role) {
	t.Helper()
	u := people.User{Name: "the-" + string(role), Role: role}
	switch role {
	case people.Recipient:
		u.Addresses = []string{"ann@example.com"}
	case people.DomainAdmin:
		u.Domains = []string{"example.com"}
	}
	if d.jars[role] == nil {
		if _, err := d.door.People.Add(t.Context(), "root", u, password); err != nil {
			t.Fatal(err)
		}
	}
	rec := d.ask(role, "POST", "/sign-in", url.Values{"name": {u.Name}, "password": {password}})
	if rec.Code != http.StatusSeeOther {
		t.Fatal(role, rec.Code, rec.Body)
	}
	d.jars[role] = rec.Result().Cookies()
	_, rest, _ := strings.Cut(d.ask(role, "GET", "/me", nil).Body.String(), `name="form" value="`)
	d.forms[role], _, _ = strings.Cut(rest, `"`)
}

// leaver is a reader who goes once something of a stream has come.
type leaver struct {
	*httptest.ResponseRecorder
	leave func()
}

func (l leaver) Flush() { l.ResponseRecorder.Flush(); l.leave() }

// ask asks as somebody of a role, "" for nobody.
func (d *desk) ask(role people.Role, method, path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://desk.example"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range d.jars[role] {
		r.AddCookie(c)
	}
	for _, f := range change {
		f(r)
	}
	ctx, cancel := context.WithCancel(r.Context())
	cancelled := r.WithContext(ctx)
	rec := httptest.NewRecorder()
	var to http.ResponseWriter = rec
	if path == "/live" { // a stream ends with its reader
		to = leaver{rec, cancel}
	}
	d.Desk.ServeHTTP(to, cancelled)
	cancel()
	return rec
}

var param = regexp.MustCompile(`\{[a-z.]+\}`)

func split(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.TrimSuffix(param.ReplaceAllString(strings.ReplaceAll(path, "{$}", ""), "x1"), "...")
}

// TestEveryRoute holds every route of every room against the table, for every role. A route
// without a row fails.
func TestEveryRoute(t *testing.T) {
	d := newDesk(t)
	routes := d.Routes()
	for _, gone := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(routes, gone) {
			t.Errorf("%s stands in the table and is no route", gone)
		}
	}
	for _, pattern := range routes {
		want, ok := table[pattern]
		if !ok {
			t.Errorf("no row for %s; as it answers now: %s", pattern, d.now(pattern))
			continue
		}
		for _, role := range append(people.Roles(), "") {
			d.holds(t, pattern, want, role)
		}
	}
}

func (d *desk) holds(t *testing.T, pattern string, want row, role people.Role) {
	t.Helper()
	method, path := split(pattern)
	path += want.query
	form, err := url.ParseQuery(want.form)
	if err != nil {
		t.Fatal(err)
	}
	status := want.status
	switch {
	case want.open:
	case role == "":
		status = http.StatusSeeOther
	case !strings.Contains(want.roles, letters[role]):
		if status = want.others; status == 0 {
			status = http.StatusForbidden
		}
	}
	if method != http.MethodGet {
		if !want.open {
			d.refused(t, pattern, path, role, form)
		}
		form.Set("form", d.forms[role])
		d.cross(t, pattern, path, role, form)
	} else {
		form = nil
	}
	rec := d.ask(role, method, path, form)
	if rec.Code != status {
		t.Errorf("%s as %q: %d, want %d: %.300s", pattern, role, rec.Code, status, rec.Body)
	}
	if to := rec.Header().Get("Location"); role == "" && !want.open && !strings.HasPrefix(to, "/sign-in") {
		t.Errorf("%s leads nobody to %q", pattern, to)
	}
	headers(t, pattern, rec)
	if pattern == "POST /sign-out" && role != "" {
		d.signIn(t, role)
	}
}

// refused sends forms that no page of the reader's carried.
func (d *desk) refused(t *testing.T, pattern, path string, role people.Role, form url.Values) {
	t.Helper()
	want := http.StatusForbidden
	if role == "" {
		want = http.StatusSeeOther
	}
	other := d.forms[people.Postmaster]
	if role == people.Postmaster {
		other = d.forms[people.Agent]
	}
	for name, token := range map[string]string{"no token": "", "the token of another": other, "a wrong token": "x"} {
		with := maps.Clone(form)
		if token != "" {
			with.Set("form", token)
		}
		if rec := d.ask(role, "POST", path, with); rec.Code != want {
			t.Errorf("%s as %q with %s: %d, want %d", pattern, role, name, rec.Code, want)
		}
	}
}

// cross sends the right form from elsewhere.
func (d *desk) cross(t *testing.T, pattern, path string, role people.Role, form url.Values) {
	t.Helper()
	for name, change := range map[string]func(*http.Request){
		"origin":      func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"null origin": func(r *http.Request) { r.Header.Set("Origin", "null") },
		"cross-site":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same-site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
	} {
		if rec := d.ask(role, "POST", path, form, change); rec.Code != http.StatusForbidden {
			t.Errorf("%s as %q from another site (%s): %d", pattern, role, name, rec.Code)
		}
	}
}

// headers are those of every answer.
func headers(t *testing.T, pattern string, rec *httptest.ResponseRecorder) {
	t.Helper()
	h := rec.Header()
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": ""} {
		if got := h.Get(name); got != want && (want != "" || got == "") {
			t.Errorf("%s: %s is %q", pattern, name, got)
		}
	}
	csp := h.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe-eval") || strings.Contains(csp, "script-src 'unsafe") || strings.Contains(csp, "*") {
		t.Errorf("%s: the policy is %q", pattern, csp)
	}
	if h.Get("Strict-Transport-Security") != "" {
		t.Errorf("%s speaks of TLS without any", pattern)
	}
	for _, c := range rec.Result().Cookies() {
		if !c.HttpOnly || c.SameSite == http.SameSiteNoneMode || c.SameSite == http.SameSiteDefaultMode {
			t.Errorf("%s: the cookie %s", pattern, c)
		}
	}
}

// now is how a route answers now, as a row of the table; look at it before it goes there.
func (d *desk) now(pattern string) string {
	method, path := split(pattern)
	if pattern == "POST /sign-out" {
		return ""
	}
	by := map[int]string{}
	for _, role := range people.Roles() {
		var form url.Values
		if method != http.MethodGet {
			form = url.Values{"form": {d.forms[role]}}
		}
		by[d.ask(role, method, path, form).Code] += letters[role]
	}
	return fmt.Sprintf("%v", by)
}
