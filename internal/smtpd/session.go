package smtpd

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"crypto/tls"

	"github.com/emersion/go-smtp"

	"postern/filter"
	"postern/internal/address"
	"postern/internal/smtpd/command"
	"postern/internal/smtpd/wire"
)

// nameWait bounds the reverse lookup of a client.
const nameWait = 3 * time.Second

// session is what go-smtp drives: one per connection. go-smtp holds its lock while it calls
// Reset and Logout, so they must not call back into it; they use the wire only.
type session struct {
	server *Server
	l      *Listener
	c      *wire.Conn
	ctx    context.Context
	cancel context.CancelFunc
	login  Login
	seen   *seen
	tx     *transaction
}

// seen caches what OnConnect found about a client; XCLIENT and EHLO change the client.
type seen struct {
	key    filter.Client
	name   string
	report filter.Report
}

func (s *Server) newSession(ctx context.Context, l *Listener, c *smtp.Conn) *session {
	conn, _ := c.Conn().(*wire.Conn)
	n := &session{server: s, l: l, c: conn}
	n.ctx, n.cancel = context.WithCancel(ctx)
	conn.BeforeData(n.beforeData)
	return n
}

// guard turns a panic into 451: the client keeps the message, the stack goes to the log.
func (n *session) guard(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			n.server.parts.Log.Error("session panicked", "peer", n.c.Peer().String(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = wireError(tryLater(), n.id())
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

func tryLater() *Reply { return command.NewReply(451, 3, 0, "try again later") }

// wireError is what go-smtp writes; the reference is added to refusals.
func wireError(r *Reply, id string) error {
	text := r.Text
	if id != "" && r.Code >= 400 && !strings.Contains(text, id) {
		text = command.Printable(text, 440) + " (ref " + id + ")"
	}
	return &smtp.SMTPError{Code: r.Code, EnhancedCode: r.Enhanced, Message: command.Printable(text, 490)}
}

// refuse notes the cause in the log when it is not public and makes the reply of it.
func (n *session) refuse(what string, err error) *Reply {
	var r *Reply
	if errors.As(err, &r) && r != nil && r.Code >= 400 {
		return r
	}
	n.server.parts.Log.Warn("answered 451", "message", n.id(), "at", what, "error", err)
	return tryLater()
}

// Mail starts a transaction.
func (n *session) Mail(_ string, opts *smtp.MailOptions) error {
	return n.guard(func() error {
		n.finish() // a MAIL refused before
		id, err := filter.NewID(n.server.parts.Now(), n.server.parts.Random)
		if err != nil {
			return wireError(n.refuse("MAIL", err), "")
		}
		cfg := n.server.cfg.Load()
		if r := n.room(cfg); r != nil {
			return wireError(r, id)
		}
		from, r := n.sender(opts)
		if r != nil {
			return wireError(r, id)
		}
		n.tx = n.begin(cfg, id, from, opts.UTF8)
		if r := n.admit(); r != nil {
			n.tx.refusal = r
			return wireError(r, id)
		}
		n.tx.open = true
		n.lookAtSender()
		return nil
	})
}

// room refuses new mail while bodies or the disk leave no space for it.
func (n *session) room(cfg *Config) *Reply {
	full := command.NewReply(452, 3, 1, "not enough room now, try again later")
	if !n.fits(max(n.c.Size(), 1), cfg) {
		return full
	}
	free, err := n.server.parts.Spool.Free()
	if err != nil {
		return n.refuse("MAIL", err)
	}
	if free < 2*uint64(max(cfg.Limits.Message, 0)) {
		n.server.parts.Log.Warn("too little disk space for the spool", "free", free)
		return full
	}
	return nil
}

func (n *session) fits(size int64, cfg *Config) bool {
	if !n.server.bytes.Take(size, cfg.Limits.InFlight) {
		return false
	}
	n.server.bytes.Give(size)
	return true
}

// beforeData refuses a body that memory has no room for.
func (n *session) beforeData() *Reply {
	if n.tx == nil || n.fits(max(n.c.Size(), 1), n.tx.cfg) {
		return nil
	}
	return command.NewReply(452, 3, 1, "not enough room now, try again later")
}

// sender reads the path of MAIL.
func (n *session) sender(opts *smtp.MailOptions) (string, *Reply) {
	ext := n.l.extensions()
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
		return "", badAddress(err, 7)
	}
	return a.String(), nil
}

// badAddress says what is wrong with an address; detail is its X.1.detail.
func badAddress(err error, detail int) *Reply {
	switch {
	case errors.Is(err, address.ErrUTF8):
		return command.NewReply(553, 6, 7, "non-ASCII address without SMTPUTF8")
	case errors.Is(err, address.ErrRoute):
		return command.NewReply(550, 1, detail, "source routes are not taken")
	}
	return command.NewReply(501, 1, detail, "bad address syntax")
}

// client is who the mail comes from, as far as the connection tells.
func (n *session) client() filter.Client {
	peer := n.c.Peer()
	cl := filter.Client{IP: peer.Addr(), Port: peer.Port(), Helo: n.c.Helo()}
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
	s := &seen{key: key}
	if x := n.c.XClient(); x.Name != nil && key.IP == n.c.Peer().Addr() {
		s.name = *x.Name
	} else if f := n.server.parts.ReverseName; f != nil && cl.IP.IsValid() {
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
			return wireError(command.NewReply(503, 5, 1, "say MAIL first"), "")
		}
		if tx.accepted >= tx.cfg.Limits.Recipients {
			return wireError(command.NewReply(452, 5, 3, "too many recipients, send the rest apart"), tx.msg.ID)
		}
		a, err := address.Parse(n.c.Path(), tx.msg.SMTPUTF8)
		if err != nil {
			return wireError(badAddress(err, 3), tx.msg.ID)
		}
		to, r := n.recipient(a)
		if r != nil {
			tx.refused = append(tx.refused, refused{to, r})
			return wireError(r, tx.msg.ID)
		}
		tx.accepted++
		if !slices.ContainsFunc(tx.msg.To, func(t filter.Recipient) bool { return t.Address == to.Address }) {
			tx.msg.To = append(tx.msg.To, to)
		}
		return nil
	})
}

