package desk

import (
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

// goTo opens a page and waits until something is seen on it.
func (b *browser) goTo(path, see string) {
	b.t.Helper()
	b.do(navigate(b.base+path), visible(see))
}

// says waits until the page has texts.
func (b *browser) says(want ...string) {
	b.t.Helper()
	for _, w := range want {
		b.sees("main", w)
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
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"), visible("svg[role=img]"))
	b.says("anna@example.com", "Suspend sending")
	b.picture("account")

	// A measure is weighed and taken, by keys and mouse, then lifted.
	b.goTo("/account?name=bob@example.com", "svg[role=img]")
	b.do(chromedp.KeyEvent("h"), visible("#impact"))
	b.says("What the user will see", "mail is accepted as usual", "Mail affected", "How to undo it")
	b.picture("weigh")
	b.do(keys("#reason", "looks odd"), click("form.card button"), visible("svg[role=img]"))
	b.says("M2 Hold", "looks odd")
	b.do(chromedp.KeyEvent("u"), visible("#undo"))
	b.picture("measure")
	b.do(keys("#reason", "a mistake"), click("#undo button"), visible("svg[role=img]"))
	b.says("Hold lifted", "M1 Throttle")

	// What needs two persons is asked for by one and approved by another.
	b.goTo("/measures/new?account=carl@example.com&level=M5", "#reason")
	b.picture("two-persons")
	b.do(keys("#reason", "login sold"), click("form.card button"))
	b.again()
	b.says("It takes effect when another person approves it")
	b.goTo("/approvals", "tr[data-row]")
	b.do(click("a[data-open]"), visible("button[value=refuse]"))
	b.says("You asked for it", "login sold")
	lea := n.browse("en")
	lea.signIn("lea")
	lea.phone()
	lea.goTo("/approvals", "tr[data-row]")
	lea.picture("phone-approvals")
	lea.do(click("a[data-open]"), visible("button[value=approve]"))
	lea.picture("phone-approve")
	lea.do(click("button[value=approve]"))
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
