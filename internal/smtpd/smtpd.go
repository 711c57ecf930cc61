// Package smtpd takes mail in over SMTP: listeners, sessions, limits, stage calls and
// replies. It decides nothing about a message beyond its envelope; what happens to it is
// the Deliverer's.
package smtpd

import (
	"postern/internal/smtpd/contract"
	"postern/internal/smtpd/limit"
)

// The nouns, see package contract.
type (
	Kind          = contract.Kind
	Reply         = contract.Reply
	Framing       = contract.Framing
	Extensions    = contract.Extensions
	Listener      = contract.Listener
	Limits        = contract.Limits
	Config        = contract.Config
	Login         = contract.Login
	Directory     = contract.Directory
	Delivery      = contract.Delivery
	Deliverer     = contract.Deliverer
	Authenticator = contract.Authenticator
	Accounts      = contract.Accounts
	Parts         = contract.Parts
)

// The kinds of listener and the framings.
const (
	KindInbound    = contract.KindInbound
	KindSubmission = contract.KindSubmission
	KindSmarthost  = contract.KindSmarthost
	Refuse         = contract.Refuse
	Normalize      = contract.Normalize
)

// DefaultLimits are the limits of a configuration that says nothing.
func DefaultLimits() Limits { return limit.Default() }

// Counts are the sessions and body bytes open now.
type Counts struct {
	Sessions int
	InFlight int64
}
