package guarantees_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"postern/internal/desk/guarantees"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

const evil = `"><script>alert(1)</script>`

func clock() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// gateway answers the calls of the pages.
type gateway struct {
	deny map[string]bool
	fail map[string]error
	made []string
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
	var p struct{ ID, Case string }
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	var out any
	switch name {
	case "guarantee.list":
		out = map[string]any{"packs": []any{pack("G-draft"), pack("G-waiting"), pack("G-broken")}, "next": "n&1"}
	case "guarantee.certificates":
		out = map[string]any{"certificates": []any{map[string]any{"id": "PC-1", "account": evil, "purged": clock(), "by": "lea", "what": []string{"3 reports", evil}, "sha256": "abc"}}}
	case "guarantee.show", "guarantee.new":
		if p.ID == "none" {
			return &page.Error{Status: 404, Words: "there is no guarantee"}
		}
		if p.ID == "" {
			p.ID = "G-draft"
		}
		out = pack(p.ID)
	case "guarantee.paper":
		out = map[string]any{"name": evil + ".html", "bytes": []byte("<script>alert(1)</script>")}
	case "case.show":
		out = map[string]any{"case": map[string]any{"state": "SUSPENDED", "strikes": 1}}
		if strings.HasSuffix(p.ID, "2") {
			out = map[string]any{"case": map[string]any{"state": "SUSPENDED", "strikes": 2, "ending": map[string]any{"by": "lea"}}}
		}
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, result)
}

// pack is one whose ID says its state.
func pack(id string) map[string]any {
	file := func(name string) map[string]any {
		return map[string]any{"sha256": "0123" + name, "size": 2345678, "name": name + evil, "by": "olga", "at": clock()}
	}
	p := map[string]any{"id": id, "case": "A-2026-000001", "account": "anna@example.com", "state": strings.TrimPrefix(id, "G-"), "proposer": "olga", "proposed": clock().Add(-time.Hour), "files": map[string]any{"letter": file("letter")}, "form": map[string]any{"company": evil}}
	if id != "G-draft" {
		p["files"] = map[string]any{"letter": file("a"), "suspension statement": file("b"), "licence copy": file("c")}
		p["form"] = map[string]any{"company": "Example", "scope": "mailbox", "covers": "anna@example.com", "signer": evil, "contact": "a@b.example", "phone": "1", "date": clock()}
	}
	switch id {
	case "G-full":
		p["state"] = "draft"
	case "G-broken":
		p["strike"], p["approver"], p["decided"], p["reason"], p["trial_until"], p["case"] = 2, "lea", clock(), evil, clock(), "A-2026-000002"
	case "G-waiting":
		p["proposer"] = "lea"
	case "G-own":
		p["state"] = "waiting"
	}
	return p
}

func desk(t *testing.T, g *gateway) http.Handler {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	confirm := fstest.MapFS{"html/confirm.html": {Data: []byte(`{{define "content"}}<p>who are you?</p>{{end}}`)}}
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, guarantees.Pages, confirm)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&guarantees.Room{Kit: kit, Calls: g}).Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
	return page.Guard(false, mux)
}

func send(h http.Handler, lang string, r *http.Request, fresh bool) *httptest.ResponseRecorder {
	r = r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: lang}, Token: "tok", Fresh: fresh}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(h http.Handler, lang, path string) *httptest.ResponseRecorder {
	return send(h, lang, httptest.NewRequest(http.MethodGet, path, nil), false)
}

func post(h http.Handler, path string, form url.Values, fresh bool) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(h, "en", r, fresh)
}

