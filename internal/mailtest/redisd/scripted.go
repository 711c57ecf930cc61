package redisd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Answer is what a scripted server does with a command. The zero value answers as an empty
// server would.
type Answer struct {
	Text   string        // the bytes to send, as they are
	After  time.Duration // how long they take
	Late   string        // more bytes, sent LateBy after Text without having been asked for
	LateBy time.Duration
	Silent bool // send nothing
	Close  bool // close the connection, after Text
}

// Scripted is a server that answers what a test tells it to, also what no server should.
type Scripted struct {
	Addr string

	script   atomic.Pointer[func(args []string) Answer]
	accepted atomic.Int64
	open     atomic.Int64
	late     atomic.Int64
}

// Lates is how many answers that nobody asked for were sent.
func (s *Scripted) Lates() int { return int(s.late.Load()) }

// StartScripted starts a server that asks script about every command but HELLO and AUTH.
func StartScripted(t testing.TB, script func(args []string) Answer) *Scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Scripted{Addr: l.Addr().String()}
	s.Script(script)
	var work sync.WaitGroup
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		close(ended)
		work.Wait()
	})
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.open.Add(1)
			work.Go(func() {
				defer s.open.Add(-1)
				defer c.Close()
				s.serve(c, ended)
			})
			work.Go(func() {
				<-ended
				_ = c.Close()
			})
		}
	})
	return s
}

// Script replaces what the server answers.
func (s *Scripted) Script(script func(args []string) Answer) { s.script.Store(&script) }

// Accepted counts the connections so far; Open those that are not closed.
func (s *Scripted) Accepted() int { return int(s.accepted.Load()) }

// Open counts the connections that are open.
func (s *Scripted) Open() int { return int(s.open.Load()) }

func (s *Scripted) serve(c net.Conn, ended <-chan struct{}) {
	in := bufio.NewReader(c)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		a := Answer{}
		name := strings.ToLower(args[0])
		if name != "hello" && name != "auth" {
			a = (*s.script.Load())(args)
		}
		if a == (Answer{}) {
			a.Text = empty(name)
		}
		if !wait(a.After, ended) {
			return
		}
		if a.Silent {
			continue
		}
		if _, err := io.WriteString(c, a.Text); err != nil || a.Close {
			return
		}
		if a.Late != "" {
			if !wait(a.LateBy, ended) {
				return
			}
			if _, err := io.WriteString(c, a.Late); err != nil {
				return
			}
			s.late.Add(1)
		}
	}
}

func wait(d time.Duration, ended <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-ended:
		return false
	}
}

func empty(name string) string {
	switch name {
	case "hello":
		return "-ERR unknown command 'hello'\r\n"
	case "ping":
		return "+PONG\r\n"
	case "auth", "set", "client":
		return "+OK\r\n"
	}
	return "$-1\r\n"
}

// readCommand reads one command, a list of texts.
func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readCount(in, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := readCount(in, '$')
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

func readCount(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("%q instead of %q", line, kind)
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil || n < 0 || n > 1<<20 || kind == '*' && n == 0 {
		return 0, fmt.Errorf("%q is no count", line)
	}
	return n, nil
}
