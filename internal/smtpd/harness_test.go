package smtpd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/filter"
	"postern/filter/limit"
	"postern/internal/mime"
	"postern/internal/smtpd"
	"postern/internal/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen.
const patience = 20 * time.Second

// got is one message as the Deliverer saw it.
type got struct {
	msg    filter.Message
	report filter.Report
	login  smtpd.Login
	body   []byte
	head   string // first header line, for short assertions
}

// done is one call of the Observer.
type done struct {
	msg filter.Message
	out filter.Outcome
}

// world is a running server with everything behind it scripted.
type world struct {
	t       testing.TB
	srv     *smtpd.Server
	cfg     smtpd.Config
	l       *smtpd.Listener
	addr    string
	ca      *authority
	spool   *spool.Spool
	served  chan error
	log     *syncBuffer
	deliver func(ctx context.Context, d smtpd.Delivery) filter.Outcome
	route   func(addr string) (filter.Recipient, error)
	auth    func(mech, user, secret string) (smtpd.Login, error)
	judge   func(m *filter.Message, r filter.Report, policy string) filter.Verdict
	steps   []filter.Step
	names   func(ip netip.Addr) string
	random  io.Reader
	now     func() time.Time
	parse   func(io.ReaderAt, int64) (*mime.Tree, error)
	observe func() error
	policy  func(address string) string // nil: "default"
	limiter *limit.Limiter              // nil: nobody counts
	refused func(ip netip.Addr)
	always  func(to filter.Recipient) bool
	off     string // account that may not log in

	loggedIn func(account string, client netip.Addr, ok bool)

	mu        sync.Mutex
	taken     []got
	finished  []done
	doneCh    chan done
	read      chan bool // calls of Answered
	suspended map[string]bool
}

// syncBuffer is a log that tests may read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs a server on loopback. The setup may change everything before it listens.
func start(t testing.TB, setup ...func(*world)) *world {
	t.Helper()
	w := &world{
		t: t, doneCh: make(chan done, 1000), read: make(chan bool, 1000), suspended: map[string]bool{}, served: make(chan error, 1), log: &syncBuffer{},
		cfg:    smtpd.Config{Hostname: "mx.test", Limits: smtpd.DefaultLimits()},
		l:      &smtpd.Listener{Name: "mx", Extensions: func() smtpd.Extensions { return smtpd.Extensions{SMTPUTF8: true, EightBit: true} }},
		spool:  &spool.Spool{Dir: t.TempDir(), Memory: 64 << 10},
		random: rand.Reader, now: time.Now, observe: func() error { return nil },
	}
	w.cfg.Limits.Idle = patience
	w.route = routeTest
	w.deliver = func(_ context.Context, d smtpd.Delivery) filter.Outcome {
		return filter.Outcome{Reply: "250 2.0.0 taken as " + d.Message.ID, Fates: []filter.Fate{{State: filter.Delivered}}}
	}
	for _, f := range setup {
		f(w)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.serve(ln)
	return w
}

func routeTest(addr string) (filter.Recipient, error) {
	if addr == "postmaster" {
		addr = "postmaster@example.com"
	}
	local, domain, _ := strings.Cut(addr, "@")
	if domain != "example.com" {
		return filter.Recipient{}, &smtpd.Reply{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "relaying denied"}
	}
	switch local {
	case "nobody":
		return filter.Recipient{}, &smtpd.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such user"}
	case "broken":
		return filter.Recipient{}, errors.New("secret cause: database on fire")
	case "panic":
		panic("route")
	}
	return filter.Recipient{Address: addr, Backend: "mail"}, nil
}

func (w *world) serve(ln net.Listener) {
	parts := smtpd.Parts{
		Pipeline:  func() *filter.Pipeline { return &filter.Pipeline{Steps: w.steps, Judge: w} },
		Directory: w, Deliverer: w, Authenticator: w.authenticator(), Accounts: w,
		Observers: []filter.Observer{w}, Spool: w.spool, Answered: func(_ *filter.Message, read bool) { w.read <- read },
		Log: slog.New(slog.NewTextHandler(w.log, nil)), Now: w.now, Random: w.random, ParseMail: w.parse,
		Always: func(to filter.Recipient) bool { return w.always != nil && w.always(to) },
		Policy: func(_ filter.Direction, _, address string) string {
			if w.policy == nil {
				return "default"
			}
			return w.policy(address)
		},
		ReverseName: func(_ context.Context, ip netip.Addr) string {
			if w.names == nil {
				return ""
			}
			return w.names(ip)
		},
	}
	parts.Refused, parts.LoggedIn = w.refused, w.loggedIn
	if l := w.limiter; l != nil {
		parts.Observers = []filter.Observer{l, w}
		parts.Refused, parts.Abandoned = l.Refused, l.Abandoned
	}
	w.srv = smtpd.New(w.cfg, parts)
	w.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { w.served <- w.srv.Serve(ctx, w.l, ln) }()
	w.t.Cleanup(func() {
		cancel()
		select {
		case <-w.served:
		case <-time.After(patience):
			w.t.Error("Serve did not end")
		}
		if left := w.srv.Sessions(); left != (smtpd.Counts{}) {
			w.t.Errorf("left open: %+v", left)
		}
	})
}

func (w *world) authenticator() smtpd.Authenticator {
	if w.auth == nil {
		return nil
	}
	return w
}

func (w *world) Mechanisms() []string { return []string{"PLAIN", "LOGIN", "XOAUTH2"} }

func (w *world) Auth(_ context.Context, _ *smtpd.Listener, _ filter.Client, mech, user, secret string) (smtpd.Login, error) {
	return w.auth(mech, user, secret)
}

func (w *world) Route(_ context.Context, _ *smtpd.Listener, _ smtpd.Login, addr string) (filter.Recipient, error) {
	return w.route(addr)
}

func (w *world) Judge(m *filter.Message, r filter.Report, policy string) filter.Verdict {
	if w.judge == nil {
		return filter.Verdict{Policy: policy}
	}
	return w.judge(m, r, policy)
}

func (w *world) Suspended(account string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "spam wave", w.suspended[account]
}

func (w *world) LoginOff(account string) bool { return account == w.off }

func (w *world) suspend(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.suspended[account] = true
}

func (w *world) Deliver(ctx context.Context, d smtpd.Delivery) filter.Outcome {
	body, err := io.ReadAll(d.Message.Open())
	if err != nil {
		w.t.Errorf("reading the body: %v", err)
	}
	head, _, _ := strings.Cut(string(body), "\r\n")
	w.mu.Lock()
	w.taken = append(w.taken, got{*d.Message, d.Report, d.Login, body, head})
	w.mu.Unlock()
	return w.deliver(ctx, d)
}

func (w *world) Done(_ context.Context, m *filter.Message, o filter.Outcome) error {
	w.mu.Lock()
	w.finished = append(w.finished, done{*m, o})
	w.mu.Unlock()
	select {
	case w.doneCh <- done{*m, o}:
	default:
	}
	return w.observe()
}

// messages are those the Deliverer got.
func (w *world) messages() []got {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.taken)
}

