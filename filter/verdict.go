package filter

import (
	"fmt"
	"time"
)

// Score is worth in hundredths of a point.
type Score int

// String prints points with two decimals: "4.50", "-0.25".
func (s Score) String() string {
	sign := ""
	if s < 0 {
		sign, s = "-", -s
	}
	return fmt.Sprintf("%s%d.%02d", sign, s/100, s%100)
}

// Points is the score as a decimal number, for JSON.
func (s Score) Points() float64 { return float64(s) / 100 }

// Reason is one line of a verdict's account. The scores of all reasons add up to the
// verdict's score.
type Reason struct {
	Symbol   string
	Score    Score
	Describe string // the rule's plain sentence
	Detail   string // what was seen this time; may hold attacker text
	Step     string `json:",omitempty"` // the steps that said so, joined by ","; "" = the rules themselves
	Decides  bool   `json:",omitempty"` // without it the action would be a smaller one, as far as one reason can say
}

// Verdict is what the rules decided for one policy and the findings that apply to it.
type Verdict struct {
	Action   Action
	Policy   string
	Rules    string   // revision of the rule set that judged
	Keep     bool     // an evidence copy is kept whatever the action
	Strip    []string // part paths of the mime.Tree ("1.2") to leave out
	Score    Score
	Reasons  []Reason
	Failures []Failure // what was not checked: the ledger
	Public   string    // all that a stranger may read

	Softened   []string `json:",omitempty"` // symbols that spoke for the mail against the wish of DMARC
	Greylisted bool     // the Defer asks a stranger to come again; nothing else speaks against the mail
}

// Judge turns a report into a verdict under a policy. Before OnData (m.Body is nil) only
// symbols that rules give an action with "stage: rcpt" count, and no score.
type Judge interface {
	Judge(m *Message, r Report, policy string) Verdict
}

// FateState is where a recipient's copy ended.
type FateState string

// The fates of contracts.md section 2.
const (
	Delivered FateState = "delivered"
	Held      FateState = "held"
	Rejected  FateState = "rejected"
	Deferred  FateState = "deferred"
	InOutbox  FateState = "outbox"
)

// Fate is what became of one recipient's copy.
type Fate struct {
	Recipient string
	State     FateState
	Backend   string // host that answered, or ""
	Reply     string // the answer that decided it, sanitised
	Hold      string // hold or outbox ID, or ""
	Ambiguous bool   // the connection was lost after the final dot
}

// Times are the moments of a transaction; zero where it did not get that far. Handed is when
// the first transfer to a server behind began, Relayed when the last one ended.
type Times struct {
	Start, Data, Received, Checked, Handed, Relayed, Done time.Time
}

// Outcome is how a transaction ended.
type Outcome struct {
	Report   Report
	Verdicts []Verdict // one per recipient, in the order of Message.To
	Fates    []Fate    // one per recipient, in the order of Message.To
	Reply    string    // what the client was answered
	Times    Times
}
