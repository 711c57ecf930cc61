package world

import (
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

func TestPostfixDelivers(t *testing.T) {
	p := StartPostfix(t, []string{"ada@example.com"})
	if err := smtp.SendMail(p.Addr, nil, "a@b.example", []string{"ada@example.com"}, []byte("Subject: x\r\n\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
	Await(t, "the mail arrives", 20*time.Second, func() bool { return len(p.Mails("ada@example.com")) == 1 })
	if err := smtp.SendMail(p.Addr, nil, "a@b.example", []string{"nobody@example.com"}, []byte("x")); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("unknown recipient: %v", err)
	}
	p.Stop()
	p.Start()
}

func TestDovecotDelivers(t *testing.T) {
	d := StartDovecot(t)
	c, err := textproto.Dial("tcp", d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func(line string, code int) {
		t.Helper()
		if line != "" {
			if err := c.PrintfLine("%s", line); err != nil {
				t.Fatal(err)
			}
		}
		if _, text, err := c.ReadResponse(code); err != nil {
			t.Fatalf("%s: %v %s", line, err, text)
		}
	}
	say("", 220)
	say("LHLO test", 250)
	say("MAIL FROM:<a@b.example>", 250)
	say("RCPT TO:<ada@example.com>", 250)
	say("RCPT TO:<full@example.com>", 250)
	say("DATA", 354)
	say("Subject: x\r\n\r\nhello\r\n.", 250)
	say("", 552)
	if n := len(d.Mails("ada@example.com")); n != 1 {
		t.Errorf("%d mails", n)
	}
}
