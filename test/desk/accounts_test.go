package desk

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/measure"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casecalls"
	"postern/internal/people"
)

// call makes a call over the socket, as whoever runs the machine.
func (n *node) call(name string, params, result any) {
	n.t.Helper()
	if result == nil {
		result = &struct{}{}
	}
	if err := n.control.Call(n.t.Context(), name, params, result); err != nil {
		n.t.Fatalf("%s: %v", name, err)
	}
}

// again gives the password again where the desk asks for it.
func (b *browser) again() {
	b.t.Helper()
	if asks, err := chromedp.Run(b, chromedp.Evaluate[bool](`!!document.querySelector('input[name="confirm-password"]')`)); err == nil && asks {
		b.do(chromedp.SendKeys(`input[name="confirm-password"]`, password+"\n"), chromedp.Sleep(200*time.Millisecond))
	}
}

func (b *browser) goTo(path, see string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitVisible(see))
}

// text is what the page says.
func (b *browser) page() string {
	b.t.Helper()
	out, err := chromedp.Run(b, chromedp.Evaluate[string]("document.querySelector('main')?.innerText ?? ''"))
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *browser) says(want ...string) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		text := b.page()
		missing := ""
		for _, w := range want {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			b.picture("lacks")
			b.t.Fatalf("the page lacks %q: %s", missing, text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// suspended makes a case whose account is suspended.
func (n *node) suspended(account string) {
	n.t.Helper()
	var c cases.Case
	n.call("case.open", cases.Opening{Kind: cases.Local, Account: account, Reason: "spam reported by telephone"}, &c)
	src := cases.Source{Serial: "01TEST", Time: time.Now().UTC().Add(-time.Hour)}
	n.call("case.source", casecalls.Work{ID: c.ID, Source: &src, Reason: "found in the log"}, nil)
	n.call("case.evidence", casecalls.Work{ID: c.ID, Name: "letter.eml", Bytes: []byte("Subject: spam\r\n\r\nBuy.\r\n")}, nil)
	n.call("case.category", casecalls.Work{ID: c.ID, Categories: []cases.Category{"S1"}}, nil)
	n.call("case.state", casecalls.Move{ID: c.ID, Request: cases.Request{To: flow.Verified, Reason: "looked at it"}}, nil)
	var m measure.Measure
	n.call("measure.apply", calls.MeasureAsk{Account: account, Level: "M3", Reason: "sends spam", Case: c.ID}, &m)
	n.call("case.state", casecalls.Move{ID: c.ID, Request: cases.Request{To: flow.Suspended, Reason: "suspended", Measure: m.ID, Level: int(m.Level)}}, nil)
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.user("olga", people.Lead)
	n.user("lea", people.Lead)
	n.call("measure.apply", calls.MeasureAsk{Account: "bob@example.com", Level: "M1", Reason: "a newsletter went out too fast"}, nil)
	n.suspended("anna@example.com")

	b := n.browse("en")
	b.signIn("olga")
	b.goTo("/accounts", "tr[data-row]")
	b.picture("list")
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), chromedp.WaitVisible("svg[role=img]"))
	b.says("anna@example.com", "Suspend sending")
	b.picture("account")

	// A measure is weighed and taken, by keys and mouse, then lifted.
	b.goTo("/account?name=bob@example.com", "svg[role=img]")
	b.do(chromedp.KeyEvent("h"), chromedp.WaitVisible("#impact"))
	b.says("What the user will see", "mail is accepted as usual", "Mail affected", "How to undo it")
	b.picture("weigh")
	b.do(chromedp.SendKeys("#reason", "looks odd"), chromedp.Click("form.card button"), chromedp.WaitVisible("svg[role=img]"))
	b.says("M2 Hold", "looks odd")
	b.do(chromedp.KeyEvent("u"), chromedp.WaitVisible("#undo"))
	b.picture("measure")
	b.do(chromedp.SendKeys("#reason", "a mistake"), chromedp.Click("#undo button"), chromedp.WaitVisible("svg[role=img]"))
	b.says("Hold lifted", "M1 Throttle")

	// What needs two persons is asked for by one and approved by another.
	b.goTo("/measures/new?account=carl@example.com&level=M5", "#reason")
	b.picture("two-persons")
	b.do(chromedp.SendKeys("#reason", "login sold"), chromedp.Click("form.card button"))
	b.again()
	b.says("It takes effect when another person approves it")
	b.goTo("/approvals", "tr[data-row]")
	b.do(chromedp.Click("a[data-open]"), chromedp.WaitVisible("button[value=refuse]"))
	b.says("You asked for it", "login sold")
	lea := n.browse("en")
	lea.signIn("lea")
	lea.phone()
	lea.goTo("/approvals", "tr[data-row]")
	lea.picture("phone-approvals")
	lea.do(chromedp.Click("a[data-open]"), chromedp.WaitVisible("button[value=approve]"))
	lea.picture("phone-approve")
	lea.do(chromedp.Click("button[value=approve]"))
	lea.again()
	lea.says("approved")
	lea.goTo("/account?name=carl@example.com", "svg[role=img]")
	lea.says("M5 Switch login off")
	lea.picture("phone-account")
}

// phone makes the window of a browser as narrow as a telephone.
func (b *browser) phone() {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(360, 740))
}