// upload is a form with a file of so many octets.
func upload(t *testing.T, h http.Handler, path string, octets int) *httptest.ResponseRecorder {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.WriteField("part", "letter"); err != nil {
		t.Fatal(err)
	}
	if octets >= 0 {
		f, err := w.CreateFormFile("file", "letter.pdf")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(bytes.Repeat([]byte("x"), octets)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return send(h, "en", r, false)
}

// TestPages has every page in every language: whole, without a stranger's markup, no text
// missing.
func TestPages(t *testing.T) {
	h := desk(t, &gateway{})
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for _, path := range []string{"/guarantees", "/guarantees?state=waiting&case=A-2026-000001", "/guarantees/G-draft", "/guarantees/G-full", "/guarantees/G-waiting", "/guarantees/G-own", "/guarantees/G-broken", "/guarantees/G-kept"} {
			w := get(h, lang, path)
			body := w.Body.String()
			if w.Code != 200 || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Fatalf("%s %s: %d %s", lang, path, w.Code, body)
			}
			if strings.Contains(body, evil) {
				t.Errorf("%s %s: a stranger's words are markup", lang, path)
			}
			for _, key := range []string{">guarantees.", ">accounts.", ">common.", `"guarantees.`} {
				if i := strings.Index(body, key); i >= 0 {
					t.Errorf("%s %s lacks a text: %s", lang, path, body[i:min(i+60, len(body))])
				}
			}
		}
	}
	if w := get(h, "en", "/guarantees/none"); w.Code != 404 {
		t.Error(w.Code)
	}
}

func TestFill(t *testing.T) {
	g := &gateway{fail: map[string]error{}}
	h := desk(t, g)
	if body := get(h, "en", "/guarantees/G-draft").Body.String(); !strings.Contains(body, "Still missing: suspension statement, copy of the licence, scope") || strings.Contains(body, "/submit") {
		t.Error(body)
	}
	if body := get(h, "en", "/guarantees/G-full").Body.String(); !strings.Contains(body, "All parts are here") || !strings.Contains(body, "/submit") || !strings.Contains(body, "2.3 MB") {
		t.Error(body)
	}
	form := url.Values{"case": {" A-2026-000001 "}, "company": {"Example"}, "scope": {"domain"}, "covers": {"example.com"}, "signer": {"A"}, "contact": {"a@b.example"}, "phone": {"1"}, "date": {"2026-03-01"}}
	if w := post(h, "/guarantees", form, false); w.Code != 303 || w.Header().Get("Location") != "/guarantees/G-draft" || !strings.Contains(strings.Join(g.made, "\n"), `"date":"2026-03-01T00:00:00Z"`) || !strings.Contains(strings.Join(g.made, "\n"), `guarantee.new {"case":"A-2026-000001"`) {
		t.Error(w.Code, w.Header(), g.made)
	}
	g.fail["guarantee.new"] = &page.Error{Status: 409, Words: "a guarantee is for a suspended account"}
	if w := post(h, "/guarantees", form, false); w.Code != 409 || !strings.Contains(w.Body.String(), "for a suspended account") || !strings.Contains(w.Body.String(), `value="Example"`) {
		t.Error(w.Code, w.Body)
	}
	g.fail["guarantee.fill"] = &page.Error{Status: 400, Words: "the scope is a mailbox"}
	if w := post(h, "/guarantees/G-draft/fill", form, false); w.Code != 400 || !strings.Contains(w.Body.String(), "the scope is a mailbox") {
		t.Error(w.Code)
	}
	if w := post(h, "/guarantees/G-full/submit", url.Values{}, false); w.Code != 303 || !slices.Contains(g.made, `guarantee.submit {"id":"G-full"}`) {
		t.Error(w.Code, g.made)
	}
}

