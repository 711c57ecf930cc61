package mailtest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/internal/mailtest"
)

func TestBackendRecordsExactBytes(t *testing.T) {
	defer goleak.VerifyNone(t)
	b, err := mailtest.StartBackend("127.0.0.1:0", mailtest.Script{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	err = smtp.SendMail(b.Addr(), nil, "a@example.org", []string{"b@example.com", "c@example.com"}, []byte("Subject: x\r\n\r\n.dot\r\nend\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	tx := b.WaitTransactions(t, 1)[0]
	if tx.From != "a@example.org" || fmt.Sprint(tx.To) != "[b@example.com c@example.com]" || !tx.Complete || !tx.Accepted() {
		t.Errorf("envelope: %+v", tx)
	}
	if got := string(tx.Raw); got != "Subject: x\r\n\r\n..dot\r\nend\r\n.\r\n" {
		t.Errorf("raw %q", got)
	}
	if got := string(tx.Body); got != "Subject: x\r\n\r\n.dot\r\nend\r\n" {
		t.Errorf("body %q", got)
	}
	if fmt.Sprint(tx.FromParams) != "[BODY=8BITMIME SMTPUTF8]" || tx.BareEnds != 0 {
		t.Errorf("params %v, bare ends %d", tx.FromParams, tx.BareEnds)
	}
	if _, _, total := b.Connections(); total != 1 {
		t.Errorf("%d connections", total)
	}
}

// talk sends lines one by one and returns the replies, multi-line ones as their last line.
func talk(t *testing.T, addr string, lines ...string) []string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	var got []string
	read := func() bool {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				got = append(got, line+"EOF")
				return false
			}
			if len(line) < 4 || line[3] != '-' {
				got = append(got, strings.TrimRight(line, "\r\n"))
				return true
			}
		}
	}
	if !read() {
		return got
	}
	for _, l := range lines {
		if _, err := io.WriteString(c, l+"\r\n"); err != nil || !read() {
			return got
		}
	}
	return got
}

func TestBackendPlaysItsScript(t *testing.T) {
	for _, c := range []struct {
		name   string
		script mailtest.Script
		lines  []string
		last   string
	}{
		{"banner", mailtest.Script{Steps: map[mailtest.Point]mailtest.Step{mailtest.AtBanner: {Reply: "554 no"}}}, nil, "554 no"},
		{"closed", mailtest.Script{Steps: map[mailtest.Point]mailtest.Step{mailtest.AtBanner: {Do: mailtest.CloseSilent}}}, nil, "EOF"},
		{"half", mailtest.Script{Steps: map[mailtest.Point]mailtest.Step{mailtest.AtBanner: {Reply: "220 abcdefg", Do: mailtest.HalfThenClose}}}, nil, "220 abEOF"},
		{"mail", mailtest.Script{Steps: map[mailtest.Point]mailtest.Step{mailtest.AtMail: {Reply: "452 4.3.1 full"}}}, []string{"EHLO x", "MAIL FROM:<a@b>"}, "452 4.3.1 full"},
		{"one recipient", mailtest.Script{RcptFor: map[string]mailtest.Step{"b@b": {Reply: "550 5.1.1 no"}}}, []string{"EHLO x", "MAIL FROM:<>", "RCPT TO:<a@b>", "RCPT TO:<b@b>"}, "550 5.1.1 no"},
		{"mailboxes", mailtest.Script{Mailboxes: []string{"a@b"}}, []string{"EHLO x", "MAIL FROM:<>", "RCPT TO:<c@b>"}, "550 5.1.1 no such user here"},
		{"no recipients", mailtest.Script{Mailboxes: []string{}}, []string{"EHLO x", "MAIL FROM:<>", "RCPT TO:<c@b>", "DATA"}, "503 5.5.1 no valid recipients"},
		{"order", mailtest.Script{}, []string{"EHLO x", "RCPT TO:<c@b>"}, "503 5.5.1 MAIL first"},
		{"twice", mailtest.Script{}, []string{"EHLO x", "MAIL FROM:<a@b>", "MAIL FROM:<a@b>"}, "503 5.5.1 not now"},
		{"rset", mailtest.Script{}, []string{"EHLO x", "MAIL FROM:<a@b>", "RSET", "MAIL FROM:<a@b>"}, "250 2.1.0 ok"},
		{"lmtp", mailtest.Script{LMTP: true}, []string{"EHLO x"}, "500 5.5.1 wrong greeting for this protocol"},
		{"xclient", mailtest.Script{}, []string{"EHLO x", "XCLIENT NAME=a+2Bb ADDR=1.2.3.4", "MAIL FROM:<a@b>"}, "503 5.5.1 not now"},
		{"auth", mailtest.Script{Users: map[string]string{"u": "p"}, AuthClear: true}, []string{"EHLO x", "AUTH PLAIN AHUAcA=="}, "235 2.7.0 welcome"},
		{"auth wrong", mailtest.Script{Users: map[string]string{"u": "q"}, AuthClear: true}, []string{"EHLO x", "AUTH PLAIN AHUAcA=="}, "535 5.7.8 wrong name or password"},
		{"auth in clear", mailtest.Script{Users: map[string]string{"u": "p"}}, []string{"EHLO x", "AUTH PLAIN AHUAcA=="}, "503 5.5.1 no AUTH here"},
		{"hook", mailtest.Script{Hook: func(at mailtest.Point, conn int, arg string) (mailtest.Step, bool) {
			return mailtest.Step{Reply: fmt.Sprintf("451 %d %s", conn, arg)}, at == mailtest.AtRcpt
		}}, []string{"EHLO x", "MAIL FROM:<>", "RCPT TO:<c@b>"}, "451 1 c@b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := mailtest.NewBackend(t, c.script)
			got := talk(t, b.Addr(), c.lines...)
			if last := got[len(got)-1]; last != c.last {
				t.Errorf("got %q, want %q last", got, c.last)
			}
		})
	}
}

