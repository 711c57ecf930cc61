package outside_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/desktest"
	"postern/internal/desk/outside"
	"postern/internal/desk/page"
)

const evil = desktest.Evil

func ago(d time.Duration) time.Time { return desktest.Clock().Add(-d) }

func block(held bool) map[string]any {
	return map[string]any{"scope": "ip", "value": "198.51.100.7", "rule": "quiet", "why": evil, "by": "olga", "at": ago(time.Hour), "until": ago(-72 * time.Hour)}
}

func source(id, state string) map[string]any {
	s := map[string]any{"case": id, "state": state, "since": ago(time.Hour), "ip": "198.51.100.7", "domain": evil, "account": evil, "incidents": 12, "told": 10, "hold": 7}
	s["signs"] = []any{map[string]any{"ground": "trap", "ref": evil, "by": evil, "at": ago(time.Hour)}, map[string]any{"ground": evil, "ref": "x", "by": "y", "at": ago(time.Hour)}}
	if state == "BLOCKED" || state == "HALF_OPEN" {
		s["block"], s["held"], s["tries"], s["word"] = block(true), state == "BLOCKED", map[string]int{"2026-03-02": 5, "2026-03-03": 7}, evil
	}
	return s
}

// gateway answers as one that has something on every page. The ID of a case says its state.
func gateway() *desktest.Gateway {
	state := func(p map[string]any) string { return strings.TrimPrefix(fmt.Sprint(p["id"]), "A-") }
	edition := func(id string) map[string]any {
		return map[string]any{
			"id": id, "list": evil, "sha256": "0123", "count": 5, "published": ago(time.Hour), "imported": ago(time.Minute), "due": ago(-20 * time.Hour), "calendar": "CN", "state": id, "adds": 300, "added": []string{"192.0.2.1"}, "removes": 1, "removed": []string{"192.0.2.2"},
			"refused": []any{map[string]any{"line": 3, "text": evil, "why": evil}}, "refusals": 1, "simulation": map[string]any{"days": 7, "mails": 100, "hits": 5, "ham": 90, "ham_hits": 2, "examples": []string{"192.0.2.9"}}, "needs_person": []string{evil}, "by": evil, "agreed_by": "lea", "why": evil,
		}
	}
	listing := func(id string) map[string]any {
		return map[string]any{"id": id, "list": evil, "subject": evil, "first": ago(time.Hour), "last": ago(time.Minute), "hits": 6, "since": ago(time.Hour), "codes": []string{evil}, "text": evil, "case": "A-2026-000001", "cause": "A-2026-000002", "draft": evil, "drafted": ago(time.Hour), "removal": evil}
	}
	return &desktest.Gateway{Fail: map[string]error{}, Deny: map[string]bool{}, Answers: map[string]any{
		"source.list": map[string]any{"sources": []any{source("A-BLOCKED", "BLOCKED"), source("A-DETECTED", "DETECTED"), map[string]any{"case": "A-3", "state": "LIFTED", "domain": "news.example"}}, "next": "n&1"},
		"source.show": func(p map[string]any) any {
			if p["id"] == "none" {
				return &page.Error{Status: 404, Words: "there is no such case"}
			}
			s := source(fmt.Sprint(p["id"]), state(p))
			c := map[string]any{"id": p["id"], "state": state(p), "since": ago(time.Hour), "owner": evil, "source": map[string]any{"ip": "198.51.100.7", "port": 40001, "helo": evil, "domain": evil, "time": ago(time.Hour)}, "evidence": []any{map[string]any{"sha256": "abcd", "name": evil, "by": evil, "at": ago(time.Hour)}}}
			told := map[string]any{"id": "x-1", "to": evil, "way": "rdap", "form": "xarf", "state": "failed", "why": evil, "tried": []string{evil}, "by": "olga", "at": ago(time.Hour)}
			return map[string]any{"source": s, "case": c, "notices": []any{told, map[string]any{"id": "x-2", "state": "barred", "at": ago(time.Hour)}}}
		},
		"source.preview": func(p map[string]any) any {
			if p["value"] == "127.0.0.1" {
				return map[string]any{"block": p, "refused": evil}
			}
			return map[string]any{"block": p, "days": 7, "mails": 40, "taken": 30, "good": 2, "senders": 3, "addresses": 1, "more": true, "examples": []any{map[string]any{"id": "m1", "at": ago(time.Hour), "ip": "198.51.100.7", "from": evil, "to": evil}, map[string]any{"id": "m2", "at": ago(time.Hour)}}}
		},
		"source.complain": map[string]any{"state": "sent"},
		"blocklist.list": func(p map[string]any) any {
			if p["kind"] != "block" || p["live"] != true || p["limit"] != 50.0 {
				return map[string]any{}
			}
			all := []any{
				map[string]any{"value": "198.51.100.7", "scope": "all", "reason": evil, "author": "case A-2026-000001: olga", "origin": "case", "of": "A-2026-000001", "created": ago(time.Hour), "expires": ago(-time.Hour)},
				map[string]any{"value": "192.0.2.0/24", "scope": "all", "reason": evil, "author": "list cn: lea", "origin": "list", "of": "cn", "created": ago(2 * time.Hour)},
				map[string]any{"value": evil, "scope": evil, "reason": "by hand", "author": evil, "origin": "hand", "of": evil},
			}
			if p["after"] == "m&1" {
				return map[string]any{"entries": all[2:], "total": 3}
			}
			return map[string]any{"entries": all[:2], "total": 3, "next": "m&1"}
		},
		"published.list":   map[string]any{"editions": []any{edition("previewed"), edition("applied"), edition("dropped"), edition("replaced")}, "next": "n"},
		"published.show":   func(p map[string]any) any { return edition(fmt.Sprint(p["id"])) },
		"published.import": map[string]any{"id": "previewed"},
		"listing.list":     map[string]any{"listings": []any{listing("l-1"), map[string]any{"id": "l-2", "subject": "x"}, map[string]any{"id": "l-3", "gone": ago(time.Hour)}}, "tests": []any{map[string]any{"list": evil, "ok": false, "why": evil, "at": ago(time.Hour)}, map[string]any{"list": "ips", "ok": true, "at": ago(time.Hour)}}, "next": "n"},
		"listing.show": func(p map[string]any) any {
			l := listing(fmt.Sprint(p["id"]))
			if p["id"] == "l-asked" {
				l["asked"], l["asked_by"], l["sent"] = ago(time.Minute), evil, ago(time.Minute)
			}
			return map[string]any{"listing": l, "may_ask": p["id"] == "l-may", "why_not": evil}
		},
		"case.timeline": map[string]any{"timeline": []any{map[string]any{"at": ago(time.Hour), "actor": evil, "action": evil, "text": evil}, map[string]any{"at": ago(time.Hour), "action": "evidence"}}},
	}}
}

