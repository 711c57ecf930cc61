package cases_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/cases"
	"postern/internal/desk/cases/act"
	"postern/internal/desk/cases/file"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
)

// evil is what a stranger writes wherever something can be written.
const evil = `"><script>alert(1)</script>`

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// desk answers the calls of the pages, and remembers those that were made.
type desk struct {
	deny   map[string]bool
	refuse map[string]*page.Error
	made   []string
	two    bool
	state  string // of the letter
	none   bool   // no account is named
}

func (d *desk) May(_ context.Context, name string) bool { return !d.deny[name] }

func (d *desk) Call(_ context.Context, name string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	d.made = append(d.made, name+" "+string(raw))
	if e := d.refuse[name]; e != nil {
		return e
	}
	out, err := json.Marshal(d.answer(name, string(raw)))
	if err != nil {
		return err
	}
	return json.Unmarshal(out, result)
}

type m = map[string]any

// caseOf is a case with a stranger's words in every field that may have some.
func (d *desk) caseOf(id string) m {
	account := "anna@example.com" + evil
	if d.none {
		account = ""
	}
	return m{
		"id": id, "kind": "local", "state": "TRIAGE", "account": account, "subject": evil, "owner": evil, "priority": 1, "grade": 4, "trust": 0, "class": "REPLAY",
		"sentence": evil, "votes": 150, "reports": 1240, "categories": []string{"S1"}, "measure": "m-1", "level": 2, "legal_hold": true, "drill": true, "language": evil,
		"source": m{
			"ip":     "203.0.113.7",
			"port":   51514,
			"time":   now.Add(-time.Hour),
			"login":  evil,
			"serial": "serial",
		},
		"evidence": []m{{"name": evil, "by": evil, "sha256": "ab", "at": now}},
		"opened":   now.Add(-time.Hour), "since": now.Add(-time.Hour),
		"clocks": []m{
			{"name": "T_first", "start": now.Add(-time.Hour), "marks": []time.Time{now.Add(-time.Minute), now.Add(time.Hour), now.Add(2 * time.Hour)}},
			{"name": "T_result", "start": now.Add(-time.Hour), "marks": []time.Time{now.Add(-time.Hour), now.Add(-time.Minute), now.Add(-time.Second)}},
			{"name": "T_reply", "start": now.Add(-time.Hour), "marks": []time.Time{now, now, now.Add(time.Hour)}, "paused": now},
		},
	}
}

