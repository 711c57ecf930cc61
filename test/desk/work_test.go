package desk

import (
	"fmt"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"postern/abuse"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casecalls"
	"postern/internal/people"
)

// shown is a case as the gateway has it.
func (o *office) shown(id string) casecalls.Shown {
	o.t.Helper()
	var s casecalls.Shown
	o.call("case.show", casecalls.Paging{ID: id}, &s)
	return s
}

// confirm answers the question for the password, if it was asked.
func (b *browser) confirm() {
	b.t.Helper()
	b.until("the act is done or asked about", `document.querySelector("input[name=confirm-password]") || document.querySelector(".timeline")`)
	b.again()
	b.until("the page of the case", `document.querySelector(".timeline")`)
}

// decides brings the case on the page into another state.
func (b *browser) decides(to, why string) {
	b.t.Helper()
	b.do(set("#s-to", to), keys("#s-why", why), click("button[name=act][value=state]"))
}

// forwards lets a person hand in a message as it came.
func (o *office) forwards(from, text string, original []byte) {
	o.t.Helper()
	raw := o.sign(fmt.Sprintf("From: Rita <%s>\r\nTo: abuse@example.com\r\nSubject: unwanted mail\r\nDate: %s\r\nMessage-ID: <f%d@isp.example>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=f\r\n\r\n--f\r\nContent-Type: text/plain\r\n\r\n%s\r\n--f\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--f--\r\n",
		from, time.Now().Format(time.RFC1123Z), time.Now().UnixNano(), text, original))
	if err := smtp.SendMail(o.Addrs["mx"], nil, from, []string{"abuse@example.com"}, []byte(raw)); err != nil {
		o.t.Fatal(err)
	}
}

// TestCaseIsWorked takes a report with full proof from the queue to its result, as a person
// does: takes the case, looks, names a category, confirms, sees what a measure would do, takes
// it, and writes to the reporter.
func TestCaseIsWorked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.user("olga", people.Lead)
	copyOf := o.sells("rcpt@isp.example", "other@isp.example")
	o.forwards("rcpt@isp.example", "I did not ask for this", copyOf)
	id := o.cases(1)[0]
	b := o.browse("en")
	b.signIn("olga")
	b.do(navigate(b.base+"/cases?view=unowned"), visible("tr[data-row]"))
	// By keys alone: the first case is picked and taken, and its page opened.
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("a"))
	b.until("nobody's list is empty", `document.querySelector(".said") && !document.querySelector("tr[data-row]")`)
	if c := o.shown(id).Case; c.Owner != "olga" {
		t.Fatalf("it is %q's", c.Owner)
	}
	b.do(navigate(b.base+"/cases?view=mine"), visible("tr[data-row]"), chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"))
	b.until("its page is open", `location.pathname.endsWith("`+id+`") && document.querySelector(".known")`)
	// What is proved stands at the top.
	if text := b.ask(`document.querySelector(".known").innerText`); !strings.Contains(text, "Our signature on it is valid") || !strings.Contains(text, "delivered to the address that reports it") {
		t.Error(text)
	}
	b.ask(`[...document.querySelectorAll("details")].forEach(d => d.open = true)`)
	b.do(click("input[name=category][value=S1]"), click("button[name=act][value=category]"))
	b.until("the category is there", `[...document.querySelectorAll(".case-head .tag")].some(e => e.textContent.startsWith("S1"))`)
	b.decides("VERIFIED", "the copy is ours")
	b.until("it is confirmed", `document.querySelector(".case-head").innerText.includes("confirmed")`)
	b.picture("confirmed")
	// What the measure would do is said before it is taken.
	b.do(navigate(b.base+"/cases/"+id+"/measure?level=M3"), visible(".what-if"))
	if text := b.ask(`document.querySelector(".what-if").innerText`); !strings.Contains(text, "1 message, 2 recipients") || !strings.Contains(text, "Sending is refused") {
		t.Error(text)
	}
	var before abuse.Account
	if err := o.control.Call(t.Context(), "account.show", calls.AccountChange{Name: "anna@example.com"}, &before); err == nil && before.Effective() != abuse.M0 {
		t.Errorf("looking at it did it: %+v", before)
	}
	b.do(keys("#reason", "spam to customers"), click("form.card button.bad"))
	b.confirm()
	b.picture("suspended")
	if s := o.shown(id); s.Case.State != "SUSPENDED" || s.Case.Level != 3 {
		t.Errorf("%+v", s.Case)
	}
	var after abuse.Account
	o.call("account.show", calls.AccountChange{Name: "anna@example.com"}, &after)
	if after.Effective() != abuse.M3 {
		t.Errorf("%+v", after)
	}
	o.writesResult(b, id)
}

