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

// input buffers what the client sent. Its size follows the phase, so that an idle session
// costs little.
type input struct {
	buf  []byte
	r, w int
}

func (in *input) bytes() []byte { return in.buf[in.r:in.w] }

func (in *input) skip(n int) { in.r += n }

// room makes the buffer hold size octets, if what waits in it allows that.
func (in *input) room(size int) {
	if len(in.buf) == size || in.w-in.r > size {
		return
	}
	buf := make([]byte, size)
	in.w = copy(buf, in.bytes())
	in.buf, in.r = buf, 0
}

// fill reads once. There must be room.
func (in *input) fill(src io.Reader) error {
	if len(in.buf) == 0 {
		in.room(commandSize)
	}
	if in.r > 0 {
		in.w = copy(in.buf, in.bytes())
		in.r = 0
	}
	n, err := src.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	return err
}

// line takes the next line with its end. One deadline counts for the whole line.
func (c *Conn) line(size int) ([]byte, error) {
	c.in.room(size)
	until := time.Now().Add(c.opt.Idle)
	from := 0
	for {
		waiting := c.in.bytes()
		if i := bytes.IndexByte(waiting[from:], '\n'); i >= 0 {
			c.in.skip(from + i + 1)
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
		waiting := c.in.bytes()
		if i := bytes.IndexByte(waiting, '\n'); i >= 0 {
			c.in.skip(i + 1)
			return errTooLong
		}
		n += len(waiting)
		c.in.skip(len(waiting))
		if err := c.fill(until); err != nil {
			return err
		}
	}
	return errEndless
}
