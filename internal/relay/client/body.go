package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/internal/relay/client/dots"
	"postern/internal/relay/client/reply"
)

// chunk is how much of a body is read and written at once.
const chunk = 32 << 10

// Body sends the whole of r, dot-stuffed, without the final dot. A bare CR or LF, a NUL or a
// last line without CRLF is a *BodyError; then, as after any error, the connection is closed
// and nothing is delivered. Each write may take Timeouts.Write.
func (c *Conn) Body(ctx context.Context, r io.Reader) error {
	if c.st != inData {
		return c.notNow(StageBody)
	}
	if c.buf == nil {
		c.buf = make([]byte, chunk)
	}
	defer c.limit(ctx, c.o.Timeouts.Write)()
	s := dots.New(progress{c})
	for empty := 0; ; {
		n, err := r.Read(c.buf)
		if werr := s.Write(c.buf[:n]); werr != nil {
			return c.bodyFailed(ctx, werr)
		}
		if empty++; n > 0 {
			empty = 0
		} else if err == nil && empty == 100 {
			err = io.ErrNoProgress
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return c.bodyFailed(ctx, fmt.Errorf("reading the body: %w", err))
		}
	}
	if err := s.End(); err != nil {
		return c.bodyFailed(ctx, err)
	}
	return nil
}

func (c *Conn) bodyFailed(ctx context.Context, err error) error {
	var bad *BodyError
	if errors.As(err, &bad) {
		_ = c.fail(StageBody, Reply{}, err)
		return err
	}
	// A server that hangs up in the middle often says why.
	c.raw.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	r, rerr := reply.Read(c.r)
	if rerr != nil {
		r = Reply{}
	}
	return c.fail(StageBody, r, cause(ctx, err))
}

// progress writes with a deadline for each write rather than one for the whole body.
type progress struct{ c *Conn }

func (p progress) Write(b []byte) (int, error) {
	p.c.raw.SetWriteDeadline(time.Now().Add(p.c.o.Timeouts.Write))
	if p.c.cancelled.Load() {
		p.c.raw.SetDeadline(time.Unix(1, 0))
	}
	return p.c.nc.Write(b)
}

// End sends the final dot and returns one reply (SMTP) or one per recipient taken by Begin,
// in their order (LMTP). The replies may be 4xx or 5xx; the connection is then ready for the
// next transaction. An *Error with Ambiguous set means that the connection was lost after the
// dot: the server may or may not have the message; replies that came before that are
// returned beside it.
func (c *Conn) End(ctx context.Context) ([]Reply, error) {
	if c.st != inData {
		return nil, c.notNow(StageEnd)
	}
	if err := c.listen(ctx, StageEnd); err != nil {
		return nil, err
	}
	want := 1
	if c.o.Protocol == LMTP {
		want = c.took
	}
	replies := make([]Reply, 0, want)
	// One limit for all answers together: LMTP gives as many as there are recipients.
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Timeouts.End, errSlowEnd)
	defer cancel()
	if err := c.put(ctx, StageEnd, []byte(".\r\n")); err != nil {
		return nil, ambiguous(err)
	}
	for len(replies) < want {
		r, err := c.readWithin(ctx, StageEnd, c.o.Timeouts.End, len(replies) == want-1)
		if err == nil && r.Code/100 == 3 {
			err = c.fail(StageEnd, r, fmt.Errorf("%w: a code that cannot stand here", ErrProtocol))
		}
		if err != nil {
			return replies, ambiguous(err)
		}
		replies = append(replies, r)
		if r.Code == 421 {
			_ = c.fail(StageEnd, r, nil)
			for len(replies) < want {
				replies = append(replies, r)
			}
			return replies, nil
		}
	}
	if c.st != closed {
		c.st, c.took = idle, 0
	}
	return replies, nil
}

var errSlowEnd = errors.New("no answer to the final dot in time")

func ambiguous(err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Ambiguous = true
	}
	return err
}
