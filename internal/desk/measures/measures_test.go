package measures_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/measures"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

const evil = `"><script>alert(1)</script>`

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// gateway answers the calls of the pages.
type gateway struct {
	deny map[string]bool
	fail map[string]error
	made []string
}

func (g *gateway) May(_ context.Context, name string) bool { return !g.deny[name] }

func (g *gateway) Call(_ context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	g.made = append(g.made, name+" "+string(raw))
	if err := g.fail[name]; err != nil {
		return err
	}
	one := map[string]any{
		"id": "m-1", "target": "anna@example.com", "level": 1, "state": "active", "reason": evil, "actor": "olga", "case": "A-2026-000001", "at": clock().Add(-time.Hour), "until": clock().Add(time.Hour), "review": clock(),
		"rules": []string{"volume"}, "score": 40, "messages": 20, "recipients": 30, "connectors": []any{map[string]any{"name": "dovecot", "required": true, "failure": evil}, map[string]any{"name": "x", "verified": true}},
	}
	over := map[string]any{"id": "m-2", "target": "anna@example.com", "level": 3, "state": "removed", "auto": true, "ended": map[string]any{"at": clock(), "actor": "olga", "reason": evil, "cleared": true}, "released": 3, "approver": "lea"}
	var out any
	var p struct{ ID, Level, Domain string }
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	switch {
	case name == "measure.list":
		out = map[string]any{"measures": []any{one, over}}
	case name == "measure.show" && p.ID == "m-2":
		out = over
	case name == "measure.show" && p.ID == "none":
		return &page.Error{Status: 404}
	case name == "measure.show":
		out = one
	case name == "measure.preview":
		impact := map[string]any{"target": "anna@example.com", "level": p.Level, "now": "M1", "two": p.Level >= "M5", "accounts": 1, "hour": map[string]int{"messages": 5, "recipients": 50}, "day": map[string]int{"messages": 7, "recipients": 70},
			"held": 2, "waiting": 3, "more": true, "review": clock(), "systems": []any{map[string]any{"name": "dovecot", "sessions": true}}, "stays": []any{one}, "stands": true}
		if p.Level == "M1" {
			impact["rate"] = map[string]int{"messages": 20, "recipients": 40}
		}
		if p.Domain != "" {
			impact["accounts"], impact["day"] = 5, nil
		}
		out = impact
	case name == "measure.propose":
		out = map[string]any{"id": "p-1", "words": "M5 on " + evil}
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, result)
}

func desk(t *testing.T, g *gateway) http.Handler {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, measures.Pages)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&measures.Room{Kit: kit, Calls: g}).Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	return page.Guard(false, mux)
}

func ask(h http.Handler, lang, method, path string, form url.Values, fresh bool) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r = r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: lang}, Token: "tok", Fresh: fresh}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPages has every page in every language: whole, without a stranger's markup, no text
// missing.
func TestPages(t *testing.T) {
	h := desk(t, &gateway{})
	paths := []string{"/measures/m-1?back=/accounts", "/measures/m-2", "/measures/new?account=anna@example.com", "/measures/new?domain=example.com&level=M6"}
	for _, level := range []string{"M0", "M1", "M2", "M3", "M4", "M5", "M7"} {
		paths = append(paths, "/measures/new?account=anna@example.com&level="+level+"&case=A-2026-000001&back=/cases/A-2026-000001")
	}
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for _, path := range paths {
			w := ask(h, lang, "GET", path, nil, true)
			body := w.Body.String()
			if w.Code != 200 || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Fatalf("%s %s: %d %s", lang, path, w.Code, body)
			}
			if strings.Contains(body, evil) {
				t.Errorf("%s %s: a stranger's words are markup", lang, path)
			}
			for _, key := range []string{">measures.", ">common.", `"measures.`} {
				if i := strings.Index(body, key); i >= 0 {
					t.Errorf("%s %s lacks a text: %s", lang, path, body[i:min(i+60, len(body))])
				}
			}
		}
	}
}

func TestWhatItWouldDo(t *testing.T) {
	h := desk(t, &gateway{})
	body := ask(h, "en", "GET", "/measures/new?account=anna@example.com&level=m1", nil, false).Body.String()
	for _, want := range []string{"Up to 20 messages and 40 recipients an hour", "In the last hour 5 messages, recipients: 50", "3 copies on their way out still go", "2 messages are held", "lower bounds", "dovecot (ends open sessions)", "How to undo it"} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if body := ask(h, "en", "GET", "/measures/new?account=anna@example.com&level=M5", nil, false).Body.String(); !strings.Contains(body, "One person alone") || !strings.Contains(body, "3 copies on their way out stay here") || !strings.Contains(body, "Ask a second person") {
		t.Error(body)
	}
	if body := ask(h, "en", "GET", "/measures/new?domain=@example.com&level=M3", nil, false).Body.String(); !strings.Contains(body, "5 accounts of the domain") || strings.Contains(body, "level=M5") {
		t.Error(body)
	}
	if w := ask(h, "en", "GET", "/measures/new", nil, false); w.Code != 400 {
		t.Error(w.Code)
	}
}

