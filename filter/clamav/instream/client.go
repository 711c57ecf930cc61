// Package instream speaks clamd's protocol: a connection for each command, replies bounded,
// one deadline over both directions, and no answer that clamd did not give.
package instream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Kind says what went wrong.
type Kind uint8

// The kinds of Error.
const (
	Unreachable Kind = iota // no connection
	TimedOut                // the context ended first
	Crashed                 // the connection ended without a reply
	Refused                 // clamd said ERROR
	Garbage                 // clamd said what is no reply
	Unreadable              // the body could not be read: our own fault
)

// Error is a command without an answer.
type Error struct {
	Kind  Kind
	Text  string // plain, printable
	Begun bool   // the connection stood: clamd may have seen the bytes
	Err   error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return "clamd: " + e.Text
	}
	return "clamd: " + e.Text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Client names one clamd. The zero value is of no use; see Parse.
type Client struct{ Network, Address string }

// Parse reads "unix:/path" or "host:port".
func Parse(s string) (Client, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if !filepath.IsAbs(path) {
			return Client{}, fmt.Errorf("clamd address %q: the path must be absolute", s)
		}
		return Client{"unix", path}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" {
		return Client{}, fmt.Errorf("clamd address %q: want unix:/path or host:port", s)
	}
	return Client{"tcp", s}, nil
}

// String is the form that Parse reads.
func (c Client) String() string {
	if c.Network == "unix" {
		return "unix:" + c.Address
	}
	return c.Address
}

// Version asks for clamd's version line.
func (c Client) Version(ctx context.Context) (string, error) {
	raw, err := c.command(ctx, "VERSION", nil)
	if err != nil {
		return "", err
	}
	return single(raw)
}

// Scan sends size bytes of body. The error is an *Error.
func (c Client) Scan(ctx context.Context, body io.ReaderAt, size int64) (Reply, error) {
	raw, err := c.command(ctx, "INSTREAM", func(w io.Writer) error { return stream(w, body, size) })
	if err != nil {
		return Reply{}, err
	}
	r, err := parseReply(raw)
	var e *Error
	if errors.As(err, &e) {
		e.Begun = true
	}
	return r, err
}

// command opens a connection, says cmd, lets send write what follows and returns all that
// came back before clamd closed the connection. Both directions run at once, since clamd
// answers before it has read everything when it refuses a stream.
func (c Client) command(ctx context.Context, cmd string, send func(io.Writer) error) ([]byte, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, c.Network, c.Address)
	if err != nil {
		return nil, ended(ctx, &Error{Kind: Unreachable, Text: "no connection", Err: err})
	}
	defer conn.Close()
	// One deadline over reads and writes alike, whatever the context's kind of end.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	var raw []byte
	var readErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		raw, readErr = io.ReadAll(io.LimitReader(conn, maxReply+1))
		conn.SetWriteDeadline(time.Unix(1, 0)) // nobody listens any more
	})
	_, sendErr := io.WriteString(conn, "z"+cmd+"\x00")
	if sendErr == nil && send != nil {
		sendErr = send(conn)
	}
	var own *Error
	if errors.As(sendErr, &own) {
		conn.Close()
	}
	wg.Wait()
	switch {
	case own != nil:
		return nil, own
	case len(raw) > maxReply:
		return raw, nil // too long whatever follows: judged as such
	case ctx.Err() != nil:
		return nil, ended(ctx, &Error{Begun: true})
	case len(raw) == 0:
		return nil, &Error{Kind: Crashed, Text: "connection closed without a reply", Begun: true, Err: errors.Join(sendErr, readErr)}
	}
	return raw, partial(raw, errors.Join(sendErr, readErr))
}

// partial judges a reply that came although not everything was sent or the connection did
// not end well. Only a refusal or a find may: "OK" to half a message would be a lie.
func partial(raw []byte, broken error) error {
	if broken == nil {
		return nil
	}
	r, err := parseReply(raw)
	if err == nil && r.Verdict != Clean {
		return nil
	}
	var e *Error
	if errors.As(err, &e) && e.Kind == Refused {
		return nil
	}
	return &Error{Kind: Crashed, Text: "connection ended before all was sent", Begun: true, Err: broken}
}

// ended names the end of the context as what it is.
func ended(ctx context.Context, e *Error) *Error {
	if ctx.Err() != nil {
		e.Kind, e.Text, e.Err = TimedOut, "no answer in time", ctx.Err()
	}
	return e
}

// chunk is how much one INSTREAM chunk carries.
const chunk = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 4+chunk+4); return &b }}

// stream writes body in chunks, length and data in one write, and the end mark with the
// last. io.ReaderAt may return its last bytes together with io.EOF: they count.
func stream(w io.Writer, body io.ReaderAt, size int64) error {
	p, _ := buffers.Get().(*[]byte)
	defer buffers.Put(p)
	buf := *p
	for off := int64(0); ; {
		n := int(min(chunk, size-off))
		if got, err := body.ReadAt(buf[4:4+n], off); got < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return &Error{Kind: Unreadable, Text: "the message could not be read", Err: err}
		}
		off += int64(n)
		binary.BigEndian.PutUint32(buf, uint32(n))
		end := 4 + n
		if off == size {
			if n == 0 {
				end = 0
			}
			binary.BigEndian.PutUint32(buf[end:], 0)
			end += 4
		}
		if _, err := w.Write(buf[:end]); err != nil {
			return err
		}
		if off == size {
			return nil
		}
	}
}
