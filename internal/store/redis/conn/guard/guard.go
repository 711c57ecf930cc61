// Package guard reads along with what a store answers, and breaks off before an answer takes more
// room than answers take.
package guard

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// ErrNonsense is an answer that no store gives.
var ErrNonsense = errors.New("it sent what is not an answer")

// What an answer may be at most. The client makes room for what the server announces before it
// is there, so that a few bytes could end the process.
const (
	longestText  = 64 << 20
	longestLine  = 64 << 10
	longestList  = 1 << 21
	longestReply = 128 << 20 // what a whole answer takes here, lists within lists and all
	valueCost    = 32        // of that, for each value of a list beside its text
	deepestList  = 32
	longestCount = 20
)

// conn is a connection that reads along and breaks off when an answer announces more than
// answers have.
type conn struct {
	net.Conn
	raw syscall.Conn

	skip  int    // bytes of a text, with its end, that are still to come
	line  []byte // the beginning of the line that is being read
	n     int    // its length so far
	lists []int  // elements that the open lists still lack, the innermost last
	cost  int    // of the answer so far, with what is announced
}

// Conn wraps a connection; what is below TLS stays reachable, so that the pool sees when the
// server has closed it.
func Conn(c net.Conn) net.Conn {
	g := &conn{Conn: c}
	below := c
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		below = t.NetConn()
	}
	raw, ok := below.(syscall.Conn)
	if !ok {
		return g
	}
	g.raw = raw
	return rawConn{g}
}

// rawConn is a conn with a file descriptor.
type rawConn struct{ *conn }

// SyscallConn is the connection of the operating system.
func (g rawConn) SyscallConn() (syscall.RawConn, error) { return g.raw.SyscallConn() }

// Read reads and looks at what came.
func (g *conn) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if bad := g.look(p[:n]); bad != nil {
		_ = g.Close()
		return 0, bad
	}
	return n, err
}

func (g *conn) look(p []byte) error {
	for len(p) > 0 {
		if g.skip > 0 {
			k := min(g.skip, len(p))
			g.skip -= k
			p = p[k:]
			if g.skip == 0 {
				g.done()
			}
			continue
		}
		b := p[0]
		p = p[1:]
		if b != '\n' {
			if g.n++; g.n > longestLine {
				return fmt.Errorf("%w: a line of more than %d bytes", ErrNonsense, longestLine)
			}
			if len(g.line) <= longestCount {
				g.line = append(g.line, b)
			}
			continue
		}
		err := g.begin()
		g.line, g.n = g.line[:0], 0
		if err != nil {
			return err
		}
	}
	return nil
}

// begin reads the first line of a value.
func (g *conn) begin() error {
	if len(g.line) == 0 {
		return fmt.Errorf("%w: an empty line", ErrNonsense)
	}
	kind := g.line[0]
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(':
		if err := g.pay(g.n); err != nil {
			return err
		}
		g.done()
		return nil
	case '$', '=', '!', '*', '%', '~', '>', '|':
	default:
		return fmt.Errorf("%w: it begins with %q", ErrNonsense, kind)
	}
	if g.n > longestCount {
		return fmt.Errorf("%w: no number after %q", ErrNonsense, kind)
	}
	text := g.line[1:]
	if k := len(text); k > 0 && text[k-1] == '\r' {
		text = text[:k-1]
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < -1 {
		return fmt.Errorf("%w: no number after %q", ErrNonsense, kind)
	}
	switch kind {
	case '$', '=', '!':
		return g.text(n)
	case '%', '|':
		n *= 2
	}
	return g.list(kind, n)
}

func (g *conn) text(n int) error {
	switch {
	case n > longestText:
		return fmt.Errorf("%w: a text of %d bytes", ErrNonsense, n)
	case n < 0:
		g.done()
	default:
		g.skip = n + 2
		return g.pay(n)
	}
	return nil
}

// pay counts what an answer takes.
func (g *conn) pay(n int) error {
	if g.cost += n; g.cost > longestReply {
		return fmt.Errorf("%w: more than %d bytes in one", ErrNonsense, longestReply)
	}
	return nil
}

func (g *conn) list(kind byte, n int) error {
	switch {
	case n > longestList, n < -2:
		return fmt.Errorf("%w: a list of %d values", ErrNonsense, n)
	case n <= 0:
		g.done()
		return nil
	case len(g.lists) >= deepestList:
		return fmt.Errorf("%w: lists within lists", ErrNonsense)
	}
	if kind == '|' { // attributes stand in front of the value that they describe
		n++
	}
	g.lists = append(g.lists, n)
	return g.pay(n * valueCost)
}

// done ends a value, and the lists that it was the last of.
func (g *conn) done() {
	for i := len(g.lists) - 1; i >= 0; i-- {
		if g.lists[i]--; g.lists[i] > 0 {
			return
		}
		g.lists = g.lists[:i]
	}
	g.cost = 0
}