// writesResult writes the result to the reporter and sees it go.
func (o *office) writesResult(b *browser, id string) {
	o.t.Helper()
	b.do(navigate(b.base+"/cases/"+id+"?tab=letters"), visible("#l-kind"), set("#l-kind", "result"), click("button[data-key=r]"), visible("textarea"))
	b.picture("letter")
	// A letter that tells who the customer is does not go.
	b.ask(`document.querySelector("textarea").value += "\nIt was anna@example.com."`)
	b.do(click("button[value=preview]"), visible("[role=alert]"))
	if text := b.ask(`document.querySelector("[role=alert]").innerText`); !strings.Contains(text, "anna@example.com") {
		o.t.Error(text)
	}
	b.ask(`document.querySelector("textarea").value = document.querySelector("textarea").value.replace(/\nIt was .*/, "")`)
	b.do(click("button[value=preview]"), visible(".letter"))
	b.picture("preview")
	b.do(click("button[value=send]"))
	b.until("it is sent", `[...document.querySelectorAll("main .tag.good")].some(e => e.textContent === "sent")`)
	b.picture("sent")
	if c := o.shown(id).Case; c.ResultAt.IsZero() {
		o.t.Errorf("the case has no result: %+v", c)
	}
}

// TestForgedReportHurtsNobody has a report whose message is not ours: the page says so, offers
// no measure, and nothing happens to the account that it names.
func TestForgedReportHurtsNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.user("olga", people.Lead)
	o.complains("rcpt@isp.example", "your boss phishes", []byte(forged))
	id := o.cases(1)[0]
	b := o.browse("en")
	b.signIn("olga")
	b.do(navigate(b.base+"/cases/"+id), visible(".timeline"))
	b.picture("case")
	if text := b.ask(`document.querySelector(".known").innerText`); !strings.Contains(text, "our name may be forged") {
		t.Error(text)
	}
	if b.ask(`[...document.querySelectorAll("main a")].filter(a => a.pathname.endsWith("/measure")).length`) != "0" {
		t.Error("a measure is offered")
	}
	b.goTo("/cases/"+id+"/measure?level=M3", "h1")
	if text := b.ask(`document.querySelector("main").innerText`); !strings.Contains(text, "nobody to act against") {
		t.Error(text)
	}
	b.do(navigate(b.base+"/cases/"+id+"?tab=evidence"), visible("tr.lit"))
	text := b.ask(`document.querySelector("main").innerText`)
	for _, want := range []string{"◆", "evil.example", "hxxp://127[.]0[.]0[.]1", "You win"} {
		if !strings.Contains(text, want) {
			t.Errorf("the evidence lacks %s", want)
		}
	}
	for _, name := range []string{"boss@example.com", "anna@example.com"} {
		var all struct{ Measures []any }
		o.call("measure.list", map[string]any{"account": name, "all": true}, &all)
		if len(all.Measures) > 0 {
			t.Errorf("%s: %+v", name, all)
		}
	}
	if c := o.shown(id).Case; c.Votes != 0 || c.Account != "" || c.Grade != 0 {
		t.Errorf("%+v", c)
	}
}

// TestCasesOnAPhone: nothing hangs over the edge of a small screen, light or dark.
func TestCasesOnAPhone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.user("olga", people.Lead)
	o.complains("rcpt@isp.example", "spam", o.sells("rcpt@isp.example"), "Original-Rcpt-To: rcpt@isp.example")
	id := o.cases(1)[0]
	for _, lang := range []string{"zh-CN", "el"} {
		b := o.browse(lang)
		b.signIn("olga")
		b.do(chromedp.EmulateViewport(360, 740))
		for name, path := range map[string]string{"queue": "/cases", "case": "/cases/" + id, "evidence": "/cases/" + id + "?tab=evidence", "measure": "/cases/" + id + "/measure?level=M2"} {
			b.do(navigate(b.base+path), visible("h1"))
			if over := b.ask(`Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)`); over != "0" {
				t.Errorf("%s %s: %s pixels stand over the edge", lang, name, over)
			}
			b.picture(lang + "-phone-" + name)
		}
	}
}