func desk(t *testing.T, g *desktest.Gateway) *desktest.Desk {
	return desktest.New(t, g, func(kit *page.Kit) []desktest.Room { return []desktest.Room{&outside.Room{Kit: kit, Calls: g}} }, outside.Pages)
}

func TestPages(t *testing.T) {
	desk(t, gateway()).Whole([]string{"outside", "cases"},
		"/outside", "/outside?q=x&state=BLOCKED&after=a", "/outside/source/A-DETECTED", "/outside/source/A-CONFIRMED", "/outside/source/A-BLOCKED", "/outside/source/A-HALF_OPEN", "/outside/source/A-LIFTED",
		"/outside/source/A-CONFIRMED/block", "/outside/source/A-CONFIRMED/block?scope=ip&value=127.0.0.1", "/outside/blocks", "/outside/blocks?from=list&q=192", "/outside/blocks?after=m%261",
		"/outside/published", "/outside/published/previewed", "/outside/published/applied", "/outside/listings", "/outside/listings?open=yes", "/outside/listings/l-1", "/outside/listings/l-may", "/outside/listings/l-asked")
	none := &desktest.Gateway{Answers: map[string]any{"blocklist.list": map[string]any{}}}
	desk(t, none).Whole([]string{"outside"}, "/outside", "/outside/blocks", "/outside/published", "/outside/listings")
}

