package desk

import (
	"testing"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
)

// TestTriage deals with held mail by keys alone, and releases a message on a phone.
func TestTriage(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	for _, subject := range []string{"First please hold", "Second please hold", "Third please hold"} {
		n.send("bob@example.com", subject, "Content-Type: text/html\r\n\r\n<p>See <a href=\"https://evil.example/\">www.bank.example</a>\u202e")
	}
	b := n.browse("en")
	b.signIn("olga")
	b.do(navigate(b.base+"/held"), visible("tr[data-row]"), chromedp.KeyEvent("?"), visible("#keys"))
	b.picture("keys")
	b.do(chromedp.KeyEvent("\x1b"))
	b.until("the help is closed", `!document.querySelector("dialog[open]")`)
	// The newest is blocked for a week, and that is undone.
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("b"), visible("input[name=what]"))
	b.picture("block")
	b.do(keys("#note", "spam\n"), visible("button[data-key=z]"))
	b.picture("blocked")
	b.do(chromedp.KeyEvent("z"), visible("p.said[role=status]"))
	// The second is opened, looked at and released; the third is searched for and deleted.
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), visible(".tabs"))
	b.picture("message")
	b.do(chromedp.KeyEvent("r"), visible("p.said[role=status]"))
	n.backend.WaitTransactions(t, 1)
	b.do(chromedp.KeyEvent("/"), keys("#q", "first\n"))
	b.until("one is found", `document.querySelectorAll("tr[data-row]").length == 1`)
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("x"), chromedp.KeyEvent("d"))
	b.until("it is gone", `document.querySelectorAll("tr[data-row]").length == 0`)
	// On a phone: what is left.
	for _, lang := range []string{"zh-CN", "el", "ru"} {
		p := n.browse(lang)
		p.do(chromedp.EmulateViewport(390, 844))
		p.signIn("olga")
		p.do(navigate(p.base+"/held?q=state:held"), visible("tr[data-row]"))
		p.picture(lang + "-phone-list")
		p.do(click("a[data-open]"), visible(".tabs"))
		if wide := p.ask("document.documentElement.scrollWidth > window.innerWidth"); wide != "false" {
			t.Errorf("%s: the message is wider than a phone", lang)
		}
		p.picture(lang + "-phone-message")
		if lang == "ru" {
			p.do(click("button[value=release]"), visible("p.said[role=status]"))
			p.picture(lang + "-phone-released")
		}
	}
	n.backend.WaitTransactions(t, 2)
}
