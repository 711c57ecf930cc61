package smtpd_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/smtpd"
)

const smuggled = "MAIL FROM:<evil@sender.test>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"

// smuggling are the sequences some server takes for the end of a body.
var smuggling = []struct{ id, seq, normal string }{
	{"H-A01", "\n.\n", "\r\n.\r\n"},
	{"H-A02", "\n.\r\n", "\r\n.\r\n"},
	{"H-A03", "\r\n.\n", "\r\n\r\n"},
	{"H-A04", "\r.\r", " . "},
	{"H-A05", "\r\n.\r", "\r\n "},
	{"H-A06", "\r.\r\n", " .\r\n"},
	{"H-A07", "\r\n\x00.\r\n", "\r\n .\r\n"},
	{"H-A08", "\r\n.\x00\r\n", "\r\n \r\n"},
	{"H-A09", "\r\n.\r\r\n", "\r\n \r\n"},
}

func TestSmugglingRefused(t *testing.T) {
	for _, tt := range smuggling {
		t.Run(tt.id, func(t *testing.T) {
			w := start(t)
			c := w.dial()
			c.mail()
			c.cmd("DATA", "354")
			c.send("Subject: outer\r\n\r\nbody" + tt.seq + smuggled + ".\r\n")
			c.want("550 5.5.2")
			c.cmd("RCPT TO:<to@example.com>", "503")
			c.cmd("NOOP", "250")
			w.nothing()
			w.legit()
		})
	}
}

func TestSmugglingNormalised(t *testing.T) {
	for _, tt := range smuggling {
		t.Run(tt.id, func(t *testing.T) {
			w := start(t, func(w *world) { w.l.Framing = smtpd.Normalize })
			c := w.dial()
			c.mail()
			c.cmd("DATA", "354")
			c.send("Subject: outer\r\n\r\nbody" + tt.seq + smuggled + ".\r\n")
			c.want("250")
			g := w.only()
			want := "Subject: outer\r\n\r\nbody" + tt.normal + smuggled
			if string(g.body) != want {
				t.Fatalf("body\n got %q\nwant %q", g.body, want)
			}
			if symbols(g.report) != "BARE_NEWLINE" {
				t.Fatalf("findings: %s", symbols(g.report))
			}
			if g.msg.From != "from@sender.test" {
				t.Fatalf("the envelope became %s", g.msg.From)
			}
		})
	}
}

// H-A18: an authenticated user gets no other framing.
func TestHA18Outbound(t *testing.T) {
	for _, tt := range smuggling {
		w := start(t, submission)
		c := w.login()
		c.mail()
		c.cmd("DATA", "354")
		c.send("Subject: outer\r\n\r\nbody" + tt.seq + smuggled + ".\r\n")
		c.want("550 5.5.2")
		w.nothing()
	}
}

// bodies are proper bodies with all that dot stuffing knows.
func bodies() map[string]string {
	return map[string]string{
		"dots":        "Subject: x\r\n\r\n.\r\n..\r\n.x\r\n.\t\r\n...\r\nTVqQ.AAM\r\n.\r\n",
		"empty lines": "\r\n\r\n\r\n",
		"empty":       "",
		"one line":    "x\r\n",
		"8bit":        "Subject: \xc3\xa4\xff\x80\r\n\r\n\x01\x02\x1b\r\n",
		"no header":   "no colon here\r\n folded\r\n\r\n.\r\n",
		"long":        strings.Repeat(strings.Repeat("0123456789", 7)+"\r\n", 1000),
	}
}

func stuff(body string) string {
	if strings.HasPrefix(body, ".") {
		body = "." + body
	}
	return strings.ReplaceAll(body, "\r\n.", "\r\n..")
}

// H-A12
func TestHA12DotStuffing(t *testing.T) {
	w := start(t)
	c := w.dial()
	for name, body := range bodies() {
		before := len(w.messages())
		c.mail()
		c.cmd("DATA", "354")
		c.send(stuff(body) + ".\r\n")
		c.want("250")
		if g := w.messages()[before]; string(g.body) != body || g.msg.Size != int64(len(body)) {
			t.Fatalf("%s: got %s want %.300q", name, quote(g.body), body)
		}
	}
}