func (d *desk) answer(name, params string) any {
	switch name {
	case "case.list":
		return m{
			"cases": []m{d.caseOf("A-2026-000001"), d.caseOf("A-2026-000002")},
			"next":  "n&1",
		}
	case "case.counts":
		return m{"views": m{"queue": 1000, "mine": 3}, "most": 1000}
	case "case.show":
		return m{"case": d.caseOf("A-2026-000001"), "total": m{
			"votes":   150,
			"reports": 3,
			"merged":  []string{"A-2026-000009"},
		}, "moves": []string{"VERIFIED", "REJECTED", "SUSPENDED"}, "more": "more&",
			"timeline": []m{
				{"seq": 1, "at": now, "actor": evil, "action": "opened", "to": "TRIAGE", "text": evil, "report": "r-1", "data": m{"a": evil}},
				{"seq": 2, "at": now, "actor": evil, "action": evil},
				{"seq": 3, "at": now, "actor": "reporter", "action": "reply", "text": evil},
			}}
	case "case.timeline":
		return m{"timeline": []m{{"seq": 4, "at": now, "actor": "x", "action": "comment", "text": "the second page"}}}
	case "case.reports":
		return m{
			"reports": []m{
				{"report": "r-1", "at": now, "grade": 4, "class": "REPLAY", "reporter": evil, "person": true, "counts": 100, "language": "el"},
				{"report": "b-2", "at": now, "more": 41},
			},
			"next": "n",
		}
	case "case.similar":
		return m{"cases": []m{{"case": d.caseOf("A-2026-000003"), "by": "account"}}}
	case "case.sent":
		row := m{
			"at":         now,
			"account":    evil,
			"login":      evil,
			"client":     evil,
			"message_id": evil,
			"copies": []m{
				{"recipient": evil, "state": "delivered", "reply": evil},
				{"recipient": "b", "state": evil},
			},
		}
		return m{"messages": []m{
			{"serial": evil, "known": true, "copies": 3, "accepted": 2, "row": row},
			{"serial": "gone"},
		}}
	case "case.log":
		return m{
			"entries": []m{{"seq": 7, "time": now, "actor": evil, "action": evil, "object": evil, "note": evil}},
			"next":    9,
		}
	case "measure.list":
		return m{"measures": []m{{"id": "m-1", "level": 2, "state": "active", "reason": evil, "actor": evil, "at": now, "until": now.Add(time.Hour)}}}
	case "measure.whatif":
		return m{
			"target":     evil,
			"level":      "M3",
			"now":        "M0",
			"two":        d.two,
			"messages":   12,
			"recipients": 400,
			"waiting":    3,
			"held":       1,
			"at_least":   true,
			"protected":  true,
			"connectors": []string{evil},
			"review":     now,
		}
	case "measure.apply":
		return m{"id": "m-9"}
	case "measure.propose":
		return m{"id": "p-9"}
	case "approval.list":
		return m{"proposals": []m{
			{"id": "p-1", "object": "A-2026-000001", "words": evil, "by": "olga", "reason": evil, "at": now, "until": now},
			{"id": "p-2", "object": "A-2026-000001", "words": "x", "by": "petr", "at": now, "until": now},
			{"id": "p-3", "object": "other", "words": "not of this case"},
		}}
	}
	return d.paper(name, params)
}

// paper answers about reports and letters.
func (d *desk) paper(name, params string) any {
	viewed := m{"fields": []m{
		{"name": "Received", "value": "from " + evil + " by mx2.example.com with SMTP"},
		{"name": "Received", "value": "from first.example by mx1.example with ESMTP"},
		{"name": evil, "value": evil, "lit": true},
	},
		"text": evil + strings.Repeat("x", 70<<10), "links": []m{{"url": evil, "shown": evil}}, "parts": []m{{"type": evil, "name": evil, "size": 3, "sha256": "ab"}}, "charsets": []string{evil}, "problems": []string{evil}}
	letter := m{
		"id":       "n-1",
		"case":     "A-2026-000001",
		"report":   "r-1",
		"kind":     "result",
		"to":       evil,
		"language": "zh",
		"subject":  evil,
		"body":     evil,
		"state":    d.state,
		"by":       evil,
		"at":       now,
		"why":      evil,
	}
	switch {
	case name == "complaint.show" && strings.Contains(params, "b-2"):
		return m{"bundle": m{"id": "b-2", "reports": []m{{"id": "r-5", "sha256": "x"}}}}
	case name == "complaint.show":
		return m{"report": m{
			"id":     "r-1",
			"at":     now,
			"client": evil,
			"port":   25,
			"name":   evil,
			"from":   evil,
			"sha256": "ab",
			"size":   12,
			"auth":   m{"spf": evil, "dkim": []string{evil}, "dmarc": evil},
		},
			"work": m{
				"format":    evil,
				"feedback":  evil,
				"judged":    "wrong",
				"judged_by": evil,
				"problems":  []string{evil},
				"proof":     m{"grade": 4, "sentence": evil, "transcript": []string{evil}},
			}}
	case name == "complaint.view":
		return m{"sha256": "ab", "report": viewed, "original": viewed}
	case name == "complaint.raw":
		return m{"bytes": []byte("<script>raw</script>")}
	case name == "notice.list":
		return m{"notices": []m{
			letter,
			{"id": "n-2", "kind": evil, "state": "failed", "why": evil, "at": now},
		}}
	case name == "snippet.list":
		return m{"snippets": []m{{"id": "s-1", "title": evil, "text": "A sentence " + evil}}}
	case strings.HasPrefix(name, "notice."):
		return letter
	}
	return m{}
}

