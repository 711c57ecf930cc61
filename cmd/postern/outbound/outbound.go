// Package outbound ties what local accounts send to them: it puts the trace into each message,
// writes the send log, and reads what comes back about it.
package outbound

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"postern/abuse"
	"postern/abuse/proof/token"
	"postern/abuse/sent"
	"postern/filter"
	"postern/internal/address"
	"postern/internal/canon"
	"postern/internal/config"
	"postern/internal/filemark"
	"postern/internal/relay/handing"
	"postern/internal/relay/outbox"
	"postern/internal/stamp"
)

// Parts are what a Desk works with. All but Judge are needed.
type Parts struct {
	Judge func() filter.Judge // tells what is content of a verdict from what is a measure

	Config *atomic.Pointer[config.Config]
	Store  sent.Store
	Hosted func(domain string) bool
	Event  func(key, text string, over bool)
	Now    func() time.Time
	Log    *slog.Logger
}

// Desk implements stamp.Tracer, handing.Log, filter.Observer and bounce.Sent.
type Desk struct {
	Parts
	ring    *token.Ring
	reading sync.Mutex
	seen    filemark.Mark // of the key file, under reading
	begun   atomic.Pointer[time.Time]
}

// New reads the keys of trace tokens; where the configuration names no file and there is none
// yet, it is made.
func New(p Parts) (*Desk, error) {
	cfg := p.Config.Load()
	path := cfg.TraceKeys()
	if cfg.Abuse.Trace.KeyFile == "" {
		if err := token.Ensure(path, p.Now()); err != nil {
			return nil, err
		}
	}
	d := &Desk{Parts: p, seen: filemark.Of(path)}
	var err error
	d.ring, err = token.Open(path, p.Now)
	return d, err
}

// Ring is the keys of trace tokens.
func (d *Desk) Ring() *token.Ring { return d.ring }

// keysEvery is how often the key file is looked at.
const keysEvery = 5 * time.Second

// Run takes a changed key file into use until ctx ends. One that cannot be read changes nothing.
func (d *Desk) Run(ctx context.Context) error { return filemark.Follow(ctx, keysEvery, d.Reload) }

// Reload reads the key file if it has changed.
func (d *Desk) Reload() {
	d.reading.Lock()
	defer d.reading.Unlock()
	path := d.Config.Load().TraceKeys()
	now := filemark.Of(path)
	if now == d.seen {
		return
	}
	d.seen = now
	if err := d.ring.Reload(path); err != nil {
		d.Event("trace-keys", "the keys of trace tokens cannot be read; those known go on: "+err.Error(), false)
		return
	}
	d.Event("trace-keys", "", true)
}

// Trace implements stamp.Tracer.
func (d *Desk) Trace(m *filter.Message, to []string) stamp.Trace {
	t := token.Trace{Serial: m.ID}
	if domain := oneDomain(to); domain != "" {
		t.Domain = token.DomainHash(domain)
	}
	if d.submission(m.Listener) {
		t.Flags |= token.Submitted
	}
	text, err := d.ring.Seal(abuse.Name(m.Account), t)
	if err != nil { // no ID of ours: nothing could be found by it
		d.Log.Error("a message goes out without a trace token", "message", m.ID, "error", err)
		return stamp.Trace{}
	}
	return stamp.Trace{Token: text, Complaints: d.complaints(m), FeedbackID: token.FeedbackID(text)}
}

// Genuine implements stamp.Tracer.
func (d *Desk) Genuine(value []byte) bool {
	_, err := d.ring.Find(string(value))
	return err == nil
}

// complaints is where complaints about m go: its author's domain has to be that of the address,
// or of the gateway, whose signature covers the field too.
func (d *Desk) complaints(m *filter.Message) string {
	domain := m.FromDomain()
	if m.Parts != nil {
		if tree, err := m.Parts(); err == nil {
			if from := tree.From(); len(from) == 1 {
				domain = address.DomainOf(from[0].Address)
			}
		}
	}
	domain, err := address.ToASCII(domain)
	if err != nil || domain == "" {
		return ""
	}
	return d.Config.Load().Abuse.Trace.ComplaintsFor(domain, d.Hosted(domain))
}

// oneDomain is the domain that all addresses have, or "".
func oneDomain(to []string) string {
	domain := ""
	for i, a := range to {
		if of := address.DomainOf(a); i == 0 {
			domain = of
		} else if !strings.EqualFold(of, domain) {
			return ""
		}
	}
	return domain
}

func (d *Desk) submission(listener string) bool {
	return slices.ContainsFunc(d.Config.Load().Listeners, func(l config.Listener) bool {
		return l.Name == listener && l.Kind == config.KindSubmission
	})
}

