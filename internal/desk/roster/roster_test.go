package roster_test

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

	"postern/internal/desk/page"
	"postern/internal/desk/roster"
	"postern/internal/desk/site"
	"postern/internal/desk/words"
)

// calls answer what they are told, and note what was asked.
type calls struct {
	says  map[string]string
	fails map[string]*page.Error
	not   string // a call that the reader may not make
	made  []string
}

func (c *calls) May(_ context.Context, name string) bool { return name != c.not }

func (c *calls) Call(_ context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(name, ".list") && !strings.HasSuffix(name, ".show") && name != "user.factor" && name != "user.sessions" {
		c.made = append(c.made, name+" "+string(raw))
	}
	if e := c.fails[name]; e != nil {
		return e
	}
	text := c.says[name]
	if text == "" {
		text = "null"
	}
	return json.Unmarshal([]byte(text), result)
}

type world struct {
	t     *testing.T
	calls *calls
	mux   *http.ServeMux
	fresh bool
	who   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, mux: http.NewServeMux(), fresh: true, who: "olga", calls: &calls{fails: map[string]*page.Error{}, says: map[string]string{
		"user.list":     `[{"name":"ada","role":"abuse-agent","email":"<b>@x"},{"name":"bo","role":"domain-admin","domains":["example.com"],"disabled":true}]`,
		"user.show":     `{"name":"ada","role":"abuse-agent","by":"root","created":"2026-01-02T03:04:05Z"}`,
		"user.factor":   `{"on":true,"since":"2026-01-02T03:04:05Z","left":3}`,
		"user.sessions": `[{"id":"s1","from":"192.0.2.1","agent":"<script>","began":"2026-01-02T03:04:05Z","seen":"2026-01-02T03:04:05Z"}]`,
		"token.list":    `[{"id":"t1","name":"monitor","scopes":["holds:read"],"expires":"2026-02-02T03:04:05Z"},{"id":"t2","name":"gone","revoked":"2026-01-02T03:04:05Z"}]`,
		"user.invite":   `{"path":"/welcome/abc","expires":"2026-01-02T03:04:05Z"}`, "token.add": `{"secret":"postern_secret"}`, "user.add": `{"name":"new"}`,
		"approval.list": `{"proposals":[{"id":"p1","words":"suspend <ann>","object":"ann@example.com","by":"ivan","state":"open"}],"next":"n1"}`,
		"approval.show": `{"id":"p1","words":"suspend ann","object":"ann@example.com","by":"ivan","state":"open","reason":"spam"}`,
	}}}
	kit, err := page.New(page.Options{Words: book, Calls: w.calls, Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, site.Pages, roster.Pages)
	if err != nil {
		t.Fatal(err)
	}
	(&roster.Room{Kit: kit, Calls: w.calls, Roles: []string{"abuse-agent", "postmaster"}}).Routes(func(pattern string, f http.HandlerFunc) { w.mux.HandleFunc(pattern, f) })
	return w
}

// ask sends a request; with pairs of names and values, a form.
func (w *world) ask(path string, nameValues ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	method, form := "GET", url.Values{}
	for i := 0; i+1 < len(nameValues); i += 2 {
		method = "POST"
		form.Set(nameValues[i], nameValues[i+1])
	}
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r = r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: w.who}, Fresh: w.fresh, Token: "tok", Ways: page.Ways{Password: true}}))
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return rec
}

func (w *world) expect(r *httptest.ResponseRecorder, status int, says ...string) {
	w.t.Helper()
	text := r.Header().Get("Location") + "\n" + r.Body.String()
	if r.Code != status {
		w.t.Errorf("%d, want %d: %s", r.Code, status, text)
	}
	for _, s := range says {
		if not, ok := strings.CutPrefix(s, "!"); ok == strings.Contains(text, not) {
			w.t.Errorf("%q: %s", s, text)
		}
	}
}

func TestUsers(t *testing.T) {
	w := newWorld(t)
	w.expect(w.ask("/people"), 200, `href="/people/user/ada"`, "abuse agent", "&lt;b&gt;@x", "disabled", `href="/people/new"`)
	w.expect(w.ask("/people/user/ada"), 200, "192.0.2.1", "&lt;script&gt;", "!<script>alert", "monitor", "!gone", "over", `value="disable"`, `value="remove"`)
	w.who = "ada"
	w.expect(w.ask("/people/user/ada"), 200, `!value="disable"`, `!value="remove"`)
	w.calls.not = "user.change"
	w.expect(w.ask("/people/user/ada"), 200, `!value="save"`, `!value="revoke"`)
	w.expect(w.ask("/people/user/ada", "act", "disable"), 403)
	w.calls.not = "user.add"
	w.expect(w.ask("/people"), 200, `!href="/people/new"`)
	w.expect(w.ask("/people/new"), 403)
	w.expect(w.ask("/people/new", "name", "x"), 403)
	if len(w.calls.made) != 0 {
		t.Error(w.calls.made)
	}
}

