package e2e

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/abuse/measure"
	"postern/internal/mailtest"
	"postern/test/world"
)

// submission is a session at the Postfix of the accounts.
type submission struct {
	t *testing.T
	c *textproto.Conn
}

func signIn(t *testing.T, addr, login string) *submission {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	s := &submission{t, textproto.NewConn(c)}
	t.Cleanup(func() { _ = s.c.Close() })
	s.want(220, "")
	s.want(250, "EHLO client.example")
	s.want(235, "AUTH PLAIN "+plainSecret(login))
	return s
}

func plainSecret(login string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + login + "\x00secret"))
}

func (s *submission) say(line string) (int, string) {
	s.t.Helper()
	if line != "" {
		if err := s.c.PrintfLine("%s", line); err != nil {
			s.t.Fatal(err)
		}
	}
	code, text, err := s.c.ReadResponse(0)
	if err != nil && code == 0 {
		s.t.Fatalf("%s: %v", line, err)
	}
	return code, text
}

func (s *submission) want(code int, line string) string {
	s.t.Helper()
	got, text := s.say(line)
	if got != code {
		s.t.Fatalf("%s: %d %s", line, got, text)
	}
	return text
}

func (s *submission) message(to string) {
	s.t.Helper()
	s.want(250, "MAIL FROM:<anna@example.com>")
	s.want(250, "RCPT TO:<"+to+">")
	s.want(354, "DATA")
	s.want(250, "From: anna@example.com\r\nSubject: x\r\n\r\nx\r\n.")
}

// A measure reaches a Postfix within a second, in a session that was open, and is in force while
// the gateway is dead; Dovecot lets the account read and not send.
func TestMeasuresReachPostfixAndDovecot(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "conn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	world.ForGroup(t, dir, "dovecot")
	authPort := world.FreePort(t)
	if err := os.WriteFile(dir+"/dovecot.key", []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sasl := world.StartSASL(t, dir+"/deny.", fmt.Sprintf("127.0.0.1:%d", authPort), "s3cret")
	g, _ := startBefore(t, mailtest.Script{}, plan{More: fmt.Sprintf("abuse: {connectors: {postfix_policy: {addr: \"unix:%[1]s/policy\"}, postfix_table: {map: \"lmdb:%[1]s/suspended\", required: true}, "+
		"dovecot_deny: {prefix: %[1]s/deny., flush: [%[2]s], required: true}, dovecot_policy: {addr: \"127.0.0.1:%[3]d\", secret_file: %[1]s/dovecot.key}}}\n", dir, strings.Join(sasl.Flush(), ", "), authPort)})
	world.Await(t, "the tables are there", 10*time.Second, func() bool {
		_, a := os.Stat(dir + "/suspended.lmdb")
		_, b := os.Stat(dir + "/deny.sieve")
		return a == nil && b == nil
	})
	p := world.StartSubmission(t, sasl, "unix:"+dir+"/policy", "lmdb:"+dir+"/suspended")
	open := signIn(t, p.Addr, "anna@example.com")
	open.message("bob@example.com")
	other := signIn(t, p.Addr, "bert@example.com")
	other.message("bob@example.com")
	if !sasl.TestLogin("imap", "anna@example.com") {
		t.Error("the account cannot read before the measure")
	}

	g.run(t, 0, "account", "suspend", "--reason", "spam was proved", "anna@example.com")
	began := time.Now()
	open.want(250, "MAIL FROM:<anna@example.com>")
	if code, text := open.say("RCPT TO:<bob@example.com>"); code != 554 || !strings.Contains(text, "5.7.1") {
		t.Errorf("the open session after %v: %d %s", time.Since(began), code, text)
	}
	other.message("bob@example.com")
	list := runJSON[struct{ Measures []measure.Measure }](t, g, 0, "measure", "list", "--json").Measures
	if len(list) != 1 || list[0].State != measure.Active || len(list[0].Connectors) != 2 || !list[0].Connectors[0].Verified || !list[0].Connectors[1].Verified {
		t.Errorf("%+v", list)
	}
	if sasl.TestLogin("submission", "anna@example.com") || sasl.TestLogin("smtp", "anna@example.com") || !sasl.TestLogin("imap", "anna@example.com") {
		t.Error("Dovecot: sending is not off, or reading is")
	}

	g.Signal(syscall.SIGKILL)
	_ = g.Wait(10 * time.Second)
	open.want(250, "RSET")
	open.want(250, "MAIL FROM:<anna@example.com>")
	if code, text := open.say("RCPT TO:<bob@example.com>"); code != 554 || !strings.Contains(text, "5.7.1") {
		t.Errorf("with the gateway dead: %d %s", code, text)
	}
	other.message("bob@example.com") // mail of others flows: DUNNO

	g.Start()
	g.run(t, 0, "account", "restore", "--reason", "it was a test", "anna@example.com")
	world.Await(t, "the account sends again", 10*time.Second, func() bool {
		open.want(250, "RSET")
		open.want(250, "MAIL FROM:<anna@example.com>")
		code, _ := open.say("RCPT TO:<bob@example.com>")
		return code == 250
	})
	if !sasl.TestLogin("submission", "anna@example.com") {
		t.Error("Dovecot keeps the account out after the end of the measure")
	}
	g.run(t, 0, "account", "hold", "--reason", "looked at", "bert@example.com")
	other.message("bob@example.com")
	world.Await(t, "Postfix holds the mail", 5*time.Second, func() bool { return p.Queued("hold") == 1 })
}
