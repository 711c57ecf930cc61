package accounts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/accounts"
	"postern/internal/desk/chart"
	"postern/internal/desk/measures"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

const evil = `"><script>alert(1)</script>`

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// gateway answers the calls of the pages.
type gateway struct {
	deny map[string]bool
	made []string
	none bool
	fail map[string]error
	with func(account map[string]any) // changes what is known
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
	case "account.find":
		if strings.Contains(string(raw), `"level":"M9"`) {
			return &page.Error{Status: 400, Words: "M9 is no measure"}
		}
		out = map[string]any{"total": 2, "next": "n&1", "accounts": []any{
			map[string]any{"name": evil, "level": "M3", "reason": evil, "auto": true, "score": 80, "strikes": 1, "recipients": 12345, "usual": 10, "last": clock().Add(-time.Minute), "trial_until": clock().Add(time.Hour)},
			map[string]any{"name": "bob@example.com", "watched": true},
		}}
		if g.none {
			out = map[string]any{"accounts": []any{}}
		}
	case "account.activity":
		known := active(g.none)
		if g.with != nil {
			g.with(known)
		}
		out = known
	case "measure.list":
		out = map[string]any{"measures": []any{}}
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, result)
}

func active(none bool) map[string]any {
	var hours, days []any
	for i := range 48 {
		hours = append(hours, map[string]any{"at": clock().Truncate(time.Hour).Add(time.Duration(i-47) * time.Hour), "recipients": i * 7, "fresh": i, "messages": i})
	}
	for i := range 28 {
		days = append(days, map[string]any{"at": clock().Truncate(24*time.Hour).AddDate(0, 0, i-27), "recipients": i * 70, "gone": i})
	}
	if none {
		return map[string]any{"name": "nobody@example.com", "level": "M0", "sends": map[string]any{"hours": hours, "days": days}}
	}
	vote := map[string]any{"id": "s", "family": "A", "rule": "complaint", "at": clock(), "votes": 100, "provider": evil, "case": "A-2026-000001"}
	return map[string]any{
		"name": "anna@example.com", "known": true, "level": "M3", "domain": true, "account": map[string]any{"name": "@example.com", "reason": evil},
		"sends":    map[string]any{"hours": hours, "days": days, "usual": 40, "cut": true, "from": clock(), "hour": map[string]any{"recipients": 400, "fresh": 300}, "day": map[string]any{"recipients": 200, "fresh": 50, "gone": 20, "messages": 3}, "month": map[string]any{"recipients": 1000, "fresh": 10}, "domains": []any{map[string]any{"name": evil, "count": 5}}, "networks": []any{map[string]any{"name": "192.0.2.0/24", "count": 5, "last": clock(), "country": "GR", "asn": 64500}}},
		"judged":   map[string]any{"score": 60, "signals": []any{map[string]any{"rule": "volume", "weight": 25, "detail": evil}, map[string]any{"rule": "odd", "weight": -10, "detail": "x"}}},
		"logins":   []any{map[string]any{"network": "192.0.2.0/24", "last": clock(), "worked": true, "failed": 5}},
		"votes":    map[string]any{"proven": 150, "unproven": 2, "last": []any{vote}},
		"measures": []any{map[string]any{"id": "m-1", "target": "anna@example.com", "level": 3, "state": "removed", "reason": evil, "actor": "olga", "at": clock(), "ended": map[string]any{"actor": "lea", "at": clock()}}},
		"cases":    []any{map[string]any{"id": "A-2026-000001", "state": "PROBATION", "opened": clock(), "grade": 4, "reports": 7}}, "strikes": 2,
		"trial":      map[string]any{"pack": "G-1", "from": clock().AddDate(0, 0, -5), "until": clock().AddDate(0, 0, 25), "share": 40, "messages": 40, "recipients": 80, "steps": []any{map[string]any{"at": clock().AddDate(0, 0, -5), "share": 20}, map[string]any{"at": clock().AddDate(0, 0, -2), "share": 40}}},
		"guarantees": []any{map[string]any{"id": "G-1", "state": "approved"}, map[string]any{"id": "G-0", "state": "broken", "strike": 2}}, "certificates": []any{map[string]any{"id": "PC-1", "purged": clock(), "by": "lea"}},
	}
}

