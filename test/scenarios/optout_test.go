package scenarios

import (
	"strings"
	"testing"

	"postern/abuse/suppress"
	"postern/cmd/postern/suppresscalls"
	"postern/test/world"
)

// A recipient whose report asks for no more mail gets none of that account, be it with others
// or alone, until a person lets it through again; the account has no vote against it.
func TestOptOutIsGranted(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n, copyOf := sent(t, plan{Redis: redis}, "bob@isp.example")
		raw := strings.Replace(world.ARF(n.Clock.Now(), "bob@isp.example", "no more", copyOf), "Feedback-Type: abuse", "Feedback-Type: opt-out", 1)
		got := n.reports(0, "bob@isp.example", raw)
		if p := got.Work.Proof; p.Grade < 3 || p.Account != "anna@example.com" || p.Votes != 0 {
			t.Errorf("%+v", p)
		}
		noted := func() []suppress.Entry {
			return told[suppress.Page](n, "suppress.list", suppress.Query{Account: "anna@example.com"}).Entries
		}
		n.await("the wish is noted", func() bool { n.due(); return len(noted()) == 1 })
		entry := noted()[0]
		if entry.Recipient != "bob@isp.example" || entry.Report == "" {
			t.Errorf("%+v", entry)
		}
		s := n.signIn("anna@example.com", ownIP)
		again := n.letter("anna@example.com", "bob@isp.example", "Our next catalogue", "Page after page.")
		if code, text := s.send("anna@example.com", []string{"bob@isp.example"}, again); code != 550 || !strings.Contains(text, "no more mail") {
			t.Errorf("%d %s", code, text)
		}
		for _, line := range []string{"RSET", "MAIL FROM:<anna@example.com>", "RCPT TO:<carol@isp.example>"} {
			if code, text := s.say("%s", line); code != 250 {
				t.Fatalf("%s: %d %s", line, code, text)
			}
		}
		if code, text := s.say("RCPT TO:<bob@isp.example>"); code != 550 {
			t.Errorf("beside another: %d %s", code, text)
		}
		if code, text := s.say("RCPT TO:<dora@isp.example>"); code != 250 {
			t.Errorf("another after it: %d %s", code, text)
		}
		s.say("RSET")
		n.call("suppress.lift", suppresscalls.Lift{ID: entry.ID, Reason: "bob asked for the catalogue again"}, nil)
		s.must("anna@example.com", []string{"bob@isp.example"}, again)
	})
}