func TestAdd(t *testing.T) {
	w := newWorld(t)
	w.expect(w.ask("/people/new"), 200, `name="covers"`)
	w.fresh = false
	w.expect(w.ask("/people/new", "name", "new", "role", "abuse-agent"), 403, "confirm-password", `value="new"`)
	w.fresh = true
	w.calls.fails["user.add"] = &page.Error{Status: 409, Words: "there is one <already>"}
	w.expect(w.ask("/people/new", "name", "new", "role", "abuse-agent"), 409, "&lt;already&gt;", `value="new"`)
	delete(w.calls.fails, "user.add")
	w.calls.made = nil
	w.expect(w.ask("/people/new", "name", "new", "role", "postmaster", "covers", "@example.com, ann@example.org\r\nexample.net"), 200, "/welcome/abc")
	want := []string{`user.add {"addresses":["ann@example.org"],"domains":["example.com","example.net"],"email":"","name":"new","role":"postmaster"}`, `user.invite {"name":"new"}`}
	if !slices.Equal(w.calls.made, want) {
		t.Error(w.calls.made)
	}
}

func TestActs(t *testing.T) {
	for _, c := range []struct {
		form []string
		made string
		to   string
	}{
		{[]string{"act", "save", "role", "postmaster", "email", "a@b.example"}, `user.change {"addresses":null,"domains":null,"email":"a@b.example","name":"ada","role":"postmaster"}`, "/people/user/ada?done=1"},
		{[]string{"act", "disable"}, `user.change {"disabled":true,"name":"ada"}`, "/people/user/ada?done=1"},
		{[]string{"act", "enable"}, `user.change {"disabled":false,"name":"ada"}`, "/people/user/ada?done=1"},
		{[]string{"act", "remove"}, `user.remove {"name":"ada"}`, "/people"},
		{[]string{"act", "factor", "note", "lost"}, `user.factor-reset {"name":"ada","note":"lost"}`, "/people/user/ada?done=1"},
		{[]string{"act", "sign-out", "id", "s1"}, `user.sign-out {"id":"s1","name":"ada"}`, "/people/user/ada?done=1"},
		{[]string{"act", "revoke", "id", "t1"}, `token.revoke {"id":"t1"}`, "/people/user/ada?done=1"},
		{[]string{"act", "invite"}, `user.invite {"name":"ada"}`, ""},
		{[]string{"act", "token", "token", "m", "scopes", "holds:read cases:read", "days", "2"}, `token.add {"hours":48,"name":"m","scopes":["holds:read","cases:read"],"user":"ada"}`, ""},
	} {
		w := newWorld(t)
		w.fresh = false
		w.expect(w.ask("/people/user/ada", c.form...), 403, "confirm-password")
		if len(w.calls.made) != 0 {
			t.Error("done without a fresh sign-in:", w.calls.made)
		}
		w.fresh = true
		r := w.ask("/people/user/ada", c.form...)
		if !slices.Equal(w.calls.made, []string{c.made}) || r.Header().Get("Location") != c.to {
			t.Errorf("%v: %q to %q", c.form, w.calls.made, r.Header().Get("Location"))
		}
		if c.to == "" {
			w.expect(r, 200)
		}
	}
	w := newWorld(t)
	for _, days := range []string{"", "0", "367", "x"} {
		w.expect(w.ask("/people/user/ada", "act", "token", "token", "m", "days", days), 400, "1 to 366")
	}
	w.expect(w.ask("/people/user/ada", "act", "sing"), 400)
	w.expect(w.ask("/people/user/ada", "act", "token", "token", "m", "days", "1"), 200, "postern_secret")
	w.expect(w.ask("/people/user/ada"), 200, "!postern_secret")
	w.calls.fails["user.show"] = &page.Error{Status: 404}
	w.expect(w.ask("/people/user/nobody"), 404)
}

func TestApprovals(t *testing.T) {
	w := newWorld(t)
	w.expect(w.ask("/approvals"), 200, "suspend &lt;ann&gt;", `href="/approvals/p1"`, "after=n1")
	w.expect(w.ask("/approvals?state=nonsense"), 200)
	w.expect(w.ask("/approvals/p1"), 200, `value="approve"`, "spam")
	w.who = "ivan"
	w.expect(w.ask("/approvals/p1"), 200, `!value="approve"`, "Withdraw", "somebody else has to")
	w.who, w.calls.not = "olga", "approval.approve"
	w.expect(w.ask("/approvals/p1"), 200, `!value="approve"`)
	w.expect(w.ask("/approvals/p1", "act", "approve"), 403)
	w.calls.not, w.fresh = "", false
	w.expect(w.ask("/approvals/p1", "act", "approve", "reason", "seen"), 403, "confirm-password")
	w.fresh = true
	w.expect(w.ask("/approvals/p1", "act", "sing"), 400)
	w.expect(w.ask("/approvals/p1", "act", "approve", "reason", " seen "), 303, "/approvals/p1")
	w.calls.fails["approval.refuse"] = &page.Error{Status: 409, Words: "it is <over>"}
	w.expect(w.ask("/approvals/p1", "act", "refuse"), 409, "&lt;over&gt;")
	want := []string{`approval.approve {"id":"p1","reason":"seen"}`, `approval.refuse {"id":"p1","reason":""}`}
	if !slices.Equal(w.calls.made, want) {
		t.Error(w.calls.made)
	}
}
