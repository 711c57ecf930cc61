package e2e

import (
	"strings"
	"testing"
	"time"

	"postern/test/world"
)

// smuggled are the ends of data that some servers believe, and what follows them.
func smuggled() map[string]string {
	out := map[string]string{}
	for name, end := range map[string]string{
		"A01": "\n.\n", "A02": "\n.\r\n", "A03": "\r\n.\n", "A04": "\r.\r", "A05": "\r\n.\r", "A06": "\r.\r\n",
		"A07": "\r\n\x00.\r\n", "A08": "\r\n.\x00\r\n", "A09": "\r\n.\r\r\n",
	} {
		out[name] = "first" + end + "MAIL FROM:<evil@friend.example>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nsecond\r\n"
	}
	return out
}

// H-A19: Postfix lists our address as trusted and so takes bare line ends; still one message
// in is at most one message behind.
func TestHA19NothingIsSmuggledToAServerThatTrustsUs(t *testing.T) {
	t.Parallel()
	for framing, want := range map[string]int{"refuse": 550, "normalize": 250} {
		t.Run(framing, func(t *testing.T) {
			t.Parallel()
			p := world.StartPostfix(t, []string{"ada@example.com", "bob@example.com"}, "mynetworks = 127.0.0.0/8", "smtpd_forbid_bare_newline = no")
			g := start(t, plan{Backend: p.Addr, MX: ", framing: " + framing})
			for name, body := range smuggled() {
				c := dial(t, g.Addrs["mx"])
				c.comesFrom(friendIP)
				c.must(250, "MAIL FROM:<frank@friend.example>")
				c.must(250, "RCPT TO:<ada@example.com>")
				c.must(354, "DATA")
				c.send("From: frank@friend.example\r\nSubject: " + name + "\r\n\r\n" + body + ".\r\n")
				if code, text := c.read(); code != want {
					t.Errorf("%s: %d %s, want %d", name, code, text, want)
				}
				c.must(221, "QUIT")
			}
			if want == 250 {
				world.Await(t, "each message arrives", 30*time.Second, func() bool { return len(p.Mails("ada@example.com")) == len(smuggled()) })
			}
			p.Drained(30 * time.Second)
			if got := p.Mails("bob@example.com"); len(got) != 0 {
				t.Errorf("%d messages were smuggled: %q", len(got), got[0])
			}
			if n := len(p.Mails("ada@example.com")); n != 0 && n != len(smuggled()) || want == 550 && n != 0 {
				t.Errorf("%d messages arrived", n)
			}
			if strings.Contains(p.Log(), "evil@friend.example") {
				t.Error("Postfix saw a smuggled command")
			}
		})
	}
}
