package notices_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/desktest"
	"postern/internal/desk/notices"
	"postern/internal/desk/page"
)

const evil = desktest.Evil

func ago(d time.Duration) time.Time { return desktest.Clock().Add(-d) }

func sent(id, sort, state string) map[string]any {
	return map[string]any{"id": id, "sort": sort, "kind": "ack", "case": "A-2026-000001", "to": evil, "way": evil, "subject": evil, "state": state, "why": evil, "by": evil, "at": ago(time.Hour), "again": 2, "again_by": evil, "may_resend": id == "n-bounced"}
}

func gateway() *desktest.Gateway {
	feed := map[string]any{"name": "isp", "alias": evil, "domain": evil, "since": ago(time.Hour), "by": evil, "note": evil, "changed_by": evil, "changed": ago(time.Minute)}
	return &desktest.Gateway{Fail: map[string]error{}, Deny: map[string]bool{}, Answers: map[string]any{
		"notice.out": map[string]any{"sent": []any{sent("n-1", "letter", "delivered"), sent("x-1", "report", "bounced"), sent("x-2", "body", "waiting"), map[string]any{"id": "x-3", "sort": "letter", "kind": evil, "state": "barred", "at": ago(time.Hour)}}, "next": "5:x"},
		"notice.message": func(p map[string]any) any {
			id, _ := p["id"].(string)
			if id == "none" {
				return &page.Error{Status: 404}
			}
			m := sent(id, "report", strings.TrimPrefix(id, "n-"))
			m["text"], m["cut"], m["why_not"] = evil+"\n<img src=x>", true, evil
			return m
		},
		"suppress.list": map[string]any{"entries": []any{map[string]any{"id": "s1", "account": evil, "recipient": evil, "by": evil, "report": evil, "reason": evil, "at": ago(time.Hour)}}, "next": "n"},
		"feed.list":     []any{map[string]any{"name": "isp"}, map[string]any{"name": "gone"}},
		"feed.show": func(p map[string]any) any {
			if p["id"] == "gone" {
				return &page.Error{Status: 404}
			}
			trust, _ := p["id"].(string)
			if trust == "isp" {
				trust = "believed"
			}
			return map[string]any{"feed": feed, "trust": trust, "observed_until": ago(-time.Hour), "day": 3, "week": 10, "month": 4000, "last": ago(time.Minute)}
		},
		"complaint.list": map[string]any{"complaints": []any{map[string]any{"report": map[string]any{"id": "r1", "at": ago(time.Hour)}, "work": map[string]any{"reporter": evil, "feedback": evil, "cases": []string{"A-2026-000001"}}}, map[string]any{}}},
	}}
}

func desk(t *testing.T, g *desktest.Gateway) *desktest.Desk {
	return desktest.New(t, g, func(kit *page.Kit) []desktest.Room { return []desktest.Room{&notices.Room{Kit: kit, Calls: g}} }, notices.Pages)
}

func TestPages(t *testing.T) {
	desk(t, gateway()).Whole([]string{"notices"}, "/notices", "/notices?sort=letter&state=bounced&to=x&case=A-1&after=5:x", "/notices/n-bounced", "/notices/n-waiting", "/notices/n-delivered", "/notices/n-barred",
		"/suppressed", "/suppressed?account=a&after=x", "/feeds", "/feeds/isp", "/feeds/observed", "/feeds/unheeded")
	none := &desktest.Gateway{Answers: map[string]any{"feed.list": []any{}, "notice.out": map[string]any{"next": "5:x"}}}
	desk(t, none).Whole([]string{"notices"}, "/notices", "/suppressed", "/feeds")
}

