// Package quarantine keeps held mail: it takes messages in durably, finds them, releases
// them to their original recipients, and ends them when their time is over.
package quarantine

import (
	"time"

	"postern/filter"
)

// RecordVersion is the version of the hold record written by this program.
const RecordVersion = 1

// State is where a hold stands in its life.
type State string

// The states of a hold. Provisional holds are invisible to everybody but the relay; Held,
// Releasing and Refused are open; the others are ends, without a body.
const (
	Provisional State = "provisional" // written and synced, not yet answered for
	Held        State = "held"        // answered for: the only copy there is
	Releasing   State = "releasing"   // a person released it, the server behind has not taken it yet
	Refused     State = "refused"     // a release was refused for good; the body stays until its time
	Released    State = "released"    // the server behind has it
	Deleted     State = "deleted"     // a person deleted it
	Expired     State = "expired"     // its time was over
)

// Open reports whether the hold still owns a body that people may see.
func (s State) Open() bool { return s == Held || s == Releasing || s == Refused }

// Ended reports whether the hold is over: only its record is left.
func (s State) Ended() bool { return s == Released || s == Deleted || s == Expired }

// Valid reports whether s is one of the states.
func (s State) Valid() bool { return s == Provisional || s.Open() || s.Ended() }

// Class says why a message is kept, which decides for how long and whether it may be released.
type Class string

// The classes of holds.
const (
	ByVerdict      Class = "quarantine"      // a verdict held it
	RejectedBeside Class = "rejected-beside" // refused for one recipient, taken for another: no bounce
	BackendRefused Class = "backend-refused" // the server behind refused what was already taken
	Evidence       Class = "evidence"        // a copy beside whatever was done; never released
	ByMeasure      Class = "measure"         // a measure holds what its account sends; in no digest
)

// Valid reports whether c is one of the classes.
func (c Class) Valid() bool {
	return c == ByVerdict || c == RejectedBeside || c == BackendRefused || c == Evidence || c == ByMeasure
}

// Hold is the record of one held copy, as stored and as shown in JSON. Text fields hold what
// strangers wrote: escape them before they reach a terminal or a page.
type Hold struct {
	V         int           `json:"v"`
	ID        string        `json:"id"`         // message ID, "-", at least two digits
	MessageID string        `json:"message_id"` // the gateway's ID of the message
	Node      string        `json:"node"`
	At        time.Time     `json:"at"`
	Expires   time.Time     `json:"expires"`
	Direction string        `json:"direction"` // inbound | outbound
	State     State         `json:"state"`
	Class     Class         `json:"class"`
	Policy    string        `json:"policy"`
	Backend   string        `json:"backend"` // pool a release goes to
	Listener  string        `json:"listener"`
	From      string        `json:"from"` // "" is the null sender
	To        []string      `json:"to"`
	SMTPUTF8  bool          `json:"smtputf8,omitempty"`
	Client    Client        `json:"client"`
	Subject   string        `json:"subject"`
	Size      int64         `json:"size"`
	SHA256    string        `json:"sha256"` // hex digest of the raw bytes
	Action    string        `json:"action"`
	Score     filter.Score  `json:"score"` // hundredths
	Reasons   []Reason      `json:"reasons"`
	Unchecked []Unchecked   `json:"unchecked"`
	RulesRev  string        `json:"rules_rev"`
	AV        string        `json:"av"`
	Evidence  bool          `json:"evidence"`
	Reply     string        `json:"reply,omitempty"` // what the server behind said, class backend-refused
	Release   *Release      `json:"release,omitempty"`
	Ended     *Ended        `json:"ended,omitempty"`
	Key       string        `json:"key"`     // what makes a retry of the same mail the same hold
	Keep      time.Duration `json:"keep"`    // nanoseconds the hold is kept from At on
	Version   int64         `json:"version"` // counts changes; a change names the one it read
}

// Client is the host or account a held message came from.
type Client struct {
	IP      string `json:"ip"`
	Port    uint16 `json:"port"`
	Name    string `json:"name"`
	Helo    string `json:"helo"`
	Account string `json:"account"`
}

// Reason is one line of the verdict that held the message.
type Reason struct {
	Symbol   string       `json:"symbol"`
	Score    filter.Score `json:"score"` // hundredths
	Describe string       `json:"describe"`
	Detail   string       `json:"detail"`
	Step     string       `json:"step,omitempty"`    // the steps that said so, joined by ","; "" in records of before
	Decides  bool         `json:"decides,omitempty"` // it made the action; none in records of before
}

// Unchecked is a step that could not tell.
type Unchecked struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
	// Decides says that the message was held because this step could not tell.
	Decides bool `json:"decides,omitempty"`
}

// Release is how far a release has come.
type Release struct {
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Attempts int       `json:"attempts"`
	Trying   bool      `json:"trying,omitempty"`  // an attempt runs, at most until Next
	Node     string    `json:"node,omitempty"`    // where the last attempt ran,
	Life     string    `json:"life,omitempty"`    // and in which process
	Next     time.Time `json:"next,omitzero"`     // not tried again before
	Failure  string    `json:"failure,omitempty"` // why the last attempt failed, in plain words
	// Ambiguous says that an attempt was sent and not answered: a copy more may have arrived.
	Ambiguous bool `json:"ambiguous,omitempty"`
}

// Ended is how a hold ended.
type Ended struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Reply string    `json:"reply,omitempty"` // what the server behind answered to a release
}

// Symbols lists the symbols of the verdict.
func (h *Hold) Symbols() []string {
	out := make([]string, len(h.Reasons))
	for i, r := range h.Reasons {
		out[i] = r.Symbol
	}
	return out
}
