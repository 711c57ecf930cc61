package held_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestInfected: files of a message in which a virus was found go to those who answer for others
// alone; the rest read why, and still read its text.
func TestInfected(t *testing.T) {
	q := newQuarantine()
	q.holds["hold-0"]["reasons"] = []any{map[string]any{"symbol": "VIRUS", "score": 0, "describe": "A virus", "decides": true}}
	h := desk(t, q)
	for _, lead := range []bool{true, false} {
		q.deny["approval.approve"] = !lead
		want := http.StatusForbidden
		if lead {
			want = http.StatusOK
		}
		for _, path := range []string{"/held/hold-0/raw", "/held/hold-0/part/1.3"} {
			if w := ask(h, "en", "GET", path, nil); w.Code != want || !lead && !strings.Contains(w.Body.String(), "only by a lead") {
				t.Errorf("%s, lead %v: %d %.300s", path, lead, w.Code, w.Body)
			}
		}
		for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
			w := ask(h, lang, "GET", "/held/hold-0?tab=parts", nil)
			if links := strings.Count(w.Body.String(), " download>"); w.Code != http.StatusOK || (links > 0) != lead {
				t.Errorf("%s, lead %v: %d with %d links", lang, lead, w.Code, links)
			}
		}
		if w := ask(h, "en", "GET", "/held/hold-0", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Hello") {
			t.Errorf("lead %v: the text is not shown", lead)
		}
		if w := ask(h, "en", "GET", "/held/hold-1/raw", nil); w.Code != http.StatusOK {
			t.Errorf("lead %v: a clean message: %d", lead, w.Code)
		}
	}
}
