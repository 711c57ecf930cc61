package filter

import (
	"context"
	"time"
)

// Stage is the point of an SMTP transaction at which a step runs.
type Stage uint8

// The stages in the order a session reaches them.
const (
	OnConnect Stage = iota
	OnSender
	OnRecipient
	OnData
)

// String is the stage as it is written in rules and logs.
func (s Stage) String() string {
	switch s {
	case OnConnect:
		return "connect"
	case OnSender:
		return "sender"
	case OnRecipient:
		return "rcpt"
	default:
		return "data"
	}
}

// Action is what a verdict does with a message. The larger wins inside one verdict.
type Action uint8

// The actions in rising order.
const (
	Accept Action = iota
	Tag
	Quarantine
	Defer
	Reject
)

var actionNames = [...]string{"accept", "tag", "quarantine", "defer", "reject"}

// String is the lower-case name used in rules, headers, logs and JSON.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "unknown"
}

// ParseAction is the inverse of String; ok is false for any other word.
func ParseAction(s string) (a Action, ok bool) {
	for i, n := range actionNames {
		if n == s {
			return Action(i), true
		}
	}
	return Accept, false
}

// Finding is one thing a check observed.
type Finding struct {
	Symbol string      // UPPER_SNAKE name that rules give a worth to
	Detail string      // what exactly was seen, in plain words; may hold attacker text
	For    string      // the recipient it concerns; "" = all of them
	Auth   *AuthResult // the authentication result it rests on; nil for most
	Part   string      // path in the mime.Tree ("1.2") of the part it was found in; "" = the whole message
	Step   string      // the step that found it; set by the pipeline, not by checks

	// Types are the words, blanks between them, by which a policy's lists of types can name the
	// file it concerns; "" for most.
	Types string `json:",omitempty"`

	// Quiet tells that it counts for other rules only: verdicts and records do not say it.
	Quiet bool `json:",omitempty"`
}

// AuthResult is one result of an Authentication-Results field (RFC 8601 section 2.2).
type AuthResult struct {
	Method string // spf, dkim, dmarc, iprev, arc
	Result string // pass, fail, softfail, neutral, none, temperror, permerror, policy
	Reason string // optional reason text, unescaped
	Props  []AuthProp

	// Record is the DMARC record the result rests on, as published at the domain At.
	At, Record string
}

// Prop is the value of the first property of that type and name, or "".
func (r AuthResult) Prop(kind, name string) string {
	for _, p := range r.Props {
		if p.Type == kind && p.Name == name {
			return p.Value
		}
	}
	return ""
}

// AuthProp is one "ptype.property=value" of an AuthResult, value unescaped.
type AuthProp struct{ Type, Name, Value string }

// Failure says that a step could not tell.
type Failure struct {
	Step    string
	Reason  string // plain words, stored and shown
	OnError Action // what the step is configured to do then; never Reject
	// Standing says that this is no passing trouble that a later try would find over: known
	// for long, or so by design. It is shown like any other and lowers no verdict.
	Standing bool  `json:",omitempty"`
	Err      error `json:"-"` // the cause; stays in the process
}

// Report is what all steps of a message found and where they failed, in step order.
type Report struct {
	Findings []Finding
	Failures []Failure
}

// Join appends a later stage's report to r.
func (r *Report) Join(more Report) {
	r.Findings = append(r.Findings, more.Findings...)
	r.Failures = append(r.Failures, more.Failures...)
}

// Check looks at a message and says what it saw. An error means "I could not tell" and may
// come beside findings. A Check reads state and never writes any, so that scan, replay and
// a retry see what the first run saw.
type Check interface {
	Check(ctx context.Context, m *Message) ([]Finding, error)
}

// CheckFunc adapts a function to Check.
type CheckFunc func(ctx context.Context, m *Message) ([]Finding, error)

// Check calls f.
func (f CheckFunc) Check(ctx context.Context, m *Message) ([]Finding, error) { return f(ctx, m) }

// Observer is told the outcome once, after the client was answered. State that checks read
// is written here.
type Observer interface {
	Done(ctx context.Context, m *Message, o Outcome) error
}

// PlainError is an error whose Plain text may be stored and shown: what a check returns
// when it knows how to say in plain words why it could not tell ("timed out").
type PlainError interface {
	error
	Plain() string
}

// CouldNot pairs plain words with a private cause; it implements PlainError.
type CouldNot struct {
	Words    string
	Cause    error
	Standing bool // see Failure
}

func (e *CouldNot) Error() string {
	if e.Cause == nil {
		return e.Words
	}
	return e.Words + ": " + e.Cause.Error()
}

// Unwrap returns the private cause.
func (e *CouldNot) Unwrap() error { return e.Cause }

// Plain returns the words that may be shown.
func (e *CouldNot) Plain() string { return e.Words }

// Step places a check in the pipeline.
type Step struct {
	Name    string
	Stage   Stage
	Check   Check
	Timeout time.Duration // 0 = only the message's budget
	OnError Action        // Accept or Tag: go on; Quarantine: hold; Defer: ask to retry
}
