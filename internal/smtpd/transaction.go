package smtpd

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"postern/filter"
	"postern/internal/smtpd/received"
	"postern/internal/spool"
)

// observeWait bounds what observers may take after an answer.
const observeWait = 30 * time.Second

// transaction is one MAIL to its end.
type transaction struct {
	cfg      *Config
	pipe     *filter.Pipeline
	msg      *filter.Message
	open     bool // MAIL was accepted
	behind   bool // a trusted relay sends: the client is known after the body
	named    accountSource
	report   filter.Report
	accepted int
	refused  []refused
	verdicts []judged
	refusal  *Reply // of MAIL
	times    filter.Times
	body     *spool.Body
	booked   int64
	outcome  *filter.Outcome // nil: no body came
}

type refused struct {
	to    filter.Recipient
	reply *Reply
}

type judged struct {
	address string
	verdict filter.Verdict
}

func (n *session) begin(cfg *Config, id, from string, utf8 bool) *transaction {
	now := n.server.parts.Now()
	tx := &transaction{cfg: cfg, pipe: n.server.parts.Pipeline(), times: filter.Times{Start: now}}
	tx.msg = &filter.Message{ID: id, Time: now, Listener: n.l.Name, Client: n.client(), From: from, SMTPUTF8: utf8}
	if tx.pipe.Lookups != nil {
		tx.msg.DNS = tx.pipe.Lookups() // one budget for all stages and the copies they see
	}
	if n.l.Kind != KindInbound {
		tx.msg.Direction = filter.Outbound
	}
	tx.behind = n.l.Kind == KindInbound && contains(cfg.Trusted, n.c.Peer().Addr())
	if early := n.c.Early(); early != "" {
		tx.report.Findings = append(tx.report.Findings, filter.Finding{Symbol: "EARLY_TALKER", Detail: early, Step: "smtp"})
	}
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
	tx := n.tx
	if tx == nil {
		return
	}
	n.tx = nil
	n.c.Flush()
	defer n.server.bytes.Give(tx.booked)
	defer func() {
		if tx.body != nil {
			if err := tx.body.Close(); err != nil {
				n.server.parts.Log.Error("spool", "message", tx.msg.ID, "error", err)
			}
		}
	}()
	m, o, ok := tx.account()
	if !ok {
		return
	}
	o.Times.Done = n.server.parts.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.ctx), observeWait)
	defer cancel()
	for _, obs := range n.server.parts.Observers {
		n.observe(ctx, obs, m, o)
	}
}

func (n *session) observe(ctx context.Context, obs filter.Observer, m *filter.Message, o filter.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			n.server.parts.Log.Error("observer panicked", "message", m.ID, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	if err := obs.Done(ctx, m, o); err != nil {
		n.server.parts.Log.Error("observer", "message", m.ID, "error", err)
	}
}

// account is the whole transaction for the observers: recipients refused at RCPT stand
// behind those that were accepted. ok is false when nothing happened worth a record.
func (tx *transaction) account() (*filter.Message, filter.Outcome, bool) {
	if tx.outcome == nil && len(tx.refused) == 0 && tx.refusal == nil {
		return nil, filter.Outcome{}, false
	}
	m := *tx.msg
	o := filter.Outcome{Report: tx.report, Times: tx.times}
	switch {
	case tx.outcome != nil:
		o = *tx.outcome
	case tx.refusal != nil:
		o.Reply = tx.refusal.String()
	default:
		// No body came: what counts are the refusals.
		m.To = nil
		o.Reply = tx.refused[len(tx.refused)-1].reply.String()
	}
	m.To = append([]filter.Recipient(nil), m.To...)
	for _, r := range tx.refused {
		m.To = append(m.To, r.to)
		o.Fates = append(o.Fates, filter.Fate{Recipient: r.to.Address, State: stateOf(r.reply), Reply: r.reply.String()})
		o.Verdicts = append(o.Verdicts, tx.verdictOf(r))
	}
	return &m, o, true
}

func (tx *transaction) verdictOf(r refused) filter.Verdict {
	for _, j := range tx.verdicts {
		if j.address == r.to.Address {
			return j.verdict
		}
	}
	v := filter.Verdict{Action: filter.Reject, Policy: r.to.Policy, Public: r.reply.Text}
	if r.reply.Code < 500 {
		v.Action = filter.Defer
	}
	return v
}

func stateOf(r *Reply) filter.FateState {
	if r.Code >= 500 {
		return filter.Rejected
	}
	return filter.Deferred
}
