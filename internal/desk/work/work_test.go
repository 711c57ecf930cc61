package work_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/words"
	"postern/internal/desk/work"
)

type nobody struct{}

func (nobody) May(context.Context, string) bool             { return false }
func (nobody) Call(context.Context, string, any, any) error { return errors.New("none") }

type world struct {
	now  time.Time
	desk *work.Desk
	room *work.Room
	h    http.Handler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	kit, err := page.New(page.Options{Words: book, Calls: nobody{}, Now: func() time.Time { return w.now }, Log: log}, work.Pages)
	if err != nil {
		t.Fatal(err)
	}
	w.desk = &work.Desk{Now: func() time.Time { return w.now }, Log: log}
	w.room = &work.Room{Kit: kit, Desk: w.desk}
	mux := http.NewServeMux()
	w.room.Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	w.h = page.Guard(false, mux)
	return w
}

func as(r *http.Request, user, lang string) *http.Request {
	return r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: user, Language: lang}, Token: "tok"}))
}

func (w *world) ask(user, lang, method, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, as(httptest.NewRequest(method, path, nil), user, lang))
	return rec
}

const evil = `"><script>alert(1)</script>`

// TestThrough has a task begun from a page, watched, and its result shown and saved, in every
// language; others do not see it.
func TestThrough(t *testing.T) {
	w := newWorld(t)
	go1, at1 := make(chan struct{}), make(chan struct{})
	rec := httptest.NewRecorder()
	w.room.Start(rec, as(httptest.NewRequest("POST", "/x", nil), "olga", "en"), work.Task{Title: "Count " + evil, Back: "/held", Run: func(ctx context.Context, far func(done, of int)) (work.Result, error) {
		far(3, 7)
		close(at1)
		<-go1
		return work.Result{Said: "Counted " + evil, Lines: []string{evil}, File: &work.File{Name: "a b.csv", Type: "text/csv; charset=utf-8", Body: []byte("a,b\n")}}, nil
	}})
	to := rec.Header().Get("Location")
	if rec.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/work/") {
		t.Fatal(rec.Code, to)
	}
	<-at1
	if w.ask("olga", "en", "GET", to+"/file").Code != 404 {
		t.Error("there is a file before there is one")
	}
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		body := w.ask("olga", lang, "GET", to).Body.String()
		if !strings.Contains(body, `<progress id="far" max="7" value="3">`) || !strings.Contains(body, `data-refresh="1"`) || strings.Contains(body, evil) || strings.Contains(body, ">work.") {
			t.Errorf("%s: %s", lang, body)
		}
	}
	close(go1)
	if err := w.desk.Wait(t.Context(), "olga", strings.TrimPrefix(to, "/work/")); err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		body := w.ask("olga", lang, "GET", to).Body.String()
		if !strings.Contains(body, "Counted") || strings.Contains(body, "data-refresh") || strings.Contains(body, evil) || strings.Contains(body, ">work.") {
			t.Errorf("%s: %s", lang, body)
		}
	}
	f := w.ask("olga", "en", "GET", to+"/file")
	if f.Code != 200 || f.Body.String() != "a,b\n" || f.Header().Get("Content-Disposition") != `attachment; filename="a b.csv"` {
		t.Error(f.Code, f.Header(), f.Body)
	}
	for _, path := range []string{"", "/file"} {
		if c := w.ask("ivan", "en", "GET", to+path).Code; c != 404 {
			t.Errorf("somebody else at %q: %d", path, c)
		}
	}
	if c := w.ask("ivan", "en", "POST", to+"/stop").Code; c != 404 {
		t.Error("somebody else stops it:", c)
	}
	w.now = w.now.Add(work.Keep)
	if c := w.ask("olga", "en", "GET", to).Code; c != 404 {
		t.Error("kept too long:", c)
	}
}

// TestStop has a task end early, and say how far it came.
func TestStop(t *testing.T) {
	w := newWorld(t)
	begun := make(chan struct{})
	id, err := w.desk.Begin(t.Context(), "olga", work.Task{Title: "Long", Run: func(ctx context.Context, far func(done, of int)) (work.Result, error) {
		far(2, 9)
		close(begun)
		<-ctx.Done()
		return work.Result{Said: "two of them"}, ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if r := w.ask("olga", "en", "POST", "/work/"+id+"/stop"); r.Code != http.StatusSeeOther {
		t.Error(r.Code)
	}
	if err := w.desk.Wait(t.Context(), "olga", id); err != nil {
		t.Fatal(err)
	}
	if body := w.ask("olga", "en", "GET", "/work/"+id).Body.String(); !strings.Contains(body, "Stopped after 2 of 9.") || !strings.Contains(body, "two of them") {
		t.Error(body)
	}
}

// TestBounds has too much work refused, a fault told without its cause, and work that breaks
// be one that failed.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	ctx, over := context.WithCancel(t.Context())
	wait := work.Task{Title: "Wait", Run: func(own context.Context, _ func(int, int)) (work.Result, error) {
		select {
		case <-ctx.Done():
		case <-own.Done():
		}
		return work.Result{}, nil
	}}
	var ids []string
	for range work.MaxOf {
		id, err := w.desk.Begin(t.Context(), "olga", wait)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	rec := httptest.NewRecorder()
	w.room.Start(rec, as(httptest.NewRequest("POST", "/x", nil), "olga", "en"), wait)
	if rec.Code != http.StatusTooManyRequests {
		t.Error(rec.Code)
	}
	over()
	for _, id := range ids {
		if err := w.desk.Wait(t.Context(), "olga", id); err != nil {
			t.Error(err)
		}
	}
	for name, run := range map[string]func(context.Context, func(int, int)) (work.Result, error){
		"fails": func(context.Context, func(int, int)) (work.Result, error) {
			return work.Result{}, errors.New("secret cause")
		},
		"breaks": func(context.Context, func(int, int)) (work.Result, error) { panic("secret cause") },
		"too large": func(context.Context, func(int, int)) (work.Result, error) {
			return work.Result{File: &work.File{Body: make([]byte, work.MaxFile+1)}}, nil
		},
	} {
		id, err := w.desk.Begin(t.Context(), "ivan", work.Task{Title: "T", Run: run})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.desk.Wait(t.Context(), "ivan", id); err != nil {
			t.Fatal(err)
		}
		if body := w.ask("ivan", "en", "GET", "/work/"+id).Body.String(); !strings.Contains(body, "This did not work") || strings.Contains(body, "secret") {
			t.Errorf("%s: %s", name, body)
		}
	}
	w.now = w.now.Add(time.Minute)
	for i := range work.MaxKept + 5 {
		id, err := w.desk.Begin(t.Context(), "many", work.Task{Run: func(context.Context, func(int, int)) (work.Result, error) { return work.Result{}, nil }})
		if err != nil {
			t.Fatal(i, err)
		}
		if err := w.desk.Wait(t.Context(), "many", id); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := w.desk.Show("olga", ids[0]); !errors.Is(err, work.ErrNone) {
		t.Error("results are kept without bound")
	}
}