func pages(t *testing.T, d *desk) http.Handler {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Calls: d, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Menu: []page.Item{{Key: "cases", Path: "/cases", Call: "case.list"}}}, cases.Pages)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	handle := func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) }
	(&cases.Room{Kit: kit, Calls: d}).Routes(handle)
	(&file.Room{Kit: kit, Calls: d}).Routes(handle)
	(&act.Room{Kit: kit, Calls: d}).Routes(handle)
	return page.Guard(false, mux)
}

// ask makes a request as olga, who confirmed lately that it is her.
func ask(h http.Handler, lang, path string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	method := "GET"
	if form != nil {
		method = "POST"
	}
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	r = r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: lang}, Token: "tok", Fresh: true}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestPages has every page in every language: written whole, with nothing of a stranger's in
// force and no text missing.
func TestPages(t *testing.T) {
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for _, path := range []string{
			"/cases", "/cases?view=mine&q=x&state=TRIAGE&priority=U1&grade=P4&category=S1&kind=local&order=new&after=z",
			"/cases/A-2026-000001", "/cases/A-2026-000001?after=2",
			"/cases/A-2026-000001?tab=evidence", "/cases/A-2026-000001?tab=evidence&report=b-2", "/cases/A-2026-000001?tab=similar",
			"/cases/A-2026-000001?tab=letters", "/cases/A-2026-000001?tab=log&after=3", "/cases/A-2026-000001?tab=none",
			"/cases/A-2026-000001/measure", "/cases/A-2026-000001/measure?level=M0", "/cases/A-2026-000001/measure?level=M1", "/cases/A-2026-000001/measure?level=M2",
			"/cases/A-2026-000001/measure?level=M3", "/cases/A-2026-000001/measure?level=M4", "/cases/A-2026-000001/measure?level=M5&hours=2,5",
			"/cases/A-2026-000001/letters/n-1", "/cases/A-2026-000001/letters/n-1?preview=yes",
		} {
			for _, state := range []string{"draft", "sent"} {
				d := &desk{state: state, two: state == "sent"}
				w := ask(pages(t, d), lang, path, nil)
				whole(t, lang+" "+path, w)
			}
		}
	}
}

// whole holds what is true of every page.
func whole(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	body := w.Body.String()
	if w.Code != 200 || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		t.Errorf("%s: %d %s", what, w.Code, body[max(0, len(body)-300):])
	}
	if strings.Contains(body, evil) || strings.Contains(body, "<script>") || strings.Contains(body, "style=") || strings.Contains(body, "onclick") {
		t.Errorf("%s: a stranger's words are markup", what)
	}
	for _, key := range []string{">cases.", ">common.", `"cases.`, ">held."} {
		if i := strings.Index(body, key); i >= 0 {
			t.Errorf("%s lacks a text: %s", what, body[i:min(i+60, len(body))])
		}
	}
	if len(body) > 300_000 {
		t.Errorf("%s has %d octets", what, len(body))
	}
}

// says looks for what a page must and must not say.
func says(t *testing.T, w *httptest.ResponseRecorder, want []string, not ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(w.Body.String(), s) {
			t.Errorf("the page lacks %s", s)
		}
	}
	for _, s := range not {
		if strings.Contains(w.Body.String(), s) {
			t.Errorf("the page has %s", s)
		}
	}
}

func TestQueue(t *testing.T) {
	d := &desk{}
	h := pages(t, d)
	w := ask(h, "en", "/cases?view=mine&q=anna&grade=P4&order=new", nil)
	if !strings.Contains(strings.Join(d.made, "\n"), `case.list {"view":"mine","owner":"olga","grade":"P4","text":"anna","order":"new","limit":50}`) {
		t.Error(d.made)
	}
	says(t, w, []string{
		"1000+", `<span class="n">3</span>`, `class="count late"`, "late by", "U1</span>", "T0", "1.5", "(1240)", "sent on by others", "Legal hold", "drill",
		`href="/cases?after=n%261&amp;grade=P4&amp;order=new&amp;q=anna&amp;view=mine"`, "Clear the filter", `value="take" data-key="a"`,
	})
	kept := w.Result().Cookies()
	if len(kept) != 1 || kept[0].Value != "new" || !kept[0].HttpOnly || kept[0].Path != "/cases" {
		t.Errorf("the order is kept as %+v", kept)
	}
	d.made = nil
	ask(h, "en", "/cases", nil, kept...)
	if !strings.Contains(d.made[0], `"order":"new"`) {
		t.Errorf("the order that was chosen is forgotten: %v", d.made)
	}
}

