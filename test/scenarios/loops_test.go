package scenarios

import (
	"fmt"
	"net/smtp"
	"os"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/intakecalls"
	"postern/internal/mailtest"
	"postern/internal/relay/outbox"
	"postern/test/rig"
)

// A server behind that is ourselves, and two gateways that hand on to each other: the third pass
// ends it, and nobody writes a report about it.
func TestHM01LoopsEndAtTheThirdPass(t *testing.T) {
	t.Parallel()
	const nowhere = "127.0.0.1:9"
	behind := func(r *rig.Rig, addr string) {
		t.Helper()
		text, err := os.ReadFile(r.Config)
		if err != nil {
			t.Fatal(err)
		}
		r.Write(strings.NewReplacer(nowhere, addr, "recipients: verify", "recipients: any").Replace(string(text)))
	}
	first, second := rig.New(t, rig.Options{Behind: nowhere}), rig.New(t, rig.Options{Behind: nowhere, Hostname: "mx2.example.com"})
	alone := rig.New(t, rig.Options{Behind: nowhere, Hostname: "mx3.example.com"})
	behind(first, second.Addr)
	behind(second, first.Addr)
	behind(alone, alone.Addr)
	for _, r := range []*rig.Rig{first, second, alone} {
		r.Start()
		r.Ready()
	}
	for name, r := range map[string]*rig.Rig{"back to back": first, "before itself": alone} {
		c, err := smtp.Dial(r.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s := &session{n: &node{t: t}, Client: c}
		if err := c.Hello("load.example"); err != nil {
			t.Fatal(err)
		}
		code, text := s.send(rig.From, []string{rig.Ada}, "From: load@sender.example\r\nSubject: round and round\r\nMessage-ID: <loop@sender.example>\r\n\r\nhello\r\n")
		if code != 554 || !strings.Contains(text, "loop") {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	for _, r := range []*rig.Rig{first, second, alone} {
		if kept := r.Kept(); len(kept) != 0 {
			t.Errorf("%+v is kept", kept)
		}
	}
}

// What is answered by a machine is never answered by ours: not its answers, not lists, not
// bounces, not the acknowledgement of an acknowledgement.
func TestHM02NoAnswerToAnswers(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis, Abuse: "answers: {zone: UTC, name: Example abuse desk}"})
		const bob = "bob@isp.example"
		n.writes(bob, "abuse@example.com", n.letter(bob, "abuse@example.com", "Spam from you", "I got spam from ann@example.com, please stop it"))
		n.complaints(1)
		n.await("the one answer that is owed", func() bool { return len(n.lettersTo(bob)) == 1 })
		letter := n.lettersTo(bob)[0]
		alias, id := letter.Header.Get("Reply-To"), letter.Header.Get("Message-ID")
		reply := func(fields, to, subject string) string {
			return fields + n.letter(bob, to, subject, "We received your report and look into it: "+subject)
		}
		for i, raw := range []string{
			reply("Auto-Submitted: auto-replied\r\nIn-Reply-To: "+id+"\r\n", alias, "Re: "+letter.Header.Get("Subject")),
			reply("Auto-Submitted: auto-generated\r\n", alias, "Ticket opened"),
			reply("X-Auto-Response-Suppress: All\r\nPrecedence: bulk\r\n", alias, "Out of office"),
			reply("List-Id: <l.isp.example>\r\nList-Post: <mailto:l@isp.example>\r\n", "abuse@example.com", "On the list"),
			reply("Precedence: list\r\n", "abuse@example.com", "On the other list"),
		} {
			to := "abuse@example.com"
			if i < 3 {
				to = strings.Trim(alias, "<>")
			}
			n.writes(bob, to, raw)
		}
		bounce := "From: MAILER-DAEMON@isp.example\r\nTo: <>\r\nSubject: Undelivered\r\nAuto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
			"Reporting-MTA: dns; isp.example\r\n\r\nFinal-Recipient: rfc822; " + bob + "\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: " + id + "\r\n\r\n--b--\r\n"
		for _, to := range []string{"abuse@example.com", strings.Trim(alias, "<>"), "postmaster@example.com"} {
			if code, text := n.forges("192.0.2.66:40002", "", to, bounce); code/100 != 2 && code/100 != 5 {
				t.Errorf("a bounce to %s: %d %s", to, code, text)
			}
		}
		n.await("all is worked on", func() bool {
			return len(told[intakecalls.Page](n, "complaint.list", intakecalls.Query{State: "new", Limit: 1}).Complaints) == 0
		})
		n.pass(time.Hour)
		if all := n.lettersTo(bob); len(all) != 1 {
			for _, m := range all {
				t.Errorf("written: %v", m.Header)
			}
		}
		for _, b := range []*mailtest.Backend{n.In, n.Out} {
			for _, x := range b.Transactions() {
				if x.From == "" && (len(x.To) != 1 || x.To[0] != bob) && x.To[0] != "postmaster@example.com" {
					t.Errorf("a letter to %v", x.To)
				}
			}
		}
		n.quiet()
	})
}

// quiet checks that nothing waits to go out.
func (n *node) quiet() {
	n.t.Helper()
	if owed := told[[]outbox.Entry](n, "outbox.list", map[string]int{"limit": 100}); len(owed) != 0 {
		n.t.Errorf("owed: %+v", owed)
	}
}

// Spam and viruses with forged senders: refused, held or refused by the server behind, none of it
// makes a report to somebody who did not send it.
func TestHM03NoReportsToForgedSenders(t *testing.T) {
	t.Parallel()
	clamd := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	n := start(t, plan{ClamAV: clamd.Endpoint, Rules: pills, In: mailtest.Script{RcptFor: map[string]mailtest.Step{
		"gone@example.com": {Reply: "550 5.1.1 no such user"}, "full@example.com": {Reply: "452 4.2.2 over quota"},
	}}})
	codes := map[int]int{}
	for i := range many(10_000, 80) {
		from := fmt.Sprintf("victim%d@victims.example", i)
		raw := n.letter(from, "ada@example.com", fmt.Sprint("Offer ", i), []string{"buy cheap pills", "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X", string(mailtest.EICAR()), "hello"}[i%4])
		to := []string{"ada@example.com", "gone@example.com", "bert@example.com", "full@example.com", "nobody@nowhere.example"}[i%5]
		code, _ := n.forges(fmt.Sprintf("198.51.%d.%d:4000", i%100, i%250), from, to, raw)
		codes[code]++
	}
	t.Logf("answers: %v", codes)
	n.due()
	n.pass(24 * time.Hour)
	for _, b := range []*mailtest.Backend{n.In, n.Out} {
		for _, x := range b.Transactions() {
			if x.From == "" || strings.Contains(strings.Join(x.To, " "), "victims.example") {
				t.Errorf("a report from <%s> to %v", x.From, x.To)
			}
		}
	}
	for _, e := range told[[]outbox.Entry](n, "outbox.list", map[string]int{"limit": 1000}) {
		if e.From == "" {
			t.Errorf("a report is owed: %+v", e)
		}
	}
	if codes[250]+codes[550]+codes[554] == 0 {
		t.Errorf("%v", codes)
	}
}
