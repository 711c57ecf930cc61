package desk

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/internal/people"
	"postern/quarantine"
	"postern/test/world"
)

// tour goes through the rooms of the desk in one language, with mail and cases of its own.
type tour struct {
	*office
	*browser
	lea    *browser // somebody else, who approves; and people without a desk
	says   *tongues
	site   string // of the public pages
	tag    string // of the language, in addresses
	number int
	caseID string
	hold   quarantine.Hold
}

// TestEveryRoomInEveryLanguage uses the desk by roles, names of fields and routes alone, so that
// one script serves all languages, and reads each page: no key, no sentence that is still the
// English one, nothing wider than a phone, nothing that moves by itself.
func TestEveryRoomInEveryLanguage(t *testing.T) {
	t.Parallel()
	port := world.FreePort(t)
	o := newOffice(t, fmt.Sprintf("public: {addr: \"127.0.0.1:%d\", url: \"http://127.0.0.1:%d\"}\n", port, port))
	o.WriteFile("rules.d/own.yaml", refusing)
	o.call("reload", nil, nil)
	for _, name := range []string{"olga", "lea"} {
		o.user(name, people.Postmaster)
	}
	o.call("feed.add", map[string]string{"name": "isp", "alias": "fbl-isp@example.com", "domain": "isp.example"}, nil)
	olga, lea := o.browse("en"), o.browse("en")
	olga.signIn("olga")
	lea.signIn("lea")
	says := newTongues(t)
	for i, lang := range languages {
		began := time.Now()
		tag, _, _ := strings.Cut(lang, "-")
		w := &tour{office: o, browser: olga, lea: lea, says: says, site: fmt.Sprintf("http://127.0.0.1:%d", port), tag: tag, number: i}
		olga.goTo("/me", "#language")
		olga.speak(lang)
		lea.goTo("/me", "#language")
		lea.speak(lang)
		for _, room := range []func(){w.heldMail, w.traces, w.oneCase, w.guarantee, w.accounts, w.rules, w.outside, w.recipient} {
			room()
		}
		t.Logf("%s: %v", lang, time.Since(began).Round(time.Second))
	}
}

// at reads the page that olga sees.
func (w *tour) at(name string) { w.t.Helper(); w.says.reads(w.browser, name) }

// see opens a page and reads it.
func (w *tour) see(path, name string) {
	w.t.Helper()
	w.goTo(path, "main h1")
	w.at(name)
}

// address is somebody of the language's own.
func (w *tour) address(name string) string { return name + "-" + w.tag + "@example.com" }

// holds are the messages that wait for an address.
func (w *tour) holds(to string) []quarantine.Hold {
	w.t.Helper()
	var p quarantine.Page
	w.call("quarantine.list", map[string]string{"text": "state:held to:" + to}, &p)
	return p.Holds
}

// heldMail filters, keeps a view, releases two with a preview, blocks, undoes, makes a case.
func (w *tour) heldMail() {
	ada := w.address("ada")
	for i := range 4 {
		w.send(ada, fmt.Sprintf("Letter %d please hold", i), "Content-Type: text/html\r\n\r\n<p>See <a href=\"https://evil.example/\">www.bank.example</a></p>")
	}
	w.hold = w.holds(ada)[0]
	w.see("/held?q="+url.QueryEscape("to:"+ada), "held")
	w.unfold()
	w.fill("#f-words", "letter", "#f-to", ada)
	w.press("form.filter button.main")
	w.until("four are found", `document.querySelectorAll("tr[data-row]").length === 4`)
	w.unfold()
	w.fill("#view-name", "Mine "+w.tag)
	w.press(`form[action="/held/views"] button:not([name])`)
	w.until("the view is there", `[...document.querySelectorAll("nav.views a.own")].some(e => e.textContent === "Mine `+w.tag+`")`)
	w.at("held-view")
	w.goTo("/held?q="+url.QueryEscape("to:"+ada), "tr[data-row]")
	w.do(chromedp.Click("tr[data-row]:nth-child(3) input"), chromedp.Click("tr[data-row]:nth-child(4) input"))
	w.press(`button[name=act][value=release]`)
	w.at("held-preview")
	w.fill("#note", "known")
	w.press("main form button.main")
	w.at("held-released")
	w.until("it is said", `document.querySelector(".said[role=status]") || document.querySelector("main h1")`)
	world.Await(w.t, "two are released", time.Minute, func() bool { return len(w.holds(ada)) == 2 })
	for _, tab := range []string{"text", "html", "links", "headers", "parts"} {
		w.see("/held/"+w.hold.ID+"?tab="+tab, "message-"+tab)
	}
	w.goTo("/held/"+w.hold.ID+"?tab=links", "main h1")
	w.leaves(chromedp.Click(`a[href$="/link/0"], a[href$="/link/1"]`))
	w.at("message-link")
	w.goTo("/held/"+w.hold.ID, "main h1")
	w.press(`button[name=act][value=block]`)
	w.at("held-block")
	w.fill("#note", "spam")
	w.press("main form button.bad")
	w.until("the entry may be undone", `document.querySelector("button[data-key=z]")`)
	w.at("held-blocked")
	w.press("button[data-key=z]")
	w.at("held-undone")
	w.goTo("/held/"+w.holds(ada)[0].ID, "main h1")
	w.press(`button[name=act][value=case]`)
	w.at("held-case")
	w.fill("#note", "looks bad")
	w.press("main form button.main")
	w.at("held-cases")
}