// H-A10: the end split over five segments, and at every offset round buffer sizes.
func TestHA10SplitEnd(t *testing.T) {
	w := start(t)
	c := w.dial()
	send := func(parts ...string) {
		t.Helper()
		before := len(w.messages())
		c.mail()
		c.cmd("DATA", "354")
		for _, p := range parts {
			c.send(p)
		}
		c.want("250")
		whole := strings.Join(parts, "")
		want := strings.TrimSuffix(whole, ".\r\n")
		if g := w.messages()[before]; string(g.body) != want {
			t.Fatalf("got %s", quote(g.body))
		}
	}
	send("Subject: x\r\n\r\nbody", "\r", "\n", ".", "\r", "\n")
	for _, round := range []int{4096, 32768} {
		for off := round - 6; off <= round+6; off++ {
			send(strings.Repeat("x", 60)+"\r\n"+strings.Repeat("y", off-62), "\r\n.\r\n")
		}
	}
}

// H-A11
func TestHA11Bytewise(t *testing.T) {
	w := start(t)
	c := w.raw()
	c.want("220")
	for _, b := range []byte("EHLO client.test\r\nMAIL FROM:<a@sender.test>\r\nRCPT TO:<to@example.com>\r\nDATA\r\n") {
		c.send(string(b))
	}
	for _, code := range []string{"250", "250", "250", "354"} {
		c.want(code)
	}
	for _, b := range []byte("Subject: x\r\n\r\n..dot\r\n.\r\n") {
		c.send(string(b))
	}
	c.want("250")
	if g := w.only(); string(g.body) != "Subject: x\r\n\r\n.dot\r\n" {
		t.Fatalf("got %s", quote(g.body))
	}
}

// H-A13
func TestHA13CutOff(t *testing.T) {
	for _, end := range []string{"", "\r", "\r\n", "\r\n.", "\r\n.\r"} {
		w := start(t)
		c := w.dial()
		c.mail()
		c.cmd("DATA", "354")
		c.send("Subject: x\r\n\r\nbody" + end)
		_ = c.conn.Close()
		d := w.observed()
		if len(d.out.Fates) != 1 || d.out.Fates[0].State != "deferred" {
			t.Fatalf("fates: %+v", d.out.Fates)
		}
		w.nothing()
		if files := w.spoolFiles(); files != 0 {
			t.Fatalf("%d spool files left", files)
		}
		w.legit()
	}
}

// H-A14
func TestHA14FirstLineHuge(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Limits.Message = 128 << 10 })
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("From " + strings.Repeat("x", 200<<10) + "\r\n\r\nbody\r\n.\r\n")
	c.want("552 5.3.4")
	c.mail()
	c.cmd("DATA", "354")
	c.send("From " + strings.Repeat("x", 70<<10) + "\r\n\r\nbody\r\n.\r\n")
	c.want("550 5.6.0")
	w.nothing()
	w.legit()
}

// H-A15: a malformed first header is body bytes like all others.
func TestHA15MalformedFirstHeader(t *testing.T) {
	w := start(t)
	c := w.dial()
	for _, first := range []string{": x", " leading", ".", "Require-TLS-ESMTP", "X\x01: y", "\tx", "X : y"} {
		before := len(w.messages())
		body := first + "\r\nSubject: x\r\n\r\nb\r\n"
		c.mail()
		c.cmd("DATA", "354")
		c.send(stuff(body) + ".\r\n")
		c.want("250")
		if g := w.messages()[before]; string(g.body) != body {
			t.Fatalf("%q: got %s", first, quote(g.body))
		}
	}
}

// H-A16, H-A17: CHUNKING is never offered, and BDAT changes nothing.
func TestHA16Bdat(t *testing.T) {
	w := start(t)
	c := w.raw()
	c.want("220")
	if r := c.cmd("EHLO client.test", "250"); strings.Contains(r, "CHUNKING") || strings.Contains(r, "BINARYMIME") {
		t.Fatalf("offered: %s", r)
	}
	c.mail()
	for _, arg := range []string{"0 LAST", "5 LAST", "9223372036854775808", "0", "x"} {
		c.cmd("BDAT "+arg, "502")
	}
	c.cmd("DATA", "354")
	c.send("Subject: x\r\n\r\n.\r\n")
	c.want("250")
	if g := w.only(); string(g.body) != "Subject: x\r\n\r\n" {
		t.Fatalf("got %s", quote(g.body))
	}
	w.legit()
}

