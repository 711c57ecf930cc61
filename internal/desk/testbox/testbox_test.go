package testbox_test

import (
	"context"
	"encoding/json"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/held"
	"postern/internal/desk/page"
	"postern/internal/desk/site"
	"postern/internal/desk/testbox"
	"postern/internal/desk/words"
)

const evil = `"><script>alert(1)</script>`

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// gateway answers the calls of the pages.
type gateway struct {
	raw   string
	empty bool
	deny  map[string]bool
	fails map[string]*page.Error
	made  []string
}

func (g *gateway) May(_ context.Context, name string) bool { return !g.deny[name] }

func kept() map[string]any {
	return map[string]any{
		"id": "m1", "at": noon.Add(-time.Hour), "reference": "01m82baay26sphsrhx6z78gxxs", "node": evil, "from": evil, "to": []string{"run@ci.example", evil},
		"client": map[string]any{"ip": "192.0.2.7", "name": evil, "helo": evil, "tls": "TLS 1.3", "account": evil}, "subject": evil, "size": 1234, "sha256": "abc",
		"verdict": map[string]any{
			"action": "quarantine", "score": 1.8, "policy": "default", "unchecked": []any{map[string]any{"step": "clamav", "reason": evil}},
			"reasons": []any{
				map[string]any{"symbol": "SPF_FAIL", "score": 1.5, "describe": "The sending host is not allowed by the domain's SPF record", "detail": evil},
				map[string]any{"symbol": "OWN", "score": 0.3, "describe": "Our own words"}, map[string]any{"symbol": "VIRUS", "score": 0},
			},
		},
	}
}

func (g *gateway) Call(_ context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	g.made = append(g.made, name+" "+string(raw))
	if e := g.fails[name]; e != nil {
		return e
	}
	var out any
	switch name {
	case "inbox.list":
		out = map[string]any{"messages": []any{kept()}, "next": "n&1"}
		if g.empty {
			out = map[string]any{"messages": []any{}}
		}
	case "inbox.counts":
		of := map[string]any{"kept": 12345, "held": 2, "blocked": 3, "deferred": 4}
		out = map[string]any{"kept": 12345, "held": 2, "blocked": 3, "deferred": 4, "since": noon, "domains": map[string]any{"ci.example": of, evil: of}}
		if g.empty {
			out = map[string]any{"domains": map[string]any{}}
		}
	case "inbox.raw":
		out = map[string]any{"id": "m1", "body": []byte(g.raw)}
	case "inbox.clear":
		out = map[string]any{"messages": 7}
	default:
		out = kept()
	}
	if raw, err = json.Marshal(out); err != nil {
		return err
	}
	return json.Unmarshal(raw, result)
}

const letter = "From: a@x.example\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nYour code is 4711\u202e\r\n" +
	"--b\r\nContent-Type: text/html\r\n\r\n<p onclick=alert(1)>Hi <a href=\"http://crook.example/x\">http://honest.example</a><img src=http://x.example/p.png><script>alert(1)</script></p>\r\n" +
	"--b\r\nContent-Type: application/pdf; name=\"<b>.pdf\"\r\n\r\nPDF\r\n--b--\r\n"

func ask(t *testing.T, g *gateway, lang, method, path string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)}, site.Pages, held.Pages, testbox.Pages)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&testbox.Room{Kit: kit, Calls: g}).Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: lang}, Token: "tok"})))
	return w
}

// TestPagesInAllLanguages: every page and tab is written whole, says what it means, and nothing of
// a stranger's is in force.
func TestPagesInAllLanguages(t *testing.T) {
	for lang, wants := range map[string][]string{
		"en": {"would be held", "12,345", "SPF record"}, "zh-CN": {"本应隔离", "12,345", "域名的 SPF 记录"}, "ru": {"было бы задержано", "12", "Запись SPF"}, "el": {"θα κρατούνταν", "12.345", "Η εγγραφή SPF"},
	} {
		g := &gateway{raw: letter}
		for path, want := range map[string]string{
			"/inbox": wants[1], "/inbox?to=run@ci.example&after=x": wants[0], "/inbox?said=cleared&n=3": wants[0], "/inbox?said=gone": wants[0], "/inbox/m1": wants[2], "/inbox/m1?tab=html": "<iframe",
			"/inbox/m1?tab=links": "crook.example", "/inbox/m1?tab=headers": "multipart/mixed", "/inbox/m1?tab=parts": "/inbox/m1/part/", "/inbox/m1?tab=odd": "4711",
		} {
			w := ask(t, g, lang, "GET", path, nil)
			body := w.Body.String()
			if w.Code != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(body), "</html>") || !strings.Contains(html.UnescapeString(body), want) {
				t.Errorf("%s %s: %d, %q is missing: %s", lang, path, w.Code, want, body)
			}
			if strings.Contains(body, evil) || strings.Contains(body, "<script>alert") || strings.Contains(body, `href="http`) || strings.Contains(body, "testbox.") {
				t.Errorf("%s %s: not inert, or a text is missing: %s", lang, path, body)
			}
		}
		g.empty = true
		if body := ask(t, g, lang, "GET", "/inbox", nil).Body.String(); strings.Contains(body, "<tbody>") || strings.Contains(body, "testbox.") {
			t.Errorf("%s: rows of nothing: %s", lang, body)
		}
	}
}