func TestQueue(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	_ = d.Do(desktest.Ask{Path: "/outside?q=+192.0.2.1+&state=HALF_OPEN&after=a"})
	if got := g.Called("source.list"); got != `{"about":"192.0.2.1","after":"a","limit":50,"state":"HALF_OPEN"}` {
		t.Error(got)
	}
	if body := d.Do(desktest.Ask{Path: "/outside?state=NONSENSE"}).Body.String(); !strings.Contains(body, `rel="next"`) || strings.Contains(g.Called("source.list"), "NONSENSE") {
		t.Error(g.Called("source.list"))
	}
	if w := d.Do(desktest.Ask{Path: "/outside/source/none"}); w.Code != 404 {
		t.Error(w.Code)
	}
	g.Deny["source.block"] = true
	if body := d.Do(desktest.Ask{Path: "/outside/source/A-DETECTED"}).Body.String(); strings.Contains(body, "<form method=\"post\" action=\"/outside") {
		t.Error("who may only read has a form")
	}
}

func TestWorkOnASource(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	post := func(form url.Values) int {
		return d.Do(desktest.Ask{Path: "/outside/source/A-DETECTED", Form: form}).Code
	}
	if code := post(url.Values{"act": {"confirm"}, "evidence": {"abcd"}, "reason": {" spam "}}); code != 303 || g.Called("source.confirm") != `{"evidence":"abcd","id":"A-DETECTED","reason":"spam"}` {
		t.Error(code, g.Called("source.confirm"))
	}
	if code := post(url.Values{"act": {"confirm"}}); code != 400 {
		t.Error("confirmed without a reason", code)
	}
	if code := post(url.Values{"act": {"drop"}, "reason": {"x"}}); code != 400 {
		t.Error(code)
	}
	if code := post(url.Values{"act": {"lift"}, "reason": {"they wrote"}}); code != 303 || g.Called("source.lift") != `{"id":"A-DETECTED","reason":"they wrote"}` {
		t.Error(code, g.Called("source.lift"))
	}
	if code := post(url.Values{"act": {"complain"}}); code != 303 {
		t.Error(code)
	}
	g.Answers["source.complain"] = map[string]any{"state": "barred", "why": "no contact was found"}
	if w := d.Do(desktest.Ask{Path: "/outside/source/A-CONFIRMED", Form: url.Values{"act": {"complain"}}}); w.Code != 409 || !strings.Contains(w.Body.String(), "Nobody was told: no contact was found") {
		t.Error(w.Code)
	}
	g.Fail["source.confirm"] = &page.Error{Status: 409, Words: "no ground"}
	if w := d.Do(desktest.Ask{Path: "/outside/source/A-DETECTED", Form: url.Values{"act": {"confirm"}, "reason": {"mine"}}}); w.Code != 409 || !strings.Contains(w.Body.String(), "no ground") || !strings.Contains(w.Body.String(), `value="mine"`) {
		t.Error(w.Code, w.Body)
	}
	g.Fail["source.confirm"] = &page.Error{Status: 403}
	if code := post(url.Values{"act": {"confirm"}, "reason": {"x"}}); code != 403 {
		t.Error(code)
	}
}

