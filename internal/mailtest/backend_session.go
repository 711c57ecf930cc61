package mailtest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
)

// errEnd ends a session on purpose.
var errEnd = errors.New("session ended by script")

// backendConn is one session of a Backend.
type backendConn struct {
	b    *Backend
	n    int
	raw  net.Conn // the TCP connection, whatever runs over it
	conn net.Conn
	r    *bufio.Reader

	busy    atomic.Bool // between MAIL and the answer to the final dot
	leaving atomic.Bool // to be closed once it is not busy

	greeted bool
	tls     bool
	mail    bool // MAIL was taken
	tx      Transaction
}

func newBackendConn(b *Backend, nc net.Conn, n int) *backendConn {
	return &backendConn{b: b, n: n, raw: nc, conn: nc, r: bufio.NewReaderSize(nc, 64<<10), tx: Transaction{Conn: n}}
}

func (c *backendConn) session() {
	s := c.b.current()
	if _, err := c.step(AtBanner, "", "220 "+s.hostname()+" ESMTP scripted"); err != nil {
		return
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		c.b.record(Command{Conn: c.n, Line: line, Pipelined: c.r.Buffered() > 0})
		verb, arg, _ := strings.Cut(line, " ")
		if err := c.command(strings.ToUpper(verb), arg); err != nil {
			return
		}
	}
}

func (s Script) hostname() string {
	if s.Hostname == "" {
		return "backend.test"
	}
	return s.Hostname
}

func (c *backendConn) command(verb, arg string) error {
	s := c.b.current()
	switch verb {
	case "EHLO", "LHLO", "HELO":
		return c.hello(s, verb, arg)
	case "STARTTLS":
		return c.startTLS(s)
	case "XCLIENT":
		return c.xclient(s, arg)
	case "XFORWARD":
		c.tx.XForward = merge(c.tx.XForward, arg)
		return c.plain(AtXForward, arg, "250 2.0.0 ok")
	case "AUTH":
		return c.auth(s, arg)
	case "MAIL":
		return c.mailFrom(arg)
	case "RCPT":
		return c.rcptTo(s, arg)
	case "DATA":
		return c.data()
	case "RSET":
		c.clear()
		return c.plain(AtRset, "", "250 2.0.0 ok")
	case "NOOP":
		return c.plain(AtNoop, "", "250 2.0.0 ok")
	case "QUIT":
		if err := c.plain(AtQuit, "", "221 2.0.0 bye"); err != nil {
			return err
		}
		return errEnd
	default:
		return c.send("502 5.5.1 unknown command")
	}
}

func (c *backendConn) hello(s Script, verb, name string) error {
	if (verb == "LHLO") != s.LMTP {
		return c.send("500 5.5.1 wrong greeting for this protocol")
	}
	at, usual := AtHelo, "250 "+s.hostname()
	if verb != "HELO" {
		at = AtHello
		lines := append([]string{s.hostname() + " greets " + name}, c.offers(s)...)
		for i, l := range lines {
			sep := "-"
			if i == len(lines)-1 {
				sep = " "
			}
			lines[i] = "250" + sep + l
		}
		usual = strings.Join(lines, "\n")
	}
	code, err := c.step(at, name, usual)
	if err == nil && code == 250 {
		c.clear()
		c.greeted, c.tx.Helo = true, name
	}
	return err
}

