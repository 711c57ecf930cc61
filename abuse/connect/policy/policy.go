// Package policy is a Postfix policy service (SMTPD_POLICY_README): asked at each recipient, it
// says what may not go out, also in sessions that were open before. It never says that
// something may: where it is not sure it answers DUNNO, or nothing at all.
package policy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"postern/abuse"
)

// Bounds of a request and of the service.
const (
	MaxLine       = 8 << 10 // octets of a line
	MaxAttributes = 100     // of a request
	MaxClients    = 500     // connections at once; one of an smtpd process each
	Idle          = 10 * time.Minute
	Answer        = 3 * time.Second // below the 5 s that Postfix is told to wait
)

// Dunno is the answer that leaves the decision to others.
const Dunno = "DUNNO"

// Request is what Postfix tells.
type Request struct {
	State      string // RCPT, DATA, END-OF-MESSAGE ...
	Instance   string // one message: the same for each of its recipients
	Login      string // "" = nobody signed in
	Sender     string
	Recipient  string
	Recipients int // 0 before DATA
	Client     string
	Port       uint16
	QueueID    string
}

// Errors of reading a request.
var (
	ErrTooLong = errors.New("a request beyond the limits")
	ErrForm    = errors.New("no policy request")
)

// Read reads one request; io.EOF at the end of the connection.
func Read(r *bufio.Reader) (Request, error) {
	var q Request
	seen := map[string]bool{}
	for n := 0; ; n++ {
		line, err := readLine(r)
		switch {
		case errors.Is(err, io.EOF) && n == 0 && line == "":
			return q, io.EOF
		case errors.Is(err, io.EOF):
			return q, io.ErrUnexpectedEOF
		case err != nil:
			return q, err
		case line == "" && n == 0:
			return q, ErrForm
		case line == "" && q.State == "":
			return q, ErrForm
		case line == "":
			return q, nil
		case n >= MaxAttributes:
			return q, ErrTooLong
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" || seen[name] {
			return q, ErrForm
		}
		seen[name] = true
		if err := q.set(name, value); err != nil {
			return q, err
		}
	}
}

func (q *Request) set(name, value string) error {
	switch name {
	case "request":
		if value != "smtpd_access_policy" {
			return ErrForm
		}
	case "protocol_state":
		q.State = value
	case "instance":
		q.Instance = value
	case "sasl_username":
		q.Login = value
	case "sender":
		q.Sender = value
	case "recipient":
		q.Recipient = value
	case "client_address":
		q.Client = value
	case "queue_id":
		q.QueueID = value
	case "client_port":
		n, _ := strconv.ParseUint(value, 10, 16) // empty or "unknown" from an old Postfix
		q.Port = uint16(n)
	case "recipient_count":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return ErrForm
		}
		q.Recipients = n
	}
	return nil
}

// readLine reads to LF and leaves that out.
func readLine(r *bufio.Reader) (string, error) {
	var out []byte
	for {
		part, err := r.ReadSlice('\n')
		out = append(out, part...)
		switch {
		case len(out) > MaxLine:
			return "", ErrTooLong
		case err == nil:
			return strings.TrimSuffix(string(out), "\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return string(out), err
		}
	}
}

// Decider says what is in force, from memory.
type Decider struct {
	// Force is the record that restricts an account most; the zero Account restricts nothing.
	Force func(account string) abuse.Account
	// Slow counts one recipient of a throttled account's message, and reports whether it is
	// beyond what the account may still send. Nil: throttling is not done here.
	Slow func(ctx context.Context, account, instance string) (beyond bool, err error)
	// Held is told which message Postfix puts on hold by our answer, before it is answered. Nil:
	// nobody asks.
	Held func(queueID, login string)
	// Unasked is told when it is clear that Postfix does not ask at the end of messages, so that
	// what is put on hold stays there, and when it does after all. Nil: nobody asks.
	Unasked func(unasked bool)
	// Help is where people read what to do; "" = nowhere.
	Help string

	held held
}

// Decide answers a request.
func (d *Decider) Decide(ctx context.Context, q Request) string {
	if q.Login == "" {
		return Dunno
	}
	acc := d.Force(q.Login)
	d.note(q, acc.Effective() == abuse.M2)
	switch level := acc.Effective(); {
	case level >= abuse.M3:
		return "REJECT 5.7.1 sending is suspended" + d.about(acc)
	case level == abuse.M2:
		return "HOLD" + d.about(acc)
	case level == abuse.M1 && d.Slow != nil && q.State == "RCPT":
		if beyond, err := d.Slow(ctx, q.Login, q.Instance); err == nil && beyond {
			return "DEFER_IF_PERMIT 4.7.1 this account sends too much, try again later" + d.about(acc)
		}
	}
	return Dunno
}

// about names the case, and where to read more: a line that Postfix can pass on.
func (d *Decider) about(acc abuse.Account) string {
	out := ""
	if id := clean(acc.Case); id != "" {
		out += ", case " + id
	}
	if d.Help != "" {
		out += ", see " + clean(d.Help)
	}
	return out
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// Server answers Postfix.
type Server struct {
	Decide func(ctx context.Context, q Request) string
	Log    *slog.Logger
}

// Serve answers on l until ctx ends. After any trouble with a connection that one is closed
// without an answer: Postfix then does as its default_action says.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	slots := make(chan struct{}, MaxClients)
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("policy service: %w", err)
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		work.Go(func() {
			defer func() { <-slots }()
			if err := s.serve(ctx, c); err != nil && ctx.Err() == nil {
				s.Log.Warn("a connection of the policy service was closed", "error", err)
			}
		})
	}
}

func (s *Server) serve(ctx context.Context, c net.Conn) (err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer c.Close()
	defer func() {
		if p := recover(); p != nil { // one request must not end the service
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	r := bufio.NewReaderSize(c, 4<<10)
	for {
		if err := c.SetDeadline(time.Now().Add(Idle)); err != nil {
			return err
		}
		q, err := Read(r)
		var timeout net.Error
		switch {
		case errors.Is(err, io.EOF), errors.As(err, &timeout) && timeout.Timeout():
			return nil
		case err != nil:
			return err
		}
		action := func() string {
			ctx, cancel := context.WithTimeout(ctx, Answer)
			defer cancel()
			return s.Decide(ctx, q)
		}()
		if _, err := io.WriteString(c, "action="+action+"\n\n"); err != nil {
			return err
		}
	}
}