func TestTake(t *testing.T) {
	g := &gateway{fail: map[string]error{}}
	h := desk(t, g)
	form := url.Values{"account": {"anna@example.com"}, "level": {"M1"}, "reason": {" spam "}, "case": {"A-2026-000001"}, "hours": {"4"}, "messages": {"5"}, "back": {"/cases/A-2026-000001"}}
	w := ask(h, "en", "POST", "/measures", form, false)
	if w.Code != 303 || w.Header().Get("Location") != "/cases/A-2026-000001" || !slices.Contains(g.made, `measure.apply {"account":"anna@example.com","level":"M1","reason":"spam","case":"A-2026-000001","hours":4,"messages":5}`) {
		t.Error(w.Code, w.Header(), g.made)
	}
	g.fail["measure.apply"] = &page.Error{Status: 409, Words: "not so"}
	if w := ask(h, "en", "POST", "/measures", form, false); w.Code != 409 || !strings.Contains(w.Body.String(), "not so") || !strings.Contains(w.Body.String(), `value="spam"`) {
		t.Error(w.Code, w.Body)
	}
	form.Set("reason", "")
	if w := ask(h, "en", "POST", "/measures", form, false); w.Code != 400 || !strings.Contains(w.Body.String(), "Say why") {
		t.Error(w.Code, w.Body)
	}
	form.Set("reason", "x")
	form.Set("level", "M9")
	if w := ask(h, "en", "POST", "/measures", form, false); w.Code != 400 {
		t.Error(w.Code)
	}
	g.made = nil
	form.Set("level", "M5")
	form.Set("two", "yes")
	_ = ask(h, "en", "POST", "/measures", form, false)
	if len(g.made) > 0 {
		t.Error("a login was taken away without a fresh sign-in", g.made)
	}
	if w := ask(h, "en", "POST", "/measures", form, true); w.Code != 200 || !strings.Contains(w.Body.String(), "It takes effect when another person approves it") || strings.Contains(strings.Join(g.made, "\n"), "measure.apply") {
		t.Error(w.Code, w.Body, g.made)
	}
}

func TestUndoAndReview(t *testing.T) {
	g := &gateway{fail: map[string]error{}}
	h := desk(t, g)
	if w := ask(h, "en", "POST", "/measures/m-1/undo", url.Values{"reason": {""}}, false); w.Code != 400 {
		t.Error(w.Code)
	}
	w := ask(h, "en", "POST", "/measures/m-1/undo", url.Values{"reason": {"a mistake"}, "cleared": {"yes"}, "back": {"/accounts"}}, false)
	if w.Code != 303 || w.Header().Get("Location") != "/accounts" || !slices.Contains(g.made, `measure.undo {"cleared":true,"id":"m-1","reason":"a mistake"}`) {
		t.Error(w.Code, w.Header(), g.made)
	}
	if w := ask(h, "en", "POST", "/measures/m-1/reviewed", url.Values{}, false); w.Code != 303 || w.Header().Get("Location") != "/measures/m-1" {
		t.Error(w.Code, w.Header())
	}
	g.fail["measure.undo"] = &page.Error{Status: 409, Words: "too fast"}
	if w := ask(h, "en", "POST", "/measures/m-1/undo", url.Values{"reason": {"x"}}, false); w.Code != 409 || !strings.Contains(w.Body.String(), "too fast") {
		t.Error(w.Code)
	}
	if w := ask(h, "en", "GET", "/measures/none", nil, false); w.Code != 404 {
		t.Error(w.Code)
	}
	g.deny = map[string]bool{"measure.undo": true, "measure.apply": true}
	if body := ask(h, "en", "GET", "/measures/m-1", nil, false).Body.String(); strings.Contains(body, "/undo") {
		t.Error("who may not undo has a button")
	}
}

func TestPanel(t *testing.T) {
	g := &gateway{}
	p, err := measures.Load(t.Context(), g, "anna@example.com", "A-1", "/cases/A-1")
	if err != nil || len(p.Open) != 1 || !p.May {
		t.Fatal(p, err)
	}
	if got := p.New("M2"); got != "/measures/new?account=anna%40example.com&back=%2Fcases%2FA-1&case=A-1&level=M2" {
		t.Error(got)
	}
	if got := (measures.Panel{Target: "@example.com"}).New(""); got != "/measures/new?domain=example.com" {
		t.Error(got)
	}
	if got := p.Show(p.Open[0]); got != "/measures/m-1?back=%2Fcases%2FA-1" {
		t.Error(got)
	}
}
