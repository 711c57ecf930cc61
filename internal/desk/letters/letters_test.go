package letters_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"postern/internal/desk/desktest"
	"postern/internal/desk/letters"
	"postern/internal/desk/page"
	"postern/internal/desk/rules"
)

type m = map[string]any

func gateway() *desktest.Gateway {
	row := m{"language": "el", "kind": "ack", "from": "desk", "changes": 2, "by": desktest.Evil, "at": desktest.Clock(), "broken": ""}
	shown := m{"subject": desktest.Evil, "body": "</textarea>" + desktest.Evil, "given": m{"subject": "S", "body": desktest.Evil}, "file": desktest.Evil, "names": []string{"Ticket", "Link"}}
	for k, v := range row {
		shown[k] = v
	}
	change := m{"language": "el", "kind": "ack", "n": 1, "at": desktest.Clock(), "by": desktest.Evil, "how": "rolled-back", "note": desktest.Evil, "back": 1}
	return &desktest.Gateway{Answers: map[string]any{
		"template.list":     m{"templates": []m{row}, "languages": []string{"el"}, "kinds": []string{"ack"}},
		"template.show":     shown,
		"template.history":  m{"changes": []m{change}, "next": "1/x"},
		"template.diff":     m{"change": change, "known": true, "last": 2, "diff": []m{{"lines": []m{{"op": "+", "new": 1, "text": desktest.Evil}}}}},
		"template.set":      change,
		"template.reset":    change,
		"template.rollback": change,
		"template.check": func(p map[string]any) any {
			if strings.Contains(p["body"].(string), "{{.Nope}}") {
				return m{"problems": []m{{"field": "body", "line": 3, "column": 7, "message": desktest.Evil}}}
			}
			return m{"ok": true, "preview": m{"subject": desktest.Evil, "body": desktest.Evil}, "unsaid": []string{"Hours"}}
		},
		"snippet.list": m{"snippets": []m{
			{"id": "s1", "owner": "olga", "language": "el", "title": desktest.Evil, "short": "thx", "text": desktest.Evil, "changes": 3},
			{"id": "s2", "language": "zh", "title": "shared", "text": "x", "changes": 1},
		}},
		"snippet.save": m{}, "snippet.share": m{}, "snippet.remove": m{}, "snippet.withdraw": m{},
	}}
}

func desk(t *testing.T, g *desktest.Gateway) *desktest.Desk {
	return desktest.New(t, g, func(k *page.Kit) []desktest.Room {
		return []desktest.Room{&letters.Room{Kit: k, Calls: g}}
	}, letters.Pages, rules.Pages)
}

func TestPagesAreWhole(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	paths := []string{"/templates", "/templates/el/ack", "/templates/el/ack?saved=yes", "/templates/el/ack/1", "/snippets", "/snippets?language=el&saved=yes", "/snippets?edit=s1", "/snippets?edit=s2"}
	d.Whole([]string{"letters", "rules", "accounts"}, paths...)
	for _, name := range []string{"template.set", "template.rollback", "snippet.share"} {
		g.Deny = map[string]bool{name: true}
		d.Whole([]string{"letters"}, paths[:6]...)
	}
	if w := d.Do(desktest.Ask{Path: "/snippets?edit=s2"}); w.Code != http.StatusNotFound {
		t.Errorf("a shared text that the reader does not change: %d", w.Code)
	}
	if d.Do(desktest.Ask{Path: "/templates/el/ack/x"}); !strings.Contains(g.Called("template.diff"), `"n":-1`) {
		t.Errorf("no number: %s", g.Called("template.diff"))
	}
}

func TestALetterIsChanged(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	form := url.Values{"subject": {" S "}, "body": {"a\r\nb"}, "base": {"2"}, "note": {"why"}}
	w := d.Do(desktest.Ask{Path: "/templates/el/ack", Form: form})
	if want := `{"language":"el","kind":"ack","subject":"S","body":"a\nb","base":2,"note":"why"}`; w.Code != http.StatusSeeOther || g.Called("template.set") != want {
		t.Errorf("%d %s", w.Code, g.Called("template.set"))
	}
	form.Set("act", "reset")
	if w := d.Do(desktest.Ask{Path: "/templates/el/ack", Form: form}); w.Code != http.StatusSeeOther || g.Called("template.reset") != `{"language":"el","kind":"ack","n":2,"note":"why"}` {
		t.Errorf("%d %s", w.Code, g.Called("template.reset"))
	}
	if w := d.Do(desktest.Ask{Path: "/templates/el/ack/1", Form: url.Values{"note": {"back"}}}); w.Code != http.StatusSeeOther || g.Called("template.rollback") != `{"language":"el","kind":"ack","n":1,"note":"back"}` {
		t.Errorf("%d %s", w.Code, g.Called("template.rollback"))
	}
	form.Del("act")
	form.Set("base", "x")
	if w := d.Do(desktest.Ask{Path: "/templates/el/ack", Form: form}); w.Code != http.StatusBadRequest {
		t.Errorf("no number: %d", w.Code)
	}
}

