package held_test

import (
	"context"
	"encoding/json"
	"errors"
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

	"postern/internal/desk/held"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

// quarantine answers the calls of the pages.
type quarantine struct {
	holds map[string]map[string]any
	raw   map[string]string
	deny  map[string]bool
	fail  map[string]error // of acts, by ID
	acts  []string
	text  string
	sort  string
	views []map[string]string
	long  []byte // stands for the bytes of a hold, where set

	learned map[string]string // class by hold

	pieces []string // of holds that were read
	looks  int      // at holds
}

func (q *quarantine) body(id string) []byte {
	if q.long != nil {
		return q.long
	}
	return []byte(q.raw[id])
}

func (q *quarantine) May(_ context.Context, name string) bool { return !q.deny[name] }

func (q *quarantine) Call(_ context.Context, name string, params, result any) error {
	var p struct {
		ID, Text, Sort, Note, Name, Query, Value, Kind, Account, About, Held, Class, Run string
		IDs                                                                              []string
		Allow                                                                            bool
		Limit, Offset                                                                    int
		Expires                                                                          time.Time
		Source                                                                           struct {
			IP, Domain, Serial string
			Port               uint16
			Time               time.Time
		}
	}
	raw, _ := json.Marshal(params)
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	give := func(v any) error {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, result)
	}
	h, there := q.holds[p.ID]
	switch {
	case name == "quarantine.list":
		q.text, q.sort = p.Text, p.Sort
		if strings.Contains(p.Text, "color:") {
			return &page.Error{Status: 400, Words: `"color:" is no field`}
		}
		var all []any
		for _, id := range slices.Sorted(keys(q.holds)) {
			all = append(all, q.holds[id])
		}
		return give(map[string]any{"holds": all, "next": "n&1"})
	case name == "learn.of":
		var known []map[string]any
		for _, id := range p.IDs {
			if class := q.learned[id]; class != "" {
				known = append(known, map[string]any{"id": "e", "hold": id, "class": class, "by": "<b>ann", "via": "desk", "aside": class == "spam"})
			}
		}
		return give(known)
	case name == "learn.status":
		share := map[string]any{"n": 1, "of": 8, "low": 0.02, "high": 0.47}
		return give(map[string]any{"tokens": 7, "idle": 2, "scopes": []any{map[string]any{
			"spam": 30, "ham": 40, "says": "little", "aside": 16, "caught": share, "wrong": share, "missed": share,
			"misses": []any{map[string]any{"class": "ham", "band": "BAYES_99", "by": "ann", "via": "auto", "ref": "<script>", "sender": "x.example"}},
		}}})
	case name == "learn.holds":
		if err := q.fail[p.IDs[0]]; err != nil {
			return err
		}
		q.acts = append(q.acts, strings.TrimSpace(fmt.Sprint("learn ", p.Class, " ", p.IDs, " ", p.Run)))
		return give(map[string]any{"run": "r1"})
	case name == "quarantine.count":
		return give(map[string]any{"n": 1000, "more": true})
	case strings.HasPrefix(name, "view."):
		switch name {
		case "view.save":
			q.views = append(q.views, map[string]string{"room": "held", "name": p.Name, "query": p.Query})
		case "view.remove":
			q.views = slices.DeleteFunc(q.views, func(v map[string]string) bool { return v["name"] == p.Name })
		}
		return give(q.views)
	case name == "blocklist.add":
		q.acts = append(q.acts, fmt.Sprintf("list %v %s %s", p.Allow, p.Value, p.Expires.Format(time.DateOnly)))
		return give(map[string]any{"key": map[bool]string{true: "allow ", false: "block "}[p.Allow] + p.Value + " all", "allow": p.Allow, "value": p.Value, "scope": "all", "expires": p.Expires})
	case name == "blocklist.remove":
		q.acts = append(q.acts, "unlist "+p.ID)
		return give(p.ID)
	case name == "case.open":
		q.acts = append(q.acts, "case "+p.Kind+" "+p.Account+p.Source.IP)
		if p.About == "" && (p.Source.Time.IsZero() || p.Source.Port == 0 && p.Source.Serial == "" && p.Source.Domain == "") {
			q.acts = append(q.acts, "a case that nobody can confirm")
		}
		return give(map[string]any{"id": "PA-1"})
	case name == "case.evidence":
		q.acts = append(q.acts, "evidence "+p.ID+" "+p.Name+" of "+p.Held)
		return give(map[string]any{"id": "PA-1"})
	case !there:
		return &page.Error{Status: 404, Words: "no such hold"}
	case name == "quarantine.show":
		return give(h)
	case name == "quarantine.view":
		q.looks++
		body := q.body(p.ID)
		return give(map[string]any{"body": body[:min(4<<20, len(body))], "more": len(body) > 4<<20})
	case name == "quarantine.raw":
		q.pieces = append(q.pieces, fmt.Sprintf("%d+%d %s", p.Offset, p.Limit, p.Note))
		body := q.body(p.ID)
		body = body[min(p.Offset, len(body)):]
		piece := body[:min(p.Limit, len(body))]
		return give(map[string]any{"body": piece, "more": len(piece) < len(body)})
	}
	if err := q.fail[p.ID]; err != nil {
		return err
	}
	q.acts = append(q.acts, strings.TrimPrefix(name, "quarantine.")+" "+p.ID+" "+p.Note)
	return give(h)
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

const evil = `"><script>alert(1)</script>`

func newQuarantine() *quarantine {
	q := &quarantine{holds: map[string]map[string]any{}, raw: map[string]string{}, deny: map[string]bool{}, fail: map[string]error{}}
	for i, state := range []string{"held", "held", "released", "refused"} {
		id := fmt.Sprintf("hold-%d", i)
		q.holds[id] = map[string]any{
			"id": id, "at": "2026-03-04T04:00:00Z", "expires": "2026-04-03T04:00:00Z", "state": state, "class": "quarantine", "policy": "default", "direction": "inbound",
			"from": evil, "to": []string{evil, "b@x.example"}, "subject": fmt.Sprintf("Subject %d %s", i, evil), "size": 1234, "score": 650,
			"client":    map[string]any{"ip": "192.0.2.1", "port": 49152, "name": evil, "helo": evil},
			"reasons":   []any{map[string]any{"symbol": "A", "score": 50, "describe": "Little " + evil}, map[string]any{"symbol": "B", "score": 600, "describe": "Much", "detail": evil}},
			"unchecked": []any{map[string]any{"step": "clamav", "reason": "was away " + evil}},
		}
		q.raw[id] = "From: x\r\nSubject: =?utf-8?q?Hi?=\r\nX-Evil: " + evil + "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
			"--b\r\nContent-Type: text/plain\r\n\r\nHello " + evil + " \x1b[31m\r\n--b\r\nContent-Type: text/html\r\n\r\n<p onclick=x style='background:url(http://e/)'>Hi <b>you</b><img src=http://evil.example/x.png><a href='javascript:alert(1)'>go</a><svg onload=x><style>@import 'http://e'</style><base href=http://e><meta http-equiv=refresh content=0><iframe srcdoc=x></iframe><form action=http://e><input></form></p>\r\n" +
			"--b\r\nContent-Type: text/html; name=\"a" + "'>.html\"\r\nContent-Disposition: attachment; filename=\"x.html\"\r\n\r\n<script>1</script>\r\n--b--\r\n"
		q.holds[id]["size"], q.holds[id]["sha256"] = len(q.raw[id]), "sum-of-"+id
	}
	return q
}

func desk(t *testing.T, q *quarantine) http.Handler {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{
		Words: book, Calls: q, Now: func() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Menu: []page.Item{{Key: "held", Path: "/held", Call: "quarantine.list"}},
	}, held.Pages)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	(&held.Room{Kit: kit, Calls: q}).Routes(func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) })
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

