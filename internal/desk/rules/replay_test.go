package rules_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"postern/internal/desk/page"
)

// part is the answer to a part of a rehearsal.
func rehearsed(next string) map[string]any {
	return map[string]any{
		"report": map[string]any{
			"messages": 1200, "known": 1190, "not_known": 10, "no_body": 4, "unlike": 2,
			"stricter": map[string]any{"n": 12, "share": 0.010084, "ci": []float64{0.00578, 0.01753}}, "milder": map[string]any{"n": 0, "share": 0, "ci": []float64{0, 0.0032}},
			"flips": []any{map[string]any{"from": "tag", "to": "quarantine", "n": 12, "share": 0.010084, "ci": []float64{0.00578, 0.01753}, "examples": []any{
				map[string]any{"id": "01m3cvndb9mg21rmc203z18y1w", "before": 450, "after": 800, "changed": []any{
					map[string]any{"symbol": "A_B", "before": 100, "after": 400},
					map[string]any{"symbol": "NEW_ONE", "before": 0, "after": 50, "mark": "new"},
					map[string]any{"symbol": "OLD_ONE", "before": 20, "after": 0, "mark": "gone"},
				}},
			}}},
			"patterns": []any{map[string]any{"symbol": "NEW_TWO", "n": 6}},
		},
		"next": next, "kept": map[string]any{"kept": 5000, "seen": 20000}, "days": 7, "off": []string{"HOUSE_TWO"},
	}
}

var rehearsal = url.Values{"id": {"rules/own.yaml"}, "text": {"x"}}

// with adds fields to a form.
func with(form url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for k, v := range form {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

func contains(t *testing.T, body string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// TestARehearsalIsShown with flips both ways, intervals, examples and what is not known, as a
// part of the page for a script and as a page without one.
func TestARehearsalIsShown(t *testing.T) {
	g := newGateway(t)
	g.answer("rules.replay", rehearsed(""))
	rec := g.ask("POST", "/rules/replay", with(rehearsal, "again", "yes"), script)
	body := rec.Body.String()
	if rec.Code != http.StatusOK || strings.Contains(body, "<html") || strings.Contains(body, "hx-trigger") {
		t.Errorf("%d %s", rec.Code, body)
	}
	contains(t, body, "12 of 1190 verdicts would be others.", "12: 1.01 % (with 95 % certainty 0.58 to 1.75 %)", "0: 0.0 % (with 95 % certainty 0.0 to 0.32 %)",
		`href="/trace/01m3cvndb9mg21rmc203z18y1w"`, "4.5 → 8.0", "A_B", "1.0 → 4.0", "NEW_ONE", "new", "goes away", "10 messages cannot be told", "4 of them were refused before",
		"NEW_TWO leaves 6 of them open", "2 messages were judged otherwise", "What 5000 of 20,000 messages of the last 7 days", "HOUSE_TWO")
	if want := `rules.replay {"file":"rules/own.yaml","gone":false,"text":"x\n"}`; !slices.Contains(g.calls(), want) {
		t.Errorf("%q", g.calls())
	}
	contains(t, g.ask("POST", "/rules/replay", rehearsal).Body.String(), "<html", "12 of 1190 verdicts", `id="text"`)
	for cookie, want := range map[string]string{"ru": "Что было бы", "el": "Τι θα είχε συμβεί", "zh-CN": "本来会怎样"} {
		rec := g.ask("POST", "/rules/replay", rehearsal, script, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "postern-language", Value: cookie}) })
		contains(t, rec.Body.String(), want)
	}
}

// TestARehearsalGoesOn by itself for a while, then when told to; each part is handed what came
// before.
func TestARehearsalGoesOn(t *testing.T) {
	g := newGateway(t)
	g.answer("rules.replay", rehearsed(`1"<2`))
	first := g.ask("POST", "/rules/replay", with(rehearsal, "again", "yes", "after", "stale", "so_far", "{}"), script).Body.String()
	contains(t, first, `hx-trigger="load"`, `name="after" value="1&#34;&lt;2"`, `name="turn" value="1"`, "1200 of about 5000 messages are judged", `name="stop"`, `max="5000" value="1200"`)
	if strings.Contains(strings.Join(g.calls(), "\n"), "stale") {
		t.Errorf("it began where another one was: %q", g.calls())
	}
	g.ask("POST", "/rules/replay", with(rehearsal, "after", "m", "so_far", `{"messages":3}`, "turn", "1"), script)
	if want := `rules.replay {"after":"m","file":"rules/own.yaml","gone":false,"so_far":{"messages":3},"text":"x\n"}`; !slices.Contains(g.calls(), want) {
		t.Errorf("%q", g.calls())
	}
	waits := g.ask("POST", "/rules/replay", with(rehearsal, "after", "m", "so_far", `{"messages":3}`, "turn", "9"), script).Body.String()
	if strings.Contains(waits, "hx-trigger") || strings.Contains(waits, `name="stop"`) {
		t.Error("it goes on for ever")
	}
	contains(t, waits, "Go on", `name="turn" value="10"`, "These figures are of the messages judged so far.")
}

