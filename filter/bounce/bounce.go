// Package bounce recognises delivery reports that come back, by what was sent from here: a
// report about mail of ours completes the record of that mail, one about mail that was never
// sent from here is backscatter.
package bounce

import (
	"context"
	"slices"

	"postern/filter"
)

// Symbol is emitted for a delivery report about mail that was not sent from here.
const Symbol = "BACKSCATTER"

// Answer says what a message from the null sender is.
type Answer uint8

// The answers.
const (
	Other   Answer = iota // no delivery report, or one that says too little to tell
	Ours                  // about mail that was sent from here
	Foreign               // about mail that was not
)

// Sent knows what was sent.
type Sent interface {
	// About tells what a message from the null sender is about, with a few words for people.
	// It changes nothing.
	About(ctx context.Context, m *filter.Message) (Answer, string, error)
	// Complete writes down what the report m says of the mail it is about.
	Complete(ctx context.Context, m *filter.Message) error
}

// Check is both the check and its observer.
type Check struct{ Sent Sent }

// concerns reports whether m can be a delivery report to somebody here.
func concerns(m *filter.Message) bool {
	return m.Direction == filter.Inbound && m.From == "" && m.Parts != nil
}

// Check implements filter.Check. It only reads.
func (c *Check) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	if !concerns(m) {
		return nil, nil
	}
	answer, words, err := c.Sent.About(ctx, m)
	if err != nil {
		return nil, &filter.CouldNot{Words: "the send log did not answer", Cause: err}
	}
	if answer != Foreign {
		return nil, nil
	}
	return []filter.Finding{{Symbol: Symbol, Detail: words}}, nil
}

// Done implements filter.Observer. What was refused or put off says nothing: the one comes
// again, the other nobody had a reason to believe.
func (c *Check) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	taken := slices.ContainsFunc(o.Fates, func(f filter.Fate) bool {
		return f.State == filter.Delivered || f.State == filter.Held || f.State == filter.InOutbox
	})
	if !concerns(m) || !taken {
		return nil
	}
	return c.Sent.Complete(ctx, m)
}