func TestBackendLMTPAnswersEachRecipient(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{LMTP: true, EndFor: map[string]mailtest.Step{"b@b": {Reply: "452 4.2.2 over quota"}}})
	talk(t, b.Addr(), "LHLO x", "MAIL FROM:<>", "RCPT TO:<a@b>", "RCPT TO:<b@b>", "DATA", "hi\r\n.")
	tx := b.WaitTransactions(t, 1)[0]
	if len(tx.Replies) != 2 || !strings.HasPrefix(tx.Replies[0], "250") || tx.Replies[1] != "452 4.2.2 over quota" {
		t.Errorf("replies %q", tx.Replies)
	}
}

func TestBackendKeepsWhatWasCutOff(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nhalf\n a\rline\r\n.\n")
	c.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c)
	c.Close()
	tx := b.WaitTransactions(t, 1)[0]
	if tx.Complete || tx.Accepted() || tx.BareEnds != 3 {
		t.Errorf("complete %v, bare ends %d: %+v", tx.Complete, tx.BareEnds, tx)
	}
}

func TestBackendStopsAndRestarts(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	if err := b.Restart(); err == nil {
		t.Error("restarted while running")
	}
	b.Stop()
	if c, err := net.Dial("tcp", b.Addr()); err == nil {
		c.Close()
		t.Error("a stopped backend took a connection")
	}
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := talk(t, b.Addr(), "NOOP"); got[1] != "250 2.0.0 ok" {
		t.Errorf("after restart: %q", got)
	}
}

func TestBackendDropsIdleOnly(t *testing.T) {
	b := mailtest.NewBackend(t, mailtest.Script{})
	open := func(cmds string) net.Conn {
		c, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, cmds)
		return c
	}
	open("EHLO idle\r\n")
	busy := open("EHLO x\r\nMAIL FROM:<a@b>\r\nNOOP\r\n")
	b.Wait(t, "both to have spoken", func() bool { return len(b.Lines()) == 4 })
	b.Drop(true)
	b.Wait(t, "one to be left", func() bool { o, most, _ := b.Connections(); return o == 1 && most == 2 })
	io.WriteString(busy, "RSET\r\n")
	b.Wait(t, "the other to go when its transaction ended", func() bool { o, _, _ := b.Connections(); return o == 0 })
}
