package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/relay"
	"postern/internal/relay/client"
	"postern/internal/relay/outbox/outboxtest"
	"postern/internal/stamp"
)

// said is what a scripted server answers; the zero value takes everything. A map entry for a
// recipient goes before the general answer.
type said struct {
	connect  bool // refuses the connection
	mail     string
	rcpt     string
	rcptFor  map[string]string
	data     string
	cutBody  bool // breaks off in the body
	dot      string
	lmtp     bool
	dotFor   map[string]string
	lostDot  bool // breaks off after the dot; the server has the message
	lostAt   int  // LMTP: answers this many recipients, then breaks off
	panics   bool
	panicDot bool
	hangs    bool // at the dot, until the context ends
	bodyWait bool // in the body, until the context ends
}

// server is a scripted backend.
type server struct {
	said
	mu        sync.Mutex
	begun     int
	ended     int            // final dots that came
	aborted   int            // transactions given up
	open      int            // transactions at 354
	delivered map[string]int // copies by recipient
	bodies    [][]byte
	from      []string
	envelopes []client.Envelope
}

type world struct {
	t       testing.TB
	servers map[string]*server
	holds   *holds
	outbox  *outboxtest.Memory
	relay   *relay.Relay
	alerts  []string
	mu      sync.Mutex
	events  []string // in order: 354, hold, body, dot, confirm
}

func (w *world) event(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, s)
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, servers: map[string]*server{}, outbox: outboxtest.NewMemory()}
	w.holds = &holds{w: w, byKey: map[string]*hold{}, byID: map[string]*hold{}}
	w.relay = &relay.Relay{
		Backends: w, Holds: w.holds, Outbox: w.outbox,
		Stamper: &stamp.Stamper{Names: stamp.DefaultNames("mx1.example.com"), Key: []byte("k")},
		Alert: func(_ context.Context, key, text string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.alerts = append(w.alerts, key+": "+text)
		},
	}
	return w
}

func (w *world) server(name string) *server {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.servers[name] == nil {
		w.servers[name] = &server{delivered: map[string]int{}}
	}
	return w.servers[name]
}

func reply(s string) client.Reply {
	var r client.Reply
	fmt.Sscanf(s, "%d %s", &r.Code, &r.Enhanced)
	r.Text = strings.TrimPrefix(s, fmt.Sprintf("%d %s ", r.Code, r.Enhanced))
	return r
}

func or(s, byDefault string) string {
	if s == "" {
		return byDefault
	}
	return s
}

// Begin implements relay.Backends.
func (w *world) Begin(ctx context.Context, pool string, e client.Envelope) (relay.Conn, client.Begun, func(bool), error) {
	s := w.server(pool)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	s.from = append(s.from, e.From)
	s.envelopes = append(s.envelopes, e)
	if s.connect {
		return nil, client.Begun{}, nil, &client.Error{Addr: "192.0.2.99:25", Stage: client.StageConnect, Err: errors.New("refused")}
	}
	b := client.Begun{Mail: reply(or(s.mail, "250 2.1.0 ok"))}
	c := &conn{w: w, s: s}
	if b.Mail.OK() {
		for _, to := range e.To {
			r := reply(or(s.rcptFor[to], or(s.rcpt, "250 2.1.5 ok")))
			b.Rcpt = append(b.Rcpt, r)
			if r.OK() {
				c.to = append(c.to, to)
			}
		}
		if len(c.to) > 0 {
			b.Data = reply(or(s.data, "354 go"))
		}
	}
	if b.OK() {
		s.open++
		w.event("354")
	}
	return c, b, func(bool) {}, nil
}

type conn struct {
	w    *world
	s    *server
	to   []string
	body []byte
}