// Begin implements handing.Log.
func (d *Desk) Begin(ctx context.Context, o handing.Over) error {
	r := d.row(o.Message)
	if o.Login || d.submission(o.Message.Listener) {
		r.Login = r.Account
	}
	seen := map[*filter.Message]print{}
	var top filter.Verdict
	for i, c := range o.Copies {
		p, ok := seen[c.Body]
		if !ok {
			p = printOf(c.Body)
			seen[c.Body] = p
		}
		if r.BodyHash == "" {
			r.BodyHash, r.Fuzzy = p.hash, p.fuzzy
		}
		one := sent.Copy{Recipient: c.Recipient, State: stateOf(c.State), At: d.Now()}
		if p.hash != r.BodyHash {
			one.BodyHash, one.Fuzzy = p.hash, p.fuzzy
		}
		r.Copies = append(r.Copies, one)
		if v := d.content(o.Message, o.Report, c.Verdict); i == 0 || v.Action > top.Action {
			top = v
		}
	}
	r.Score, r.Action, r.Symbols = top.Score, top.Action.String(), symbols(o.Report, top)
	return d.Store.Begin(ctx, r)
}

// symbols are what was found and is said, and what counted, each once.
func symbols(r filter.Report, v filter.Verdict) (out []string) {
	for _, f := range r.Findings {
		if !f.Quiet {
			out = append(out, f.Symbol)
		}
	}
	for _, reason := range v.Reasons {
		out = append(out, reason.Symbol)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func stateOf(s filter.FateState) string {
	switch s {
	case "":
		return sent.Handing
	case filter.Delivered:
		return sent.Delivered
	case filter.InOutbox:
		return sent.Waiting
	case filter.Rejected:
		return sent.Refused
	case filter.Deferred:
		return sent.Failed
	case filter.Held:
	}
	return sent.Held
}

// row is what is known of a message before anybody was asked to take it.
func (d *Desk) row(m *filter.Message) sent.Row {
	r := sent.Row{
		Serial: m.ID, Node: d.Config.Load().Hostname, Listener: m.Listener, At: m.Time, Account: abuse.Name(m.Account), From: m.From, Size: m.Size,
		Client: addrPort(m.Client),
	}
	if m.Parts != nil {
		if tree, err := m.Parts(); err == nil {
			r.MessageID = strings.Trim(tree.Root.Header.Get("Message-ID"), "<> \t\r\n")
		}
	}
	if r.MessageID == "" {
		r.MessageID = m.ID + "@" + d.Config.Load().Hostname // what the stamper gives
	}
	return r
}

// print is what a body is recognised by.
type print struct{ hash, fuzzy string }

// printOf never fails: what cannot be hashed has no hash.
func printOf(m *filter.Message) print {
	var p print
	if m == nil {
		return p
	}
	if _, body, err := canon.Read(m.Open()); err == nil {
		sum := canon.NewBody(true)
		if canon.HashBody(body, sum) == nil {
			p.hash = base64Of(sum.Sum())
		}
	}
	if m.Parts != nil {
		if tree, err := m.Parts(); err == nil {
			p.fuzzy = sent.Likeness(tree.Text() + "\n" + tree.HTMLText())
		}
	}
	return p
}

// Done implements filter.Observer: it settles what was handed over, and writes down what was
// kept back for its content.
func (d *Desk) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	if m.Direction != filter.Outbound || len(o.Fates) == 0 {
		return nil
	}
	if err := d.kept(ctx, m, o); err != nil {
		return err
	}
	return d.Settled(ctx, m.ID, o.Fates)
}

// Settled writes down how copies of a message ended.
func (d *Desk) Settled(ctx context.Context, serial string, fates []filter.Fate) error {
	copies := make([]sent.Copy, len(fates))
	for i, f := range fates {
		copies[i] = d.copyOf(f)
	}
	return ifThere(d.Store.Settle(ctx, serial, copies))
}

func (d *Desk) copyOf(f filter.Fate) sent.Copy {
	c := sent.Copy{Recipient: f.Recipient, State: stateOf(f.State), Reply: f.Reply, At: d.Now()}
	if f.Ambiguous && f.State != filter.InOutbox {
		c.State = sent.Unsure
	}
	if f.State == filter.Delivered {
		c.QueueID = sent.QueueID(f.Reply)
	}
	return c
}

// Ended notes how an entry of the outbox ended for a recipient.
func (d *Desk) Ended(ctx context.Context, e outbox.Entry, f filter.Fate) {
	if e.Direction != filter.Outbound || e.Origin != outbox.OriginRelay {
		return
	}
	if err := ifThere(d.Store.Settle(ctx, e.MessageID, []sent.Copy{d.copyOf(f)})); err != nil {
		d.Log.Error("the end of an outbox entry is not in the send log", "message", e.MessageID, "error", err)
	}
}

// ifThere is err, unless it says that nothing was handed over.
func ifThere(err error) error {
	if errors.Is(err, sent.ErrNotFound) {
		return nil
	}
	return err
}

// Purge forgets what is older than the configuration says.
func (d *Desk) Purge(ctx context.Context) error {
	_, err := d.Store.Purge(ctx, d.Now().Add(-time.Duration(d.Config.Load().Abuse.Trace.Keep)))
	return err
}
