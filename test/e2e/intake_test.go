package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/intakecalls"
	"postern/internal/mailtest"
	"postern/test/world"
)

// complaints are the reports of the desk, newest first.
func complaints(t *testing.T, g *gateway, n int) []intakecalls.Complaint {
	t.Helper()
	var all []intakecalls.Complaint
	world.Await(t, fmt.Sprintf("%d reports are worked on", n), 20*time.Second, func() bool {
		all = runJSON[intakecalls.Page](t, g, 0, "complaint", "list", "--json").Complaints
		for _, r := range all {
			if r.Work.State == "new" {
				return false
			}
		}
		return len(all) >= n
	})
	return all
}

// arfMail is a feedback report about a message.
func arfMail(from, subject string, original []byte, fields ...string) string {
	return world.ARF(time.Now(), from, subject, original, fields...)
}

// Scenario 1: whatever is sent to abuse@ is taken and kept, and nothing of it goes on.
func TestAbuseTakesWhateverComes(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	g, b := startBefore(t, mailtest.Script{}, plan{ClamAV: c.Endpoint})
	g.run(t, 0, "blocklist", "add", "--reason", "for a test", "friend.example")
	raw := withFile("A virus and spam", "sample.zip", zipped(t, "sample.com", mailtest.EICAR()))
	raw = strings.Replace(raw, "\r\n\r\n", "\r\nX-Test: "+gtube+"\r\n\r\n", 1)
	for i, to := range []string{"aBuSe@example.com", "abuse+7@EXAMPLE.com"} {
		if text := g.mustDeliver(t, 250, to, raw); !strings.Contains(text, "taken by the abuse desk, report r-") {
			t.Errorf("%s: %s", to, text)
		}
		all := complaints(t, g, i+1)
		if all[0].Report.SHA256 != sum(raw) || all[0].Report.Client.String() != friendIP || all[0].Report.Helo != "mail.friend.example" || all[0].Report.Auth.SPF != "pass" || len(all[0].Work.Cases) != 1 {
			t.Errorf("%+v", all[0])
		}
		if got, errs, code := g.Run("complaint", "raw", all[0].Report.ID); code != 0 || got != raw {
			t.Errorf("exit %d, %d bytes for %d: %s", code, len(got), len(raw), errs)
		}
	}
	if n := len(b.Transactions()); n != 0 {
		t.Errorf("%d messages behind", n)
	}
	if all := holds(t, g, ""); len(all) != 0 {
		t.Errorf("holds %+v", all)
	}
}

// A mailbox beside abuse@ has its own fate, and cannot keep the report away.
func TestAbuseBesideAMailbox(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{})
	raw := letter("Spam for two", gtube)
	g.mustDeliver(t, 250, "ada@example.com,abuse@example.com", raw)
	if all := holds(t, g, "class:rejected-beside"); len(all) != 1 {
		t.Errorf("holds %+v", all)
	}
	plain := letter("For two", "hello")
	g.mustDeliver(t, 250, "abuse@example.com,ada@example.com", plain)
	if body := string(b.WaitTransactions(t, 1)[0].Body); !strings.HasSuffix(body, plain) {
		t.Errorf("behind is\n%s", body)
	}
	if all := complaints(t, g, 2); len(all) != 2 || all[0].Report.SHA256 != sum(plain) || all[1].Report.SHA256 != sum(raw) {
		t.Errorf("%+v", all)
	}
}

// friendSigns signs for friend.example: what goes to a CFBL-Address counts with an aligned signature
// alone (RFC 9477).
func friendSigns(t *testing.T, g *gateway) func(raw string) string {
	t.Helper()
	return world.Signs(t, g.DNS, "friend.example")
}

