package redisd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy stands before a server and does to its answers what networks and bugs do.
type Proxy struct {
	Addr string

	to       string
	listener net.Listener
	wg       sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool

	swallow  atomic.Int64 // answers that are left out: all later ones of the connection shift
	slice    atomic.Bool  // answers come a few bytes at a time
	latency  atomic.Int64 // of each answer
	answered atomic.Int64
}

// StartProxy starts a proxy that ends with the test.
func StartProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), to: to, listener: l, open: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Swallow leaves out the next n answers, on whatever connection they come.
func (p *Proxy) Swallow(n int) { p.swallow.Store(int64(n)) }

// Slice makes answers come a few bytes at a time, or whole again.
func (p *Proxy) Slice(on bool) { p.slice.Store(on) }

// Latency makes each answer wait.
func (p *Proxy) Latency(d time.Duration) { p.latency.Store(int64(d)) }

// Answered counts the answers that passed.
func (p *Proxy) Answered() int64 { return p.answered.Load() }

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.to)
		if err != nil {
			c.Close()
			continue
		}
		p.mu.Lock()
		p.open[c], p.open[s] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { _, _ = io.Copy(s, c); s.Close(); c.Close() })
		p.wg.Go(func() { p.answers(c, bufio.NewReader(s)); s.Close(); c.Close() })
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// answers hands answers on, one by one.
func (p *Proxy) answers(to io.Writer, from *bufio.Reader) {
	for {
		answer, err := readAnswer(from)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(p.latency.Load()))
		if n := p.swallow.Load(); n > 0 && p.swallow.CompareAndSwap(n, n-1) {
			continue
		}
		p.answered.Add(1)
		step := len(answer)
		if p.slice.Load() {
			step = 7
		}
		for len(answer) > 0 {
			n := min(step, len(answer))
			if _, err := to.Write(answer[:n]); err != nil {
				return
			}
			answer = answer[n:]
		}
	}
}

// readAnswer reads one RESP2 value as it stands.
func readAnswer(r *bufio.Reader) ([]byte, error) {
	out, err := r.ReadBytes('\n')
	if err != nil || len(out) < 3 {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	n, _ := strconv.Atoi(string(out[1 : len(out)-2])) // other kinds have no number
	switch out[0] {
	case '$':
		if n < 0 {
			return out, nil
		}
		text := make([]byte, n+2)
		_, err = io.ReadFull(r, text)
		return append(out, text...), err
	case '*':
		for range n {
			one, err := readAnswer(r)
			if err != nil {
				return nil, err
			}
			out = append(out, one...)
		}
	}
	return out, nil
}
