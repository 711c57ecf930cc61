package trace_test

import (
	"context"
	"encoding/json"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/trace"
	"postern/internal/desk/words"
)

const evil = `"><script>alert(1)</script>`

// gateway answers the calls of the pages.
type gateway struct {
	text string
	one  bool
	deny map[string]bool
}

func (g *gateway) May(_ context.Context, name string) bool { return !g.deny[name] }

func message() map[string]any {
	fates := []any{}
	for i, state := range []string{"delivered", "held", "rejected", "deferred", "outbox", "aborted"} {
		fates = append(fates, map[string]any{"address": evil, "state": state, "backend": evil, "reply": evil, "hold": "h" + string(rune('0'+i)), "ambiguous": true, "greylisted": true, "stripped": []string{"1.2"}})
	}
	return map[string]any{
		"id": "id1", "time": "2026-03-04T04:00:00Z", "node": evil, "direction": "outbound", "listener": evil, "client": map[string]any{"ip": "192.0.2.1", "name": evil, "helo": evil, "tls": evil},
		"account": evil, "from": evil, "to": fates, "subject": evil, "message_id": evil, "size": 1234, "action": "quarantine", "score": 650, "reply": evil,
		"unchecked": []any{map[string]any{"step": "clamav", "reason": evil}}, "dns_budget": true, "delay": map[string]any{"receive": 1, "check": 2, "relay": 3, "total": 7},
	}
}

func (g *gateway) Call(_ context.Context, name string, params, result any) error {
	var p struct{ Text, ID string }
	raw, _ := json.Marshal(params)
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	var out any
	switch {
	case name == "trace" && strings.Contains(p.Text, "bad"):
		return &page.Error{Status: 400, Words: "not like this " + evil}
	case name == "trace":
		g.text = p.Text
		rows := []any{message(), map[string]any{"id": "id2", "time": "2026-03-04T04:00:00Z", "action": "accept", "to": nil}}
		read := []any{map[string]any{"text": evil, "fields": []string{"to", "from"}}, map[string]any{"text": "held", "fields": []string{"state"}}}
		if g.one {
			rows, read = rows[:1], []any{map[string]any{"text": "id1", "fields": []string{"id"}}}
		}
		out = map[string]any{"rows": rows, "next": map[bool]string{false: "n&1"}[g.one], "read": read}
	case name == "trace.show" && strings.HasPrefix(p.ID, "id1"):
		out = map[string]any{
			"row": message(), "reasons": []any{map[string]any{"symbol": "A", "weight": 10, "describe": evil}, map[string]any{"symbol": "B", "weight": -600, "describe": "Much"}, map[string]any{"symbol": "C"}, map[string]any{"symbol": "SPF_FAIL", "weight": 150, "describe": "The sending host is not allowed by the domain's SPF record"}, map[string]any{"symbol": "DKIM_FAIL", "weight": 30, "describe": "Our own words"}},
			"holds":   []any{map[string]any{"id": "h1", "to": []string{evil}, "state": "held", "expires": "2026-03-05T04:00:00Z"}, map[string]any{"id": "h2", "to": []string{evil}, "state": "released", "ended": "2026-03-04T05:00:00Z", "by": evil, "reply": evil}, map[string]any{"id": "h3", "gone": true}},
			"waiting": []any{map[string]any{"id": "o", "to": []string{evil}, "attempts": 3, "reply": evil}},
			"sent":    map[string]any{"queue_id": evil, "copies": []any{map[string]any{"recipient": evil, "bounced": "5.1.1", "queue_id": evil, "reply": evil, "at": "2026-03-04T05:00:00Z"}}},
			"cases":   []any{map[string]any{"id": "A-1", "state": "S0", "opened": "2026-03-04T05:00:00Z"}},
		}
	default:
		return &page.Error{Status: 404, Words: "nothing is known"}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, result)
}

func ask(t *testing.T, g *gateway, lang, path string) *httptest.ResponseRecorder {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }, Log: slog.New(slog.DiscardHandler)}, trace.Pages)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&trace.Room{Kit: kit, Calls: g}).Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	r := httptest.NewRequest("GET", path, nil)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: lang}, Token: "tok"})))
	return w
}

