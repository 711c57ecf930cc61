package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/cases"
	"postern/abuse/intake"
	"postern/abuse/measure"
	"postern/cmd/postern/casecalls"
	"postern/internal/alert"
	"postern/test/world"
)

// Scenario 12: a flood of forged reports about two hundred accounts ends in one line of the
// queue, and nothing happens to any account.
func TestScenario12ForgedFlood(t *testing.T) {
	t.Parallel()
	n, copyOf := sent(t, plan{Abuse: automatic}, "rcpt@isp.example")
	const reports, accounts = 10000, 200
	id := field(copyOf, "Message-ID")
	n.floods(reports, func(i int) post {
		account := fmt.Sprintf("user%d@example.com", i%accounts)
		if i%accounts == 0 {
			account = "anna@example.com"
		}
		forged := fmt.Appendf(nil, "From: <%s>\r\nTo: x%d@isp.example\r\nMessage-ID: %s\r\nSubject: Pills\r\n\r\nBuy pills, number %d.\r\n", account, i, id, i)
		from := fmt.Sprintf("victim%d@isp%d.example", i, i%30)
		return post{fmt.Sprintf("198.51.%d.%d:4000", i/50%200, i/50%250+1), from, "abuse@example.com", world.ARF(n.Clock.Now(), from, fmt.Sprint("spam ", i), forged, "Source-IP: 203.0.113.7", "Original-Mail-From: <"+account+">")}
	})
	n.counted(reports)
	n.pass(time.Hour)
	if all := n.measures(""); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	for _, c := range n.cases() {
		if c.Votes != 0 || c.Account != "" {
			t.Errorf("%+v", c)
		}
	}
	queue := told[casecalls.Page](n, "case.list", cases.Search{View: "queue", Limit: 500}).Cases
	folded := slices.DeleteFunc(slices.Clone(queue), func(c cases.Case) bool { return c.Folded == 0 })
	if len(folded) != 1 || folded[0].Folded < reports*9/10 {
		t.Errorf("%d lines of floods: %+v", len(folded), folded)
	}
	t.Logf("%d lines in the queue, %d reports in the folded one", len(queue), folded[0].Folded)
	if all := n.lettersTo("victim0@isp0.example"); len(all) != 0 {
		t.Error("somebody was answered whom nothing proves")
	}
}

// Scenario 13: a feedback loop that joined today only observes, whatever it reports; people
// hear about it, and after a fortnight it has a vote.
func TestScenario13NewFeedObserves(t *testing.T) {
	t.Parallel()
	n := start(t, plan{Abuse: automatic})
	n.publishes("example.com", "one")
	var to []string
	for i := range 80 {
		to = append(to, fmt.Sprintf("reader%d@bigisp.example", i))
	}
	s := n.signIn("news@example.com", "203.0.113.8:4000")
	copyOf := n.goes(s, "news@example.com", to, n.letter("News <news@example.com>", "readers@example.com", "Our catalogue", catalogue))
	n.stranger("fbl@bigisp.example")
	n.call("feed.add", intake.Feed{Name: "bigisp", Alias: "fbl-7@example.com", Domain: "bigisp.example"}, nil)
	report := func(i int) {
		n.writes("fbl@bigisp.example", "fbl-7@example.com", world.ARF(n.Clock.Now(), "fbl@bigisp.example", fmt.Sprint("complaint ", i), copyOf, "Original-Rcpt-To: "+to[i]))
	}
	for i := range 60 {
		report(i)
	}
	for _, c := range n.complaints(60) {
		if p := c.Work.Proof; c.Work.Feed != "bigisp" || p.Grade != 4 || p.Account != "news@example.com" || p.Votes != 0 {
			t.Fatalf("%+v", c.Work)
		}
	}
	n.pass(time.Hour)
	if all := n.measures("news@example.com"); slices.ContainsFunc(all, func(m measure.Measure) bool { return m.Level > abuse.M1 }) {
		t.Errorf("%+v", all)
	}
	if !slices.ContainsFunc(n.alerts(), func(a alert.Alert) bool {
		return strings.HasPrefix(a.Key, "feed:bigisp") && strings.Contains(a.Summary, "news@example.com")
	}) {
		t.Errorf("nobody hears of it: %+v", n.alerts())
	}
	if c := n.caseOf("news@example.com"); c.Votes != 0 || c.Reports != 60 {
		t.Errorf("%+v", c)
	}
	if all := n.lettersTo("fbl@bigisp.example"); len(all) != 0 {
		t.Error("a feed was answered")
	}
	n.pass(14 * 24 * time.Hour)
	report(60)
	if got := n.complaints(61)[0].Work.Proof; got.Votes != 100 {
		t.Errorf("after a fortnight: %+v", got)
	}
	if slices.ContainsFunc(n.alerts(), func(a alert.Alert) bool { return a.Key == "feed:bigisp" }) {
		t.Error("the alert stands although the feed has a vote")
	}
}
