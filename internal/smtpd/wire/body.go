package wire

import (
	"io"
	"time"

	"postern/internal/smtpd/command"
	"postern/internal/smtpd/framing"
)

// Body is what ReadBody found.
type Body struct {
	Size       int64
	Longest    int  // octets of the longest line
	Normalized bool // bare CR, bare LF or NUL were replaced
}

// ReadBody reads the body that follows a 354 to its end and writes it, dots unstuffed, to
// dst. An error is ErrEnded, a *Reply to refuse the message with, or the error of dst. The
// body is read to its true end even when it is refused, but not without bound.
func (c *Conn) ReadBody(dst io.Writer) (Body, error) {
	c.body = false
	if c.ended {
		return Body{}, ErrEnded
	}
	s := framing.Scanner{Dst: dst, Mode: c.opt.Framing, MaxSize: c.opt.Message, MaxLine: c.opt.Line}
	if err := c.scanBody(&s); err != nil {
		c.fail(err)
		return Body{}, ErrEnded
	}
	c.in.Room(commandSize)
	c.pending = append(c.pending[:0], ".\r\n"...) // the end go-smtp waits for
	b := Body{Size: s.Size, Longest: s.Longest, Normalized: s.Bare}
	switch {
	case s.Bare && s.Mode == Refuse:
		return b, command.NewReply(550, 5, 2, "bare CR, bare LF or NUL in the message")
	case s.TooBig():
		return b, command.NewReply(552, 3, 4, "message is too large")
	case s.TooLong():
		return b, command.NewReply(550, 6, 0, "a line of the message is too long")
	}
	return b, s.Err
}

// scanBody feeds s until the end of the body.
func (c *Conn) scanBody(s *framing.Scanner) error {
	c.in.Room(bodySize)
	start := time.Now()
	budget := 2*c.opt.Message + 1<<20
	for raw := int64(0); ; {
		n, end := s.Scan(c.in.Bytes())
		c.in.Skip(n)
		raw += int64(n)
		if end {
			return nil
		}
		if raw > budget {
			return errFlood
		}
		now := time.Now()
		// Every octet earns the time it may take at the slowest rate allowed.
		until := start.Add(c.opt.Idle + time.Duration(raw)*time.Second/time.Duration(max(c.opt.DataRate, 1)))
		if idle := now.Add(c.opt.Idle); idle.Before(until) {
			until = idle
		}
		if err := c.fill(until); err != nil {
			return err
		}
	}
}
