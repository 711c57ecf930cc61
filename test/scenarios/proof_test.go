package scenarios

import (
	"slices"
	"strings"
	"testing"

	"postern/internal/alert"
	"postern/internal/mailtest"
	"postern/test/world"
)

// catalogue is a text that is long enough to be told from another one.
const catalogue = "Dear all, our autumn catalogue is here with forty pages of lamps and tables at prices that we have not seen for years. "

// sent is a node whose account anna has sent a message, as its recipients have it.
func sent(t *testing.T, p plan, to ...string) (n *node, copyOf []byte) {
	t.Helper()
	p.Out.Steps = map[mailtest.Point]mailtest.Step{mailtest.AtEnd: {Reply: "250 2.0.0 Ok: queued as 4cTx1Z2yQ3"}}
	n = start(t, p)
	n.publishes("example.com", "one")
	s := n.signIn("anna@example.com", "203.0.113.7:51514")
	return n, n.goes(s, "anna@example.com", to, n.letter("Anna <anna@example.com>", to[0], "Our catalogue", catalogue))
}

// Scenario 5: a full copy of a message that really went out names the account, beyond doubt.
func TestScenario05CopyNamesTheAccount(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n, copyOf := sent(t, plan{Redis: redis}, "rcpt@isp.example", "other@isp.example", "third@isp.example")
		got := n.reports(0, "rcpt@isp.example", world.ARF(n.Clock.Now(), "rcpt@isp.example", "spam", copyOf, "Original-Rcpt-To: rcpt@isp.example"))
		p := got.Work.Proof
		if p.Grade != 4 || p.Account != "anna@example.com" || p.Votes != 100 || p.Accepted != 3 || p.Recipient != "rcpt@isp.example" {
			t.Errorf("%+v", p)
		}
		for _, part := range []string{"DKIM d=example.com s=one verified", "by anna@example.com via 203.0.113.7:51514", "queue ID 4cTx1Z2yQ3", "1 of 3"} {
			if !strings.Contains(p.Sentence, part) {
				t.Errorf("%q is not in %q", part, p.Sentence)
			}
		}
		if c := n.caseOf("anna@example.com"); c.Votes != 100 || c.Reports != 1 {
			t.Errorf("%+v", c)
		}
		n.due()
		if all := n.measures("anna@example.com"); len(all) != 0 {
			t.Errorf("one complaint makes %+v", all)
		}
		if i := slices.IndexFunc(n.alerts(), func(a alert.Alert) bool { return strings.HasPrefix(a.Key, "replay:") }); i >= 0 {
			t.Error("a replay is seen where there is none")
		}
	})
}
