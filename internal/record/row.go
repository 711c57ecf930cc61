// Package record writes down what became of every message: the traffic row, the log line,
// the metrics, and the append-only audit of what people changed.
package record

import (
	"time"

	"postern/filter"
)

// Row is one message in the traffic table. Text fields hold what strangers wrote, cleaned of
// control characters and cut to a bounded length.
type Row struct {
	ID        string       `json:"id"`
	Time      time.Time    `json:"time"`
	Node      string       `json:"node,omitempty"`
	Direction string       `json:"direction"`
	Listener  string       `json:"listener"`
	Client    Client       `json:"client"`
	Account   string       `json:"account,omitempty"`
	From      string       `json:"from"`
	To        []Fate       `json:"to"`
	Subject   string       `json:"subject"`
	MessageID string       `json:"message_id"` // the header field, without angle brackets
	Size      int64        `json:"size"`
	SHA256    string       `json:"sha256,omitempty"`
	Action    string       `json:"action"` // the largest over all recipients
	Score     filter.Score `json:"score"`  // hundredths; that of the largest action
	Symbols   []string     `json:"symbols"`
	Weights   []int32      `json:"weights,omitempty"` // of the symbols in their order, hundredths, for the recipient with the largest action
	Unchecked []Unchecked  `json:"unchecked,omitempty"`
	DNSCut    bool         `json:"dns_budget,omitempty"` // lookups were left out: its DNS budget was spent
	Reply     string       `json:"reply"`                // what the client was answered
	Delay     Delay        `json:"delay"`
}

// Client is the host a message came from.
type Client struct {
	IP   string `json:"ip"`
	Port uint16 `json:"port,omitempty"`
	Name string `json:"name,omitempty"`
	Helo string `json:"helo,omitempty"`
	TLS  string `json:"tls,omitempty"`
}

// Fate is what became of one recipient's copy.
type Fate struct {
	Address   string       `json:"address"`
	Policy    string       `json:"policy,omitempty"`
	State     string       `json:"state"` // delivered | held | rejected | deferred | outbox | aborted
	Backend   string       `json:"backend,omitempty"`
	Reply     string       `json:"reply,omitempty"`
	Hold      string       `json:"hold,omitempty"`
	Action    string       `json:"action,omitempty"`
	Score     filter.Score `json:"score,omitempty"` // hundredths
	Ambiguous bool         `json:"ambiguous,omitempty"`
	Stripped  []string     `json:"stripped,omitempty"` // paths of the parts left out of what was handed on

	Greylisted bool     `json:"greylisted,omitempty"` // deferred as a first contact, and for nothing else
	Softened   []string `json:"softened,omitempty"`   // symbols that spoke for it against the wish of DMARC
}

// Unchecked is a step that could not tell.
type Unchecked struct {
	Step   string `json:"step"`
	Reason string `json:"reason"`
}

// Delay holds the times of a transaction in milliseconds; -1 where it did not get that far.
type Delay struct {
	Receive int64 `json:"receive"` // first byte of DATA to its last
	Check   int64 `json:"check"`   // all content checks and the verdict
	Relay   int64 `json:"relay"`   // holds and the servers behind
	Total   int64 `json:"total"`   // connection's MAIL to the answer
}
