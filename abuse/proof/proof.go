// Package proof says how surely a complaint is about mail that a local account sent: the
// ladder from P0, nothing matches, to P4, our own signature over the reported bytes. What a
// reporter claims in words proves nothing; the reported message itself does, held against the
// send log.
package proof

import (
	"net/netip"
	"time"

	"postern/internal/said"
)

// Grade is how surely a report is tied to a message of ours. A larger one is surer.
type Grade uint8

// The grades.
const (
	P0 Grade = iota // nothing matches
	P1              // an ID, or address, port and time, stand in the send log: no cryptography
	P2              // a trace token opens, the content is not there to be compared
	P3              // a trace token opens and the content is that of the logged message
	P4              // our signature verifies, the token opens, and the recipient is in the log
)

// String is "P0" to "P4".
func (g Grade) String() string { return "P" + string('0'+rune(g)) }

// Class names what is wrong with a report that matches something of ours.
type Class string

// The classes. A report of any class but None has no vote.
const (
	None       Class = ""
	Transplant Class = "TRANSPLANT" // a token of ours on content that is not ours
	Replay     Class = "REPLAY"     // our signed message in front of people it was not sent to
	Duplicate  Class = "DUPLICATE"  // the same delivered copy was reported before
	Stale      Class = "STALE"      // older than complaints are heard about
)

// Votes, in hundredths.
const (
	VoteFull = 100
	VoteHalf = 50
)

// Proof is what a report proves.
type Proof struct {
	Grade     Grade          `json:"grade"`
	Class     Class          `json:"class,omitempty"`
	Account   string         `json:"account,omitempty"` // named from P2 on, and never for a transplant
	Hint      string         `json:"hint,omitempty"`    // at P1: the account that an ID leads people to
	Serial    string         `json:"serial,omitempty"`  // message ID of the gateway
	Recipient string         `json:"recipient,omitempty"`
	Login     string         `json:"login,omitempty"`
	Client    netip.AddrPort `json:"client,omitzero"`
	QueueID   string         `json:"queue_id,omitempty"`
	SentAt    time.Time      `json:"sent_at,omitzero"`
	Votes     int            `json:"votes"`              // hundredths: 100, 50, 0
	Copy      string         `json:"copy,omitempty"`     // key of the delivered copy: one vote each
	Accepted  int            `json:"accepted,omitempty"` // recipients that took the message: never more votes than that
	Sentence  string         `json:"sentence"`           // for people
	Said      said.Words     `json:"said,omitzero"`      // the sentence by its code
	// Transcript is each test and what came of it, in order.
	Transcript []string `json:"transcript,omitempty"`
}
