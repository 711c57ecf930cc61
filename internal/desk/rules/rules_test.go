package rules_test

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
	"sync"
	"testing"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/rules"
	"postern/internal/desk/site"
	"postern/internal/desk/words"
	"postern/internal/desk/work"
)

const evil = `"><script>alert(1)</script>`

var now = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// gateway answers the calls of the pages.
type gateway struct {
	t       *testing.T
	mu      sync.Mutex // long work makes calls after the answer of the page that began it
	answers map[string]any
	fails   map[string]error
	deny    map[string]bool
	made    []string
	mux     *http.ServeMux
	stale   bool // the reader has to confirm first
	book    *words.Book
	work    *work.Desk
	pages   map[string][]any // answers one after another, before answers
}

func (g *gateway) May(_ context.Context, name string) bool { return !g.deny[name] }

func (g *gateway) Call(_ context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made = append(g.made, name+" "+string(raw))
	if err := g.fails[name]; err != nil {
		return err
	}
	answer := g.answers[name]
	if next := g.pages[name]; len(next) > 0 {
		answer, g.pages[name] = next[0], next[1:]
	}
	out, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, result)
}

// calls are the calls made so far.
func (g *gateway) calls() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.made)
}

// fail makes a call fail from now on.
func (g *gateway) fail(name string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fails[name] = err
}

// answer changes what a call says.
func (g *gateway) answer(name string, answer any) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answers[name] = answer
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, fails: map[string]error{}, deny: map[string]bool{}, mux: http.NewServeMux(), book: book, answers: answers()}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	clock := func() time.Time { return now }
	desk := &work.Desk{Now: clock, Log: log}
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: clock, Log: log}, site.Pages, work.Pages, rules.Pages)
	if err != nil {
		t.Fatal(err)
	}
	g.work = desk
	room := &rules.Room{Kit: kit, Calls: g, Work: desk}
	room.Routes(func(pattern string, f http.HandlerFunc) { g.mux.HandleFunc(pattern, f) })
	return g
}

