package smtpd_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/limit"
	"postern/rules"
)

// defaults are the embedded rules, loaded once: a Set never changes.
var defaults = sync.OnceValues(func() (*rules.Set, error) { return rules.Load() })

// judged puts the default rules behind the server.
func judged(t testing.TB, w *world) {
	t.Helper()
	set, err := defaults()
	if err != nil {
		t.Fatal(err)
	}
	w.judge, w.policy = set.Judge, set.PolicyFor
}

// limited counts with a limiter as the gateway does, for clients that a PROXY header names.
func limited(t testing.TB, cfg limit.Config) *world {
	t.Helper()
	return start(t, func(w *world) {
		judged(t, w)
		w.limiter = limit.New(cfg, w.now)
		w.l.ProxyFrom = loopback
		w.cfg.Limits.Errors = 1000
		w.steps = []filter.Step{
			{Name: "limits", Stage: filter.OnSender, Check: w.limiter.Sender()},
			{Name: "limits", Stage: filter.OnRecipient, Check: w.limiter.Recipient()},
		}
	})
}

// as is a session of the client with that address.
func (w *world) as(ip string) *client {
	w.t.Helper()
	family, to := "TCP4", "192.0.2.200"
	if strings.Contains(ip, ":") {
		family, to = "TCP6", "2001:db8:ffff::1"
	}
	c := w.raw()
	c.send("PROXY " + family + " " + ip + " " + to + " 1000 25\r\n")
	c.want("220")
	c.cmd("EHLO client.test", "250")
	return c
}

// answers wants a recipient of this client to be answered so.
func (w *world) answers(ip, want string) {
	w.t.Helper()
	c := w.as(ip)
	c.cmd("MAIL FROM:<a@sender.test>", "250")
	c.cmd("RCPT TO:<to@example.com>", want)
	c.cmd("QUIT", "221")
}

const tooMany = "451 4.7.1 Too many refused commands and messages from this host, please try again later (ref "

// Each kind of refusal counts once, whoever tells of it: five are let pass, the sixth is over.
func TestRefusalsAreCounted(t *testing.T) {
	open := []string{"MAIL FROM:<a@sender.test>", "RCPT TO:<to@example.com>"}
	for name, c := range map[string]struct {
		once, each []string // said first, and six times
		want       string   // the answer to the last line of each
	}{
		"unknown command":     {nil, []string{"FOO"}, "500"},
		"not implemented":     {nil, []string{"BDAT 1 LAST"}, "502"},
		"bad sequence":        {nil, []string{"RCPT TO:<a@example.com>"}, "503"},
		"bad sender":          {nil, []string{"MAIL FROM:<a..b@>"}, "501"},
		"too large, said":     {nil, []string{"MAIL FROM:<a@sender.test> SIZE=99999999999"}, "552"},
		"bad parameter":       {nil, []string{"MAIL FROM:<a@sender.test> RET=HDRS"}, "555"},
		"bad recipient":       {open[:1], []string{"RCPT TO:<a b@example.com>"}, "501"},
		"unknown recipient":   {open[:1], []string{"RCPT TO:<nobody@example.com>"}, "550 5.1.1"},
		"relaying":            {open[:1], []string{"RCPT TO:<a@elsewhere.test>"}, "550 5.7.1"},
		"a route":             {open[:1], []string{"RCPT TO:<a%b@example.com>"}, "550 5.7.1"},
		"AUTH":                {nil, []string{"AUTH PLAIN AGEAYg=="}, "502"},
		"bare LF in the body": {nil, append(open[:2:2], "DATA", "a\nb\r\n."), "550 5.5.2"},
		"a body too large":    {nil, append(open[:2:2], "DATA", strings.Repeat("0123456789\r\n", 500)+"."), "552"},
		"too many hops":       {nil, append(open[:2:2], "DATA", strings.Repeat("Received: from a\r\n", 101)+"\r\n."), "554"},
	} {
		t.Run(name, func(t *testing.T) {
			w := limited(t, limit.Config{Errors: limit.Rate{Hour: 5}})
			w.cfg.Limits.Message = 5000
			w.srv.Reload(w.cfg)
			for n, want := range map[int]string{5: "250", 6: tooMany} {
				from := fmt.Sprintf("192.0.2.%d", n)
				cl := w.as(from)
				for _, line := range c.once {
					cl.cmd(line, "250")
				}
				for range n {
					for _, line := range c.each[:len(c.each)-1] {
						cl.cmd(line, map[bool]string{true: "354", false: "250"}[line == "DATA"])
					}
					cl.cmd(c.each[len(c.each)-1], c.want)
				}
				cl.cmd("QUIT", "221")
				cl.closed()
				w.answers(from, want)
				w.answers("192.0.2.77", "250")
			}
		})
	}
}

