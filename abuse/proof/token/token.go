// Package token makes the trace token of outbound mail: an opaque proof that this gateway, and
// nobody else, sent a message for an account.
package token

import (
	"crypto/sha256"
	"errors"
	"strings"
	"time"
)

// Trace is what a token says.
type Trace struct {
	Account [16]byte  // keyed hash of the account, see Ring.Account
	Serial  string    // the gateway's ID of the message
	Minute  time.Time // of its arrival, whole minutes
	Domain  [8]byte   // of the recipients' domain, see DomainHash; zero = of several
	Flags   uint8
	Key     string // ID of the key it was sealed with; set by Open
}

// The flags of a Trace.
const (
	Submitted   uint8 = 1 << iota // the account had logged in here
	ManyDomains                   // sent to recipients of several domains in one transaction
)

// ErrNotOurs says that a token is none that these keys made, or was changed.
var ErrNotOurs = errors.New("this is no trace token of ours")

// DomainHash is what stands in a Trace for a recipient's domain.
func DomainHash(domain string) (h [8]byte) {
	sum := sha256.Sum256([]byte("postern trace domain\x00" + strings.ToLower(strings.TrimSuffix(domain, "."))))
	copy(h[:], sum[:])
	return h
}
