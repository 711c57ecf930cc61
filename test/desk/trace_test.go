package desk

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"postern/internal/people"

	"postern/cmd/postern/access"
)

// TestTrace has messages found by whatever somebody remembers of them, and read from their
// first line to the reply of the server behind, in every language; a domain admin finds mail
// of the own domain alone.
func TestTrace(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	n.user("dora", people.DomainAdmin, func(u *access.NewUser) { u.Domains = []string{"elsewhere.example"} })
	n.user("anna", people.DomainAdmin, func(u *access.NewUser) { u.Domains = []string{"example.com"} })
	n.send("ada@example.com", "Quarterly figures <script>alert(1)</script>", "Content-Type: text/plain\r\n\r\nHello.")
	n.send("bob@example.com", "Offer please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	for i := range 4 {
		n.send("carl@example.com", fmt.Sprintf("Letter %d", i), "Content-Type: text/plain\r\n\r\nA letter.")
	}
	n.backend.WaitTransactions(t, 5)
	b := n.browse("en")
	b.signIn("olga")
	b.finds("/trace", "tr[data-row]:nth-child(6)") // rows are written in batches
	search := func(text string, rows int) {
		t.Helper()
		b.do(navigate(b.base+"/trace"), visible("#q"), keys("#q", text+"\n"))
		b.until(fmt.Sprintf("%q finds %d", text, rows), fmt.Sprintf(`new URL(location.href).searchParams.has("q") && document.querySelectorAll("tr[data-row]").length === %d`, rows))
	}
	search("ada@example.com", 1)
	search("quarterly", 1)
	search("<SCRIPT>", 1)
	search("@friend.example", 6)
	search("127.0.0.1", 6)
	search("carl@example.com letter", 4)
	search("state:held", 1)
	search("nobody@example.com", 0)
	b.do(navigate(b.base+"/trace?state=delivered&since=24h"), visible("tr[data-row]"))
	b.until("the filters keep five", `document.querySelectorAll("tr[data-row]").length === 5`)
	b.picture("list")
	b.do(navigate(b.base+"/trace?q=since:yesterday"), visible("#wrong"))
	b.picture("problem")
	b.do(navigate(b.base+"/trace?q=please"), visible("a[data-open]"), chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), visible("ol.way"))
	held := b.ask("location.pathname")
	if text := b.ask(`document.querySelector("main").textContent`); !strings.Contains(text, "The subject asks to be held") || !strings.Contains(text, "Waits in held mail") {
		t.Error(text)
	}
	// What the refusal or the hold said leads straight to the message.
	id := strings.TrimPrefix(held, "/trace/")
	b.do(navigate(b.base+"/trace?q="+strings.ToUpper(id)), visible("ol.way"))
	b.do(click(`ol.way a[href^="/held/"]`), visible(".tabs"))
	for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
		b = n.browse(lang)
		b.signIn("olga")
		b.do(navigate(b.base+"/trace?q=ada@example.com"), visible("a[data-open]"))
		b.picture(lang + "-list")
		b.do(click("a[data-open]"), visible("ol.way"))
		b.picture(lang + "-message")
		b.do(navigate(b.base+held), visible("ol.way"), chromedp.EmulateViewport(390, 844), visible("ol.way"))
		b.picture(lang + "-phone")
	}
	b = n.browse("en")
	b.signIn("dora")
	b.do(navigate(b.base+"/trace"), visible("#q"))
	if got := b.ask(`document.querySelectorAll("tr[data-row]").length`); got != "0" {
		t.Errorf("somebody of another domain sees %s messages", got)
	}
	b.do(navigate(b.base+held), visible("h1"))
	if got := b.ask(`document.querySelectorAll("ol.way").length`); got != "0" {
		t.Error("somebody of another domain reads a message")
	}
	b = n.browse("en")
	b.signIn("anna")
	b.do(navigate(b.base+"/trace"), visible("tr[data-row]"))
	if got := b.ask(`document.querySelectorAll("tr[data-row]").length`); got != "6" {
		t.Errorf("the admin of the domain sees %s messages", got)
	}
}
