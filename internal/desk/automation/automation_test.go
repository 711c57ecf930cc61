package automation_test

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

	"postern/internal/desk/automation"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

const evil = `"><script>alert(1)</script>`

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// gateway answers the calls of the pages.
type gateway struct {
	off, tripped, empty bool
	deny                map[string]bool
	fail                map[string]error
	made                []string
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
	var out any
	switch name {
	case "automation.show":
		out = g.state()
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, result)
}

func (g *gateway) state() map[string]any {
	out := map[string]any{"switch": map[string]any{"off": g.off, "by": "olga", "at": clock().Add(-time.Hour), "reason": evil}, "mode": "shadow", "last_hour": 2, "rules": []any{}, "trips": map[string]any{}}
	if g.tripped {
		out["trips"] = map[string]any{"": map[string]any{"at": clock(), "why": "5 in an hour", "missed": 7}, "example.com": map[string]any{"at": clock(), "why": evil, "missed": 1}}
	}
	if !g.empty {
		rule := func(name string, live bool, ready time.Time) map[string]any {
			return map[string]any{"rule": map[string]any{"name": name, "since": clock().AddDate(0, 0, -3), "live": live, "by": "lea", "at": clock()}, "days": 30, "hits": 12, "cleared": 3, "ready": ready}
		}
		out["rules"] = []any{rule("volume", true, clock()), rule("odd"+evil, false, clock().Add(-time.Hour)), rule("burst", false, clock().AddDate(0, 0, 11))}
	}
	return out
}

func desk(t *testing.T, g *gateway) http.Handler {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, automation.Pages, confirm)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&automation.Room{Kit: kit, Calls: g}).Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
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
	for _, g := range []*gateway{{}, {off: true, tripped: true}, {empty: true}} {
		h := desk(t, g)
		for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
			for _, path := range []string{"/automation"} {
				w := ask(h, lang, "GET", path, nil, false)
				body := w.Body.String()
				if w.Code != 200 || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
					t.Fatalf("%s %s: %d %s", lang, path, w.Code, body)
				}
				if strings.Contains(body, evil) {
					t.Errorf("%s %s: a stranger's words are markup", lang, path)
				}
				for _, key := range []string{">automation.", ">accounts.", ">measures.", ">guarantees.", ">common."} {
					if i := strings.Index(body, key); i >= 0 {
						t.Errorf("%s %s lacks a text: %s", lang, path, body[i:min(i+60, len(body))])
					}
				}
			}
		}
	}
}

// TestKillSwitch has everything stopped by one press, and begun again only by somebody who
// proved again who it is.
func TestKillSwitch(t *testing.T) {
	g := &gateway{}
	h := desk(t, g)
	if body := ask(h, "en", "GET", "/automation", nil, false).Body.String(); !strings.Contains(body, "Switch all automation off") || !strings.Contains(body, "All rules run in shadow") {
		t.Error(body)
	}
	w := ask(h, "en", "POST", "/automation", url.Values{"act": {"off"}, "reason": {"a storm"}}, false)
	if w.Code != 303 || !slices.Contains(g.made, `automation.set {"off":true,"reason":"a storm"}`) {
		t.Error(w.Code, g.made)
	}
	g.off, g.made = true, nil
	if body := ask(h, "en", "GET", "/automation", nil, false).Body.String(); !strings.Contains(body, "Automation is switched off.") || !strings.Contains(body, "Switch automation on again") {
		t.Error(body)
	}
	for _, act := range []string{"on", "reset", "enable"} {
		g.made = nil
		if w := ask(h, "en", "POST", "/automation", url.Values{"act": {act}, "reason": {"over"}, "rule": {"volume"}}, false); w.Code == 303 || len(g.made) > 0 {
			t.Errorf("%s without a fresh sign-in: %d %v", act, w.Code, g.made)
		}
	}
	for act, want := range map[string]string{
		"on": `automation.set {"off":false,"reason":"over"}`, "reset": `automation.reset {"id":"","note":"over"}`, "enable": `automation.enable {"id":"volume"}`, "disable": `automation.disable {"id":"volume"}`,
	} {
		if w := ask(h, "en", "POST", "/automation", url.Values{"act": {act}, "reason": {"over"}, "rule": {"volume"}}, true); w.Code != 303 || !slices.Contains(g.made, want) {
			t.Errorf("%s: %d %v", act, w.Code, g.made)
		}
	}
	for name, form := range map[string]url.Values{"no act": {"reason": {"x"}}, "another act": {"act": {"burn"}, "reason": {"x"}}, "no reason": {"act": {"off"}}, "no reason to reset": {"act": {"reset"}}} {
		if w := ask(h, "en", "POST", "/automation", form, true); w.Code != 400 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	g.fail = map[string]error{"automation.enable": &page.Error{Status: 409, Words: "still in shadow"}}
	if w := ask(h, "en", "POST", "/automation", url.Values{"act": {"enable"}, "rule": {"burst"}}, true); w.Code != 409 || !strings.Contains(w.Body.String(), "still in shadow") {
		t.Error(w.Code)
	}
	g.deny = map[string]bool{"automation.set": true}
	if body := ask(h, "en", "GET", "/automation", nil, false).Body.String(); strings.Contains(body, "<button name=\"act\"") {
		t.Error("who may only look has buttons")
	}
}