// TestARehearsalIsStopped: what it had come to stays, nothing is judged, and it can go on.
func TestARehearsalIsStopped(t *testing.T) {
	g := newGateway(t)
	form := with(rehearsal, "stop", "yes", "after", "m", "so_far", `{"messages":40,"known":40,"flips":[]}`, "turn", "3", "kept", "90", "seen", "95", "days", "7")
	body := g.ask("POST", "/rules/replay", form, script).Body.String()
	contains(t, body, "40 of about 90", "None of 40 verdicts would be another.", "Go on", `name="after" value="m"`, `name="turn" value="3"`)
	if strings.Contains(body, "hx-trigger") || strings.Contains(strings.Join(g.calls(), "\n"), "rules.replay") {
		t.Errorf("it goes on: %q", g.calls())
	}
	for _, bad := range []url.Values{with(form, "so_far", "{"), with(rehearsal, "after", "m", "so_far", "no JSON")} {
		if rec := g.ask("POST", "/rules/replay", bad, script); rec.Code != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, rec.Code)
		}
	}
}

// TestARehearsalIsRefused: what is wrong is said on the page, and a fault of ours says nothing.
func TestARehearsalIsRefused(t *testing.T) {
	g := newGateway(t)
	g.fail("rules.replay", &page.Error{Status: http.StatusConflict, Words: "because of " + evil})
	if rec := g.ask("POST", "/rules/replay", rehearsal); rec.Code != http.StatusConflict || strings.Count(rec.Body.String(), "because of &#34;") != 1 {
		t.Errorf("%d", rec.Code)
	}
	if rec := g.ask("POST", "/rules/replay", rehearsal, script); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "because of &#34;") {
		t.Errorf("%d", rec.Code) // a script shows what came with 200 alone
	}
	g.fail("rules.replay", errors.New("the disk is full"))
	if rec := g.ask("POST", "/rules/replay", rehearsal, script); rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "disk") {
		t.Errorf("%d", rec.Code)
	}
}

// TestARehearsalBeforeSaving begins by itself beside the difference, for rules alone and for who
// may.
func TestARehearsalBeforeSaving(t *testing.T) {
	g := newGateway(t)
	save := with(rehearsal, "base", "h")
	body := g.ask("POST", "/rules/save", save).Body.String()
	contains(t, body, `hx-post="/rules/replay" hx-trigger="load" hx-target="#replay"`, `id="editor"`, `formaction="/rules/replay"`)
	contains(t, g.ask("GET", "/rules/file?id=rules/own.yaml", nil).Body.String(), `formaction="/rules/replay"`, `<div id="replay"`)
	g.answer("rules.replay", map[string]any{"report": map[string]any{"messages": 0}, "kept": map[string]any{}, "days": 7})
	contains(t, g.ask("POST", "/rules/replay", rehearsal, script).Body.String(), "No mail of these days is kept")
	g.deny["rules.replay"] = true
	for _, body := range []string{g.ask("POST", "/rules/save", save).Body.String(), g.ask("GET", "/rules/file?id=rules/own.yaml", nil).Body.String()} {
		if strings.Contains(body, "/rules/replay") {
			t.Error("it is offered to who may not")
		}
	}
	g = newGateway(t)
	g.answer("rules.file", map[string]any{"id": "calendar/teams.yaml", "kind": "calendar", "name": "teams.yaml", "hash": "h", "text": "teams: []\n"})
	if body := g.ask("GET", "/rules/file?id=calendar/teams.yaml", nil).Body.String(); strings.Contains(body, "/rules/replay") {
		t.Error("a calendar is no rules")
	}
}