// What was typed is there again when it is refused, and what is wrong stands beside it.
func TestARefusedLetter(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	form := url.Values{"subject": {"my subject"}, "body": {"my body {{.Nope}}"}, "base": {"1"}}
	for status, base := range map[int]string{http.StatusBadRequest: `name="base" value="1"`, http.StatusConflict: `name="base" value="2"`} {
		g.Fail = map[string]error{"template.set": &page.Error{Status: status, Words: "changed by bert"}}
		w := d.Do(desktest.Ask{Path: "/templates/el/ack", Form: form})
		for _, want := range []string{"changed by bert", "my subject", "my body", "3:7", base} {
			if w.Code != status || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%d lacks %s", w.Code, want)
			}
		}
	}
	part := func(r *http.Request) { r.Header.Set("HX-Request-Type", "partial") }
	w := d.Do(desktest.Ask{Path: "/templates/el/ack/check", Form: form, Change: part})
	if body := w.Body.String(); w.Code != http.StatusOK || strings.Contains(body, "<html") || !strings.Contains(body, "3:7") {
		t.Errorf("a part: %d %s", w.Code, body)
	}
	w = d.Do(desktest.Ask{Path: "/templates/el/ack/check", Form: form})
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "</html>") || !strings.Contains(body, "my subject") {
		t.Errorf("without a script: %d", w.Code)
	}
}

func TestSnippetsAreKept(t *testing.T) {
	g := gateway()
	d := desk(t, g)
	for _, c := range []struct {
		form url.Values
		call string
		want string
	}{
		{
			form: url.Values{"language": {"el"}, "title": {" t "}, "short": {"a"}, "text": {"x"}},
			call: "snippet.save",
			want: `{"changes":0,"id":"","language":"el","short":"a","text":"x","title":"t"}`,
		},
		{
			form: url.Values{"language": {"el"}, "title": {"t"}, "text": {"x"}, "shared": {"yes"}, "id": {"s2"}, "changes": {"1"}},
			call: "snippet.share",
			want: `{"changes":1,"id":"s2","language":"el","short":"","text":"x","title":"t"}`,
		},
		{
			form: url.Values{"act": {"remove"}, "id": {"s1"}},
			call: "snippet.remove",
			want: `{"id":"s1"}`,
		},
		{
			form: url.Values{"act": {"remove"}, "id": {"s2"}, "shared": {"yes"}},
			call: "snippet.withdraw",
			want: `{"id":"s2"}`,
		},
	} {
		g.Forget()
		if w := d.Do(desktest.Ask{Path: "/snippets", Form: c.form}); w.Code != http.StatusSeeOther || g.Called(c.call) != c.want {
			t.Errorf("%s: %d %s", c.call, w.Code, g.Called(c.call))
		}
		g.Fail = map[string]error{c.call: &page.Error{Status: http.StatusBadRequest, Words: "the title is taken"}}
		if w := d.Do(desktest.Ask{Path: "/snippets", Form: c.form}); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "the title is taken") {
			t.Errorf("%s refused: %d", c.call, w.Code)
		}
		g.Fail = nil
	}
	for _, call := range []string{"snippet.list", "template.list", "template.show", "template.diff"} {
		g.Fail = map[string]error{call: &page.Error{Status: http.StatusConflict, Words: "abuse.answers.off"}}
		path := map[string]string{"snippet.list": "/snippets", "template.list": "/templates", "template.show": "/templates/el/ack", "template.diff": "/templates/el/ack/1"}[call]
		if w := d.Do(desktest.Ask{Path: path}); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "abuse.answers.off") {
			t.Errorf("%s: %d", call, w.Code)
		}
	}
}