// TestPapers come in up to their bound, and go out as bytes for the disk.
func TestPapers(t *testing.T) {
	g := &gateway{}
	h := desk(t, g)
	if w := upload(t, h, "/guarantees/G-draft/upload", 3); w.Code != 303 || !slices.Contains(g.made, `guarantee.upload {"bytes":"eHh4","id":"G-draft","name":"letter.pdf","part":"letter"}`) {
		t.Error(w.Code, g.made)
	}
	if w := upload(t, h, "/guarantees/G-draft/upload", 2<<20); w.Code != 303 {
		t.Error("a paper of 2 MB:", w.Code)
	}
	if w := upload(t, h, "/guarantees/G-draft/upload", -1); w.Code != 400 || !strings.Contains(w.Body.String(), "at most 20.9 MB") {
		t.Error(w.Code, w.Body)
	}
	g.made = nil
	if w := upload(t, h, "/guarantees/G-draft/upload", page.MaxUpload); w.Code != 400 || slices.ContainsFunc(g.made, func(s string) bool { return strings.HasPrefix(s, "guarantee.upload") }) {
		t.Error("a paper that is too large:", w.Code)
	}
	if w := upload(t, h, "/guarantees/G-draft/fill", 2<<20); w.Code != 303 || strings.Contains(strings.Join(g.made, ""), "eHh4eHh4") {
		t.Error("a file to another path", w.Code)
	}
	w := get(h, "en", "/guarantees/G-draft/paper?part=licence+copy")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/octet-stream" || w.Header().Get("Content-Disposition") != "attachment; filename=G-draft-licence-copy.bin" || w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "sandbox") {
		t.Error(w.Code, w.Header())
	}
}

func TestDecide(t *testing.T) {
	g := &gateway{fail: map[string]error{}}
	h := desk(t, g)
	if body := get(h, "en", "/guarantees/G-own").Body.String(); !strings.Contains(body, "another person approves it") || !strings.Contains(body, "disabled") {
		t.Error(body)
	}
	approve := url.Values{"act": {"approve"}, "reason": {" complete "}}
	if w := post(h, "/guarantees/G-waiting/decide", approve, false); w.Code == 303 || len(g.made) > 2 {
		for _, m := range g.made {
			if strings.HasPrefix(m, "guarantee.approve") {
				t.Error("approved without a fresh sign-in", w.Code)
			}
		}
	}
	if w := post(h, "/guarantees/G-waiting/decide", approve, true); w.Code != 303 || !slices.Contains(g.made, `guarantee.approve {"id":"G-waiting","reason":"complete"}`) {
		t.Error(w.Code, g.made)
	}
	if w := post(h, "/guarantees/G-waiting/decide", url.Values{"act": {"refuse"}, "reason": {"no seal"}}, true); w.Code != 303 || !slices.Contains(g.made, `guarantee.refuse {"id":"G-waiting","reason":"no seal"}`) {
		t.Error(w.Code, g.made)
	}
	if w := post(h, "/guarantees/G-broken/end", url.Values{"reason": {"twice"}}, true); w.Code != 303 || !slices.Contains(g.made, `case.end {"id":"A-2026-000002","order":"","reason":"twice"}`) {
		t.Error(w.Code, g.made)
	}
	if body := get(h, "en", "/guarantees/G-broken").Body.String(); !strings.Contains(body, "The end is proposed") {
		t.Error(body)
	}
	g.fail["guarantee.purge"] = &page.Error{Status: 409, Words: "the data is kept until then"}
	if w := post(h, "/guarantees/G-broken/purge", url.Values{"reason": {"asked"}}, true); w.Code != 409 || !strings.Contains(w.Body.String(), "kept until then") || !slices.Contains(g.made, `guarantee.purge {"case":"A-2026-000002","reason":"asked"}`) {
		t.Error(w.Code, g.made)
	}
	g.deny = map[string]bool{"guarantee.approve": true, "guarantee.fill": true, "guarantee.new": true}
	for _, path := range []string{"/guarantees", "/guarantees/G-draft", "/guarantees/G-waiting"} {
		if body := get(h, "en", path).Body.String(); strings.Contains(body, "<button class=\"main\"") || strings.Contains(body, "/purge") || strings.Contains(body, "/upload") {
			t.Errorf("%s has buttons for who may only look", path)
		}
	}
}