// recipient routes an address and asks the pipeline about it.
func (n *session) recipient(a address.Address) (filter.Recipient, *Reply) {
	tx := n.tx
	to := filter.Recipient{Address: a.String()}
	if strings.ContainsAny(a.Local, "%!@") {
		// Backends may read these as routes and would trust us with them.
		return to, command.NewReply(550, 7, 1, "relaying denied")
	}
	got, err := n.server.parts.Directory.Route(n.ctx, n.l, n.login, a.String())
	if err != nil {
		return to, n.refuse("RCPT", err)
	}
	to = got
	if to.Policy == "" && n.server.parts.Policy != nil {
		to.Policy = n.server.parts.Policy(tx.msg.Direction, tx.msg.Account, to.Address)
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
	if r := verdictReply(v); r != nil && !isPostmaster(a) {
		tx.verdicts = append(tx.verdicts, judged{to.Address, v})
		return to, r
	}
	tx.report.Join(found)
	return to, nil
}

// isPostmaster: this mailbox takes mail from everybody until the body is judged (RFC 5321
// section 4.5.1), so that who is blocked can ask why.
func isPostmaster(a address.Address) bool { return strings.EqualFold(a.Local, "postmaster") }

// verdictReply is the answer to a verdict before the body; nil goes on.
func verdictReply(v filter.Verdict) *Reply {
	code := 0
	switch v.Action {
	case filter.Reject:
		code = 550
	case filter.Defer:
		code = 451
	default:
		return nil
	}
	if r, ok := command.ParseReply(v.Public); ok && r.Code/100 == code/100 {
		return r
	}
	text := v.Public
	if text == "" {
		text = "not accepted by local policy"
	}
	return command.NewReply(code, 7, 1, text)
}

// Reset ends the transaction: after the answer to DATA, at RSET and at EHLO.
func (n *session) Reset() {
	_ = n.guard(func() error { n.finish(); return nil })
}

// Logout ends the session.
func (n *session) Logout() error {
	return n.guard(func() error {
		n.finish()
		n.cancel()
		if n.login != nil {
			login := n.login
			n.login = nil
			return login.Close()
		}
		return nil
	})
}