// answers are what the calls say when nothing else is said.
func answers() map[string]any {
	change := map[string]any{
		"id": "0001-ab", "node": "mx1", "file": "rules/own.yaml", "at": now, "actor": "olga" + evil, "how": "saved", "note": evil, "before": "old", "after": "new",
	}
	hunks := []any{map[string]any{"lines": []any{
		map[string]any{"op": " ", "old": 1, "new": 1, "text": "patterns:"},
		map[string]any{"op": "-", "old": 2, "text": "  was" + evil},
		map[string]any{"op": "+", "new": 2, "text": "  is" + evil},
	}}}
	verdict := map[string]any{
		"action": "quarantine", "policy": "default", "score": 800,
		"reasons": []any{map[string]any{"symbol": "A_B", "score": 800, "describe": "A" + evil, "mark": "gone"}},
	}
	return map[string]any{
		"rules.list": map[string]any{
			"messages": 12, "whole": true, "revision": "abc",
			"rules": []any{
				map[string]any{"symbol": "HOUSE_ONE", "kind": "pattern", "describe": "One" + evil, "score": 150, "state": "on", "may_off": true, "file": "rules/own.yaml", "line": 3, "hits": 7, "verdicts": map[string]int{"quarantine": 5, "accept": 2}, "used": []string{"HOUSE_ALL"}},
				map[string]any{"symbol": "HOUSE_TWO", "kind": "check", "describe": "Two", "state": "off", "may_off": true, "file": "default/x.yaml", "off": map[string]any{"by": "olga", "at": now, "until": now.Add(time.Hour), "note": "why" + evil}},
				map[string]any{"symbol": "VIRUS", "kind": "check", "describe": "A virus", "state": "on", "file": "default/clamav.yaml"},
			},
		},
		"rules.files": map[string]any{
			"node": "mx1", "revision": "abc", "written": "abc", "restart": []string{"clamav"},
			"files": []any{
				map[string]any{"id": "rules/own.yaml", "kind": "rules", "name": "own.yaml", "size": 120, "modified": now, "hash": "h"},
				map[string]any{"id": "default/base.yaml", "kind": "default", "name": "base.yaml", "size": 120, "read_only": "own"},
				map[string]any{"id": "config/postern.yaml", "kind": "config", "name": "postern.yaml", "read_only": "hidden"},
			},
			"folders": []any{
				map[string]any{"kind": "rules", "dir": "/etc/rules.d", "writable": true},
				map[string]any{"kind": "calendar", "dir": "/etc/cal", "writable": true},
			},
			"nodes": []any{
				map[string]any{"name": "mx1", "rules": "abc", "seen": now, "same": true},
				map[string]any{"name": "mx2", "rules": "xyz", "seen": now, "same": false},
			},
		},
		"rules.file":     map[string]any{"id": "rules/own.yaml", "kind": "rules", "name": "own.yaml", "path": "/etc/rules.d/own.yaml", "hash": "h", "text": "patterns: []\n# " + evil + "\n"},
		"rules.keys":     map[string]any{"path": "patterns[].in", "key": map[string]any{"path": "patterns[].in", "type": "text", "describe": "Where it is looked for. body is the text as people read it, paragraphs the subject and the text with a paragraph a line; rawbody is each decoded text part with its HTML; fields joins all fields of the names (to,cc), part is those of the parts; url is each link by itself; uri has addresses of mail among them and a scheme before each.", "values": []string{"subject"}}, "keys": []any{map[string]any{"path": "patterns[].id", "type": "text", "describe": "name", "example": "A_B"}}},
		"rules.sent":     map[string]any{"sent": map[string]any{"by": "olga", "at": now, "node": "mx1"}, "answers": []any{map[string]any{"node": "mx2", "ok": false, "says": "no" + evil}}, "waiting": []string{"mx3"}},
		"rules.send":     map[string]any{},
		"rules.history":  map[string]any{"changes": []any{change}, "next": "n&1"},
		"rules.diff":     map[string]any{"change": change, "known": true, "diff": hunks, "back": true},
		"rules.rollback": map[string]any{"file": map[string]any{"id": "rules/own.yaml"}},
		"rules.save":     map[string]any{},
		"rules.off":      map[string]any{},
		"rules.on":       "HOUSE_TWO",
		"rules.check":    map[string]any{"ok": true, "tests": 2, "diff": hunks, "base": "h", "changed": true, "changes": []any{map[string]any{"symbol": "A_B", "before": "1.00", "after": "2.00"}}, "restart": []string{"store"}},
		"rules.try":      map[string]any{"hold": "h-00", "subject": "Offer" + evil, "now": verdict, "then": map[string]any{"action": "accept", "policy": "default"}, "flips": true, "as_it_came": []string{"SPF_FAIL"}},
		"quarantine.list": map[string]any{"holds": []any{
			map[string]any{"id": "h-00", "subject": "Offer" + evil, "from": "a@b.example", "at": now},
		}},
		"blocklist.list": map[string]any{"total": 102, "next": "1.2 <block>", "entries": []any{
			map[string]any{"key": "block a@b.example all", "value": "a@b.example", "scope": "all", "reason": "rude" + evil, "author": "olga", "created": now},
			map[string]any{"key": "allow 192.0.2.0/24 domain:example.com", "allow": true, "value": "192.0.2.0/24", "scope": "domain:example.com", "reason": "known", "author": "petra", "created": now, "expires": now.Add(time.Hour)},
		}},
		"blocklist.add": map[string]any{}, "blocklist.remove": "x", "greylist.allow": map[string]any{},
		"blocklist.why":  []any{map[string]any{"list": "own", "subject": "a@b.example", "listed": true, "text": "rude" + evil, "symbols": []string{"OWN_BLOCK"}}},
		"blocklist.test": []any{map[string]any{"name": "dnsbl", "zone": "x.example", "on": false, "fault": "lists everything"}},
		"greylist.list":  []any{map[string]any{"id": "g1", "from": "f@g.example" + evil, "to": []string{"a@example.com"}, "client": "192.0.2.9", "first": now, "tries": 2}},
		"calendar.show": map[string]any{
			"teams": []any{map[string]any{"name": "desk", "calendar": "china", "zone": "Asia/Shanghai", "version": "china-1", "minutes": 540}},
			"gaps":  []any{map[string]any{"team": "desk", "calendar": "china", "year": 2027, "status": "provisional"}},
			"days": []any{
				map[string]any{"calendar": "plain", "zone": "UTC", "always": true},
				map[string]any{"calendar": "china", "zone": "Asia/Shanghai", "years": []any{map[string]any{
					"year": 2026, "status": "final", "source": "notice" + evil,
					"off":  []any{map[string]any{"day": "2026-02-15", "to": "2026-02-23", "name": "Spring Festival"}},
					"work": []any{map[string]any{"day": "2026-02-14", "name": "made up"}},
				}}},
			},
		},
		"audit.find": map[string]any{
			"last": 9, "next": 5,
			"entries": []any{map[string]any{"seq": 9, "time": now, "actor": "olga", "action": "list-add", "object": "x" + evil, "after": map[string]any{"value": evil}, "hash": "hash"}},
		},
	}
}