func TestQueueOfSomebodyWhoOnlyReads(t *testing.T) {
	d := &desk{deny: map[string]bool{"case.assign": true, "case.counts": true}}
	says(t, ask(pages(t, d), "en", "/cases", nil), []string{"A-2026-000001"}, `name="act"`, `type="checkbox"`, `class="n"`)
}

func TestQuestionsThatCannotBe(t *testing.T) {
	d := &desk{refuse: map[string]*page.Error{"case.list": {Status: 400, Words: "there is no view"}}}
	w := ask(pages(t, d), "en", "/cases?q=kept", nil)
	if w.Code != 400 {
		t.Error(w.Code)
	}
	says(t, w, []string{"there is no view", `value="kept"`, `aria-invalid="true"`}, "Nothing is waiting")
	d.refuse["case.list"] = &page.Error{Status: 500}
	if w := ask(pages(t, d), "en", "/cases", nil); w.Code != 500 {
		t.Error(w.Code)
	}
}

func TestBulk(t *testing.T) {
	d := &desk{}
	h := pages(t, d)
	both := url.Values{"act": {"give"}, "to": {"petr"}, "id": {"A-2026-000001", "A-2026-000002", "A-2026-000002"}, "back": {"/cases?view=unowned"}}
	w := ask(h, "en", "/cases/act", both)
	says(t, w, []string{
		"Change the owner of 2 cases",
		"petr will have these cases",
		`name="seen" value="yes"`,
		`value="A-2026-000001"`,
	})
	if n := strings.Count(strings.Join(d.made, "\n"), "case.assign"); n != 0 {
		t.Errorf("%d cases changed hands unseen", n)
	}
	both.Set("seen", "yes")
	if w = ask(h, "en", "/cases/act", both); w.Code != 303 || w.Header().Get("Location") != "/cases?view=unowned" {
		t.Error(w.Code, w.Header())
	}
	if n := strings.Count(strings.Join(d.made, "\n"), `case.assign {"id":"A-2026-000001","owner":"petr"}`); n != 2 { // the scripted case has one ID
		t.Error(d.made)
	}
	d.refuse = map[string]*page.Error{"case.assign": {Status: 409, Words: "it is merged"}}
	w = ask(h, "en", "/cases/act", both)
	if w.Code != 409 {
		t.Error(w.Code)
	}
	says(t, w, []string{"it is merged", "Back to the queue"})
	for name, form := range map[string]url.Values{
		"none": {"act": {"take"}}, "too many": {"act": {"take"}, "id": many(cases.MaxBulk + 1)}, "no act": {"act": {"burn"}, "id": {"A-2026-000001"}},
	} {
		if w := ask(h, "en", "/cases/act", form); w.Code != 400 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

func many(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("A-2026-%06d", i))
	}
	return out
}