// TestPages has every page in every language: written whole, with nothing of a stranger's in
// force and no text missing.
func TestPages(t *testing.T) {
	q := newQuarantine()
	h := desk(t, q)
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for _, path := range []string{"/held", "/held?q=state%3Aheld&after=x", "/held?order=oldest", "/held?q=from:a@x.example+score:%3E%3D5+x&said=release&n=3", "/held/hold-0", "/held/hold-0?tab=html", "/held/hold-0?tab=links", "/held/hold-0/link/0", "/held/hold-0?tab=headers", "/held/hold-0?tab=parts", "/held/hold-0?tab=none", "/held/hold-2", "/held/hold-3"} {
			w := ask(h, lang, "GET", path, nil)
			body := w.Body.String()
			if w.Code != 200 || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Errorf("%s %s: %d %s", lang, path, w.Code, body)
			}
			if strings.Contains(body, evil) || strings.Contains(body, "<script>") {
				t.Errorf("%s %s: a stranger's words are markup", lang, path)
			}
			for _, key := range []string{"held.", "common.", "signin."} {
				if i := strings.Index(body, ">"+key); i >= 0 {
					t.Errorf("%s %s lacks a text: %s", lang, path, body[i:min(i+60, len(body))])
				}
			}
			if strings.Contains(body, "\x1b") {
				t.Errorf("%s %s: a control character reaches the page", lang, path)
			}
		}
	}
	if body := ask(h, "en", "GET", "/held", nil).Body.String(); !strings.Contains(body, `href="/held?after=n%261"`) || !strings.Contains(body, `>A</span> <span class="soft">+1`) || !strings.Contains(body, "More than 1000 messages") || !strings.Contains(body, "6.5") {
		t.Error(body)
	}
}

