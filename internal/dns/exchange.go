package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	udpSize      = 1232 // what we say we take by UDP: no fragments
	maxForeign   = 64   // packets by UDP that are not the answer, before we give up
	silentBefore = 3    // unanswered questions in a row that make a server suspect
	downFor      = 5 * time.Second
)

// server is one recursive resolver and its health.
type server struct {
	addr string

	mu      sync.Mutex
	silent  int       // unanswered questions in a row
	down    time.Time // not asked before this moment
	probing bool
}

// usable reports whether the server may be asked now. Of a server that was down, one
// question at a time finds out whether it is back.
func (s *server) usable(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down.IsZero() {
		return true
	}
	if now.Before(s.down) {
		return false
	}
	s.down = now.Add(downFor)
	return true
}

func (s *server) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent, s.down = 0, time.Time{}
}

// unanswered counts a silence; true asks the caller to probe the server.
func (s *server) unanswered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent++
	if s.silent < silentBefore || s.probing {
		return false
	}
	s.probing = true
	return true
}

func (s *server) probed(alive bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probing = false
	s.silent, s.down = 0, time.Time{}
	if !alive {
		s.silent, s.down = silentBefore, now.Add(downFor)
	}
}

// rcodeError is an answer that says the server could not or would not.
type rcodeError int

func (e rcodeError) Error() string {
	if s, ok := dns.RcodeToString[int(e)]; ok {
		return "the name server answered " + s
	}
	return fmt.Sprintf("the name server answered code %d", int(e))
}

// ask puts one question to the servers in their order, twice if all are silent.
func (r *Resolver) ask(ctx context.Context, q question) (*dns.Msg, error) {
	err := ErrNoServer
	for range 2 {
		refused := false
		for _, s := range r.servers {
			if !s.usable(r.now()) {
				continue
			}
			resp, e := r.exchange(ctx, s, q)
			var rcode rcodeError
			switch {
			case e == nil:
				s.answered()
				return resp, nil
			case errors.As(e, &rcode):
				s.answered()
				refused = true
			case r.ctx.Err() != nil:
				return nil, e
			case s.unanswered():
				s.probed(r.alive(ctx, s), r.now())
			}
			err = e
			if ctx.Err() != nil {
				return nil, err
			}
		}
		if refused {
			break
		}
	}
	return nil, err
}

// alive tells a dead server from one that waits for a stranger's: any recursive resolver
// has an answer about the root at hand.
func (r *Resolver) alive(ctx context.Context, s *server) bool {
	_, err := r.exchange(ctx, s, question{".", dns.TypeNS})
	var rcode rcodeError
	return err == nil || errors.As(err, &rcode)
}

// exchange asks one server once: by UDP, by TCP where that was cut off or unreadable, and
// without EDNS where the server does not know it.
func (r *Resolver) exchange(ctx context.Context, s *server, q question) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	resp, err := r.overUDP(ctx, s, q, true)
	if err == nil && (resp.Rcode == dns.RcodeFormatError || resp.Rcode == dns.RcodeNotImplemented) {
		resp, err = r.overUDP(ctx, s, q, false)
	}
	if errors.Is(err, errUnreadable) || err == nil && resp.Truncated {
		resp, err = r.overTCP(ctx, s, q)
	}
	if err != nil {
		return nil, err
	}
	if resp.Rcode != dns.RcodeSuccess && resp.Rcode != dns.RcodeNameError {
		return nil, rcodeError(resp.Rcode)
	}
	return resp, nil
}

var errUnreadable = errors.New("the answer cannot be read")

func newQuery(q question, edns bool) ([]byte, uint16, error) {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype) // a random ID from crypto/rand
	if edns {
		m.SetEdns0(udpSize, false)
	}
	out, err := m.Pack()
	return out, m.Id, err
}

// dial opens a socket of its own for one question, so that its port is unpredictable.
func (r *Resolver) dial(ctx context.Context, network string, s *server) (net.Conn, error) {
	r.count.questions.Add(1)
	c, err := (&net.Dialer{}).DialContext(ctx, network, s.addr)
	if err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (r *Resolver) overUDP(ctx context.Context, s *server, q question, edns bool) (*dns.Msg, error) {
	packet, id, err := newQuery(q, edns)
	if err != nil {
		return nil, err
	}
	c, err := r.dial(ctx, "udp", s)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(r.ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := c.Write(packet); err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	buf := make([]byte, 4096)
	for range maxForeign {
		n, err := c.Read(buf)
		if err != nil {
			return nil, fmt.Errorf("name server: %w", err)
		}
		resp, err := parse(buf[:n], id, q)
		if errors.Is(err, errForeign) {
			continue
		}
		return resp, err
	}
	return nil, errForeign
}

func (r *Resolver) overTCP(ctx context.Context, s *server, q question) (*dns.Msg, error) {
	packet, id, err := newQuery(q, true)
	if err != nil {
		return nil, err
	}
	c, err := r.dial(ctx, "tcp", s)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(r.ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(packet)+2), uint16(len(packet)))
	if _, err := c.Write(append(framed, packet...)); err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	return parse(buf, id, q)
}

// errForeign: a packet that does not answer our question, forged or late.
var errForeign = errors.New("only answers to other questions came")

// parse reads a packet that must answer exactly our question.
func parse(packet []byte, id uint16, q question) (*dns.Msg, error) {
	if len(packet) < 12 || binary.BigEndian.Uint16(packet) != id {
		return nil, errForeign
	}
	resp := new(dns.Msg)
	if err := resp.Unpack(packet); err != nil {
		return nil, errUnreadable
	}
	switch {
	case !resp.Response || resp.Opcode != dns.OpcodeQuery:
		return nil, errForeign
	case len(resp.Question) == 0 && resp.Rcode != dns.RcodeSuccess && resp.Rcode != dns.RcodeNameError:
		return resp, nil // some servers refuse without repeating the question
	case len(resp.Question) != 1 || resp.Question[0].Qtype != q.qtype || resp.Question[0].Qclass != dns.ClassINET ||
		!strings.EqualFold(resp.Question[0].Name, q.name):
		return nil, errForeign
	}
	return resp, nil
}
