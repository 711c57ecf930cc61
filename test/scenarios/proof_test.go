package scenarios

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/engine"
	"postern/abuse/intake"
	"postern/abuse/proof"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/intakecalls"
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

// Scenario 6: a thousand reports of one message are at most as many votes as it had recipients,
// and throttle at the most, although the rule of complaints may act.
func TestScenario06VotesNeverExceedCopies(t *testing.T) {
	t.Parallel()
	n := start(t, plan{Abuse: automatic})
	n.publishes("example.com", "one")
	now := n.Clock.Now().UTC()
	n.pass(now.Truncate(24 * time.Hour).Add(24*time.Hour + 10*time.Minute).Sub(now)) // rates are of one day
	s := n.signIn("anna@example.com", "203.0.113.7:51514")
	for hour := range 5 { // enough mail to the same provider that a rate means something
		var others []string
		for i := range 45 {
			others = append(others, fmt.Sprintf("reader%d-%d@isp.example", hour, i))
		}
		n.goes(s, "anna@example.com", others, n.letter("Anna <anna@example.com>", "readers@example.com", fmt.Sprint("News ", hour), "the news of the hour"))
		n.pass(time.Hour)
	}
	to := []string{"rcpt@isp.example", "other@isp.example", "third@isp.example"}
	copyOf := n.goes(s, "anna@example.com", to, n.letter("Anna <anna@example.com>", to[0], "Our catalogue", catalogue))
	report := func(i int) post {
		from := fmt.Sprintf("user%d@d%d.example", i, i%20)
		if i < len(to) {
			from = to[i]
		}
		return post{strangerIP + ":4000", from, "abuse@example.com", n.signed(from, world.ARF(n.Clock.Now(), from, fmt.Sprint("spam ", i), copyOf, "Original-Rcpt-To: "+to[i%len(to)]))}
	}
	n.floods(len(to), report)
	n.counted(len(to))
	n.enables(engine.ComplaintRate)
	n.goes(s, "anna@example.com", to[:1], n.letter("Anna <anna@example.com>", to[0], "And again", catalogue)) // who goes on is looked at again
	const reports = 1000
	n.floods(reports-len(to), func(i int) post { return report(i + len(to)) })
	n.counted(reports)
	n.pass(time.Hour)
	c := n.caseOf("anna@example.com")
	if c.Reports != reports || c.Votes != 300 || len(n.cases()) != 1 {
		t.Errorf("%d cases; %d votes, %d reports", len(n.cases()), c.Votes, c.Reports)
	}
	if all := n.measures("anna@example.com"); len(all) != 1 || all[0].Level != abuse.M1 {
		t.Errorf("%+v", all)
	}
}

// Scenario 7: a token that was cut out of a real message proves nothing on another one.
func TestScenario07TransplantedToken(t *testing.T) {
	t.Parallel()
	n, copyOf := sent(t, plan{}, "rcpt@isp.example")
	spam := bytes.ReplaceAll(copyOf, []byte(catalogue), []byte("Cheap pills for everybody, without any prescription, sent to your home within two days from our own warehouse. "))
	alone := []byte("X-Postern-Trace: " + field(copyOf, "X-Postern-Trace") + "\r\nFrom: anna@example.com\r\nTo: rcpt@isp.example\r\nSubject: Pills\r\n\r\nCheap pills for everybody, without any prescription.\r\n")
	for i, forged := range [][]byte{spam, alone} {
		got := n.reports(i, "rcpt@isp.example", world.ARF(n.Clock.Now(), "rcpt@isp.example", fmt.Sprint("forged ", i), forged, "Original-Rcpt-To: rcpt@isp.example"))
		if p := got.Work.Proof; p.Class != proof.Transplant || p.Grade >= proof.P2 || p.Votes != 0 || p.Account != "" {
			t.Errorf("%+v", p)
		}
	}
	if i := slices.IndexFunc(n.cases(), func(c cases.Case) bool { return c.Account != "" || c.Votes != 0 }); i >= 0 {
		t.Errorf("%+v", n.cases()[i])
	}
}

