package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// sink is a server behind that takes everything and keeps the head of each mail.
type sink struct {
	l net.Listener

	mu    sync.Mutex
	heads map[string]string // by X-Bench-Id
	more  chan struct{}
}

func newSink(addr string) (*sink, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &sink{l: l, heads: map[string]string{}, more: make(chan struct{}, 1)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s, nil
}

func (s *sink) addr() string { return s.l.Addr().String() }

func (s *sink) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heads = map[string]string{}
}

// await waits until n different mails arrived and says how many did.
func (s *sink) await(n int, limit time.Duration) int {
	end := time.After(limit)
	for {
		s.mu.Lock()
		have := len(s.heads)
		s.mu.Unlock()
		if have >= n {
			return have
		}
		select {
		case <-s.more:
		case <-end:
			return have
		}
	}
}

func (s *sink) write(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := json.Marshal(s.heads)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

func (s *sink) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	say := func(text string) { _, _ = conn.Write([]byte(text + "\r\n")) }
	say("220 sink")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(line); {
		case strings.HasPrefix(verb, "EHLO"):
			say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 100000000")
		case strings.HasPrefix(verb, "RCPT") && !strings.Contains(verb, "<USER@"):
			say("550 5.1.1 no such user")
		case strings.HasPrefix(verb, "DATA"):
			say("354 go on")
			if !s.data(r) {
				return
			}
			say("250 2.0.0 taken")
		case strings.HasPrefix(verb, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 2.0.0 fine")
		}
	}
}

// data reads a mail to its end and keeps its head.
func (s *sink) data(r *bufio.Reader) bool {
	var head bytes.Buffer
	inHead, id := true, ""
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return false
		}
		if string(line) == ".\r\n" {
			break
		}
		if !inHead {
			continue
		}
		if inHead = len(line) > 2; inHead {
			head.Write(line)
			if v, ok := strings.CutPrefix(string(line), "X-Bench-Id: "); ok {
				id = strings.TrimSpace(v)
			}
		}
	}
	if id != "" {
		s.mu.Lock()
		s.heads[id] = head.String()
		s.mu.Unlock()
	}
	select {
	case s.more <- struct{}{}:
	default:
	}
	return true
}