// TestPages has every page in every language: written whole, with nothing of a stranger's in
// force and no text missing.
func TestPages(t *testing.T) {
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for path, code := range map[string]int{"/trace": 200, "/trace?q=x&state=held&direction=in&since=7d": 200, "/trace?q=bad": 400, "/trace/id1": 200, "/trace/none": 404} {
			w := ask(t, &gateway{}, lang, path)
			body := w.Body.String()
			if w.Code != code || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Errorf("%s %s: %d %s", lang, path, w.Code, body)
			}
			if strings.Contains(body, evil) || strings.Contains(body, "<script>") {
				t.Errorf("%s %s: a stranger's words are markup", lang, path)
			}
			for _, key := range []string{"trace.", "common."} {
				if i := strings.Index(body, ">"+key); i >= 0 {
					t.Errorf("%s %s lacks a text: %s", lang, path, body[i:min(i+60, len(body))])
				}
			}
		}
	}
}

// TestSearch has the filters join the text, what was typed stay in the field, and one message
// asked for by its ID be shown at once.
func TestSearch(t *testing.T) {
	g := &gateway{}
	body := ask(t, g, "en", "/trace?q="+url.QueryEscape("ada@x.example prize")+"&direction=out&state=held&since=7d").Body.String()
	for _, part := range []string{"ada@x.example prize", "direction:out", "state:held", "since:7d"} {
		if !strings.Contains(g.text, part) {
			t.Errorf("asked for %q, without %s", g.text, part)
		}
	}
	if !strings.Contains(body, `value="ada@x.example prize"`) || !strings.Contains(body, `<option value="held" selected>`) || !strings.Contains(body, "after=n%261") || !strings.Contains(body, "recipient or sender") {
		t.Error(body)
	}
	if ask(t, g, "en", "/trace?state=lost&since=1y"); g.text != "" {
		t.Errorf("filters that there are not are asked for: %q", g.text)
	}
	if w := ask(t, &gateway{one: true}, "en", "/trace?q=id1"); w.Code != 303 || w.Header().Get("Location") != "/trace/id1" {
		t.Error(w.Code, w.Header())
	}
	if w := ask(t, g, "en", "/trace/id1-00"); w.Code != 303 || w.Header().Get("Location") != "/trace/id1" {
		t.Error("by the ID of a hold:", w.Code, w.Header())
	}
}

// TestLinks has what a reader may not open be named without a link.
func TestLinks(t *testing.T) {
	all := ask(t, &gateway{}, "en", "/trace/id1").Body.String()
	none := ask(t, &gateway{deny: map[string]bool{"quarantine.show": true, "account.show": true, "case.show": true}}, "en", "/trace/id1").Body.String()
	for _, link := range []string{`href="/held/h1"`, `href="/accounts/`, `href="/cases/A-1"`} {
		if !strings.Contains(all, link) || strings.Contains(none, link) {
			t.Errorf("%s: %v, and for others %v", link, strings.Contains(all, link), strings.Contains(none, link))
		}
	}
	if i, j := strings.Index(all, ">Much "), strings.Index(all, ">+0.1<"); i < 0 || j < 0 || i > j {
		t.Error("the heaviest reason does not come first")
	}
}

// TestReasonsInTheReadersLanguage: what the default rules say is translated, an operator's own
// words stand as they are.
func TestReasonsInTheReadersLanguage(t *testing.T) {
	for lang, want := range map[string]string{"en": "The sending host is not allowed", "zh-CN": "域名的 SPF 记录不允许该主机发信", "ru": "Запись SPF домена не разрешает отправку с этого узла", "el": "Η εγγραφή SPF του τομέα δεν επιτρέπει τον υπολογιστή αποστολής"} {
		body := html.UnescapeString(ask(t, &gateway{}, lang, "/trace/id1").Body.String())
		if !strings.Contains(body, want) || !strings.Contains(body, "Our own words") || lang != "en" && strings.Contains(body, "sending host") {
			t.Errorf("%s: %q is missing, or English is left: %s", lang, want, body)
		}
		if !strings.Contains(body, `<bdi lang="">`) {
			t.Errorf("%s: what could not be checked is said in the language of the page", lang)
		}
	}
}
