package campaigns_test

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

	"postern/internal/desk/campaigns"
	"postern/internal/desk/held"
	"postern/internal/desk/page"
	"postern/internal/desk/site"
	"postern/internal/desk/words"
)

const evil = `"><script>alert(1)</script>`

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// gateway answers the calls of the pages.
type gateway struct {
	empty bool
	deny  map[string]bool
	fails map[string]*page.Error
	made  []string
}

func (g *gateway) May(_ context.Context, name string) bool { return !g.deny[name] }

func letter(word string) map[string]any {
	return map[string]any{
		"print": "9f27d01c55aa03e1", "first": noon.Add(-time.Hour), "last": noon.Add(-time.Minute), "messages": 12345, "delivered": 7, "sources": 9, "subject": evil, "senders": []string{"bulk.example", evil},
		"said": map[string]any{"word": word, "at": noon, "by": evil, "why": evil},
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
	one := letter("reported")
	one["copies"] = []any{
		map[string]any{"id": "id1", "at": noon, "from": evil, "source": evil, "to": []string{"bob@example.com", evil}, "more": 3, "state": "delivered"},
		map[string]any{"id": "id2", "at": noon, "from": "", "source": "bulk.example", "to": []string{}, "state": "held"}, map[string]any{"id": "id3", "at": noon, "state": "rejected"},
	}
	out := any(one)
	switch {
	case name == "campaign.list" && g.empty:
		out = map[string]any{"campaigns": []any{}}
	case name == "campaign.list":
		never := letter("")
		never["said"] = nil
		out = map[string]any{"campaigns": []any{letter("bad"), letter("good"), letter("reported"), never}, "more": true}
	case g.empty:
		out = map[string]any{"print": "9f27d01c55aa03e1", "copies": []any{}}
	}
	if raw, err = json.Marshal(out); err != nil {
		return err
	}
	return json.Unmarshal(raw, result)
}

func ask(t *testing.T, g *gateway, lang, method, path string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)}, site.Pages, held.Pages, campaigns.Pages)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&campaigns.Room{Kit: kit, Calls: g}).Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: lang}, Token: "tok"})))
	return w
}

const path = "/campaigns/9f27d01c55aa03e1"

// TestPagesInAllLanguages: every page is written whole, and nothing of a stranger's is in force.
func TestPagesInAllLanguages(t *testing.T) {
	for lang, wants := range map[string][]string{
		"en": {"reported", "12,345", "and 3 more"}, "zh-CN": {"被举报", "12,345", "另有 3 位"}, "ru": {"сообщено", "345", "и ещё 3"}, "el": {"αναφέρθηκε", "12.345", "και άλλοι 3"},
	} {
		for _, empty := range []bool{false, true} {
			g := &gateway{empty: empty}
			for at, want := range map[string][]string{"/campaigns": wants[:2], "/campaigns?word=bad": wants[:2], "/campaigns?word=" + url.QueryEscape(evil): wants[:2], path: wants, path + "?said=marked": wants} {
				w := ask(t, g, lang, "GET", at, nil)
				body := w.Body.String()
				if w.Code != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
					t.Errorf("%s %s: %d %s", lang, at, w.Code, body)
				}
				for _, text := range want {
					if !empty && !strings.Contains(html.UnescapeString(body), text) {
						t.Errorf("%s %s: %q is missing: %s", lang, at, text, body)
					}
				}
				if strings.Contains(body, evil) || strings.Contains(body, "<script>alert") || strings.Contains(body, "campaigns.") || empty && strings.Contains(body, "<tbody>") {
					t.Errorf("%s %s: not inert, a text is missing, or rows of nothing: %s", lang, at, body)
				}
			}
		}
	}
}

// TestLinks: each copy leads to its trace, for who may see that.
func TestLinks(t *testing.T) {
	g := &gateway{}
	if body := ask(t, g, "en", "GET", path, nil).Body.String(); !strings.Contains(body, `href="/trace/id1"`) || !strings.Contains(body, `value="bad"`) || !strings.Contains(body, `value="forget"`) {
		t.Error(body)
	}
	g.deny = map[string]bool{"trace.show": true, "campaign.mark": true}
	if body := ask(t, g, "en", "GET", path, nil).Body.String(); strings.Contains(body, `href="/trace/id1"`) || strings.Contains(body, `value="bad"`) {
		t.Errorf("who may only look is offered more: %s", body)
	}
}

func TestMark(t *testing.T) {
	for word, to := range map[string]string{"bad": path + "?said=marked", "good": path + "?said=marked", "forget": "/campaigns"} {
		g := &gateway{}
		w := ask(t, g, "en", "POST", path, url.Values{"word": {word}, "reason": {" phishing "}})
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != to || !slices.Equal(g.made, []string{`campaign.mark {"print":"9f27d01c55aa03e1","reason":"phishing","word":"` + word + `"}`}) {
			t.Errorf("%s: %d %s %v", word, w.Code, w.Header().Get("Location"), g.made)
		}
	}
	g := &gateway{fails: map[string]*page.Error{"campaign.mark": {Status: http.StatusBadRequest, Words: "say why"}}}
	if w := ask(t, g, "en", "POST", path, url.Values{"word": {"bad"}}); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "say why") || !strings.Contains(w.Body.String(), "12,345") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestFaults(t *testing.T) {
	for call, at := range map[string]string{"campaign.list": "/campaigns", "campaign.show": path} {
		g := &gateway{fails: map[string]*page.Error{call: {Status: http.StatusNotFound}}}
		if w := ask(t, g, "en", "GET", at, nil); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", at, w.Code)
		}
	}
	g := &gateway{fails: map[string]*page.Error{"campaign.mark": {Status: http.StatusForbidden}}}
	if w := ask(t, g, "en", "POST", path, url.Values{"word": {"bad"}}); w.Code != http.StatusForbidden {
		t.Error(w.Code)
	}
}
