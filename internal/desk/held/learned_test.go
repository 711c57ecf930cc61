package held_test

import (
	"net/url"
	"strings"
	"testing"

	"postern/internal/desk/page"
)

// TestLearning teaches with one and with several, forgets, and takes back.
func TestLearning(t *testing.T) {
	q := newQuarantine()
	q.learned = map[string]string{"hold-0": "spam", "hold-1": "none", "hold-2": "ham"}
	h := desk(t, q)
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for _, path := range []string{"/held", "/held/hold-0", "/held/hold-1", "/held/hold-2", "/held/learned", "/held?said=learn-spam&n=2"} {
			w := ask(h, lang, "GET", path, nil)
			body := w.Body.String()
			if w.Code != 200 || strings.Contains(body, ">held.") || strings.Contains(body, "<b>ann") || strings.Contains(body, "<script>") {
				t.Errorf("%s %s: %d %s", lang, path, w.Code, body)
			}
		}
		for _, act := range []string{"spam", "ham", "forget", "undo"} {
			w := ask(h, lang, "POST", "/held/act", url.Values{"act": {"learn-" + act}, "id": {"hold-0", "hold-1"}})
			if body := w.Body.String(); w.Code != 200 || strings.Contains(body, ">held.") || !strings.Contains(body, `value="learn-`+act+`"`) {
				t.Errorf("%s %s is not asked back: %d", lang, act, w.Code)
			}
		}
	}
	if len(q.acts) != 0 {
		t.Errorf("done before it was seen: %q", q.acts)
	}
	for _, c := range []struct {
		form url.Values
		want string // acts
		to   string
	}{
		{url.Values{"act": {"learn-spam"}, "id": {"hold-0"}, "back": {"/held"}}, "learn spam [hold-0]", "/held?n=1&said=learn-spam"},
		{url.Values{"act": {"learn-ham"}, "id": {"hold-0", "hold-1"}, "seen": {"yes"}}, "learn ham [hold-0]; learn ham [hold-1] r1", "/held?n=2&said=learn-ham"},
		{url.Values{"act": {"learn-forget"}, "id": {"hold-1"}}, "learn forget [hold-1]", "/held?n=1&said=learn-forget"},
		{url.Values{"act": {"learn-undo"}, "id": {"hold-2"}, "back": {"/held/hold-2"}}, "learn undo [hold-2]", "/held/hold-2?n=1&said=learn-undo"},
	} {
		q.acts = nil
		w := ask(h, "en", "POST", "/held/act", c.form)
		if got := strings.Join(q.acts, "; "); got != c.want || w.Code != 303 || w.Header().Get("Location") != c.to {
			t.Errorf("%v: %d to %q, %q", c.form, w.Code, w.Header().Get("Location"), got)
		}
	}
	q.fail["hold-0"] = &page.Error{Status: 404, Words: "nothing was learned of them"}
	if w := ask(h, "en", "POST", "/held/act", url.Values{"act": {"learn-undo"}, "id": {"hold-0"}}); w.Code != 409 || !strings.Contains(w.Body.String(), "nothing was learned") {
		t.Errorf("%d", w.Code)
	}
}

// TestWhoMayNotTeach sees what was learned, and no buttons.
func TestWhoMayNotTeach(t *testing.T) {
	q := newQuarantine()
	q.learned = map[string]string{"hold-0": "ham"}
	q.deny["learn.holds"] = true
	h := desk(t, q)
	for _, path := range []string{"/held", "/held/hold-0"} {
		if body := ask(h, "en", "GET", path, nil).Body.String(); strings.Contains(body, `value="learn-`) || !strings.Contains(body, "What was learned") {
			t.Errorf("%s: buttons, or nothing of what was learned", path)
		}
	}
	if w := ask(h, "en", "POST", "/held/act", url.Values{"act": {"learn-spam"}, "id": {"hold-0"}}); w.Code != 403 {
		t.Errorf("%d", w.Code)
	}
	q.deny["learn.of"], q.deny["learn.status"] = true, true
	if body := ask(h, "en", "GET", "/held", nil).Body.String(); strings.Contains(body, "/held/learned") || strings.Contains(body, `class="tag good"`) && strings.Contains(body, ">good<") {
		t.Error("what was learned is shown to who may not see it")
	}
}
