package session

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"postern/internal/address"
	"postern/internal/smtpd/answer"
	"postern/internal/smtpd/command"
	"postern/internal/smtpd/contract"
	"postern/internal/smtpd/mech"
	"postern/internal/smtpd/received"
	"postern/internal/smtpd/wire"
)

type addr = netip.Addr

func contains(nets []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// mechanisms lists what this connection may authenticate with.
func (s *Shared) mechanisms(l *contract.Listener, c *wire.Conn) []string {
	if l.Kind == contract.KindInbound || s.Parts.Authenticator == nil || c.TLS() == nil {
		return nil
	}
	return slices.DeleteFunc(s.Parts.Authenticator.Mechanisms(), func(m string) bool {
		return mech.Server(m, nil) == nil
	})
}

// AuthMechanisms is asked by go-smtp for its own EHLO, which nobody sees.
func (n *session) AuthMechanisms() []string { return nil }

// Auth starts an AUTH exchange.
func (n *session) Auth(name string) (sasl.Server, error) {
	if n.l.Kind == contract.KindInbound || n.shared.Parts.Authenticator == nil {
		return nil, answer.Error(command.NewReply(502, 5, 1, "AUTH is not offered here"), "")
	}
	if n.c.TLS() == nil {
		return nil, answer.Error(command.NewReply(538, 7, 11, "AUTH needs TLS"), "")
	}
	if !slices.Contains(n.shared.mechanisms(n.l, n.c), strings.ToUpper(name)) {
		return nil, answer.Error(command.NewReply(504, 5, 4, "mechanism not offered"), "")
	}
	return saslServer{mech.Server(name, func(user, secret string) error {
		return n.guard(func() error { return n.authenticate(name, user, secret) })
	})}, nil
}

// saslServer answers malformed responses in SMTP's words.
type saslServer struct{ sasl.Server }

func (s saslServer) Next(response []byte) ([]byte, bool, error) {
	challenge, done, err := s.Server.Next(response)
	if errors.Is(err, mech.ErrMalformed) {
		err = answer.Error(command.NewReply(501, 5, 2, "malformed AUTH response"), "")
	}
	return challenge, done, err
}

// authenticate replays the credentials. Both the address and the account have a number of
// tries; while either is used up nothing reaches the backend.
func (n *session) authenticate(name, user, secret string) error {
	s, lim, now := n.shared, n.shared.Config().Limits, n.shared.Parts.Now()
	keys := []string{"ip " + network(n.c.Peer().Addr()), "user " + address.Normalize(user)}
	for _, k := range keys {
		if s.Fails.Blocked(k, now, lim.AuthTries, lim.AuthWindow) {
			return answer.Error(command.NewReply(454, 7, 0, "too many failed logins, try again later"), "")
		}
	}
	ctx, cancel := context.WithTimeout(n.ctx, routeWait)
	defer cancel()
	login, err := s.Parts.Authenticator.Auth(ctx, n.l, n.client(), strings.ToUpper(name), user, secret)
	if err == nil && login == nil {
		err = errors.New("authenticator gave no login")
	}
	if err == nil {
		s.Fails.Forget(keys[1])
		return n.loggedIn(login)
	}
	var r *contract.Reply
	if !errors.As(err, &r) || r == nil || r.Code < 400 {
		s.Parts.Log.Warn("login could not be checked", "peer", n.c.Peer().String(), "error", err)
		return answer.Error(command.NewReply(454, 7, 0, "cannot check logins now, try again later"), "")
	}
	if r.Code >= 500 {
		for _, k := range keys {
			s.Fails.Add(k, now, lim.AuthWindow)
		}
		n.tellLogin(user, false)
		s.Parts.Log.Info("login failed", "peer", n.c.Peer().String(), "user", user)
	}
	return answer.Error(r, "")
}

// loggedIn takes a login, unless the account may have none.
func (n *session) loggedIn(login contract.Login) error {
	n.tellLogin(login.Account(), true)
	if a, ok := n.shared.Parts.Accounts.(contract.Logins); ok && a.LoginOff(login.Account()) {
		if err := login.Close(); err != nil {
			n.shared.Parts.Log.Warn("closing a login", "error", err)
		}
		return answer.Error(command.NewReply(535, 7, 8, "the login of this account is off, ask your postmaster"), "")
	}
	n.login = login
	return nil
}

func (n *session) tellLogin(account string, ok bool) {
	if f := n.shared.Parts.LoggedIn; f != nil {
		f(account, n.c.Peer().Addr(), ok)
	}
}

// network is what failures are counted by: an IPv4 address or an IPv6 /64.
func network(ip netip.Addr) string {
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		return p.String()
	}
	return ip.String()
}

// accountSource says how well an account is known; the larger is the surer.
type accountSource uint8

const (
	byNetwork accountSource = iota
	byMailFrom
	byXClient
	byAuth
)

// admit decides at MAIL whether the client may send at all, and as which account.
func (n *session) admit() *contract.Reply {
	tx := n.tx
	if n.l.Kind == contract.KindInbound {
		return nil
	}
	if n.l.Kind == contract.KindSubmission && n.login == nil {
		return command.NewReply(530, 7, 0, "authentication required")
	}
	if n.login == nil && !contains(n.l.Networks, n.c.Neighbour()) && !tx.msg.Client.TLS.Verified {
		return command.NewReply(550, 7, 1, "not allowed to send here")
	}
	tx.msg.Account, tx.named = n.accountOf(tx.msg.From)
	return n.suspended()
}

func (n *session) accountOf(from string) (string, accountSource) {
	if n.login != nil {
		return n.login.Account(), byAuth
	}
	if x := n.c.XClient().Login; x != nil && *x != "" {
		return *x, byXClient
	}
	if n.l.MailFromIsAccount && from != "" {
		return from, byMailFrom
	}
	ip := n.c.Neighbour()
	for _, p := range n.l.Networks {
		if p.Contains(ip) {
			return p.String(), byNetwork
		}
	}
	if st := n.c.TLS(); st != nil && len(st.PeerCertificates) > 0 {
		leaf := st.PeerCertificates[0]
		name := leaf.Subject.CommonName
		if len(leaf.DNSNames) > 0 {
			name = leaf.DNSNames[0]
		}
		return "certificate " + command.Printable(name, 255), byNetwork
	}
	return network(ip), byNetwork
}

func (n *session) suspended() *contract.Reply {
	a := n.shared.Parts.Accounts
	if a == nil || n.tx.msg.Account == "" {
		return nil
	}
	if _, yes := a.Suspended(n.tx.msg.Account); yes {
		return command.NewReply(550, 7, 1, "this account is suspended, ask your postmaster")
	}
	return nil
}

// nameAccount takes the account from the field a local server wrote, where nothing surer
// named it, and asks again whether the account may send: it may have been suspended since
// MAIL.
func (n *session) nameAccount(head []byte) *contract.Reply {
	tx := n.tx
	if n.l.Kind == contract.KindInbound {
		return nil
	}
	if n.l.Kind == contract.KindSmarthost && n.l.AccountHeader != "" && tx.named < byXClient && contains(n.l.Networks, n.c.Neighbour()) {
		values := received.Values(head, n.l.AccountHeader)
		// Two that differ are one the user wrote and one the server wrote.
		if len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) {
			if v := strings.Trim(values[0], "<> \t"); v != "" && len(v) <= 255 && command.Plain(v) && !bytes.ContainsAny([]byte(v), "\t") {
				tx.msg.Account = v
			}
		}
	}
	return n.suspended()
}

var _ smtp.AuthSession = (*session)(nil)
