package mailtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Misdeed is what a scripted server does wrong at a step.
type Misdeed uint8

// The misdeeds. Those that answer use the step's Reply.
const (
	Healthy       Misdeed = iota
	CloseSilent           // closes without an answer
	CloseAfter            // answers, then closes
	SendRST               // ends the connection with an RST instead of an answer
	Hang                  // never answers; ends when the client goes or the backend is closed
	HalfReply             // sends half of the answer, then hangs
	HalfThenClose         // sends half of the answer, then closes
	SendGarbage           // sends bytes that are no reply
	SendBareLF            // ends the lines of the answer with LF alone
	ReplyTwice            // sends the answer two times at once
	ReplyBytewise         // sends the answer byte by byte
)

// Step is what a scripted server answers at one point of a session. The zero Step is what a
// healthy server does.
type Step struct {
	Reply string        // "550 5.1.1 no such user"; several lines parted by \n; "" = the usual answer
	Raw   string        // sent exactly as it is instead of Reply
	Delay time.Duration // before the answer
	Do    Misdeed
}

// Point names a step of a Script to its Hook.
type Point string

// The points of a session.
const (
	AtBanner   Point = "banner"
	AtHello    Point = "hello" // EHLO and LHLO
	AtHelo     Point = "helo"
	AtTLS      Point = "starttls"
	AtXClient  Point = "xclient"
	AtXForward Point = "xforward"
	AtAuth     Point = "auth"
	AtMail     Point = "mail"
	AtRcpt     Point = "rcpt"
	AtData     Point = "data"
	AtEnd      Point = "end"
	AtRset     Point = "rset"
	AtNoop     Point = "noop"
	AtQuit     Point = "quit"
)

// Script says how a Backend behaves. The zero Script is a healthy SMTP server that takes
// everything and offers PIPELINING, SIZE, 8BITMIME, SMTPUTF8 and ENHANCEDSTATUSCODES.
type Script struct {
	LMTP       bool
	Hostname   string            // in banner and EHLO; "" = backend.test
	Extensions []string          // EHLO lines; nil = those named above
	AfterTLS   []string          // EHLO lines once encrypted; nil = Extensions
	TLS        *tls.Config       // offers STARTTLS when set
	Users      map[string]string // offers AUTH to these (name -> secret), over TLS only
	AuthClear  bool              // offers AUTH in clear too
	Mailboxes  []string          // when not nil, any other recipient is refused with 550 5.1.1

	Steps   map[Point]Step  // by point of the session
	RcptFor map[string]Step // by recipient, instead of Steps[AtRcpt]
	EndFor  map[string]Step // LMTP: by recipient, instead of Steps[AtEnd]
	Early   *Step           // said after the first line of a body
	// Hook is asked before the maps; the number counts connections from 1, arg is what
	// follows the verb (the address at MAIL and RCPT). It may be called side by side.
	Hook func(at Point, conn int, arg string) (Step, bool)

	DropBodies bool              // keep only size and SHA-256 of bodies
	Done       func(Transaction) // told each transaction that reached DATA, before the answer
}

// Transaction is one MAIL that got as far as 354, with the bytes that came.
type Transaction struct {
	Conn       int    // number of the connection, from 1
	Helo       string // name given at EHLO, HELO or LHLO
	TLS        bool
	User       string            // who logged in
	XClient    map[string]string // attributes by name, decoded
	XForward   map[string]string
	From       string   // as it stood between < and >
	FromParams []string // what followed
	To         []string // recipients taken
	Refused    []string // recipients refused
	Raw        []byte   // the bytes after 354 with the final dot, as they came
	Body       []byte   // the same without dot-stuffing and final dot
	Size       int64    // of Body
	SHA256     string   // of Body, hex
	BareEnds   int      // CR or LF that stood alone in Raw
	Complete   bool     // the final dot came
	Replies    []string // answers to the final dot, one or (LMTP) one per recipient
	At         time.Time
}

// Accepted reports whether any answer to the final dot was a 2xx.
func (t Transaction) Accepted() bool {
	return slices.ContainsFunc(t.Replies, func(r string) bool { return strings.HasPrefix(r, "2") })
}

// Command is one line a client sent.
type Command struct {
	Conn      int
	Line      string
	Pipelined bool // more input was already there
}

// Backend is a scripted SMTP or LMTP server on a loopback port.
type Backend struct {
	addr string
	done chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	script   Script
	ln       net.Listener
	conns    map[*backendConn]bool
	opened   int
	most     int
	txs      []Transaction
	commands []Command
	changed  chan struct{} // closed and replaced at each record
	closed   bool
}

