package public_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/public"
	"postern/internal/desk/words"
)

// room notes who came.
type room struct {
	from   []string
	panics bool
}

func (r *room) Entrance() (path, key string) { return "/mail", "public.mail" }

func (r *room) Routes(handle func(pattern string, h http.HandlerFunc)) {
	handle("GET /who", func(_ http.ResponseWriter, req *http.Request) {
		r.from = append(r.from, public.Address(req).String())
		if _, ok := req.Context().Deadline(); !ok {
			r.panics = true
		}
	})
	handle("POST /big", func(w http.ResponseWriter, req *http.Request) {
		if _, err := io.ReadAll(req.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
}

type world struct {
	h   http.Handler
	r   *room
	now time.Time
}

func newWorld(t *testing.T, edit ...func(*public.Options)) *world {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{r: &room{}, now: time.Unix(1_900_000_000, 0)}
	clock := func() time.Time { return w.now }
	kit, err := page.New(page.Options{Words: book, Now: clock, Log: slog.New(slog.DiscardHandler)}, public.Pages)
	if err != nil {
		t.Fatal(err)
	}
	o := public.Options{Kit: kit, Rooms: []public.Room{w.r}, Now: clock}
	for _, f := range edit {
		f(&o)
	}
	w.h = public.New(o)
	return w
}

func (w *world) do(method, path string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for _, f := range edit {
		f(r)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func from(addr string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = addr }
}

func TestFirstPageInAllLanguages(t *testing.T) {
	w := newWorld(t)
	for lang, want := range map[string]string{"en": "My held mail", "zh-CN": "我的被扣邮件", "ru": "Моя задержанная почта", "el": "Τα μηνύματά μου που κρατήθηκαν"} {
		for _, rec := range []*httptest.ResponseRecorder{w.do("GET", "/", header("Accept-Language", lang)), w.do("GET", "/?lang="+lang), w.do("GET", "/?lang="+lang, header("Accept-Language", "en"))} {
			if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), want) || !strings.Contains(rec.Body.String(), `href="/mail"`) {
				t.Errorf("%s: %d %s", lang, rec.Code, rec.Body)
			}
		}
	}
}

func TestEachAnswerIsGuarded(t *testing.T) {
	w := newWorld(t, func(o *public.Options) { o.Secure = true })
	for _, path := range []string{"/", "/nothing", "/who", "/robots.txt", "/held", "/sign-in", "/assets/none/x.js"} {
		h := w.do("GET", path).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=",
		} {
			if !strings.HasPrefix(h.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || len(h.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %v", path, h)
		}
	}
	for _, path := range []string{"/nothing", "/held", "/sign-in", "/api/v1/calls/user.list"} {
		if rec := w.do("GET", path); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	if rec := w.do("POST", "/taste", header("Sec-Fetch-Site", "cross-site")); rec.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", rec.Code)
	}
	if w.do("GET", "/who"); w.r.panics {
		t.Error("a request without an end to its work")
	}
}

func TestBodiesAreBounded(t *testing.T) {
	w := newWorld(t)
	for n, want := range map[int]int{public.MaxBody: http.StatusOK, public.MaxBody + 1: http.StatusRequestEntityTooLarge} {
		r := httptest.NewRequest("POST", "/big", strings.NewReader(strings.Repeat("x", n)))
		rec := httptest.NewRecorder()
		if w.h.ServeHTTP(rec, r); rec.Code != want {
			t.Errorf("%d octets: %d", n, rec.Code)
		}
	}
}

func TestWhoIsBehindAProxy(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		proxies   []netip.Prefix
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy is known":        {nil, "10.0.0.1:1", []string{"192.0.2.1"}, "10.0.0.1"},
		"a stranger claims":        {proxies, "198.51.100.1:1", []string{"192.0.2.1"}, "198.51.100.1"},
		"through one":              {proxies, "10.0.0.1:1", []string{"192.0.2.1"}, "192.0.2.1"},
		"through two":              {proxies, "10.0.0.1:1", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"in two fields":            {proxies, "10.0.0.1:1", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		"what the client wrote":    {proxies, "10.0.0.1:1", []string{"203.0.113.9, 192.0.2.1"}, "192.0.2.1"},
		"nothing":                  {proxies, "10.0.0.1:1", nil, "10.0.0.1"},
		"nonsense":                 {proxies, "10.0.0.1:1", []string{"192.0.2.1, x"}, "10.0.0.1"},
		"over IPv6":                {proxies, "[fd00::1]:1", []string{"2001:db8::5"}, "2001:db8::5"},
		"mapped":                   {proxies, "[::ffff:10.0.0.1]:1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		"a very long list of ours": {proxies, "10.0.0.1:1", []string{"192.0.2.1," + strings.Repeat("10.0.0.2,", 40) + "10.0.0.3"}, "10.0.0.2"},
	} {
		w := newWorld(t, func(o *public.Options) { o.Proxies = c.proxies })
		w.do("GET", "/who", from(c.peer), func(r *http.Request) {
			for _, f := range c.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
		})
		if len(w.r.from) != 1 || w.r.from[0] != c.want {
			t.Errorf("%s: %v, not %s", name, w.r.from, c.want)
		}
	}
}

func TestFloods(t *testing.T) {
	w := newWorld(t)
	for range public.BurstOf {
		if rec := w.do("GET", "/who", from("192.0.2.1:1")); rec.Code != http.StatusOK {
			t.Fatal(rec.Code)
		}
	}
	if rec := w.do("GET", "/who", from("192.0.2.1:2")); rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") == "" {
		t.Errorf("one source: %d", rec.Code)
	}
	if rec := w.do("GET", "/who", from("192.0.2.2:1")); rec.Code != http.StatusOK {
		t.Errorf("another: %d", rec.Code)
	}
	if rec := w.do("GET", "/who", from("[2001:db8::1]:1")); rec.Code != http.StatusOK {
		t.Errorf("another: %d", rec.Code)
	}
	w.now = w.now.Add(public.EveryOf)
	if rec := w.do("GET", "/who", from("192.0.2.1:3")); rec.Code != http.StatusOK {
		t.Errorf("later: %d", rec.Code)
	}
	for i := range public.BurstAll {
		w.do("GET", "/who", from(netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 1).String()))
	}
	if rec := w.do("GET", "/who", from("198.51.100.77:1")); rec.Code != http.StatusTooManyRequests {
		t.Errorf("all together: %d", rec.Code)
	}
}