// field is the value of a header field on one line.
func field(message []byte, name string) string {
	m := regexp.MustCompile(`(?mi)^` + name + `:[ \t]*((?:.*)(?:\r\n[ \t].*)*)`).FindSubmatch(message)
	if m == nil {
		return ""
	}
	return strings.TrimSpace(string(m[1]))
}

// Scenario 8: copies of one signed message in front of hundreds it was never sent to are a
// replay: the account is not limited, a new selector is proposed.
func TestScenario08Replay(t *testing.T) {
	t.Parallel()
	n, copyOf := sent(t, plan{Abuse: automatic}, "rcpt@isp.example")
	n.floods(500, func(i int) post {
		from := fmt.Sprintf("user%d@d%d.example", i, i%20)
		return post{strangerIP + ":4000", from, "abuse@example.com", n.signed(from, world.ARF(n.Clock.Now(), from, fmt.Sprint("got this ", i), copyOf, "Original-Rcpt-To: "+from))}
	})
	n.counted(500)
	for _, c := range n.complaints(500) {
		if p := c.Work.Proof; c.Work.State != intake.Folded && (p.Class != proof.Replay || p.Votes != 0 || p.Grade > proof.P3) {
			t.Fatalf("%+v", p)
		}
	}
	if c := n.caseOf("anna@example.com"); c.Votes != 0 || c.Class != string(proof.Replay) {
		t.Errorf("%+v", c)
	}
	n.pass(time.Hour)
	if all := n.measures(""); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	if !slices.ContainsFunc(n.alerts(), func(a alert.Alert) bool {
		return strings.HasPrefix(a.Key, "replay:") && strings.Contains(a.Detail, "selector")
	}) {
		t.Errorf("no new selector is proposed: %+v", n.alerts())
	}
	n.signIn("anna@example.com", "203.0.113.7:51515").must("anna@example.com", []string{"rcpt@isp.example"}, n.letter("anna@example.com", "rcpt@isp.example", "Still here", "hello"))
}

// Scenario 9: what a report asserts about itself proves nothing. Who reports mail that only
// says it is ours hears so.
func TestScenario09ForgedFields(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n, _ := sent(t, plan{Redis: redis}, "rcpt@isp.example")
		foreign := []byte("Received: from botnet (198.51.100.99) by mx.isp.example; " + n.Clock.Now().Format(time.RFC1123Z) + "\r\nFrom: Anna <anna@example.com>\r\nTo: kim@isp.example\r\nSubject: Pills\r\nMessage-ID: <x@botnet.example>\r\n\r\nBuy pills.\r\n")
		got := n.reports(0, "kim@isp.example", world.ARF(n.Clock.Now(), "kim@isp.example", "by a program", foreign, "Source-IP: 203.0.113.7", "Source-Port: 51514", "Original-Mail-From: <anna@example.com>"))
		person := n.reports(1, "lee@isp.example", n.forward("lee@isp.example", "You sent me spam", "You sent me this. Source-IP: 203.0.113.7", foreign))
		for _, c := range []complaint{got, person} {
			shown := told[casecalls.Shown](n, "case.show", casecalls.Paging{ID: c.Work.Cases[0]}).Case
			if p := c.Work.Proof; p.Grade != proof.P0 || p.Account != "" || p.Votes != 0 || shown.Account != "" || shown.Votes != 0 {
				t.Errorf("%+v in %+v", p, shown)
			}
			was := told[casecalls.Shown](n, "case.timeline", casecalls.Paging{ID: shown.ID}).Timeline
			if !slices.ContainsFunc(was, func(e cases.Event) bool { return e.To == flow.NotOurs }) {
				t.Errorf("it was never NOT_OURS: %+v", was)
			}
		}
		n.await("an explanation", func() bool { return len(n.lettersTo("lee@isp.example")) > 0 })
		if body := text8(t, n.lettersTo("lee@isp.example")[0]); !strings.Contains(body, "forge") || strings.Contains(body, "anna@example.com") {
			t.Errorf("%s", body)
		}
		if all := n.lettersTo("kim@isp.example"); len(all) != 0 {
			t.Errorf("a program got %d letters", len(all))
		}
		if all := n.measures(""); len(all) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

// Scenario 10: a feedback loop that blackens the recipient breaks the signature; token and body
// still prove the account.
func TestScenario10RedactedCopy(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n, copyOf := sent(t, plan{Redis: redis}, "bob@isp.example")
		redacted := bytes.ReplaceAll(copyOf, []byte("bob@isp.example"), []byte("rZ8cqXWGiKHzhz1MsFRGTysHia4=@isp.example"))
		if bytes.Equal(redacted, copyOf) {
			t.Fatal("nothing was redacted")
		}
		got := n.reports(0, "fbl@isp.example", world.ARF(n.Clock.Now(), "fbl@isp.example", "redacted", redacted, "Original-Rcpt-To: rZ8cqXWGiKHzhz1MsFRGTysHia4=@isp.example"))
		if p := got.Work.Proof; p.Grade != proof.P3 || p.Account != "anna@example.com" || !slices.ContainsFunc(p.Transcript, func(s string) bool { return strings.Contains(s, "does not verify") }) {
			t.Errorf("%+v", p)
		}
	})
}

