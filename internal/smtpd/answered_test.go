package smtpd_test

import (
	"testing"
	"time"
)

// A client that sends anything after our answer has read it; one whose connection ends
// without may not have.
func TestWhetherTheAnswerWasRead(t *testing.T) {
	for name, c := range map[string]struct {
		then func(c *client)
		want bool
	}{
		"quit":         {func(c *client) { c.cmd("QUIT", "221") }, true},
		"next mail":    {func(c *client) { c.cmd("MAIL FROM:<b@sender.test>", "250") }, true},
		"reset":        {func(c *client) { c.cmd("RSET", "250") }, true},
		"gone":         {func(c *client) { c.conn.Close() }, false},
		"half a word":  {func(c *client) { c.send("QU"); c.conn.Close() }, false},
		"noop, silent": {func(c *client) { c.cmd("NOOP", "250"); c.conn.Close() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			conn := w.dial()
			conn.cmd("EHLO client.test", "250")
			conn.mail()
			conn.cmd("DATA", "354")
			conn.send("Subject: x\r\n\r\nhello\r\n.\r\n")
			conn.want("250")
			select {
			case read := <-w.read:
				t.Fatalf("settled (%v) before the client did anything", read)
			default:
			}
			c.then(conn)
			select {
			case read := <-w.read:
				if read != c.want {
					t.Errorf("read %v, want %v", read, c.want)
				}
			case <-time.After(patience):
				t.Error("never settled")
			}
		})
	}
}
