package scenarios

import (
	"fmt"
	"testing"
	"time"

	"postern/abuse"
	"postern/cmd/postern/intakecalls"
	"postern/test/world"
)

// A true copy, signed by us and with its token, is reported again when the send log has long
// forgotten the message: it names nobody and punishes nobody, whoever reports it and however often,
// and whether or not the keys were changed since.
func TestHL04ReplayOfLastYears(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n, copyOf := sent(t, plan{Redis: redis, Abuse: automatic}, "rcpt@isp.example", "other@isp.example")
		now := n.reports(0, "rcpt@isp.example", world.ARF(n.Clock.Now(), "rcpt@isp.example", "at its time", copyOf, "Original-Rcpt-To: rcpt@isp.example"))
		if p := now.Work.Proof; p.Grade != 4 || p.Votes != 100 {
			t.Fatalf("at its time it proves: %+v", p)
		}
		n.command("trace-key", "rotate")
		again := n.reports(1, "other@isp.example", world.ARF(n.Clock.Now(), "other@isp.example", "after the change of keys", copyOf, "Original-Rcpt-To: other@isp.example"))
		if p := again.Work.Proof; p.Grade != 4 || p.Votes != 100 {
			t.Errorf("a key that was replaced opens as long as the log is kept: %+v", p)
		}
		votes := n.caseOf("anna@example.com").Votes
		n.later(366 * 24 * time.Hour)
		before, signals := n.complaintsBefore(), len(n.why("anna@example.com").Judged.Signals)
		if signals != 0 {
			t.Errorf("last year's votes speak still: %+v", n.why("anna@example.com").Judged.Signals)
		}
		old := func(round string) {
			for i, from := range []string{"rcpt@isp.example", "other@isp.example", "eve@else.example"} {
				p := n.reports(before, from, world.ARF(n.Clock.Now(), from, fmt.Sprint(round, i), copyOf, "Original-Rcpt-To: "+from)).Work.Proof
				before++
				if p.Grade > 1 || p.Votes != 0 || p.Account != "" {
					t.Errorf("%s, %s: %+v", round, from, p)
				}
			}
		}
		old("a year later ")
		n.command("trace-key", "rotate") // drops the keys that are older than the log
		n.command("dkim", "rotate", "example.com")
		n.later(time.Hour)
		old("without the key ")
		for _, c := range n.cases() {
			if c.Account == "anna@example.com" && c.Votes > votes {
				t.Errorf("%+v", c)
			}
		}
		n.due()
		if w := n.why("anna@example.com"); len(w.Judged.Signals) != 0 || w.Account.Effective() != abuse.M0 {
			t.Errorf("%+v", w)
		}
		n.harmless()
	})
}

// later stops the node and starts it again when so much time has passed.
func (n *node) later(d time.Duration) {
	n.t.Helper()
	if err := n.Stop(); err != nil {
		n.t.Fatal(err)
	}
	n.Clock.Move(d)
	n.serve()
	n.due()
}

// complaintsBefore is how many reports are listed.
func (n *node) complaintsBefore() int {
	n.t.Helper()
	return len(told[intakecalls.Page](n, "complaint.list", intakecalls.Query{Limit: 1000}).Complaints)
}