func desk(t *testing.T, g *gateway) http.Handler {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	menu := []page.Item{{Key: "accounts", Path: "/accounts", Call: "account.find", Under: []page.Item{{Key: "accounts.nav-guarantees", Path: "/guarantees", Call: "guarantee.list"}}}}
	kit, err := page.New(page.Options{Words: book, Calls: g, Menu: menu, Now: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, accounts.Pages, measures.Pages, chart.Parts)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&accounts.Room{Kit: kit, Calls: g}).Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	return page.Guard(false, mux)
}

func ask(h http.Handler, lang, method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r = r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: lang}, Token: "tok"}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPages has every page in every language: whole, without a stranger's markup, no text
// missing.
func TestPages(t *testing.T) {
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for _, none := range []bool{false, true} {
			h := desk(t, &gateway{none: none})
			for _, path := range []string{"/accounts", "/accounts?q=x&score=20&strikes=1&trial=yes&level=M1&sort=name&after=b", "/account?name=Anna@example.com"} {
				w := ask(h, lang, "GET", path, nil)
				body := w.Body.String()
				want := 200
				if none && strings.HasPrefix(path, "/account?") {
					want = 404
				}
				if w.Code != want || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
					t.Fatalf("%s %s: %d %s", lang, path, w.Code, body)
				}
				if strings.Contains(body, evil) {
					t.Errorf("%s %s: a stranger's words are markup", lang, path)
				}
				for _, key := range []string{">accounts.", ">measures.", ">guarantees.", ">common.", `"accounts.`} {
					if i := strings.Index(body, key); i >= 0 {
						t.Errorf("%s %s lacks a text: %s", lang, path, body[i:min(i+60, len(body))])
					}
				}
			}
		}
	}
}

func TestSearch(t *testing.T) {
	g := &gateway{}
	h := desk(t, g)
	body := ask(h, "en", "GET", "/accounts?q=an&domain=example.com&level=measure&score=20&strikes=1&trial=yes&sort=sends&after=x", nil).Body.String()
	if want := fmt.Sprintf(`account.find {"text":"an","domain":"example.com","level":"measure","strikes":1,"score":20,"trial":true,"sort":"sends","after":"x","limit":%d}`, accounts.PerPage); !slices.Contains(g.made, want) {
		t.Error(g.made)
	}
	if !strings.Contains(body, "after=n%261") || !strings.Contains(body, "12,345") || !strings.Contains(body, "2 accounts") || !strings.Contains(body, `class="below"`) {
		t.Error(body)
	}
	if w := ask(h, "en", "GET", "/accounts?level=M9", nil); w.Code != 400 || !strings.Contains(w.Body.String(), "M9 is no measure") {
		t.Error(w.Code)
	}
}

func TestOne(t *testing.T) {
	g := &gateway{}
	h := desk(t, g)
	body := ask(h, "en", "GET", "/account?name=Anna@example.com", nil).Body.String()
	for _, want := range []string{"10 times the usual", "25 %", "10 %", "Compromise score 60", "Far more recipients", "Proven votes: 1.5", "2 complaints without proof", "Now at 40 % of the normal rate: 40 messages", "strike 2", `data-key="t"`, "usual: 40", "As a table", "AS64500", "A measure for all of example.com", "The figures begin"} {
		if !strings.Contains(body, want) && !strings.Contains(body, strings.ToLower(want)) {
			t.Errorf("lacks %q", want)
		}
	}
	if w := ask(h, "en", "GET", "/account", nil); w.Code != 400 {
		t.Error(w.Code)
	}
}

// TestStop is for those who take no measures and see to their own domain.
func TestStop(t *testing.T) {
	g := &gateway{deny: map[string]bool{"measure.apply": true, "measure.list": true, "case.show": true, "guarantee.list": true}}
	h := desk(t, g)
	body := ask(h, "en", "GET", "/account?name=anna@example.com", nil).Body.String()
	if !strings.Contains(body, `value="restore"`) || strings.Contains(body, `data-key="t"`) || strings.Contains(body, `href="/cases/A-2026-000001">A-`) && strings.Contains(body, `<li><a href="/cases`) {
		t.Error(body)
	}
	w := ask(h, "en", "POST", "/account/stop", url.Values{"name": {"anna@example.com"}, "reason": {"spam"}, "act": {"suspend"}})
	if w.Code != 303 || w.Header().Get("Location") != "/account?name=anna%40example.com" || !slices.Contains(g.made, `account.suspend {"name":"anna@example.com","reason":"spam"}`) {
		t.Error(w.Code, w.Header(), g.made)
	}
	if w := ask(h, "en", "POST", "/account/stop", url.Values{"name": {"anna@example.com"}}); w.Code != 400 {
		t.Error(w.Code)
	}
}