// only is the one message the Deliverer must have got.
func (w *world) only() got {
	w.t.Helper()
	all := w.messages()
	if len(all) != 1 {
		w.t.Fatalf("%d messages were delivered, want 1", len(all))
	}
	return all[0]
}

func (w *world) nothing() {
	w.t.Helper()
	if n := len(w.messages()); n != 0 {
		w.t.Fatalf("%d messages were delivered, want none", n)
	}
}

// observed waits for the next call of the Observer.
func (w *world) observed() done {
	w.t.Helper()
	select {
	case d := <-w.doneCh:
		return d
	case <-time.After(patience):
		w.t.Fatal("the observer was not called")
		return done{}
	}
}

// legit shows that the server still takes the next proper mail.
func (w *world) legit() {
	w.t.Helper()
	before := len(w.messages())
	c := w.dial()
	c.mail()
	c.cmd("DATA", "354")
	c.send("Subject: legit\r\n\r\nhello\r\n.\r\n")
	c.want("250")
	c.cmd("QUIT", "221")
	all := w.messages()
	if len(all) != before+1 || string(all[before].body) != "Subject: legit\r\n\r\nhello\r\n" {
		w.t.Fatalf("the next proper mail did not arrive")
	}
}

// check is a step that finds what f says.
func check(stage filter.Stage, f func(m *filter.Message) []filter.Finding) filter.Step {
	return filter.Step{Name: "test", Stage: stage, Check: filter.CheckFunc(func(_ context.Context, m *filter.Message) ([]filter.Finding, error) {
		return f(m), nil
	})}
}

func symbols(r filter.Report) string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Symbol)
	}
	return strings.Join(out, " ")
}

func quote(b []byte) string { return fmt.Sprintf("%.300q", b) }