// ask makes a request as a reader who is signed in.
func (g *gateway) ask(method, path string, form url.Values, more ...func(*http.Request)) *httptest.ResponseRecorder {
	g.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, path, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, m := range more {
		m(r)
	}
	visit := page.Visit{User: &page.User{Name: "olga", Language: "en"}, Token: "tok", Fresh: !g.stale}
	rec := httptest.NewRecorder()
	g.mux.ServeHTTP(rec, r.WithContext(page.With(r.Context(), visit)))
	return rec
}

func script(r *http.Request) {
	r.Header.Set("HX-Request", "true")
	r.Header.Set("HX-Request-Type", "partial")
}

func TestPagesInAllLanguages(t *testing.T) {
	g := newGateway(t)
	for _, lang := range g.book.Languages() {
		for _, c := range []struct {
			path  string
			shows string
		}{
			{path: "/rules", shows: "HOUSE_ONE"},
			{path: "/rules?state=own", shows: "HOUSE_ONE"},
			{path: "/rules/rule/HOUSE_ONE", shows: `name="hours"`},
			{path: "/rules/rule/HOUSE_TWO", shows: `action="/rules/on"`},
			{path: "/rules/rule/VIRUS", shows: "default/clamav.yaml"},
			{path: "/rules/files", shows: "own.yaml"},
			{path: "/rules/file?id=rules/own.yaml", shows: "<textarea"},
			{path: "/rules/changes", shows: "/rules/change/0001-ab"},
			{path: "/rules/change/0001-ab", shows: `action="/rules/rollback"`},
			{path: "/rules/lists?why=a@b.example", shows: "192.0.2.0/24"},
			{path: "/rules/calendar", shows: "2026-02-15"},
			{path: "/rules/calendar?name=china&year=2026", shows: "made up"},
			{path: "/rules/audit", shows: "list-add"},
		} {
			rec := g.ask("GET", c.path, nil, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "postern-language", Value: lang}) })
			body := rec.Body.String()
			if rec.Code != http.StatusOK || !strings.Contains(body, c.shows) {
				t.Errorf("%s in %s: %d, without %q", c.path, lang, rec.Code, c.shows)
			}
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "style=") || strings.Contains(body, "onclick=") {
				t.Errorf("%s in %s: what strangers wrote is markup", c.path, lang)
			}
			for _, part := range strings.Split(body, ">") {
				if text, _, _ := strings.Cut(part, "<"); strings.HasPrefix(strings.TrimSpace(text), "rules.") {
					t.Errorf("%s in %s: there is no text for %q", c.path, lang, text)
				}
			}
		}
	}
}

