package desk

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"postern/abuse/external/published"
	"postern/cmd/postern/sourcecalls"
	"postern/test/world"
)

// outside works on a source elsewhere, a list that needs a person, an opt-out and a loop.
func (w *tour) outside() {
	bob := w.address("bob")
	w.send(bob, "Offer please hold", "Content-Type: text/plain\r\n\r\nBuy now.")
	var s sourcecalls.Shown
	w.call("source.open", sourcecalls.Work{Hold: w.holds(bob)[0].ID, Reason: "it advertises"}, &s)
	at := "/outside/source/" + s.Case.ID
	w.see("/outside", "outside")
	w.see(at, "source")
	if w.ask(`!!document.querySelector("#evidence")`) == "true" {
		w.ask(`document.querySelector("#evidence").selectedIndex = 1`)
		w.fill("#reason-confirm", "it is spam")
		w.press("button[value=confirm]")
		w.at("source-confirmed")
	}
	w.see(at+"/block", "source-block-self")
	w.see(fmt.Sprintf("%s/block?scope=ip&value=198.51.100.%d", at, w.number+7), "source-block")
	w.fill("#why", "spam")
	w.press("form[method=post].card button.bad")
	w.until("it is blocked", `document.querySelector("#lift")`)
	w.at("source-blocked")
	w.see("/outside/blocks", "blocks")
	w.goTo(at, "#reason-lift")
	w.fill("#reason-lift", "they took it down")
	w.press("#lift button")
	w.at("source-lifted")
	w.edition()
	w.see("/outside/listings", "listings")
	w.see("/notices", "notices")
	w.goTo("/suppressed", "#recipient")
	w.fill("#account", w.address("anna"), "#recipient", "wen@far.example", "form.card #reason", "wrote to us")
	w.press("form.card button")
	w.at("suppressed")
	w.see("/feeds", "feeds")
	w.goTo("/feeds/isp", "#trust")
	w.fill("#trust", map[bool]string{true: "unheeded", false: "observed"}[w.number%2 == 0], "#reason", "it reports newsletters")
	w.press(`button[value="trust"]`)
	w.at("feed")
}

// edition takes in a list that shrank.
func (w *tour) edition() {
	list := "list-" + w.tag
	var e published.Edition
	w.call("published.import", sourcecalls.Edition{List: list, File: []byte("198.51.100.0/24\n203.0.113.7\n203.0.113.8\n203.0.113.9\n"), Published: time.Now().Add(-2 * time.Hour)}, &e)
	w.call("published.apply", sourcecalls.Edition{ID: e.ID, Reason: "agreed"}, &e)
	w.call("published.import", sourcecalls.Edition{List: list, File: []byte("203.0.113.7\n127.0.0.1\n"), Published: time.Now().Add(-time.Hour)}, &e)
	w.see("/outside/published", "published")
	w.goTo("/outside/published/"+e.ID, "#trial")
	w.at("edition")
	w.fill("#reason", "looked at")
	w.press("button[value=apply]")
	w.until("it is decided", `!document.querySelector("#reason")`)
	w.at("edition-taken")
}