func (c *conn) Body(ctx context.Context, r io.Reader) error {
	if c.s.panics {
		panic("in the body")
	}
	if c.s.bodyWait {
		<-ctx.Done()
		return ctx.Err()
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if c.s.cutBody {
		return &client.Error{Stage: client.StageBody, Err: io.ErrUnexpectedEOF}
	}
	c.body = text
	c.w.event("body")
	return ctx.Err()
}

func (c *conn) End(ctx context.Context) ([]client.Reply, error) {
	c.w.event("dot")
	s := c.s
	if s.panicDot {
		panic("at the dot")
	}
	if s.hangs {
		<-ctx.Done()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	s.bodies = append(s.bodies, c.body)
	lost := &client.Error{Stage: client.StageEnd, Err: io.EOF, Ambiguous: true}
	if s.hangs {
		return nil, lost
	}
	if s.lostDot {
		for _, to := range c.to {
			s.delivered[to]++
		}
		return nil, lost
	}
	if !s.lmtp {
		r := reply(or(s.dot, "250 2.0.0 queued"))
		if r.OK() {
			for _, to := range c.to {
				s.delivered[to]++
			}
		}
		return []client.Reply{r}, nil
	}
	var out []client.Reply
	for i, to := range c.to {
		r := reply(or(s.dotFor[to], or(s.dot, "250 2.0.0 saved")))
		if r.OK() {
			s.delivered[to]++
		}
		if s.lostAt == 0 || i < s.lostAt {
			out = append(out, r)
		}
	}
	if s.lostAt > 0 && s.lostAt < len(c.to) {
		return out, lost
	}
	return out, nil
}

func (c *conn) Abort(context.Context) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.aborted++
}

// hold is one in the fake quarantine.
type hold struct {
	id, class, to, reply string
	sha                  string
	confirmed, dropped   bool
}

type holds struct {
	w       *world
	mu      sync.Mutex
	byKey   map[string]*hold
	byID    map[string]*hold
	failPut error
	failOf  string // the class that fails, "" = all
	failOK  error
	failAsk error
}

func (h *holds) Provisional(_ context.Context, q relay.HoldRequest) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failPut != nil && (h.failOf == "" || h.failOf == q.Class) {
		return "", h.failPut
	}
	if old := h.byKey[q.Key]; old != nil && !old.dropped {
		return old.id, nil
	}
	text, err := io.ReadAll(q.Message.Open())
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	n := &hold{id: fmt.Sprintf("%s-%02d", q.Message.ID, len(h.byID)), class: q.Class, to: q.Recipient.Address, reply: q.Reply, sha: hex.EncodeToString(sum[:])}
	h.byKey[q.Key], h.byID[n.id] = n, n
	h.w.event("hold")
	return n.id, nil
}

func (h *holds) Confirm(_ context.Context, ids []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failOK != nil {
		return h.failOK
	}
	for _, id := range ids {
		if h.byID[id] == nil || h.byID[id].dropped {
			return errors.New("no such hold")
		}
		h.byID[id].confirmed = true
	}
	h.w.event("confirm")
	return nil
}

func (h *holds) Drop(_ context.Context, ids []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if n := h.byID[id]; n != nil && !n.confirmed {
			n.dropped = true
		}
	}
	return nil
}

func (h *holds) Ended(_ context.Context, key string) (string, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failAsk != nil {
		return "", false, h.failAsk
	}
	n := h.byKey[key]
	if n == nil || !n.confirmed {
		return "", false, nil
	}
	return n.id, true, nil
}

// kept lists "class recipient" of confirmed holds, and whether any is provisional.
func (h *holds) kept() (kept []string, provisional int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.byID {
		switch {
		case n.confirmed:
			kept = append(kept, n.class+" "+n.to)
		case !n.dropped:
			provisional++
		}
	}
	slices.Sort(kept)
	return kept, provisional
}

const original = "From: a@sender.example\r\nTo: somebody\r\nSubject: hello\r\nX-Spam-Flag: NO\r\n\r\nbody \xe4\r\n.dot\r\n"

// without is original less the field that pretends to be ours.
var without = strings.Replace(original, "X-Spam-Flag: NO\r\n", "", 1)

func job(verdicts map[string]filter.Verdict, to ...string) relay.Job {
	sum := sha256.Sum256([]byte(original))
	m := &filter.Message{
		ID: "01hf7yat00zzzzzzzzzzzzzzzz", Time: time.Unix(1_800_000_000, 0).UTC(), Listener: "mx",
		Client: filter.Client{IP: netip.MustParseAddr("192.0.2.7"), Helo: "sender.example"}, From: "a@sender.example",
		Body: strings.NewReader(original), Size: int64(len(original)), SHA256: hex.EncodeToString(sum[:]),
	}
	j := relay.Job{Message: m}
	for _, address := range to {
		// "name@policy.backend"
		_, domain, _ := strings.Cut(address, "@")
		policy, backend, _ := strings.Cut(domain, ".")
		m.To = append(m.To, filter.Recipient{Address: address, Policy: policy, Backend: backend})
		v := verdicts[policy]
		v.Policy = policy
		j.Verdicts = append(j.Verdicts, v)
	}
	return j
}

func fates(o filter.Outcome) string {
	var b bytes.Buffer
	for _, f := range o.Fates {
		fmt.Fprintf(&b, "%s %s", f.Recipient, f.State)
		if f.Ambiguous {
			b.WriteString(" ambiguous")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var (
	accept = filter.Verdict{Action: filter.Accept}
	tag    = filter.Verdict{Action: filter.Tag, Score: 400}
	keep   = filter.Verdict{Action: filter.Quarantine, Score: 800}
	reject = filter.Verdict{Action: filter.Reject, Score: 2000, Public: "550 5.7.1 this looks like spam (ref X)"}
	wait   = filter.Verdict{Action: filter.Defer, Public: "451 4.7.1 come again (ref X)"}
)
