package scenarios

import (
	"fmt"
	"slices"
	"time"

	"postern/abuse/cases"
	"postern/abuse/measure"
	"postern/abuse/measure/shadow"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/intakecalls"
	"postern/internal/alert"
)

// complaint is a report and what the desk made of it.
type complaint = intakecalls.Complaint

// complaints waits until so many reports are worked on and returns them, newest first; at most
// a page.
func (n *node) complaints(want int) (all []complaint) {
	n.t.Helper()
	n.await(fmt.Sprintf("%d reports are worked on", want), func() bool {
		all = told[intakecalls.Page](n, "complaint.list", intakecalls.Query{Limit: 1000}).Complaints
		return len(all) >= want && !slices.ContainsFunc(all, func(c complaint) bool { return c.Work.State == "new" || c.Work.State == "new-first" })
	})
	return all
}

// reports sends a report of a proved stranger to abuse@example.com and returns what became of
// it; before says how many there were.
func (n *node) reports(before int, from, raw string) complaint {
	n.t.Helper()
	n.writes(from, "abuse@example.com", raw)
	return n.complaints(before + 1)[0]
}

// cases are all cases, as far as a page goes.
func (n *node) cases() []cases.Case {
	n.t.Helper()
	return told[casecalls.Page](n, "case.list", cases.Search{View: "all", Limit: 500}).Cases
}

// caseOf is the only case of an account.
func (n *node) caseOf(account string) cases.Case {
	n.t.Helper()
	of := slices.DeleteFunc(n.cases(), func(c cases.Case) bool { return c.Account != account })
	if len(of) != 1 {
		n.t.Fatalf("%d cases of %s: %+v", len(of), account, of)
	}
	return of[0]
}

// measures are those against an account, "" for all, newest first.
func (n *node) measures(account string) []measure.Measure {
	n.t.Helper()
	return told[struct{ Measures []measure.Measure }](n, "measure.list", map[string]any{"account": account, "all": true}).Measures
}

// automatic are the keys of "abuse" under which rules act as soon as a person enables them: 14
// days of shadow are a second here.
const automatic = `measures: {mode: "on", shadow: 1s}`

// enables lets rules act that have been seen already.
func (n *node) enables(rules ...string) {
	n.t.Helper()
	for _, r := range rules {
		n.await("the rule "+r+" is known", func() bool {
			n.due()
			return slices.ContainsFunc(told[calls.Automation](n, "automation.show", nil).Rules, func(p shadow.Preview) bool { return p.Rule.Name == r })
		})
		n.Clock.Move(2 * time.Second) // out of its shadow
		n.call("automation.enable", calls.ID{ID: r}, nil)
	}
}

// counted waits until the cases count so many reports together, as long as they become more.
func (n *node) counted(want int) {
	n.t.Helper()
	for last := -1; last < want; {
		n.await(fmt.Sprintf("more than %d of %d reports are counted", last, want), func() bool {
			sum := 0
			for _, c := range n.cases() {
				sum += c.Reports
			}
			before := last
			last = max(last, sum)
			return last > before
		})
	}
}

// alerts are those that stand.
func (n *node) alerts() []alert.Alert {
	n.t.Helper()
	return told[struct{ Alerts []alert.Alert }](n, "status", nil).Alerts
}
