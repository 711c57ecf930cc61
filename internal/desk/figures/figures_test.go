package figures_test

import (
	"context"
	"encoding/json"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/abuse/service/month"
	"postern/internal/desk/figures"
	"postern/internal/desk/page"
	"postern/internal/desk/words"
	"postern/internal/desk/work"
)

const evil = `"><script>alert(1)</script>`

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// gateway answers the calls of the pages.
type gateway struct {
	empty   bool
	deny    map[string]bool
	ranges  []string
	decided []string
	fail    error
	month   *month.Report // what is reported; nil: made up figures
}

func (g *gateway) May(_ context.Context, name string) bool { return !g.deny[name] }

func span() map[string]any {
	return map[string]any{
		"f": map[string]any{"in:delivered": 12, "out:held": 3}, "a": map[string]any{"in:accept": 10, "out:reject": 2},
		"d": map[string]any{"total": map[string]any{"n": 10, "sum": 5000, "max": 4000, "b": []int{0, 0, 5, 0, 0, 0, 0, 0, 4, 0, 0, 1}}},
		"g": map[string]any{"holds:held": 7, "store-ms": 0.4, "signatures-hours": 3.5}, "l": map[string]any{"zen" + evil: map[string]any{"n": 4, "sum": 50}},
	}
}

func (g *gateway) trend() any {
	points := []any{}
	for i := range 4 {
		p := map[string]any{"at": noon.Add(time.Duration(i) * time.Minute)}
		if i == 1 && !g.empty {
			p["span"] = span()
		}
		points = append(points, p)
	}
	out := map[string]any{"points": points, "nodes": []any{}, "total": map[string]any{}}
	if !g.empty {
		out["total"] = span()
		out["nodes"] = []any{map[string]any{"name": "mx1", "last": noon}, map[string]any{"name": evil, "last": noon}}
	}
	return out
}

func (g *gateway) now() any {
	if g.empty {
		return map[string]any{"lists": []any{}, "alerts": []any{}, "scanners": []any{}, "sizes": []any{}, "store": map[string]any{"home": "local"}}
	}
	return map[string]any{
		"lists":    []any{map[string]any{"name": evil, "zone": evil, "fault": evil, "tally": map[string]any{"asked": 12345, "ms": 5, "slow": 77}}, map[string]any{"name": "b", "on": true}},
		"scanners": []any{map[string]any{"Endpoint": evil, "Fault": evil}, map[string]any{"Ready": true}}, "av": evil, "av_age_hours": 3.2, "store_ms": 0.5,
		"sizes":  []any{map[string]any{"of": "holds", "items": 3, "bytes": 4000, "cap": 9000}},
		"store":  map[string]any{"home": "redis", "away": evil, "journal": map[string]any{"live": 4}},
		"alerts": []any{map[string]any{"severity": "critical", "summary": evil, "since": noon}, map[string]any{"severity": "warning", "summary": "w", "since": noon}, map[string]any{"severity": "notice", "summary": "n", "since": noon}},
	}
}

func (g *gateway) report(month string) any {
	return map[string]any{
		"month": month, "hostname": evil, "zone": "UTC", "at": noon,
		"figures": []any{
			map[string]any{"id": "a", "clause": "1", "formula": evil, "unit": "%", "value": 99.991234, "bound": "at least", "limit": 99.99, "state": "kept", "of": map[string]any{"good": 5, "bad": 1}},
			map[string]any{"id": "b", "formula": "f", "unit": "s", "value": nil, "bound": "at most", "limit": 3, "state": "no data", "note": evil},
			map[string]any{"id": "c", "state": "broken", "bound": "below", "limit": 1, "value": 2}, map[string]any{"id": "d", "state": "unknown", "value": 1}, map[string]any{"id": "e", "state": "stated", "value": 0},
		},
		"exclusions": []any{map[string]any{"id": "x", "class": "a", "from": noon, "to": noon.Add(time.Hour), "reason": evil, "state": "approved", "by": "ann", "decided_by": "the-approver", "decided_at": noon}},
		"credits": []any{
			map[string]any{"id": "c-1", "figure": "reachability", "clause": "1", "kind": "double service time", "formula": evil, "value": 99.1, "bound": "at least", "limit": 99.9, "unit": "%", "state": "draft", "exclusions": []string{"x-1", "x-2"}},
			map[string]any{"id": "c-2", "figure": "e" + evil, "clause": "4.2", "kind": "fee waived", "value": 3, "bound": "below", "limit": 1, "state": "draft", "asked": map[string]any{"by": "lea" + evil, "why": evil, "proposal": "p-1"}},
			map[string]any{"id": "c-3", "figure": "availability", "clause": "3", "kind": "double service time", "value": 9, "bound": "at least", "limit": 99.99, "state": "approved", "decided_by": "lee", "decided_at": noon, "why": evil, "contradicted": map[string]any{"at": noon, "value": 99.995}},
		},
		"outages": []any{map[string]any{"group": "web", "minutes": 5, "why": "=1+1", "counts": true}, map[string]any{"group": "smtp-in", "excluded": []string{"x"}, "nil": nil}},
		"faults":  []any{},
	}
}

