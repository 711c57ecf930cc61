// Package session is one client's SMTP session behind the wire: the envelope, the stages of
// the pipeline, AUTH, and the hand-over of complete messages.
package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/smtpd/answer"
	"postern/internal/smtpd/command"
	"postern/internal/smtpd/contract"
	"postern/internal/smtpd/fate"
	"postern/internal/smtpd/limit"
	"postern/internal/smtpd/wire"
)

// Shared is what all sessions of a server have in common.
type Shared struct {
	Parts  contract.Parts
	Config func() *contract.Config // as it is now
	Bytes  limit.Bytes
	Fails  limit.Failures

	said said
}

// How long the reverse lookup of a client and the routing of a recipient may take.
const (
	nameWait  = 3 * time.Second
	routeWait = 30 * time.Second
)

// session is what go-smtp drives: one per connection. go-smtp holds its lock while it calls
// Reset and Logout, so they must not call back into it; they use the wire only.
type session struct {
	shared *Shared
	l      *contract.Listener
	c      *wire.Conn
	ctx    context.Context
	cancel context.CancelFunc
	login  contract.Login
	seen   *seen
	tx     *transaction

	answered *filter.Message // the last one answered, until it is known whether that was read
	after    int             // commands the client had sent by then
}

// seen caches what OnConnect found about a client; XCLIENT and EHLO change the client.
type seen struct {
	key    filter.Client
	name   string
	report filter.Report
}

// New makes the session of a connection that said HELO or EHLO.
func (s *Shared) New(ctx context.Context, l *contract.Listener, c *smtp.Conn) smtp.Session {
	conn, _ := c.Conn().(*wire.Conn)
	n := &session{shared: s, l: l, c: conn}
	n.ctx, n.cancel = context.WithCancel(ctx)
	conn.BeforeData(n.beforeData)
	return n
}

// guard turns a panic into 451: the client keeps the message, the stack goes to the log.
func (n *session) guard(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			n.shared.Parts.Log.Error("session panicked", "peer", n.c.Peer().String(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = answer.Error(answer.TryLater(), n.id())
		}
	}()
	return do()
}

func (n *session) id() string {
	if n.tx == nil {
		return ""
	}
	return n.tx.msg.ID
}

// refuse notes the cause in the log when it is not public and makes the reply of it.
func (n *session) refuse(what string, err error) *contract.Reply {
	var r *contract.Reply
	if errors.As(err, &r) && r != nil && r.Code >= 400 {
		return r
	}
	n.shared.Parts.Log.Warn("answered 451", "message", n.id(), "at", what, "error", err)
	return answer.TryLater()
}

// told is what the client reads of a refusal that is written down: it names the message, and
// strangers learn where to ask.
func (n *session) told(r *contract.Reply) error {
	at := ""
	if n.l.Kind == contract.KindInbound {
		at = n.tx.cfg.Refusals
	}
	return answer.Refusal(r, n.id(), at)
}

// Mail starts a transaction.
func (n *session) Mail(_ string, opts *smtp.MailOptions) error {
	return n.guard(func() error {
		n.finish() // a MAIL refused before
		id, err := filter.NewID(n.shared.Parts.Now(), n.shared.Parts.Random)
		if err != nil {
			return answer.Error(n.refuse("MAIL", err), "")
		}
		cfg := n.shared.Config()
		if r := n.room(cfg); r != nil {
			return answer.Error(r, id)
		}
		from, r := n.sender(opts)
		if r != nil {
			return answer.Error(r, id)
		}
		n.tx = n.begin(cfg, id, from, opts.UTF8)
		if r := n.admit(); r != nil {
			n.tx.refusal = r
			return n.told(r)
		}
		n.tx.open = true
		n.lookAtSender()
		return nil
	})
}

// room refuses new mail while bodies or the disk leave no space for it.
func (n *session) room(cfg *contract.Config) *contract.Reply {
	full := command.NewReply(452, 3, 1, "not enough room now, try again later")
	if !n.fits(max(n.c.Size(), 1), cfg) {
		return full
	}
	free, err := n.shared.Parts.Spool.Free()
	if err != nil {
		return n.refuse("MAIL", err)
	}
	if free < 2*uint64(max(cfg.Limits.Message, 0)) {
		n.shared.Parts.Log.Warn("too little disk space for the spool", "free", free)
		return full
	}
	return nil
}

func (n *session) fits(size int64, cfg *contract.Config) bool {
	if !n.shared.Bytes.Take(size, cfg.Limits.InFlight) {
		return false
	}
	n.shared.Bytes.Give(size)
	return true
}

// beforeData refuses a body that memory has no room for.
func (n *session) beforeData() *contract.Reply {
	if n.tx == nil || n.fits(max(n.c.Size(), 1), n.tx.cfg) {
		return nil
	}
	return command.NewReply(452, 3, 1, "not enough room now, try again later")
}

// sender reads the path of MAIL.
func (n *session) sender(opts *smtp.MailOptions) (string, *contract.Reply) {
	ext := n.l.Offered()
	if opts.UTF8 && !ext.SMTPUTF8 || opts.Body == smtp.Body8BitMIME && !ext.EightBit {
		return "", command.NewReply(555, 5, 4, "parameter not offered")
	}
	if n.c.Path() == "" {
		return "", nil
	}
	a, err := address.Parse(n.c.Path(), opts.UTF8)
	if err == nil && a.Domain == "" {
		err = address.ErrSyntax
	}
	if err != nil {
		return "", answer.BadAddress(err, 7)
	}
	return a.String(), nil
}