// NewBackend starts a backend and ends it with the test.
func NewBackend(t testing.TB, s Script) *Backend {
	t.Helper()
	b, err := StartBackend("127.0.0.1:0", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// StartBackend starts a backend on a TCP address.
func StartBackend(addr string, s Script) (*Backend, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("backend: %w", err)
	}
	b := &Backend{
		addr: ln.Addr().String(), script: s, ln: ln,
		done: make(chan struct{}), changed: make(chan struct{}), conns: map[*backendConn]bool{},
	}
	b.wg.Go(func() { b.serve(ln) })
	return b, nil
}

// Addr is the host:port it listens on.
func (b *Backend) Addr() string { return b.addr }

// Set changes the script for what comes from now on, in open sessions too.
func (b *Backend) Set(s Script) { b.Change(func(old *Script) { *old = s }) }

// Change edits the script in place. Maps are replaced, never written to: sessions read them.
func (b *Backend) Change(f func(*Script)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.script)
}

// Stop closes the listener and every connection: from now on connects are refused.
func (b *Backend) Stop() {
	b.mu.Lock()
	if b.ln != nil {
		_ = b.ln.Close()
		b.ln = nil
	}
	b.mu.Unlock()
	b.Drop(false)
}

// Restart listens again on the same port after Stop.
func (b *Backend) Restart() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.ln != nil {
		return errors.New("backend: not stopped")
	}
	ln, err := net.Listen("tcp", b.addr)
	if err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	b.ln = ln
	b.wg.Go(func() { b.serve(ln) })
	return nil
}

// Drop closes the connections open now: all at once, or each as soon as it is outside a
// transaction. A client may have read its last answer before the session knows of that end.
func (b *Backend) Drop(idleOnly bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		c.leaving.Store(true)
		if !idleOnly || !c.busy.Load() {
			_ = c.raw.Close()
		}
	}
}

// Close ends the backend and waits for its sessions.
func (b *Backend) Close() {
	b.Stop()
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.done)
	}
	b.mu.Unlock()
	b.wg.Wait()
}

// Connections counts the connections open now, the most open at once, and all so far.
func (b *Backend) Connections() (open, most, total int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns), b.most, b.opened
}

// Transactions is a copy of what was recorded so far, in order of the final dot.
func (b *Backend) Transactions() []Transaction {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.txs)
}

// Commands is a copy of all command lines so far; body and AUTH answers are not in it.
func (b *Backend) Commands() []Command {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.commands)
}

// Lines is the command lines so far, without their connections.
func (b *Backend) Lines() []string {
	var lines []string
	for _, c := range b.Commands() {
		lines = append(lines, c.Line)
	}
	return lines
}

// Forget drops what was recorded.
func (b *Backend) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.txs, b.commands, b.opened, b.most = nil, nil, 0, 0
}

// Wait returns once ok says yes to the state of the backend, or fails the test after ten
// seconds. ok is asked again whenever something was recorded.
func (b *Backend) Wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	end := time.After(10 * time.Second)
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-end:
			t.Fatalf("backend: waited 10 s for %s", what)
		}
	}
}

// WaitTransactions waits until n transactions were recorded and returns them.
func (b *Backend) WaitTransactions(t testing.TB, n int) []Transaction {
	t.Helper()
	b.Wait(t, fmt.Sprintf("%d transactions", n), func() bool { return len(b.Transactions()) >= n })
	return b.Transactions()
}

func (b *Backend) serve(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		if b.closed || b.ln != ln {
			b.mu.Unlock()
			_ = nc.Close()
			return
		}
		b.opened++
		c := newBackendConn(b, nc, b.opened)
		b.conns[c] = true
		b.most = max(b.most, len(b.conns))
		b.note()
		b.mu.Unlock()
		b.wg.Go(func() {
			defer b.leave(c)
			c.session()
		})
	}
}

func (b *Backend) leave(c *backendConn) {
	_ = c.raw.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
	b.note()
}

// note wakes those who Wait; the lock is held.
func (b *Backend) note() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *Backend) record(c Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.commands = append(b.commands, c)
	b.note()
}

func (b *Backend) recordTransaction(t Transaction) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.txs = append(b.txs, t)
	b.note()
}

// current is the script as it is now.
func (b *Backend) current() Script {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.script
}