func TestSentAgain(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	_ = d.Do(desktest.Ask{Path: "/notices?sort=body&state=waiting&to=+cert&case=A-1&after=5:x"})
	if got := g.Called("notice.out"); got != `{"after":"5:x","case":"A-1","limit":50,"sort":"body","state":"waiting","to":"cert"}` {
		t.Error(got)
	}
	_ = d.Do(desktest.Ask{Path: "/notices?sort=x&state=y"})
	if got := g.Called("notice.out"); !strings.Contains(got, `"sort":"","state":""`) {
		t.Error(got)
	}
	post := func(fresh bool, reason string) int {
		return d.Do(desktest.Ask{Path: "/notices/n-bounced", Form: url.Values{"reason": {reason}}, Fresh: fresh}).Code
	}
	if code := post(true, " "); code != 400 {
		t.Error("sent without a reason", code)
	}
	if code := post(false, "x"); code != 403 || g.Called("notice.resend") != "" {
		t.Error("sent without the password", code)
	}
	if code := post(true, "it works now"); code != 303 || g.Called("notice.resend") != `{"id":"n-bounced","reason":"it works now"}` {
		t.Error(code, g.Called("notice.resend"))
	}
	g.Fail["notice.resend"] = &page.Error{Status: 409, Words: "an hour ago"}
	if w := d.Do(desktest.Ask{Path: "/notices/n-bounced", Form: url.Values{"reason": {"mine"}}, Fresh: true}); w.Code != 409 || !strings.Contains(w.Body.String(), "an hour ago") || !strings.Contains(w.Body.String(), `value="mine"`) {
		t.Error(w.Code, w.Body)
	}
	if w := d.Do(desktest.Ask{Path: "/notices/none"}); w.Code != 404 {
		t.Error(w.Code)
	}
	g.Deny["notice.resend"] = true
	for _, path := range []string{"/notices/n-bounced", "/notices/n-delivered"} {
		if body := d.Do(desktest.Ask{Path: path}).Body.String(); strings.Contains(body, `action="/notices/`) {
			t.Error(path, "offers to send it again")
		}
	}
}

func TestSuppressed(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	post := func(form url.Values) int { return d.Do(desktest.Ask{Path: "/suppressed", Form: form}).Code }
	if code := post(url.Values{"act": {"add"}, "account": {"anna@example.com"}, "recipient": {"x@far.example"}, "reason": {"by phone"}}); code != 303 || g.Called("suppress.add") != `{"account":"anna@example.com","reason":"by phone","recipient":"x@far.example"}` {
		t.Error(code, g.Made())
	}
	if code := post(url.Values{"act": {"lift"}, "id": {"s1"}, "account": {"anna@example.com"}, "reason": {"asked again"}}); code != 303 || g.Called("suppress.lift") != `{"account":"anna@example.com","id":"s1","reason":"asked again"}` {
		t.Error(code, g.Made())
	}
	if code := post(url.Values{"act": {"add"}}); code != 400 {
		t.Error(code)
	}
	if code := post(url.Values{"act": {"x"}, "reason": {"x"}}); code != 400 {
		t.Error(code)
	}
	g.Fail["suppress.add"] = &page.Error{Status: 400, Words: "no address"}
	if w := d.Do(desktest.Ask{Path: "/suppressed", Form: url.Values{"act": {"add"}, "recipient": {"what"}, "reason": {"x"}}}); w.Code != 400 || !strings.Contains(w.Body.String(), "no address") || !strings.Contains(w.Body.String(), `value="what"`) {
		t.Error(w.Code)
	}
}

func TestFeeds(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	post := func(path string, fresh bool, form url.Values) int {
		return d.Do(desktest.Ask{Path: path, Form: form, Fresh: fresh}).Code
	}
	if code := post("/feeds", false, url.Values{"name": {"isp"}, "alias": {"fbl@example.com"}, "domain": {"isp.example"}}); code != 303 || g.Called("feed.add") != `{"alias":"fbl@example.com","domain":"isp.example","name":"isp"}` {
		t.Error(code, g.Called("feed.add"))
	}
	trust := url.Values{"act": {"trust"}, "trust": {"unheeded"}, "reason": {"it sends rubbish"}}
	if code := post("/feeds/isp", false, trust); code != 403 || g.Called("feed.trust") != "" {
		t.Error("changed without the password", code)
	}
	if code := post("/feeds/isp", true, trust); code != 303 || g.Called("feed.trust") != `{"id":"isp","reason":"it sends rubbish","trust":"unheeded"}` {
		t.Error(code, g.Called("feed.trust"))
	}
	for want, form := range map[int]url.Values{400: {"act": {"trust"}}, 303: {"act": {"remove"}, "reason": {"over"}}} {
		if code := post("/feeds/isp", true, form); code != want {
			t.Error(form, code)
		}
	}
	if code := post("/feeds/isp", true, url.Values{"act": {"x"}, "reason": {"x"}}); code != 400 {
		t.Error(code)
	}
	g.Fail["feed.add"] = &page.Error{Status: 409, Words: "another feed"}
	if w := d.Do(desktest.Ask{Path: "/feeds", Form: url.Values{"name": {"mine"}}}); w.Code != 409 || !strings.Contains(w.Body.String(), "another feed") || !strings.Contains(w.Body.String(), `value="mine"`) {
		t.Error(w.Code)
	}
	if w := d.Do(desktest.Ask{Path: "/feeds/gone"}); w.Code != 404 {
		t.Error(w.Code)
	}
}