func TestActs(t *testing.T) {
	for _, c := range []struct {
		name string
		path string
		form url.Values
		made string
		to   string
	}{
		{
			name: "a rule is switched off",
			path: "/rules/off",
			form: url.Values{"symbol": {"HOUSE_ONE"}, "hours": {"8"}, "note": {" too many "}},
			made: `rules.off {"hours":8,"note":"too many","symbol":"HOUSE_ONE"}`,
			to:   "/rules/rule/HOUSE_ONE",
		},
		{
			name: "and on again",
			path: "/rules/on",
			form: url.Values{"symbol": {"HOUSE_TWO"}},
			made: `rules.on {"note":"","symbol":"HOUSE_TWO"}`,
			to:   "/rules/rule/HOUSE_TWO",
		},
		{
			name: "a file is saved",
			path: "/rules/save",
			form: url.Values{"id": {"rules/own.yaml"}, "base": {"h"}, "text": {"symbols: {}\r\n"}, "note": {"why"}, "seen": {"yes"}},
			made: `rules.save {"base":"h","file":"rules/own.yaml","gone":false,"note":"why","text":"symbols: {}\n"}`,
			to:   "/rules/file?saved=yes&id=rules%2Fown.yaml",
		},
		{
			name: "a file is removed",
			path: "/rules/save",
			form: url.Values{"id": {"rules/own.yaml"}, "base": {"h"}, "gone": {"yes"}, "seen": {"yes"}},
			made: `rules.save {"base":"h","file":"rules/own.yaml","gone":true,"note":"","text":""}`,
			to:   "/rules/files",
		},
		{
			name: "a change is rolled back",
			path: "/rules/rollback",
			form: url.Values{"id": {"0001-ab"}, "note": {"sorry"}},
			made: `rules.rollback {"id":"0001-ab","note":"sorry"}`,
			to:   "/rules/file?saved=yes&id=rules%2Fown.yaml",
		},
		{
			name: "a file is sent to the other nodes",
			path: "/rules/send",
			form: url.Values{"id": {"rules/own.yaml"}, "force": {"yes"}},
			made: `rules.send {"file":"rules/own.yaml","force":true,"note":""}`,
			to:   "/rules/file?id=rules%2Fown.yaml",
		},
		{
			name: "somebody is blocked",
			path: "/rules/lists",
			form: url.Values{"act": {"add"}, "kind": {"block"}, "value": {" x@y.example "}, "reason": {"rude"}, "days": {"0"}},
			made: `blocklist.add {"allow":false,"value":"x@y.example","scope":"all","reason":"rude"}`,
			to:   "/rules/lists",
		},
		{
			name: "somebody is allowed for a week",
			path: "/rules/lists",
			form: url.Values{"act": {"add"}, "kind": {"allow"}, "value": {"y.example"}, "scope": {"domain:example.com"}, "reason": {"known"}, "days": {"7"}},
			made: `blocklist.add {"allow":true,"value":"y.example","scope":"domain:example.com","reason":"known","expires":"2026-05-13T07:08:09Z"}`,
			to:   "/rules/lists",
		},
		{
			name: "an entry goes",
			path: "/rules/lists",
			form: url.Values{"act": {"remove"}, "id": {"block a@b.example all"}},
			made: `blocklist.remove {"id":"block a@b.example all","note":""}`,
			to:   "/rules/lists",
		},
		{
			name: "somebody who waits is let in",
			path: "/rules/lists",
			form: url.Values{"act": {"allow"}, "id": {"g1"}},
			made: `greylist.allow {"note":"","of":"g1"}`,
			to:   "/rules/lists",
		},
	} {
		g := newGateway(t)
		rec := g.ask("POST", c.path, c.form)
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != c.to {
			t.Errorf("%s: %d to %q", c.name, rec.Code, rec.Header().Get("Location"))
		}
		if !slices.Contains(g.calls(), c.made) {
			t.Errorf("%s: made %q", c.name, g.calls())
		}
	}
}

// What changes rules asks who it is; a reader who did not say so lately changes nothing.
func TestDangerousActsAskForThePassword(t *testing.T) {
	for path, form := range map[string]url.Values{
		"/rules/off":      {"symbol": {"HOUSE_ONE"}, "hours": {"8"}, "note": {"x"}},
		"/rules/on":       {"symbol": {"HOUSE_TWO"}},
		"/rules/save":     {"id": {"rules/own.yaml"}, "base": {"h"}, "text": {"x: 1\n"}, "seen": {"yes"}},
		"/rules/rollback": {"id": {"0001-ab"}},
		"/rules/send":     {"id": {"rules/own.yaml"}},
	} {
		g := newGateway(t)
		g.stale = true
		rec := g.ask("POST", path, form)
		if rec.Code != http.StatusForbidden {
			t.Errorf("%s: %d", path, rec.Code)
		}
		for _, made := range g.calls() {
			for _, act := range []string{"rules.off ", "rules.on ", "rules.save ", "rules.rollback ", "rules.send "} {
				if strings.HasPrefix(made, act) {
					t.Errorf("%s made %s", path, made)
				}
			}
		}
	}
}

func TestNothingIsSavedBeforeTheDifferenceWasSeen(t *testing.T) {
	form := url.Values{"id": {"rules/own.yaml"}, "base": {"h"}, "text": {"symbols: {}\n"}}
	for _, c := range []struct {
		name    string
		checked map[string]any
		seen    string
		status  int
		shows   string
	}{
		{
			name:    "the difference comes first",
			checked: map[string]any{"ok": true, "base": "h", "changed": true, "diff": []any{}},
			status:  http.StatusOK,
			shows:   `name="seen" value="yes"`,
		},
		{
			name:    "what is wrong is not saved, seen or not",
			checked: map[string]any{"ok": false, "base": "h", "changed": true, "problems": []any{map[string]any{"file": "rules/own.yaml", "line": 1, "column": 3, "message": "bad" + evil, "here": true}}},
			seen:    "yes",
			status:  http.StatusUnprocessableEntity,
			shows:   "own.yaml:1:3",
		},
		{
			name:    "nor what somebody else changed",
			checked: map[string]any{"ok": true, "base": "other", "changed": true},
			seen:    "yes",
			status:  http.StatusConflict,
			shows:   "Nothing was saved",
		},
		{
			name:    "nor what is the same",
			checked: map[string]any{"ok": true, "base": "h", "changed": false},
			seen:    "yes",
			status:  http.StatusOK,
			shows:   "the same as before",
		},
	} {
		g := newGateway(t)
		g.answer("rules.check", c.checked)
		form.Set("seen", c.seen)
		rec := g.ask("POST", "/rules/save", form)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.shows) {
			t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
		}
		if slices.ContainsFunc(g.calls(), func(s string) bool { return strings.HasPrefix(s, "rules.save") }) {
			t.Errorf("%s: it was saved", c.name)
		}
		if strings.Contains(rec.Body.String(), "<script>alert") {
			t.Errorf("%s: what a file says is markup", c.name)
		}
	}
}

