package wire

import (
	"bytes"
	"errors"

	"postern/internal/smtpd/command"
)

var errFlood = errors.New("body far over the limit")

// next reads one command and answers it, or leaves it pending for go-smtp.
func (c *Conn) next() {
	size := commandSize
	if c.auth {
		size = authSize
	}
	raw, err := c.line(size)
	if c.auth && errors.Is(err, errTooLong) {
		raw, err = []byte("*\r\n"), nil // cancels the exchange go-smtp is in
	}
	if err != nil {
		c.fail(err)
		return
	}
	if c.auth {
		c.auth = false
		c.pending = append([]byte(nil), raw...)
		return
	}
	line, ok := bytes.CutSuffix(raw, []byte("\r\n"))
	if !ok {
		line = raw[:len(raw)-1]
	}
	c.command(string(line), ok || c.opt.Framing == Normalize)
}

// fail ends the session for a reason of the connection's.
func (c *Conn) fail(err error) {
	switch {
	case errors.Is(err, errTooLong):
		c.reply(500, 5, 2, "line too long")
	case errors.Is(err, errEndless):
		c.reply(500, 5, 2, "line too long")
		c.drop(421, 7, 0, "endless line, closing")
	case errors.Is(err, errDraining):
		c.drop(421, 3, 2, c.opt.Hostname+" is shutting down, try again")
	case errors.Is(err, errFlood):
		c.drop(421, 7, 0, "message is far too large, closing")
	case isTimeout(err):
		c.drop(421, 4, 2, c.opt.Hostname+" waited too long, closing")
	default:
		c.ended = true
	}
}

// command answers what needs no session and passes the rest on.
func (c *Conn) command(line string, ended bool) {
	if command.Foreign(line) {
		c.drop(421, 7, 0, "this is an SMTP server, closing")
		return
	}
	verb, arg := command.Split(line)
	c.told = false
	if c.cmds++; verb == "RCPT" && c.mail {
		c.cmds-- // recipients have a budget of their own
	}
	switch {
	case c.cmds > c.opt.Commands:
		c.drop(421, 7, 0, "too many commands, closing")
	case !ended:
		c.reply(500, 5, 2, "a command ends with CRLF")
	case !command.Plain(line):
		c.reply(501, 5, 2, "control character in a command")
	case !command.ASCII(line) && verb != "MAIL" && verb != "RCPT":
		c.reply(501, 5, 2, "8-bit octets in a command")
	default:
		c.dispatch(verb, arg)
	}
}

func (c *Conn) dispatch(verb, arg string) {
	switch verb {
	case "HELO", "EHLO":
		c.hello(verb, arg)
	case "MAIL", "RCPT", "DATA", "AUTH":
		if !c.greeted {
			c.reply(503, 5, 1, "say EHLO first")
			return
		}
		c.transaction(verb, arg)
	case "RSET":
		c.bare(verb, arg)
	case "QUIT":
		c.reply(221, 0, 0, "bye")
		c.ended = true
	case "NOOP":
		c.reply(250, 0, 0, "OK")
	case "VRFY":
		c.reply(252, 5, 0, "send the mail, then it will be known")
	case "HELP":
		c.reply(214, 0, 0, "see RFC 5321")
	case "STARTTLS":
		c.startTLS(arg)
	case "XCLIENT", "XFORWARD":
		c.doXClient(verb, arg)
	case "BDAT", "EXPN", "ETRN", "SEND", "SOML", "SAML", "TURN":
		c.reply(502, 5, 1, verb+" is not implemented")
	default:
		c.reply(500, 5, 1, "unknown command")
	}
}

// hello checks the name of HELO and EHLO.
func (c *Conn) hello(verb, arg string) {
	if !command.Host(arg) {
		c.reply(501, 5, 2, verb+" needs one domain or address")
		return
	}
	if len(c.in.Bytes()) > 0 {
		c.note("sent commands behind " + verb + " without waiting")
	}
	c.helo = arg
	c.pass(verb, verb+" "+arg)
}

func (c *Conn) transaction(verb, arg string) {
	switch {
	case verb == "MAIL" && c.mail:
		c.reply(503, 5, 1, "a transaction is open, RSET first")
	case verb == "AUTH" && c.mail:
		c.reply(503, 5, 1, "not inside a transaction")
	case (verb == "RCPT" || verb == "DATA") && !c.mail:
		c.outOfTurn(verb, "say MAIL first")
	case verb == "DATA" && c.rcpts == 0:
		c.outOfTurn(verb, "no valid recipients")
	case verb == "DATA":
		c.beginData(arg)
	case verb == "AUTH":
		c.pass(verb, verb+" "+arg)
	default:
		c.envelope(verb, arg)
	}
}

// outOfTurn answers 503. Input already behind a refused DATA is a body whose lines must not
// be taken for commands.
func (c *Conn) outOfTurn(verb, text string) {
	c.reply(503, 5, 1, text)
	if verb == "DATA" && len(c.in.Bytes()) > 0 && !c.ended {
		c.drop(421, 7, 0, "a body was sent without waiting, closing")
	}
}

// bare passes on a command that takes no argument.
func (c *Conn) bare(verb, arg string) {
	if arg != "" {
		c.reply(501, 5, 4, verb+" takes no argument")
		return
	}
	c.pass(verb, verb)
}

func (c *Conn) beginData(arg string) {
	if c.gate != nil && arg == "" {
		if r := c.gate(); r != nil {
			c.say(r)
			if len(c.in.Bytes()) > 0 {
				c.drop(421, 7, 0, "a body was sent without waiting, closing")
			}
			return
		}
	}
	if len(c.in.Bytes()) > 0 {
		c.note("sent a body without waiting for 354")
	}
	c.bare("DATA", arg)
}

// envelope reads MAIL and RCPT. go-smtp gets a path of ours, since it takes quoted local
// parts apart and knows no <postmaster>; the session asks Path for the real one.
func (c *Conn) envelope(verb, arg string) {
	keyword := "FROM:"
	if verb == "RCPT" {
		keyword = "TO:"
		if c.tried++; c.tried > 10*c.opt.Recipients {
			c.drop(421, 7, 0, "too many recipients, closing")
			return
		}
	}
	path, rest, err := command.Path(arg, keyword)
	if err != nil {
		c.reply(501, 5, 2, "expected "+verb+" "+keyword+"<address>")
		return
	}
	size, keep, refuse := command.Envelope(verb, rest, c.opt.Message)
	if refuse != nil {
		c.say(refuse)
		return
	}
	if verb == "MAIL" {
		c.size = size
	}
	c.path = path
	c.pass(verb, verb+" "+keyword+"<client@path.invalid>"+keep)
}

// pass hands a line to go-smtp.
func (c *Conn) pass(verb, line string) {
	c.verb = verb
	c.pending = append([]byte(line), "\r\n"...)
}

// note remembers the first time the client spoke before its turn.
func (c *Conn) note(what string) {
	if c.early == "" {
		c.early = what
	}
}
