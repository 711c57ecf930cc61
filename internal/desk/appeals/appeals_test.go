package appeals_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/appeals"
	"postern/internal/desk/page"
	"postern/internal/desk/site"
	"postern/internal/desk/words"
)

const id = "01m82baay26sphsrhx6z78gxxs"

// calls answer with one appeal, and note what was asked.
type calls struct {
	appeal map[string]any
	blocks []map[string]any
	fails  map[string]*page.Error
	not    string // a call that the reader may not make
	made   []string
}

func (c *calls) May(_ context.Context, name string) bool { return name != c.not }

func (c *calls) Call(_ context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	c.made = append(c.made, name+" "+string(raw))
	if e := c.fails[name]; e != nil {
		return e
	}
	var out any = c.appeal
	switch name {
	case "appeal.list":
		out = map[string]any{"appeals": []any{c.appeal}, "next": "more"}
	case "blocklist.list":
		out = map[string]any{"entries": c.blocks, "total": len(c.blocks)}
	case "blocklist.remove":
		out = "gone"
	case "appeal.count":
		out = map[string]any{"open": 3}
	}
	if raw, err = json.Marshal(out); err != nil {
		return err
	}
	return json.Unmarshal(raw, result)
}

type world struct {
	t     *testing.T
	calls *calls
	mux   *http.ServeMux
}

func newWorld(t *testing.T) *world {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, mux: http.NewServeMux(), calls: &calls{fails: map[string]*page.Error{}, appeal: map[string]any{
		"refusal": map[string]any{"reference": id, "at": "2030-01-02T03:04:00Z", "cause": "blocked", "reply": "550 <i>no</i>"},
		"client":  "192.0.2.7", "from": "Ann@Bakery.example", "at": "2030-01-02T04:00:00Z", "network": "198.51.100.0/32", "language": "el", "email": "<b>@x.example",
		"text": "<script>alert(1)</script>\n" + strings.Repeat("long ", 100), "state": "open",
	}}}
	kit, err := page.New(page.Options{Words: book, Calls: w.calls, Now: func() time.Time { return time.Date(2030, 1, 3, 0, 0, 0, 0, time.UTC) }, Log: slog.New(slog.DiscardHandler)}, site.Pages, appeals.Pages)
	if err != nil {
		t.Fatal(err)
	}
	room := &appeals.Room{Kit: kit, Calls: w.calls}
	room.Routes(func(pattern string, f http.HandlerFunc) { w.mux.HandleFunc(pattern, f) })
	return w
}

func (w *world) do(method, path string, form url.Values) *httptest.ResponseRecorder {
	w.calls.made = nil
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Role: "abuse-agent"}, Token: "tok"})))
	return rec
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for view, want := range map[string]string{
		"": `appeal.list {"after":"","limit":50,"state":"open"}`, "granted": `appeal.list {"after":"","limit":50,"state":"granted"}`,
		"all": `appeal.list {"after":"","limit":50}`, "odd": `appeal.list {"after":"","limit":50,"state":"open"}`,
	} {
		rec := w.do("GET", "/appeals?view="+view, nil)
		body := rec.Body.String()
		if rec.Code != http.StatusOK || !slices.Contains(w.calls.made, want) || !strings.Contains(body, "does not take mail from this sender") || !strings.Contains(body, "&lt;script&gt;") || strings.Contains(body, "<script>alert") {
			t.Errorf("%q: %d %v", view, rec.Code, w.calls.made)
		}
		if !strings.Contains(body, "…") || !strings.Contains(body, "after=more") || !strings.Contains(body, `/appeals/`+id) {
			t.Errorf("%q: cut, next or link: %s", view, body)
		}
	}
	w.calls.fails["appeal.count"] = &page.Error{Status: http.StatusForbidden}
	if rec := w.do("GET", "/appeals", nil); rec.Code != http.StatusForbidden {
		t.Error(rec.Code)
	}
}