func TestWhatCallsRefuseIsSaid(t *testing.T) {
	for call, c := range map[string]struct {
		path string
		form url.Values
	}{
		"rules.off":      {path: "/rules/off", form: url.Values{"symbol": {"HOUSE_ONE"}}},
		"rules.save":     {path: "/rules/save", form: url.Values{"id": {"rules/own.yaml"}, "base": {"h"}, "text": {"x"}, "seen": {"yes"}}},
		"rules.rollback": {path: "/rules/rollback", form: url.Values{"id": {"0001-ab"}}},
		"rules.try":      {path: "/rules/try", form: url.Values{"id": {"rules/own.yaml"}, "hold": {"x"}}},
		"blocklist.add":  {path: "/rules/lists", form: url.Values{"act": {"add"}, "value": {"x"}}},
		"rules.send":     {path: "/rules/send", form: url.Values{"id": {"rules/own.yaml"}}},
	} {
		g := newGateway(t)
		g.fail(call, &page.Error{Status: http.StatusConflict, Words: "because of " + evil})
		rec := g.ask("POST", c.path, c.form)
		if rec.Code != http.StatusConflict || !strings.Contains(rec.Body.String(), "because of &#34;") {
			t.Errorf("%s: %d", call, rec.Code)
		}
		g.fail(call, errors.New("the disk is full"))
		rec = g.ask("POST", c.path, c.form)
		if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "disk") {
			t.Errorf("%s: a fault of ours: %d", call, rec.Code)
		}
	}
}

func TestPartsOfThePage(t *testing.T) {
	g := newGateway(t)
	form := url.Values{"id": {"rules/own.yaml"}, "text": {"a\r\nb"}, "line": {"2"}, "column": {"1"}}
	rec := g.ask("POST", "/rules/check", form, script)
	if body := rec.Body.String(); rec.Code != http.StatusOK || strings.Contains(body, "<html") || !strings.Contains(body, "Nothing is wrong") {
		t.Errorf("%d %s", rec.Code, body)
	}
	rec = g.ask("POST", "/rules/keys", form, script)
	if body := rec.Body.String(); rec.Code != http.StatusOK || strings.Contains(body, "<html") || !strings.Contains(body, "patterns[].in") {
		t.Errorf("%d %s", rec.Code, body)
	}
	rec = g.ask("POST", "/rules/keys", form, script, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "postern-language", Value: "ru"}) })
	if body := rec.Body.String(); !strings.Contains(body, "Где искать") || strings.Contains(body, "Where it is looked for") {
		t.Errorf("the help is not in the reader's language: %s", body)
	}
	if want := `rules.keys {"column":1,"kind":"rules","line":2,"text":"a\nb\n"}`; !slices.Contains(g.calls(), want) {
		t.Errorf("%q", g.calls())
	}
	rec = g.ask("POST", "/rules/check", form)
	if body := rec.Body.String(); !strings.Contains(body, "<html") || !strings.Contains(body, "Nothing is wrong") {
		t.Error("without a script there is no page")
	}
}

func TestTried(t *testing.T) {
	g := newGateway(t)
	rec := g.ask("POST", "/rules/try", url.Values{"id": {"rules/own.yaml"}, "text": {"x"}, "hold": {"https://desk.example/held/h-00"}})
	body := rec.Body.String()
	if rec.Code != http.StatusOK || !strings.Contains(body, "Now: hold. With this text: pass.") || !strings.Contains(body, "SPF_FAIL") {
		t.Errorf("%d %s", rec.Code, body)
	}
	if !slices.Contains(g.calls(), `rules.try {"file":"rules/own.yaml","hold":"h-00","text":"x\n"}`) {
		t.Errorf("%q", g.calls())
	}
}

