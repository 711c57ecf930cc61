package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/notice"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/noticecalls"
	"postern/internal/mailtest"
	"postern/test/world"
)

// forwarded is a person's complaint with the message attached.
func forwarded(subject string, original []byte) string {
	return fmt.Sprintf("From: Frank <frank@friend.example>\r\nTo: abuse@example.com\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@friend.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nI never asked for this.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--b--\r\n", subject, time.Now().Format(time.RFC1123Z), sum(subject)[:12], original)
}

// complained is a gateway through which ada's mail was sent and complained of by a person.
func complained(t *testing.T) (g *gateway, egress *mailtest.Backend, caseID string) {
	t.Helper()
	g, egress = outgoing(t)
	key := runJSON[calls.DKIMKey](t, g, 0, "dkim", "add", "--json", "example.com", "--selector", "one")
	if err := g.DNS.Set(key.Record.Name, "TXT "+key.Record.Text); err != nil {
		t.Fatal(err)
	}
	g.run(t, 0, "dkim", "dns", "example.com")
	c := dial(t, g.Addrs["submission"])
	if code, text := c.logIn("ada@example.com", "ada-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	raw := "From: Ada <ada@example.com>\r\nTo: Frank <frank@friend.example>\r\nSubject: Out\r\n\r\nDear all, our autumn catalogue is here with forty pages of lamps and tables.\r\n"
	if code, text := c.transaction("ada@example.com", []string{"frank@friend.example"}, raw); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	body := egress.WaitTransactions(t, 1)[0].Body
	g.mustDeliver(t, 250, "abuse@example.com", friendSigns(t, g)(forwarded("You send spam", body[bytes.Index(body, []byte("DKIM-Signature")):])))
	r := complaints(t, g, 1)[0]
	if r.Work.Proof.Account != "ada@example.com" || !r.Work.Person || len(r.Work.Cases) != 1 {
		t.Fatalf("%+v", r)
	}
	return g, egress, r.Work.Cases[0]
}

// A person writes to the reporter through drafts, the result goes out once, and what the case
// became is said of the report.
func TestPeopleDecideAndWrite(t *testing.T) {
	t.Parallel()
	g, egress, id := complained(t)
	report := complaints(t, g, 1)[0].Report.ID
	draft := runJSON[notice.Notice](t, g, 0, "notice", "draft", id, "--kind", "result", "--language", "en", "--json")
	if draft.State != notice.Drafted || draft.To != "frank@friend.example" || strings.Contains(draft.Body, "ada@example.com") {
		t.Fatalf("%+v", draft)
	}
	file := filepath.Join(t.TempDir(), "words.txt")
	for _, c := range []struct {
		words string
		code  int
	}{{"It was ada@example.com.\n", 2}, {"", 2}, {"We looked into it, and it is over.\n", 0}} {
		if err := os.WriteFile(file, []byte(c.words), 0o600); err != nil {
			t.Fatal(err)
		}
		g.run(t, c.code, "notice", "edit", draft.ID, "--file", file)
	}
	before := len(lettersTo(egress, "frank@friend.example"))
	if out := g.run(t, 0, "notice", "send", draft.ID, "--result"); !strings.Contains(out, "is sent") && !strings.Contains(out, "is queued") {
		t.Errorf("%s", out)
	}
	g.run(t, 1, "notice", "send", draft.ID)
	var letter mailtest.Transaction
	world.Await(t, "the letter", 30*time.Second, func() bool {
		for _, x := range lettersTo(egress, "frank@friend.example") {
			if strings.Contains(string(x.Body), "We looked into it, and it is over.") {
				letter = x
			}
		}
		return len(letter.To) > 0
	})
	if letter.From != "" || strings.Contains(string(letter.Body), "Auto-Submitted") || strings.Contains(string(letter.Body), "ada@example.com") {
		t.Errorf("%s", letter.Body)
	}
	shown := runJSON[casecalls.Shown](t, g, 0, "case", "show", id, "--json")
	if shown.Case.ResultAt.IsZero() || shown.Case.ResultNote != draft.ID || shown.Case.Decided.IsZero() && shown.Case.State != "TRIAGE" {
		t.Errorf("%+v", shown.Case)
	}
	other := runJSON[notice.Notice](t, g, 0, "notice", "draft", id, "--json")
	g.run(t, 2, "notice", "send", other.ID) // it says nothing yet
	g.run(t, 0, "notice", "discard", other.ID, "--reason", "nothing more to say")
	if all := runJSON[noticecalls.Page](t, g, 0, "notice", "list", "--state", "discarded", "--json").Notices; len(all) != 1 || all[0].ID != other.ID {
		t.Errorf("%+v", all)
	}

	g.run(t, 2, "complaint", "judge", report, "abusive") // without a reason
	if out := g.run(t, 0, "complaint", "show", report); !strings.Contains(out, "is not judged") {
		t.Errorf("%s", out)
	}
	g.run(t, 0, "case", "category", id, "S1")
	g.run(t, 0, "case", "state", id, "VERIFIED", "--reason", "the mail is what it is said to be")
	g.run(t, 0, "case", "state", id, "WARNED", "--reason", "the first time")
	world.Await(t, "the verdict", 30*time.Second, func() bool { return complaints(t, g, 1)[0].Work.Judged == "right" })
	if w := complaints(t, g, 1)[0].Work; w.JudgedWith != id || !strings.HasPrefix(w.JudgedBy, "uid ") {
		t.Errorf("%+v", w)
	}
	g.run(t, 0, "complaint", "judge", report, "abusive", "--reason", "made up")
	if w := complaints(t, g, 1)[0].Work; w.Judged != "abusive" || w.JudgedWith != "" {
		t.Errorf("%+v", w)
	}
	g.run(t, 0, "case", "state", id, "RESOLVED", "--reason", "the customer answered")
	world.Await(t, "the result is sent", 30*time.Second, func() bool {
		return runJSON[casecalls.Shown](t, g, 0, "case", "show", id, "--json").Case.State == "RESULT_SENT"
	})
	n := 0
	for _, x := range lettersTo(egress, "frank@friend.example")[before:] {
		if strings.Contains(string(x.Body), "found that it was right") {
			n++
		}
	}
	if out := g.run(t, 0, "audit", "list"); n != 0 || !strings.Contains(out, "complaint-judge") || !strings.Contains(out, "notice-discard") {
		t.Errorf("the result went out %d times more; %s", n, out)
	}
}
