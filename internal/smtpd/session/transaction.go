package session

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"postern/filter"
	"postern/internal/smtpd/contract"
	"postern/internal/smtpd/fate"
	"postern/internal/smtpd/received"
	"postern/internal/spool"
)

// observeWait bounds what observers may take after an answer.
const observeWait = 30 * time.Second

// transaction is one MAIL to its end.
type transaction struct {
	cfg      *contract.Config
	pipe     *filter.Pipeline
	msg      *filter.Message
	open     bool // MAIL was accepted
	behind   bool // a trusted relay sends: the client is known after the body
	early    bool // EARLY_TALKER is in the report
	named    accountSource
	report   filter.Report
	accepted int
	refused  []fate.Refusal
	refusal  *contract.Reply // of MAIL
	times    filter.Times
	body     *spool.Body
	booked   int64
	outcome  *filter.Outcome // nil: no body came
}

func (n *session) begin(cfg *contract.Config, id, from string, utf8 bool) *transaction {
	now := n.shared.Parts.Now()
	tx := &transaction{cfg: cfg, pipe: n.shared.Parts.Pipeline(), times: filter.Times{Start: now}}
	tx.msg = &filter.Message{ID: id, Time: now, Listener: n.l.Name, Client: n.client(), From: from, SMTPUTF8: utf8}
	if tx.pipe.Lookups != nil {
		tx.msg.DNS = tx.pipe.Lookups() // one budget for all stages and the copies they see
	}
	if n.l.Kind != contract.KindInbound {
		tx.msg.Direction = filter.Outbound
	}
	tx.behind = n.l.Kind == contract.KindInbound && contains(cfg.Trusted, n.c.Peer().Addr())
	tx.hasty(n.c.Early())
	return tx
}

// lookAtSender runs the stages that need no recipient.
func (n *session) lookAtSender() {
	tx := n.tx
	if tx.behind {
		return
	}
	k := n.known(n.ctx, tx.msg.Client, tx.msg)
	tx.msg.Client.Name = k.name
	tx.report.Join(k.report)
	tx.msg.Seen = tx.report.Findings
	tx.report.Join(tx.pipe.Run(n.ctx, filter.OnSender, tx.msg))
	tx.msg.Seen = tx.report.Findings
}

// lookBehind finds the client behind a trusted relay and runs the stages that had to wait.
// A Received field that cannot be read leaves the client unknown: nothing is held against
// the relay in its place.
func (n *session) lookBehind(ctx context.Context, fields []string) {
	tx := n.tx
	hop, ok := received.FirstUntrusted(fields, func(ip addr) bool { return contains(tx.cfg.Trusted, ip) })
	if !ok {
		tx.report.Failures = append(tx.report.Failures, filter.Failure{
			Step: "trusted_relays", Reason: "no Received field of the relay names its client", OnError: filter.Accept,
		})
		return
	}
	tls := tx.msg.Client.TLS
	tx.msg.Client = filter.Client{IP: hop.IP, Helo: hop.Helo, TLS: tls}
	k := n.known(ctx, tx.msg.Client, tx.msg)
	tx.msg.Client.Name = k.name
	tx.report.Join(k.report)
	tx.msg.Seen = tx.report.Findings
	tx.report.Join(tx.pipe.Run(ctx, filter.OnSender, tx.msg))
	tx.msg.Seen = tx.report.Findings
	tx.report.Join(tx.pipe.Run(ctx, filter.OnRecipient, tx.msg))
}

// finish ends the transaction: the answer goes out first, then observers are told, then the
// body is forgotten.
func (n *session) finish() {
	n.settle(false)
	tx := n.tx
	if tx == nil {
		return
	}
	n.tx = nil
	n.c.Flush()
	if tx.msg.SHA256 != "" {
		n.answered, n.after = tx.msg, n.c.Commands()
	}
	defer n.shared.Bytes.Give(tx.booked)
	defer func() {
		if tx.body != nil {
			if err := tx.body.Close(); err != nil {
				n.shared.Parts.Log.Error("spool", "message", tx.msg.ID, "error", err)
			}
		}
	}()
	m, o, ok := tx.account()
	if !ok {
		if f := n.shared.Parts.Abandoned; f != nil {
			f(tx.msg)
		}
		return
	}
	o.Times.Done = n.shared.Parts.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), observeWait)
	defer cancel()
	for i := range n.shared.Parts.Observers {
		n.observe(ctx, i, m, o)
	}
}

func (n *session) observe(ctx context.Context, which int, m *filter.Message, o filter.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			n.shared.Parts.Log.Error("observer panicked", "message", m.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	err := n.shared.Parts.Observers[which].Done(ctx, m, o)
	if err == nil {
		return
	}
	if unsaid, ok := n.shared.said.due(which, n.shared.Parts.Now()); ok {
		n.shared.Parts.Log.Error("observer", "message", m.ID, "error", err, "failures_not_said", unsaid)
	}
}

// settle says whether the last answer was read: a client that sends more has read it, one
// whose connection ends without may not have.
func (n *session) settle(ended bool) {
	m, more := n.answered, n.c.Commands() != n.after
	if m == nil || !more && !ended {
		return
	}
	n.answered = nil
	if n.shared.Parts.Answered != nil {
		n.shared.Parts.Answered(m, more)
	}
}

// account is the whole transaction for the observers. ok is false when nothing happened
// that is worth a record.
func (tx *transaction) account() (*filter.Message, filter.Outcome, bool) {
	o := filter.Outcome{Report: tx.report, Times: tx.times}
	m := *tx.msg
	switch {
	case tx.outcome != nil:
		o = *tx.outcome
	case tx.refusal != nil:
		o.Reply = tx.refusal.String()
	case len(tx.refused) > 0:
		// No body came: what counts are the refusals.
		m.To = nil
		o.Reply = tx.refused[len(tx.refused)-1].Reply.String()
	default:
		return nil, o, false
	}
	whole, o := fate.With(&m, o, tx.refused)
	return whole, o, true
}
