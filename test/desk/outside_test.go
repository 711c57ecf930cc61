package desk

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/abuse/external/published"
	"postern/cmd/postern/sourcecalls"
	"postern/internal/people"
	"postern/test/world"
)

// abroad has a source elsewhere, a list that waits, an opt-out and a feedback loop.
func (n *node) abroad() string {
	n.t.Helper()
	n.send("ada@example.com", "Offer <script>alert(1)</script> please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	var holds struct {
		Holds []struct{ ID string } `json:"holds"`
	}
	world.Await(n.t, "it is held", patience, func() bool {
		n.call("quarantine.list", map[string]any{"limit": 1}, &holds)
		return len(holds.Holds) > 0
	})
	var s sourcecalls.Shown
	n.call("source.open", sourcecalls.Work{Hold: holds.Holds[0].ID, Reason: "it advertises"}, &s)
	for _, list := range []string{"servers", "relays"} { // what shrinks by more than a half needs a person
		var e published.Edition
		n.call("published.import", sourcecalls.Edition{List: list, File: []byte("198.51.100.0/24\n203.0.113.7\n203.0.113.8\n203.0.113.9\n"), Published: time.Now().Add(-2 * time.Hour)}, &e)
		n.call("published.apply", sourcecalls.Edition{ID: e.ID, Reason: "agreed"}, &e)
		n.call("published.import", sourcecalls.Edition{List: list, File: []byte("203.0.113.7\n127.0.0.1\n"), Published: time.Now().Add(-time.Hour)}, &e)
	}
	n.call("suppress.add", map[string]string{"account": "anna@example.com", "recipient": "vic@far.example", "reason": "she phoned"}, nil)
	n.call("feed.add", map[string]string{"name": "isp", "alias": "fbl-isp@example.com", "domain": "isp.example"}, &struct{}{})
	return s.Case.ID
}

// TestOutside works on a source elsewhere from the queue to the lifted block, takes a list in,
// and sees what went out.
func TestOutside(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	id := n.abroad()
	b := n.browse("en")
	b.signIn("olga")
	b.goTo("/outside", "tr[data-row]")
	b.picture("queue")
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), visible("#grounds"))
	b.says("Only our own filters speak against it")
	b.picture("source")
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#evidence").selectedIndex = 1`), keys("#reason-confirm", "it is spam\n"), visible(`[data-key="b"]`))
	b.says("Somebody of the desk looked at the evidence")
	b.do(chromedp.KeyEvent("b"), visible("#hits"))
	b.says("127.0.0.1", "is no address of the Internet") // who sends here is this very machine
	b.goTo("/outside/source/"+id+"/block?scope=ip&value=198.51.100.7", "#why")
	b.says("What it would have hit", "would have been refused")
	b.picture("weighed")
	b.do(keys("#why", "spam\n"))
	b.again()
	b.do(visible("#lift"))
	b.says("in force", "198.51.100.7")
	b.picture("blocked")
	b.goTo("/outside/blocks?from=case", "tr[data-row]")
	b.says("198.51.100.7", "1 block fits")
	b.picture("blocks")
	b.goTo("/outside/source/"+id+"#lift", "#reason-lift")
	b.do(keys("#reason-lift", "they took it down\n"))
	b.says("let in by a tenth on trial")
	b.picture("half-open")
	b.lists()
	b.optsOut()
	b.trusts()
}

// asks is whether the page wants the password once more.
const asks = `document.querySelector('input[name="confirm-password"]')`

// lists takes an edition that needs a person, and refuses another.
func (b *browser) lists() {
	b.t.Helper()
	for _, c := range []struct{ list, act, state, picture string }{{"servers", "apply", "in force", "taken"}, {"relays", "drop", "refused", "refused"}} {
		b.goTo("/outside/published", "tr[data-row]")
		b.picture("published")
		b.ask(`[...document.querySelectorAll("tr[data-row]")].find(r => r.textContent.includes("` + c.list + `") && r.querySelector("strong")).querySelector("a[data-open]").click()`)
		b.do(visible("#trial"), visible(`button[value="`+c.act+`"]`))
		b.says("it shrinks from 4 to 1 entries", "203.0.113.9", "127.0.0.1", c.list)
		b.picture("edition")
		b.do(keys("#reason", "looked at"), click(`button[value="`+c.act+`"]`))
		decided := `!document.querySelector("#reason") && document.querySelector(".row.head .tag")?.textContent.trim() == "` + c.state + `"`
		b.until("the edition is decided, or a password asked for", asks+" || "+decided)
		b.again()
		b.until("the edition is decided", decided)
		b.says("looked at", "olga")
		b.picture(c.picture)
	}
}

// optsOut keeps a recipient from the mail of an account, and lifts that.
func (b *browser) optsOut() {
	b.t.Helper()
	b.goTo("/suppressed", "#recipient")
	b.do(keys("#account", "bert@example.com"), keys("#recipient", "wen@far.example"), keys("form.card #reason", "wrote to us\n"))
	b.until("the opt-out is there", `document.querySelector("table")?.textContent.includes("wen@far.example")`)
	b.picture("opted-out")
	b.ask(`[...document.querySelectorAll("tbody tr")].filter(r => r.textContent.includes("wen@")).map(r => { r.querySelector("details").open = true; r.querySelector("input[name=reason]").id = "mine" })`)
	b.do(keys("#mine", "asked for it again\n"))
	b.until("the opt-out is lifted", `document.querySelector("table") && !document.querySelector("table").textContent.includes("wen@far.example")`)
}

// trusts changes how far a feedback loop is believed.
func (b *browser) trusts() {
	b.t.Helper()
	b.goTo("/feeds/isp", "#trust")
	b.ask(`document.querySelector("#trust").value = "unheeded"`)
	b.do(keys("#reason", "it reports newsletters"), click(`button[value="trust"]`))
	changed := `document.querySelector("#facts")?.parentElement.textContent.includes("it reports newsletters")`
	b.until("the trust is changed, or a password asked for", asks+" || "+changed)
	b.again()
	b.until("the trust is changed", changed)
	b.until("the new trust is chosen", `document.querySelector("#trust").value == "unheeded"`)
	b.picture("unheeded")
}

// TestOutsideOnAPhone sees that no page of the outside is wider than a phone, light and dark.
func TestOutsideOnAPhone(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Postmaster)
	id := n.abroad()
	var all sourcecalls.Editions
	n.call("published.list", map[string]any{"limit": 1}, &all)
	paths := []string{"/outside", "/outside/source/" + id, "/outside/source/" + id + "/block?scope=ip&value=198.51.100.7", "/outside/blocks", "/outside/published", "/outside/published/" + all.Editions[0].ID, "/outside/listings", "/notices", "/suppressed", "/feeds", "/feeds/isp"}
	for lang, theme := range map[string]string{"zh-CN": "dark", "el": "light"} {
		b := n.browse(lang)
		b.colours(theme)
		b.do(chromedp.EmulateViewport(390, 844))
		b.signIn("olga")
		for _, path := range paths {
			b.goTo(path, "main h1")
			if wide := b.ask(`document.documentElement.scrollWidth > 390 ? "" + document.documentElement.scrollWidth + [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > 391).map(e => " " + e.tagName + "." + e.className).slice(0, 6).join() : ""`); wide != "" {
				t.Errorf("%s %s is wider than a phone: %s", lang, path, wide)
			}
			name, _, _ := strings.Cut(path, "?")
			b.picture(lang + strings.ReplaceAll(name, "/", "-"))
		}
	}
}
