package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/figures"
	"postern/abuse/cases/flow"
	"postern/abuse/notice"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/noticecalls"
	"postern/internal/alert"
	"postern/internal/mailtest"
	"postern/test/world"
)

// clockAt is a clock that says when.
func clockAt(t *testing.T, when time.Time) *world.Clock {
	t.Helper()
	c := world.NewClock(t)
	c.Set(time.Until(when))
	return c
}

// shown is a case with all that one sees at once.
func (n *node) shown(id string) casecalls.Shown {
	n.t.Helper()
	return told[casecalls.Shown](n, "case.show", casecalls.Paging{ID: id})
}

// firstDue is when the first decision of a case is due.
func firstDue(t *testing.T, c cases.Case) flow.Clock {
	t.Helper()
	k := c.Clock(flow.First)
	if k == nil {
		t.Fatalf("%s has no clock of the first decision: %+v", c.ID, c.Clocks)
	}
	return *k
}

// A complaint of a Friday evening before the Spring Festival is due on the Saturday that is worked
// in its place; who edits the calendar later moves no deadline that was given.
func TestScenario23DeadlineOverAMakeUpDay(t *testing.T) {
	t.Parallel()
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	friday := time.Date(2026, 2, 13, 17, 30, 0, 0, shanghai)
	saturday, after := friday.AddDate(0, 0, 1), friday.AddDate(0, 0, 11)
	bothHomes(t, func(t *testing.T, redis bool) {
		n := prepare(t, plan{Redis: redis, Clock: clockAt(t, friday), Abuse: "calendar: {dir: DIR/calendar}", Out: mailtest.Script{}})
		n.WriteFile("calendar/teams.yaml", "teams:\n  - {name: desk, calendar: china, zone: Asia/Shanghai, hours: [{from: \"09:00\", to: \"18:00\"}]}\n")
		n.serve()
		if out := n.command("calendar", "due", "--from", friday.Format(time.RFC3339)); !strings.Contains(out, "Sat 2026-02-14 17:30") {
			t.Errorf("%s", out)
		}
		n.publishes("example.com", "one")
		s := n.signIn("anna@example.com", ownIP)
		copyOf := n.goes(s, "anna@example.com", []string{"li@isp.example"}, n.letter("Anna <anna@example.com>", "li@isp.example", "Our catalogue", catalogue))
		n.reports(0, "li@isp.example", world.ARF(n.Clock.Now(), "li@isp.example", "spam", copyOf))
		c := n.caseOf("anna@example.com")
		given := firstDue(t, c)
		// The machine may have stood still between the setting of the clock and the report.
		if late := c.Opened.Sub(friday); given.Due().Sub(saturday) != late || late < 0 || late > 20*time.Minute {
			t.Fatalf("received %s, due %s", c.Opened.In(shanghai), given.Due().In(shanghai))
		}
		if given.Calendar == "" || given.Unsure {
			t.Errorf("%+v", given)
		}

		days, err := os.ReadFile(filepath.Join(mailtest.ModuleRoot(t), "abuse/calendar/data/china.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		made := "      - {day: 2026-02-14, name: made up for Spring Festival}\n"
		if !strings.Contains(string(days), made) {
			t.Fatal("the calendar has no such day")
		}
		n.WriteFile("calendar/china.yaml", strings.Replace(string(days), made, "", 1))
		n.call("reload", nil, nil)
		if out := n.command("calendar", "due", "--from", friday.Format(time.RFC3339)); !strings.Contains(out, "Tue 2026-02-24 17:30") {
			t.Errorf("the edited calendar: %s", out)
		}
		for _, what := range []string{"after the edit", "after a restart"} {
			if got := firstDue(t, n.shown(c.ID).Case); !got.Due().Equal(given.Due()) || got.Calendar != given.Calendar || got.Marks != given.Marks {
				t.Errorf("%s: %+v, given was %+v", what, got, given)
			}
			if err := n.Stop(); err != nil {
				t.Fatal(err)
			}
			n.serve()
		}
		other := n.signIn("bert@example.com", ownIP)
		copyOf = n.goes(other, "bert@example.com", []string{"li@isp.example"}, n.letter("Bert <bert@example.com>", "li@isp.example", "Another one", strings.ToUpper(catalogue)))
		n.reports(1, "li@isp.example", world.ARF(n.Clock.Now(), "li@isp.example", "spam again", copyOf))
		if c := n.caseOf("bert@example.com"); firstDue(t, c).Due().Sub(after) != c.Opened.Sub(friday) || firstDue(t, c).Calendar == given.Calendar {
			t.Errorf("a new one is due %s by %q", firstDue(t, c).Due().In(shanghai), firstDue(t, c).Calendar)
		}
	})
}

// forwardOf is a person's own complaint with the message attached.
func (n *node) forwardOf(from string, original []byte) string {
	return fmt.Sprintf("From: <%s>\r\nTo: abuse@example.com\r\nSubject: This is spam\r\nDate: %s\r\nMessage-ID: <%s@made.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nI never asked for this.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--b--\r\n", from, n.Clock.Now().Format(time.RFC1123Z), sum(from)[:12], original)
}

// A person who complained hears the result within 72 hours, or people are told: half way, at 80 %,
// and when it is too late; the letter lies ready, and says nothing of the customer.
func TestScenario24ResultIsDueAfterThreeDays(t *testing.T) {
	t.Parallel()
	// A Monday to come: what strangers sign is dated by the machine.
	monday := time.Now().UTC().Truncate(24 * time.Hour).Add(10 * time.Hour)
	for monday = monday.AddDate(0, 0, 1); monday.Weekday() != time.Monday; {
		monday = monday.AddDate(0, 0, 1)
	}
	bothHomes(t, func(t *testing.T, redis bool) {
		n, copyOf := sent(t, plan{Redis: redis, Clock: clockAt(t, monday)}, "ivan@isp.example")
		n.reports(0, "ivan@isp.example", n.forwardOf("ivan@isp.example", copyOf))
		c := n.caseOf("anna@example.com")
		due := c.Clock(flow.Result)
		if !c.Person || due == nil || due.Due().Sub(c.Opened) != 72*time.Hour {
			t.Fatalf("%+v", c)
		}
		saidOf := func(percent int) bool {
			return slices.ContainsFunc(n.shown(c.ID).Timeline, func(e cases.Event) bool {
				return e.Data["clock"] == string(flow.Result) && e.Data["percent"] == fmt.Sprint(percent)
			})
		}
		alerted := func(word string) bool {
			return slices.ContainsFunc(n.alerts(), func(a alert.Alert) bool {
				return strings.Contains(a.Summary+a.Detail, c.ID) && strings.Contains(a.Summary+a.Detail, word)
			})
		}
		until := func(at time.Time) { n.pass(max(at.Sub(n.Clock.Now()), 0)) }
		const near = 30 * time.Minute // the machine's own time goes on beside ours
		for _, mark := range []struct {
			percent int
			after   time.Duration
			word    string
		}{{50, 36 * time.Hour, "50 % of T_result"}, {80, 57*time.Hour + 36*time.Minute, "80 % of T_result"}, {100, 72 * time.Hour, "T_result ran out"}} {
			until(c.Opened.Add(mark.after - near))
			if n.Clock.Now().Before(c.Opened.Add(mark.after)) && (saidOf(mark.percent) || alerted(mark.word)) {
				t.Errorf("%d %% is said before %v", mark.percent, mark.after)
			}
			until(c.Opened.Add(mark.after + time.Second))
			if !saidOf(mark.percent) || !alerted(mark.word) {
				t.Errorf("%d %% is not said after %v: %+v", mark.percent, mark.after, n.alerts())
			}
		}
		breach := told[casecalls.Page](n, "case.list", cases.Search{View: "breach", Limit: 100}).Cases
		if !slices.ContainsFunc(breach, func(b cases.Case) bool { return b.ID == c.ID }) {
			t.Errorf("the list of breaches has %+v", breach)
		}
		f := told[figures.Figures](n, "case.figures", casecalls.Period{From: monday.Add(-time.Hour), To: n.Clock.Now()})
		if f.Late[string(flow.Result)] != 1 || f.ResultIn72 == nil || f.ResultIn72.Part != 0 || f.ResultIn72.Of != 1 {
			t.Errorf("the figures: late %v, within 72 h %+v", f.Late, f.ResultIn72)
		}

		letters := told[noticecalls.Page](n, "notice.list", noticecalls.Query{Case: c.ID}).Notices
		i := slices.IndexFunc(letters, func(l notice.Notice) bool { return l.State == notice.Drafted && l.To == "ivan@isp.example" })
		if i < 0 {
			t.Fatalf("no draft of the result lies ready: %+v", letters)
		}
		before := len(n.lettersTo("ivan@isp.example"))
		n.call("notice.send", noticecalls.Work{ID: letters[i].ID, Result: true}, nil)
		n.await("the result goes out", func() bool { return len(n.lettersTo("ivan@isp.example")) > before })
		m := n.lettersTo("ivan@isp.example")[before]
		text := letters[i].Body + fmt.Sprint(m.Header)
		for _, secret := range []string{"anna", "203.0.113.7", "catalogue", "laptop"} {
			if strings.Contains(strings.ToLower(text), secret) {
				t.Errorf("the letter tells of the customer: %q in\n%s", secret, text)
			}
		}
		if got := n.shown(c.ID).Case; got.ResultAt.IsZero() || got.Barred {
			t.Errorf("the case does not know that the result was sent: %+v", got)
		}
	})
}
