package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/desk/live"
	"postern/internal/desk/page"
)

// world is a hub over marks that a test sets.
type world struct {
	mu    sync.Mutex
	marks map[string]string
	looks int
	over  bool
	deny  string
	hub   *live.Hub
}

func (w *world) set(topic, mark string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marks[topic] = mark
}

func newWorld() *world {
	w := &world{marks: map[string]string{"held": "1", "cases": "1"}}
	w.hub = live.New(live.Options{
		Topics: []live.Topic{{Name: "held", Call: "quarantine.list"}, {Name: "cases", Call: "case.list"}},
		Look: func(context.Context) (map[string]string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.looks++
			out := map[string]string{}
			for k, v := range w.marks {
				out[k] = v
			}
			return out, nil
		},
		May: func(_ context.Context, call string) bool { return call != w.deny },
		Stands: func(*http.Request) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return !w.over
		},
		Log: slog.New(slog.DiscardHandler),
	})
	return w
}

func (w *world) handler() http.Handler {
	mux := http.NewServeMux()
	w.hub.Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	return page.Guard(false, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var user *page.User
		if name := r.Header.Get("X-User"); name != "" {
			user = &page.User{Name: name}
		}
		mux.ServeHTTP(rw, r.WithContext(page.With(r.Context(), page.Visit{User: user})))
	}))
}

// pipe is an answer that is read while it is written.
type pipe struct {
	http.ResponseWriter
	w *io.PipeWriter
}

func (p pipe) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p pipe) Flush()                      {}

// listen opens a stream; what it says comes line by line.
func (w *world) listen(ctx context.Context, user string, more ...func(*http.Request)) (*bufio.Scanner, chan struct{}) {
	r := httptest.NewRequest(http.MethodGet, "/live", nil).WithContext(ctx)
	r.Header.Set("X-User", user)
	for _, m := range more {
		m(r)
	}
	from, to := io.Pipe()
	done := make(chan struct{})
	go func() {
		w.handler().ServeHTTP(pipe{httptest.NewRecorder(), to}, r)
		to.Close()
		close(done)
	}()
	return bufio.NewScanner(from), done
}

func next(t *testing.T, s *bufio.Scanner, begin string) string {
	t.Helper()
	for s.Scan() {
		if text, ok := strings.CutPrefix(s.Text(), begin); ok {
			return text
		}
	}
	t.Fatalf("the stream ended before %q", begin)
	return ""
}

func marks(t *testing.T, s *bufio.Scanner) map[string]string {
	t.Helper()
	var out map[string]string
	if err := json.Unmarshal([]byte(next(t, s, "data: ")), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNews has a reader hear where things stand and what changes, of what is the reader's.
func TestNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.deny = "case.list"
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { _ = w.hub.Run(ctx); close(ran) }()
		time.Sleep(time.Minute)
		if w.looks != 0 {
			t.Errorf("looked %d times for nobody", w.looks)
		}
		s, done := w.listen(ctx, "olga")
		if got := marks(t, s); len(got) != 1 || got["held"] != "1" {
			t.Error(got)
		}
		w.set("held", "2")
		if got := marks(t, s); got["held"] != "2" {
			t.Error(got)
		}
		if got := next(t, s, ": "); got != "here" {
			t.Error(got)
		}
		w.mu.Lock()
		w.over = true
		w.mu.Unlock()
		if got := next(t, s, "event: "); got != "over" {
			t.Error(got)
		}
		go func() { _, _ = io.Copy(io.Discard, readerOf(s)) }()
		<-done
		if n := w.hub.Open(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
		stop()
		<-ran
	})
}

// readerOf reads on to the end.
func readerOf(s *bufio.Scanner) io.Reader {
	for s.Scan() {
		continue
	}
	return strings.NewReader("")
}

// TestBounds has strangers and other sites refused, and too many streams sent away for good.
func TestBounds(t *testing.T) {
	w := newWorld()
	ask := func(ctx context.Context, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/live", nil).WithContext(ctx)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		w.handler().ServeHTTP(rec, r)
		return rec
	}
	for name, header := range map[string][]string{
		"nobody": nil, "another site": {"X-User", "olga", "Sec-Fetch-Site", "cross-site"}, "a site beside": {"X-User", "olga", "Sec-Fetch-Site", "same-site"},
		"another origin": {"X-User", "olga", "Origin", "http://evil.example"},
	} {
		if got := ask(t.Context(), header...); got.Code != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.Code)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var all []chan struct{}
	for range live.MaxOf {
		s, done := w.listen(ctx, "olga", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") })
		next(t, s, "retry: ")
		go func() { _, _ = io.Copy(io.Discard, readerOf(s)) }()
		all = append(all, done)
	}
	if got := ask(t.Context(), "X-User", "olga"); got.Code != http.StatusNoContent {
		t.Errorf("one too many: %d", got.Code)
	}
	s, done := w.listen(ctx, "ivan")
	next(t, s, "retry: ")
	go func() { _, _ = io.Copy(io.Discard, readerOf(s)) }()
	stop()
	for _, d := range append(all, done) {
		<-d
	}
	if n := w.hub.Open(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}