func (g *gateway) Call(_ context.Context, name string, params, result any) error {
	var p struct{ Range, Month, ID, Why string }
	raw, _ := json.Marshal(params)
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	var out any
	switch name {
	case "service.credit-approve", "service.credit-refuse":
		g.decided = append(g.decided, name+" "+p.ID+" "+p.Why)
		if g.fail != nil {
			return g.fail
		}
	case "figures.trend":
		g.ranges = append(g.ranges, p.Range)
		out = g.trend()
	case "figures.now":
		out = g.now()
	default:
		if g.fail != nil && len(g.decided) == 0 {
			return g.fail
		}
		if out = g.report(p.Month); g.month != nil {
			out = g.month
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, result)
}

type world struct {
	h     http.Handler
	long  *work.Desk
	fresh bool
}

func newWorld(t *testing.T, g *gateway) *world {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	clock, log := func() time.Time { return noon }, slog.New(slog.DiscardHandler)
	kit, err := page.New(page.Options{Words: book, Calls: g, Now: clock, Log: log}, figures.Pages, work.Pages)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{long: &work.Desk{Now: clock, Log: log}}
	long := &work.Room{Kit: kit, Desk: w.long}
	mux := http.NewServeMux()
	handle := func(pattern string, f http.HandlerFunc) { mux.HandleFunc(pattern, f) }
	(&figures.Room{Kit: kit, Calls: g, Long: long}).Routes(handle)
	long.Routes(handle)
	w.h = page.Guard(false, mux)
	return w
}

func (w *world) ask(lang, method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r.WithContext(page.With(r.Context(), page.Visit{User: &page.User{Name: "olga", Language: lang}, Token: "tok", Fresh: w.fresh})))
	return rec
}

// TestPages has every page in every language: written whole, with nothing of a stranger's in
// force and no text missing.
func TestPages(t *testing.T) {
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		for _, empty := range []bool{false, true} {
			w := newWorld(t, &gateway{empty: empty})
			for _, path := range []string{"/figures", "/figures?range=hour&node=mx1", "/figures/report", "/figures/report?month=2026-02"} {
				got := w.ask(lang, "GET", path, nil)
				body := got.Body.String()
				if got.Code != 200 || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
					t.Fatalf("%s %s: %d %s", lang, path, got.Code, body)
				}
				if strings.Contains(body, evil) || strings.Contains(body, "<script>") {
					t.Errorf("%s %s: a stranger's words are markup", lang, path)
				}
				if i := strings.Index(body, ">figures."); i >= 0 || strings.Contains(body, "figures.state-") {
					t.Errorf("%s %s lacks a text: %s", lang, path, body[i:min(i+60, len(body))])
				}
				if strings.Contains(body, " style=") || strings.Contains(body, "onclick") {
					t.Errorf("%s %s: markup that the policy forbids", lang, path)
				}
			}
		}
	}
}

type line struct {
	Name   string
	Values []*float64
}

// plot is what the script is told of a plot.
func plot(t *testing.T, body, id string) map[string]line {
	t.Helper()
	for part := range strings.SplitSeq(body, `data-plot="`) {
		text, _, _ := strings.Cut(part, `"`)
		var p struct {
			ID    string
			At    []int64
			Lines []line
		}
		if json.Unmarshal([]byte(html.UnescapeString(text)), &p) != nil || p.ID != id {
			continue
		}
		if len(p.At) != 4 || p.At[0] != noon.Unix() {
			t.Errorf("times %v", p.At)
		}
		out := map[string]line{}
		for _, l := range p.Lines {
			out[l.Name] = l
		}
		return out
	}
	t.Fatalf("there is no plot %s", id)
	return nil
}

// TestPlots has what was counted drawn, and gaps where nothing was.
func TestPlots(t *testing.T) {
	g := &gateway{}
	body := newWorld(t, g).ask("en", "GET", "/figures?range=week", nil).Body.String()
	for id, want := range map[string]map[string]float64{
		"in": {"delivered": 12, "held": 0}, "out": {"held": 3}, "verdict": {"accepted": 10, "refused": 2}, "delay": {"mean": 500, "half within": 5, "95 % within": 2500, "longest": 4000},
		"waiting": {"held mail": 7}, "store": {"answer": .4}, "signatures": {"age": 3.5}, "lists": {"zen" + evil: 12.5},
	} {
		got := plot(t, body, id)
		for name, v := range want {
			l := got[name]
			if len(l.Values) != 4 || l.Values[0] != nil || l.Values[1] == nil || l.Values[3] != nil {
				t.Errorf("%s %s: %v", id, name, l.Values)
				continue
			}
			if *l.Values[1] != v && !(id == "delay" && name == "95 % within" && *l.Values[1] == 4000) {
				t.Errorf("%s %s: %v, not %v", id, name, *l.Values[1], v)
			}
		}
	}
	if g.ranges[0] != "week" {
		t.Error(g.ranges)
	}
	if w := newWorld(t, g).ask("en", "GET", "/figures?range=decade", nil); w.Code != 200 || g.ranges[1] != "day" {
		t.Error(w.Code, g.ranges)
	}
	empty := newWorld(t, &gateway{empty: true, deny: map[string]bool{"service.report": true}}).ask("en", "GET", "/figures", nil).Body.String()
	if strings.Contains(empty, "data-plot") || !strings.Contains(empty, "no data") || strings.Contains(empty, "/figures/report") {
		t.Error("a plot of nothing, or a report that is not the reader's:", empty)
	}
}