// client is who the mail comes from, as far as the connection tells.
func (n *session) client() filter.Client {
	peer := n.c.Peer()
	cl := filter.Client{IP: peer.Addr(), Port: peer.Port(), Helo: n.c.Helo()}
	if x := n.c.XClient().Name; x != nil {
		cl.Name = *x
	}
	if st := n.c.TLS(); st != nil {
		cl.TLS = filter.TLSInfo{Version: tls.VersionName(st.Version), Cipher: tls.CipherSuiteName(st.CipherSuite), Verified: len(st.VerifiedChains) > 0}
	}
	return cl
}

// known returns the client with its reverse name and what OnConnect found about it.
func (n *session) known(ctx context.Context, cl filter.Client, m *filter.Message) *seen {
	key := cl
	if n.seen != nil && n.seen.key == key {
		return n.seen
	}
	s := &seen{key: key, name: cl.Name}
	if f := n.shared.Parts.ReverseName; f != nil && s.name == "" && cl.IP.IsValid() {
		ctx, cancel := context.WithTimeout(ctx, nameWait)
		s.name = f(ctx, cl.IP)
		cancel()
	}
	probe := *m
	probe.Client = cl
	probe.Client.Name = s.name
	s.report = n.tx.pipe.Run(ctx, filter.OnConnect, &probe)
	n.seen = s
	return s
}

// Rcpt adds a recipient.
func (n *session) Rcpt(string, *smtp.RcptOptions) error {
	return n.guard(func() error {
		tx := n.tx
		if tx == nil || !tx.open {
			return answer.Error(command.NewReply(503, 5, 1, "say MAIL first"), "")
		}
		if tx.accepted >= tx.cfg.Limits.Recipients {
			return answer.Error(command.NewReply(452, 5, 3, "too many recipients, send the rest apart"), tx.msg.ID)
		}
		a, err := address.Parse(n.c.Path(), tx.msg.SMTPUTF8)
		if err != nil {
			return answer.Error(answer.BadAddress(err, 3), tx.msg.ID)
		}
		to, refusal := n.recipient(a)
		if refusal != nil {
			refusal.To = to
			tx.refused = append(tx.refused, *refusal)
			n.c.Recorded()
			return n.told(refusal.Reply)
		}
		tx.accepted++
		if !slices.ContainsFunc(tx.msg.To, func(t filter.Recipient) bool { return t.Address == to.Address }) {
			tx.msg.To = append(tx.msg.To, to)
		}
		return nil
	})
}

// recipient routes an address and asks the pipeline about it.
func (n *session) recipient(a address.Address) (filter.Recipient, *fate.Refusal) {
	tx := n.tx
	to := filter.Recipient{Address: a.String()}
	if strings.ContainsAny(a.Local, "%!@") {
		// Backends may read these as routes and would trust us with them.
		return to, &fate.Refusal{Reply: command.NewReply(550, 7, 1, "relaying denied")}
	}
	if n.l.Kind != contract.KindInbound {
		if r := n.suspended(); r != nil { // since MAIL
			return to, &fate.Refusal{Reply: r}
		}
	}
	ctx, cancel := context.WithTimeout(n.ctx, routeWait)
	defer cancel()
	got, err := n.shared.Parts.Directory.Route(ctx, n.l, n.login, a.String())
	if err != nil {
		return to, &fate.Refusal{Reply: n.refuse("RCPT", err)}
	}
	to = got
	if to.Policy == "" && n.shared.Parts.Policy != nil {
		to.Policy = n.shared.Parts.Policy(tx.msg.Direction, tx.msg.Account, to.Address)
	}
	if tx.behind {
		return to, nil
	}
	probe := *tx.msg
	probe.To = append(slices.Clone(tx.msg.To), to)
	probe.Seen = tx.report.Findings
	found := tx.pipe.Run(n.ctx, filter.OnRecipient, &probe)
	var report filter.Report
	report.Join(tx.report)
	report.Join(found)
	probe.To = []filter.Recipient{to}
	v := filter.Verdicts(tx.pipe.Judge, &probe, report)[0]
	if r := answer.Verdict(v); r != nil && !n.always(to) {
		return to, &fate.Refusal{Reply: r, Verdict: &v}
	}
	tx.report.Join(found)
	return to, nil
}

func (n *session) always(to filter.Recipient) bool {
	f := n.shared.Parts.Always
	return f != nil && n.tx.msg.Direction == filter.Inbound && f(to)
}

// Reset ends the transaction: after the answer to DATA, at RSET and at EHLO.
func (n *session) Reset() {
	_ = n.guard(func() error { n.finish(); return nil })
}

// Logout ends the session.
func (n *session) Logout() error {
	return n.guard(func() error {
		n.finish()
		n.settle(true)
		n.cancel()
		if n.login != nil {
			login := n.login
			n.login = nil
			return login.Close()
		}
		return nil
	})
}
