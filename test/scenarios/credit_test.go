package scenarios

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/abuse/second"
	"postern/abuse/service/credit"
	"postern/abuse/service/exclusion"
	"postern/abuse/service/month"
	"postern/cmd/postern/secondcalls"
	"postern/cmd/postern/service"
	"postern/internal/people"
	"postern/test/world"
)

// owed are the credits of a month by figure.
func (n *node) owed(month string) map[string]credit.Credit {
	n.t.Helper()
	out := map[string]credit.Credit{}
	for _, c := range told[credit.Page](n, "service.credits", service.CreditQuery{Month: month}).Credits {
		out[c.Figure] = c
	}
	return out
}

// planned has a change of three hours announced by one person and approved by another: more than
// a month may have.
func planned(n *node, lea, lee person) (x exclusion.Exclusion) {
	n.t.Helper()
	now := n.Clock.Now()
	lea.must("service.exclude", exclusion.Exclusion{Class: "a", From: now.Add(-4 * time.Hour), To: now.Add(-time.Hour), Planned: true, Reason: "a move"}, &x)
	lee.must("service.approve", service.Decision{ID: x.ID, Why: "announced"}, &x)
	return x
}

// A month that is over leaves one draft for each promise it broke, whoever counts it again. One
// person approves what prolongs the service, two what waives a fee; what was approved is never
// taken back in silence.
func TestCreditsOfBrokenPromises(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	day := time.Date(now.Year(), now.Month()+1, 0, 10, 0, 0, 0, time.UTC) // the last of this month, or of the next
	if day.Before(now) {
		day = time.Date(now.Year(), now.Month()+2, 0, 10, 0, 0, 0, time.UTC)
	}
	of := day.Format("2006-01")
	bothHomes(t, func(t *testing.T, redis bool) {
		n, copyOf := sent(t, plan{Redis: redis, Clock: clockAt(t, day), Abuse: "service: {probe: 1s}", More: fmt.Sprintf("api: {addr: \"127.0.0.1:%d\"}\n", world.FreePort(t))}, "ivan@isp.example")
		lea, lee := n.hire("lea", people.Lead), n.hire("lee", people.Lead)
		n.reports(0, "ivan@isp.example", n.forwardOf("ivan@isp.example", copyOf))
		x := planned(n, lea, lee)
		moved := 0
		n.await("a promise is broken", func() bool {
			if moved++; moved < 60 { // a minute counts when it is over
				n.Clock.Move(time.Minute)
			}
			for _, f := range told[month.Report](n, "service.report", service.Ask{Month: of}).Figures {
				if f.ID == "change-minutes" && f.State == month.Broken {
					return true
				}
			}
			return false
		})
		if all := n.owed(of); len(all) > 0 {
			t.Errorf("before the end of the month: %+v", all)
		}
		n.pass(4 * 24 * time.Hour) // a working day too, wherever the weekend is
		n.await("the drafts are there", func() bool { return len(n.owed(of)) >= 2 })
		n.command("service", "report", of) // what was being drafted just then is drafted now
		drafts := n.owed(of)
		if c := drafts["change-minutes"]; c.State != credit.Draft || c.Kind != credit.Double || *c.Value != 180 || *c.Limit != 100 || len(c.Exclusions) != 1 || c.Exclusions[0] != x.ID || c.Formula == "" {
			t.Fatalf("%+v", c)
		}
		if c := drafts["first-in-day"]; c.State != credit.Draft || c.Kind != credit.Waived || *c.Value != 0 {
			t.Fatalf("%+v", c)
		}
		for range 2 {
			n.command("service", "report", of)
		}
		if again := n.owed(of); len(again) != len(drafts) {
			t.Errorf("counted again: %+v", again)
		}
		n.prolonged(of, x.ID, lea)
		n.waived(of, lea, lee)
		if html := n.command("service", "report", of, "--format", "html", "--language", "ru"); !strings.Contains(html, "двойной срок услуги") || !strings.Contains(html, "не подтверждается") {
			t.Error(html)
		}
		if csv := n.command("service", "rows", "credits", of); !strings.Contains(csv, "c-"+of+"-change-minutes,change-minutes,3,double service time,180,") {
			t.Error(csv)
		}
		drafted := map[string]int{}
		for _, e := range n.audit() {
			if e.Action == "credit-draft" {
				drafted[e.Object]++
			}
		}
		if drafted["c-"+of+"-change-minutes"] != 1 || drafted["c-"+of+"-first-in-day"] != 1 {
			t.Errorf("%v", drafted)
		}
	})
}

// prolonged is approved by one person; when its exclusion is withdrawn it says so.
func (n *node) prolonged(of, x string, lea person) {
	n.t.Helper()
	id := "c-" + of + "-change-minutes"
	if status, _ := lea.call("service.credit-approve", service.CreditDecision{ID: id}, nil); status != http.StatusBadRequest {
		n.t.Errorf("without a reason: %d", status)
	}
	var c credit.Credit
	lea.must("service.credit-approve", service.CreditDecision{ID: id, Why: "announced too late"}, &c)
	if c.State != credit.Approved || c.Decided != "lea" {
		n.t.Errorf("%+v", c)
	}
	lea.must("service.withdraw", service.Decision{ID: x, Why: "it never took place"}, nil)
	if out := n.command("service", "credit", "show", id); !strings.Contains(out, "approved, contradicted") || !strings.Contains(out, "announced too late") || !strings.Contains(out, "180 min") {
		n.t.Error(out)
	}
	if out := n.command("service", "credit", "list", of, "--json"); !strings.Contains(out, `"contradicted"`) {
		n.t.Error(out)
	}
	if _, words, code := n.Run("service", "credit", "refuse", id, "--why", "again"); code != 1 && code != 3 || !strings.Contains(words, "is approved") {
		n.t.Error(code, words)
	}
}

// waived waits for a second person who has signed in.
func (n *node) waived(of string, lea, lee person) {
	n.t.Helper()
	id := "c-" + of + "-first-in-day"
	var c credit.Credit
	lea.must("service.credit-approve", service.CreditDecision{ID: id, Why: "nobody was there"}, &c)
	if c.State != credit.Draft || c.Asked == nil || c.Asked.By != "lea" {
		n.t.Fatalf("%+v", c)
	}
	if status, _ := lea.call("approval.approve", secondcalls.Decision{ID: c.Asked.Proposal}, nil); status != http.StatusConflict {
		n.t.Errorf("her own: %d", status)
	}
	var p second.Proposal
	lee.must("approval.refuse", secondcalls.Decision{ID: c.Asked.Proposal, Reason: "which one?"}, &p)
	if c = n.owed(of)["first-in-day"]; c.State != credit.Draft || c.Asked != nil {
		n.t.Errorf("%+v", c)
	}
	lea.must("service.credit-approve", service.CreditDecision{ID: id, Why: "that of ivan"}, &c)
	lee.must("approval.approve", secondcalls.Decision{ID: c.Asked.Proposal}, &p)
	if c = n.owed(of)["first-in-day"]; !p.Done || c.State != credit.Approved || c.Decided != "lee" || c.Asked.By != "lea" || c.Why != "that of ivan" {
		n.t.Errorf("%+v %+v", p, c)
	}
}
