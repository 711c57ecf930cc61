package desk

import (
	"net/smtp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
)

// withInbox is a desk on a gateway that keeps the mail of a domain for tests.
const withInbox = "desk: {addr: \"127.0.0.1:0\"}\ntest_inbox: {domains: [ci.example]}\n"

// TestTestInbox has mail sent to a test domain by real SMTP, found by its address and read on the
// pages in each language, light and dark, on a desk and on a phone, counted, and deleted.
func TestTestInbox(t *testing.T) {
	t.Parallel()
	n := start(t, withInbox)
	n.WriteFile("rules.d/own.yaml", refusing)
	if err := n.control.Call(t.Context(), "reload", nil, nil); err != nil {
		t.Fatal(err)
	}
	n.user("olga", people.Postmaster)
	n.user("audrey", people.Auditor)
	n.send("run-1@ci.example", "Your code", "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThe code is 4711.\r\n--b\r\nContent-Type: text/html\r\n\r\n<p onclick=alert(1)>The code is <b>4711</b> <a href=\"http://shop.example/x\">here</a><script>alert(1)</script>\r\n--b--")
	n.send("run-2@ci.example", "Another please hold", "Content-Type: text/plain\r\n\r\nA letter.")
	if err := smtp.SendMail(n.Addrs["mx"], nil, "frank@friend.example", []string{"run-2@ci.example"}, []byte("From: <frank@friend.example>\r\nTo: <run-2@ci.example>\r\nSubject: please refuse\r\n\r\nHello.\r\n")); err == nil {
		t.Error("what is refused elsewhere was taken for a test")
	}
	for _, c := range []struct {
		lang, theme string
		width       int64
		held        string
	}{{"en", "light", 1280, "would be held"}, {"zh-CN", "dark", 1280, "本应隔离"}, {"ru", "dark", 390, "было бы задержано"}, {"el", "light", 390, "θα κρατούνταν"}} {
		b := n.browse(c.lang)
		b.colours(c.theme)
		b.do(chromedp.EmulateViewport(c.width, 844))
		b.signIn("olga")
		b.do(chromedp.Navigate(b.base+"/inbox"), chromedp.WaitVisible("tr[data-row]"))
		b.look("/inbox")
		b.picture(c.lang + "-list")
		if text := b.ask(`document.querySelector("main").textContent`); !strings.Contains(text, c.held) || !strings.Contains(text, "run-1@ci.example") {
			t.Errorf("%s: %s", c.lang, text)
		}
		if got := b.ask(`[...document.querySelectorAll("#counters ~ .table tfoot td")].map(td => td.textContent).join(" ")`); got != "2 1 1 0" {
			t.Errorf("%s: kept, held, blocked, deferred: %q", c.lang, got)
		}
		b.do(chromedp.SetValue("#to", "run-1@ci.example"), chromedp.Click("form[role=search] button"), chromedp.WaitVisible("form[role=search] a"))
		if got := b.ask(`document.querySelectorAll("tr[data-row]").length + ""`); got != "1" {
			t.Errorf("%s: %s messages for the address", c.lang, got)
		}
		b.do(chromedp.Click("a[data-open]"), chromedp.WaitVisible(".tabs"))
		b.look("/inbox/m")
		b.picture(c.lang + "-message")
		if text := b.ask(`document.querySelector("main .letter").textContent`); !strings.Contains(text, "The code is 4711.") {
			t.Errorf("%s: %s", c.lang, text)
		}
		b.do(chromedp.Click(".tabs a:nth-child(2)"), chromedp.WaitVisible("iframe"))
		b.picture(c.lang + "-html")
		b.do(chromedp.Click(`.tabs a[href$="headers"]`), chromedp.WaitVisible("th[scope=row]"))
		if text := b.ask(`document.querySelector("main").textContent`); !strings.Contains(text, "X-Postern-Verdict") {
			t.Errorf("%s: the header lacks ours: %s", c.lang, text)
		}
	}
	reader := n.browse("en")
	reader.signIn("audrey")
	reader.do(chromedp.Navigate(reader.base+"/inbox"), chromedp.WaitVisible("tr[data-row]"))
	if reader.ask(`document.querySelectorAll("main button.bad").length + ""`) != "0" {
		t.Error("who may only look is offered to delete")
	}
	b := n.browse("en")
	b.signIn("olga")
	b.do(chromedp.Navigate(b.base+"/inbox?to=run-1@ci.example"), chromedp.Click("a[data-open]"), chromedp.WaitVisible(".tabs"))
	b.ask(`(window.confirm = () => true) && ""`)
	b.do(chromedp.Click("form.acts button.bad"), chromedp.WaitVisible(".said[role=status]"))
	b.picture("deleted")
	if text := b.ask(`document.querySelector("main").textContent`); strings.Contains(text, "Your code") || !strings.Contains(text, "Another please hold") {
		t.Error(text)
	}
	if out := n.run("inbox", "list"); strings.Contains(out, "Your code") || !strings.Contains(out, "Another please hold") {
		t.Errorf("the command line sees another inbox: %s", out)
	}
}