func TestQueries(t *testing.T) {
	q := newQuarantine()
	h := desk(t, q)
	if w := ask(h, "en", "GET", "/held?q="+url.QueryEscape(`from:"x y" <b>`), nil); w.Code != 200 || q.text != `from:"x y" <b>` {
		t.Error(w.Code, q.text)
	}
	if w := ask(h, "en", "GET", "/held?q=color:red", nil); w.Code != 400 || !strings.Contains(w.Body.String(), "is no field") || !strings.Contains(w.Body.String(), `value="color:red"`) {
		t.Error(w.Code, w.Body)
	}
	if w := ask(h, "en", "GET", "/held/none", nil); w.Code != 404 {
		t.Error(w.Code)
	}
}

// TestFrameOfHTML has the HTML of a message shown: in a sandbox, with nothing that loads, runs
// or leads anywhere.
func TestFrameOfHTML(t *testing.T) {
	h := desk(t, newQuarantine())
	w := ask(h, "en", "GET", "/held/hold-0/html", nil)
	body := strings.ToLower(w.Body.String())
	if p := w.Header().Get("Content-Security-Policy"); w.Code != 200 || !strings.HasPrefix(p, "sandbox; default-src 'none'") {
		t.Error(w.Code, p)
	}
	for _, not := range []string{"<script", "onclick", "onload", "<img", "href", "javascript", "<svg", "@import", "<base", "<meta http", "<iframe", "<form", "url(", "evil.example"} {
		if strings.Contains(body, not) {
			t.Errorf("the frame has %s: %s", not, body)
		}
	}
	if !strings.Contains(body, "<b>you</b>") {
		t.Error(body)
	}
}

