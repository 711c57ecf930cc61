package scenarios

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases/flow"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/intakecalls"
	"postern/internal/mailtest"
)

// Scenario 1: whatever comes to abuse@ of a hosted domain is taken, however it is written, kept
// byte for byte, made harmless for people, and becomes a case.
func TestScenario01AbuseTakesWhateverComes(t *testing.T) {
	t.Parallel()
	c := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis, ClamAV: c.Endpoint, Domains: []string{"x.test"}, Abuse: "intake: {copy_to: team@example.com}"})
		eicar := base64.StdEncoding.EncodeToString(mailtest.EICAR())
		raw := n.signed("frank@friend.example", "From: frank@friend.example\r\nTo: aBuSe@x.test\r\nSubject: Look at this\r\nDate: "+n.Clock.Now().Format(time.RFC1123Z)+"\r\nMessage-ID: <one@friend.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
			"--b\r\nContent-Type: text/plain\r\n\r\nThis came to me: "+gtube+"\r\n--b\r\nContent-Type: application/octet-stream; name=a.com\r\nContent-Transfer-Encoding: base64\r\n\r\n"+eicar+"\r\n--b--\r\n")
		s := n.dial("mx", strangerIP+":40000")
		_ = s.Hello("mail.friend.example")
		s.must("frank@friend.example", []string{"aBuSe@x.test"}, raw)
		got := n.complaints(1)[0]
		if len(got.Work.Cases) != 1 || got.Report.SHA256 != sum(raw) {
			t.Fatalf("%+v", got)
		}
		if kept := told[intakecalls.Raw](n, "complaint.raw", intakecalls.ID{ID: got.Report.ID}).Bytes; string(kept) != raw {
			t.Errorf("%d octets are kept of %d", len(kept), len(raw))
		}
		shown := told[casecalls.Shown](n, "case.show", casecalls.Paging{ID: got.Work.Cases[0]})
		if !shown.Case.Opened.Equal(got.Report.At) && shown.Case.Opened.Sub(got.Report.At) > patience {
			t.Errorf("the case is of %v, the report of %v", shown.Case.Opened, got.Report.At)
		}
		safe := n.In.WaitTransactions(t, 1)
		if len(safe) != 1 || safe[0].To[0] != "team@example.com" || strings.Contains(string(safe[0].Body), eicar[:40]) || strings.Contains(string(safe[0].Body), "application/octet-stream") {
			t.Errorf("people see %d\n%s", len(safe), safe[0].Body)
		}
	})
}

// gtube is what every scanner calls spam.
const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

// Scenario 2: a person whose mail is proved hears within five minutes, in the language of the
// report, under which ticket it is and until when something happens.
func TestScenario02OneAcknowledgement(t *testing.T) {
	t.Parallel()
	words := map[string]string{
		"en": "I did not ask for this mail and want you to stop it, please.", "zh": "我没有订阅这些邮件,请你们立即停止发送,谢谢。",
		"ru": "Я не просил присылать мне эти письма, пожалуйста, прекратите рассылку.", "el": "Δεν ζήτησα αυτά τα μηνύματα, παρακαλώ σταματήστε την αποστολή τους.",
	}
	says := map[string]string{"en": "We received your report", "zh": "举报", "ru": "Жалоба", "el": "αναφορά"}
	n, copyOf := sent(t, plan{Abuse: `answers: {zone: Asia/Shanghai, hours: "Mon-Fri 09:00-18:00", name: The abuse desk}`}, "en@isp.example", "zh@isp.example", "ru@isp.example", "el@isp.example")
	for language, text := range words {
		person := language + "@" + language + ".example"
		n.writes(person, "abuse@example.com", n.forward(person, "A complaint", text, copyOf))
		var all []*mail.Message
		n.await("an answer in "+language, func() bool { all = n.lettersTo(person); return len(all) > 0 })
		got := all[0]
		subject, _ := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		ticket := regexp.MustCompile(`^\[A-\d{4}-\d{6}\]`).FindString(subject)
		body := text8(t, got)
		c := told[casecalls.Shown](n, "case.show", casecalls.Paging{ID: strings.Trim(ticket, "[]")}).Case
		shanghai := time.FixedZone("", 8*3600)
		for _, due := range []flow.Name{flow.First, flow.Result} {
			if at := c.Clock(due).Due().In(shanghai).Format("15:04"); !strings.Contains(body, at) {
				t.Errorf("%s: %s is not due at %s in\n%s", language, due, at, body)
			}
		}
		if ticket == "" || got.Header.Get("Auto-Submitted") != "auto-replied" || !strings.Contains(body, "09:00-18:00") || !strings.Contains(body, says[language]) || strings.Contains(body, "anna") {
			t.Errorf("%s: %s %v\n%s", language, subject, got.Header, body)
		}
		if took := answered(n, got).Sub(c.Opened); took > 5*time.Minute {
			t.Errorf("%s: answered after %v", language, took)
		}
	}
	n.pass(24 * time.Hour)
	for language := range words {
		if all := n.lettersTo(language + "@" + language + ".example"); len(all) != 1 {
			t.Errorf("%s: %d letters", language, len(all))
		}
	}
}

