package client

import (
	"errors"

	"postern/internal/relay/client/reply"
)

// Stage is the point of a session at which something failed.
type Stage string

// The stages in order. StagePool is a pool that had no server or connection to give.
const (
	StagePool    Stage = "pool"
	StageConnect Stage = "connect"
	StageBanner  Stage = "banner"
	StageHello   Stage = "hello"
	StageTLS     Stage = "starttls"
	StageAuth    Stage = "auth"
	StageXClient Stage = "xclient"
	StageMail    Stage = "mail"
	StageRcpt    Stage = "rcpt"
	StageData    Stage = "data"
	StageBody    Stage = "body"
	StageEnd     Stage = "end of data"
	StageReset   Stage = "reset"
)

// What an Error of STARTTLS or AUTH may wrap.
var (
	ErrNoTLS       = errors.New("the server offers no STARTTLS")
	ErrNotVerified = errors.New("AUTH needs a verified TLS session")
	ErrNoMechanism = errors.New("no AUTH mechanism in common")
	ErrCredentials = errors.New("user name or secret cannot be sent")
)

// Error is a failed link to a server behind. It is private: it names hosts.
type Error struct {
	Addr      string
	Stage     Stage
	Reply     Reply // what the server said, Code 0 when it said nothing
	Err       error // the cause; nil when Reply is the cause
	Ambiguous bool  // the final dot was sent: the server may have the message
}

func (e *Error) Error() string {
	s := e.Addr + ": " + string(e.Stage)
	if e.Reply.Code != 0 {
		s += ": " + e.Reply.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Public is what the sender may be told: always a 4xx, because a broken link is never the
// fault of the mail.
func (e *Error) Public() Reply {
	switch e.Stage {
	case StagePool, StageConnect, StageBanner, StageHello, StageTLS, StageAuth:
		return reply.Local(451, "4.4.1", "the server behind cannot be reached, try again later")
	default:
		return reply.Local(451, "4.4.2", "the server behind broke off, try again later")
	}
}