// H-A19 is the relay's side too: whoever the client is, the framing is the same.
func TestHA19TrustedClient(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Trusted = loopback })
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("Subject: outer\r\n\r\nbody\n.\n" + smuggled + ".\r\n")
	c.want("550 5.5.2")
	w.nothing()
}

func TestLongLines(t *testing.T) {
	w := start(t)
	c := w.dial()
	for _, n := range []int{998, 999, 4095, 4096, 4097, 32767, 64 << 10} {
		before := len(w.messages())
		body := "Subject: x\r\n\r\n" + strings.Repeat("l", n) + "\r\n"
		c.mail()
		c.cmd("DATA", "354")
		c.send(body + ".\r\n")
		c.want("250")
		g := w.messages()[before]
		if !bytes.Equal(g.body, []byte(body)) {
			t.Fatalf("%d: the body changed", n)
		}
		want := ""
		if n > 998 {
			want = "LONG_LINE"
		}
		if symbols(g.report) != want {
			t.Fatalf("%d: findings %q", n, symbols(g.report))
		}
	}
	c.mail()
	c.cmd("DATA", "354")
	c.send(strings.Repeat("l", 64<<10+1) + "\r\n.\r\n")
	c.want("550 5.6.0")
}

// SIZE: a body of exactly the limit passes, one octet more does not.
func TestExactFit(t *testing.T) {
	const limit = 10_000
	w := start(t, func(w *world) { w.cfg.Limits.Message = limit })
	c := w.dial()
	line := strings.Repeat("x", 98) + "\r\n"
	for extra, want := range map[int]string{0: "250", 1: "552 5.3.4"} {
		c.cmd(fmt.Sprintf("MAIL FROM:<a@sender.test> SIZE=%d", limit), "250")
		c.cmd("RCPT TO:<to@example.com>", "250")
		c.cmd("DATA", "354")
		c.send(strings.Repeat(line, limit/100-1) + strings.Repeat("y", 98+extra) + "\r\n.\r\n")
		c.want(want)
	}
	if g := w.only(); g.msg.Size != limit {
		t.Fatalf("size %d", g.msg.Size)
	}
	c.cmd(fmt.Sprintf("MAIL FROM:<a@sender.test> SIZE=%d", limit+1), "552 5.3.4")
}

// H-D06, H-D07: too large is read to its end within bounds, endless is cut.
func TestHD06TooLarge(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Limits.Message = 256 << 10 })
	c := w.dial()
	c.cmd("MAIL FROM:<a@sender.test> SIZE=1000", "250")
	c.cmd("RCPT TO:<to@example.com>", "250")
	c.cmd("DATA", "354")
	c.send(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 4000) + ".\r\n")
	c.want("552 5.3.4")
	c.cmd("RCPT TO:<to@example.com>", "503")
	w.nothing()
	w.legit()
}

func TestHD07Endless(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Limits.Message = 256 << 10 })
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	line := []byte(strings.Repeat(strings.Repeat("x", 98)+"\r\n", 100))
	go func() {
		for range 10_000 { // 100 MB if nobody stopped it
			if _, err := c.conn.Write(line); err != nil {
				return
			}
		}
	}()
	c.want("421 4.7.0")
	w.nothing()
	w.legit()
}

// The data rate is a minimum over the whole body, after a grace.
func TestHD02DataRate(t *testing.T) {
	w := start(t, func(w *world) {
		w.cfg.Limits.Idle = 300 * time.Millisecond
		w.cfg.Limits.DataRate = 1 << 20
	})
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	stop := make(chan struct{})
	defer close(stop)
	go func() { // never idle, yet far too slow
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := c.conn.Write([]byte("x\r\n")); err != nil {
					return
				}
			}
		}
	}()
	c.want("421 4.4.2")
	w.nothing()
}

func TestIdleInBody(t *testing.T) {
	w := start(t, func(w *world) { w.cfg.Limits.Idle = 50 * time.Millisecond })
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("Subject: x\r\n\r\nMAIL FROM:<x@y.test>\r\n")
	c.want("421 4.4.2")
	c.closed()
	w.nothing()
}
