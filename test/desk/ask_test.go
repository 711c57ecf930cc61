package desk

import (
	"time"

	"github.com/chromedp/chromedp"
)

// ask is what a script says in the page.
func (b *browser) ask(script string) string {
	b.t.Helper()
	out, err := chromedp.Run(b, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		b.picture("failed")
		b.t.Fatal(err)
	}
	return out
}

// until waits for a condition in the page, also over its being loaded anew.
func (b *browser) until(what, condition string) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ok, err := chromedp.Run(b, chromedp.Evaluate[bool]("!!("+condition+")"))
		if err == nil && ok {
			return
		}
		if b.Err() != nil {
			break
		}
	}
	b.picture("failed")
	b.t.Fatalf("it never came to this: %s", what)
}

// loaded waits until the page is whole. A page that never gets there is left to what is wanted
// of it.
func (b *browser) loaded() {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		whole, err := chromedp.Run(b, chromedp.Evaluate[bool](`document.readyState === "complete"`))
		if err == nil && whole || b.Err() != nil {
			return
		}
	}
}
