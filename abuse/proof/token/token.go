// Package token makes the trace token of outbound mail: an opaque proof that this gateway, and
// nobody else, sent a message for an account.
package token

import (
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"postern/filter"
	"postern/internal/said"
)

// Trace is what a token says. It names nobody: without the key it is noise, and with it the
// account is a hash.
type Trace struct {
	Account [8]byte   // keyed hash of the account: Ring.Names tells whose; set by Seal
	Serial  string    // the gateway's ID of the message
	Minute  time.Time // of the message's arrival; it is part of the serial, and so set by Open
	Domain  [8]byte   // of the recipients' domain, see DomainHash; zero = of several, or not said
	Flags   uint8
	Key     string // ID of the key it was sealed with; set by Open
}

// The flags of a Trace.
const (
	Submitted uint8 = 1 << iota // the account had logged in here
)

// Errors of Open. They are wrapped: use errors.Is.
var (
	// ErrNotOurs says that a token is none that these keys made, or was changed.
	ErrNotOurs = said.New("token.this-is-no-trace-token-of-ours", "this is no trace token of ours")
	// ErrUnknownKey says that a token has the right form and was made with a key that the ring
	// does not hold: forged, or the key is long gone.
	ErrUnknownKey = said.New("token.no-key-of-this-ring-opens-the", "no key of this ring opens the trace token")
)

// DomainHash is what stands in a Trace for a recipient's domain.
func DomainHash(domain string) (h [8]byte) {
	sum := sha256.Sum256([]byte("postern trace domain\x00" + strings.ToLower(strings.TrimSuffix(domain, "."))))
	copy(h[:], sum[:])
	return h
}

// plainLen is the length of what is sealed: account, serial, domain, flags.
const plainLen = 8 + 16 + 8 + 1

func (t Trace) bytes() ([]byte, error) {
	serial, ok := filter.IDBytes(t.Serial)
	if !ok {
		return nil, errors.New("a trace token needs the ID of a message")
	}
	out := make([]byte, 0, plainLen)
	out = append(out, t.Account[:]...)
	out = append(out, serial[:]...)
	out = append(out, t.Domain[:]...)
	return append(out, t.Flags), nil
}

// parse is the inverse of bytes; b has plainLen octets.
func parse(b []byte) Trace {
	t := Trace{Account: [8]byte(b[:8]), Domain: [8]byte(b[24:32]), Flags: b[32]}
	raw := [16]byte(b[8:24])
	t.Serial, t.Minute = filter.IDOf(raw)
	t.Minute = t.Minute.UTC().Truncate(time.Minute)
	return t
}