// TestReasonsOfAVerdict: ours are translated, an operator's stand, the heaviest first.
func TestReasonsOfAVerdict(t *testing.T) {
	body := html.UnescapeString(ask(t, &gateway{raw: letter}, "ru", "GET", "/inbox/m1", nil).Body.String())
	first, second := strings.Index(body, "Запись SPF домена"), strings.Index(body, "Our own words")
	if first < 0 || second < first || strings.Contains(body, "sending host") || !strings.Contains(body, ">1,5<") || !strings.Contains(body, ">1,8<") {
		t.Errorf("%d %d %s", first, second, body)
	}
}

// TestFilesAndFrames: what is taken home cannot run in the browser, and the frame has no script.
func TestFilesAndFrames(t *testing.T) {
	g := &gateway{raw: letter}
	frame := ask(t, g, "en", "GET", "/inbox/m1/html", nil)
	if body := frame.Body.String(); !strings.Contains(frame.Header().Get("Content-Security-Policy"), "sandbox") || strings.Contains(body, "script") || strings.Contains(body, "onclick") || strings.Contains(body, "href") || !strings.Contains(body, "Hi") {
		t.Error(frame.Header(), body)
	}
	raw := ask(t, g, "en", "GET", "/inbox/m1/raw", nil)
	if raw.Body.String() != letter || raw.Header().Get("Content-Type") != "application/octet-stream" || !strings.Contains(raw.Header().Get("Content-Disposition"), "m1.eml") {
		t.Error(raw.Header())
	}
	part := ask(t, g, "en", "GET", "/inbox/m1/part/1.3", nil)
	if part.Code != http.StatusOK || strings.TrimSpace(part.Body.String()) != "PDF" || part.Header().Get("Content-Type") != "application/octet-stream" {
		t.Error(part.Code, part.Header(), part.Body)
	}
	if w := ask(t, g, "en", "GET", "/inbox/m1/part/9", nil); w.Code != http.StatusNotFound {
		t.Error(w.Code)
	}
	g.fails = map[string]*page.Error{"inbox.raw": {Status: http.StatusNotFound}}
	for _, path := range []string{"/inbox/m1", "/inbox/m1/html", "/inbox/m1/raw", "/inbox/m1/part/1.3"} {
		if w := ask(t, g, "en", "GET", path, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestActs: one message, those of an address, or all with their counters.
func TestActs(t *testing.T) {
	for _, c := range []struct {
		path, form, call, to string
		status               int
	}{
		{"/inbox/m1", "", `inbox.delete {"id":"m1"}`, "/inbox?said=gone", 303},
		{"/inbox", "act=to&to=run@ci.example&counters=yes", `inbox.clear {"counters":false,"to":"run@ci.example"}`, "/inbox?n=7&said=cleared&to=run%40ci.example", 303},
		{"/inbox", "act=all&to=run@ci.example", `inbox.clear {"counters":false,"to":""}`, "/inbox?n=7&said=cleared", 303},
		{"/inbox", "act=all&counters=yes", `inbox.clear {"counters":true,"to":""}`, "/inbox?n=7&said=cleared", 303},
		{"/inbox", "act=to", "", "", 400},
		{"/inbox", "", "", "", 400},
	} {
		g := &gateway{raw: letter}
		form, err := url.ParseQuery(c.form)
		if err != nil {
			t.Fatal(err)
		}
		w := ask(t, g, "en", "POST", c.path, form)
		if w.Code != c.status || w.Header().Get("Location") != c.to || c.call != "" && !slices.Equal(g.made, []string{c.call}) || c.call == "" && len(g.made) > 0 {
			t.Errorf("%s %s: %d %s %v", c.path, c.form, w.Code, w.Header().Get("Location"), g.made)
		}
	}
	g := &gateway{raw: letter, deny: map[string]bool{"inbox.delete": true, "inbox.clear": true}}
	for _, path := range []string{"/inbox", "/inbox/m1"} {
		if body := ask(t, g, "en", "GET", path, nil).Body.String(); strings.Contains(body, `class="bad"`) {
			t.Errorf("%s: who may only look is offered to delete", path)
		}
	}
}

// TestWhatCannotBeAsked is said on the page; what is not there is not found.
func TestWhatCannotBeAsked(t *testing.T) {
	g := &gateway{raw: letter, fails: map[string]*page.Error{"inbox.list": {Status: 400, Words: "too long"}}}
	if w := ask(t, g, "en", "GET", "/inbox?to=x", nil); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "too long") || !strings.Contains(w.Body.String(), "ci.example") {
		t.Error(w.Code, w.Body)
	}
	g.fails = map[string]*page.Error{"inbox.show": {Status: 404}, "inbox.counts": {Status: 403}, "inbox.delete": {Status: 404}, "inbox.clear": {Status: 403}}
	for path, want := range map[string]int{"/inbox/m1": 404, "/inbox": 403} {
		if w := ask(t, g, "en", "GET", path, nil); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
		if w := ask(t, g, "en", "POST", path, url.Values{"act": {"all"}}); w.Code != want {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
}
