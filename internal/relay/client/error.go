package client

import (
	"fmt"
)

// Stage is the point of a session at which something failed.
type Stage string

// The stages in order.
const (
	StageConnect  Stage = "connect"
	StageBanner   Stage = "banner"
	StageHello    Stage = "hello"
	StageTLS      Stage = "starttls"
	StageAuth     Stage = "auth"
	StageXClient  Stage = "xclient"
	StageMail     Stage = "mail"
	StageRcpt     Stage = "rcpt"
	StageData     Stage = "data"
	StageBody     Stage = "body"
	StageEnd      Stage = "end of data"
	StageReset    Stage = "reset"
	StageSubmit   Stage = "submit"
	StagePool     Stage = "pool"
	stageUnstated Stage = ""
)

// Error is a failed link to a server behind. It is private: it may name hosts.
type Error struct {
	Addr      string
	Stage     Stage
	Reply     Reply // what the server said, Code 0 when it said nothing
	Err       error // the cause; nil when Reply is the cause
	Ambiguous bool  // the final dot was sent: the server may have the message
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Addr, e.Stage)
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
	case StageConnect, StageBanner, StageHello, StageTLS, StagePool:
		return Reply{Code: 451, Enhanced: "4.4.1", Text: "the server behind does not answer, try again later"}
	default:
		return Reply{Code: 451, Enhanced: "4.4.2", Text: "the server behind broke off, try again later"}
	}
}

// BodyError says that a body cannot be sent as it is, because SMTP lines end in CRLF.
type BodyError struct {
	Offset int64
	What   string // "bare LF", "bare CR", "NUL" or "last line without CRLF"
}

func (e *BodyError) Error() string {
	return fmt.Sprintf("body: %s at byte %d", e.What, e.Offset)
}
