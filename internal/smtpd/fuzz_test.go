package smtpd_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"postern/internal/smtpd"
)

// FuzzSession sends what a stranger sends after connecting. Whatever it is: the replies
// have their form, no body that reaches the Deliverer has a bare line end, envelopes are
// fit for the wire, nothing panics, and the session ends.
func FuzzSession(f *testing.F) {
	const hello = "EHLO client.test\r\n"
	const mail = hello + "MAIL FROM:<a@sender.test>\r\nRCPT TO:<to@example.com>\r\n"
	for _, s := range []string{
		mail + "DATA\r\nSubject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n",
		mail + "DATA\r\nx\n.\nMAIL FROM:<b@sender.test>\r\n.\r\nQUIT\r\n",
		mail + "DATA\r\n\x00\r\r\n.\r\n" + mail,
		mail + "BDAT 5 LAST\r\nhello",
		hello + "STARTTLS\r\n\x16\x03\x01\x00\x05hello",
		hello + "AUTH PLAIN AHVzZXIAc2VjcmV0\r\nAUTH LOGIN\r\n*\r\n",
		hello + "XCLIENT ADDR=192.0.2.1 NAME=x.test HELO=y LOGIN=z\r\n" + mail + "DATA\r\n.\r\n",
		hello + "MAIL FROM:<\"a\\\"b> \"@c.test> SIZE=1 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<\xc3\xa4@example.com>\r\nDATA\r\n.\r\n",
		hello + "MAIL FROM:<> SIZE=99999999999999999999\r\nMAIL FROM:<> SIZE=1 SIZE=2\r\nRSET\r\nVRFY x\r\nEXPN\r\nHELP\r\nNOOP\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO x\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"HELO x\r\nMAIL FROM: a@b.test\r\nRCPT TO: postmaster\r\nDATA\r\n..\r\n.\r\n",
		hello + strings.Repeat("RCPT TO:<x@example.com>\r\n", 50),
		strings.Repeat("x", 5000) + "\r\n" + mail,
	} {
		for mode := range 2 {
			f.Add([]byte(s), mode, 7)
		}
	}
	worlds := []*world{}
	for _, framing := range []smtpd.Framing{smtpd.Refuse, smtpd.Normalize} {
		worlds = append(worlds, start(f, withTLS, func(w *world) {
			w.l.Framing, w.l.XclientFrom = framing, loopback
			w.cfg.Limits.Idle, w.cfg.Limits.Handshake = 2*time.Second, time.Second
			w.cfg.Limits.Message, w.cfg.Limits.PerIP, w.cfg.Limits.Sessions = 64<<10, 1000, 1000
		}))
	}
	f.Fuzz(func(t *testing.T, in []byte, mode, cut int) {
		w := worlds[mode&1]
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		go func() {
			cut = min(max(cut, 0), len(in))
			_, _ = conn.Write(in[:cut])
			_, _ = conn.Write(in[cut:])
			_ = conn.(*net.TCPConn).CloseWrite()
		}()
		out, err := io.ReadAll(conn)
		if ne := net.Error(nil); err != nil && asNet(err, &ne) && ne.Timeout() {
			t.Fatalf("the session does not end: %q", out)
		}
		if !bytes.Contains(in, []byte("STARTTLS")) && !bytes.Contains(bytes.ToUpper(in), []byte("STARTTLS")) {
			checkReplies(t, out)
		}
		w.checkTaken(t)
		if strings.Contains(w.log.String(), "panic") {
			t.Fatalf("panicked: %s", w.log.String())
		}
	})
}

func asNet(err error, to *net.Error) bool {
	ne, ok := err.(net.Error) //nolint:errorlint // a socket's own error
	*to = ne
	return ok
}

func checkReplies(t *testing.T, out []byte) {
	t.Helper()
	for line := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte("\r\n")), []byte("\r\n")) {
		if len(line) < 4 || len(line) > 510 || line[0] < '2' || line[0] > '5' || line[3] != ' ' && line[3] != '-' {
			t.Fatalf("malformed reply %q in %q", line, out)
		}
		for _, c := range line {
			if c < ' ' || c > '~' {
				t.Fatalf("unprintable reply %q", line)
			}
		}
	}
}

// checkTaken looks at what was delivered since the last call.
func (w *world) checkTaken(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	taken := w.taken
	w.taken, w.finished = nil, nil
	w.mu.Unlock()
	for len(w.doneCh) > 0 {
		<-w.doneCh
	}
	for _, g := range taken {
		bare := strings.ReplaceAll(string(g.body), "\r\n", "")
		if strings.ContainsAny(bare, "\r\n\x00") || len(g.body) > 0 && !bytes.HasSuffix(g.body, []byte("\r\n")) {
			t.Fatalf("delivered %q", g.body)
		}
		if len(g.msg.To) == 0 || strings.ContainsAny(g.msg.From+g.msg.To[0].Address+g.msg.Client.Helo, "\r\n\x00") {
			t.Fatalf("envelope %q %q", g.msg.From, g.msg.To)
		}
	}
}
