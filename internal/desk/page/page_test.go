package page_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

type calls map[string]bool

func (c calls) May(_ context.Context, name string) bool      { return c[name] }
func (c calls) Call(context.Context, string, any, any) error { return errors.New("none") }
func clock() time.Time                                       { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }
func get(path string) *http.Request                          { return httptest.NewRequest(http.MethodGet, path, nil) }
func signedIn(r *http.Request, name, language string) *http.Request {
	return r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: name, Language: language}, Token: "tok"}))
}

func kit(t *testing.T) *page.Kit {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	k, err := page.New(page.Options{
		Words: book, Calls: calls{"seen": true}, Now: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Menu: []page.Item{{Key: "held", Path: "/held", Call: "seen"}, {Key: "people", Path: "/people", Call: "hidden"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestFrame(t *testing.T) {
	k := kit(t)
	w := httptest.NewRecorder()
	r := signedIn(get("/held?q=1"), "<olga>", "ru")
	k.Fail(w, r, &page.Error{Status: 404, Words: "<b>gone</b>"})
	body := w.Body.String()
	if w.Code != 404 || w.Header().Get("Content-Language") != "ru" || w.Header().Get("Cache-Control") != "no-store" {
		t.Error(w.Code, w.Header())
	}
	for _, want := range []string{`<html lang="ru">`, "Здесь ничего нет", "&lt;b&gt;gone", "&lt;olga&gt;", `href="/held"`, "Карантин", `value="/held?q=1"`, `value="tok"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, not := range []string{"/people", "<b>gone", "style=", "onclick", "<script>"} {
		if strings.Contains(body, not) {
			t.Errorf("the page has %s", not)
		}
	}
}

func TestFaultsAreNotTold(t *testing.T) {
	k := kit(t)
	w := httptest.NewRecorder()
	k.Fail(w, get("/"), errors.New("disk at /var/lib/postern"))
	if w.Code != 500 || strings.Contains(w.Body.String(), "/var/lib") || !strings.Contains(w.Body.String(), "log of the gateway") {
		t.Error(w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	k.Fail(w, get("/"), &page.Error{Status: 429, Again: 90 * time.Second})
	if w.Code != 429 || !strings.Contains(w.Body.String(), "Try again in 1 minute") {
		t.Error(w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	k.Show(w, get("/"), "no-such-page", page.View{})
	if w.Code != 500 {
		t.Error(w.Code)
	}
}

func TestPartsOfPages(t *testing.T) {
	k := kit(t)
	r := get("/x")
	r.Header.Set("HX-Request-Type", "partial")
	w := httptest.NewRecorder()
	k.Fail(w, r, &page.Error{Status: 403, Words: "no"})
	if b := w.Body.String(); strings.Contains(b, "<html") || !strings.Contains(b, "<h1>") {
		t.Error(b)
	}
}

func TestTaste(t *testing.T) {
	k := kit(t)
	form := url.Values{"language": {"el"}, "theme": {"dark"}}
	r := httptest.NewRequest(http.MethodPost, "/taste", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	k.Taste(w, r, true)
	again := signedIn(get("/"), "olga", "ru")
	for _, c := range w.Result().Cookies() {
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode {
			t.Errorf("%+v", c)
		}
		again.AddCookie(c)
	}
	w = httptest.NewRecorder()
	k.Fail(w, again, &page.Error{Status: 404})
	if b := w.Body.String(); !strings.Contains(b, `<html lang="el" data-theme="dark">`) {
		t.Error(b[:200])
	}
}

func TestLocal(t *testing.T) {
	for to, want := range map[string]string{
		"/held?q=a%20b": "/held?q=a%20b", "/": "/", "": "", "//evil.example": "", "https://evil.example/": "", "/\\evil.example": "", "/a\r\nb": "", "held": "", "javascript:alert(1)": "", "/%2f%2fevil": "/%2f%2fevil",
	} {
		if got := page.Local(to); got != want {
			t.Errorf("%q: %q", to, got)
		}
	}
}

func TestAssets(t *testing.T) {
	k := kit(t)
	w := httptest.NewRecorder()
	k.Fail(w, get("/"), &page.Error{Status: 404})
	_, rest, _ := strings.Cut(w.Body.String(), `href="/assets/`)
	name, _, _ := strings.Cut(rest, `"`)
	total := 0
	for _, file := range []string{"desk.css", "desk.js", "htmx.min.js", "icon.svg"} {
		r := get("/assets/" + name[:strings.IndexByte(name, '/')] + "/" + file)
		r.Header.Set("Accept-Encoding", "gzip, br")
		w := httptest.NewRecorder()
		k.Assets().ServeHTTP(w, r)
		if w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Error(file, w.Code, w.Header())
		}
		total += w.Body.Len()
	}
	if total > 30_000 {
		t.Errorf("all assets take %d octets compressed", total)
	}
	for _, bad := range []string{"/assets/x/desk.css", "/assets/", "/assets/../page.go", "/assets/" + name[:5] + "/none"} {
		w := httptest.NewRecorder()
		k.Assets().ServeHTTP(w, get(bad))
		if w.Code != 404 {
			t.Error(bad, w.Code)
		}
	}
}

func TestGuard(t *testing.T) {
	h := page.Guard(true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	}))
	ask := func(method, origin, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "https://desk.example/x", strings.NewReader(body))
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask("POST", "https://evil.example", ""); w.Code != 403 {
		t.Error("another site posts:", w.Code)
	}
	if w := ask("POST", "https://desk.example", ""); w.Code != 200 {
		t.Error("this site posts:", w.Code)
	}
	if w := ask("POST", "https://desk.example", strings.Repeat("x", page.MaxForm+1)); w.Code != 413 {
		t.Error("a body without end:", w.Code)
	}
	w := ask("GET", "", "")
	for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin"} {
		if !strings.Contains(w.Header().Get(name), want) {
			t.Errorf("%s: %q", name, w.Header().Get(name))
		}
	}
	if strings.Contains(w.Header().Get("Content-Security-Policy"), "unsafe") {
		t.Error("the policy lets in what is written into a page")
	}
}
