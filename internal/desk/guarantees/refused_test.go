package guarantees_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"postern/internal/desk/page"
)

// had reports whether a call was made that begins so.
func (g *gateway) had(prefix string) bool {
	return slices.ContainsFunc(g.made, func(s string) bool { return strings.HasPrefix(s, prefix) })
}

// TestActsAskForThePassword: what binds the house is done by somebody who just said who it is.
func TestActsAskForThePassword(t *testing.T) {
	for _, c := range []struct{ path, call string }{
		{path: "/guarantees/G-waiting/decide", call: "guarantee."},
		{path: "/guarantees/G-broken/end", call: "case.end"},
		{path: "/guarantees/G-broken/purge", call: "guarantee.purge"},
	} {
		g := &gateway{}
		w := post(desk(t, g), c.path, url.Values{"act": {"approve"}, "reason": {"x"}}, false)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "who are you?") || g.had(c.call) {
			t.Errorf("%s: %d, made %q", c.path, w.Code, g.made)
		}
	}
}

// TestOnlyApprovingApproves: a form that does not say what it decides refuses.
func TestOnlyApprovingApproves(t *testing.T) {
	for act, want := range map[string]string{
		"approve": "guarantee.approve", "refuse": "guarantee.refuse", "": "guarantee.refuse", "Approve": "guarantee.refuse", "approve ": "guarantee.refuse",
	} {
		g := &gateway{}
		w := post(desk(t, g), "/guarantees/G-waiting/decide", url.Values{"act": {act}, "reason": {"x"}}, true)
		if w.Code != http.StatusSeeOther || len(g.made) != 1 || !g.had(want+" ") {
			t.Errorf("%q: %d, made %q", act, w.Code, g.made)
		}
	}
}

// TestWhatFails: what is refused is said on the page of the pack; a fault of ours is not told.
func TestWhatFails(t *testing.T) {
	for _, c := range []struct {
		call, path string
		form       url.Values // nil: it is read
		shown      bool       // with the pack when it is refused
	}{
		{call: "guarantee.list", path: "/guarantees"},
		{call: "guarantee.certificates", path: "/guarantees"},
		{call: "guarantee.show", path: "/guarantees/G-draft"},
		{call: "guarantee.paper", path: "/guarantees/G-draft/paper?part=letter"},
		{call: "guarantee.new", path: "/guarantees", form: url.Values{"case": {"A-1"}}},
		{call: "guarantee.fill", path: "/guarantees/G-draft/fill", form: url.Values{}, shown: true},
		{call: "guarantee.submit", path: "/guarantees/G-full/submit", form: url.Values{}, shown: true},
		{call: "guarantee.approve", path: "/guarantees/G-waiting/decide", form: url.Values{"act": {"approve"}}, shown: true},
		{call: "case.end", path: "/guarantees/G-broken/end", form: url.Values{}, shown: true},
		{call: "guarantee.show", path: "/guarantees/G-broken/purge", form: url.Values{}},
	} {
		g := &gateway{fail: map[string]error{}}
		h := desk(t, g)
		ask := func() (int, string) {
			if c.form == nil {
				w := get(h, "en", c.path)
				return w.Code, w.Body.String()
			}
			w := post(h, c.path, c.form, true)
			return w.Code, w.Body.String()
		}
		g.fail[c.call] = &page.Error{Status: http.StatusConflict, Words: "because of " + evil}
		if code, body := ask(); code != http.StatusConflict || !strings.Contains(body, "because of &#34;") || strings.Contains(body, evil) || c.shown && !strings.Contains(body, "Guarantee for anna@example.com") {
			t.Errorf("%s refused: %d %s", c.call, code, body)
		}
		g.fail[c.call] = errors.New("the disk is full")
		if code, body := ask(); code != http.StatusInternalServerError || strings.Contains(body, "disk") {
			t.Errorf("%s fails: %d", c.call, code)
		}
	}
}

// TestAPackWithoutItsCase: the case may be gone, or not for the reader; the pack is shown.
func TestAPackWithoutItsCase(t *testing.T) {
	g := &gateway{fail: map[string]error{"case.show": &page.Error{Status: http.StatusNotFound, Words: "there is no such case"}}}
	h := desk(t, g)
	body := get(h, "en", "/guarantees/G-broken").Body.String()
	if !strings.Contains(body, "Guarantee for anna@example.com") || strings.Contains(body, "/end") {
		t.Error(body)
	}
	g.fail["case.show"] = errors.New("away")
	if w := get(h, "en", "/guarantees/G-broken"); w.Code != http.StatusInternalServerError {
		t.Error(w.Code)
	}
	g.fail["guarantee.show"] = &page.Error{Status: http.StatusNotFound}
	if w := post(h, "/guarantees/G-broken/end", url.Values{"reason": {"x"}}, true); w.Code != http.StatusNotFound || g.had("case.end") {
		t.Error(w.Code, g.made)
	}
}

func TestTheListIsNarrowed(t *testing.T) {
	for query, want := range map[string]string{
		"":                        `guarantee.list {"after":"","limit":50,"state":""}`,
		"?state=broken&after=n%2": `guarantee.list {"after":"","limit":50,"state":"broken"}`, // half a percent sign is nothing
		"?state=waiting&after=n1": `guarantee.list {"after":"n1","limit":50,"state":"waiting"}`,
		"?state=nonsense":         `guarantee.list {"after":"","limit":50,"state":""}`,
	} {
		g := &gateway{}
		w := get(desk(t, g), "en", "/guarantees"+query)
		if w.Code != http.StatusOK || !slices.Contains(g.made, want) {
			t.Errorf("%q: %d %q", query, w.Code, g.made)
		}
		if strings.Contains(query, "broken") && !strings.Contains(w.Body.String(), "/guarantees?after=n%261&amp;state=broken") {
			t.Errorf("%q: the next page forgets the state", query)
		}
	}
}

// TestADateThatIsNone is left out: the pack then lacks it.
func TestADateThatIsNone(t *testing.T) {
	for sent, want := range map[string]string{"2026-03-01": `"date":"2026-03-01T00:00:00Z"`, " 2026-03-01 ": `"date":"2026-03-01T00:00:00Z"`, "1.3.2026": `"date":"0001-01-01T00:00:00Z"`, "2026-02-30": `"date":"0001-01-01T00:00:00Z"`, "": `"date":"0001-01-01T00:00:00Z"`} {
		g := &gateway{}
		post(desk(t, g), "/guarantees/G-draft/fill", url.Values{"date": {sent}, "company": {" Example "}}, false)
		if !g.had("guarantee.fill ") || !strings.Contains(g.made[0], want) || !strings.Contains(g.made[0], `"company":"Example"`) {
			t.Errorf("%q: %q", sent, g.made)
		}
	}
}
