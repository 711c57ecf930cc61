package wire

import (
	"crypto/tls"
	"io"
	"time"

	"postern/internal/smtpd/command"
	"postern/internal/smtpd/input"
)

// start runs before the greeting: PROXY, implicit TLS, admission and the pause for early
// talkers.
func (c *Conn) start() {
	// Where a PROXY header is due this reads it, with its own deadline.
	c.peer = command.AddrPort(c.base.RemoteAddr())
	if !c.peer.IsValid() {
		c.ended = true
		return
	}
	if c.opt.Admit != nil {
		release, refuse := c.opt.Admit(c.peer.Addr())
		c.release = release
		if refuse != nil {
			c.ended = true
			if !c.opt.ImplicitTLS {
				c.put(refuse)
			}
			return
		}
	}
	if c.opt.ImplicitTLS && !c.handshake() {
		return
	}
	if c.opt.Pause > 0 {
		err := c.fill(time.Now().Add(c.opt.Pause))
		if err == nil {
			c.drop(421, 7, 0, "wait for the greeting next time")
			return
		}
		if !isTimeout(err) {
			c.fail(err)
			return
		}
	}
	c.put(&Reply{Code: 220, Text: c.opt.Hostname + " ESMTP"})
}

func (c *Conn) startTLS(arg string) {
	switch {
	case arg != "":
		c.reply(501, 5, 4, "STARTTLS takes no argument")
	case c.state != nil:
		c.reply(503, 5, 1, "TLS is on already")
	case c.opt.TLS == nil:
		c.reply(502, 5, 1, "STARTTLS is not offered")
	case !c.greeted:
		c.reply(503, 5, 1, "say EHLO first")
	case c.mail:
		c.reply(503, 5, 1, "not inside a transaction, which is gone")
		c.mute = true
		c.forget()
		c.pass("RSET", "RSET")
	case len(c.in.Bytes()) > 0:
		// What came in clear must never be taken for what came inside TLS.
		c.drop(503, 5, 1, "commands sent along with STARTTLS, closing")
	default:
		c.put(command.NewReply(220, 0, 0, "go ahead"))
		c.Flush()
		if !c.ended && c.handshake() {
			c.restart()
		}
	}
}

// handshake puts TLS over the connection. When it fails the session is over: nothing more
// is said in clear.
func (c *Conn) handshake() bool {
	tc := tls.Server(c.base, c.opt.TLS)
	until := time.Now().Add(c.opt.Handshake)
	_ = tc.SetWriteDeadline(until)
	err := c.arm(until)
	if err == nil {
		err = tc.Handshake()
	}
	if err != nil {
		c.ended = true
		return false
	}
	_ = tc.SetWriteDeadline(time.Time{})
	state := tc.ConnectionState()
	c.state = &state
	c.mu.Lock()
	c.conn = tc
	c.mu.Unlock()
	c.in = input.Buffer{}
	return true
}

// restart forgets what the client said: go-smtp does when the new EHLO comes, until then
// nothing else gets through.
func (c *Conn) restart() {
	c.greeted, c.esmtp, c.helo = false, false, ""
	c.forget()
}

func (c *Conn) mayXClient() bool {
	for _, p := range c.opt.XClient {
		if p.Contains(c.peer.Addr()) {
			return true
		}
	}
	return false
}

func (c *Conn) doXClient(verb, arg string) {
	switch {
	case !c.mayXClient():
		c.reply(550, 7, 0, "not allowed")
		return
	case verb == "XFORWARD":
		c.reply(502, 5, 1, "XFORWARD is not implemented")
		return
	case c.mail || c.authed: // another client must not inherit a login
		c.reply(503, 5, 1, "not inside a transaction or a login")
		return
	}
	x, err := command.ParseXClient(arg)
	if err != nil {
		c.reply(501, 5, 4, "XCLIENT attributes: "+err.Error())
		return
	}
	c.xclient = x
	c.restart()
	c.put(&Reply{Code: 220, Text: c.opt.Hostname + " ESMTP"})
}

// linger lets the client read the last reply: closing a socket with unread input resets it,
// and the reply would be lost.
func (c *Conn) linger() {
	if tc, ok := c.transport().(*tls.Conn); ok {
		_ = tc.CloseWrite()
	}
	half, ok := c.base.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.base.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.base, lingerBytes)
}

// How long and for how much linger reads.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)
