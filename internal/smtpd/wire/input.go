package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"time"
)

// Sizes of the input buffer and of what is read from a line too long before giving up.
const (
	commandSize = 4 << 10
	authSize    = 12<<10 + 2 // RFC 4954 section 4
	bodySize    = 32 << 10
	overlong    = 128 << 10
)

var (
	errEOF      = io.EOF
	errDraining = errors.New("draining")
	errTooLong  = errors.New("line too long")
	errEndless  = errors.New("endless line")
)

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// line takes the next line with its end. One deadline counts for the whole line.
func (c *Conn) line(size int) ([]byte, error) {
	c.in.Room(size)
	until := time.Now().Add(c.opt.Idle)
	from := 0
	for {
		waiting := c.in.Bytes()
		if i := bytes.IndexByte(waiting[from:], '\n'); i >= 0 {
			c.in.Skip(from + i + 1)
			return waiting[:from+i+1], nil
		}
		from = len(waiting)
		if from >= size {
			return nil, c.skipLine(until)
		}
		if err := c.fill(until); err != nil {
			return nil, err
		}
	}
}

// skipLine throws a line too long away.
func (c *Conn) skipLine(until time.Time) error {
	for n := 0; n < overlong; {
		waiting := c.in.Bytes()
		if i := bytes.IndexByte(waiting, '\n'); i >= 0 {
			c.in.Skip(i + 1)
			return errTooLong
		}
		n += len(waiting)
		c.in.Skip(len(waiting))
		if err := c.fill(until); err != nil {
			return err
		}
	}
	return errEndless
}
