// Package handing says what is about to be handed over, so that it can be written down before
// it has left.
package handing

import (
	"context"

	"postern/filter"
)

// Over is an outbound message just before the first final dot.
type Over struct {
	Message *filter.Message // as it came
	Report  filter.Report
	Login   bool // it goes out on the connection of who logged in
	Copies  []Copy
}

// Copy is one recipient's copy.
type Copy struct {
	Recipient string
	Verdict   filter.Verdict
	Body      *filter.Message  // what it is sent: Over.Message, or that without some parts
	State     filter.FateState // of a copy that is not handed over now; "" = it is
}

// Log writes down what is handed over.
type Log interface {
	// Begin returns when that is durable. After an error nothing is handed over.
	Begin(ctx context.Context, o Over) error
}
