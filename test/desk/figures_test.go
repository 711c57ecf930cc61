package desk

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
)

// TestFigures has mail counted and drawn, the report of the month read, and its rows saved, in
// every language.
func TestFigures(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	for i := range 6 {
		n.send("carl@example.com", fmt.Sprintf("Letter %d", i), "Content-Type: text/plain\r\n\r\nA letter.")
	}
	n.send("ada@example.com", "Offer please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	counted := func() bool {
		var got struct{ Total struct{ F map[string]int64 } }
		if err := n.control.Call(t.Context(), "figures.trend", map[string]string{"range": "hour"}, &got); err != nil {
			t.Fatal(err)
		}
		return got.Total.F["in:delivered"] == 6
	}
	for end := time.Now().Add(3 * time.Minute); !counted(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatal("the minute was not written")
		}
	}
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		b := n.browse(lang)
		b.signIn("olga")
		b.do(navigate(b.base+"/figures?range=hour"), visible(".plot"))
		b.until("plots are drawn", `document.querySelectorAll(".plot canvas").length >= 3`)
		b.picture(lang + "-figures")
		b.do(click(".plot summary"), visible(".plot table"))
		b.do(chromedp.EmulateViewport(390, 844))
		b.until("plots fit", `document.querySelector(".plot canvas").getBoundingClientRect().width < 390 && document.documentElement.scrollWidth <= 390`)
		b.picture(lang + "-figures-phone")
		b.do(chromedp.EmulateViewport(1280, 800), navigate(b.base+"/figures/report"), visible("#month"))
		b.picture(lang + "-report")
		b.do(click(`button[value="outages"]`), visible(`a[href$="/file"]`))
		b.picture(lang + "-work")
	}
}