// Who may only read sees no button that changes something.
func TestReaders(t *testing.T) {
	g := newGateway(t)
	for _, call := range []string{"rules.off", "rules.on", "rules.save", "rules.rollback", "rules.send", "rules.try", "blocklist.add", "greylist.allow"} {
		g.deny[call] = true
	}
	for _, path := range []string{"/rules", "/rules/rule/HOUSE_ONE", "/rules/rule/HOUSE_TWO", "/rules/files", "/rules/file?id=rules/own.yaml", "/rules/change/0001-ab", "/rules/lists", "/rules/calendar"} {
		body := g.ask("GET", path, nil).Body.String()
		for _, act := range []string{"/rules/off", "/rules/on", "/rules/save", "/rules/rollback", "/rules/send", "/rules/try", `value="add"`, `value="remove"`, `value="allow"`} {
			if strings.Contains(body, act) {
				t.Errorf("%s offers %s", path, act)
			}
		}
	}
	g.deny["audit.find"] = true
	if body := g.ask("GET", "/rules", nil).Body.String(); strings.Contains(body, "/rules/audit") {
		t.Error("a part is offered that may not be seen")
	}
}

func TestFilesThatAreNotChangedHere(t *testing.T) {
	for _, why := range []string{"own", "large", "hidden", "link", "rights"} {
		g := newGateway(t)
		g.answer("rules.file", map[string]any{"id": "rules/own.yaml", "kind": "rules", "name": "own.yaml", "read_only": why, "text": "x: 1\n"})
		body := g.ask("GET", "/rules/file?id=rules/own.yaml", nil).Body.String()
		if strings.Contains(body, "<textarea") || !strings.Contains(body, "x: 1") {
			t.Errorf("%s: it can be changed", why)
		}
	}
	g := newGateway(t)
	g.fail("rules.file", &page.Error{Status: http.StatusNotFound})
	body := g.ask("GET", "/rules/file?kind=rules&name=more", nil).Body.String()
	if !strings.Contains(body, "rules/more.yaml") || !strings.Contains(body, "There is no such file yet") {
		t.Error("a new file cannot be made")
	}
}

func TestSearchesOfTheAudit(t *testing.T) {
	g := newGateway(t)
	rec := g.ask("GET", "/rules/audit?actor=olga&action=list-*&object=x&q=word&since=2026-05-01&until=2026-05-02&before=7", nil)
	want := `audit.find {"actor":"olga","action":"list-*","object":"x","text":"word","since":"2026-05-01T00:00:00Z","until":"2026-05-03T00:00:00Z","before":7,"limit":50}`
	if rec.Code != http.StatusOK || !slices.Contains(g.calls(), want) {
		t.Errorf("%d %q", rec.Code, g.calls())
	}
	if body := rec.Body.String(); !strings.Contains(body, "before=5") {
		t.Error("there is no next page")
	}
	if rec = g.ask("GET", "/rules/audit?since=yesterday", nil); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "2026-02-14") {
		t.Errorf("%d", rec.Code)
	}
	// What is begun here goes on after its answer, so the calls' answers stand before.
	g.answer("audit.part", map[string]any{"seq": 9, "last": 9, "over": true})
	g.answer("audit.verify", "9 entries")
	g.answer("audit.find", map[string]any{"last": 9})
	for _, path := range []string{"/rules/audit/verify", "/rules/audit/export"} {
		rec = g.ask("POST", path, url.Values{"form": {"tok"}})
		if rec.Code != http.StatusSeeOther || !strings.HasPrefix(rec.Header().Get("Location"), "/work/") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Header().Get("Location"))
		}
	}
}

func TestNotFound(t *testing.T) {
	g := newGateway(t)
	for _, path := range []string{"/rules/rule/NO_SUCH"} {
		if rec := g.ask("GET", path, nil); rec.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	for call, path := range map[string]string{
		"rules.list": "/rules", "rules.files": "/rules/files", "rules.history": "/rules/changes", "rules.diff": "/rules/change/x",
		"blocklist.list": "/rules/lists", "calendar.show": "/rules/calendar", "audit.find": "/rules/audit",
	} {
		g := newGateway(t)
		g.fail(call, fmt.Errorf("away"))
		if rec := g.ask("GET", path, nil); rec.Code != http.StatusInternalServerError {
			t.Errorf("%s without %s: %d", path, call, rec.Code)
		}
	}
}