// TestActs has the call that each form of a case makes.
func TestActs(t *testing.T) {
	for form, want := range map[string]string{
		"act=take":                              `case.assign {"id":"A-2026-000001","owner":"olga"}`,
		"act=drop":                              `case.assign {"id":"A-2026-000001","owner":""}`,
		"act=assign&owner=+petr+":               `case.assign {"id":"A-2026-000001","owner":"petr"}`,
		"act=comment&reason=hello":              `case.comment {"id":"A-2026-000001","reason":"hello"}`,
		"act=category&category=S1&category=S5":  `case.category {"categories":["S1","S5"],"id":"A-2026-000001"}`,
		"act=priority&priority=2&reason=x":      `case.priority {"id":"A-2026-000001","priority":2,"reason":"x"}`,
		"act=priority&priority=high&reason=x":   `case.priority {"id":"A-2026-000001","priority":0,"reason":"x"}`,
		"act=state&to=REJECTED&reason=x":        `case.state {"id":"A-2026-000001","reason":"x","to":"REJECTED"}`,
		"act=state&to=CLOSED&reason=x&barred=b": `case.state {"barred":"b","id":"A-2026-000001","reason":"x","to":"CLOSED"}`,
		"act=state&to=RELEASED&no_abuse=yes":    `case.state {"id":"A-2026-000001","no_abuse":true,"reason":"","to":"RELEASED"}`,
		"act=merge&other=a-2026-000007":         `case.merge {"id":"A-2026-000001","other":"A-2026-000007","reason":""}`,
		"act=unmerge&reason=x":                  `case.unmerge {"id":"A-2026-000001","reason":"x"}`,
		"act=reopen&reason=x":                   `case.reopen {"id":"A-2026-000001","reason":"x"}`,
		"act=end&reason=x&order=letter+7":       `case.end {"id":"A-2026-000001","order":"letter 7","reason":"x"}`,
		"act=hold&reason=x":                     `case.hold {"id":"A-2026-000001","on":true,"reason":"x"}`,
		"act=unhold&reason=x":                   `case.hold {"id":"A-2026-000001","on":false,"reason":"x"}`,
		"act=judge&of=r-1&verdict=wrong":        `complaint.judge {"id":"r-1","reason":"","verdict":"wrong"}`,
		"act=undo&of=m-1&reason=x":              `measure.undo {"id":"m-1","reason":"x"}`,
		"act=undo&of=m-1&reason=x&cleared=yes":  `measure.undo {"cleared":true,"id":"m-1","reason":"x"}`,
		"act=approve&of=p-1&reason=x":           `approval.approve {"id":"p-1","reason":"x"}`,
		"act=refuse&of=p-1&reason=x":            `approval.refuse {"id":"p-1","reason":"x"}`,
	} {
		d := &desk{}
		v, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		w := ask(pages(t, d), "en", "/cases/A-2026-000001/act", v)
		if w.Code != 303 || w.Header().Get("Location") != "/cases/A-2026-000001" || len(d.made) != 1 || d.made[0] != want {
			t.Errorf("%s: %d %v", form, w.Code, d.made)
		}
	}
	d := &desk{refuse: map[string]*page.Error{"case.state": {Status: 409, Words: "it needs a category"}}}
	h := pages(t, d)
	if w := ask(h, "en", "/cases/A-2026-000001/act", url.Values{"act": {"state"}}); w.Code != 409 || !strings.Contains(w.Body.String(), "needs a category") {
		t.Error(w.Code)
	}
	if w := ask(h, "en", "/cases/A-2026-000001/act", url.Values{"act": {"burn"}}); w.Code != 400 {
		t.Error(w.Code)
	}
}

