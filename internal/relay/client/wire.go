package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"postern/internal/relay/client/reply"
)

// fail closes the connection and says why.
func (c *Conn) fail(stage Stage, r Reply, err error) *Error {
	e := &Error{Addr: c.o.Addr, Stage: stage, Reply: r, Err: err}
	if c.st != closed {
		c.err = e
		c.shut()
	}
	return e
}

// limit bounds the next reads and writes by d and by the context, until done is called.
func (c *Conn) limit(ctx context.Context, d time.Duration) (done func()) {
	c.cancelled.Store(false)
	c.raw.SetDeadline(time.Now().Add(d))
	if ctx.Err() != nil {
		c.raw.SetDeadline(time.Unix(1, 0)) // do not race the function below
	}
	stop := context.AfterFunc(ctx, func() {
		c.cancelled.Store(true)
		c.raw.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() && c.st != closed {
			// The deadline set above may still be on its way and would hit a later stage.
			_ = c.fail(stageCancelled, Reply{}, context.Cause(ctx))
		}
	}
}

const stageCancelled Stage = "cancelled"

// cause prefers the reason of a context over the timeout it led to.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ask sends one command and reads its reply.
func (c *Conn) ask(ctx context.Context, stage Stage, line string) (Reply, error) {
	if err := c.write(ctx, stage, []byte(line+"\r\n")); err != nil {
		return Reply{}, err
	}
	return c.read(ctx, stage, true)
}

// write sends commands.
func (c *Conn) write(ctx context.Context, stage Stage, b []byte) error {
	if c.st == closed {
		return c.notNow(stage)
	}
	if err := c.listen(ctx, stage); err != nil {
		return err
	}
	return c.put(ctx, stage, b)
}

// put sends bytes as they are.
func (c *Conn) put(ctx context.Context, stage Stage, b []byte) error {
	defer c.limit(ctx, c.o.Timeouts.Reply)()
	if _, err := c.nc.Write(b); err != nil {
		return c.fail(stage, Reply{}, cause(ctx, err))
	}
	return nil
}

// notNow is the error of a call out of order, or on a connection that is closed.
func (c *Conn) notNow(stage Stage) error {
	if c.st == closed {
		return &Error{Addr: c.o.Addr, Stage: stage, Err: fmt.Errorf("connection is closed: %w", c.err)}
	}
	return c.fail(stage, Reply{}, errors.New("called out of order"))
}

// read reads one reply. last says that none is to follow it.
func (c *Conn) read(ctx context.Context, stage Stage, last bool) (Reply, error) {
	return c.readWithin(ctx, stage, c.o.Timeouts.Reply, last)
}

func (c *Conn) readWithin(ctx context.Context, stage Stage, d time.Duration, last bool) (Reply, error) {
	defer c.limit(ctx, d)()
	r, err := reply.Read(c.r)
	if err != nil {
		return Reply{}, c.fail(stage, Reply{}, cause(ctx, err))
	}
	if last && c.r.Buffered() > 0 {
		return r, c.fail(stage, r, fmt.Errorf("%w: more replies than commands", ErrProtocol))
	}
	return r, nil
}

// waiting is what a look at a socket finds.
type waiting uint8

const (
	nothing waiting = iota
	text            // something to read
	hangup          // closed by the other side, or broken
)

// unasked reports whether the server has spoken or closed without being asked.
func (c *Conn) unasked() bool {
	if c.r.Buffered() > 0 {
		return true
	}
	if peek(c.raw) == nothing {
		return false
	}
	if c.nc == c.raw {
		return true
	}
	// Over TLS the bytes may be a session ticket and no text at all.
	c.raw.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.r.Peek(1)
	var ne net.Error
	return !errors.As(err, &ne) || !ne.Timeout()
}

// listen makes sure that the server has not spoken: what it says unasked is never taken for
// the answer to the next command. It is a farewell (421) or a fault, and closes.
func (c *Conn) listen(ctx context.Context, stage Stage) error {
	if !c.unasked() {
		return nil
	}
	defer c.limit(ctx, time.Second)()
	r, err := reply.Read(c.r)
	if err != nil {
		return c.fail(stage, Reply{}, cause(ctx, err))
	}
	return c.fail(stage, r, fmt.Errorf("%w: the server spoke unasked", ErrProtocol))
}
