package accounts_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"postern/internal/desk/page"
)

// about is the page of an account of which something else is known.
func about(t *testing.T, with func(map[string]any)) string {
	t.Helper()
	w := ask(desk(t, &gateway{with: with}), "en", "GET", "/account?name=anna@example.com", nil)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		name              string
		usual, hour       int
		day, fresh, gone  int
		says, fresh1, bad string
	}{
		{name: "nothing", says: "usual: up to 0", fresh1: "0 %", bad: "0 %"},
		{name: "nothing is usual yet", hour: 900, says: "usual: up to 0", fresh1: "0 %", bad: "0 %"},
		{name: "as usual", usual: 40, hour: 40, day: 3, fresh: 1, gone: 2, says: "usual: up to 40", fresh1: "33 %", bad: "67 %"},
		{name: "a little more", usual: 40, hour: 79, day: 200, fresh: 1, gone: 199, says: "usual: up to 40", fresh1: "1 %", bad: "100 %"},
		{name: "twice as much", usual: 40, hour: 80, day: 1000, fresh: 4, gone: 5, says: "2 times the usual", fresh1: "0 %", bad: "1 %"},
		{name: "much more", usual: 7, hour: 699, day: 8, fresh: 8, says: "99 times the usual", fresh1: "100 %", bad: "0 %"},
	} {
		body := about(t, func(a map[string]any) {
			a["sends"] = map[string]any{"usual": c.usual, "hour": map[string]any{"recipients": c.hour}, "day": map[string]any{"recipients": c.day, "fresh": c.fresh, "gone": c.gone}}
		})
		for _, want := range []string{"<small>" + c.says + "</small>", "<dd>" + c.fresh1 + "<small>", "<dd>" + c.bad + "<small>"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: lacks %q", c.name, want)
			}
		}
	}
}

// TestAMeasureBelongsToTheCaseThatGoesOn and to none that is done with.
func TestAMeasureBelongsToTheCaseThatGoesOn(t *testing.T) {
	for state, want := range map[string]bool{
		"NEW": true, "SUSPENDED": true, "PROBATION": true, "CLOSED": false, "RESULT_SENT": false, "RESOLVED": false, "REJECTED": false, "RELEASED": false, "NOT_OURS": false, "DUPLICATE": false,
	} {
		body := about(t, func(a map[string]any) {
			a["cases"] = []any{map[string]any{"id": "A-2026-000007", "state": state, "opened": clock()}}
		})
		if got := strings.Contains(body, "case=A-2026-000007"); got != want {
			t.Errorf("%s: %v", state, got)
		}
		if !strings.Contains(body, `<a href="/cases/A-2026-000007">`) {
			t.Errorf("%s: the case is not shown", state)
		}
	}
}

// TestTheRampOfATrial is drawn where there is a time to draw.
func TestTheRampOfATrial(t *testing.T) {
	for _, c := range []struct {
		name  string
		trial any
		drawn bool
		shows string
	}{
		{name: "none", drawn: false},
		{name: "half over", trial: map[string]any{"pack": "G-1", "from": clock().AddDate(0, 0, -10), "until": clock().AddDate(0, 0, 10)}, drawn: true, shows: `class="now" x1="339"`},
		{name: "not begun", trial: map[string]any{"pack": "G-1", "from": clock().AddDate(0, 0, 1), "until": clock().AddDate(0, 0, 10)}, drawn: true},
		{name: "without a time", trial: map[string]any{"pack": "G-1", "from": clock(), "until": clock()}, drawn: false},
	} {
		body := about(t, func(a map[string]any) { a["trial"] = c.trial })
		if got := strings.Contains(body, `id="ramp-t"`); got != c.drawn {
			t.Errorf("%s: drawn: %v", c.name, got)
		}
		if !strings.Contains(body, c.shows) || c.shows == "" && strings.Contains(body, `class="now"`) {
			t.Errorf("%s: today is not where it belongs", c.name)
		}
	}
}

// TestViews: the search that is shown is marked, and no other.
func TestViews(t *testing.T) {
	for query, want := range map[string]string{
		"":                   `<a class="button" href="/accounts" aria-current="page">`,
		"?level=measure":     `<a class="button" href="/accounts?level=measure" aria-current="page">`,
		"?score=20&after=x":  `<a class="button" href="/accounts?score=20" aria-current="page">`,
		"?trial=yes":         `<a class="button" href="/accounts?trial=yes" aria-current="page">`,
		"?strikes=1":         `<a class="button" href="/accounts?strikes=1" aria-current="page">`,
		"?strikes=1&score=9": "",
		"?q=anna":            "",
	} {
		body := ask(desk(t, &gateway{}), "en", "GET", "/accounts"+query, nil).Body.String()
		_, body, _ = strings.Cut(body, `role="search"`) // the menu has marks of its own
		if n := strings.Count(body, "aria-current"); !strings.Contains(body, want) || n != min(len(want), 1) {
			t.Errorf("%q: %d marks", query, n)
		}
	}
}

func TestWhatFails(t *testing.T) {
	stop := url.Values{"name": {"anna@example.com"}, "reason": {"x"}, "act": {"restore"}}
	for _, c := range []struct {
		call, path string
		form       url.Values // nil: it is read
	}{
		{call: "account.find", path: "/accounts"},
		{call: "account.activity", path: "/account?name=anna@example.com"},
		{call: "measure.list", path: "/account?name=anna@example.com"},
		{call: "account.restore", path: "/account/stop", form: stop},
	} {
		g := &gateway{fail: map[string]error{}}
		h, method := desk(t, g), "GET"
		if c.form != nil {
			method = "POST"
		}
		for want, err := range map[int]error{400: &page.Error{Status: 400, Words: "because of " + evil}, 403: &page.Error{Status: 403, Words: "not you"}, 500: errors.New("the disk is full")} {
			g.fail[c.call] = err
			w := ask(h, "en", method, c.path, c.form)
			if body := w.Body.String(); w.Code != want || strings.Contains(body, evil) || strings.Contains(body, "disk") || want == 400 && !strings.Contains(body, "because of &#34;") {
				t.Errorf("%s: %d instead of %d", c.call, w.Code, want)
			}
		}
	}
}