// traces finds what was held and reads its way.
func (w *tour) traces() {
	w.goTo("/trace", "#q")
	w.fill("#q", w.address("ada"))
	w.press(`form[role=search] button`)
	w.until("all four are found", `document.querySelectorAll("tr[data-row]").length === 4`)
	w.at("trace")
	w.leaves(chromedp.Click("tr[data-row]:nth-child(1) a[data-open]"))
	w.until("the way", `document.querySelector("ol.way")`)
	w.at("trace-message")
	w.see("/trace?q=since:yesterday", "trace-problem")
	w.see("/trace?q=nobody@example.com", "trace-none")
}

// oneCase takes a case from the queue to a suspension and a letter.
func (w *tour) oneCase() {
	anna := w.address("anna")
	copyOf := w.sellsAs(anna, "rcpt@isp.example", "other@isp.example")
	w.caseID = w.opens(func() { w.forwards("rcpt@isp.example", "I did not ask for this", copyOf) })
	at := "/cases/" + w.caseID
	w.see("/cases?view=unowned", "cases")
	w.do(chromedp.Click(`tr[data-row] input[value="` + w.caseID + `"]`))
	w.press(`button[name=act][value=take]`)
	w.at("cases-taken")
	for _, tab := range []string{"evidence", "similar", "letters", "log", "timeline"} {
		w.see(at+"?tab="+tab, "case-"+tab)
	}
	w.unfold()
	w.do(chromedp.Click("input[name=category][value=S1]"))
	w.press("button[name=act][value=category]")
	w.fill("#s-to", "VERIFIED", "#s-why", "the copy is ours")
	w.press("button[name=act][value=state]")
	w.at("case-verified")
	w.fill("#comment", "called the customer")
	w.press("button[name=act][value=comment]")
	for _, level := range []string{"M0", "M1", "M2", "M4", "M5", "M6", "M7", "M3"} {
		w.see(at+"/measure?level="+level, "case-measure-"+level)
	}
	w.fill("#reason", "spam to customers")
	w.press("form.card button.bad")
	if c := w.shown(w.caseID).Case; c.State != "SUSPENDED" {
		w.t.Fatalf("%s: %+v", w.tag, c)
	}
	w.at("case-suspended")
	w.letter(at)
}

// letter writes the result from a template.
func (w *tour) letter(at string) {
	w.goTo(at+"?tab=letters", "#l-kind")
	w.fill("#l-kind", "result")
	w.press("button[data-key=r]")
	w.at("case-letter")
	w.press("button[value=preview]")
	w.until("it is shown as it goes out", `document.querySelector("button[value=send]")`)
	w.at("case-letter-preview")
	w.press("button[value=send]")
	w.at("case-letter-sent")
	if c := w.shown(w.caseID).Case; c.ResultAt.IsZero() {
		w.t.Errorf("%s: the case has no result: %+v", w.tag, c)
	}
	w.see(at, "case-answered")
}