func TestDownloadsAreInert(t *testing.T) {
	q := newQuarantine()
	h := desk(t, q)
	for path, want := range map[string]string{"/held/hold-0/raw": q.raw["hold-0"], "/held/hold-0/part/1.3": "<script>1</script>"} {
		w := ask(h, "en", "GET", path, nil)
		if w.Code != 200 || strings.TrimSpace(w.Body.String()) != strings.TrimSpace(want) || w.Header().Get("Content-Type") != "application/octet-stream" ||
			!strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment; filename=hold-0") || w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %d %v %q", path, w.Code, w.Header(), w.Body)
		}
	}
	for _, path := range []string{"/held/hold-0/part/1.9", "/held/none/raw", "/held/none/html", "/held/none/part/1"} {
		if w := ask(h, "en", "GET", path, nil); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestActs(t *testing.T) {
	q := newQuarantine()
	h := desk(t, q)
	one := ask(h, "en", "POST", "/held/act", url.Values{"act": {"release"}, "id": {"hold-0"}, "note": {"known"}, "back": {"/held?q=x"}})
	if one.Code != 303 || one.Header().Get("Location") != "/held?n=1&q=x&said=release" || !slices.Equal(q.acts, []string{"release hold-0 known"}) {
		t.Error(one.Code, one.Header(), q.acts)
	}
	q.acts = nil
	several := url.Values{"act": {"delete"}, "id": {"hold-0", "hold-1", "hold-2", "hold-3", "hold-1"}}
	w := ask(h, "en", "POST", "/held/act", several)
	if w.Code != 200 || len(q.acts) != 0 || !strings.Contains(w.Body.String(), "Delete 3 messages?") || !strings.Contains(w.Body.String(), "1 more is left out") {
		t.Error(w.Code, q.acts, w.Body)
	}
	several.Set("seen", "yes")
	q.fail["hold-1"] = &page.Error{Status: 409, Words: "a release is under way"}
	q.fail["hold-3"] = errors.New("disk")
	w = ask(h, "en", "POST", "/held/act", several)
	if w.Code != 409 || !strings.Contains(w.Body.String(), "a release is under way") || strings.Contains(w.Body.String(), "disk") || !strings.Contains(w.Body.String(), "1 message is dealt with") || !slices.Equal(q.acts, []string{"delete hold-0 "}) {
		t.Error(w.Code, q.acts, w.Body)
	}
	for name, form := range map[string]url.Values{
		"no act": {"id": {"hold-0"}}, "none": {"act": {"release"}}, "another act": {"act": {"show"}, "id": {"hold-0"}},
		"too many": {"act": {"delete"}, "id": many(held.MaxBulk + 1)},
	} {
		if w := ask(h, "en", "POST", "/held/act", form); w.Code != 400 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if w := ask(h, "en", "POST", "/held/act", url.Values{"act": {"delete"}, "id": {"none"}}); w.Code != 404 {
		t.Error(w.Code)
	}
}

func many(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("hold-", i))
	}
	return ids
}

// TestWhoMayNot has somebody who may look only: there is nothing to press.
func TestWhoMayNot(t *testing.T) {
	q := newQuarantine()
	q.deny["quarantine.release"], q.deny["quarantine.delete"] = true, true
	h := desk(t, q)
	for _, path := range []string{"/held", "/held/hold-0"} {
		if body := ask(h, "en", "GET", path, nil).Body.String(); strings.Contains(body, `value="release"`) || strings.Contains(body, `value="delete"`) {
			t.Errorf("%s has buttons", path)
		}
	}
}