func TestOne(t *testing.T) {
	w := newWorld(t)
	body := w.do("GET", "/appeals/"+id, nil).Body.String()
	for _, want := range []string{"&lt;i&gt;no", "&lt;b&gt;@x.example", "/trace/" + id, "Ελληνικά", `value="granted"`, "the domain bakery.example", "the host 192.0.2.7", "30 days"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
	w.calls.appeal["state"], w.calls.appeal["answer"], w.calls.appeal["note"], w.calls.appeal["by"] = "granted", "Sorry.", "a partner", "olga"
	if body := w.do("GET", "/appeals/"+id, nil).Body.String(); !strings.Contains(body, "a partner") || strings.Contains(body, `value="granted"`) || !strings.Contains(body, `value="open"`) {
		t.Error("what was decided is not shown, or can be decided again at once")
	}
	w.calls.not = "appeal.decide"
	if body := w.do("GET", "/appeals/"+id, nil).Body.String(); strings.Contains(body, `value="open"`) {
		t.Error("a reader who may not decide has buttons for it")
	}
	w.calls.fails["appeal.show"] = &page.Error{Status: http.StatusNotFound}
	if rec := w.do("GET", "/appeals/"+id, nil); rec.Code != http.StatusNotFound {
		t.Error(rec.Code)
	}
}

// TestSaidInTheAddress: only what the appeal is about is repeated from the address of a page.
func TestSaidInTheAddress(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string]bool{
		"?allowed=bakery.example&until=2030-02-01": true, "?allowed=192.0.2.7&until=2030-02-01": true,
		"?allowed=evil.example&until=2030-02-01": false, "?allowed=bakery.example&until=forever": false, "?allowed=bakery.example": false,
	} {
		if got := strings.Contains(w.do("GET", "/appeals/"+id+query, nil).Body.String(), "An entry lets"); got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
}

func TestDecide(t *testing.T) {
	w := newWorld(t)
	rec := w.do("POST", "/appeals/"+id, url.Values{"state": {"granted"}, "answer": {" Sorry. "}, "note": {"n"}})
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/appeals/"+id || w.calls.made[0] != `appeal.decide {"answer":"Sorry.","note":"n","reference":"`+id+`","state":"granted"}` {
		t.Errorf("%d %v", rec.Code, w.calls.made)
	}
	w.calls.fails["appeal.decide"] = &page.Error{Status: http.StatusConflict, Words: "it is granted"}
	rec = w.do("POST", "/appeals/"+id, url.Values{"state": {"granted"}, "answer": {"my words"}})
	if body := rec.Body.String(); rec.Code != http.StatusConflict || !strings.Contains(body, "it is granted") || !strings.Contains(body, "my words") {
		t.Errorf("%d %s", rec.Code, body)
	}
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound} {
		w.calls.fails["appeal.decide"] = &page.Error{Status: status}
		if rec := w.do("POST", "/appeals/"+id, url.Values{"state": {"granted"}}); rec.Code != status {
			t.Error(rec.Code)
		}
	}
}