// TestReport has what there is shown to five decimals, what there is not called so, and who
// approved an exclusion.
func TestReport(t *testing.T) {
	w := newWorld(t, &gateway{})
	body := w.ask("en", "GET", "/figures/report?month=2026-02", nil).Body.String()
	for _, part := range []string{"99.99123 %", "at least 99.99 %", "bad = 1, good = 5", "no data", "the-approver", `<option selected>2026-02</option>`, "<option>2025-02</option>", "the month is not over", "Outages (2)", "Faults (0)"} {
		if !strings.Contains(body, part) {
			t.Errorf("%q is missing in %s", part, body)
		}
	}
	refused := newWorld(t, &gateway{fail: &page.Error{Status: 400, Words: "no month"}})
	if got := refused.ask("en", "GET", "/figures/report?month=x", nil); got.Code != 400 || !strings.Contains(got.Body.String(), "no month") {
		t.Error(got.Code, got.Body)
	}
}

// TestRows has the rows behind the figures made into a file that a spreadsheet takes for what
// it is.
func TestRows(t *testing.T) {
	w := newWorld(t, &gateway{})
	got := w.ask("en", "POST", "/figures/report/rows", url.Values{"kind": {"outages"}, "month": {"2026-02"}})
	to := got.Header().Get("Location")
	if got.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/work/") {
		t.Fatal(got.Code, got.Body)
	}
	if err := w.long.Wait(t.Context(), "olga", strings.TrimPrefix(to, "/work/")); err != nil {
		t.Fatal(err)
	}
	if body := w.ask("en", "GET", to, nil).Body.String(); !strings.Contains(body, "2 rows are in the file.") || !strings.Contains(body, "2026-02-outages.csv") {
		t.Error(body)
	}
	want := "counts,excluded,group,minutes,nil,why\ntrue,,web,5,,'=1+1\n,\"[\"\"x\"\"]\",smtp-in,,,\n"
	if f := w.ask("en", "GET", to+"/file", nil); f.Body.String() != want {
		t.Errorf("%q", f.Body)
	}
	if got := w.ask("en", "POST", "/figures/report/rows", url.Values{"kind": {"secrets"}}); got.Code != 400 {
		t.Error(got.Code)
	}
}

// TestCredits has what is owed shown with what it rests on, and decided by whoever may, who
// signed in lately, with a reason.
func TestCredits(t *testing.T) {
	g := &gateway{}
	w := newWorld(t, g)
	body := w.ask("en", "GET", "/figures/report?month=2026-02", nil).Body.String()
	for part, want := range map[string]int{
		"double service time, Clause 1": 1, "fee waived, Clause 4.2": 1, "x-1, x-2": 1, "at least 99.9 %": 1, `href="/approvals/p-1"`: 1, "waits for a second person": 1,
		`name="act" value="approve"`: 1, `name="act" value="refuse"`: 2, ">contradicted</span>": 1, "99.995": 1, "Credits (3)": 1,
	} {
		if n := strings.Count(body, part); n != want {
			t.Errorf("%q stands %d times in %s", part, n, body)
		}
	}
	form := url.Values{"act": {"approve"}, "id": {"c-1"}, "why": {" it was so "}, "month": {"2026-02"}}
	if got := w.ask("en", "POST", "/figures/report/credit", form); got.Code == 303 || len(g.decided) > 0 {
		t.Error("without a fresh sign-in:", got.Code, g.decided)
	}
	w.fresh = true
	if got := w.ask("en", "POST", "/figures/report/credit", form); got.Code != 303 || got.Header().Get("Location") != "/figures/report?month=2026-02#credits" {
		t.Error(got.Code, got.Header())
	}
	g.fail = &page.Error{Status: 409, Words: "c-1 is withdrawn"}
	form.Set("act", "refuse")
	if got := w.ask("en", "POST", "/figures/report/credit", form); got.Code != 409 || !strings.Contains(got.Body.String(), "c-1 is withdrawn") || !strings.Contains(got.Body.String(), `value="it was so"`) {
		t.Error(got.Code, got.Body)
	}
	if got := strings.Join(g.decided, ", "); got != "service.credit-approve c-1 it was so, service.credit-refuse c-1 it was so" {
		t.Error(got)
	}
	g.deny = map[string]bool{"service.credit-approve": true, "service.credit-refuse": true}
	if got := w.ask("en", "POST", "/figures/report/credit", form); got.Code != 403 || strings.Contains(w.ask("en", "GET", "/figures/report", nil).Body.String(), `value="approve"`) {
		t.Error("who may not:", got.Code)
	}
	form.Set("act", "pay")
	if got := w.ask("en", "POST", "/figures/report/credit", form); got.Code != 400 {
		t.Error(got.Code)
	}
}
