package client

import (
	"context"
	"strconv"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/relay/client/reply"
	"postern/internal/relay/client/xclient"
)

// Envelope is one transaction to begin.
type Envelope struct {
	From     string   // "" is the null sender
	To       []string // at least one
	Size     int64    // bytes that Body will send, our headers included; 0 = unknown
	UTF8     bool     // the sender asked for SMTPUTF8 (RFC 6531)
	EightBit bool     // the body has bytes above 127
	Client   filter.Client
	Account  string         // authenticated account for XCLIENT LOGIN; "" = none
	ID       string         // our message ID for XFORWARD IDENT
	Verdict  filter.Verdict // for a backend within this program: what was decided; never sent
}

func (e Envelope) session() xclient.Session {
	return xclient.Session{Client: e.Client, Account: e.Account, ID: e.ID}
}

// Begun is how far Begin came. Rcpt has one entry per Envelope.To when MAIL was taken and is
// nil otherwise; Data is the zero Reply when no recipient was taken.
type Begun struct {
	Mail Reply
	Rcpt []Reply
	Data Reply
}

// OK reports whether the server said 354: a body may follow.
func (b Begun) OK() bool { return b.Data.Code == 354 }

// taken counts the recipients the server took.
func (b Begun) taken() int {
	n := 0
	for _, r := range b.Rcpt {
		if r.OK() {
			n++
		}
	}
	return n
}

// Begin sends MAIL, RCPT and DATA, in one write where the server pipelines. A refusal is no
// error: it is in Begun, and the connection is ready for the next transaction unless the
// refusal was a 421 (Idle tells). What this client refuses itself (a malformed address,
// SMTPUTF8 not offered, a message over the server's SIZE) is in Begun too, and nothing was
// sent. An error (*Error) means that the connection is lost; no byte of a body was sent.
func (c *Conn) Begin(ctx context.Context, e Envelope) (Begun, error) {
	if c.st != idle {
		return Begun{}, c.notNow(StageMail)
	}
	if _, b, sayable := c.commands(e); !sayable {
		return b, nil
	}
	if err := c.introduce(ctx, e); err != nil {
		return Begun{}, err
	}
	return c.run(ctx, e, StageData, "DATA\r\n")
}

// Probe asks whether the server takes each address: MAIL FROM:<>, RCPT..., RSET, without
// DATA. The result reads as that of Begin.
func (c *Conn) Probe(ctx context.Context, to ...string) (Begun, error) {
	if c.st != idle {
		return Begun{}, c.notNow(StageMail)
	}
	c.probes++
	return c.run(ctx, Envelope{To: to}, StageReset, "RSET\r\n")
}

// run says the envelope and one command after it.
func (c *Conn) run(ctx context.Context, e Envelope, last Stage, line string) (Begun, error) {
	lines, b, sayable := c.commands(e)
	if !sayable {
		return b, nil
	}
	c.uses++
	c.st = inMail
	g := group{c: c, begun: b}
	err := g.say(ctx, lines, step{stage: last}, line)
	b = g.outcome()
	if err != nil {
		return b, err
	}
	for _, r := range b.Rcpt {
		if !r.OK() {
			c.refusals++
		}
	}
	c.settle(ctx, b, g.reset)
	if b.OK() && c.st == closed {
		return b, c.notNow(StageData) // the context ended with the last answer
	}
	return b, nil
}

// settle leaves the connection ready for the body, ready for MAIL, or closed.
func (c *Conn) settle(ctx context.Context, b Begun, reset bool) {
	switch {
	case c.st == closed:
	case b.OK():
		c.st, c.took = inData, b.taken()
	case b.Mail.OK() && !reset:
		_ = c.Reset(ctx) // the refusal stands whether or not this succeeds
	default:
		c.st = idle
	}
}

// commands makes the command lines: MAIL, then one for each recipient, "" for one that
// cannot be said. Such refusals of our own are in b; sayable is false when nothing is left
// to ask the server.
func (c *Conn) commands(e Envelope) (lines []string, b Begun, sayable bool) {
	ascii, from := true, ""
	if e.From != "" {
		a, err := address.Parse(e.From, true)
		if err != nil {
			return nil, Begun{Mail: reply.Local(501, "5.1.7", "malformed sender address")}, false
		}
		from, ascii = a.String(), a.ASCII()
	}
	lines = make([]string, 1, 1+len(e.To))
	b.Rcpt = make([]Reply, len(e.To))
	for i, to := range e.To {
		a, err := address.Parse(to, true)
		if err != nil {
			b.Rcpt[i] = reply.Local(501, "5.1.3", "malformed recipient address")
			lines = append(lines, "")
			continue
		}
		sayable = true
		ascii = ascii && a.ASCII()
		lines = append(lines, "RCPT TO:<"+a.String()+">\r\n")
	}
	utf8 := e.UTF8 || !ascii
	switch {
	case utf8 && !c.ext.SMTPUTF8:
		return nil, Begun{Mail: reply.Local(550, "5.6.7", "the server behind does not take internationalised mail")}, false
	case c.ext.Size > 0 && e.Size > c.ext.Size:
		return nil, Begun{Mail: reply.Local(552, "5.3.4", "message too large for the server behind")}, false
	case !sayable:
		b.Mail = reply.Local(250, "2.1.0", "not said")
	}
	lines[0] = "MAIL FROM:<" + from + ">" + c.params(e, utf8) + "\r\n"
	return lines, b, sayable
}

func (c *Conn) params(e Envelope, utf8 bool) string {
	s := ""
	if c.ext.SizeOffered && e.Size > 0 {
		s += " SIZE=" + strconv.FormatInt(e.Size, 10)
	}
	// A server without 8BITMIME gets the same bytes: they may not be changed here.
	if c.ext.EightBitMIME && (e.EightBit || utf8) {
		s += " BODY=8BITMIME"
	}
	if utf8 {
		s += " SMTPUTF8"
	}
	return s
}
