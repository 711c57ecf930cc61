package desk

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"postern/test/world"
)

// browser is a browser of somebody's own.
type browser struct {
	context.Context
	t       *testing.T
	base    string
	name    string
	n       int
	leaving atomic.Bool // for another page, which is not there yet
}

// browse starts a browser for a reader of a language.
func (n *node) browse(language string) *browser {
	n.t.Helper()
	return open(n.t, "http://"+n.Addrs["desk"], language)
}

// counts adds up how much of what was there has moved by itself, as browsers count it.
const counts = `window.moved = 0; new PerformanceObserver(l => l.getEntries().forEach(e => { if (!e.hadRecentInput) window.moved += e.value })).observe({type: "layout-shift", buffered: true})`

// open starts a browser on a desk. It has as long as the test: each act has an end of its own.
func open(t *testing.T, base, language string) *browser {
	t.Helper()
	bin := world.Need(t, "chromium", "/usr/bin/chromium")
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("lang", language),
		chromedp.Flag("accept-lang", language), chromedp.Flag("disable-quic", true), chromedp.WindowSize(1280, 800))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(end)
	if _, err := chromedp.Run(ctx, chromedp.Title()); err != nil {
		t.Fatal(err)
	}
	b := &browser{Context: ctx, t: t, base: base, name: strings.ReplaceAll(t.Name(), "/", "-")}
	top := cdp.FrameID(chromedp.FromContext(ctx).Target.TargetID) // the frame of a tab has its name
	if err := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *page.EventFrameRequestedNavigation:
			if e.FrameID == top {
				b.leaving.Store(true)
			}
		case *page.EventFrameStartedLoading:
			if e.FrameID == top {
				b.leaving.Store(true)
			}
		case *page.EventFrameStoppedLoading:
			if e.FrameID == top {
				b.leaving.Store(false)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: counts})
		return err
	}))
	return b
}

// within does something within the time that an act has.
func within[T any](b *browser, a chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(b, patience)
	defer cancel()
	return chromedp.Run(ctx, a)
}

// loaded waits until the page is whole and on its way nowhere else, and still so a moment later:
// what was just done has had its turn by then. A page that never gets there is left to what is
// wanted of it.
func (b *browser) loaded() {
	there := 0
	for end := time.Now().Add(30 * time.Second); there < 2 && time.Now().Before(end) && b.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if yes, err := within(b, chromedp.Evaluate[bool](whole)); err == nil && yes && !b.leaving.Load() {
			there++
		} else {
			there = 0
		}
	}
	if there < 2 {
		b.leaving.Store(false)
	}
}

// do acts on the page: each act waits until what the last one brought about is there.
func (b *browser) do(acts ...act) {
	b.t.Helper()
	for i, a := range acts {
		b.loaded()
		if _, err := within(b, a); err != nil {
			b.picture("failed")
			b.t.Fatalf("act %d of %d: %v", i+1, len(acts), err)
		}
	}
}

// ask is what a script says in the page.
func (b *browser) ask(script string) string {
	b.t.Helper()
	b.loaded()
	said := chromedp.Evaluate[string]("String(" + script + ")")
	out, err := within(b, said)
	if err != nil && b.leaving.Load() { // it went while it was asked
		b.loaded()
		out, err = within(b, said)
	}
	if err != nil {
		b.picture("failed")
		b.t.Fatalf("%.200s: %v", script, err)
	}
	return out
}

// until waits for a condition of a whole page, also over its being loaded anew.
func (b *browser) until(what, condition string) {
	b.t.Helper()
	b.loaded()
	for end := time.Now().Add(patience); time.Now().Before(end) && b.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if ok, err := within(b, chromedp.Evaluate[bool](`document.readyState === "complete" && !!(`+condition+`)`)); err == nil && ok {
			return
		}
	}
	b.picture("failed")
	b.t.Fatalf("it never came to this: %s", what)
}

// text is what an element says.
func (b *browser) text(what string) string {
	b.t.Helper()
	b.do(visible(what))
	return b.ask(`document.querySelector(` + quoted(what) + `).innerText`)
}

// sees waits until a part of the page has a text.
func (b *browser) sees(what, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%s says %q", what, text), `[...document.querySelectorAll(`+quoted(what)+`)].slice(0, 1).some(e => e.innerText.includes(`+quoted(text)+`))`)
}

// finds opens a page again and again until it has something: what stands on it comes about in
// its own time.
func (b *browser) finds(path, what string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		b.do(navigate(b.base + path))
		if b.ask(`!!`+seen(what)) == "true" {
			return
		}
		if time.Now().After(end) {
			b.picture("failed")
			b.t.Fatalf("%s never has %s", path, what)
		}
	}
}

// picture keeps what the browser shows, in the folder SCREENS or among the artifacts of the test;
// where nobody keeps either, and nothing failed, none is taken.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("SCREENS")
	if kept := flag.Lookup("test.artifacts"); dir == "" {
		if name != "failed" && (kept == nil || kept.Value.String() != "true") {
			return
		}
		dir = b.t.ArtifactDir()
	}
	b.loaded()
	png, err := within(b, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Error(err)
		return
	}
	b.n++
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%02d-%s.png", b.name, b.n, name)), png, 0o600); err != nil {
		b.t.Error(err)
	}
}

func (b *browser) signIn(name string) {
	b.t.Helper()
	b.do(navigate(b.base+"/"), visible("#password"), keys("#name", name), keys("#password", password+"\n"), visible("header nav"))
}

// again gives the password again where the desk asks for it.
func (b *browser) again() {
	b.t.Helper()
	if b.ask(`!!document.querySelector("input[name=confirm-password]")`) == "true" {
		b.do(keys("input[name=confirm-password]", password+"\n"))
	}
}
