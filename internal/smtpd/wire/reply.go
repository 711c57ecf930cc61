package wire

import (
	"bytes"
	"strconv"
	"strings"

	"postern/internal/smtpd/command"
)

// Write takes the replies of go-smtp, line by line. The first call is the greeting.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.started {
		c.started = true
		c.start()
		return len(b), nil
	}
	c.partial = append(c.partial, b...)
	for {
		i := bytes.Index(c.partial, []byte("\r\n"))
		if i < 0 {
			return len(b), nil
		}
		c.answered(string(c.partial[:i]))
		c.partial = c.partial[i+2:]
	}
}

// answered takes one reply line of go-smtp and says what the client is told.
func (c *Conn) answered(line string) {
	if len(line) < 4 || line[3] == '-' || c.ended {
		return // the lines before the last are all of EHLO, which has our own
	}
	if c.mute {
		c.mute = false
		return
	}
	code, err := strconv.Atoi(line[:3])
	if err != nil {
		return
	}
	switch {
	case code == 334:
		c.auth = true
		c.out = append(c.out, line+"\r\n"...)
	case code == 354:
		c.body = true
		c.put(&Reply{Code: 354, Text: "end the message with <CRLF>.<CRLF>"})
	case code < 300:
		c.accepted(line)
	case c.verb == "AUTH" && strings.HasSuffix(line, "Invalid base64 data"):
		c.reply(501, 5, 2, "not base64")
	default:
		if c.verb == "DATA" {
			c.forget()
		}
		r, ok := command.ParseReply(line)
		if !ok {
			r = command.NewReply(451, 3, 0, "try again later")
		}
		c.say(r)
	}
}

// accepted says the success texts, which go-smtp does not leave to the session, and keeps
// count of the transaction.
func (c *Conn) accepted(line string) {
	switch c.verb {
	case "HELO", "EHLO":
		c.forget()
		c.greeted, c.esmtp = true, c.verb == "EHLO"
		c.offer()
	case "MAIL":
		c.mail = true
		c.put(command.NewReply(250, 1, 0, "OK"))
	case "RCPT":
		c.rcpts++
		c.put(command.NewReply(250, 1, 5, "OK"))
	case "AUTH":
		c.authed = true
		c.put(command.NewReply(235, 7, 0, "authenticated"))
	default: // DATA, RSET
		c.forget()
		c.out = append(c.out, command.Printable(line, 510)+"\r\n"...)
	}
}

// forget ends the transaction.
func (c *Conn) forget() { c.mail, c.rcpts, c.tried, c.size = false, 0, 0, 0 }

// offer is the answer to HELO and EHLO.
func (c *Conn) offer() {
	lines := []string{c.opt.Hostname}
	if c.esmtp {
		lines = append(lines, "PIPELINING", "ENHANCEDSTATUSCODES")
		if c.opt.TLS != nil && c.state == nil {
			lines = append(lines, "STARTTLS")
		}
		if c.mayXClient() {
			lines = append(lines, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN")
		}
		if c.opt.Offer != nil {
			lines = append(lines, c.opt.Offer(c)...)
		}
	}
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		c.out = append(c.out, "250"+sep+l+"\r\n"...)
	}
}

func (c *Conn) reply(code, subject, detail int, text string) {
	c.say(command.NewReply(code, subject, detail, text))
}

// say answers and counts refusals; too many of them end the session.
func (c *Conn) say(r *Reply) {
	c.put(r)
	if r.Code == 421 {
		c.ended, c.abrupt = true, true
	}
	if !c.fault(r) {
		return
	}
	if c.errs++; c.errs >= c.opt.Errors {
		c.drop(421, 7, 0, "too many errors, closing")
	}
}

// fault reports whether a reply counts as a mistake of the client's. Recipients refused
// weigh a fifth, so that a list with some dead members gets its mail to the others; one to
// try again later weighs nothing, nor does a 452.
func (c *Conn) fault(r *Reply) bool {
	if c.verb == "RCPT" && c.mail {
		if r.Code/100 == 5 {
			c.strays++
		}
		return r.Code/100 == 5 && c.strays%5 == 0
	}
	return r.Code >= 400 && r.Code != 452
}

// drop answers and ends the session, whatever the client is still sending.
func (c *Conn) drop(code, subject, detail int, text string) {
	c.put(command.NewReply(code, subject, detail, text))
	c.ended, c.abrupt = true, true
}

func (c *Conn) put(r *Reply) {
	if r.Code/100 == 5 && !c.told && !c.authed && c.opt.Refused != nil {
		c.opt.Refused(c)
	}
	c.out = append(c.out, r.String()+"\r\n"...)
}