// What is blocked is what was looked at, after the password.
func TestBlock(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	const path = "/outside/source/A-CONFIRMED/block"
	if body := d.Do(desktest.Ask{Path: path}).Body.String(); !strings.Contains(body, `name="seen" value="ip 198.51.100.7"`) || !strings.Contains(body, "2 mails that nothing was found against") || !strings.Contains(body, `name="barred"`) {
		t.Error(body)
	}
	if body := d.Do(desktest.Ask{Path: path + "?scope=ip&value=127.0.0.1"}).Body.String(); strings.Contains(body, `name="seen"`) {
		t.Error("what is refused can be blocked")
	}
	form := url.Values{"scope": {"net"}, "value": {"198.51.100.0/24"}, "seen": {"net 198.51.100.0/24"}, "rule": {"review"}, "days": {"7"}, "why": {"spam"}, "barred": {"no time"}}
	if w := d.Do(desktest.Ask{Path: path, Form: form}); w.Code != 403 || g.Called("source.block") != "" {
		t.Error("blocked without the password", w.Code)
	}
	w := d.Do(desktest.Ask{Path: path, Form: form, Fresh: true})
	if want := `{"barred":"no time","block":{"scope":"net","value":"198.51.100.0/24","rule":"review","why":"spam","until":"2026-03-11T05:06:07Z"},"id":"A-CONFIRMED"}`; w.Code != 303 || g.Called("source.block") != want {
		t.Error(w.Code, g.Called("source.block"))
	}
	g.Forget()
	for name, change := range map[string]func(url.Values){"unseen": func(v url.Values) { v.Set("value", "192.0.2.0/24") }, "no reason": func(v url.Values) { v.Set("why", " ") }} {
		v := url.Values{}
		for k := range form {
			v.Set(k, form.Get(k))
		}
		change(v)
		if w := d.Do(desktest.Ask{Path: path, Form: v, Fresh: true}); w.Code != 400 || g.Called("source.block") != "" {
			t.Error(name, w.Code)
		}
	}
	g.Fail["source.block"] = &page.Error{Status: 409, Words: "by a lead"}
	if w := d.Do(desktest.Ask{Path: path, Form: form, Fresh: true}); w.Code != 409 || !strings.Contains(w.Body.String(), "by a lead") || !strings.Contains(w.Body.String(), `value="no time"`) {
		t.Error(w.Code, w.Body)
	}
}

func TestBlocks(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	for query, c := range map[string]struct{ asked, shows, not string }{
		"":                       {`{"after":"","kind":"block","limit":50,"live":true,"origin":"","text":""}`, `href="/outside/source/A-2026-000001"`, "First page"},
		"?from=case&q=HAND":      {`{"after":"","kind":"block","limit":50,"live":true,"origin":"case","text":"HAND"}`, `rel="next" href="/outside/blocks?after=m%261&amp;from=case&amp;q=HAND"`, "First page"},
		"?from=nobody":           {`{"after":"","kind":"block","limit":50,"live":true,"origin":"","text":""}`, "3 blocks fit", `value="nobody"`},
		"?after=m%261&from=hand": {`{"after":"m\u00261","kind":"block","limit":50,"live":true,"origin":"hand","text":""}`, "First page", `rel="next"`},
	} {
		g.Forget()
		body := d.Do(desktest.Ask{Path: "/outside/blocks" + query}).Body.String()
		if got := g.Called("blocklist.list"); got != c.asked || !strings.Contains(body, c.shows) || strings.Contains(body, c.not) {
			t.Errorf("%q asks %s: %s", query, got, body)
		}
	}
}