// guarantee brings the papers, and another person takes them.
func (w *tour) guarantee() {
	paper := filepath.Join(w.t.TempDir(), "paper.pdf")
	if err := os.WriteFile(paper, []byte("%PDF-1.4 "+w.tag), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.see("/guarantees", "guarantees")
	w.goTo("/guarantees?case="+w.caseID, "#company")
	w.do(chromedp.Click("input[name=scope][value=mailbox]"))
	w.fill("#company", "Shop Ltd", "#covers", w.address("anna"), "#signer", "Wang Wei", "#contact", "wang@partner.example", "#phone", "+86 10 1234567", "#date", time.Now().UTC().Format(time.DateOnly))
	w.press(`form[action="/guarantees"] button.main`)
	at := w.ask("location.pathname")
	w.at("guarantee-draft")
	for i := range 3 {
		file := fmt.Sprintf("#file-%d", i)
		w.do(chromedp.SetUploadFiles(file, []string{paper}))
		w.press(fmt.Sprintf(`form:has(%s) button`, file))
	}
	w.at("guarantee-complete")
	w.press(`form[action$="/submit"] button`)
	w.at("guarantee-waiting")
	w.lea.goTo(at, "#reason")
	w.says.reads(w.lea, "guarantee-decide")
	w.lea.fill("#reason", "the papers are in order")
	w.lea.press("button[value=approve]")
	w.says.reads(w.lea, "guarantee-approved")
	if c := w.shown(w.caseID).Case; c.State == "SUSPENDED" {
		w.t.Errorf("%s: the guarantee did nothing: %+v", w.tag, c)
	}
	w.see("/cases/"+w.caseID, "case-trial")
}

// accounts looks at all accounts and one, holds its mail, lifts that, and asks for what two decide.
func (w *tour) accounts() {
	who := url.QueryEscape(w.address("anna"))
	w.see("/accounts", "accounts")
	w.see("/account?name="+who, "account")
	for _, level := range []string{"M1", "M2"} {
		w.see("/measures/new?account="+who+"&level="+level, "measure-new-"+level)
	}
	w.fill("#reason", "looks odd")
	w.press("form.card button")
	w.at("account-held")
	w.leaves(chromedp.Click(`a[data-key=u]`))
	w.at("measure")
	w.fill("#undo #reason", "a mistake")
	w.press("#undo button")
	w.at("account-lifted")
	w.see("/measures/new?account="+who+"&level=M5", "measure-two")
	w.fill("#reason", "login sold")
	w.press("form.card button")
	w.at("measure-asked")
	w.see("/approvals", "approvals")
	w.lea.goTo("/approvals", "tr[data-row]")
	w.lea.leaves(chromedp.Click("tr[data-row] a[data-open]"))
	w.says.reads(w.lea, "approval")
	w.lea.press("button[value=refuse]")
	w.says.reads(w.lea, "approval-refused")
	w.see("/automation", "automation")
	w.see("/me", "me")
}

// rules breaks, mends, tries, saves and takes back a file of rules.
func (w *tour) rules() {
	const file = "/rules/file?id=rules/own.yaml"
	for _, p := range []string{"", "/files", "/changes", "/rule/HOLD_THIS", "/lists?why=192.0.2.1", "/calendar?name=china&year=2026", "/audit"} {
		w.see("/rules"+p, "rules"+strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-").Replace(p))
	}
	w.goTo(file, "#text")
	w.types(strings.Replace(refusing, "action: quarantine", "acton: tag", 1))
	w.sees("#checked", "own.yaml:6:5")
	w.at("rules-wrong")
	w.press("#editor button.main")
	w.until("it is refused", `document.querySelector("[role=alert]")`)
	w.at("rules-refused")
	w.types(strings.Replace(refusing, "action: quarantine", "score: 1", 1))
	w.until("nothing is wrong", `document.querySelector("#checked .good, #checked .said:not(.bad)") && !document.querySelector("#checked .problems")`)
	w.fill("#hold", w.hold.ID)
	w.press("button[formaction='/rules/try']")
	w.until("it was tried", `document.querySelector("#tried")`)
	w.at("rules-tried")
	w.press("#editor button.main")
	w.at("rules-difference")
	w.fill("#note", "it hit invoices")
	w.press("button[name=seen]")
	w.at("rules-saved")
	own := filepath.Join(w.Dir, "rules.d", "own.yaml")
	if got, _ := os.ReadFile(own); !strings.Contains(string(got), "score: 1") {
		w.t.Errorf("%s: the file became %s", w.tag, got)
	}
	w.goTo("/rules/changes?file=rules/own.yaml", "tr[data-row]")
	w.leaves(chromedp.Click("tr[data-row]:nth-child(2) a[data-open], tr[data-row]:nth-child(1) a[data-open]"))
	if w.ask(`!!document.querySelector("form[action='/rules/rollback']")`) != "true" {
		w.goTo("/rules/changes?file=rules/own.yaml", "tr[data-row]")
		w.leaves(chromedp.Click("tr[data-row]:nth-child(2) a[data-open]"))
	}
	w.at("rules-change")
	w.press("form[action='/rules/rollback'] button.main")
	w.at("rules-back")
	if got, _ := os.ReadFile(own); string(got) != refusing {
		w.t.Errorf("%s: taken back, the file is %s", w.tag, got)
	}
}
