package glue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"

	"postern/filter"
	"postern/internal/config"
	"postern/internal/relay"
	"postern/internal/relay/backend"
	"postern/internal/relay/client"
	"postern/internal/smtpd"
	"postern/rules"
)

// Deliverer judges a message and has the relay act on it.
type Deliverer struct {
	Rules    *atomic.Pointer[rules.Set]
	Relay    *relay.Relay
	Pipeline func() *filter.Pipeline // the steps in force; nil: a message that is to lose parts is held
	Log      *slog.Logger            // nil: nowhere
}

// Deliver implements smtpd.Deliverer. Only a *Login of this package carries a connection to
// relay on.
func (d *Deliverer) Deliver(ctx context.Context, in smtpd.Delivery) filter.Outcome {
	job := relay.Job{
		Message: in.Message, Report: in.Report, Received: in.Times.Received, Abort: in.Abort,
	}
	if taken(in.Message) {
		job.Verdicts = make([]filter.Verdict, len(in.Message.To)) // no rule decides on it
	} else {
		job.Verdicts = filter.Verdicts(d.Rules.Load(), in.Message, in.Report)
	}
	job.Bodies = d.strip(ctx, in.Message, in.Report, job.Verdicts)
	if l, ok := in.Login.(*Login); ok {
		job.Login = l.conn
	}
	out := d.Relay.Deliver(ctx, job)
	times := in.Times
	times.Handed, times.Relayed, times.Done = out.Times.Handed, out.Times.Relayed, out.Times.Done
	out.Times = times
	return out
}

// taken reports whether a message is for the abuse desk alone.
func taken(m *filter.Message) bool {
	return !slices.ContainsFunc(m.To, func(to filter.Recipient) bool { return to.Backend != relay.DeskBackend })
}

// Login is a person's submission session: the backend took the password, and mail goes out
// on that same connection.
type Login struct {
	account string
	conn    *client.Conn
}

// Account implements smtpd.Login.
func (l *Login) Account() string { return l.account }

// Close implements smtpd.Login.
func (l *Login) Close() error { return l.conn.Close() }

// Authenticator replays credentials to the backend of the listener.
type Authenticator struct {
	Config *atomic.Pointer[config.Config]
	Pools  *backend.Pools
}

// Mechanisms implements smtpd.Authenticator.
func (a *Authenticator) Mechanisms() []string { return []string{"PLAIN", "LOGIN", "XOAUTH2"} }

// Auth implements smtpd.Authenticator. A backend that refuses the password is a 535, one
// that cannot be asked a 454.
func (a *Authenticator) Auth(ctx context.Context, l *smtpd.Listener, _ filter.Client, mech, user, secret string) (smtpd.Login, error) {
	c, err := a.Pools.Login(ctx, backendOf(a.Config.Load(), l.Name), mech, user, secret)
	if err != nil {
		var e *client.Error
		if errors.As(err, &e) && e.Stage == client.StageAuth && e.Reply.Code/100 == 5 {
			return nil, &smtpd.Reply{Code: 535, Enhanced: [3]int{5, 7, 8}, Text: "Authentication failed"}
		}
		return nil, err
	}
	return &Login{account: Account(user), conn: c}, nil
}
