// Package desktest has the pages of a room written for tests: over calls that a test answers,
// in all languages.
package desktest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

// Evil is a stranger's text that would be markup if it were not escaped.
const Evil = `"><script>alert(1)</script>`

// Clock is the time of the pages.
func Clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// Gateway answers the calls of the pages.
type Gateway struct {
	Deny map[string]bool  // calls that the reader may not make
	Fail map[string]error // what a call is refused with
	// Answers are what calls return: a value, or a func(params map[string]any) any, whose answer
	// may be an error. A call without an answer returns nothing.
	Answers map[string]any

	mu   sync.Mutex
	made []string
}

// May implements page.Caller.
func (g *Gateway) May(_ context.Context, name string) bool { return !g.Deny[name] }

// Call implements page.Caller.
func (g *Gateway) Call(_ context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.made = append(g.made, name+" "+string(raw))
	g.mu.Unlock()
	if err := g.Fail[name]; err != nil {
		return err
	}
	out := g.Answers[name]
	if f, ok := out.(func(map[string]any) any); ok {
		p := map[string]any{}
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		out = f(p)
	}
	if err, ok := out.(error); ok {
		return err
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, result)
}

// Made are the calls so far, each with its parameters as JSON.
func (g *Gateway) Made() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.made)
}

// Called are the parameters of the last call of a name, "" if there was none.
func (g *Gateway) Called(name string) string {
	for _, m := range slices.Backward(g.Made()) {
		if rest, ok := strings.CutPrefix(m, name+" "); ok {
			return rest
		}
	}
	return ""
}

// Forget begins the list of calls anew.
func (g *Gateway) Forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made = nil
}

// Room is the pages of a part.
type Room interface {
	Routes(handle func(pattern string, f http.HandlerFunc))
}

// Desk is pages over a Gateway.
type Desk struct {
	http.Handler
	t *testing.T
}

// New makes the pages in papers, whose routes are those of the rooms that build returns.
func New(t *testing.T, g page.Caller, build func(*page.Kit) []Room, papers ...fs.FS) *Desk {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: Clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, append(papers, confirm())...)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, room := range build(kit) {
		room.Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	}
	return &Desk{page.Guard(false, mux), t}
}

// Ask is one request.
type Ask struct {
	Language string // "" = en
	Method   string // "" = GET, or POST where there is a form
	Path     string
	Form     url.Values
	Fresh    bool // the reader gave the password just now
	Change   func(*http.Request)
}

// Do makes a request.
func (d *Desk) Do(a Ask) *httptest.ResponseRecorder {
	if a.Method == "" {
		a.Method = http.MethodGet
		if a.Form != nil {
			a.Method = http.MethodPost
		}
	}
	if a.Language == "" {
		a.Language = "en"
	}
	r := httptest.NewRequest(a.Method, a.Path, strings.NewReader(a.Form.Encode()))
	if a.Form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a.Change != nil {
		a.Change(r)
	}
	r = r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: a.Language}, Token: "tok", Fresh: a.Fresh}))
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// Whole has pages in every language: each is whole, without a stranger's markup, and lacks no
// text of the parts.
func (d *Desk) Whole(parts []string, paths ...string) {
	d.t.Helper()
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for _, path := range paths {
			w := d.Do(Ask{Language: lang, Path: path, Fresh: true})
			body := w.Body.String()
			if w.Code != 200 || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				d.t.Errorf("%s %s: %d %s", lang, path, w.Code, body)
				continue
			}
			if strings.Contains(body, Evil) || strings.Contains(body, "<script>alert") {
				d.t.Errorf("%s %s: a stranger's words are markup", lang, path)
			}
			for _, part := range append(parts, "common") {
				for _, key := range []string{fmt.Sprintf(">%s.", part), fmt.Sprintf("%q", part+".")[:len(part)+2], " " + part + "."} {
					if i := strings.Index(body, key); i >= 0 {
						d.t.Errorf("%s %s lacks a text: %s", lang, path, body[i:min(i+60, len(body))])
					}
				}
			}
		}
	}
}

// confirm stands for the page that asks for the password.
func confirm() fs.FS {
	return fstest.MapFS{"html/confirm.html": {Data: []byte(`{{define "content"}}<p>who are you?</p>{{end}}`)}}
}
