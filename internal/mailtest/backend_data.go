package mailtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

func (c *backendConn) data() error {
	if len(c.tx.To) == 0 {
		return c.send("503 5.5.1 no valid recipients")
	}
	code, err := c.step(AtData, "", "354 go on")
	if err != nil || code != 354 {
		return err
	}
	s := c.b.current()
	c.tx.At = time.Now()
	err = c.body(s)
	tx := c.tx
	if err == nil {
		tx.Complete = true
		tx.Replies, err = c.end(s, tx)
	} else {
		c.b.recordTransaction(tx)
	}
	c.clear()
	return err
}

// body reads up to the final dot, which is CRLF "." CRLF and nothing else.
func (c *backendConn) body(s Script) error {
	sum := sha256.New()
	atStart := true
	defer func() { c.tx.SHA256 = hex.EncodeToString(sum.Sum(nil)) }()
	for n := 0; ; n++ {
		line, err := c.r.ReadBytes('\n')
		if !s.DropBodies {
			c.tx.Raw = append(c.tx.Raw, line...)
		}
		if atStart && string(line) == ".\r\n" {
			return nil
		}
		ended := bytes.HasSuffix(line, []byte("\r\n"))
		c.tx.BareEnds += bytes.Count(line, []byte("\r")) + bytes.Count(line, []byte("\n"))
		if ended {
			c.tx.BareEnds -= 2
		}
		if atStart && len(line) > 0 && line[0] == '.' {
			line = line[1:]
		}
		sum.Write(line)
		c.tx.Size += int64(len(line))
		if !s.DropBodies {
			c.tx.Body = append(c.tx.Body, line...)
		}
		if err != nil {
			return err
		}
		atStart = ended
		if n == 0 && s.Early != nil {
			if _, err := c.play(*s.Early, "250 2.0.0 already"); err != nil {
				return err
			}
		}
	}
}

// end answers the final dot. The transaction is recorded before the answer goes out, so
// that whoever saw the answer finds it.
func (c *backendConn) end(s Script, tx Transaction) ([]string, error) {
	var steps []Step
	if !s.LMTP {
		steps = []Step{c.find(s, AtEnd, "")}
	}
	for _, to := range tx.To {
		if s.LMTP {
			st, ok := s.EndFor[to]
			if !ok {
				st = c.find(s, AtEnd, to)
			}
			steps = append(steps, st)
		}
	}
	usual := "250 2.0.0 queued as " + strconv.Itoa(c.n)
	for _, st := range steps {
		if text := st.text(usual); text != "" {
			tx.Replies = append(tx.Replies, text)
		}
	}
	c.b.recordTransaction(tx)
	if s.Done != nil {
		s.Done(tx)
	}
	for _, st := range steps {
		if _, err := c.play(st, usual); err != nil {
			return tx.Replies, err
		}
	}
	return tx.Replies, nil
}

// text is the answer of a step that really goes out, "" when none does.
func (st Step) text(usual string) string {
	switch st.Do {
	case CloseSilent, SendRST, Hang, HalfReply, HalfThenClose, SendGarbage:
		return ""
	}
	if st.Raw != "" {
		return strings.TrimRight(st.Raw, "\r\n")
	}
	if st.Reply != "" {
		return st.Reply
	}
	return usual
}

func (c *backendConn) find(s Script, at Point, arg string) Step {
	if s.Hook != nil {
		if st, ok := s.Hook(at, c.n, arg); ok {
			return st
		}
	}
	return s.Steps[at]
}

// plain is step where only the error counts.
func (c *backendConn) plain(at Point, arg, usual string) error {
	_, err := c.step(at, arg, usual)
	return err
}

// step plays what the script has at a point and returns the code it answered.
func (c *backendConn) step(at Point, arg, usual string) (int, error) {
	return c.play(c.find(c.b.current(), at, arg), usual)
}

func (c *backendConn) play(st Step, usual string) (int, error) {
	if st.Delay > 0 {
		select {
		case <-time.After(st.Delay):
		case <-c.b.done:
			return 0, errEnd
		}
	}
	text := usual
	if st.Reply != "" {
		text = st.Reply
	}
	wire := strings.ReplaceAll(text, "\n", "\r\n") + "\r\n"
	if st.Raw != "" {
		text, wire = st.Raw, st.Raw
	}
	code := 0
	if len(text) >= 3 {
		code, _ = strconv.Atoi(text[:3])
	}
	return code, c.fault(st.Do, wire)
}

func (c *backendConn) fault(do Misdeed, wire string) error {
	switch do {
	case CloseSilent:
		return errEnd
	case SendRST:
		if tcp, ok := c.raw.(*net.TCPConn); ok {
			tcp.SetLinger(0) //nolint:errcheck // an ordinary close is then all we get
		}
		return errEnd
	case Hang:
		return c.hang()
	case HalfReply, HalfThenClose:
		if _, err := io.WriteString(c.conn, wire[:len(wire)/2]); err != nil || do == HalfThenClose {
			return errEnd
		}
		return c.hang()
	case SendGarbage:
		wire = "\x00\xff\x16\x03\x01 no reply\r\n\x1b[2J\r\n"
	case SendBareLF:
		wire = strings.ReplaceAll(wire, "\r\n", "\n")
	case ReplyTwice:
		wire += wire
	case ReplyBytewise:
		for i := range len(wire) {
			if _, err := io.WriteString(c.conn, wire[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := io.WriteString(c.conn, wire); err != nil {
		return err
	}
	if do == CloseAfter {
		return errEnd
	}
	return nil
}

// hang reads and says nothing until the client goes or the backend is closed.
func (c *backendConn) hang() error {
	io.Copy(io.Discard, c.conn) //nolint:errcheck // its end is what is waited for
	return errEnd
}

func (c *backendConn) send(text string) error { return c.fault(Healthy, text+"\r\n") }
