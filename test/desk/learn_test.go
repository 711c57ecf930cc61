package desk

import (
	"testing"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
)

// TestLearnButtons teaches with held mail by buttons, sees what was learned, takes it back, and
// releases a message, which teaches that it is good.
func TestLearnButtons(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	for _, subject := range []string{"First please hold", "Second please hold"} {
		n.send("bob@example.com", subject, "buy cheap pills today, says "+subject)
	}
	b := n.browse("en")
	b.signIn("olga")
	b.do(navigate(b.base+"/held"), visible("tr[data-row]"), click("a[data-open]"), visible("button[value=learn-spam]"), click("button[value=learn-spam]"), visible("p.said[role=status]"))
	b.until("the list says so", `document.querySelectorAll("td .tag[title='What was learned'].warn").length == 1`)
	b.picture("learned-list")
	b.do(click("tr[data-row]:has(.tag[title='What was learned']) a[data-open]"), visible("#learned button[value=learn-undo]"))
	b.until("who said it stands there", `document.querySelector("#learned").textContent.includes("Learned as spam by olga")`)
	b.picture("learned-message")
	b.do(click("#learned button[value=learn-undo]"))
	b.until("it is taken back", `document.querySelector("#learned") && document.querySelector("#learned").textContent.includes("Taken back by olga")`)
	// All of them as good, without a script: the page that asks back is a form.
	b.do(navigate(b.base+"/held"), visible("tr[data-row]"), click("input[data-all]"), click("button[value=learn-ham]"), click("form[action='/held/act'] button.main"), visible("p.said[role=status]"))
	b.until("both are good", `document.querySelectorAll("td .tag[title='What was learned'].good").length == 2`)
	b.do(navigate(b.base+"/held/learned"), visible("dl.facts"))
	b.picture("learned-figures")
	for _, lang := range []string{"zh-CN", "ru", "el"} {
		p := n.browse(lang)
		p.do(chromedp.EmulateViewport(390, 844))
		p.signIn("olga")
		p.do(navigate(p.base+"/held/learned"), visible("dl.facts"))
		if wide := p.ask("document.documentElement.scrollWidth > window.innerWidth"); wide != "false" {
			t.Errorf("%s: the figures are wider than a phone", lang)
		}
	}
}
