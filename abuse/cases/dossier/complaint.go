package cases

import (
	"net/netip"
	"time"
)

// Kind says what a case is about.
type Kind string

// The kinds.
const (
	Local    Kind = "local"    // one of our accounts
	External Kind = "external" // a source elsewhere
)

// Complaint is what a case learns from one report: facts that were established, never what the
// report merely asserts.
type Complaint struct {
	Report string    `json:"report"` // ID of the report's record
	At     time.Time `json:"at"`     // received
	Raw    string    `json:"raw"`    // SHA-256 of the bytes as they arrived, class intake; "" = none kept
	Kind   Kind      `json:"kind"`   // "" is Local; External: a local user complains of what came in

	Grade    int    `json:"grade"`              // 0..4 for P0..P4
	Class    string `json:"class,omitempty"`    // TRANSPLANT, REPLAY, DUPLICATE or ""
	Sentence string `json:"sentence,omitempty"` // the proof in one sentence

	Account  string         `json:"account,omitempty"` // "" = none is named by the proof
	Serial   string         `json:"serial,omitempty"`  // of the message
	Copy     string         `json:"copy,omitempty"`    // key of the delivered copy; one vote each
	Accepted int            `json:"accepted,omitempty"`
	Votes    int            `json:"votes,omitempty"` // hundredths; what the copy may be worth at most
	Client   netip.AddrPort `json:"client,omitzero"` // where the account sent from
	Login    string         `json:"login,omitempty"`
	SentAt   time.Time      `json:"sent_at,omitzero"`

	SourceIP     netip.Addr `json:"source_ip,omitzero"` // of an external source, as our own listener saw it
	SourcePort   uint16     `json:"source_port,omitempty"`
	SourceDomain string     `json:"source_domain,omitempty"` // d= of a signature that passed
	SourceHelo   string     `json:"source_helo,omitempty"`
	SourceTime   time.Time  `json:"source_time,omitzero"`

	Feedback string `json:"feedback,omitempty"` // Feedback-Type, folded
	Reporter string `json:"reporter,omitempty"`
	Trust    int    `json:"trust"`              // 0..3 for T0..T3
	Feed     bool   `json:"feed,omitempty"`     // a feedback loop: no answer, not in FRT
	Person   bool   `json:"person,omitempty"`   // is owed an answer
	Language string `json:"language,omitempty"` // zh, en, ru, el; "" = unknown
	Unparsed bool   `json:"unparsed,omitempty"`
	Drill    bool   `json:"drill,omitempty"`
	// Fold, if set, is the flood that the report belongs to: it is linked and counted, and
	// makes no line of its own.
	Fold string `json:"fold,omitempty"`
}