// answered is when a letter was written.
func answered(n *node, m *mail.Message) time.Time {
	n.t.Helper()
	at, err := m.Header.Date()
	if err != nil {
		n.t.Fatal(err)
	}
	return at
}

// text8 is the text of a letter in one part.
func text8(t *testing.T, m *mail.Message) string {
	t.Helper()
	in := m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		in = quotedprintable.NewReader(in)
	}
	b, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Scenario 3: robots, bounces and senders whom nothing proves make a case, and get no answer.
func TestScenario03NoAnswerToRobots(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis})
		const text = "I got spam from anna@example.com and want you to stop it"
		send := func(from, raw string) {
			t.Helper()
			if code, said := n.forges("192.0.2.66:4000", from, "abuse@example.com", raw); code != 250 {
				t.Fatalf("from <%s>: %d %s", from, code, said)
			}
		}
		send("", n.signed("a@null.example", n.letter("A <a@null.example>", "abuse@example.com", "From nobody", text)))
		send("b@fails.example", n.letter("B <b@fails.example>", "abuse@example.com", "Neither SPF nor DKIM", text))
		robot := n.letter("C <c@robot.example>", "abuse@example.com", "A program", text)
		n.writes("c@robot.example", "abuse@example.com", strings.Replace(robot, "MIME-Version", "Auto-Submitted: auto-generated\r\nMIME-Version", 1))
		for _, c := range n.complaints(3) {
			if len(c.Work.Cases) != 1 {
				t.Errorf("no case for %+v", c)
			}
		}
		n.pass(24 * time.Hour)
		for _, to := range []string{"a@null.example", "b@fails.example", "c@robot.example", ""} {
			if all := n.lettersTo(to); len(all) != 0 {
				t.Errorf("%d letters to <%s>", len(all), to)
			}
		}
	})
}

// Scenario 4: a desk that answers whatever we write, and in no manners, hears from us once in
// 24 hours.
func TestScenario04TwoDesks(t *testing.T) {
	t.Parallel()
	n, copyOf := sent(t, plan{}, "rcpt@isp.example")
	const other = "abuse@desk.example"
	told := 0
	ask := func(to string) {
		told++
		n.writes(other, to, n.forward(other, fmt.Sprint("We received your report ", told), fmt.Sprint("Thank you for report ", told, ", we look into it."), copyOf))
	}
	for day := range 2 {
		to := "abuse@example.com"
		for range 50 {
			ask(to)
			if all := n.lettersTo(other); len(all) > 0 {
				to = all[len(all)-1].Header.Get("Reply-To")
			}
		}
		n.complaints(told)
		n.due()
		if all := n.lettersTo(other); len(all) > day+1 {
			t.Errorf("after %d messages we have written %d", told, len(all))
		}
		n.pass(25 * time.Hour)
	}
	if all := n.lettersTo(other); len(all) == 0 {
		t.Error("we have never answered")
	}
}

// Two of our desks: neither answers what the other one writes by itself.
func TestTwoOfOurDesks(t *testing.T) {
	t.Parallel()
	a, copyOf := sent(t, plan{}, "rcpt@isp.example")
	b := start(t, plan{Hostname: "mx1.desk.example", Domains: []string{"desk.example"}, DNS: a.DNS, Clock: a.Clock})
	a.writes("abuse@desk.example", "abuse@example.com", a.forward("abuse@desk.example", "Spam from you", "Please look at this mail of one of your users.", copyOf))
	a.await("the first desk answers", func() bool { return len(a.lettersTo("abuse@desk.example")) > 0 })
	for _, x := range a.Out.Transactions() {
		if x.From != "" {
			continue
		}
		s := b.dial("mx", strangerIP+":40000")
		_ = s.Hello("mail.example.com")
		s.must("", x.To, string(x.Body))
	}
	b.complaints(1)
	b.pass(24 * time.Hour)
	if all := append(b.In.Transactions(), b.Out.Transactions()...); len(all) != 0 {
		t.Errorf("the second desk wrote %d letters", len(all))
	}
}