// TestBlocks: own entries that stop the sender are shown, and only these can be taken away here.
func TestBlocks(t *testing.T) {
	w := newWorld(t)
	block := func(value string) map[string]any {
		return map[string]any{"key": "block " + value + " all", "value": value, "scope": "all", "reason": "<b>why</b>", "author": "olga"}
	}
	w.calls.blocks = []map[string]any{block("bakery.example"), block("example"), block("ann@bakery.example"), block("192.0.2.0/24"), block("192.0.2.7")}
	body := w.do("GET", "/appeals/"+id, nil).Body.String()
	if n := strings.Count(body, "/unblock"); n != 5 || !strings.Contains(body, "&lt;b&gt;why") {
		t.Errorf("%d entries: %s", n, body)
	}
	if asked := `blocklist.list {"about":["192.0.2.7","Ann@Bakery.example"],"kind":"block","live":true}`; !slices.Contains(w.calls.made, asked) {
		t.Errorf("the lists are asked %q", w.calls.made)
	}
	rec := w.do("POST", "/appeals/"+id+"/unblock", url.Values{"key": {"block bakery.example all"}})
	if rec.Code != http.StatusSeeOther || !slices.Contains(w.calls.made, `blocklist.remove {"id":"block bakery.example all","note":"Appeal `+id+`"}`) {
		t.Errorf("%d %v", rec.Code, w.calls.made)
	}
	for _, key := range []string{"", "block xbakery.example all", "allow bakery.example all"} {
		if rec := w.do("POST", "/appeals/"+id+"/unblock", url.Values{"key": {key}}); rec.Code != http.StatusConflict || slices.ContainsFunc(w.calls.made, func(s string) bool { return strings.HasPrefix(s, "blocklist.remove") }) {
			t.Errorf("%q: %d %v", key, rec.Code, w.calls.made)
		}
	}
	w.calls.fails["blocklist.remove"] = &page.Error{Status: http.StatusConflict, Words: "not now"}
	if rec := w.do("POST", "/appeals/"+id+"/unblock", url.Values{"key": {"block example all"}}); rec.Code != http.StatusConflict || !strings.Contains(rec.Body.String(), "not now") {
		t.Errorf("%d", rec.Code)
	}
	w.calls.not = "blocklist.remove"
	if rec := w.do("POST", "/appeals/"+id+"/unblock", url.Values{"key": {"block example all"}}); rec.Code != http.StatusForbidden {
		t.Errorf("%d", rec.Code)
	}
	w.calls.not = "blocklist.list"
	if body := w.do("GET", "/appeals/"+id, nil).Body.String(); strings.Contains(body, "/unblock") {
		t.Error("entries are shown to who may not see them")
	}
}

func TestAllow(t *testing.T) {
	w := newWorld(t)
	rec := w.do("POST", "/appeals/"+id+"/allow", url.Values{"what": {"domain"}, "days": {"30"}})
	want := `blocklist.add {"allow":true,"expires":"2030-02-02T00:00:00Z","reason":"Appeal ` + id + `","scope":"all","value":"bakery.example"}`
	if to := rec.Header().Get("Location"); rec.Code != http.StatusSeeOther || to != "/appeals/"+id+"?allowed=bakery.example&until=2030-02-02" || !slices.Contains(w.calls.made, want) {
		t.Errorf("%d %s %v", rec.Code, to, w.calls.made)
	}
	for name, form := range map[string]url.Values{
		"no target": {"days": {"30"}}, "no end": {"what": {"host"}}, "for ever": {"what": {"host"}, "days": {"0"}}, "another value": {"what": {"evil.example"}, "days": {"7"}},
	} {
		if rec := w.do("POST", "/appeals/"+id+"/allow", form); rec.Code != http.StatusBadRequest || slices.ContainsFunc(w.calls.made, func(s string) bool { return strings.HasPrefix(s, "blocklist.add") }) {
			t.Errorf("%s: %d %v", name, rec.Code, w.calls.made)
		}
	}
	w.calls.fails["blocklist.add"] = &page.Error{Status: http.StatusConflict, Words: "a second person is asked"}
	if rec := w.do("POST", "/appeals/"+id+"/allow", url.Values{"what": {"host"}, "days": {"7"}}); rec.Code != http.StatusConflict || !strings.Contains(rec.Body.String(), "a second person is asked") {
		t.Errorf("%d", rec.Code)
	}
	w.calls.not = "blocklist.add"
	if rec := w.do("POST", "/appeals/"+id+"/allow", url.Values{"what": {"host"}, "days": {"7"}}); rec.Code != http.StatusForbidden || len(w.calls.made) != 0 {
		t.Errorf("%d %v", rec.Code, w.calls.made)
	}
	w.calls.not = ""
	w.calls.appeal["from"], w.calls.appeal["client"] = "", "unknown"
	if body := w.do("GET", "/appeals/"+id, nil).Body.String(); strings.Contains(body, "/allow") {
		t.Error("nobody can be let through, and there is a form")
	}
}