// TestFields has the form of the list turned into the text of a search, and back.
func TestFields(t *testing.T) {
	q := newQuarantine()
	h := desk(t, q)
	for form, want := range map[string]string{
		"fields=1": "/held",
		"fields=1&words=invoice+paid&from=%40x.example&low=5&high=10&state=held":   "/held?q=" + url.QueryEscape("invoice paid from:@x.example state:held score:5..10"),
		"fields=1&low=7.5&order=highest":                                           "/held?order=highest&q=" + url.QueryEscape("score:>=7.5"),
		"fields=1&order=nothing":                                                   "/held",
		"fields=1&low=7.5&order=oldest":                                            "/held?order=oldest&q=" + url.QueryEscape("score:>=7.5"),
		"fields=1&high=3&to=" + url.QueryEscape(`"A B" <a@x.example>`):             "/held?q=" + url.QueryEscape(`"to:A B <a@x.example>" score:<=3`),
		"fields=1&direction=outbound&symbol=VIRUS&class=measure&since=7d&until=1d": "/held?q=" + url.QueryEscape("symbol:VIRUS class:measure direction:outbound since:7d until:1d"),
	} {
		if w := ask(h, "en", "GET", "/held?"+form, nil); w.Code != 303 || w.Header().Get("Location") != want {
			t.Errorf("%s: %d %s, want %s", form, w.Code, w.Header().Get("Location"), want)
		}
	}
	body := ask(h, "en", "GET", "/held?q="+url.QueryEscape(`"two words" from:@x.example score:5..10 direction:outbound foo:bar`), nil).Body.String()
	for _, want := range []string{`name="words" value="&#34;two words&#34; foo:bar"`, `name="from" value="@x.example"`, `name="low" value="5"`, `name="high" value="10"`, `value="outbound" selected`} {
		if !strings.Contains(body, want) {
			t.Errorf("the form lacks %s", want)
		}
	}
	for text, want := range map[string]string{"score:%3C5": `name="high" value="5"`, "score:%3E%3D2": `name="low" value="2"`, "score:4": `name="low" value="4"`} {
		if body := ask(h, "en", "GET", "/held?q="+text, nil).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
}

// TestViews keeps searches and forgets them.
func TestViews(t *testing.T) {
	h := desk(t, newQuarantine())
	if w := ask(h, "en", "POST", "/held/views", url.Values{"name": {"Mine " + evil}, "q": {"symbol:A"}}); w.Code != 303 || w.Header().Get("Location") != "/held?q=symbol%3AA" {
		t.Error(w.Code, w.Header())
	}
	if body := ask(h, "en", "GET", "/held?q=symbol:A", nil).Body.String(); !strings.Contains(body, `class="own" aria-current="page">Mine &#34;`) {
		t.Error(body)
	}
	ask(h, "en", "POST", "/held/views", url.Values{"forget": {"Mine " + evil}, "q": {"symbol:A"}})
	if body := ask(h, "en", "GET", "/held", nil).Body.String(); strings.Contains(body, `class="own"`) {
		t.Error("it is still there")
	}
}

// TestLists has senders blocked and allowed, with a scope and an end, and that undone.
func TestLists(t *testing.T) {
	q := newQuarantine()
	q.holds["hold-0"]["from"] = "Bad@Spam.example"
	q.holds["hold-1"]["from"] = ""
	h := desk(t, q)
	form := url.Values{"act": {"block"}, "id": {"hold-0", "hold-1"}, "back": {"/held?q=x"}}
	w := ask(h, "en", "POST", "/held/act", form)
	for _, want := range []string{"Block the senders of 2 messages?", "bad@spam.example", ">spam.example<", "192.0.2.1", "192.0.2.0/24", "Also delete"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the preview lacks %q", want)
		}
	}
	if len(q.acts) > 0 {
		t.Error("done before it was seen:", q.acts)
	}
	form.Set("seen", "yes")
	for _, bad := range []url.Values{{"what": {"planet"}}, {"what": {"domain"}, "days": {"x"}}, {"what": {"domain"}, "days": {"99999"}}} {
		for k, v := range form {
			bad[k] = v
		}
		if w := ask(h, "en", "POST", "/held/act", bad); w.Code != 400 || len(q.acts) > 0 {
			t.Error(bad, w.Code, q.acts)
		}
	}
	form.Set("what", "network")
	form.Set("days", "7")
	form.Set("also", "yes")
	w = ask(h, "en", "POST", "/held/act", form)
	if want := []string{"list false 192.0.2.0/24 2026-03-11", "delete hold-0 ", "delete hold-1 "}; w.Code != 200 || !slices.Equal(q.acts, want) || !strings.Contains(w.Body.String(), `name="key" value="block 192.0.2.0/24 all"`) {
		t.Error(w.Code, q.acts, w.Body)
	}
	q.acts = nil
	if w := ask(h, "en", "POST", "/held/undo", url.Values{"key": {"block 192.0.2.0/24 all"}, "back": {"/held?q=x"}}); w.Header().Get("Location") != "/held?n=1&q=x&said=undone" || !slices.Equal(q.acts, []string{"unlist block 192.0.2.0/24 all"}) {
		t.Error(w.Code, w.Header(), q.acts)
	}
	q.acts = nil
	allow := url.Values{"act": {"release-allow"}, "id": {"hold-0"}}
	if w := ask(h, "en", "POST", "/held/act", allow); strings.Contains(w.Body.String(), "192.0.2.0/24") || !strings.Contains(w.Body.String(), "spam.example") {
		t.Error("a network can be allowed")
	}
	allow.Set("seen", "yes")
	allow.Set("what", "address")
	if w := ask(h, "en", "POST", "/held/act", allow); w.Code != 200 || !slices.Equal(q.acts, []string{"list true bad@spam.example 0001-01-01", "release hold-0 "}) {
		t.Error(w.Code, q.acts)
	}
}