// TestDangerousActs are done by nobody who did not prove lately to be who is signed in.
func TestDangerousActs(t *testing.T) {
	for path, form := range map[string]string{
		"/cases/A-2026-000001/act?end": "act=end", "/cases/A-2026-000001/act?approve": "act=approve&of=p-1", "/cases/A-2026-000001/act?unhold": "act=unhold",
		"/cases/A-2026-000001/measure?m3": "level=M3&reason=x", "/cases/A-2026-000001/measure?m5": "level=M5&reason=x",
	} {
		d := &desk{}
		r := httptest.NewRequest("POST", path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r = r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga"}, Token: "tok"}))
		w := httptest.NewRecorder()
		pages(t, d).ServeHTTP(w, r)
		for _, c := range d.made {
			if strings.HasPrefix(c, "case.end") || strings.HasPrefix(c, "approval.approve") || strings.HasPrefix(c, "case.hold") || strings.HasPrefix(c, "measure.apply") {
				t.Errorf("%s %s was made", path, c)
			}
		}
	}
}

func TestEvidence(t *testing.T) {
	d := &desk{}
	h := pages(t, d)
	w := ask(h, "en", "/cases/A-2026-000001?tab=evidence", nil)
	says(t, w, []string{
		"◆",
		"mx1.example",
		"longer than is shown",
		"2 accepted",
		"no longer has this message",
		"1 test was made",
		"1 link",
		"and 41 more like it",
		"r-1</a>",
	})
	body := w.Body.String()
	if first, second := strings.Index(body, "first.example"), strings.LastIndex(body, "mx2.example.com"); first < 0 || second < 0 {
		t.Error("the hops are not drawn")
	}
	w = ask(h, "en", "/cases/A-2026-000001/raw/r-1", nil)
	if w.Header().Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") || w.Body.String() != "<script>raw</script>" {
		t.Error(w.Header(), w.Body)
	}
	d.refuse = map[string]*page.Error{"complaint.show": {Status: 404, Words: "no such record"}}
	says(t, ask(h, "en", "/cases/A-2026-000001?tab=evidence", nil), []string{"no such record", "What our send log says"})
	d.refuse = map[string]*page.Error{"complaint.view": {Status: 400, Words: "too large"}}
	says(t, ask(h, "en", "/cases/A-2026-000001?tab=evidence", nil), []string{"too large"})
}

// TestWhatOneMaySee leaves out what the reader's calls would not give.
func TestWhatOneMaySee(t *testing.T) {
	d := &desk{deny: map[string]bool{}}
	for _, name := range []string{
		"case.assign",
		"case.state",
		"case.comment",
		"case.category",
		"case.reports",
		"case.log",
		"notice.list",
		"measure.list",
		"measure.whatif",
		"approval.list",
	} {
		d.deny[name] = true
	}
	w := ask(pages(t, d), "en", "/cases/A-2026-000001", nil)
	says(t, w, []string{"Timeline", "Similar"}, "tab=evidence", "tab=letters", "tab=log", `value="state"`, `value="comment"`, "What would a measure do", "Waits for another")
	for _, c := range d.made {
		if name, _, _ := strings.Cut(c, " "); d.deny[name] {
			t.Error(c)
		}
	}
}

func TestSecondPerson(t *testing.T) {
	w := ask(pages(t, &desk{}), "en", "/cases/A-2026-000001", nil)
	says(t, w, []string{
		"Waits for another person",
		"Withdraw",
		"A lead other than you",
		`value="approve"`,
		"petr asked for it",
	}, "not of this case")
	if strings.Count(w.Body.String(), `value="approve"`) != 1 {
		t.Error("one's own proposal can be approved")
	}
}

func TestMeasure(t *testing.T) {
	d := &desk{}
	h := pages(t, d)
	says(t, ask(h, "en", "/cases/A-2026-000001/measure?level=M3", nil), []string{
		"12 messages",
		"400 recipients",
		"at least",
		"3 in the outbox",
		"1 held",
		"Sending is refused",
		"sending works again at once",
		"suspended",
		"This account is protected",
	}, "One person alone")
	form := url.Values{"level": {"M3"}, "reason": {"spam"}, "hours": {"1,5"}}
	d.made = nil
	if w := ask(h, "en", "/cases/A-2026-000001/measure", form); w.Code != 303 {
		t.Error(w.Code, w.Body)
	}
	made := strings.Join(d.made, "\n")
	for _, want := range []string{
		`"level":"M3","reason":"spam","case":"A-2026-000001","hours":1.5}`,
		`case.state {"id":"A-2026-000001","level":3,"measure":"m-9","reason":"spam","to":"SUSPENDED"}`,
	} {
		if !strings.Contains(made, want) {
			t.Errorf("%s is not in %s", want, made)
		}
	}
	d.two, d.made = true, nil
	form.Set("level", "M5")
	says(t, ask(h, "en", "/cases/A-2026-000001/measure?level=M5", nil), []string{"One person alone may not do this", "Propose it"})
	if w := ask(h, "en", "/cases/A-2026-000001/measure", form); w.Code != 303 {
		t.Error(w.Code)
	}
	if made := strings.Join(d.made, "\n"); !strings.Contains(made, "measure.propose") || strings.Contains(made, "measure.apply") || strings.Contains(made, "case.state") {
		t.Error(made)
	}
	if w := ask(h, "en", "/cases/A-2026-000001/measure?hours=soon", nil); w.Code != 400 {
		t.Error(w.Code)
	}
	d.none = true
	if w := ask(h, "en", "/cases/A-2026-000001/measure", nil); w.Code != 409 {
		t.Error("a case that names nobody offers a measure:", w.Code)
	}
}

