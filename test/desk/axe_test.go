package desk

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"postern/abuse/external"
	"postern/cmd/postern/sourcecalls"
	"postern/internal/people"
)

// axe is the judge of accessibility, as its makers publish it.
//
//go:embed testdata/axe.min.js
var axe string

// perPattern is how many pages of one kind are looked at: other IDs show the same page.
const perPattern = 2

// finding is what axe found on a page.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct {
		Target         []any
		FailureSummary string
	}
}

const judge = `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r =>
	JSON.stringify(r.violations.filter(v => v.impact == "serious" || v.impact == "critical").map(v => ({ID: v.id, Impact: v.impact, Help: v.help,
		Nodes: v.nodes.slice(0, 3).map(n => ({Target: n.target, FailureSummary: n.failureSummary}))}))))`

// still is how far what is on a page may move by itself: the bound of a good page by Web Vitals.
// A long table that a busy machine gets in two pieces moves by a hundredth.
const still = 0.1

// shifts is how much of what was there has moved by itself, once what is drawn stands.
const shifts = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(window.moved))))`

// TestEveryPageCanBeUsedByEverybody walks through the desk along its own links, as a postmaster
// in each language, light and dark, on a desk and on a phone.
func TestEveryPageCanBeUsedByEverybody(t *testing.T) {
	t.Parallel()
	n := start(t, withInbox)
	n.user("olga", people.Postmaster)
	n.furnish()
	n.send("run-1@ci.example", "Your code", "Content-Type: text/html\r\n\r\n<p>The code is 4711 <a href=\"http://shop.example/x\">here</a></p>")
	for _, c := range []struct {
		lang, theme string
		width       int64
	}{{"en", "light", 1280}, {"zh-CN", "dark", 1280}, {"ru", "dark", 390}, {"el", "light", 390}} {
		b := n.browse(c.lang)
		b.walk(c.theme, c.width)
	}
}

// furnish puts something on every page.
func (n *node) furnish() {
	n.t.Helper()
	n.send("ada@example.com", "Offer one please hold", "Content-Type: text/html\r\n\r\n<p>Hello <a href=\"http://crook.example/x\">you</a></p>")
	n.send("bob@example.com", "Offer two please hold", "Content-Type: text/plain\r\n\r\nA letter.")
	for _, c := range []struct{ name, params string }{
		{"blocklist.add", `{"value":"crook.example","reason":"seen"}`},
		{"case.open", `{"account":"eve@example.com","kind":"local","reason":"somebody called"}`},
	} {
		if err := n.control.Call(n.t.Context(), c.name, json.RawMessage(c.params), nil); err != nil {
			n.t.Fatalf("%s: %v", c.name, err)
		}
	}
	id := n.abroad()
	var s sourcecalls.Shown
	n.call("source.show", sourcecalls.Paging{ID: id}, &s)
	n.call("source.confirm", sourcecalls.Work{ID: id, Evidence: s.Case.Evidence[0].Sum, Reason: "seen"}, &s)
	n.call("source.complain", sourcecalls.Work{ID: id}, &external.Notice{})
}

var variable = regexp.MustCompile(`/([0-9a-f]{8,}[0-9a-z-]*|[0-9A-Z]{1,2}-\d[^/]*|\d+[^/]*|[A-Z][A-Z0-9_]{2,}|[0-9a-z]{20,}[^/]*|[^/]*[@.:%][^/]*)`)

// pattern is the kind of a page.
func pattern(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	keys := slices.Sorted(func(yield func(string) bool) {
		for k := range u.Query() {
			if !yield(k) {
				return
			}
		}
	})
	return variable.ReplaceAllString(u.Path, "/*") + "?" + strings.Join(keys, "&")
}

// colours has the browser ask for a light or a dark page, and none that moves.
func (b *browser) colours(theme string) {
	b.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, media)
		return err
	}))
}

// walk signs in and visits each kind of page that links lead to.
func (b *browser) walk(theme string, width int64) {
	b.t.Helper()
	b.colours(theme)
	b.do(chromedp.EmulateViewport(width, 800))
	b.do(navigate(b.base+"/sign-in"), visible("#password"))
	b.look("/sign-in")
	b.signIn("olga")
	seen, times := map[string]bool{}, map[string]int{}
	next := []string{"/"}
	for len(next) > 0 && len(seen) < 200 {
		path := next[0]
		next = next[1:]
		kind := pattern(path)
		if seen[path] || times[kind] >= perPattern {
			continue
		}
		seen[path] = true
		times[kind]++
		b.do(navigate(b.base + path))
		for _, to := range b.look(path) {
			if !seen[to] && times[pattern(to)] < perPattern {
				next = append(next, to)
			}
		}
	}
	if len(times) < 8 {
		b.t.Errorf("only %d kinds of pages were found: %v", len(times), times)
	}
	b.t.Logf("%d pages of %d kinds, %s, %d wide", len(seen), len(times), theme, width)
}

// look judges the page that the browser shows, and returns where it leads to.
func (b *browser) look(path string) (links []string) {
	b.t.Helper()
	var kind, found, all string
	var moved float64
	b.loaded()
	get(b, "document.contentType", &kind)
	if kind != "text/html" {
		return nil
	}
	get(b, "document.querySelector('header nav, #password, main') ? 'ours' : ''", &all)
	if all == "" {
		return nil // a preview in a frame of its own
	}
	if err := evaluate(b, axe+"; ''", &found); err != nil {
		b.t.Fatal(err)
	}
	get(b, judge, &found)
	var bad []finding
	if err := json.Unmarshal([]byte(found), &bad); err != nil {
		b.t.Fatal(err)
	}
	for _, f := range bad {
		text, _ := json.MarshalIndent(f.Nodes, "", " ")
		b.t.Errorf("%s: %s (%s): %s\n%s", path, f.ID, f.Impact, f.Help, text)
	}
	if len(bad) > 0 {
		b.picture("axe" + strings.ReplaceAll(path, "/", "-"))
	}
	if get(b, shifts, &moved); moved > still {
		b.t.Errorf("%s: what is on the page moves by itself: %.3f", path, moved)
	}
	get(b, `JSON.stringify([...document.querySelectorAll("a[href]")].filter(a => a.origin == location.origin && !a.hasAttribute("download")).map(a => a.getAttribute("href")))`, &all)
	if err := json.Unmarshal([]byte(all), &links); err != nil {
		b.t.Fatal(err)
	}
	here := b.base + path
	for i, l := range links {
		u, err := url.Parse(here)
		if err != nil {
			b.t.Fatal(err)
		}
		if u, err = u.Parse(l); err == nil {
			u.Fragment = ""
			links[i] = u.RequestURI()
		}
	}
	return slices.DeleteFunc(links, func(l string) bool {
		return strings.HasPrefix(l, "/assets/") || strings.Contains(l, "/raw") || strings.Contains(l, "/part/") || strings.Contains(l, ".csv") || strings.Contains(l, ".json")
	})
}

func evaluate[T any](b *browser, script string, to *T) (err error) {
	*to, err = within(b, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	return err
}

func get[T any](b *browser, script string, to *T) {
	b.t.Helper()
	if err := evaluate(b, script, to); err != nil {
		b.t.Fatal(fmt.Errorf("%.60s: %w", script, err))
	}
}