// Scenarios 5, 6, 9 and 10 with mail that really went out: its own signature and token name
// the account, copies of a copy count once, forgeries name nobody.
func TestComplaintsAreProved(t *testing.T) {
	t.Parallel()
	g, egress := outgoing(t)
	key := runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", "example.com", "--selector", "one")
	if err := g.DNS.Set(key.Record.Name, "TXT "+key.Record.Text); err != nil {
		t.Fatal(err)
	}
	signed := friendSigns(t, g)
	g.run(t, 0, "dkim", "dns", "example.com")
	c := dial(t, g.Addrs["submission"])
	if code, text := c.logIn("ada@example.com", "ada-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	to := []string{"frank@friend.example", "x@far.example"}
	const body = "Dear all, our autumn catalogue is here with forty pages of lamps and tables at prices that we have not seen for years."
	if code, text := c.transaction("ada@example.com", to, "From: Ada <ada@example.com>\r\nTo: Frank <frank@friend.example>\r\nSubject: Out\r\n\r\n"+body+"\r\n"); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	sent := egress.WaitTransactions(t, 1)[0].Body
	sent = sent[bytes.Index(sent, []byte("DKIM-Signature")):]

	report := func(n int, raw string) intakecalls.Complaint {
		t.Helper()
		g.mustDeliver(t, 250, "abuse@example.com", signed(raw))
		return complaints(t, g, n)[0]
	}
	got := report(1, arfMail("frank@friend.example", "one", sent, "Original-Rcpt-To: frank@friend.example"))
	if p := got.Work.Proof; p.Grade != 4 || p.Account != "ada@example.com" || p.Recipient != "frank@friend.example" || p.Accepted != 2 || p.Votes != 100 || !strings.Contains(p.Sentence, "DKIM d=example.com s=one verified") || !strings.Contains(p.Sentence, "by ada@example.com via 127.0.0.1:") {
		t.Errorf("%+v", p)
	}
	for n := range 3 {
		got = report(n+2, arfMail("frank@friend.example", fmt.Sprint("again ", n), sent))
		if p := got.Work.Proof; p.Votes != 0 || p.Account != "ada@example.com" {
			t.Errorf("%+v", p)
		}
	}
	redacted := bytes.ReplaceAll(sent, []byte("frank@friend.example"), []byte("rZ8cqXWGiKHzhz1MsFRGTysHia4=@friend.example"))
	if p := report(5, arfMail("frank@friend.example", "redacted", redacted)).Work.Proof; p.Grade != 3 || p.Account != "ada@example.com" {
		t.Errorf("redacted: %+v", p)
	}
	forged := []byte("From: Ada <ada@example.com>\r\nTo: frank@friend.example\r\nMessage-ID: <x@y>\r\n\r\nBuy pills.\r\n")
	if p := report(6, arfMail("frank@friend.example", "forged", forged, "Source-IP: 127.0.0.1", "Original-Mail-From: <ada@example.com>")).Work.Proof; p.Grade != 0 || p.Account != "" || p.Votes != 0 {
		t.Errorf("forged: %+v", p)
	}
	transplant := bytes.ReplaceAll(sent, []byte(body), []byte("Buy pills now, cheap pills, the best pills of the whole wide world, only here and only today."))
	if p := report(7, arfMail("frank@friend.example", "transplant", transplant)).Work.Proof; p.Class != "TRANSPLANT" || p.Account != "" || p.Votes != 0 {
		t.Errorf("transplant: %+v", p)
	}
	list := runJSON[struct{ Cases []cases.Case }](t, g, 0, "case", "list", "--json").Cases
	if i := slices.IndexFunc(list, func(c cases.Case) bool { return c.Account == "ada@example.com" }); i < 0 || list[i].Votes != 100 || list[i].Reports != 5 {
		t.Errorf("the cases: %+v", list)
	}
}

// Nothing that was answered 250 is lost when the process is killed at any moment.
func TestReportsSurviveAKill(t *testing.T) {
	t.Parallel()
	b := mailtest.NewBackend(t, mailtest.Script{})
	g := start(t, plan{Backend: b.Addr()})
	taken := map[string]bool{}
	for n := range 30 {
		raw := letter(fmt.Sprint("Complaint ", n), "they send spam")
		if code, _ := g.deliver(t, "abuse@example.com", raw); code == 250 {
			taken[sum(raw)] = true
		}
		if n%10 == 9 {
			g.Kill()
			g.Start()
			g.Ready()
		}
	}
	for _, r := range complaints(t, g, len(taken)) {
		delete(taken, r.Report.SHA256)
	}
	if len(taken) != 0 {
		t.Errorf("%d reports that were answered 250 are not there", len(taken))
	}
}

// A feedback loop has an address of its own, and only observes at first.
func TestFeedbackLoop(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{Recipients: "verify"})
	g.run(t, 2, "feed", "add", "bigisp")
	g.run(t, 2, "feed", "add", "bigisp", "abuse@example.com", "friend.example")
	g.run(t, 0, "feed", "add", "bigisp", "fbl-77@example.com", "friend.example")
	if out := g.run(t, 0, "feed", "list"); !strings.Contains(out, "fbl-77@example.com") {
		t.Error(out)
	}
	g.mustDeliver(t, 250, "FBL-77@example.com", letter("A report", "x"))
	complaints(t, g, 1)
	g.run(t, 0, "feed", "remove", "bigisp")
	if _, err := os.Stat(filepath.Join(g.Dir, "state")); err != nil {
		t.Fatal(err)
	}
}