func TestLetters(t *testing.T) {
	d := &desk{state: "draft"}
	h := pages(t, d)
	at := "/cases/A-2026-000001/letters/n-1"
	if w := ask(h, "en", "/cases/A-2026-000001/letters", url.Values{"kind": {"result"}, "report": {"r-1"}, "language": {"el"}}); w.Code != 303 || w.Header().Get("Location") != at {
		t.Error(w.Code, w.Header())
	}
	says(t, ask(h, "en", at, nil), []string{
		"<textarea",
		"Put in a sentence",
		"Result to the reporter",
		`lang="zh-CN"`,
	}, `value="send"`)
	says(t, ask(h, "en", at+"?preview=yes", nil), []string{
		`value="send"`,
		"As it will be sent",
		`value="result" checked`,
	}, "<textarea")
	for form, want := range map[string]struct{ call, to string }{
		"act=preview&subject=S&body=B%0D%0AC": {`notice.edit {"body":"B\nC","id":"n-1","subject":"S"}`, at + "?preview=yes"},
		"act=save&subject=S&body=B":           {`notice.edit {"body":"B","id":"n-1","subject":"S"}`, at},
		"snippet=s-1&subject=S&body=B":        {`notice.edit {"body":"B\n\nA sentence `, at},
		"act=send&tells=result":               {`notice.send {"id":"n-1","result":true}`, "/cases/A-2026-000001?tab=letters"},
		"act=send&tells=answer":               {`notice.send {"id":"n-1","result":false}`, "/cases/A-2026-000001?tab=letters"},
		"act=discard&reason=x":                {`notice.discard {"id":"n-1","reason":"x"}`, "/cases/A-2026-000001?tab=letters"},
	} {
		d.made = nil
		v, _ := url.ParseQuery(form)
		w := ask(h, "en", at, v)
		if w.Code != 303 || w.Header().Get("Location") != want.to || !strings.Contains(strings.Join(d.made, "\n"), want.call) {
			t.Errorf("%s: %d %s %v", form, w.Code, w.Header().Get("Location"), d.made)
		}
	}
	d.refuse = map[string]*page.Error{"notice.edit": {Status: 400, Words: "it names the account"}}
	w := ask(h, "en", at, url.Values{"act": {"preview"}, "subject": {"S"}, "body": {"my words stay"}})
	if w.Code != 400 {
		t.Error(w.Code)
	}
	says(t, w, []string{"it names the account", "my words stay", "<textarea"})
	d.refuse = map[string]*page.Error{"notice.list": {Status: 409, Words: "no letters are written here"}}
	says(t, ask(h, "en", "/cases/A-2026-000001?tab=letters", nil), []string{"no letters are written here"})
}

func TestLetterOfAnotherCase(t *testing.T) {
	d := &desk{state: "draft"}
	d.refuse = map[string]*page.Error{"notice.show": {Status: 404}}
	if w := ask(pages(t, d), "en", "/cases/A-2026-000001/letters/n-9", nil); w.Code != 404 {
		t.Error(w.Code)
	}
	d.refuse = map[string]*page.Error{"case.show": {Status: 404}}
	for _, path := range []string{
		"/cases/A-2026-000077",
		"/cases/A-2026-000077/measure",
		"/cases/A-2026-000077/letters/n-1",
	} {
		if w := ask(pages(t, d), "en", path, nil); w.Code != 404 {
			t.Error(path, w.Code)
		}
	}
}