// Scenario 11: whatever form a report has, it is taken, kept as it came, and read or left to people.
func TestScenario11AnyFormat(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n, copyOf := sent(t, plan{Redis: redis}, "rcpt@isp.example")
		unknown := strings.Replace(world.ARF(n.Clock.Now(), "rcpt@isp.example", "unknown type", copyOf), "Feedback-Type: abuse", "Feedback-Type: x-never-heard-of", 1)
		head := func(subject, contentType string) string {
			return strings.Replace(strings.SplitN(n.letter("rcpt@isp.example", "abuse@example.com", subject, "x"), "\r\n\r\n", 2)[0], "text/plain; charset=utf-8", contentType, 1) + "\r\n\r\n"
		}
		xarf := head("XARF 3", "multipart/mixed; boundary=x") + "--x\r\nContent-Type: text/plain\r\n\r\nA report.\r\n--x\r\nContent-Type: application/json; name=xarf.json\r\n\r\n" + `{"Version":"3","ReporterInfo":{"ReporterOrg":"ISP","ReporterOrgDomain":"isp.example","ReporterOrgEmail":"rcpt@isp.example"},` +
			`"Disclosure":true,"Report":{"ReportClass":"Activity","ReportType":"Spam","Date":"` + n.Clock.Now().UTC().Format(time.RFC3339) + `","SourceIp":"203.0.113.7","SourcePort":51514,"SmtpMailFromAddress":"anna@example.com","SmtpMessageSubject":"Our catalogue"}}` + "\r\n--x--\r\n"
		broken := head("Broken", "multipart/report; report-type=feedback-report; boundary=never") + "--other\r\nContent-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n@@@ not base64 \xff\xfe\r\n"
		for i, c := range []struct{ name, raw, format string }{{"unknown type", unknown, "cfbl"}, {"XARF 3", xarf, "xarf3"}, {"broken MIME", broken, "unparsed"}} {
			raw := n.signed("rcpt@isp.example", c.raw)
			s := n.dial("mx", strangerIP+":40000")
			_ = s.Hello("mail.isp.example")
			if code, text := s.send("rcpt@isp.example", []string{"abuse@example.com"}, raw); code != 250 {
				t.Errorf("%s: %d %s", c.name, code, text)
				continue
			}
			got := n.complaints(i + 1)[0]
			if kept := told[intakecalls.Raw](n, "complaint.raw", intakecalls.ID{ID: got.Report.ID}).Bytes; string(kept) != raw {
				t.Errorf("%s: %d octets are kept of %d", c.name, len(kept), len(raw))
			}
			state := told[casecalls.Shown](n, "case.show", casecalls.Paging{ID: got.Work.Cases[0]}).Case.State
			if string(got.Work.Format) != c.format || len(got.Work.Cases) != 1 || (state == flow.Unparsed) != (c.format == "unparsed") {
				t.Errorf("%s: %s, %+v", c.name, state, got.Work)
			}
		}
	})
}