// recipient follows the link of a digest, acts, signs in by letter, and reads why mail of theirs
// was refused; the desk answers.
func (w *tour) recipient() {
	eva := w.address("eva")
	for i := range 3 {
		w.send(eva, fmt.Sprintf("To Eva %d please hold", i), "Content-Type: text/plain\r\n\r\nAn offer.")
	}
	w.run("digest", "send", eva)
	p := w.lea
	link := w.letterTo(eva, 0, "/d/")[0]
	p.do(chromedp.Navigate(link), chromedp.WaitVisible("main h1"))
	w.says.reads(p, "digest-link")
	before := len(w.backend.Transactions())
	p.leaves(chromedp.Click("main form button.main"))
	w.says.reads(p, "digest-done")
	w.backend.WaitTransactions(w.t, before+1)
	p.do(chromedp.Navigate(link), chromedp.WaitVisible("main h1"))
	w.says.reads(p, "digest-used")
	before = len(w.backend.Transactions())
	p.forgets("postern-mail") // it is somebody else's browser in the next language
	p.do(chromedp.Navigate(w.site+"/mail"), chromedp.WaitVisible("#address"))
	w.says.reads(p, "mail-ask")
	p.fill("#address", eva)
	p.leaves(chromedp.Click("main button.main"))
	w.says.reads(p, "mail-asked")
	p.do(chromedp.Navigate(w.letterTo(eva, before, "/mail/in/")[0]), chromedp.WaitVisible("main h1"))
	w.says.reads(p, "mail-enter")
	p.leaves(chromedp.Click("main form button.main"))
	w.says.reads(p, "mail")
	p.followable()
	p.leaves(chromedp.Click("tbody tr td a"))
	w.says.reads(p, "mail-message")
	p.leaves(chromedp.Click("button[name=act][value=delete]"))
	w.says.reads(p, "mail-deleted")
	p.do(chromedp.Navigate(w.site+"/mail/settings"), chromedp.WaitVisible("#zone"))
	w.says.reads(p, "mail-settings")
	p.leaves(chromedp.Click("main form button.main"))
	w.says.reads(p, "mail-settings-saved")
	p.do(chromedp.Navigate(w.site), chromedp.WaitVisible("main h1"))
	w.says.reads(p, "public")
	w.appeal(p)
}

// appeal has a refused sender ask, and the desk answer.
func (w *tour) appeal(p *browser) {
	reference, page := w.pageOf(w.refusedAt("frank@friend.example", w.address("ada"), "please refuse"))
	p.do(chromedp.Navigate(w.site+"/r"), chromedp.WaitVisible("#ref"))
	w.says.reads(p, "refused-find")
	p.do(chromedp.Navigate(page), chromedp.WaitVisible("#text"))
	w.says.reads(p, "refused")
	if w.number < 3 { // one host may ask three times in an hour; for the fourth the desk writes it down
		p.fill("#text", "I am the bakery of ada", "#email", "frank@friend.example")
		p.leaves(chromedp.Click("main button.main"))
		w.says.reads(p, "refused-asked")
	} else {
		w.call("appeal.take", map[string]string{"reference": reference, "text": "I am the bakery of ada"}, nil)
	}
	w.see("/appeals", "appeals")
	w.see("/appeals/"+reference, "appeal")
	w.press(`form[action$="/allow"] button`)
	w.at("appeal-allowed")
	w.fill("#answer", "Sorry", "#note", "known")
	w.press(`button[value="granted"]`)
	w.at("appeal-granted")
	p.do(chromedp.Navigate(page), chromedp.WaitVisible(".said"))
	w.says.reads(p, "refused-answered")
}

// forgets drops a cookie.
func (b *browser) forgets(name string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.DeleteCookies, network.DeleteCookiesParams{Name: name, Domain: "127.0.0.1"})
		return err
	}))
}

// followable fails the test where a link of the page leads nowhere.
func (b *browser) followable() {
	b.t.Helper()
	var dead string
	if get(b, `Promise.all([...document.querySelectorAll("a[href]")].map(a => fetch(a.href).then(r => r.ok ? "" : a.href + " " + r.status))).then(all => all.join(""))`, &dead); dead != "" {
		b.t.Errorf("links lead nowhere: %s", dead)
	}
}

// letterTo are the links with a path in the letters of ours that arrived for somebody.
func (w *tour) letterTo(to string, from int, path string) (links []string) {
	w.t.Helper()
	world.Await(w.t, "a letter to "+to+" with "+path, time.Minute, func() bool {
		for _, m := range w.backend.Transactions()[from:] {
			if raw := string(m.Body); strings.Contains(raw, "To: <"+to+">") && strings.Contains(raw, "multipart/alternative") {
				if l := readLetter(w.t, m.Body); len(l.links(path)) > 0 {
					links = l.links(path)
				}
			}
		}
		return len(links) > 0
	})
	return links
}
