package world

import (
	"net"
	"net/smtp"
	"os"
	"testing"
	"time"
)

// A hung Postfix takes connections and says nothing; afterwards it says what it had to.
func TestPostfixHangs(t *testing.T) {
	p := StartPostfix(t, []string{"ada@example.com"})
	p.Hang()
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if n, err := c.Read(b); err == nil {
		t.Errorf("a hung server said %q", b[:n])
	}
	p.Go()
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(b); err != nil || string(b[:n]) != "220" {
		t.Errorf("%q, %v", b[:n], err)
	}
	if err := smtp.SendMail(p.Addr, nil, "a@b.example", []string{"ada@example.com"}, []byte("x\r\n")); err != nil {
		t.Fatal(err)
	}
	p.Drained(20 * time.Second)
	if n := len(p.Mails("ada@example.com")); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestChildren(t *testing.T) {
	if got := children(t, os.Getppid()); len(got) == 0 {
		t.Error("the parent of this process has no children")
	}
	if got := children(t, 1<<30); len(got) > 0 {
		t.Errorf("a process that does not exist has children: %v", got)
	}
}