// Whoever guesses addresses is counted for that too, at all addresses of its network.
func TestUnknownRecipientsAreCounted(t *testing.T) {
	w := limited(t, limit.Config{BadRecipient: limit.Rate{Hour: 3}})
	for i := range 4 {
		c := w.as(fmt.Sprintf("2001:db8:0:1::%d", i+1))
		c.cmd("MAIL FROM:<a@sender.test>", "250")
		c.cmd("RCPT TO:<nobody@example.com>", "550 5.1.1")
		c.cmd("RCPT TO:<to@elsewhere.test>", "550 5.7.1") // bad, but no guess
		c.cmd("QUIT", "221")
		c.closed()
	}
	w.answers("2001:db8:0:1:ffff::1", "451 4.7.1 Too many unknown recipients from this host, please try again later (ref ")
	w.answers("2001:db8:0:2::1", "250")
	w.answers("192.0.2.1", "250")
}

func TestRefusalsOfOneIPv6Network(t *testing.T) {
	w := limited(t, limit.Config{Errors: limit.Rate{Hour: 3}})
	for i := range 4 {
		c := w.as(fmt.Sprintf("2001:db8:0:1::%d", i+1))
		c.cmd("FOO", "500")
	}
	w.answers("2001:db8:0:1:ffff::1", tooMany)
	w.answers("2001:db8:0:2::1", "250")
}

// What is no refusal of a stranger is not counted: answers to try again, people who logged in,
// local servers.
func TestWhoIsNotCounted(t *testing.T) {
	cfg := limit.Config{Errors: limit.Rate{Hour: 1}}
	t.Run("later", func(t *testing.T) {
		w := limited(t, cfg)
		c := w.as("192.0.2.5")
		c.cmd("MAIL FROM:<a@sender.test>", "250")
		for range 5 {
			c.cmd("RCPT TO:<broken@example.com>", "451")
		}
		c.cmd("QUIT", "221")
		w.answers("192.0.2.5", "250")
	})
	t.Run("local server", func(t *testing.T) {
		var told []netip.Addr
		w := start(t, smarthost, func(w *world) { w.refused = func(ip netip.Addr) { told = append(told, ip) } })
		c := w.dial()
		c.cmd("FOO", "500")
		c.cmd("QUIT", "221")
		if len(told) != 0 {
			t.Error(told)
		}
	})
	t.Run("login", func(t *testing.T) {
		var told []netip.Addr
		w := start(t, submission, func(w *world) { w.refused = func(ip netip.Addr) { told = append(told, ip) } })
		c := w.secure()
		c.cmd("MAIL FROM:<a@sender.test>", "530")
		c.cmd("AUTH PLAIN "+b64("\x00user\x00wrong"), "535")
		if len(told) != 2 {
			t.Errorf("told of %v before the login", told)
		}
		c.cmd("AUTH PLAIN "+b64("\x00user\x00secret"), "235")
		c.cmd("FOO", "500")
		c.cmd("QUIT", "221")
		if len(told) != 2 {
			t.Errorf("told of %v after it", told)
		}
	})
}

// A transaction that nobody hears of leaves nothing reserved, however it ends.
func TestAbandonedTransactionsGiveBack(t *testing.T) {
	for name, end := range map[string]func(c *client){
		"RSET":       func(c *client) { c.cmd("RSET", "250") },
		"EHLO":       func(c *client) { c.cmd("EHLO again.test", "250") },
		"QUIT":       func(c *client) { c.cmd("QUIT", "221"); c.closed() },
		"disconnect": func(c *client) { _ = c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			w := limited(t, limit.Config{IP: limit.Rate{Hour: 2}, Recipient: limit.Rate{Hour: 2}})
			for range 5 {
				c := w.as("192.0.2.5")
				c.cmd("MAIL FROM:<a@sender.test>", "250")
				end(c)
				c = w.as("192.0.2.5")
				c.cmd("MAIL FROM:<a@sender.test>", "250")
				c.cmd("RCPT TO:<to@example.com>", "250")
				end(c)
				for begun := time.Now(); w.limiter.Open() > 0; time.Sleep(time.Millisecond) {
					if time.Since(begun) > patience {
						t.Fatalf("%d reservations stay", w.limiter.Open())
					}
				}
			}
			select {
			case d := <-w.doneCh:
				t.Errorf("an observer was told of %+v", d)
			default:
			}
		})
	}
}
