package scenarios

import (
	"bytes"
	"database/sql"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	_ "modernc.org/sqlite" // to edit the audit as somebody with a shell would

	"postern/abuse/cases/figures"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/intakecalls"
)

// Evidence in old charsets is readable, declared or not, and stays as it came.
func TestScenario30EvidenceIsReadable(t *testing.T) {
	t.Parallel()
	bothHomes(t, func(t *testing.T, redis bool) {
		n := start(t, plan{Redis: redis})
		const words = "您好，我收到了来自贵公司用户的垃圾邮件，请尽快处理。谢谢。"
		const russian = "Здравствуйте, от вашего пользователя приходит спам, примите меры, пожалуйста."
		const greek = "Καλησπέρα, λαμβάνω ανεπιθύμητα μηνύματα από τον χρήστη σας, σταματήστε το παρακαλώ."
		taken := 0
		for _, c := range []struct {
			name, text string
			enc        encoding.Encoding
		}{
			{"gbk", words, simplifiedchinese.GBK}, {"koi8-r", russian, charmap.KOI8R}, {"iso-8859-7", greek, charmap.ISO8859_7},
			{"big5", "您好，我收到了貴公司用戶寄來的垃圾郵件，請盡快處理。謝謝。", traditionalchinese.Big5}, {"windows-1251", russian, charmap.Windows1251},
		} {
			for _, declared := range []bool{true, false} {
				body, err := c.enc.NewEncoder().String(c.text)
				if err != nil {
					t.Fatal(err)
				}
				kind := "text/plain"
				if declared {
					kind += "; charset=" + c.name
				}
				from := fmt.Sprintf("%s-%v@isp.example", c.name, declared)
				raw := n.letter(from, "abuse@example.com", "spam", "x")
				raw = strings.Replace(raw, "text/plain; charset=utf-8", kind+"\r\nContent-Transfer-Encoding: 8bit", 1)
				raw = strings.Replace(raw, "\r\n\r\nx\r\n", "\r\n\r\n"+strings.Repeat(body+"\r\n", 3), 1)
				if code, text := n.forges("192.0.2.66:4000", from, "abuse@example.com", raw); code != 250 {
					t.Fatalf("%s: %d %s", from, code, text)
				}
				taken++
				id := n.complaints(taken)[0].Report.ID
				v := told[intakecalls.View](n, "complaint.view", intakecalls.ID{ID: id})
				if !strings.Contains(v.Report.Text, c.text) {
					t.Errorf("%s, declared %v, read as %v:\n%s", c.name, declared, v.Report.Charsets, v.Report.Text)
				}
				if out := n.command("complaint", "view", id); declared && !strings.Contains(out, c.text) {
					t.Errorf("%s: the command shows\n%s", c.name, out)
				}
				stored := told[intakecalls.Raw](n, "complaint.raw", intakecalls.ID{ID: id}).Bytes
				if string(stored) != raw || sum(string(stored)) != v.SHA256 || !bytes.Contains(stored, []byte(body)) {
					t.Errorf("%s: %d octets are kept of %d, with the hash %s", c.name, len(stored), len(raw), v.SHA256)
				}
			}
		}
	})
}

// Who edits a row of the audit is found out, by its number.
func TestScenario30AuditNamesTheBrokenEntry(t *testing.T) {
	t.Parallel()
	n := start(t, plan{})
	for i := range 5 {
		n.command("account", "suspend", "--reason", fmt.Sprintf("reason %d", i), fmt.Sprintf("a%d@example.com", i))
	}
	if out := n.command("audit", "verify"); !strings.Contains(out, "unbroken") {
		t.Fatal(out)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(n.State, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	var seq int64
	if err := db.QueryRow(`SELECT seq FROM audit WHERE entry LIKE '%reason 2%' ORDER BY seq LIMIT 1`).Scan(&seq); err != nil {
		t.Fatal(err)
	}
	edit := func() error {
		_, err := db.Exec(`UPDATE audit SET entry = replace(entry, 'reason 2', 'reason 9') WHERE seq = ?`, seq)
		return err
	}
	if err := edit(); err == nil || !strings.Contains(err.Error(), "the audit only grows") {
		t.Errorf("the table itself lets it be edited: %v", err)
	}
	if _, err := db.Exec(`DROP TRIGGER audit_stays`); err != nil { // who wants to, can
		t.Fatal(err)
	}
	if err := edit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	n.serve()
	out, errs, code := n.Run("audit", "verify")
	if code != 1 || !strings.Contains(out+errs, fmt.Sprintf("entry %d", seq)) {
		t.Errorf("exit %d, entry %d was edited: %s%s", code, seq, out, errs)
	}
}

// Answers after two, four and six hours make a first response time of four: their sum through
// their number.
func TestScenario30FirstResponseTime(t *testing.T) {
	t.Parallel()
	n := start(t, plan{})
	n.publishes("example.com", "one")
	began := n.Clock.Now()
	var ids []string
	for i, name := range []string{"anna", "bert", "ada"} {
		account, reader := name+"@example.com", fmt.Sprintf("reader%d@isp.example", i)
		copyOf := n.goes(n.signIn(account, ownIP), account, []string{reader}, n.letter("<"+account+">", reader, "Our catalogue", fmt.Sprint(name, " ", catalogue)))
		n.reports(i, reader, n.forwardOf(reader, copyOf))
		ids = append(ids, n.caseOf(account).ID)
	}
	var want time.Duration
	for _, id := range ids {
		n.pass(2 * time.Hour)
		n.call("case.answer", casecalls.Work{ID: id, Notice: "by telephone"}, nil)
		c := n.shown(id).Case
		want += c.Decided.Sub(c.Opened)
	}
	f := told[figures.Figures](n, "case.figures", casecalls.Period{From: began.Add(-time.Minute), To: n.Clock.Now()})
	if f.First == nil || f.First.Count != 3 {
		t.Fatalf("%+v", f)
	}
	// Besides the twelve hours there are the moments in which the machine did its work.
	spent := want - 12*time.Hour
	t.Logf("first response time %v s of %d answers, with %v for the work itself", f.First.Mean, f.First.Count, spent)
	if math.Abs(f.First.Sum-want.Seconds()) > 0.001 || math.Abs(f.First.Mean*3-f.First.Sum) > 0.001 || spent < 0 || math.Abs(f.First.Mean-spent.Seconds()/3-4*3600) > 0.001 {
		t.Errorf("%+v, the cases say %v", f.First, want)
	}
}
