package held_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"postern/internal/desk/page"
)

// TestInfected: bytes of a message in which a virus was found go to those who answer for others
// alone, and with a reason; the rest read why, and still read its text.
func TestInfected(t *testing.T) {
	for symbol := range map[string]bool{"VIRUS": true, "STRIP_FAILED": true} {
		for _, lead := range []bool{true, false} {
			q := newQuarantine()
			q.holds["hold-0"]["reasons"] = []any{map[string]any{"symbol": symbol, "score": 0, "describe": "A virus", "decides": true}}
			q.deny["approval.approve"] = !lead
			infected(t, q, desk(t, q), lead)
		}
	}
}

func infected(t *testing.T, q *quarantine, h http.Handler, lead bool) {
	t.Helper()
	want, says := http.StatusForbidden, "only by a lead"
	if lead {
		want, says = http.StatusBadRequest, "with a written reason"
	}
	for _, path := range []string{"/held/hold-0/raw", "/held/hold-0/part/1.3"} {
		if w := ask(h, "en", "GET", path, nil); w.Code != want || !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s, lead %v: %d %.300s", path, lead, w.Code, w.Body)
		}
	}
	if w := ask(h, "en", "POST", "/held/hold-0/take", url.Values{"part": {""}}); w.Code != want || len(q.pieces) > 0 {
		t.Errorf("no reason, lead %v: %d, read %q", lead, w.Code, q.pieces)
	}
	for part, has := range map[string]string{"": q.raw["hold-0"], "1.3": "<script>1</script>"} {
		q.pieces = nil
		w := ask(h, "en", "POST", "/held/hold-0/take", url.Values{"part": {part}, "note": {"for the scanner's maker"}})
		if lead && (w.Code != http.StatusOK || !strings.Contains(w.Body.String(), has) || len(q.pieces) != 1 || !strings.HasSuffix(q.pieces[0], " for the scanner's maker") || w.Header().Get("Content-Type") != "application/octet-stream") {
			t.Errorf("part %q: %d %q %q", part, w.Code, w.Body, q.pieces)
		}
		if !lead && (w.Code != want || len(q.pieces) > 0) {
			t.Errorf("part %q with a reason: %d, read %q", part, w.Code, q.pieces)
		}
	}
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		w := ask(h, lang, "GET", "/held/hold-0?tab=parts", nil)
		if n := strings.Count(w.Body.String(), " download>"); w.Code != http.StatusOK || n > 0 {
			t.Errorf("%s, lead %v: %d with %d links", lang, lead, w.Code, n)
		}
		if buttons := strings.Count(w.Body.String(), `form="take"`); (buttons > 0) != lead || strings.Contains(w.Body.String(), `id="take"`) != lead {
			t.Errorf("%s, lead %v: %d buttons", lang, lead, buttons)
		}
	}
	q.pieces = nil
	if w := ask(h, "en", "GET", "/held/hold-0", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Hello") || len(q.pieces) > 0 {
		t.Errorf("lead %v: the text is not shown, or read as bytes", lead)
	}
	if w := ask(h, "en", "GET", "/held/hold-1/raw", nil); w.Code != http.StatusOK {
		t.Errorf("lead %v: a clean message: %d", lead, w.Code)
	}
	if w := ask(h, "en", "POST", "/held/act", url.Values{"act": {"case"}, "id": {"hold-0"}, "seen": {"yes"}}); w.Code != http.StatusOK && w.Code != http.StatusSeeOther {
		t.Errorf("lead %v: a case of it: %d %s", lead, w.Code, w.Body)
	}
}

// TestLargeMessages are handed on piece by piece, in ranges where those are asked for, and shorter
// than they said where one breaks off.
func TestLargeMessages(t *testing.T) {
	q := newQuarantine()
	q.long = bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	q.holds["hold-0"]["size"] = len(q.long)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		desk(t, q).ServeHTTP(w, r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: "en"}, Token: "tok"})))
	}))
	defer s.Close()
	get := func(span string) (int, []byte, error) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/held/hold-0/raw", nil)
		if span != "" {
			r.Header.Set("Range", span)
		}
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		b, err := io.ReadAll(w.Body)
		return w.StatusCode, b, err
	}
	if code, b, err := get(""); err != nil || code != 200 || !bytes.Equal(b, q.long) || len(q.pieces) != 4 {
		t.Errorf("%d, %d bytes: %v in %q", code, len(b), err, q.pieces)
	}
	for span, want := range map[string][]byte{"bytes=15000000-15000009": q.long[15000000:15000010], "bytes=-5": q.long[len(q.long)-5:], "bytes=0-15": q.long[:16]} {
		q.pieces = nil
		code, b, err := get(span)
		if err != nil || code != http.StatusPartialContent || !bytes.Equal(b, want) || len(q.pieces) > 2 {
			t.Errorf("%s: %d %q: %v, in %q", span, code, b, err, q.pieces)
		}
	}
	if code, _, _ := get("bytes=99999999-"); code != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("behind the end: %d", code)
	}
	q.holds["hold-0"]["size"] = len(q.long) + 1
	if _, b, err := get(""); err == nil {
		t.Errorf("%d bytes of %d are taken for all", len(b), len(q.long)+1)
	}
}

// TestAPageLooksOnce at a message, whichever of its tabs is open.
func TestAPageLooksOnce(t *testing.T) {
	for _, tab := range []string{"text", "html", "links", "headers", "parts"} {
		q := newQuarantine()
		if w := ask(desk(t, q), "en", "GET", fmt.Sprintf("/held/hold-0?tab=%s", tab), nil); w.Code != http.StatusOK || q.looks != 1 || len(q.pieces) > 0 {
			t.Errorf("%s: %d, %d looks, %q", tab, w.Code, q.looks, q.pieces)
		}
	}
}