// TestCases opens one case for what came from one host.
func TestCases(t *testing.T) {
	q := newQuarantine()
	h := desk(t, q)
	w := ask(h, "en", "POST", "/held/act", url.Values{"act": {"case"}, "id": {"hold-0", "hold-1", "hold-3"}, "seen": {"yes"}})
	want := []string{"case external 192.0.2.1", "evidence PA-1 hold-0.eml of hold-0", "evidence PA-1 hold-1.eml of hold-1", "evidence PA-1 hold-3.eml of hold-3"}
	if w.Code != 200 || !slices.Equal(q.acts, want) || !strings.Contains(w.Body.String(), `href="/cases/PA-1"`) || !strings.Contains(w.Body.String(), "3 messages as evidence") {
		t.Error(w.Code, q.acts, w.Body)
	}
}

// TestAllThatMatch hits what a search finds, not what was ticked.
func TestAllThatMatch(t *testing.T) {
	q := newQuarantine()
	h := desk(t, q)
	w := ask(h, "en", "POST", "/held/act", url.Values{"act": {"copy"}, "all": {"yes"}, "q": {"symbol:A"}, "id": {"hold-2"}})
	if w.Code != 200 || q.text != "symbol:A" || q.sort != "" || !strings.Contains(w.Body.String(), "copies of 3 messages") || !strings.Contains(w.Body.String(), "only the first 500 in the order of the list") {
		t.Error(w.Code, q.text, w.Body)
	}
	ask(h, "en", "POST", "/held/act", url.Values{"act": {"copy"}, "all": {"yes"}, "q": {"symbol:A"}, "order": {"lowest"}})
	if q.sort != "lowest" {
		t.Errorf("what the list does not show first is hit: %q", q.sort)
	}
}

// TestColumnHeads has the heads of the columns ask for the other order, and say which one it is.
func TestColumnHeads(t *testing.T) {
	h := desk(t, newQuarantine())
	for order, want := range map[string][2]string{
		"":        {`aria-sort="descending"><a href="/held?order=oldest&amp;q=a"`, `aria-sort="none"><a href="/held?order=highest&amp;q=a"`},
		"oldest":  {`aria-sort="ascending"><a href="/held?q=a"`, `aria-sort="none"><a href="/held?order=highest&amp;q=a"`},
		"highest": {`aria-sort="none"><a href="/held?q=a"`, `aria-sort="descending"><a href="/held?order=lowest&amp;q=a"`},
		"lowest":  {`aria-sort="none"><a href="/held?q=a"`, `aria-sort="ascending"><a href="/held?order=highest&amp;q=a"`},
		"none":    {`aria-sort="descending"`, `aria-sort="none"`},
	} {
		for _, lang := range []string{"en", "ru", "el", "zh-CN"} {
			body := ask(h, lang, "GET", "/held?q=a&order="+order, nil).Body.String()
			for _, text := range want {
				if !strings.Contains(body, text) {
					t.Errorf("%s, %q: no %s", lang, order, text)
				}
			}
			if order == "highest" && !strings.Contains(body, `name="order" value="highest"`) {
				t.Errorf("%s: a search forgets the order", lang)
			}
		}
	}
}