// offers is the list of extensions as it is now.
func (c *backendConn) offers(s Script) []string {
	list := s.Extensions
	if list == nil {
		list = []string{"PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}
	}
	if c.tls && s.AfterTLS != nil {
		list = s.AfterTLS
	}
	list = append([]string(nil), list...)
	if s.TLS != nil && !c.tls {
		list = append(list, "STARTTLS")
	}
	if s.Users != nil && (c.tls || s.AuthClear) {
		list = append(list, "AUTH PLAIN LOGIN XOAUTH2")
	}
	return list
}

func (c *backendConn) startTLS(s Script) error {
	if s.TLS == nil || c.tls {
		return c.send("503 5.5.1 no TLS here")
	}
	code, err := c.step(AtTLS, "", "220 2.0.0 go on")
	if err != nil || code != 220 {
		return err
	}
	tc := tls.Server(c.raw, s.TLS)
	if err := tc.Handshake(); err != nil {
		return err
	}
	c.conn, c.r = tc, bufio.NewReaderSize(tc, 64<<10)
	c.tx = Transaction{Conn: c.n, TLS: true, XClient: c.tx.XClient}
	c.tls, c.greeted, c.mail = true, false, false
	c.rest()
	return nil
}

func (c *backendConn) xclient(s Script, arg string) error {
	code, err := c.step(AtXClient, arg, "220 "+s.hostname()+" ESMTP scripted")
	if err == nil && code == 220 {
		c.tx.XClient = merge(c.tx.XClient, arg)
		c.clear()
		c.greeted = false
	}
	return err
}

// merge reads xtext attributes on top of those before.
func merge(old map[string]string, arg string) map[string]string {
	m := map[string]string{}
	for k, v := range old {
		m[k] = v
	}
	for word := range strings.FieldsSeq(arg) {
		k, v, _ := strings.Cut(word, "=")
		m[strings.ToUpper(k)] = fromXtext(v)
	}
	return m
}

func fromXtext(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '+' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func (c *backendConn) auth(s Script, arg string) error {
	if s.Users == nil || !c.tls && !s.AuthClear {
		return c.send("503 5.5.1 no AUTH here")
	}
	mech, first, _ := strings.Cut(arg, " ")
	user, secret, err := c.credentials(strings.ToUpper(mech), first)
	if err != nil {
		return err
	}
	usual := "535 5.7.8 wrong name or password"
	if want, ok := s.Users[user]; ok && want == secret {
		usual = "235 2.7.0 welcome"
	} else if strings.EqualFold(mech, "XOAUTH2") {
		// The server explains the failure in a challenge that the client answers emptily.
		if _, err := c.challenge(`{"status":"401"}`); err != nil {
			return err
		}
	}
	code, err := c.step(AtAuth, user, usual)
	if err == nil && code == 235 {
		c.tx.User = user
	}
	return err
}

func (c *backendConn) credentials(mech, first string) (user, secret string, err error) {
	ask := func(prompt string) (text string) {
		if err == nil {
			text, err = c.challenge(prompt)
		}
		return text
	}
	text := ""
	if mech == "LOGIN" {
		user, secret = ask("Username:"), ask("Password:")
		return user, secret, err
	}
	if first == "" {
		text = ask("")
	} else {
		raw, _ := base64.StdEncoding.DecodeString(first)
		text = string(raw)
	}
	if mech == "XOAUTH2" {
		u, rest, _ := strings.Cut(strings.TrimPrefix(text, "user="), "\x01")
		return u, strings.TrimSuffix(strings.TrimPrefix(rest, "auth=Bearer "), "\x01\x01"), err
	}
	f := strings.Split(text, "\x00")
	if len(f) == 3 {
		user, secret = f[1], f[2]
	}
	return user, secret, err
}

func (c *backendConn) challenge(prompt string) (string, error) {
	if err := c.send("334 " + base64.StdEncoding.EncodeToString([]byte(prompt))); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimRight(line, "\r\n"))
	return string(raw), nil
}

func (c *backendConn) mailFrom(arg string) error {
	addr, params, ok := path(arg, "FROM:")
	if !ok {
		return c.send("501 5.5.4 syntax: MAIL FROM:<address>")
	}
	if !c.greeted || c.mail {
		return c.send("503 5.5.1 not now")
	}
	c.busy.Store(true)
	code, err := c.step(AtMail, addr, "250 2.1.0 ok")
	if err == nil && code/100 == 2 {
		c.mail, c.tx.From, c.tx.FromParams = true, addr, params
		return nil
	}
	c.rest()
	return err
}

func (c *backendConn) rcptTo(s Script, arg string) error {
	addr, _, ok := path(arg, "TO:")
	if !ok {
		return c.send("501 5.5.4 syntax: RCPT TO:<address>")
	}
	if !c.mail {
		return c.send("503 5.5.1 MAIL first")
	}
	usual := "250 2.1.5 ok"
	if s.Mailboxes != nil && !contains(s.Mailboxes, addr) {
		usual = "550 5.1.1 no such user here"
	}
	var code int
	var err error
	if st, found := s.RcptFor[addr]; found {
		code, err = c.play(st, usual)
	} else {
		code, err = c.step(AtRcpt, addr, usual)
	}
	if code/100 == 2 {
		c.tx.To = append(c.tx.To, addr)
	} else {
		c.tx.Refused = append(c.tx.Refused, addr)
	}
	return err
}

func contains(list []string, addr string) bool {
	for _, a := range list {
		if strings.EqualFold(a, addr) {
			return true
		}
	}
	return false
}

// path splits "FROM:<a@b> X=1 Y" into the address and its parameters.
func path(arg, prefix string) (addr string, params []string, ok bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", nil, false
	}
	rest := strings.TrimLeft(arg[len(prefix):], " ")
	quoted := false
	for i := 0; i < len(rest); i++ {
		switch {
		case quoted && rest[i] == '\\':
			i++
		case rest[i] == '"':
			quoted = !quoted
		case rest[i] == '>' && !quoted:
			return strings.TrimPrefix(rest[:i], "<"), strings.Fields(rest[i+1:]), strings.HasPrefix(rest, "<")
		}
	}
	return "", nil, false
}

func (c *backendConn) clear() {
	c.mail = false
	c.rest()
	c.tx = Transaction{Conn: c.n, Helo: c.tx.Helo, TLS: c.tls, User: c.tx.User, XClient: c.tx.XClient}
}

// rest ends what made the session busy.
func (c *backendConn) rest() {
	c.busy.Store(false)
	if c.leaving.Load() {
		_ = c.raw.Close()
	}
}