func TestPublished(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	_ = m.WriteField("list", "cn")
	_ = m.WriteField("published", "2026-03-03T10:00")
	f, _ := m.CreateFormFile("file", "list.txt")
	fmt.Fprint(f, "192.0.2.1\n")
	_ = m.Close()
	upload := func(r *http.Request) {
		r.Body, r.Method = http.NoBody, http.MethodPost
		r.Body = readCloser{bytes.NewReader(body.Bytes())}
		r.ContentLength = int64(body.Len())
		r.Header.Set("Content-Type", m.FormDataContentType())
	}
	if w := d.Do(desktest.Ask{Path: "/outside/published/upload", Method: "POST", Change: upload}); w.Code != 303 || w.Header().Get("Location") != "/outside/published/previewed" || g.Called("published.import") != `{"file":"MTkyLjAuMi4xCg==","list":"cn","published":"2026-03-03T10:00:00Z"}` {
		t.Error(w.Code, w.Header(), g.Called("published.import"))
	}
	if w := d.Do(desktest.Ask{Path: "/outside/published/upload", Form: url.Values{"list": {"cn"}, "published": {"soon"}}}); w.Code != 400 {
		t.Error(w.Code)
	}
	g.Fail["published.import"] = &page.Error{Status: 409, Words: "it has no entry"}
	if w := d.Do(desktest.Ask{Path: "/outside/published/upload", Form: url.Values{"list": {"cn"}}}); w.Code != 409 || !strings.Contains(w.Body.String(), "it has no entry") {
		t.Error(w.Code)
	}
	body2 := d.Do(desktest.Ask{Path: "/outside/published/previewed"}).Body.String()
	for _, want := range []string{"To be decided in 20 hours", "300 new entries", "1 line left out", "192.0.2.9"} {
		if !strings.Contains(body2, want) {
			t.Errorf("lacks %q", want)
		}
	}
	for _, c := range []struct {
		act, reason string
		fresh       bool
		code        int
	}{{"apply", "", true, 400}, {"apply", "fine", false, 403}, {"apply", "fine", true, 303}, {"drop", "wrong", false, 303}, {"burn", "x", true, 400}} {
		if w := d.Do(desktest.Ask{Path: "/outside/published/previewed", Form: url.Values{"act": {c.act}, "reason": {c.reason}}, Fresh: c.fresh}); w.Code != c.code {
			t.Error(c, w.Code)
		}
	}
	if g.Called("published.apply") != `{"id":"previewed","reason":"fine"}` || g.Called("published.drop") != `{"id":"previewed","reason":"wrong"}` {
		t.Error(g.Made())
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

func TestListings(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	post := func(path string, fresh bool, form url.Values) int {
		return d.Do(desktest.Ask{Path: path, Form: form, Fresh: fresh}).Code
	}
	if body := d.Do(desktest.Ask{Path: "/outside/listings/l-1"}).Body.String(); strings.Contains(body, `value="removal"`) || !strings.Contains(body, "Not yet.") {
		t.Error("removal is offered before the cause is resolved")
	}
	if body := d.Do(desktest.Ask{Path: "/outside/listings/l-may"}).Body.String(); !strings.Contains(body, `value="removal"`) {
		t.Error("removal is not offered")
	}
	if code := post("/outside/listings/l-1", false, url.Values{"act": {"send"}, "text": {"hello"}}); code != 403 || g.Called("listing.send") != "" {
		t.Error("sent without the password", code)
	}
	if code := post("/outside/listings/l-1", true, url.Values{"act": {"send"}, "text": {" hello "}}); code != 303 || g.Called("listing.send") != `{"id":"l-1","text":"hello"}` {
		t.Error(code, g.Called("listing.send"))
	}
	if code := post("/outside/listings/l-1", false, url.Values{"act": {"cause"}, "cause": {"A-1"}}); code != 303 || g.Called("listing.cause") != `{"cause":"A-1","id":"l-1"}` {
		t.Error(code)
	}
	if code := post("/outside/listings/l-may", false, url.Values{"act": {"removal"}}); code != 303 {
		t.Error(code)
	}
	if code := post("/outside/listings", false, url.Values{}); code != 303 || g.Called("listing.check") == "" {
		t.Error(code)
	}
	if code := post("/outside/listings/l-1", false, url.Values{"act": {"sue"}}); code != 400 {
		t.Error(code)
	}
	g.Fail["listing.send"] = &page.Error{Status: 409, Words: "nobody to tell"}
	if w := d.Do(desktest.Ask{Path: "/outside/listings/l-1", Form: url.Values{"act": {"send"}, "text": {"my words"}}, Fresh: true}); w.Code != 409 || !strings.Contains(w.Body.String(), "my words") {
		t.Error(w.Code)
	}
	g.Fail["listing.check"] = &page.Error{Status: 409, Words: "no DNS"}
	if w := d.Do(desktest.Ask{Path: "/outside/listings", Form: url.Values{}}); w.Code != 409 || !strings.Contains(w.Body.String(), "no DNS") {
		t.Error(w.Code)
	}
}
